"""Checkpoints: plain tensors and a plain configuration, loaded without unpickling anything else."""

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from semtalk.errors import SemTalkError
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS
from semtalk.tasks.phases import PHASES, build_network
from semtalk.tasks.stamp import FORMAT


def checkpoint_path(run_dir: str | Path, phase: str, which: str = "best") -> Path:
    """Where a run keeps the checkpoint of a phase."""
    return Path(run_dir) / phase / f"{which}.ckpt"


def load_checkpoint(path: Path, phase: str) -> dict[str, Any]:
    """Read a checkpoint of this code base.

    Raises:
        SemTalkError: It is missing, damaged, of another program, of a newer format, or of another phase.
    """
    if not path.is_file():
        raise SemTalkError(
            f"{path}: there is no checkpoint of '{phase}' here. Make it with `python train.py "
            f"stage={PHASES[phase].stage}` and the same data, model and name."
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise SemTalkError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]}).") from error
    stamped = checkpoint.get("semtalk") if isinstance(checkpoint, dict) else None
    if stamped is None:
        raise SemTalkError(f"{path}: not a checkpoint of this code base.")
    if stamped["format"] > FORMAT:
        raise SemTalkError(f"{path}: written by a newer version ({stamped['version']}); update semtalk.")
    if stamped["phase"] != phase:
        raise SemTalkError(f"{path}: a checkpoint of '{stamped['phase']}', but '{phase}' is wanted.")
    return checkpoint


def load_network(run_dir: str | Path, phase: str, which: str = "best") -> tuple[nn.Module, dict]:
    """Load the trained network of a phase, in evaluation mode, with its stamp (phase, config, meta).

    Raises:
        SemTalkError: See :func:`load_checkpoint`; or the weights do not fit the configuration beside them.
    """
    path = checkpoint_path(run_dir, phase, which)
    checkpoint = load_checkpoint(path, phase)
    stamped = checkpoint["semtalk"]
    try:
        network = build_network(phase, stamped["config"], len(stamped["meta"]["speakers"]))
    except SemTalkError as error:
        raise SemTalkError(f"{path}: written by version {stamped['version']}; {error}") from error
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value for name, value in checkpoint["state_dict"].items() if name.startswith(prefix)
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise SemTalkError(f"{path}: its weights do not fit its configuration ({error}).") from error
    return network.eval(), stamped


def load_needed(phase: str, run_dir: Path, init: str | None) -> dict[str, nn.Module]:
    """Trained networks that a phase needs, of its run, or of the run that it started from."""
    folders = {
        name: run_dir if init is None or checkpoint_path(run_dir, name).is_file() else init
        for name in PHASES[phase].needs
    }
    return {name: load_network(folder, name)[0] for name, folder in folders.items()}


def load_tokenizer(run_dir: str | Path) -> Tokenizer:
    """The four trained RVQ-VAEs of a run."""
    return Tokenizer({part: load_network(run_dir, f"rvqvae_{part}")[0] for part in PARTS})
