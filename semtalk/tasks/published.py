"""Published models: safetensors and json, read without running anything, from whoever they are."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from semtalk.catalogue import REPOSITORY
from semtalk.errors import SemTalkError
from semtalk.features.packages import PACKAGES
from semtalk.features.text import read_vocabulary
from semtalk.places import CONFIG, WEIGHTS
from semtalk.settings import trained, validated
from semtalk.settings.commands import PHASE_NAMES
from semtalk.settings.published import FORMAT, PublishedModel, PublishedPhase
from semtalk.tasks.sizes import PREFIX
from semtalk.tasks.stamp import Facts, Stamp, named_speakers

CARD, WORDS = "README.md", "vocab.json"
FILES = (CONFIG, CARD, WORDS, *(f"{phase}{WEIGHTS}" for phase in PHASE_NAMES))
"""All that a published model may have."""
LIBRARY = "semtalk"
"""What ``config.json`` says of whose model it is."""
LARGEST = 8 * 2**20
"""Bytes of the largest json that is read."""
LONGEST = 300
"""Letters of what is shown of others' texts."""
CODE = {
    ".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh", ".exe", ".pkl", ".pickle", ".ckpt", ".pt", ".pth", ".bin",
    ".joblib", ".dill", ".npy",
}  # fmt: skip
"""Endings of what is code, or runs some when it is opened carelessly."""
IN_RUN = "run:"
"""Begins the path of a file that lies in the run's own folder."""
GIVEN = "given:"
"""Begins the name of a file that belongs to the features and is not published: who loads the model has it."""


def refuse_code(said: str, names: list[str]) -> None:
    """See that a published model has no files that could hold code, though none of them would be opened.

    Args:
        said: What errors call the model.
        names: Of all its files.

    Raises:
        SemTalkError: It has one.
    """
    found = sorted(name for name in names if Path(name).suffix.lower() in CODE)
    if found:
        raise SemTalkError(
            f"{said}: it holds {one_line(found[0])}, and a published model is {WEIGHTS[1:]} and json alone; nothing of "
            "it was loaded."
        )


def read_published(folder: str | Path) -> PublishedModel:
    """Read and check ``config.json``.

    Raises:
        SemTalkError: It is damaged, too large, of a newer format, no such model's, or names a file elsewhere.
    """
    path = Path(folder) / CONFIG
    for text in (path, Path(folder) / WORDS):
        if text.is_file() and (size := text.stat().st_size) > LARGEST:
            raise SemTalkError(f"{text}: {size} bytes; that of a published model is small ({LARGEST} at most).")
    refuse_code(str(folder), [str(one.relative_to(folder)) for one in Path(folder).rglob("*")])
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SemTalkError(f"{path}: not readable as json ({one_line(error)}).") from error
    if not isinstance(content, dict) or content.get("library") != LIBRARY:
        raise SemTalkError(f"{path}: not of a published SemTalk model.")
    if isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise SemTalkError(f"{path}: written by a newer version; update semtalk.")
    try:
        model = validated(PublishedModel, content)
        for phase in PHASE_NAMES:
            if network := getattr(model.networks, phase):
                refuse_paths(network)
                trained(network.config)
    except SemTalkError as error:
        raise SemTalkError(f"{path}: {one_line(error)}") from error
    if model.networks.sparse and (Path(folder) / WORDS).is_file():
        check_words(Path(folder) / WORDS, trained(model.networks.sparse.config).model.sparse.vocabulary)
    return model


def check_words(path: Path, known: int | None) -> None:
    """See that a word list has no more words than the network that reads their numbers.

    Raises:
        SemTalkError: It has, or it is no list of words.
    """
    index, _ = read_vocabulary(path)
    if known is not None and max(index.values(), default=0) >= known:
        raise SemTalkError(f"{path}: more words than the network knows ({known}).")


def one_line(said: Any) -> str:
    """A text that may hold what somebody else wrote, as it can be shown: in one line, and not without end."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(said))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def refuse_paths(network: PublishedPhase) -> None:
    """See that a network's features name no file of the machine that they are loaded on.

    Raises:
        SemTalkError: They do.
    """
    features = network.config.get("features")
    slots = features.get("slots") if isinstance(features, dict) else None
    for name, slot in slots.items() if isinstance(slots, dict) else ():
        for key in ("path", "model"):
            value = slot.get(key) if isinstance(slot, dict) else None
            if value and not _is_harmless(key, value):
                raise SemTalkError(
                    f"features.slots.{name}.{key}={value}: a published model names packages, repositories and files of "
                    "its own folder, no others."
                )


def _is_harmless(key: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if value.startswith(IN_RUN):
        return value.removeprefix(IN_RUN) == WORDS
    if value.startswith(GIVEN):
        return re.fullmatch(r"[^/\\]+", value.removeprefix(GIVEN)) is not None
    return key == "model" and (value in PACKAGES or REPOSITORY.fullmatch(value) is not None)


def published_checkpoint(path: Path, phase: str) -> dict[str, Any]:
    """A network of a published model in the form of a checkpoint.

    Args:
        path: Of its weights.
        phase: See :data:`semtalk.tasks.phases.PHASES`.

    Raises:
        SemTalkError: See :func:`read_published`; or the weights are damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model = read_published(path.parent)
    network = getattr(model.networks, phase)
    if network is None:
        raise SemTalkError(f"{path.parent / CONFIG}: it says nothing of '{phase}', whose weights are here.")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise SemTalkError(
            f"{path}: not readable as safetensors, or cut short ({one_line(error)}); nothing was loaded."
        ) from error
    checkpoint = {"state_dict": {PREFIX + name: value for name, value in weights.items()}}
    facts = Facts(
        **dict(network.facts) | {"speakers": named_speakers(network.facts.speakers, model.data.name == "show")}
    )
    Stamp(
        phase, network.config, facts, network.version, network.format, network.finished, dict(network.beside)
    ).write(checkpoint)  # fmt: skip
    return checkpoint


def published_network(stamp: Stamp, licence: str | None) -> dict[str, Any]:
    """What ``config.json`` says of a network: its stamp, without what is of the machine that it was trained on.

    Args:
        stamp: Of its checkpoint.
        licence: Of the corpus.
    """
    config = {key: stamp.config[key] for key in ("name", "seed", "model", "features", "recipe") if key in stamp.config}
    content = asdict(stamp)
    facts = content["facts"] | {"licence": licence}
    return {key: content[key] for key in ("version", "format", "finished", "beside")} | {
        "facts": facts, "config": config | {"features": _portable(config["features"])},
    }  # fmt: skip


def _portable(features: Mapping[str, Any]) -> dict[str, Any]:
    slots = {}
    for name, slot in features["slots"].items():
        slots[name] = dict(slot)
        for key in ("path", "model"):
            value = slot.get(key)
            if value and (not _is_harmless(key, value) or Path(value).exists()):
                slots[name][key] = GIVEN + Path(value).name
    return {**features, "slots": slots}


def tensors_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, as safetensors wants them."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}
