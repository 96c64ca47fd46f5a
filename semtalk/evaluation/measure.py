"""Measures rows of takes by a protocol: every metric over all takes, and take by take."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.evaluation.metrics import Metric, TakeRow
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.result import Measured
from semtalk.evaluation.takes import Take
from semtalk.metrics.modules import FrechetGestureDistance, WeightedMean
from semtalk.models.embedder import MotionEmbedder

FGD_MULTIPLE = 32


def embedder_rows(embedder: MotionEmbedder, rotation: Tensor) -> Tensor:
    """FGD features (N, 240) of one sequence (T, 55, 6): cut to a multiple of 32 frames, encoded whole."""
    frames = len(rotation) // FGD_MULTIPLE * FGD_MULTIPLE
    with torch.no_grad():
        return embedder.embed(rotation[:frames].flatten(1)[None])[0]


def evaluate_rows(
    takes: list[Take],
    rows: tuple[str, ...],
    metrics: Mapping[str, Metric],
    embedder: MotionEmbedder | None,
    body: BodyModel,
    mean_speed: np.ndarray | None,
    protocol: str = "legacy",
    progress=lambda takes: takes,
) -> Measured:
    """Metrics of each row over all takes.

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
    rules, measured = find_protocol(protocol), Measured()
    single = {name: metric for name, metric in metrics.items() if metric.measure is not None}
    means = {row: {name: WeightedMean() for name in metrics} for row in rows}
    for take in progress(takes):
        for row in rows:
            seen = TakeRow(take, row, body, mean_speed, rules)
            values = {name: metric.measure(seen) for name, metric in single.items()}
            for name, value in values.items():
                if value is not None and (weight := metrics[name].weight(take)):
                    means[row][name].update(value, weight)
            kept = {name: math.nan if value is None else value for name, value in values.items()}
            measured.per_take.append({"take": take.id, "row": row, "frames": take.frames, **kept})
            if embedder is not None:
                measured.features.setdefault(row, []).append(embedder_rows(embedder, take.rotation[row]).numpy())
    for row in rows:
        table = {name: float(mean.compute()) if mean.update_called else math.nan for name, mean in means[row].items()}
        if embedder is not None:
            distance = FrechetGestureDistance(rules.eps)
            for own, real in zip(measured.features[row], measured.features["truth"], strict=True):
                distance.update(torch.from_numpy(own), torch.from_numpy(real))
            table["fgd"] = float(distance.compute())
        measured.table[row] = table
    return measured
