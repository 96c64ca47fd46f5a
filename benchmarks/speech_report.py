"""What the real-speech benchmark shows: numbers over seeds, targets reached or not, training curves."""

import csv
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.common import console
from semtalk.evaluation.hearing import HEARD
from semtalk.evaluation.metrics import METRICS
from semtalk.evaluation.report import ROW_NAMES

Numbers = dict[str, dict[str, float]]
"""Row -> name -> value."""

TITLES = {"ridge": "ridge", "nearest": "nearest window"} | ROW_NAMES
ROWS = ("fused", "base", "ridge", "nearest", "mean", "truth", "other")
TEXTS = {
    **HEARD, "expressions_share": "expressions: squared error / mean pose's",
    "upper_share": "upper body: rotation error / mean pose's", "hands_share": "hands: rotation error / mean pose's",
    **{name: METRICS[name].title for name in ("fgd", "div", "bc")},
}  # fmt: skip
"""Name of each number -> what it is."""
LIVELY = (0.75, 1.25)
INF = math.inf
OFFLINE_TARGETS = {
    "jaw correlation above ridge's": ("jaw_r", "ridge", (0.15, INF)),
    "jaw amplitude": ("jaw_amplitude", None, LIVELY),
    "expression correlation above ridge's": ("expressions_r", "ridge", (0.07, INF)),
    "expression amplitude": ("expressions_amplitude", None, LIVELY),
    "expression error / mean pose's": ("expressions_share", None, (0, 0.92)),
    "jaw error, own / other sound": ("own_other", None, (0, 0.5)),
    "upper body's rotation error / mean pose's": ("upper_share", None, (0, 1.3)),
    "hands' rotation error / mean pose's": ("hands_share", None, (0, 1.3)),
    "DIV / truth's": ("div_share", None, (0.8, 1.2)),
    "mean joint speed / truth's": ("speed", None, LIVELY),
    "mean joint acceleration / truth's": ("acceleration", None, (0.6, 1.3)),
    "BC / truth's": ("bc_share", None, (0.85, 1.15)),
}
"""What it is -> name of the number, row whose number is taken away, range; the list for features=offline."""
ENCODER_TARGETS = {
    "jaw correlation above offline's": ("jaw_r", "offline", (0.04, INF)),
    "expression correlation above offline's": ("expressions_r", "offline", (0.04, INF)),
}
"""The list for features of a speech encoder; ``offline`` is the fused row of the last recorded run with these."""


def mean_of(seeds: Sequence[Numbers]) -> Numbers:
    """Mean of every number over seeds."""
    return {
        row: {name: statistics.fmean(numbers[row][name] for numbers in seeds) for name in values}
        for row, values in seeds[0].items()
    }


def cell(values: Sequence[float]) -> str:
    """Mean of a number over seeds, and its deviation where it differs."""
    if any(math.isnan(value) for value in values):
        return "-"
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    mean = statistics.fmean(values)
    form = ".3f" if abs(mean) >= 0.01 or not mean else ".2g"
    return f"{mean:{form}} ± {spread:{form}}" if spread > 1e-9 else f"{mean:{form}}"


def print_numbers(seeds: Sequence[Numbers], title: str) -> None:
    """A line for each number, a column for each row; the deviation over seeds behind the mean."""
    table = Table("", *(TITLES[row] for row in ROWS), title=title)
    for name, text in TEXTS.items():
        cells = [cell([numbers[row].get(name, math.nan) for numbers in seeds]) for row in ROWS]
        table.add_row(text, *cells)
    console.print(table)


def last_offline(facts: Mapping, path: Path) -> dict[str, float]:
    """Means of SemTalk in the last recorded run with offline features on the same corpus and split, or nothing."""
    runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    wanted = {"features": "offline", **{key: facts[key] for key in ("corpus", "split")}}
    found = [run["mean"]["fused"] for run in runs if all(run[key] == value for key, value in wanted.items())]
    return found[-1] if found else {}


def reached_targets(means: Numbers, facts: Mapping, path: Path) -> dict[str, dict]:
    """Each target's value, range, and whether it is reached.

    Args:
        means: Over seeds.
        facts: ``features``, ``corpus``, ``split``.
        path: Of the recorded runs.
    """
    offline = facts["features"] == "offline"
    rows = means if offline else {**means, "offline": last_offline(facts, path)}
    targets = {}
    for text, (name, beside, (low, high)) in (OFFLINE_TARGETS if offline else ENCODER_TARGETS).items():
        value = means["fused"][name] - (rows[beside].get(name, math.nan) if beside else 0.0)
        targets[text] = {"value": value, "low": low, "high": high if high < INF else None}
        targets[text]["reached"] = low <= value <= high
    return targets


def print_targets(targets: Mapping[str, Mapping]) -> None:
    """Each target beside its value."""
    table = Table("target", "value", "wanted", "", title="Targets")
    for text, target in targets.items():
        low, high, value = (target[key] for key in ("low", "high", "value"))
        wanted = f"at least {low:g}" if high is None else f"{low:g} to {high:g}" if low else f"at most {high:g}"
        said = "reached" if target["reached"] else "[red]missed[/red]"
        table.add_row(text, "-" if math.isnan(value) else f"{value:.3f}", wanted, said)
    console.print(table)


def curve(log: Path, name: str) -> tuple[list[int], list[float]]:
    """Steps and values of a column of a training log."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get(name)]
    return [int(row["step"]) for row in rows], [float(row[name]) for row in rows]


def draw_curves(logs: Sequence[Path], path: Path) -> None:
    """Training and validation loss over the steps, a line for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("train/loss", "C7"), ("val/loss", "C0")):
        for index, log in enumerate(logs):
            axes.plot(*curve(log, name), colour, linewidth=1, label=None if index else name)
    axes.set(xlabel="step", ylabel="loss", title=f"Base network, {len(logs)} seeds")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
