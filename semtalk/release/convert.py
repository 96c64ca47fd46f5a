"""Reads the authors' released files and writes checkpoints of this code base."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from semtalk.errors import SemTalkError
from semtalk.features.text import read_vocabulary
from semtalk.files import atomic_write, write_checkpoint
from semtalk.places import checkpoint_path
from semtalk.release.names import FILES, OWN_STATE, POSITIONS, RELEASE_SPEAKERS, UNUSED, release_name
from semtalk.settings import compose
from semtalk.settings.commands import Command
from semtalk.tasks.checkpoint import not_finite, read_tensors
from semtalk.tasks.phases import build_network
from semtalk.tasks.stamp import Facts, digest, new_stamp

VOCABULARY = "vocab.pkl"


def release_settings() -> Command:
    """Settings of converted checkpoints: ``model=release`` and ``features=release``."""
    return compose("train", "model=release", "features=release")


def convert_vocabulary(source: Path, target: Path, size: int) -> None:
    """Write the release's ``vocab.pkl``, a list of ``size`` words, as a plain ``vocab.json`` into a run folder.

    Raises:
        SemTalkError: It is missing, is no word list, or asks for code to be run.
    """
    index, _ = read_vocabulary(source)
    if not index or max(index.values()) >= size:
        raise SemTalkError(f"{source}: {len(index)} words with ids that the released networks do not have ({size}).")
    words = [""] * size
    for word, number in index.items():
        words[number] = word
    path = target / "vocab.json"
    atomic_write(path, lambda temporary: temporary.write_text(json.dumps(words), encoding="utf-8"))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a released file by their plain names (``module.`` prefixes taken off), unpickling nothing else.

    Raises:
        SemTalkError: The file is missing, unreadable, no ``{'model_state': ...}``, or not finite.
    """
    if not path.is_file():
        raise SemTalkError(f"{path}: no such weights file.")
    content = read_tensors(path, "weights file")
    state = content.get("model_state") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise SemTalkError(f"{path}: it holds no 'model_state' of tensors; is this a released SemTalk file?")
    if name := not_finite(state):
        raise SemTalkError(f"{path}: its {name} holds NaN or infinite numbers, so it is damaged; copy it again.")
    return {name.removeprefix("module."): value for name, value in state.items()}


@dataclass
class Conversion:
    """A released network in this code base.

    Attributes:
        network: With the released weights, in evaluation mode.
        unused: Tensors of the file that reach no output.
    """

    network: nn.Module
    unused: list[str]


def convert(phase: str, weights: dict[str, Tensor], settings: Command, source: str) -> Conversion:
    """Put released weights into the network of a phase.

    Args:
        phase: See :data:`semtalk.tasks.phases.PHASES`.
        weights: Release name -> tensor.
        settings: With ``model=release`` and the release's feature sizes.
        source: What errors call the file.

    Raises:
        SemTalkError: A tensor is missing, unknown, or of another shape; all of them are named at once.
    """
    network = build_network(phase, settings, len(RELEASE_SPEAKERS))
    own = network.state_dict()
    expected = {release_name(phase, name): name for name in own if not OWN_STATE.search(name)}
    unused = re.compile(rf"^({UNUSED.get(phase, '$^')})")
    dead = sorted(name for name in weights if unused.match(name))
    unknown = [name for name in weights if name not in expected and name not in dead and not re.match(POSITIONS, name)]
    missing = [name for name in expected if name not in weights]
    wrong = [
        f"{name} is {tuple(weights[name].shape)}, expected {tuple(own[mine].shape)}"
        for name, mine in expected.items()
        if name in weights and weights[name].numel() != own[mine].numel()
    ]
    problems = {"missing": missing, "unknown": unknown, "of another shape": wrong}
    if any(problems.values()):
        text = "; ".join(f"{len(names)} {kind}: {', '.join(names[:3])}" for kind, names in problems.items() if names)
        raise SemTalkError(f"{source}: not the released network '{phase}': {text}.")
    for name, mine in expected.items():
        own[mine] = weights[name].reshape(own[mine].shape)
    for name in own:
        if name.endswith(".codebook"):
            level = name.removesuffix("codebook")
            own[f"{level}sums"] = own[name].clone()
            own[f"{level}counts"] = torch.ones_like(own[f"{level}counts"])
            own[f"{level}initialised"] = torch.ones((), dtype=torch.bool)
    network.load_state_dict(own)
    return Conversion(network.eval(), dead)


def convert_folder(
    source: Path, target: Path, settings: Command, vocabulary: Path | None = None
) -> dict[str, list[str]]:
    """Convert every network that a release folder (or a single file) holds into a run folder.

    The word list ``vocab.pkl`` is taken from wherever it lies below the folder, or from ``vocabulary``.

    Returns:
        Phase -> names of the tensors that are never used.

    Raises:
        SemTalkError: Nothing is there, or a file is not what its name says.
    """
    if source.is_file():
        found = {phase: source for phase, name in FILES.items() if Path(name).name == source.name}
    else:
        found = {phase: source / name for phase, name in FILES.items() if (source / name).is_file()}
    if not found:
        raise SemTalkError(f"{source}: none of the released files is here; expected {', '.join(FILES.values())}.")
    converted = {phase: convert(phase, read_weights(path), settings, str(path)) for phase, path in found.items()}
    features = settings.features.plain()
    listed = [vocabulary] if vocabulary else sorted(source.rglob(VOCABULARY)) if source.is_dir() else []
    if listed or (target / "vocab.json").is_file():
        if listed:
            convert_vocabulary(listed[0], target, settings.model.sparse.vocabulary)
        features["slots"]["words"]["path"] = "run:vocab.json"
    for phase, conversion in converted.items():
        weights = conversion.network.state_dict()
        checkpoint = {"state_dict": {f"network.{name}": value for name, value in weights.items()}}
        facts = Facts(RELEASE_SPEAKERS, generation="release", released=digest(weights))
        new_stamp(phase, {"model": settings.model.plain(), "features": features}, facts).write(checkpoint)
        path = checkpoint_path(target, phase)
        write_checkpoint(path, checkpoint)
    return {phase: conversion.unused for phase, conversion in converted.items()}
