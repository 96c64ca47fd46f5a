"""A study's report: what votes say as json, tables, a page and a figure."""

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.files import atomic_write, write_json
from semtalk.log import LOG
from semtalk.study import analysis
from semtalk.study.hemvip import TABLE, read_export, read_table, vote_row, write_table
from semtalk.study.plan import Study
from semtalk.study.questions import QUESTIONS, SUFFIX
from semtalk.study.store import Store
from semtalk.study.votes import Rater, Vote, counted, excluded


def read_votes(path: Path) -> tuple[list[Rater], list[Vote]]:
    """Raters and votes of a study's folder, of HEMVIP2's export (json), or of a table of votes (csv).

    Raises:
        SemTalkError: There is none, or it is damaged.
    """
    if path.is_dir():
        store = Store(path, Study.read(path))
        return store.raters(), store.votes()
    if not path.is_file() or path.suffix not in (".json", ".csv"):
        raise SemTalkError(f"report={path}: give a study's folder, or a json or csv file of votes.")
    return read_export(path) if path.suffix == ".json" else read_table(path)


def analysed(raters: list[Rater], votes: list[Vote], resamples: int = analysis.RESAMPLES) -> dict[str, Any]:
    """What ``report.json`` holds.

    Raises:
        SemTalkError: No vote counts.
    """
    left_out = excluded(raters)
    kept = counted(votes, left_out)
    if not kept:
        said = (
            f"none of {len(raters)} raters finished and passed the attention checks" if raters else "nobody took part"
        )
        raise SemTalkError(f"there is nothing to report: {said}.")
    questions = {}
    for name in QUESTIONS:
        if own := [vote for vote in kept if vote.question == name]:
            questions[name] = _matched(own, resamples) if QUESTIONS[name].mismatched else _pairwise(own, resamples)
    return {
        "raters": len(raters), "counted": len({vote.rater for vote in kept}), "excluded": left_out,
        "votes": len(kept), "resamples": resamples, "questions": questions,
    }  # fmt: skip


def _common(votes: list[Vote], systems: dict[str, dict]) -> dict[str, Any]:
    found = Counter((vote.winner, reason) for vote in votes if vote.winner for reason in vote.reasons)
    reasons: dict[str, dict[str, int]] = {}
    for (system, reason), count in found.most_common():
        reasons.setdefault(system, {})[reason] = count
    return {
        "votes": len(votes), "raters": len({vote.rater for vote in votes}), "systems": systems,
        "agreement": analysis.agreement(votes), "left": sum(vote.value > 0 for vote in votes) / len(votes),
        "equal": sum(vote.value == 0 for vote in votes) / len(votes), "reasons": reasons,
    }  # fmt: skip


def _shares(votes: list[Vote], system: str) -> dict[str, float]:
    own = [np.sign(vote.toward(system)) for vote in votes if system in (vote.left, vote.right)]
    counts = {"preferred": own.count(1), "equal": own.count(0), "lost": own.count(-1)}
    return {"comparisons": len(own)} | {key: count / len(own) for key, count in counts.items()}


def _pairwise(votes: list[Vote], resamples: int) -> dict[str, Any]:
    systems = sorted({system for vote in votes for system in (vote.left, vote.right)})
    rows = analysis.scores(votes, systems, resamples)
    ranked = sorted(systems, key=lambda name: -(rows[name]["elo"] or 0))
    pairs = []
    for first, second in combinations(ranked, 2):
        if any({vote.left, vote.right} == {first, second} for vote in votes):
            pairs.append({"systems": [first, second], **analysis.pair_shares(votes, first, second, resamples)})
    found = _common(votes, {name: rows[name] | _shares(votes, name) for name in ranked})
    return found | {"pairs": pairs, "note": analysis.no_maximum(analysis.wins(votes, systems), systems)}


def _matched(votes: list[Vote], resamples: int) -> dict[str, Any]:
    systems = sorted({vote.matched for vote in votes})
    rows = analysis.matched_scores(votes, systems, resamples)
    ranked = sorted(systems, key=lambda name: -rows[name]["matched"])
    pairs = [
        {"systems": [name, name + SUFFIX], **analysis.pair_shares(votes, name, name + SUFFIX, resamples)}
        for name in ranked
    ]
    return _common(votes, {name: rows[name] | _shares(votes, name) for name in ranked}) | {"pairs": pairs, "note": None}


def _span(row: dict[str, Any], scale: float, digits: int) -> str:
    value = next(row[key] for key in ("elo", "matched", "preferred") if key in row)
    if value is None:
        return "-"
    around = "" if row["low"] is None else f" [{scale * row['low']:.{digits}f}, {scale * row['high']:.{digits}f}]"
    return f"{scale * value:.{digits}f}{around}"


