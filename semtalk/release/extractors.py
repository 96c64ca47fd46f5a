"""Reads the feature extractors that SHOW's numbers are published with, and writes them as a run's FGD embedder."""

import hashlib
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semtalk.errors import SemTalkError
from semtalk.files import load_pickled_npy, write_checkpoint
from semtalk.models.extractors import DiffSHEGExtractor, TalkSHOWExtractor
from semtalk.motion.skeleton import DIFFSHEG_JOINTS, JAW, NUM_EXPRESSIONS
from semtalk.places import checkpoint_path
from semtalk.settings import compose
from semtalk.tasks.checkpoint import not_finite, read_tensors
from semtalk.tasks.phases import EMBEDDERS
from semtalk.tasks.stamp import Facts, digest, new_stamp

TALKSHOW_FILE = "feature_extractor.pth"
DIFFSHEG_FILES = {"fgd": "gesture.pth.tar", "fed": "expression.pth.tar", "fmd": "gesture_expression.pth.tar"}
DIFFSHEG_STATISTICS = "talkshow_mean_std.npy"
KNOWN = {
    TALKSHOW_FILE: ("154259bf", "ccecfb"), "gesture.pth.tar": ("5eaf9b88", "3216e"),
    "expression.pth.tar": ("ebb75ecd", "a707"), "gesture_expression.pth.tar": ("1f2c0003", "1627f"),
    DIFFSHEG_STATISTICS: ("b90320eb", "98cef0"),
}  # fmt: skip
"""How the sha256 of the published files begins and ends."""
TALKSHOW_RULES = (
    (r"^encoder\.0\.", "encoder.project."),
    (r"^encoder\.([135])\.layers\.", lambda found: f"encoder._enc_{(int(found[1]) + 1) // 2}._layers."),
    (r"^encoder\.([135])\.", lambda found: f"encoder._enc_{(int(found[1]) + 1) // 2}."),
    (r"^encoder\.([24])\.shortcut\.", lambda found: f"encoder._down_{int(found[1]) // 2}.residual_layer."),
    (r"^encoder\.([24])\.", lambda found: f"encoder._down_{int(found[1]) // 2}."),
    (r"^encoder\.6\.", "encoder.pre_vq_conv."),
)
JAW_FIRST, BODY, HANDS = 0, 12, 75
"""Where SHOW's order of 165 pose values begins the jaw, the body and the hands."""


def convert_extractor(source: Path, target: Path) -> str:
    """Write TalkSHOW's or DiffSHEG's extractor as the FGD embedder of a run folder.

    Args:
        source: ``feature_extractor.pth``, or the folder that holds it or DiffSHEG's four files.
        target: The run folder.

    Returns:
        Which it is, and whether the files are those that published numbers were made with.

    Raises:
        SemTalkError: Neither is there, a file is damaged or of another architecture, or asks for code to be run.
    """
    folder = source.parent if source.is_file() else source
    if (folder / TALKSHOW_FILE).is_file():
        kind, network, files = "talkshow", _talkshow(folder / TALKSHOW_FILE), [folder / TALKSHOW_FILE]
    else:
        files = [folder / name for name in (*DIFFSHEG_FILES.values(), DIFFSHEG_STATISTICS)]
        if missing := [path.name for path in files if not path.is_file()]:
            raise SemTalkError(
                f"{source}: there is no {TALKSHOW_FILE} in it, and of DiffSHEG it lacks {', '.join(missing)}."
            )
        kind, network = "diffsheg", _diffsheg(folder)
    weights = network.eval().state_dict()
    unknown = [path.name for path in files if not _is_known(path)]
    settings = compose("train", f"model.embedder={kind}")
    facts = Facts(["oliver", "chemistry", "seth", "conan"], released="" if unknown else digest(weights))
    checkpoint = {"state_dict": {f"network.{name}": value for name, value in weights.items()}}
    config = {"model": settings.model.plain(), "features": settings.features.plain()}
    new_stamp("fgd", config, facts).write(checkpoint)
    write_checkpoint(checkpoint_path(target, "fgd"), checkpoint)
    if unknown:
        return (
            f"{kind}: {', '.join(unknown)} is not the published file (another sha256); numbers compare with no table."
        )
    return f"{kind}: the published files."


