"""Evaluates a trained run: generates the takes of a split and computes every number of the report."""

import hashlib
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from semtalk.body import BodyModel
from semtalk.data.store import Store, joint_speed
from semtalk.evaluation.known_answers import known_answers
from semtalk.evaluation.protocol import evaluate_rows
from semtalk.evaluation.takes import Take, generate_takes
from semtalk.generation.load import load_generator
from semtalk.tasks.checkpoint import checkpoint_path, load_network

ROWS = ("fused", "base", "truth")
PACKAGES = ("semtalk", "torch", "numpy", "scipy", "librosa", "pytorch-lightning")
"""What numbers depend on; their versions are in every result."""


def evaluate_run(
    config: dict, folder: Path, store: Store, body: BodyModel, device: torch.device
) -> tuple[dict, list[dict], list[Take]]:
    """Generate and measure.

    Args:
        config: Plain configuration of the evaluation.
        folder: Of the run.
        store: The prepared corpus.
        body: For joints and face vertices.
        device: Where to generate.

    Returns:
        The result that is written, one row for each take and row of the table, and the takes.

    Raises:
        SemTalkError: The run was trained with other features, or a checkpoint is missing.
    """
    torch.manual_seed(config["seed"])
    generator, stamped = load_generator(folder, config["generation"])
    meta = stamped["meta"]
    stride, beta, gate = config["features"]["stride"], config["beta"], config["gate"]
    progress = partial(track, description="Generating")
    recordings = store.split(config["split"])
    takes, short = generate_takes(generator.to(device), recordings, meta, stride, beta, gate, progress)
    generator.cpu()
    embedder, _ = load_network(folder, "fgd")
    speed = meta["mean_joint_speed"] or joint_speed(store.split("train"), body)
    metrics, per_take = evaluate_rows(takes, ROWS, embedder, body, np.asarray(speed))
    known = {}
    if config["data"]["reader"] == "sample":
        known = known_answers(generator, takes, store.split("train"), meta["speakers"], stride, beta, gate)
    digest = hashlib.sha256(checkpoint_path(folder, "fgd").read_bytes()).hexdigest()[:12]
    result = {
        "run": str(folder), "split": config["split"], "takes": len(takes), "protocol": "legacy", "body": body.name,
        "stand_in": body.stand_in, "embedder": f"trained by this run, sha256 {digest}", "too_short": short,
        "metrics": metrics, "known_answers": known, "versions": {name: version(name) for name in PACKAGES},
        "config": config,
    }  # fmt: skip
    return result, per_take, takes