def page(result: dict[str, Any]) -> str:
    """``report.md``."""
    lines = [
        "# Report of the study", "",
        f"{result['votes']} votes of {result['counted']} raters count, of {result['raters']} who took part. Intervals "
        f"are 95%: {result['resamples']} resamples of the raters.", "",
    ]  # fmt: skip
    for name, found in result["questions"].items():
        matched = QUESTIONS[name].mismatched
        lines += [f"## {name}: {QUESTIONS[name].text}", "", f"{found['votes']} votes of {found['raters']} raters."]
        if found["note"]:
            lines += [f"No scores: {found['note']}"]
        alpha = found["agreement"]
        said = "no two raters saw the same pair, or all said the same" if alpha is None else f"{alpha:.3f}"
        lines += [
            f"Agreement of raters (Krippendorff's alpha, ordinal): {said}. Left was preferred in {found['left']:.1%}; "
            f"equal were {found['equal']:.1%}.", "",
            f"| system | {'own speech preferred, %' if matched else 'Elo'} | preferred | equal | not preferred | "
            "comparisons |",
            "| --- | --- | --- | --- | --- | --- |",
        ]  # fmt: skip
        for system, row in found["systems"].items():
            shares = " | ".join(f"{row[key]:.1%}" for key in ("preferred", "equal", "lost"))
            own = {key: row[key] for key in ("elo", "matched", "low", "high") if key in row}
            span = _span(own, 100.0 if matched else 1.0, 1 if matched else 0)
            lines.append(f"| {system} | {span} | {shares} | {row['comparisons']} |")
        lines += ["", "| pair | first preferred | equal | second preferred | first, ties halved, % | comparisons |",
                  "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        for pair in found["pairs"]:
            shares = " | ".join(f"{pair[key]:.1%}" for key in ("first", "equal", "second"))
            lines.append(
                f"| {' : '.join(pair['systems'])} | {shares} | {_span(pair, 100.0, 1)} | {pair['comparisons']} |"
            )
        lines.append("")
        for system, reasons in found["reasons"].items():
            lines.append(f"Why {system}: {', '.join(f'{reason} {count}' for reason, count in reasons.items())}.  ")
        lines.append("")
    lines += ["## Raters whose votes do not count", ""]
    lines += [f"- {rater}: {reason}" for rater, reason in result["excluded"].items()] or ["None."]
    return "\n".join([*lines, ""])


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw ``report.png``: of each question the scores with their intervals, and below them the share of each pair."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    questions = result["questions"]
    tall = max(max(len(found["systems"]), len(found["pairs"])) for found in questions.values())
    figure = Figure(figsize=(5.2 * len(questions), 2.4 + 0.75 * tall), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(questions), squeeze=False)
    for (name, found), above, below in zip(questions.items(), *panels, strict=True):
        matched = QUESTIONS[name].mismatched
        key, scale, middle = ("matched", 100.0, 50.0) if matched else ("elo", 1.0, analysis.CENTRE)
        for place, row in enumerate(found["systems"].values()):
            if row[key] is not None:
                above.plot(scale * row[key], place, "o", color=f"C{place % 10}")
            if row["low"] is not None:
                above.plot([scale * row["low"], scale * row["high"]], [place, place], color=f"C{place % 10}")
        above.axvline(middle, color="black", linestyle="--", linewidth=1)
        above.set_yticks(range(len(found["systems"])), found["systems"])
        above.set_ylim(len(found["systems"]) - 0.5, -0.5)
        above.set_title(f"{name}: {'own speech preferred, %' if matched else 'Elo'}")
        for place, pair in enumerate(found["pairs"]):
            left = 0.0
            for share, colour in zip(("first", "equal", "second"), ("#b3541e", "#d9d4cb", "#5b7a99"), strict=True):
                below.barh(place, 100 * pair[share], left=left, color=colour)
                left += 100 * pair[share]
        names = [
            " : ".join(one.replace(SUFFIX, ", other speech") for one in pair["systems"]) for pair in found["pairs"]
        ]
        below.set_yticks(range(len(names)), names)
        below.set_ylim(len(names) - 0.5, -0.5)
        below.set_xlim(0, 100)
        below.set_xlabel("% of comparisons: first preferred, equal, second preferred")
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=130))


def write_report(path: Path, resamples: int = analysis.RESAMPLES) -> Path:
    """Write the report of a study, or of a file of votes, and print its page.

    Returns:
        The folder: ``report`` in the study's, or beside the file, named after it.
    """
    raters, votes = read_votes(path)
    result = analysed(raters, votes, resamples)
    folder = path / "report" if path.is_dir() else path.with_name(f"{path.stem}_report")
    write_json(folder / "report.json", result)
    text = page(result)
    atomic_write(folder / "report.md", lambda temporary: temporary.write_text(text, encoding="utf-8"))
    draw(result, folder / "report.png")
    scores, pairs = [], []
    for name, found in result["questions"].items():
        for system, row in found["systems"].items():
            measure = "matched" if "matched" in row else "elo"
            keys = (measure, "low", "high", "preferred", "equal", "lost", "comparisons")
            scores.append([name, system, measure, *(row[key] for key in keys)])
        keys = ("first", "equal", "second", "preferred", "low", "high", "comparisons")
        pairs += [[name, *pair["systems"], *(pair[key] for key in keys)] for pair in found["pairs"]]
    write_table(folder / "scores.csv", SCORES, scores)
    write_table(folder / "pairs.csv", PAIRS, pairs)
    of_each = Counter(vote.rater for vote in votes)
    rows = [
        (one.name, one.status, of_each[one.name], one.failed, one.checks, result["excluded"].get(one.name, ""))
        for one in raters
    ]
    write_table(folder / "raters.csv", RATERS, rows)
    write_table(folder / "votes.csv", TABLE, map(vote_row, votes))
    LOG.info(text)
    return folder


SCORES = ("question", "system", "measure", "value", "low", "high", "preferred", "equal", "lost", "comparisons")
PAIRS = (
    "question", "first", "second", "first preferred", "equal", "second preferred", "preferred", "low", "high",
    "comparisons",
)  # fmt: skip
RATERS = ("rater", "status", "votes", "failed", "checks", "excluded")
"""Columns of the report's tables."""
