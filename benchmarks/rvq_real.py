"""RVQ-VAE reconstruction on one real take, against the reference: ``python -m benchmarks.rvq_real``.

Needs ``SEMTALK_REAL_DATA`` with ``beat2/``. Trains on the pieces of the training split alone (windows of 64, stride 20,
batch 64), one network of the paper's sizes for each part, and measures whole pieces encoded at once: the mean angle
between true and reconstructed rotations, the error of expressions, and the error of velocity.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import RESULTS, without_nan
from semtalk.body import load_body
from semtalk.data.beat2 import BEAT2Corpus
from semtalk.data.preparation import prepare
from semtalk.data.store import Store
from semtalk.data.windows import MOTION_KEYS, WindowDataset
from semtalk.evaluation.takes import true_frames
from semtalk.losses import reconstruction_losses
from semtalk.motion.parts import batch_frames, part_channels, rotation_error
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose
from semtalk.settings.commands import Command
from semtalk.tasks.build import channel_statistics
from semtalk.tasks.phases import build_network

SETTINGS = ("recipe.rvqvae.lr=5e-4", "recipe.rvqvae.losses.expressions=0.5", "model.rvqvae.dropout=0.1")
"""What 36 seconds of training data ask for beside the defaults."""
CHECKPOINTS = (50, *range(100, 1001, 100))
TABLED = (200, 400, 1000)
BATCH = 64
REFERENCE = {
    "upper": {"e 200": 7.43, "e 400": 6.87, "e 1000": 7.03, "d 1000": 5.98, "a 1000": 2.18},
    "hands": {"e 200": 8.91, "e 400": 8.39, "e 1000": 7.70, "d 1000": 5.04, "a 1000": 2.57},
    "face": {"e 200": 1.01, "e 400": 0.52, "e 1000": 0.38, "d 1000": 0.27, "a 1000": 0.21},
}
"""Degrees that the reference's RVQ-VAE reaches on piece e (test), d (val), a (train) after so many steps."""
REFERENCE_EXPRESSIONS = {"e 200": 0.284, "e 400": 0.141, "e 1000": 0.089}


def measure(network, store: Store, part) -> dict[str, dict[str, float]]:
    """Errors on whole pieces: degrees, expression MSE, L1 of velocity per frame in 6D."""
    network.eval()
    numbers = {}
    for recording in store.recordings:
        frames = slice(0, recording.frames // 4 * 4)
        target = part_channels(true_frames(recording, frames), part)
        with torch.no_grad():
            own = network(target)[0]
        width = part.rotation_width
        numbers[recording.id[-1]] = {
            "degrees": rotation_error(own, target, part).mean().item(),
            "velocity": torch.diff(own - target, dim=1)[..., :width].abs().mean().item(),
            "expressions": (own - target)[..., width : width + part.expressions].square().mean().item(),
        }
    return numbers


def train_part(name: str, store: Store, settings: Command, steps: int) -> dict[int, dict]:
    """Train one part; errors at the checkpoints."""
    part, recipe = PARTS[name], settings.recipe.rvqvae
    torch.manual_seed(0)
    network = build_network(f"rvqvae_{name}", settings, 1)
    network.set_statistics(*channel_statistics(store, name))
    windows = WindowDataset(store, store.split("train"), 20, keys=MOTION_KEYS)
    data = part_channels(batch_frames(windows.__getitems__(list(range(len(windows))))), part)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    weights, curve = recipe.losses.weights(), {}
    for step in track(range(1, steps + 1), description=name):
        network.train()
        batch = data[torch.randint(len(data), (BATCH,))]
        own, _, commitment = network(batch)
        losses = reconstruction_losses(part, own, batch) | {"commitment": commitment}
        loss = sum(weights[key] * value for key, value in losses.items())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
        optimizer.step()
        schedule.step()
        if step in CHECKPOINTS or step == steps:
            curve[step] = measure(network, store, part)
    return curve


def main() -> None:
    """Train the parts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(REFERENCE), choices=list(PARTS))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS / "rvq_real.json")
    parser.add_argument("overrides", nargs="*", help="configuration overrides, such as recipe.rvqvae.lr=3e-4")
    arguments = parser.parse_args()
    if "SEMTALK_REAL_DATA" not in os.environ:
        sys.exit("error: set SEMTALK_REAL_DATA to the folder that holds beat2/ with a real take.")
    settings = compose("train", "model=paper", *SETTINGS, *arguments.overrides)
    results: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = BEAT2Corpus(str(Path(os.environ["SEMTALK_REAL_DATA"]) / "beat2"))
        store = prepare(corpus, settings.features, load_body(None), folder)
        for name in arguments.parts:
            began = time.monotonic()
            results[name] = train_part(name, store, settings, arguments.steps)
            results[name]["seconds"] = time.monotonic() - began
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(without_nan(results), indent=2, allow_nan=False))
    print_table(results)
    draw_curves(results, arguments.out.with_suffix(".png"))


def draw_curves(results: dict[str, dict], path: Path) -> None:
    """Errors on the pieces over the steps, the reference's figures for the test piece as crosses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(results), 3.2), layout="constrained")
    for axes, (name, curve) in zip(figure.subplots(1, len(results), squeeze=False)[0], results.items(), strict=True):
        steps = [step for step in curve if step != "seconds"]
        for piece, label, colour in (("e", "test", "C3"), ("d", "val", "C0"), ("a", "train", "C7")):
            axes.plot(steps, [curve[step][piece]["degrees"] for step in steps], colour, label=label)
            crosses = {int(key[2:]): value for key, value in REFERENCE[name].items() if key[0] == piece}
            axes.plot(list(crosses), list(crosses.values()), colour, linestyle="", marker="x")
        axes.set(title="jaw" if name == "face" else name, xlabel="step", ylabel="degrees", ylim=(0, None))
    axes.plot([], [], "kx", label="reference")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def print_table(results: dict[str, dict]) -> None:
    """Ours beside the reference."""
    table = Table("part", "piece", "steps", "degrees", "reference", "velocity x1000", "expressions", "reference")
    for name, curve in results.items():
        for step, pieces in curve.items():
            if step == "seconds" or step not in TABLED:
                continue
            for piece in ("e", "d", "a"):
                numbers, key = pieces[piece], f"{piece} {step}"
                table.add_row(
                    name, piece, str(step), f"{numbers['degrees']:.2f}", str(REFERENCE.get(name, {}).get(key, "")),
                    f"{1000 * numbers['velocity']:.1f}", f"{numbers['expressions']:.3f}" if name == "face" else "",
                    str(REFERENCE_EXPRESSIONS.get(key, "")) if name == "face" else "",
                )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
