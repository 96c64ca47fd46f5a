"""Tables of a result and of a comparison: built once, and shown on screen or as markdown."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from semtalk.environment import write_environment
from semtalk.evaluation.alignment import RECALLS, SHIFTED
from semtalk.evaluation.figure import draw_comparison
from semtalk.evaluation.hearing import HEARD, OTHER
from semtalk.evaluation.known_answers import GOALS, reached
from semtalk.evaluation.metrics import known_metric
from semtalk.evaluation.protocol import PROTOCOLS
from semtalk.evaluation.published_rows import comparable
from semtalk.evaluation.result import Result, write_texts
from semtalk.log import LOG

ROW_NAMES = {
    "fused": "SemTalk", "base": "base only", "method": "method", "truth": "ground truth", "mean": "mean pose",
    OTHER: "other sound", SHIFTED: "shifted truth",
}  # fmt: skip
MISSED = "missed"
FROM_TRUTH = re.compile(r" \([+-][^)]*\)$")
"""At the end of a cell: how far its value lies from the truth's."""
COMPARED = ("value", "95% interval", "differs")
SEEDS = "over seeds"


class Lines(NamedTuple):
    """A table: its title, the titles of its columns, its rows, and the columns whose cells stay on one line."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    whole: tuple[str, ...] = ()

    def rich(self) -> Table:
        """For the screen; what does not fit goes on below."""
        columns = (Column(escape(name), no_wrap=name in self.whole, overflow="fold") for name in self.columns)
        table = Table(*columns, title=escape(self.title))
        for row in self.rows:
            table.add_row(*(f"[red]{cell}[/red]" if cell == MISSED else escape(cell) for cell in row))
        return table

    def markdown(self) -> list[str]:
        """As lines of markdown."""
        rows = [self.columns, ["---"] * len(self.columns), *self.rows]
        return ["", *(f"| {' | '.join(row)} |" for row in rows)]

    def csv(self) -> str:
        """As comma-separated values; numbers alone, without how far they lie from the truth."""
        out = io.StringIO(newline="")
        rows = ([FROM_TRUTH.sub("", cell) for cell in row] for row in self.rows)
        csv.writer(out).writerows([self.columns, *rows])
        return out.getvalue()

    def latex(self) -> str:
        """As a LaTeX tabular with the lines of booktabs."""
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.columns, *self.rows)]
        head = [f"% {self.title}", r"\begin{tabular}{l" + "r" * (len(self.columns) - 1) + "}", r"\toprule"]
        return "\n".join([*head, lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", ""])


def _latex(text: str) -> str:
    for letter in "\\&%$#_{}":
        text = text.replace(letter, r"\textbackslash " if letter == "\\" else "\\" + letter)
    return text


def _shown(value: float, divisor: float = 1.0, digits: str = ".4g") -> str:
    return "-" if math.isnan(value) else f"{value / divisor:{digits}}"


def _from_truth(value: float, truth: float, divisor: float) -> str:
    """How far a value lies from the truth's; nothing where it is not a number."""
    return "" if math.isnan(value - truth) else f"{(value - truth) / divisor:+.2g}"


def metrics_table(result: Result) -> Lines:
    """Rows and metrics, with the rows of published tables where they may stand beside."""
    names = list(result.headings) or list(dict.fromkeys(name for row in result.metrics.values() for name in row))
    known = {name: known_metric(name, result.protocol) for name in names}
    titles = {name: result.headings.get(name, metric.heading) for name, metric in known.items()}
    scales = {name: result.scales.get(name, metric.scale) for name, metric in known.items()}
    truth = result.metrics.get("truth", {})

    def cells(values: dict[str, float], row: str) -> list[str]:
        shown = []
        for name in names:
            value = values.get(name, math.nan)
            gap = _from_truth(value, truth.get(name, math.nan), scales[name]) if row != "truth" else ""
            shown.append(_shown(value, scales[name]) + (f" ({gap})" if known[name].near_truth and gap else ""))
        return shown

    rows = [[ROW_NAMES.get(row, row), *cells(values, row)] for row, values in result.metrics.items()]
    rows += [[f"{row.method} [published]", *cells(row.raw(), "published")] for row in comparable(result)]
    mark = " (stand-in body)" if result.stand_in else ""
    return Lines(f"{result.run}, {result.split} split, {result.takes} takes{mark}", ["", *titles.values()], rows)


