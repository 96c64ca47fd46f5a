"""Evaluates a trained run, or any folder of motion files: the rows, the known answers, and all that a result states."""

import hashlib
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from semtalk.body import BodyModel
from semtalk.data.store import Store
from semtalk.evaluation.folder import folder_takes, joint_speed_of
from semtalk.evaluation.hearing import OTHER, add_other_sound, hearing_table
from semtalk.evaluation.known_answers import f1_score, known_answers
from semtalk.evaluation.protocol import Measured, evaluate_rows, find_protocol
from semtalk.evaluation.samples import diversity_of_samples
from semtalk.evaluation.takes import Take, add_mean_pose, generate_takes
from semtalk.generation.load import load_generator
from semtalk.tasks.checkpoint import checkpoint_path, load_network

ROWS = ("fused", "base", "truth", "mean")
PACKAGES = ("semtalk", "torch", "numpy", "scipy", "librosa", "pytorch-lightning")
"""What numbers depend on; their versions are in every result."""


def embedder_of(folder: Path) -> tuple[torch.nn.Module, dict[str, str]]:
    """The FGD embedder of a run, and what a result says of it: whose it is, and its file's hash."""
    network, stamped = load_network(folder, "fgd")
    digest = hashlib.sha256(checkpoint_path(folder, "fgd").read_bytes()).hexdigest()[:12]
    released = stamped["meta"].get("generation") == "release"
    return network, {"source": "released" if released else f"trained by {folder}", "sha256": digest}


def _result(config: dict, measured: Measured, body: BodyModel, takes: list[Take], **more) -> dict:
    return {
        "split": config["split"], "takes": len(takes), "protocol": config["protocol"], "body": body.name,
        "stand_in": body.stand_in, "metrics": measured.table, "hearing": {}, "notes": [],
        "too_short": [], "known_answers": {}, "versions": {name: version(name) for name in PACKAGES},
        "config": config, **more,
    }  # fmt: skip


def gate_scores(takes: list[Take], beta: float) -> dict[str, float]:
    """Precision, recall and F1 of the gate per code step, where takes are labelled."""
    labelled = [take for take in takes if take.semantic is not None and take.psi is not None]
    if not labelled:
        return {}
    predicted = torch.cat([take.psi for take in labelled]) > beta
    true = torch.cat([take.semantic_steps for take in labelled])
    hits = (predicted & true).sum().item()
    return {
        "precision": hits / max(1, predicted.sum().item()), "recall": hits / max(1, true.sum().item()),
        "f1": f1_score(predicted, true),
    }  # fmt: skip


def evaluate_run(
    config: dict, folder: Path, store: Store, speed: np.ndarray, body: BodyModel, device: torch.device
) -> tuple[dict, Measured, list[Take]]:
    """Generate the takes of a split and measure them.

    Args:
        config: Plain configuration of the evaluation.
        folder: Of the run.
        store: The prepared corpus.
        speed: (55,) mean joint speed in m/s, for BC.
        body: For joints and face vertices.
        device: Where to generate.

    Returns:
        The result that is written, its numbers, and the takes.

    Raises:
        SemTalkError: A checkpoint is missing, or the split holds nothing that can be evaluated.
    """
    torch.manual_seed(config["seed"])
    generator, stamped = load_generator(folder, config["generation"], config["decoding"])
    meta = stamped["meta"]
    stride, beta, gate = config["features"]["stride"], config["beta"], config["gate"]
    progress = partial(track, description="Generating")
    recordings = store.split(config["split"])
    chosen = {"seed": config["seed"], "counted": find_protocol(config["protocol"]).counted}
    takes, short = generate_takes(generator.to(device), recordings, meta, stride, beta, gate, progress, **chosen)
    add_mean_pose(takes, store.split("train"))
    extended = config["metrics"] == "extended"
    if extended:
        add_other_sound(takes, generator, meta["speakers"], stride, beta, gate, **chosen)
    rolled = {"speakers": meta["speakers"], "stride": stride, "beta": beta, "gate": gate, **chosen}
    diversity = None
    if config["samples"] > 1:
        diversity = diversity_of_samples(takes, config["samples"], generator, body, **rolled)
    generator.cpu()
    embedder, embedded = embedder_of(folder)
    measured = evaluate_rows(
        takes, ROWS, embedder, body, speed, config["protocol"], extended, partial(track, description="Measuring")
    )
    known = {}
    if config["data"]["reader"] == "sample":
        known = known_answers(generator, takes, store.split("train"), meta["speakers"], stride, beta, gate, **chosen)
    result = _result(
        config, measured, body, takes, run=str(folder), embedder=embedded, too_short=short, known_answers=known,
        gate=gate_scores(takes, beta) if extended else {}, mean_joint_speed="of the corpus",
        samples={"count": config["samples"], "diversity": diversity},
        hearing=hearing_table(takes, measured.table, body, {"fused": OTHER}) if extended else {},
    )  # fmt: skip
    return result, measured, takes


def evaluate_folder(config: dict, body: BodyModel) -> tuple[dict, Measured]:
    """Measure a folder of motion files of any method against the truth; no model is needed.

    Args:
        config: With ``motions``, ``truth``, and where they are given ``audio``, ``embedder`` and ``mean_speed``.
        body: For joints and face vertices.

    Raises:
        SemTalkError: Nothing matches, or a file is bad.
    """
    takes, notes = folder_takes(config["motions"], config["truth"], config["audio"])
    speed, source = joint_speed_of(config["mean_speed"], takes, body)
    embedder, embedded = None, {"source": "none: FGD is left out (embedder=RUN gives one)", "sha256": ""}
    if config["embedder"]:
        embedder, embedded = embedder_of(Path(config["embedder"]))
    measured = evaluate_rows(
        takes, ("method", "truth", "mean"), embedder, body, speed, config["protocol"], config["metrics"] == "extended",
        partial(track, description="Measuring"),
    )  # fmt: skip
    result = _result(
        config, measured, body, takes, run=config["motions"], embedder=embedded, mean_joint_speed=source, gate={}
    )
    result["notes"] = notes
    if config["metrics"] == "extended":
        result["hearing"] = hearing_table(takes, measured.table, body)
    return result, measured
