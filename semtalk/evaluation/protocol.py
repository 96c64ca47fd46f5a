"""The protocols behind published tables, and one with their quirks mended: FGD, BC, DIV, MSE, LVD of rows of takes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.evaluation.takes import Take, legacy_frames, whole_frames
from semtalk.metrics import functional as F
from semtalk.metrics.modules import BeatConsistency, FrechetGestureDistance, WeightedMean
from semtalk.models.embedder import MotionEmbedder
from semtalk.motion.parts import IDENTITY_6D, poses_from_rotation
from semtalk.motion.skeleton import FEET, JAW
from semtalk.settings import choose

METRICS = ("fgd", "bc", "div", "mse", "lvd")
EXTENDED = ("jerk", "skating", "srgr")
FGD_MULTIPLE = 32
CHUNK = 512
"""Frames whose vertices are computed at once."""


@dataclass(frozen=True)
class Protocol:
    """What differs between evaluators; docs/metrics.md says what each is worth.

    Attributes:
        eps: See :func:`semtalk.metrics.functional.frechet_distance`.
        beat_threshold: Relative speed that a beat's joint must have.
        overwrite: BC reads joints that DIV has overwritten with their distance to the sequence mean.
        mask_from_zero: The beats' speed is looked up 60 frames too early.
        untrimmed_end: The cut at the audio's end is counted from the audio's own length, not from the motion's.
        lvd: ``position`` or ``velocity`` differences.
        still_root: DIV and BC with global orientation and jaw at rest.
        whole: All frames of a take count, not whole seconds cut to 60 k + 4 frames.
    """

    eps: Literal["legacy", "always"]
    beat_threshold: float
    overwrite: bool
    mask_from_zero: bool
    untrimmed_end: bool
    lvd: Literal["position", "velocity"]
    still_root: bool
    whole: bool

    @property
    def counted(self) -> Callable[[int], int]:
        """Frames of a take -> those that count."""
        return whole_frames if self.whole else legacy_frames


PROTOCOLS = {
    "legacy": Protocol("legacy", 0.30, True, True, True, "position", False, False),
    "evaltools": Protocol("always", 0.10, False, True, True, "velocity", True, False),
    "corrected": Protocol("legacy", 0.30, False, False, False, "velocity", False, True),
}


def find_protocol(name: str) -> Protocol:
    """A protocol by its name; raises SemTalkError when there is none."""
    choose("protocol", name)
    return PROTOCOLS[name]


def embedder_rows(embedder: MotionEmbedder, rotation: Tensor) -> Tensor:
    """FGD features (N, 240) of one sequence (T, 55, 6): cut to a multiple of 32 frames, encoded whole."""
    frames = len(rotation) // FGD_MULTIPLE * FGD_MULTIPLE
    with torch.no_grad():
        return embedder.embed(rotation[:frames].flatten(1)[None])[0]


def metric_joints(body: BodyModel, rotation: Tensor, betas: Tensor, still_root: bool = False) -> np.ndarray:
    """Joints (T, 55, 3) for DIV and BC: true shape, no translation; ``still_root`` rests the pelvis and the jaw."""
    if still_root:
        rotation = rotation.clone()
        rotation[:, [0, JAW]] = rotation.new_tensor(IDENTITY_6D)
    return body.joints(poses_from_rotation(rotation), betas).double().numpy()


def face_pairs(body: BodyModel, take: Take, row: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Face vertices (t, V, 3) of a row and of the truth, jaw and expressions alone, some frames at a time."""
    faces = []
    for name in (row, "truth"):
        jaw = poses_from_rotation(take.rotation[name])[:, JAW]
        faces.append((jaw.split(CHUNK), take.expressions[name].split(CHUNK)))
    for (jaw_a, part_a), (jaw_b, part_b) in zip(*(zip(*face, strict=True) for face in faces), strict=True):
        yield tuple(
            body.face_vertices(jaw, part, take.betas).numpy() for jaw, part in ((jaw_a, part_a), (jaw_b, part_b))
        )


@dataclass
class Measured:
    """Numbers of an evaluation.

    Attributes:
        table: Row -> metric -> value over all takes.
        per_take: One dict for each row and take; FGD needs many rows of features and is not given per take.
        features: Row -> for each take the embedder's features (N, 240), or nothing without an embedder.
    """

    table: dict[str, dict[str, float]] = field(default_factory=dict)
    per_take: list[dict] = field(default_factory=list)
    features: dict[str, list[np.ndarray]] = field(default_factory=dict)


def measure_take(
    take: Take, row: str, body: BodyModel, mean_speed: np.ndarray | None, protocol: Protocol, extended: bool
) -> dict[str, tuple[float, float]]:
    """Metrics of one row of a take: name -> (value, weight in the mean over takes)."""
    joints = metric_joints(body, take.rotation[row], take.betas, protocol.still_root)
    values: dict[str, tuple[float, float]] = {}
    if take.wave is not None and mean_speed is not None and take.frames > 2 * F.BEAT_SKIP:
        beat = BeatConsistency(
            mean_speed, protocol.beat_threshold, protocol.overwrite, protocol.mask_from_zero, protocol.untrimmed_end
        )
        beat.update(joints, take.wave.numpy())
        values["bc"] = (float(beat.compute()), float(beat.count))
    total, frames = F.l1_diversity(joints)
    values["div"] = (total / frames, frames)
    errors = F.face_errors(face_pairs(body, take, row))
    values["mse"] = (errors["mse"], take.frames)
    values["lvd"] = (errors[protocol.lvd], take.frames)
    if extended:
        values |= extended_metrics(take, row, body)
    return values


def extended_metrics(take: Take, row: str, body: BodyModel) -> dict[str, tuple[float, float]]:
    """Jerk, foot skating and SRGR of one row of a take, with weights."""
    world, true = (
        body.joints(poses_from_rotation(take.rotation[name]), take.betas, take.trans[name]).double().numpy()
        for name in (row, "truth")
    )
    skating = F.foot_skating(world[:, list(FEET)])
    values = {"jerk": (F.mean_jerk(world), take.frames), "skating": (skating, take.frames)}
    if take.semantic is not None and take.semantic.nansum() > 0:
        own, reference = (joints - joints[:, :1] for joints in (world, true))
        values["srgr"] = (F.semantic_recall(own, reference, take.semantic.numpy()), float(take.semantic.sum()))
    return values


def evaluate_rows(
    takes: list[Take],
    rows: tuple[str, ...],
    embedder: MotionEmbedder | None,
    body: BodyModel,
    mean_speed: np.ndarray | None,
    protocol: str = "legacy",
    extended: bool = False,
    progress=lambda takes: takes,
) -> Measured:
    """Metrics of each row over all takes.

    Args:
        takes: With ``truth`` and the rows.
        rows: Names of what is evaluated.
        embedder: For FGD; none leaves it out.
        body: For joints and face vertices.
        mean_speed: (55,) m/s, for BC; none leaves it out.
        protocol: One of :data:`PROTOCOLS`.
        extended: Jerk, skating and SRGR too.
        progress: Wraps the iteration over takes.
    """
    rules, measured = find_protocol(protocol), Measured()
    names = (*METRICS, *EXTENDED) if extended else METRICS
    means = {row: {name: WeightedMean() for name in names} for row in rows}
    for take in progress(takes):
        for row in rows:
            values = measure_take(take, row, body, mean_speed, rules, extended)
            for name, (value, weight) in values.items():
                if weight:
                    means[row][name].update(value, weight)
            kept = {name: values[name][0] if name in values else float("nan") for name in names if name != "fgd"}
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