def hearing_lines(result: Result) -> Lines | None:
    """What is heard: a line for each number, a column for each row; none if it was not asked for."""
    if not result.hearing:
        return None
    rows = []
    for name, text in HEARD.items():
        values = [values.get(name, math.nan) for values in result.hearing.values()]
        if not all(map(math.isnan, values)):
            rows.append([text, *(_shown(value, digits=".3f") for value in values)])
    return Lines("What is heard", ["what is heard", *(ROW_NAMES.get(row, row) for row in result.hearing)], rows)


def alignment_lines(result: Result) -> Lines | None:
    """How often the motion of each row fits its own sound, a column for each; none without a scorer."""
    if not result.alignment:
        return None
    found = result.alignment
    rows = list(found["rows"].values())
    lines = [["segments that fit their own sound better than another's", *(f"{row['share']:.1%}" for row in rows)]]
    if found["takes"] > 1:
        lines.append(["95% interval, over takes", *(f"{row['low']:.1%} to {row['high']:.1%}" for row in rows)])
    for k in RECALLS if found["gestures"] else ():
        shares = [f"{row[f'recall_{k}']:.1%}" for row in rows]
        lines.append([f"sound of labelled words to gesture, recall at {k}", *shares])
    columns = ["alignment", *(ROW_NAMES.get(row, row) for row in found["rows"])]
    title = (
        f"Alignment: {found['segments']} segments of {found['seconds']:.1f} s, {found['gestures']} labelled gestures"
    )
    return Lines(title, columns, lines)


def known_lines(result: Result) -> Lines | None:
    """Known answers of the embedded corpus and whether they are reached; none for other corpora."""
    if not result.known_answers:
        return None
    rows = []
    for name, (text, side, goal) in GOALS.items():
        value = result.known_answers[name]
        rows.append([text, f"{value:.3f}", f"{side} {goal:g}", "reached" if reached(name, value) else MISSED])
    return Lines("Known answers of the embedded corpus", ["known answer", "value", "goal", ""], rows)


def notes(result: Result) -> list[str]:
    """What a reader must know beside the numbers."""
    lines = [f"protocol {result.protocol}; body: {result.body}; FGD embedder: {result.embedder_said}"]
    rules = PROTOCOLS.get(result.protocol)
    if rules is not None and rules.said:
        lines.append(rules.said)
    if rules is None or rules.suite in (None, "genea"):
        lines.append(f"mean joint speed for BC: {result.mean_joint_speed}")
    if result.stand_in:
        lines.append(
            "Joints and vertices are a STAND-IN body's, not SMPL-X's: do not compare what is measured on them with "
            "published tables."
        )
    lines += result.notes
    if result.alignment:
        scorer, chance = result.alignment["scorer"], result.alignment.get("chance", {})
        by_chance = "".join(f", {chance[f'recall_{k}']:.1%} for recall at {k}" for k in RECALLS if chance)
        lines.append(f"alignment: scorer {scorer['run']} {scorer['sha256']}; by chance 50%{by_chance}")
    if result.gate:
        lines.append("gate per code step: " + ", ".join(f"{name} {v:.3f}" for name, v in result.gate.items()))
    if rules is not None and rules.suite is not None:
        lines.append(f"samples of each take: {result.samples.get('count', 1)}")
    if result.samples.get("diversity") is not None:
        count, diversity = result.samples["count"], result.samples["diversity"]
        lines.append(f"diversity over {count} samples: {diversity:.4g} m, on the scale of DIV")
    if result.too_short:
        lines.append(f"left out as too short: {', '.join(result.too_short)}")
    if any(known_metric(name, result.protocol).near_truth for name in result.metrics.get("truth", {})):
        lines.append("in brackets: how far a value lies from the ground truth's, which is the best one")
    return [*lines, *(f"published, {row.method}: {row.source}" for row in comparable(result))]


def tables(result: Result) -> list[Lines]:
    """All tables of a result."""
    found = (metrics_table(result), hearing_lines(result), alignment_lines(result), known_lines(result))
    return [table for table in found if table]


def print_tables(found: Iterable[Lines], said: Iterable[str], console: Console | None = None) -> None:
    """Print tables, and notes below the first."""
    console = console or Console()
    first, *rest = found
    console.print(first.rich())
    for line in said:
        console.print(line, highlight=False, markup=False)
    for table in rest:
        console.print(table.rich())


def print_result(result: Result, console: Console | None = None) -> None:
    """Print the tables of a result."""
    print_tables(tables(result), notes(result), console)


def markdown(title: str, found: Iterable[Lines], said: Iterable[str]) -> str:
    """Tables and notes as a markdown page."""
    lines = [f"# {title}"]
    for table in found:
        lines += table.markdown()
    return "\n".join([*lines, "", *(f"- {line}" for line in said)]) + "\n"


