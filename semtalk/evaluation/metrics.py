"""The metrics of every table, one row each: title, scale, and how a take is measured.

Protocol, report, comparison, published tables and ablations read :data:`METRICS`. A metric of one's own is a
:class:`Metric` in an installed package: ``eval.py metrics=[extended,package.module:NAME]``.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.evaluation.protocol import PROTOCOLS, Protocol
from semtalk.evaluation.takes import Take
from semtalk.metrics import bodies as B
from semtalk.metrics import functional as F
from semtalk.metrics.modules import BeatConsistency
from semtalk.motion.parts import IDENTITY_6D, poses_from_rotation
from semtalk.motion.skeleton import FEET, JAW
from semtalk.swap import named

T = TypeVar("T")
CHUNK = 512
"""Frames whose vertices are computed at once."""


def metric_joints(body: BodyModel, rotation: Tensor, betas: Tensor, still_root: bool = False) -> np.ndarray:
    """Joints (T, 55, 3) for DIV and BC: true shape, no translation; ``still_root`` rests the pelvis and the jaw."""
    if still_root:
        rotation = rotation.clone()
        rotation[:, [0, JAW]] = rotation.new_tensor(IDENTITY_6D)
    return body.joints(poses_from_rotation(rotation), betas).double().numpy()


@dataclass(frozen=True)
class TakeRow:
    """One row of a take as metrics see it; what several of them need is computed once.

    Attributes:
        take: With the row and ``truth``.
        row: Name of what is measured.
        body: For joints and face vertices.
        mean_speed: (55,) m/s, for BC; or none.
        protocol: How things are counted.
        embedder: Of feature rows, or none.
    """

    take: Take
    row: str
    body: BodyModel
    mean_speed: np.ndarray | None
    protocol: Protocol
    embedder: nn.Module | None = None
    _made: dict[Callable, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, make: Callable[["TakeRow"], T]) -> T:
        """What a function makes of the row; it is called once, however many metrics ask."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def other(self, row: str) -> "TakeRow":
        """Another row of the take."""
        return replace(self, row=row, _made={})

    @cached_property
    def truth(self) -> "TakeRow":
        """The truth."""
        return self.other("truth")

    @cached_property
    def samples(self) -> list["TakeRow"]:
        """The row and its further samples, where it has some."""
        return [self, *map(self.other, self.take.samples(self.row)[1:])]

    @cached_property
    def poses(self) -> np.ndarray:
        """(T, 165) axis-angle."""
        return poses_from_rotation(self.take.rotation[self.row].double()).flatten(1).numpy()

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """Name -> feature rows (N, D) of the embedder."""
        with torch.no_grad():
            rows = self.embedder.rows(self.take.rotation[self.row], self.take.expressions[self.row])
        return {name: found.numpy() for name, found in rows.items()}

    @cached_property
    def joints(self) -> np.ndarray:
        """(T, 55, 3) metres without translation, as DIV and BC take them."""
        return metric_joints(self.body, self.take.rotation[self.row], self.take.betas, self.protocol.still_root)

    @cached_property
    def world(self) -> np.ndarray:
        """(T, 55, 3) metres with translation."""
        return self._world_joints(self.row)

    @cached_property
    def true_world(self) -> np.ndarray:
        """The same of the truth."""
        return self._world_joints("truth")

    def _world_joints(self, row: str) -> np.ndarray:
        poses = poses_from_rotation(self.take.rotation[row])
        return self.body.joints(poses, self.take.betas, self.take.trans[row]).double().numpy()

    @cached_property
    def face(self) -> dict[str, float]:
        """Errors of the face's vertices: ``mse``, ``position`` and ``velocity``."""
        return F.face_errors(face_pairs(self.body, self.take, self.row))

    @cached_property
    def soles(self) -> np.ndarray:
        """(T, 2, 3) metres with translation."""
        return self.world[:, list(B.SOLES)]

    @cached_property
    def ground(self) -> float:
        """Height in metres at which the truth stands."""
        return B.ground_height(self.true_world[:, list(B.SOLES)])


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


def _frechet(own: list[np.ndarray], true: list[np.ndarray], rules: Protocol) -> float:
    return F.frechet_distance(np.concatenate(own), np.concatenate(true), rules.eps)


def _beat_consistency(seen: TakeRow, smooth: Callable[[np.ndarray], np.ndarray] = lambda x: x) -> float | None:
    take, rules = seen.take, seen.protocol
    if take.wave is None or seen.mean_speed is None or take.frames <= 2 * F.BEAT_SKIP:
        return None
    beat = BeatConsistency(
        seen.mean_speed, rules.beat_threshold, rules.overwrite, rules.mask_from_zero, rules.untrimmed_end
    )
    beat.update(smooth(seen.joints), take.wave.numpy())
    return float(beat.compute())


def _lip_error(seen: TakeRow) -> float | None:
    lips = getattr(seen.body, "lips", None)
    if lips is None:
        return None
    return B.lip_vertex_error((own[:, lips], true[:, lips]) for own, true in face_pairs(seen.body, seen.take, seen.row))


def _beat_weight(take: Take) -> float:
    return float(max(0, take.frames - 2 * F.BEAT_SKIP))


def _diversity(seen: TakeRow) -> float:
    total, frames = F.l1_diversity(seen.joints)
    return total / frames


