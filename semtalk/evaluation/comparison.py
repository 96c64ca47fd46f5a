"""Several evaluations in one table, with bootstrap intervals over takes."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.result import WEIGHT, Result
from semtalk.metrics.functional import frechet_distance
from semtalk.places import called

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
        values: Metric -> value of each take, in the order of ``takes``.
        weights: Metric -> weight of each take in the metric's mean.
        takes: Names and frames of the takes.
        features: Embedder's features of each take, of the run and of the truth, or none.
    """

    name: str
    result: Result
    values: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    takes: list[tuple[str, int]]
    features: tuple[list[np.ndarray], list[np.ndarray]] | None


def read_evaluation(path: str | Path, split: str) -> Evaluation:
    """Read what ``eval.py`` wrote into a run's ``eval/SPLIT``, or into the folder itself.

    Raises:
        SemTalkError: There is no evaluation.
    """
    folder = Path(path)
    if not (folder / "metrics.json").is_file():
        folder = folder / "eval" / split
    if not (folder / "metrics.json").is_file():
        raise SemTalkError(
            f"compare: {path} holds no evaluation ({folder}/metrics.json); run `{called('eval')}` on it first."
        )
    result = Result.read(folder / "metrics.json")
    row = next(name for name in MAIN_ROWS if name in result.metrics)
    with (folder / "per_take.csv").open(newline="", encoding="utf-8") as file:
        rows = [entry for entry in csv.DictReader(file) if entry["row"] == row]
    columns = {
        name: np.array([float(entry[name]) for entry in rows]) for name in rows[0] if name not in ("take", "row")
    }
    frames = columns.pop("frames")
    values = {name: column for name, column in columns.items() if not name.endswith(WEIGHT)}
    weights = {name: columns.get(f"{name}{WEIGHT}", frames) for name in values}
    weights = {name: np.where(np.isnan(weight), frames, weight) for name, weight in weights.items()}
    features = None
    if (folder / "features.npz").is_file():
        with np.load(folder / "features.npz", allow_pickle=False) as file:
            cuts = np.cumsum(file["lengths"])[:-1]
            features = tuple(np.split(file[name], cuts) for name in (row, "truth"))
    takes = [(entry["take"], int(entry["frames"])) for entry in rows]
    return Evaluation(str(path), result, values, weights, takes, features)


def resampled(run: Evaluation, metric: str, draws: np.ndarray) -> np.ndarray:
    """Value of a metric for each draw (R, N) of takes."""
    if metric == "fgd":
        eps = find_protocol(run.result.protocol).eps
        own, true = run.features
        drawn, place = np.unique(np.sort(draws[:FGD_REPEATS], axis=1), axis=0, return_inverse=True)
        found = [
            frechet_distance(np.concatenate([own[i] for i in draw]), np.concatenate([true[i] for i in draw]), eps)
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
    interval of the *paired* difference leaves out 0.

    Returns:
        ``runs``: name -> metric -> value, low, high, and for all but the first whether it differs significantly.

    Raises:
        SemTalkError: Fewer than two runs, or evaluations that cannot be compared.
    """
    if len(paths) < 2:
        raise SemTalkError("compare: give two runs or more, as in compare=[runs/A,runs/B].")
    runs = [read_evaluation(path, split) for path in paths]
    first = runs[0]
    for run in runs[1:]:
        for key in SAME:
            own, its = getattr(run.result, key), getattr(first.result, key)
            if own != its:
                raise SemTalkError(
                    f"compare: {run.name} has {key}={own}, {first.name} has {its}; "
                    "numbers of different kinds do not compare."
                )
        if run.takes != first.takes:
            raise SemTalkError(f"compare: {run.name} and {first.name} were not evaluated on the same takes.")
    embedders = {run.result.embedder["sha256"] for run in runs}
    same_embedder = len(embedders) == 1 and all(run.features for run in runs)
    draws = np.random.default_rng(seed).integers(0, len(first.takes), (REPEATS, len(first.takes)))
    metrics = (["fgd"] if same_embedder else []) + [m for m in first.values if all(m in run.values for run in runs)]
    table: dict[str, dict] = {run.name: {} for run in runs}
    for metric in metrics:
        samples = [resampled(run, metric, draws) for run in runs]
        for run, sample in zip(runs, samples, strict=True):
            low, high = np.nanpercentile(sample, [2.5, 97.5]) if np.isfinite(sample).any() else (np.nan, np.nan)
            row = next(name for name in MAIN_ROWS if name in run.result.metrics)
            cell = {"value": run.result.metrics[row][metric], "low": float(low), "high": float(high)}
            if run is not first:
                gap = sample - samples[0]
                gap = np.nanpercentile(gap, [2.5, 97.5]) if np.isfinite(gap).any() else (0, 0)
                cell["differs"] = bool(gap[0] > 0 or gap[1] < 0)
            table[run.name][metric] = cell
    notes = []
    if not same_embedder:
        notes.append(
            "FGD is left out: the runs were measured with different embedders; measure each with one, as in "
            f"`{called('eval')} ckpt=RUN embedder={first.name}`"
        )
    return {
        "runs": table,
        "takes": len(first.takes),
        "notes": notes,
        "headings": first.result.headings,
        "scales": first.result.scales,
        **{key: getattr(first.result, key) for key in SAME},
    }