def result_page(result: Result) -> str:
    """A result as a markdown page."""
    return markdown(f"{result.run}: {result.split} split, {result.takes} takes", tables(result), notes(result))


def result_pages(result: Result) -> dict[str, str]:
    """``metrics.md``, and its main table alone as ``metrics.csv`` and ``metrics.tex``: name of the file -> text."""
    table = metrics_table(result)
    return {"metrics.md": result_page(result), "metrics.csv": table.csv(), "metrics.tex": table.latex()}


def _over_seeds(cell: dict, divisor: float) -> str:
    """Deviation and range of a run's seeds; nothing where it has one."""
    if "seeds" not in cell:
        return ""
    low, high = (value / divisor for value in cell["range"])
    return f"± {cell['deviation'] / divisor:.2g} ({len(cell['seeds'])}: {low:.4g} to {high:.4g})"


def print_comparison(comparison: dict, folder: Path) -> None:
    """Print a comparison of runs, and write it as ``compare.json``, ``.md``, ``.csv``, ``.tex`` and ``.png``."""
    metrics = list(next(iter(comparison["runs"].values())))
    known = {metric: known_metric(metric, comparison["protocol"]) for metric in metrics}
    titles = {metric: comparison["headings"].get(metric, known[metric].heading) for metric in metrics}
    scales = {metric: comparison["scales"].get(metric, known[metric].scale) for metric in metrics}
    mark = ", stand-in body" if comparison["stand_in"] else ""
    named = f"{comparison['split']} split, {comparison['takes']} takes, protocol {comparison['protocol']}{mark}"
    seeds = any("seeds" in cells[metrics[0]] for cells in comparison["runs"].values()) if metrics else False
    shown = COMPARED + ((SEEDS,) if seeds else ())
    rows = []
    for metric in metrics:
        title = titles[metric]
        for name, cells in comparison["runs"].items():
            value, low, high = (_shown(cells[metric][key], scales[metric]) for key in ("value", "low", "high"))
            gap = _from_truth(cells[metric]["value"], cells[metric].get("truth", math.nan), scales[metric])
            place = f"; {cells[metric]['rank']}." if "rank" in cells[metric] else ""
            value += f" ({gap}{place})" if gap else ""
            row = [
                title,
                name,
                value,
                "-" if low == "-" else f"{low} to {high}",
                "*" if cells[metric].get("differs") else "",
            ]
            rows.append([*row, *([_over_seeds(cells[metric], scales[metric])] if seeds else [])])
            title = ""
    whole = ("metric", *COMPARED[1:]) if seeds else COMPARED  # the seeds need the room of a value on 80 columns
    table = Lines(named, ["metric", "run", *shown], rows, whole)
    said = ["intervals: bootstrap over takes; * differs significantly from the first (paired bootstrap)"]
    if any("truth" in cell for cells in comparison["runs"].values() for cell in cells.values()):
        said.append(
            "in brackets: how far a value lies from the ground truth's, which is the best one, and its place by that"
        )
    if seeds:
        said.append(f"{SEEDS}: standard deviation, number and range of the seeds, whose mean is the value")
    said += comparison["notes"]
    print_tables([table], said)
    texts = {
        "compare.json": json.dumps(comparison, indent=2), "compare.md": markdown(named, [table], said),
        "compare.csv": table.csv(), "compare.tex": table.latex(),
    }  # fmt: skip
    paths = [*write_texts(folder, texts), draw_comparison(comparison, titles, scales, folder / "compare.png")]
    LOG.info("\n".join(map(str, paths)))
    write_environment(folder, "cpu")


def log_wandb(result: Result, video: Path | None, project: str | None, name: str, folder: Path) -> None:
    """Send the metrics table and the video to Weights & Biases.

    Args:
        result: Of the evaluation.
        video: Path of the mp4, or none.
        project: Of wandb.
        name: Name of the run, which groups its phases.
        folder: Where wandb keeps its files.
    """
    import wandb

    lines = metrics_table(result)
    split = result.split
    run = wandb.init(project=project, group=name, name=f"{name}-eval-{split}", dir=folder, config=result.config)
    run.log({f"{split}/metrics": wandb.Table(columns=["row", *lines.columns[1:]], data=lines.rows)})
    run.log({f"{split}/{row}/{key}": value for row, values in result.metrics.items() for key, value in values.items()})
    if video is not None:
        run.log({f"{split}/video": wandb.Video(str(video), format="mp4")})
    run.finish()