def _semantic_recall(seen: TakeRow) -> float | None:
    if seen.take.semantic is None or not seen.take.semantic.nansum() > 0:
        return None
    own, true = (joints - joints[:, :1] for joints in (seen.world, seen.true_world))
    return F.semantic_recall(own, true, seen.take.semantic.numpy())


class Weighted(NamedTuple):
    """A value of one row of a take that weighs otherwise than the take does."""

    value: float
    weight: float


@dataclass(frozen=True)
class Metric:
    """One column of every table.

    Attributes:
        title: Of the column.
        measure: Value of one row of a take, or none where it cannot be measured there; a corpus's value is the mean
            weighted by :attr:`weight`, or by the weight of a :class:`Weighted`. None for what is of all takes together.
        scale: Tables give the value divided by this, as published ones do.
        weight: Of a take, by its frames and its semantic scores.
        adds: Of what is of all takes together: what a row of a take adds to it.
        over_takes: Its value: of what all takes add, of what the truth of each adds, and a protocol.
        embedded: Whether it needs the embedder.
        kept: Whether what takes add, (N, D) each, is written, for comparisons.
        near_truth: Whether the best value is the truth's, not the highest or lowest: tables show how far it lies.
    """

    title: str
    measure: Callable[[TakeRow], "float | Weighted | None"] | None
    scale: float = 1.0
    weight: Callable[[Take], float] = lambda take: float(take.frames)
    adds: Callable[[TakeRow], Any] | None = None
    over_takes: Callable[[list, list, Protocol], float] | None = None
    embedded: bool = False
    kept: bool = True
    near_truth: bool = False

    @property
    def heading(self) -> str:
        """Title with the scale, as in ``MSE x1e-8``."""
        return self.title if self.scale == 1.0 else f"{self.title} x1e{round(math.log10(self.scale))}"


METRICS = {
    "fgd": Metric("FGD", None, 1e-1, adds=lambda seen: seen.features["fgd"], over_takes=_frechet, embedded=True),
    "bc": Metric("BC", _beat_consistency, 1e-1, _beat_weight, near_truth=True),
    "div": Metric("DIV", _diversity, near_truth=True),
    "mse": Metric("MSE", lambda seen: seen.face["mse"], 1e-8),
    "lvd": Metric("LVD", lambda seen: seen.face[seen.protocol.lvd], 1e-5),
    "jerk": Metric("jerk m/s3", lambda seen: F.mean_jerk(seen.world)),
    "skating": Metric("skating m/s", lambda seen: F.foot_skating(seen.world[:, list(FEET)])),
    "srgr": Metric("SRGR", _semantic_recall, weight=lambda take: float(take.semantic.sum())),
    "lve": Metric("LVE m", _lip_error, 1e-3),
    "floating": Metric("floating m", lambda seen: B.floating(seen.soles, seen.ground), 1e-2),
    "penetration": Metric("penetration m", lambda seen: B.penetration(seen.soles, seen.ground), 1e-2),
    "slide": Metric("foot slide m/s", lambda seen: B.foot_slide(seen.soles, seen.ground)),
    "jitter": Metric("jitter m", lambda seen: B.jitter(seen.world), 1e-3),
    "bc_smooth": Metric(
        "BC smoothed", lambda seen: _beat_consistency(seen, B.smoothed), 1e-1, _beat_weight, near_truth=True
    ),
}
"""Name in results -> metric."""
MAIN = ("fgd", "bc", "div", "mse", "lvd")
"""Those of published tables."""
AS_BEAT2_COUNTS = ("srgr", "bc_smooth")
"""Extended ones that follow BEAT2's protocols, and stand in no other's table."""


def suite(protocol: str) -> dict[str, Metric]:
    """Name -> metric of a protocol's table: its own metrics, or those of BEAT2's tables."""
    name = PROTOCOLS[protocol].suite
    if name is None:
        return {name: METRICS[name] for name in MAIN}
    from semtalk.evaluation.suites import SUITES

    return SUITES[name]


def chosen_metrics(metrics: str | Sequence[str], protocol: str = "legacy") -> dict[str, Metric]:
    """Name -> metric of ``metrics``: ``main``, ``extended``, and ``package.module:NAME`` of one's own.

    Raises:
        SemTalkError: There is no such metric.
    """
    words = [metrics] if isinstance(metrics, str) else metrics
    counted = () if PROTOCOLS[protocol].suite is None else AS_BEAT2_COUNTS
    further = {name: metric for name, metric in METRICS.items() if name not in (*MAIN, *counted)}
    found = suite(protocol) | (further if "extended" in words else {})
    own = {}
    for word in words:
        if ":" in word:
            metric = named("metrics", word)
            if not isinstance(metric, Metric):
                raise SemTalkError(f"metrics={word}: it is no semtalk.evaluation.metrics.Metric.")
            name = word.split(":")[1].lower()
            if name in METRICS or name in found or name in own:
                raise SemTalkError(f"metrics={word}: there is a metric called {name} already; give it another name.")
            own[name] = metric
    return found | own


def known_metric(name: str, protocol: str) -> Metric:
    """A protocol's metric of a name; of one that is not in its table a column of that name."""
    return (METRICS | suite(protocol)).get(name) or Metric(name, None)
