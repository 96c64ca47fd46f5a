"""What an evaluation prints and writes: a table on screen, ``metrics.json``, ``metrics.md``, ``per_take.csv``."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from semtalk.evaluation.hearing import HEARD, OTHER
from semtalk.evaluation.known_answers import GOALS, reached
from semtalk.evaluation.protocol import Measured
from semtalk.evaluation.published import comparable
from semtalk.motion.io import atomic_write

SCALES = {"fgd": 1e-1, "bc": 1e-1, "div": 1.0, "mse": 1e-8, "lvd": 1e-5}
"""Published tables give a value divided by this."""
HEADINGS = {"fgd": "FGD x1e-1", "bc": "BC x1e-1", "div": "DIV", "mse": "MSE x1e-8", "lvd": "LVD x1e-5"}
EXTENDED_HEADINGS = {"jerk": "jerk m/s3", "skating": "skating m/s", "srgr": "SRGR"}
ROW_NAMES = {
    "fused": "SemTalk", "base": "base only", "method": "method", "truth": "ground truth", "mean": "mean pose",
    OTHER: "other sound",
}  # fmt: skip


def headings(result: dict) -> dict[str, str]:
    """Metrics of a result and their column titles."""
    extended = any("jerk" in values for values in result["metrics"].values())
    return HEADINGS | (EXTENDED_HEADINGS if extended else {})


def _cells(values: dict[str, float], names) -> list[str]:
    numbers = [(values.get(name, float("nan")), SCALES.get(name, 1.0)) for name in names]
    return ["-" if math.isnan(value) else f"{value / scale:.4g}" for value, scale in numbers]


def heard_lines(result: dict) -> list[list[str]]:
    """Table of what is heard, titles first: a line for each number, a column for each row. Empty if unasked."""
    rows = result.get("hearing", {})
    lines = [["what is heard", *(ROW_NAMES.get(row, row) for row in rows)]] if rows else []
    for name, text in HEARD.items() if rows else ():
        values = [values.get(name, math.nan) for values in rows.values()]
        if not all(map(math.isnan, values)):
            lines.append([text, *("-" if math.isnan(value) else f"{value:.3f}" for value in values)])
    return lines


def notes(result: dict) -> list[str]:
    """What a reader must know beside the numbers."""
    embedder = " ".join(filter(None, (result["embedder"]["source"], result["embedder"]["sha256"])))
    lines = [f"protocol {result['protocol']}; body: {result['body']}; FGD embedder: {embedder}"]
    lines.append(f"mean joint speed for BC: {result['mean_joint_speed']}")
    if result["stand_in"]:
        lines.append(
            "BC, DIV, MSE and LVD are of a STAND-IN body, not of SMPL-X: do not compare them with published tables."
        )
    lines += result["notes"]
    if result.get("gate"):
        lines.append("gate per code step: " + ", ".join(f"{name} {v:.3f}" for name, v in result["gate"].items()))
    if result.get("samples", {}).get("diversity") is not None:
        count, diversity = result["samples"]["count"], result["samples"]["diversity"]
        lines.append(f"diversity over {count} samples: {diversity:.4g} m, on the scale of DIV")
    if result["too_short"]:
        lines.append(f"left out as too short: {', '.join(result['too_short'])}")
    return lines


def print_result(result: dict, console: Console | None = None) -> None:
    """Print the tables of a result."""
    console = console or Console()
    mark = " (stand-in body)" if result["stand_in"] else ""
    title = f"{result['run']}, {result['split']} split, {result['takes']} takes{mark}"
    names = headings(result)
    table = Table("", *names.values(), title=title)
    for row, values in result["metrics"].items():
        table.add_row(ROW_NAMES.get(row, row), *_cells(values, names))
    published, source = comparable(result)
    for row, values in published.items():
        table.add_row(f"{row} [published]".replace("[", "\\["), *map(str, values))
    console.print(table)
    if heard := heard_lines(result):
        second = Table(*heard[0], title="What is heard")
        for line in heard[1:]:
            second.add_row(*line)
        console.print(second)
    if source:
        console.print(f"published: {source}", highlight=False)
    for line in notes(result):
        console.print(line, highlight=False)
    if result["known_answers"]:
        known = Table("known answer", "value", "goal", "", title="Known answers of the embedded corpus")
        for name, (text, side, goal) in GOALS.items():
            value = result["known_answers"][name]
            known.add_row(
                text, f"{value:.3f}", f"{side} {goal:g}", "reached" if reached(name, value) else "[red]missed[/red]"
            )
        console.print(known)


def markdown(result: dict) -> str:
    """The result as a markdown page."""
    lines = [f"# {result['run']}: {result['split']} split, {result['takes']} takes", ""]
    names = headings(result)
    lines += ["| | " + " | ".join(names.values()) + " |", "| --- " * (1 + len(names)) + "|"]
    for row, values in result["metrics"].items():
        lines.append(f"| {ROW_NAMES.get(row, row)} | " + " | ".join(_cells(values, names)) + " |")
    published, source = comparable(result)
    for row, values in published.items():
        lines.append(f"| {row} (published) | " + " | ".join(map(str, values)) + " |")
    if heard := heard_lines(result):
        titles, *rest = (f"| {' | '.join(line)} |" for line in heard)
        lines += ["", titles, "| --- " * len(heard[0]) + "|", *rest]
    lines += ["", *(f"- {line}" for line in [*notes(result), *([f"published: {source}"] if source else [])])]
    if result["known_answers"]:
        lines += ["", "| known answer | value | goal |", "| --- | --- | --- |"]
        for name, (text, side, goal) in GOALS.items():
            lines.append(f"| {text} | {result['known_answers'][name]:.3f} | {side} {goal:g} |")
    return "\n".join(lines) + "\n"


def write_result(result: dict, measured: Measured, folder: Path) -> list[Path]:
    """Write ``metrics.json``, ``metrics.md``, ``per_take.csv`` and the FGD features; returns their paths."""
    per_take = measured.per_take
    rows = io.StringIO(newline="")
    writer = csv.DictWriter(rows, fieldnames=list(per_take[0]))
    writer.writeheader()
    writer.writerows(per_take)
    texts = {
        "metrics.json": json.dumps(result, indent=2), "metrics.md": markdown(result), "per_take.csv": rows.getvalue(),
    }  # fmt: skip
    for name, text in texts.items():
        atomic_write(folder / name, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
    if measured.features:
        arrays = {row: np.concatenate(rows) for row, rows in measured.features.items()}
        arrays["lengths"] = np.array([len(rows) for rows in measured.features["truth"]])
        atomic_write(folder / "features.npz", lambda temporary: np.savez(temporary, **arrays))
    return [folder / name for name in texts]


def print_comparison(comparison: dict, folder: Path) -> None:
    """Print a comparison of runs, and write it as ``compare.json`` and ``compare.md``."""
    metrics = list(next(iter(comparison["runs"].values())))
    titles = [(HEADINGS | EXTENDED_HEADINGS)[metric] for metric in metrics]
    mark = ", stand-in body" if comparison["stand_in"] else ""
    title = f"{comparison['split']} split, {comparison['takes']} takes, protocol {comparison['protocol']}{mark}"
    table = Table("run", *titles, title=title)
    lines = [f"# {title}", "", "| run | " + " | ".join(titles) + " |", "| --- " * (1 + len(titles)) + "|"]
    for name, cells in comparison["runs"].items():
        texts = []
        for metric in metrics:
            cell, scale = cells[metric], SCALES.get(metric, 1.0)
            value, low, high = (cell[key] / scale for key in ("value", "low", "high"))
            texts.append(f"{value:.4g} ({low:.4g} to {high:.4g}){' *' if cell.get('differs') else ''}")
        table.add_row(name, *texts)
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    notes = [
        "in brackets: bootstrap 95% interval over takes; * differs significantly from the first (paired bootstrap)"
    ]
    console = Console()
    console.print(table)
    for line in notes + comparison["notes"]:
        console.print(line, highlight=False)
    lines += ["", *(f"- {line}" for line in notes + comparison["notes"])]
    texts = {"compare.json": json.dumps(comparison, indent=2), "compare.md": "\n".join(lines) + "\n"}
    for name, text in texts.items():
        atomic_write(folder / name, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
        print(folder / name)


def log_wandb(result: dict, video: Path | None, logger: dict, name: str, folder: Path) -> None:
    """Send the metrics table and the video to Weights & Biases.

    Args:
        result: What :func:`write_result` writes.
        video: Path of the mp4, or none.
        logger: Logger configuration with ``project``.
        name: Name of the run, which groups its phases.
        folder: Where wandb keeps its files.
    """
    import wandb

    table = wandb.Table(columns=["row", *HEADINGS.values()])
    for row, values in result["metrics"].items():
        table.add_data(ROW_NAMES.get(row, row), *(values[key] / scale for key, scale in SCALES.items()))
    split = result["split"]
    run = wandb.init(
        project=logger["project"], group=name, name=f"{name}-eval-{split}", dir=folder, config=result["config"]
    )
    run.log({f"{split}/metrics": table})
    run.log(
        {f"{split}/{row}/{key}": value for row, values in result["metrics"].items() for key, value in values.items()}
    )
    if video is not None:
        run.log({f"{split}/video": wandb.Video(str(video), format="mp4")})
    run.finish()
