"""Several evaluations in one table, with bootstrap intervals over takes."""

import csv
import glob
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.evaluation.metrics import Metric, known_metric, suite
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.result import WEIGHT, Result, again
from semtalk.files import checkpoint_facts, read_text
from semtalk.metrics.genea import ranks_by_closeness
from semtalk.places import called, checkpoint_path, runs_of_seeds
from semtalk.settings.commands import PHASE_NAMES
from semtalk.tasks.sizes import flat

REPEATS = 1000
FGD_REPEATS = 200
"""Resamples of the takes; a Frechet distance takes longer than a mean."""
MAIN_ROWS = ("fused", "method")
SAME = ("protocol", "split", "stand_in")


@dataclass
class Evaluation:
    """A written evaluation.

    Attributes:
        name: Of the run.
        result: What was found.
        row: Whose numbers are compared, one of :data:`MAIN_ROWS`.
        values: Metric -> value of each take, in the order of ``takes``.
        weights: Metric -> weight of each take in the metric's mean.
        takes: Names and frames of the takes.
        features: Metric that is of all takes together -> what each take of the run, and of the truth, adds to it.
    """

    name: str
    result: Result
    row: str
    values: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    takes: list[tuple[str, int]]
    features: dict[str, tuple[list[np.ndarray], list[np.ndarray]]]


def read_evaluation(path: str | Path, split: str) -> Evaluation:
    """Read what ``eval.py`` wrote into a run's ``eval/SPLIT``, or into the folder itself.

    Raises:
        SemTalkError: There is no evaluation, or a damaged one.
    """
    folder = Path(path)
    if not (folder / "metrics.json").is_file():
        folder = folder / "eval" / split
    if not (folder / "metrics.json").is_file():
        raise SemTalkError(
            f"compare: {path} holds no evaluation ({folder}/metrics.json); run `{called('eval')}` on it first."
        )
    result = Result.read(folder / "metrics.json")
    row = next((name for name in MAIN_ROWS if name in result.metrics), None)
    if row is None or "sha256" not in result.embedder:
        what = "embedder.sha256" if row else f"row {' or '.join(MAIN_ROWS)} in metrics"
        raise SemTalkError(f"{folder}/metrics.json: it has no {what}; it is damaged, or another file: {again()}.")
    takes, columns = read_takes(folder / "per_take.csv", row)
    frames = columns.pop("frames")
    values = {name: column for name, column in columns.items() if name in result.metrics[row]}
    weights = {name: columns.get(f"{name}{WEIGHT}", frames) for name in values}
    weights = {name: np.where(np.isnan(weight), frames, weight) for name, weight in weights.items()}
    kept = folder / "features.npz"
    together = [name for name in collective(result.protocol) if name in result.metrics[row]]
    features = {name: read_features(kept, name, row, len(takes)) for name in together if kept.is_file()}
    return Evaluation(str(path), result, row, values, weights, takes, features)


def read_takes(path: Path, row: str) -> tuple[list[tuple[str, int]], dict[str, np.ndarray]]:
    """Names and frames of the takes in ``per_take.csv``, and its columns of numbers, of one row.

    Raises:
        SemTalkError: It is missing or damaged, or has no take of the row.
    """
    if not path.is_file():
        raise SemTalkError(f"{path}: no such file, and a comparison draws from it; {again()}.")
    try:
        entries = [entry for entry in csv.DictReader(io.StringIO(read_text(path))) if entry["row"] == row]
        names = [name for name in (entries or [{}])[0] if name not in ("take", "row")]
        columns = {name: np.array([float(entry[name]) for entry in entries]) for name in names}
        takes = [(entry["take"], int(entry["frames"])) for entry in entries]
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise SemTalkError(f"{path}: not a table of takes with their numbers; it is damaged: {again()}.") from error
    if not takes:
        raise SemTalkError(f"{path}: it has no take of the row {row}; it is damaged: {again()}.")
    return takes, columns


def collective(protocol: str) -> dict[str, Metric]:
    """Name -> metric of a protocol that is of all takes together, and whose rows are written."""
    return {name: metric for name, metric in suite(protocol).items() if metric.adds and metric.kept}


