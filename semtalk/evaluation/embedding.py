"""The network that FGD's features are of, and what a result says of where it is from."""

import hashlib
from pathlib import Path

import torch

from semtalk.errors import SemTalkError
from semtalk.evaluation.files import Files
from semtalk.evaluation.protocol import find_protocol
from semtalk.models.embedder import MULTIPLE
from semtalk.places import called, checkpoint_path
from semtalk.settings.commands import run_name
from semtalk.tasks.checkpoint import load_network
from semtalk.tasks.stamp import Stamp, digest


def embedder_of(
    folder: Path, protocol: str = "legacy", asked: bool = True
) -> tuple[torch.nn.Module | None, dict[str, str]]:
    """The FGD embedder of a run, and what a result says of it: network, where its weights are from, its file's hash.

    Args:
        folder: Of the run.
        protocol: What is measured by; it says whose network FGD is of.
        asked: Whether the embedder was asked for; else a run's own of another architecture leaves FGD out.

    Raises:
        SemTalkError: It was asked for, and is of another architecture than the protocol's.
    """
    wanted = find_protocol(protocol).embedder
    network, stamp = load_network(folder, "fgd")
    own = stamp.settings.model.embedder
    if own != wanted:
        how = (
            f"protocol={protocol} measures with {wanted}'s network, and that of {folder} is {own}'s; train one with "
            f"`{called('train')} stage=fgd model.embedder={wanted} name=NAME` and give embedder=runs/NAME"
        )
        if asked:
            raise SemTalkError(f"embedder={folder}: {how}.")
        return None, {"source": f"none: {how}", "sha256": "", "network": wanted}
    sha256 = hashlib.sha256(checkpoint_path(folder, "fgd").read_bytes()).hexdigest()[:12]
    return network, {"source": source_of(network, stamp, folder), "sha256": sha256, "network": own}


def source_of(network: torch.nn.Module, stamp: Stamp, folder: Path) -> str:
    """Where a network's weights are from: ``released`` where they are the authors' own, or the training that made them.

    A checkpoint that was copied into another run is still of the training that its stamp names.
    """
    if stamp.facts.released and stamp.facts.released == digest(network.state_dict()):
        return "released"
    config = stamp.config
    if "name" not in config:
        return f"{folder}, of unknown origin"
    trained = f"trained by {Path(config.get('runs_dir', '')) / run_name(config)}"
    return f"{trained}, from init={config['init']}" if config.get("init") else trained


def refuse_short(files: Files) -> None:
    """See that FGD can be measured.

    Raises:
        SemTalkError: A take is too short for a row of its features.
    """
    for pair, frames in zip(files.pairs, files.frames, strict=True):
        if frames < MULTIPLE:
            raise SemTalkError(
                f"{pair.name}.npz: motion and truth have {frames} frames in common, and FGD needs {MULTIPLE}; "
                "leave the take out, or FGD (embedder=null)."
            )