def _is_known(path: Path) -> bool:
    begins, ends = KNOWN[path.name]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return found.startswith(begins) and found.endswith(ends)


def _tensors(path: Path, *places: tuple[str, ...]) -> dict[str, Tensor]:
    """Tensors of a file by their names without ``module.``, from the first of some nested places that it has."""
    content = read_tensors(path, "weights file")
    for keys in places:
        found = content
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict) and found and all(isinstance(value, Tensor) for value in found.values()):
            if name := not_finite(found):
                raise SemTalkError(
                    f"{path}: its {name} holds NaN or infinite numbers, so it is damaged; copy it again."
                )
            return {name.removeprefix("module."): value for name, value in found.items()}
    named = " or ".join(".".join(keys) for keys in places)
    raise SemTalkError(f"{path}: it holds no tensors at {named}; is this the published extractor?")


def _refused(path: Path, kind: str, wrong: list[str]) -> None:
    if wrong:
        raise SemTalkError(
            f"{path}: weights of another architecture than {kind}'s: {len(wrong)} differ: {', '.join(wrong[:3])}."
        )


def _talkshow(path: Path) -> TalkSHOWExtractor:
    weights = _tensors(path, ("generator", "g"), ("g",))
    with torch.random.fork_rng():
        torch.manual_seed(0)  # the decoder, which is not in the file, is always the same
        network = EMBEDDERS["talkshow"]()
    own, wrong = network.state_dict(), []
    for name in own:
        if not name.startswith("encoder."):
            continue
        given = name
        for pattern, replacement in TALKSHOW_RULES:
            given, count = re.subn(pattern, replacement, name)
            if count:
                break
        if given not in weights or weights[given].shape != own[name].shape:
            wrong.append(given)
        else:
            own[name] = weights[given]
    _refused(path, "TalkSHOW", wrong)
    network.load_state_dict(own)
    return network


def _diffsheg(folder: Path) -> DiffSHEGExtractor:
    statistics = _statistics(folder / DIFFSHEG_STATISTICS)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = EMBEDDERS["diffsheg"]()
    for name, file in DIFFSHEG_FILES.items():
        given = _tensors(folder / file, ("state_dict",), ("model_state",))
        given = {key: value for key, value in given.items() if re.match(r"pose_encoder\.(net|out_net|fc_mu)\.", key)}
        own = network.encoders[name].state_dict()
        leaves = [[(key.rsplit(".", 1)[1], value.shape) for key, value in state.items()] for state in (own, given)]
        wrong = [key for key, a, b in zip(given, *leaves, strict=False) if a != b]
        _refused(
            folder / file, "DiffSHEG", wrong or [] if len(own) == len(given) else [*wrong, f"{len(given)} tensors"]
        )
        network.encoders[name].load_state_dict(dict(zip(own, given.values(), strict=True)))
    network.set_statistics(*statistics)
    return network


def _statistics(path: Path) -> tuple[Tensor, Tensor]:
    """Mean and scale (232,) as DiffSHEG normalises: by deviations, but the jaw, by a slip, by its mean."""
    content, widths = load_pickled_npy(path), {"pose": 165, "expression": NUM_EXPRESSIONS}
    arrays = {}
    for key in (f"{what}_{which}" for what in widths for which in ("mean", "std")):
        value = np.asarray(content.get(key)) if isinstance(content, dict) else None
        if value is None or value.dtype.kind not in "fi" or value.size != widths[key.split("_")[0]]:
            raise SemTalkError(
                f"{path}: it holds no {key} of {widths[key.split('_')[0]]} numbers; is this DiffSHEG's file?"
            )
        arrays[key] = torch.from_numpy(value.reshape(-1).astype(np.float32))
    first = [BODY + 3 * (joint - 1) if joint < JAW else HANDS + 3 * (joint - 25) for joint in DIFFSHEG_JOINTS]
    gesture, jaw = [place + axis for place in first for axis in range(3)], slice(JAW_FIRST, JAW_FIRST + 3)
    mean, scale = (
        torch.cat([arrays[f"pose_{which}"][gesture], arrays["pose_mean"][jaw], arrays[f"expression_{which}"]])
        for which in ("mean", "std")
    )
    return mean, scale
