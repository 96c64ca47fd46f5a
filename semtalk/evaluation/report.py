"""What an evaluation prints and writes: a table on screen, ``metrics.json``, ``metrics.md``, ``per_take.csv``."""

import csv
import io
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from semtalk.evaluation.known_answers import GOALS, reached
from semtalk.motion.io import atomic_write

SCALES = {"fgd": 1e-1, "bc": 1e-1, "div": 1.0, "mse": 1e-8, "lvd": 1e-5}
"""Published tables give a value divided by this."""
HEADINGS = {"fgd": "FGD x1e-1", "bc": "BC x1e-1", "div": "DIV", "mse": "MSE x1e-8", "lvd": "LVD x1e-5"}
ROW_NAMES = {"fused": "SemTalk", "base": "base only", "truth": "ground truth"}


def _cells(values: dict[str, float]) -> list[str]:
    return [f"{values[name] / scale:.4g}" for name, scale in SCALES.items()]


def notes(result: dict) -> list[str]:
    """What a reader must know beside the numbers."""
    lines = [f"protocol {result['protocol']}; body: {result['body']}; FGD embedder: {result['embedder']}"]
    if result["stand_in"]:
        lines.append(
            "BC, DIV, MSE and LVD are of a STAND-IN body, not of SMPL-X: do not compare them with published tables."
        )
    lines += result.get("notes", [])
    if result["too_short"]:
        lines.append(f"left out as too short: {', '.join(result['too_short'])}")
    return lines


def print_result(result: dict, console: Console | None = None) -> None:
    """Print the tables of a result."""
    console = console or Console()
    mark = " (stand-in body)" if result["stand_in"] else ""
    title = f"{result['run']}, {result['split']} split, {result['takes']} takes{mark}"
    table = Table("", *HEADINGS.values(), title=title)
    for row, values in result["metrics"].items():
        table.add_row(ROW_NAMES.get(row, row), *_cells(values))
    console.print(table)
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
    lines += ["| | " + " | ".join(HEADINGS.values()) + " |", "| --- " * (1 + len(HEADINGS)) + "|"]
    for row, values in result["metrics"].items():
        lines.append(f"| {ROW_NAMES.get(row, row)} | " + " | ".join(_cells(values)) + " |")
    lines += ["", *(f"- {line}" for line in notes(result))]
    if result["known_answers"]:
        lines += ["", "| known answer | value | goal |", "| --- | --- | --- |"]
        for name, (text, side, goal) in GOALS.items():
            lines.append(f"| {text} | {result['known_answers'][name]:.3f} | {side} {goal:g} |")
    return "\n".join(lines) + "\n"


def write_result(result: dict, per_take: list[dict], folder: Path) -> list[Path]:
    """Write ``metrics.json``, ``metrics.md`` and ``per_take.csv``; returns their paths."""
    rows = io.StringIO(newline="")
    writer = csv.DictWriter(rows, fieldnames=list(per_take[0]))
    writer.writeheader()
    writer.writerows(per_take)
    texts = {
        "metrics.json": json.dumps(result, indent=2), "metrics.md": markdown(result), "per_take.csv": rows.getvalue(),
    }  # fmt: skip
    for name, text in texts.items():
        atomic_write(folder / name, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
    return [folder / name for name in texts]


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
