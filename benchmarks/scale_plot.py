"""Draws what `python -m benchmarks scale` measured, from its results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

PANELS = (
    ("seconds", (
        ("preparing what is new", ("preparing", "seconds")), ("evaluating test", ("evaluating", "seconds")),
        ("planning", ("planning", "seconds")), ("opening", ("opening", "seconds")),
    )),
    ("seconds to the first batch", (
        ("base, cold cache", ("start of base, cold", "seconds")),
        ("RVQ-VAE, cold cache", ("start of rvqvae_upper, cold", "seconds")),
        ("base", ("start of base, warm", "seconds")), ("RVQ-VAE", ("start of rvqvae_upper, warm", "seconds")),
    )),
    ("GiB resident", (
        ("evaluating", ("evaluating", "all")), ("loading an epoch", ("reading, an epoch", "all")),
        ("first batch of base", ("start of base, cold", "all")), ("preparing", ("preparing", "all")),
    )),
    ("windows a second", (
        ("warm cache", ("reading, warm", "windows/s")), ("an epoch, cold at first", ("reading, an epoch", "windows/s")),
        ("cold cache", ("reading, cold", "windows/s")),
    )),
)  # fmt: skip
"""Title of each panel, and its lines: label, and where the number stands."""


def found(runs: Sequence[Mapping], place: Sequence[str]) -> tuple[list[float], list[float]]:
    """Hours and numbers of the runs that have one."""
    pairs = [(run["hours"], run[place[0]][place[1]]) for run in runs if run.get(place[0])]
    return [hours for hours, _ in pairs], [number for _, number in pairs]


def draw(results: Path, picture: Path) -> None:
    """Draw the newest results of each size.

    Args:
        results: The file of the benchmark.
        picture: Where to.
    """
    from matplotlib.figure import Figure

    newest = {round(run["hours"]): run for run in json.loads(results.read_text(encoding="utf-8"))}
    runs = [newest[hours] for hours in sorted(newest)]
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for label, place in lines:
            axes.plot(*found(runs, place), marker="o", label=label)
        axes.set(title=title, xlabel="hours of motion", xscale="log", xticks=list(newest), xticklabels=list(newest))
        axes.set_ylim(bottom=0)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(picture, dpi=80)
