"""Measures rows of takes by a protocol: every metric over all takes, and take by take."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import nn

from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.evaluation.metrics import Metric, TakeRow, Weighted
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.result import WEIGHT, Measured
from semtalk.evaluation.shares import joined
from semtalk.evaluation.takes import Take
from semtalk.metrics.modules import WeightedMean


class Measurement:
    """Metrics of rows of takes that come one by one; nothing of a take is kept but its numbers and FGD features."""

    def __init__(
        self, rows: tuple[str, ...], metrics: Mapping[str, Metric], embedder: nn.Module | None, body: BodyModel,
        mean_speed: np.ndarray | None, protocol: str = "legacy",
    ):  # fmt: skip
        """Begin; see :func:`evaluate_rows`."""
        self.rows, self.metrics, self.embedder = rows, metrics, embedder
        self.body, self.mean_speed, self.rules = body, mean_speed, find_protocol(protocol)

    def of(self, take: Take) -> Measured:
        """Numbers of a take that has the rows, without a table."""
        found = Measured()
        for row in self.rows:
            seen = TakeRow(take, row, self.body, self.mean_speed, self.rules, self.embedder)
            kept: dict[str, float] = {}
            for name, metric in self.metrics.items():
                if metric.adds and (self.embedder or not metric.embedded):
                    found.features.setdefault(name, {})[row] = [added(name, metric, seen)]
                if metric.measure is None:
                    continue
                value, weight = measured_value(name, metric, seen)
                kept[name] = value
                if weight != take.frames:
                    kept[f"{name}{WEIGHT}"] = weight
            found.per_take.append({"take": take.id, "row": row, "frames": take.frames, **kept})
        return found

    def whole(self, found: Measured) -> Measured:
        """Numbers of takes one after another, with the table over all of them."""
        columns = dict.fromkeys(("take", "row", "frames"))
        for entry in found.per_take:
            columns |= dict.fromkeys(entry)
        table = {row: self._over_takes(found, row) for row in self.rows}
        per_take = [dict.fromkeys(columns, math.nan) | entry for entry in found.per_take]
        kept = {name: rows for name, rows in found.features.items() if self.metrics[name].kept}
        return Measured(table, per_take, kept)

    def _over_takes(self, found: Measured, row: str) -> dict[str, float]:
        table = {}
        for name, metric in self.metrics.items():
            if name in found.features:
                own, true = (found.features[name][each] for each in (row, "truth"))
                table[name] = metric.over_takes(own, true, self.rules)
                continue
            mean = WeightedMean(sync_on_compute=False)
            for entry in found.per_take:
                weight = entry.get(f"{name}{WEIGHT}", entry["frames"])
                if entry["row"] == row and name in entry and weight:
                    mean.update(entry[name], weight)
            table[name] = float(mean.compute()) if mean.update_called else math.nan
        return table


def evaluate_rows(
    takes: list[Take],
    rows: tuple[str, ...],
    metrics: Mapping[str, Metric],
    embedder: nn.Module | None,
    body: BodyModel,
    mean_speed: np.ndarray | None,
    protocol: str = "legacy",
    progress: Callable = lambda takes: takes,
) -> Measured:
    """Metrics of each row over all takes, by this process alone: others of a training may do something else meanwhile.

    Args:
        takes: With ``truth`` and the rows.
        rows: Names of what is evaluated.
        metrics: Name -> metric, see :func:`semtalk.evaluation.metrics.chosen_metrics`.
        embedder: For FGD; none leaves it out.
        body: For joints and face vertices.
        mean_speed: (55,) m/s, for BC; none leaves it out.
        protocol: One of :data:`semtalk.evaluation.protocol.PROTOCOLS`.
        progress: Wraps the iteration over takes.
    """
    measurement = Measurement(rows, metrics, embedder, body, mean_speed, protocol)
    found = Measured()
    for take in progress(takes):
        found = joined(found, measurement.of(take))
    return measurement.whole(found)


def measured_value(name: str, metric: Metric, seen: TakeRow) -> tuple[float, float]:
    """Value and weight of a metric for one row of a take; not a number, and no weight, where it cannot be measured.

    Raises:
        SemTalkError: The metric fails, or gives no number.
    """
    with _named(name, seen):
        value = metric.measure(seen)
        if value is None:
            return math.nan, 0.0
        weighted = value if isinstance(value, Weighted) else Weighted(value, metric.weight(seen.take))
        return float(weighted.value), float(weighted.weight)


def added(name: str, metric: Metric, seen: TakeRow) -> Any:
    """What one row of a take adds to a metric that is of all takes together.

    Raises:
        SemTalkError: The metric fails.
    """
    with _named(name, seen):
        return metric.adds(seen)


@contextmanager
def _named(name: str, seen: TakeRow) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        said = f"{type(error).__name__}: {error}"
        raise SemTalkError(f"the metric {name} fails on the row {seen.row} of take {seen.take.id} ({said}).") from error


def thin_rows(found: Measured, metrics: Mapping[str, Metric]) -> list[str]:
    """Of which distances the rows are too few for a covariance: what a reader must know."""
    said = []
    for name, rows in found.features.items():
        count, width = sum(map(len, rows["truth"])), rows["truth"][0].shape[1]
        if count <= width:
            said.append(
                f"{metrics[name].title}: {count} rows of {width} numbers are too few for a covariance; it is left out, "
                "or high and of little worth"
            )
    return said


def missing_values(found: Measured, metrics: Mapping[str, Metric]) -> list[str]:
    """Which columns some takes, or all of them, have no value in: too short, without sound or labels, another body.

    A take has one where any of its rows has: the truth has no diversity over samples, and a method may.
    """
    takes: dict[str, list[dict]] = {}
    for entry in found.per_take:
        takes.setdefault(entry["take"], []).append(entry)
    said, absent = [], []
    for name, metric in metrics.items():
        if metric.measure is None:
            continue
        count = sum(any(not math.isnan(row[name]) for row in rows) for rows in takes.values())
        if not count:
            absent.append(metric.title)
        elif count < len(takes):
            said.append(f"{metric.title} is of {count} of {len(takes)} takes: the others lack what it is measured on")
    if absent:
        said.append(f"no take has what {', '.join(absent)} would be measured on, or the body has not")
    return said
