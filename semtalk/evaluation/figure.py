"""A comparison as one figure: methods by metric, with their intervals."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from semtalk.files import atomic_write

ACROSS = 3
"""Metrics side by side."""


def draw_comparison(comparison: Mapping, titles: Mapping[str, str], scales: Mapping[str, float], path: Path) -> Path:
    """Draw a comparison: a panel for each metric, in it a point for each run with its 95% interval.

    A dashed line is the truth where the best value is the truth's.

    Args:
        comparison: Of :func:`semtalk.evaluation.comparison.compare`.
        titles: Metric -> title.
        scales: Metric -> what its values are divided by.
        path: Of the png.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    runs = comparison["runs"]
    across = min(ACROSS, len(titles))
    down = -(-len(titles) // across)
    figure = Figure(figsize=(3 * across + 2, down * (1.1 + 0.35 * len(runs))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False, sharey=True)
    for panel, (metric, title) in zip(panels.flat, titles.items(), strict=False):
        for place, cells in enumerate(runs.values()):
            value, low, high = (cells[metric][key] / scales[metric] for key in ("value", "low", "high"))
            panel.plot([low, high], [place, place], color=f"C{place % 10}", linewidth=2)
            panel.plot([value], [place], "o", color=f"C{place % 10}")
        truth = next(iter(runs.values()))[metric].get("truth")
        if truth is not None:
            panel.axvline(truth / scales[metric], color="black", linestyle="--", linewidth=1)
        panel.grid(axis="x", alpha=0.3)
        panel.set_title(title)
        panel.margins(x=0.1)
    panels[0, 0].set_yticks(range(len(runs)), short_names(runs))
    panels[0, 0].set_ylim(len(runs) - 0.5, -0.5)
    for panel in panels.flat[len(titles) :]:
        panel.remove()
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=150))
    return path


def short_names(runs: Iterable[str]) -> list[str]:
    """Names of runs without the folder that they all lie in."""
    paths = [os.path.abspath(run) for run in runs]
    common = os.path.commonpath(map(os.path.dirname, paths))
    return [os.path.relpath(path, common) for path in paths]