def read_features(path: Path, metric: str, row: str, takes: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What each take adds to a metric in ``features.npz``, of a row and of the truth.

    Raises:
        SemTalkError: It is damaged, or of other takes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = [(file[f"{metric}/{one}"], file[f"{metric}/{one}/lengths"]) for one in (row, "truth")]
        widths = {rows.shape[1] for rows, _ in found}
        whole = all(lengths.shape == (takes,) and len(rows) == lengths.sum() for rows, lengths in found)
        if not whole or len(widths) > 1:
            raise ValueError("other takes")
    except Exception as error:  # what damaged bytes make of zip and numpy may be any
        raise SemTalkError(f"{path}: not the embedder's features of these takes; it is damaged: {again()}.") from error
    return tuple(np.split(rows, np.cumsum(lengths)[:-1]) for rows, lengths in found)


OF_SEEDS = ("seed", "seeds", "name", "suffix", "seed_in_name", "runs_dir", "resume")
"""What configurations of runs that differ by seed may differ in: their names and folders."""

TAKEN_OVER = ("init", "tokenizer", "embedder")
"""Of which it counts whether they are set, not to which run."""


def seeds_of(path: str, split: str) -> list[str]:
    """Runs that a name stands for: the run itself, all seeds of it (``NAME_seed0``, ...), or what a ``*`` stands for.

    Raises:
        SemTalkError: A ``*`` stands for nothing, or for runs that differ by more than their seed.
    """
    if "*" in path:
        found = sorted(map(Path, glob.glob(path)), key=_by_number)
        if not found:
            raise SemTalkError(f"compare: {path} stands for no folder.")
        refuse_other_settings(path, found)
        return list(map(str, found))
    if any((Path(path) / inner / "metrics.json").is_file() for inner in ("", f"eval/{split}")):
        return [path]
    found = runs_of_seeds(Path(path).parent, Path(path).name)
    refuse_other_settings(path, found)
    return list(map(str, found)) or [path]


def _by_number(path: Path) -> list:
    """Sorts names by the numbers in them."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]


def refuse_other_settings(path: str, runs: list[Path]) -> None:
    """See that runs differ by their seed alone, by what their checkpoints say; those without any say nothing.

    Raises:
        SemTalkError: They do not.
    """
    first: dict[str, dict[str, Any]] = {}
    for run in runs:
        for phase in PHASE_NAMES:
            kept = checkpoint_path(run, phase)
            if not kept.is_file() or kept.suffix != ".ckpt":
                continue
            stamped = checkpoint_facts(kept).get("semtalk")
            config = stamped.get("config", {}) if isinstance(stamped, dict) else {}
            own = dict(flat({key: value for key, value in config.items() if key not in (*OF_SEEDS, *TAKEN_OVER)}))
            own |= {key: "another run" if config.get(key) else None for key in TAKEN_OVER}
            known = first.setdefault(phase, own)
            if other := sorted(key for key in {*own, *known} if own.get(key) != known.get(key)):
                raise SemTalkError(
                    f"compare: {path} stands for runs that differ by more than their seed: {other[0]} is "
                    f"{known.get(other[0])} in {runs[0]} and {own.get(other[0])} in {run}; compare them one by one."
                )


def resampled(run: Evaluation, metric: str, draws: np.ndarray) -> np.ndarray:
    """Value of a metric for each draw (R, N) of takes."""
    if metric in run.features:
        rules, own_metric = find_protocol(run.result.protocol), collective(run.result.protocol)[metric]
        own, true = run.features[metric]
        drawn, place = np.unique(np.sort(draws[:FGD_REPEATS], axis=1), axis=0, return_inverse=True)
        found = [
            own_metric.over_takes(*([rows[i] for i in draw] for rows in (own, true)), rules)
            for draw in drawn  # of few takes there are few draws, in whatever order
        ]
        return np.array(found)[place.reshape(-1)]
    values, weights = run.values[metric], run.weights[metric]
    weights = np.where(np.isfinite(values), weights, 0)
    values = np.nan_to_num(values)
    total = weights[draws].sum(axis=1)
    return (values * weights)[draws].sum(axis=1) / np.where(total > 0, total, np.nan)


def compare(paths: list[str], split: str, seed: int = 0) -> dict:
    """Compare runs on the same takes.

    The intervals are percentiles over resamples of the takes; a difference from the first run is significant when the
    interval of the *paired* difference leaves out 0. Of a run with several seeds these are of the mean over the seeds,
    and beside them stands how far the seeds lie apart.

    Returns:
        ``runs``: name -> metric -> value, low, high; for all but the first whether it differs significantly; with
        several seeds the value of each and their standard deviation.

    Raises:
        SemTalkError: Fewer than two runs or seeds, or evaluations that cannot be compared.
    """
    names = {path: seeds_of(path, split) for path in paths}
    if sum(len(names[path]) for path in paths) < 2:
        raise SemTalkError("compare: give two runs or more, as in compare=[runs/A,runs/B], or one with several seeds.")
    groups = {path: [read_evaluation(one, split) for one in seeds] for path, seeds in names.items()}
    runs = [run for group in groups.values() for run in group]
    first = runs[0]
    for run in runs[1:]:
        refuse_incomparable(run, first)
    embedders = {run.result.embedder["sha256"] for run in runs}
    together = collective(first.result.protocol)
    lacking = [
        run.name for run in runs if any(together[name].embedded and name not in run.features for name in together)
    ]
    same_embedder = len(embedders) == 1 and not lacking
    several = len(first.takes) > 1  # one take has no spread
    draws = np.random.default_rng(seed).integers(0, len(first.takes), (REPEATS if several else 0, len(first.takes)))
    metrics = [
        name
        for name in first.result.metrics[first.row]
        if all(name in run.features for run in runs) and (same_embedder or not together[name].embedded)
        or name not in together and all(name in run.values for run in runs)
    ]  # fmt: skip
    table: dict[str, dict] = {name: {} for name in groups}
    for metric in metrics:
        samples = {
            name: sum(resampled(run, metric, draws) for run in group) / len(group) for name, group in groups.items()
        }
        for name, group in groups.items():
            values = [run.result.metrics[run.row][metric] for run in group]
            cell = {"value": float(np.mean(values)), **interval(samples[name])}
            if len(group) > 1:
                seeds = {run.name: value for run, value in zip(group, values, strict=True)}
                cell |= {
                    "seeds": seeds,
                    "deviation": float(np.std(values, ddof=1)),
                    "range": [min(values), max(values)],
                }
            truth = first.result.metrics.get("truth", {}).get(metric)
            if truth is not None and known_metric(metric, first.result.protocol).near_truth:
                cell["truth"] = truth
            if name != paths[0]:
                gap = interval(samples[name] - samples[paths[0]])
                cell["differs"] = bool(gap["low"] > 0 or gap["high"] < 0)
            table[name][metric] = cell
    notes = [] if several else ["one take alone has no interval, and of it nothing can be said to differ"]
    if not same_embedder and any(metric.embedded for metric in together.values()):
        why = (
            f"{', '.join(lacking)} was measured without"
            if lacking
            else "the runs were measured with different embedders"
        )
        notes.append(
            f"FGD is left out: {why}; measure each with one embedder, as in `{called('eval')} ckpt=RUN "
            f"embedder={first.name}`"
        )
    counts = {run.name: run.result.samples.get("count", 1) for run in runs}
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name} {count}" for name, count in counts.items())
        notes.append(f"samples of a take: {each}; what is measured over samples depends on how many there are")
    for metric in metrics:
        cells = {name: table[name][metric] for name in table}
        truths = [cell["truth"] for cell in cells.values() if "truth" in cell]
        if truths and len(cells) > 1:
            for name, rank in ranks_by_closeness({n: cell["value"] for n, cell in cells.items()}, truths[0]).items():
                cells[name]["rank"] = rank
    said = find_protocol(first.result.protocol).said
    notes += [
        f"body: {first.result.body}; FGD embedder of {first.name}: {first.result.embedder_said}",
        *([said] if said else []),
    ]
    notes += dict.fromkeys(note for run in runs for note in run.result.notes)
    return {
        "runs": table,
        "takes": len(first.takes),
        "notes": notes,
        "headings": first.result.headings,
        "scales": first.result.scales,
        **{key: getattr(first.result, key) for key in SAME},
    }


def interval(sample: np.ndarray) -> dict[str, float]:
    """The middle 95% of a sample (R,); not a number where nothing of it is."""
    low, high = np.nanpercentile(sample, [2.5, 97.5]) if np.isfinite(sample).any() else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def refuse_incomparable(run: Evaluation, first: Evaluation) -> None:
    """See that two runs were measured in the same way, on the same takes.

    Raises:
        SemTalkError: They were not.
    """
    for key in SAME:
        own, its = getattr(run.result, key), getattr(first.result, key)
        if own != its:
            raise SemTalkError(
                f"compare: {run.name} has {key}={own}, {first.name} has {its}; "
                "numbers of different kinds do not compare."
            )
    if run.takes != first.takes:
        raise SemTalkError(f"compare: {run.name} and {first.name} were not evaluated on the same takes.")
