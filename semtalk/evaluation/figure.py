"""A comparison as one figure: methods by metric, with their intervals."""

from collections.abc import Mapping
from pathlib import Path

from semtalk.files import atomic_write

ACROSS = 3
"""Metrics side by side."""


def draw_comparison(comparison: Mapping, titles: Mapping[str, str], scales: Mapping[str, float], path: Path) -> Path:
    """Draw a comparison: a panel for each metric, in it a bar for each run with its 95% interval.

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
    down = -(-len(titles) // ACROSS)
    figure = Figure(figsize=(4 * min(ACROSS, len(titles)), down * (1.1 + 0.45 * len(runs))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, min(ACROSS, len(titles)), squeeze=False).flat
    for panel, (metric, title) in zip(panels, titles.items(), strict=False):
        for place, (name, cells) in enumerate(runs.items()):
            value, low, high = (cells[metric][key] / scales[metric] for key in ("value", "low", "high"))
            panel.barh(place, value, color=f"C{place % 10}", alpha=0.6, label=name)
            panel.plot([low, high], [place, place], color="black", linewidth=1.5)
        truth = next(iter(runs.values()))[metric].get("truth")
        if truth is not None:
            panel.axvline(truth / scales[metric], color="black", linestyle="--", linewidth=1)
        panel.set_yticks(range(len(runs)), runs)
        panel.invert_yaxis()
        panel.set_title(title)
    for panel in list(figure.axes)[len(titles) :]:
        panel.remove()
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=150))
    return path
