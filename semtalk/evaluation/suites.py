"""Tables of other protocols than BEAT2's: TalkSHOW's released evaluator, DiffSHEG's as it was reconstructed, GENEA's.

Formulas are in :mod:`semtalk.metrics.show` and :mod:`semtalk.metrics.genea`. Columns have names of their own: none
compares with one of another table.
"""

import math
from collections.abc import Callable
from functools import partial, reduce
from operator import add

import numpy as np
import torch

from semtalk.evaluation.metrics import CHUNK, Metric, TakeRow, Weighted
from semtalk.metrics import functional as F
from semtalk.metrics import genea as G
from semtalk.metrics import show as S
from semtalk.motion.skeleton import DIFFSHEG_JOINTS, NUM_JOINTS

RELEASED, PAPER = 2, 16
"""Samples of each clip in ``released2`` and ``paper16``."""
GESTURE = 3 * len(DIFFSHEG_JOINTS)


def samples_of(seen: TakeRow, count: int) -> list[TakeRow]:
    """So many samples of a row; one that has a single one gives it each time, as the published evaluator does.

    The truth is there once. Of a row with several samples but fewer than that nothing is given.
    """
    found = seen.samples
    if seen.row == "truth" or len(found) >= count:
        return found[:count]
    return found * count if len(found) == 1 else []


def distinct_samples(seen: TakeRow, count: int) -> list[TakeRow]:
    """:func:`samples_of`, where a single one is there once: its copies are all alike."""
    return samples_of(seen, count) if len(seen.samples) > 1 else [seen]


def _stacked(of, seen: TakeRow, count: int) -> np.ndarray:
    """(B, T, ...) of distinct samples."""
    return np.stack([own.once(of) for own in distinct_samples(seen, count)])


def _pose(pose: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pose).unflatten(1, (NUM_JOINTS, 3))


def _body_joints(seen: TakeRow) -> np.ndarray:
    """(T, 55, 3) metres, sitting as every clip sits."""
    return seen.body.joints(_pose(S.body_pose(seen.poses)), seen.take.betas.double()).numpy()


def _points(seen: TakeRow, poses: np.ndarray, expressions: torch.Tensor) -> np.ndarray | None:
    pieces = zip(_pose(poses).float().split(CHUNK), expressions.split(CHUNK), strict=True)
    found = [seen.body.points(pose, face, seen.take.betas) for pose, face in pieces]
    return None if found[0] is None else torch.cat(found).double().numpy()


def _body_points(seen: TakeRow) -> np.ndarray | None:
    """(T, 127, 3) metres, sitting, without expression; none of a body that has no such points."""
    return _points(seen, S.body_pose(seen.poses), torch.zeros_like(seen.take.expressions[seen.row]))


def _face_points(seen: TakeRow) -> np.ndarray | None:
    """(T, 127, 3) metres with jaw and expressions alone; none of a body that has no such points."""
    return _points(seen, S.face_pose(seen.poses), seen.take.expressions[seen.row])


def _frechet(own: list[np.ndarray], true: list[np.ndarray], *_rules) -> float:
    """Not a number where the rows are too few for a covariance."""
    own, true = np.concatenate(own), np.concatenate(true)
    return S.frechet(own, true) if min(len(own), len(true)) > own.shape[1] else math.nan


def _feature_rows(seen: TakeRow, count: int) -> np.ndarray:
    rows = [own.features["fgd"] for own in samples_of(seen, count)]
    return np.concatenate(rows) if rows else np.zeros((0, seen.features["fgd"].shape[1]))


def _onsets(seen: TakeRow) -> np.ndarray:
    return F.audio_onsets(S.heard(seen.take.wave.numpy(), seen.take.frames))


def _whole_onsets(seen: TakeRow) -> np.ndarray:
    return F.audio_onsets(seen.take.wave.numpy())


def _beats(seen: TakeRow, count: int, whole: bool = False) -> Weighted | None:
    if seen.take.wave is None:
        return None
    onsets = seen.once(_whole_onsets if whole else _onsets)
    parts = [S.beat_consistency(own.once(_body_joints), onsets) for own in distinct_samples(seen, count)]
    weight = sum(number for _, number in parts)
    return Weighted(S.pooled(parts), weight) if weight else None


def _variation(seen: TakeRow, count: int) -> float | None:
    if seen.once(_body_points) is None or not samples_of(seen, count):
        return None
    stacked = _stacked(_body_points, seen, count)
    return S.variation(stacked) if len(stacked) > 1 else 0.0


def _body_lvd(seen: TakeRow) -> float | None:
    if seen.take.frames < 2 or not samples_of(seen, RELEASED):
        return None
    return S.body_lvd(seen.truth.once(_body_joints), _stacked(_body_joints, seen, RELEASED))


def _body_error(seen: TakeRow) -> float | None:
    if seen.once(_body_points) is None or not samples_of(seen, RELEASED):
        return None
    return S.body_error(seen.truth.once(_body_points), _stacked(_body_points, seen, RELEASED))


def _face(seen: TakeRow) -> dict[str, float]:
    own = seen.once(_face_points)
    return {} if own is None else S.face_errors(seen.truth.once(_face_points), own)


def _face_error(seen: TakeRow, name: str) -> float | None:
    return seen.once(_face).get(name)


def _clip(_take) -> float:
    return 1.0


def _variant(name: str, count: int, heard: int) -> dict[str, Metric]:
    """Columns of a variant: FGD and Variation of so many samples, BC of the first so many."""
    return {
        f"{name}_fgd": Metric(
            f"FGD {name}", None, adds=partial(_feature_rows, count=count), over_takes=_frechet, embedded=True
        ),
        f"{name}_bc": Metric(f"BC {name}", partial(_beats, count=heard), near_truth=True),
        f"{name}_variation": Metric(f"Variation {name}", partial(_variation, count=count), weight=_clip),
    }


TALKSHOW = {
    **_variant("released2", RELEASED, 1),
    **_variant("paper16", PAPER, PAPER),
    "body_lvd": Metric("LVD body", _body_lvd, weight=_clip),
    "body_error": Metric("error body", _body_error, weight=_clip),
    "jaw_l1": Metric("jaw L1", partial(_face_error, name="jaw_l1"), weight=_clip),
    "landmark_l1": Metric("landmark L1", partial(_face_error, name="landmark_l1"), weight=_clip),
    "face_l2": Metric("face L2", partial(_face_error, name="l2"), weight=_clip),
    "face_lvd": Metric("LVD face", partial(_face_error, name="lvd"), weight=_clip),
}
"""Name -> metric of ``protocol=talkshow``; clips weigh alike, BC is pooled over onsets, FGD over rows."""


def _clips(seen: TakeRow) -> np.ndarray:
    """Normalised windows (N, 88, 232)."""
    return seen.embedder.clips(seen.take.rotation[seen.row], seen.take.expressions[seen.row]).numpy()


def _near(seen: TakeRow) -> Weighted | None:
    if seen.embedder is None or not len(seen.once(_clips)):
        return None
    own, true = (each.once(_clips)[..., :GESTURE] for each in (seen, seen.truth))
    return Weighted(S.near_share(own, true), len(own))


def _flat(seen: TakeRow, part: slice) -> np.ndarray:
    clips = seen.once(_clips)[..., part]
    return clips.reshape(len(clips), clips.shape[1] * clips.shape[2])


def _pairs(own: list[np.ndarray], *_unused) -> float:
    return S.pair_difference(np.concatenate(own))


def _window_distance(title: str, name: str) -> Metric:
    return Metric(title, None, adds=lambda seen: seen.features[name], over_takes=_frechet, embedded=True)


def _window_diversity(title: str, part: slice) -> Metric:
    return Metric(
        title, None, adds=partial(_flat, part=part), over_takes=_pairs, embedded=True,
        kept=False, near_truth=True,
    )  # fmt: skip


DIFFSHEG = {
    "diffsheg_fgd": _window_distance("FGD 88", "fgd"),
    "diffsheg_fed": _window_distance("FED 88", "fed"),
    "diffsheg_fmd": _window_distance("FMD 88", "fmd"),
    "diffsheg_pcm": Metric("PCM", _near),
    "diffsheg_ba": Metric("BA", partial(_beats, count=1, whole=True), near_truth=True),
    "diffsheg_diversity": _window_diversity("diversity gesture", slice(GESTURE)),
    "diffsheg_face_diversity": _window_diversity("diversity face", slice(GESTURE, None)),
}
"""Name -> metric of ``protocol=diffsheg``: windows of 88 frames, one behind the other."""


def _latents(seen: TakeRow) -> list[np.ndarray]:
    """For each sample the embedder's rows (N, 240)."""
    return [own.features["fgd"] for own in seen.samples]


def _all_latents(seen: TakeRow) -> np.ndarray:
    return np.concatenate(_latents(seen))


def _fgd(own: list[np.ndarray], true: list[np.ndarray], *_rules) -> float:
    return G.fgd(np.concatenate(true), [np.concatenate(own)])


def _fgd_script(own: list[list[np.ndarray]], true: list[list[np.ndarray]], *_rules) -> float:
    samples = [np.concatenate(rows) for rows in zip(*own, strict=True)]
    return G.fgd_script(np.concatenate([rows[0] for rows in true]), samples)


def _alignments(seen: TakeRow) -> list[tuple[G.Alignment, int]]:
    wave = seen.take.wave.numpy()
    return [G.beat_alignment(own.joints, wave, seen.mean_speed) for own in seen.samples]


def _alignment(seen: TakeRow, direction: str) -> Weighted | None:
    if seen.take.wave is None or seen.mean_speed is None:
        return None
    found = seen.once(_alignments)
    weight = sum(frames for _, frames in found)
    return Weighted(float(np.mean([getattr(both, direction) for both, _ in found])), weight) if weight else None


def _recall(seen: TakeRow) -> float | None:
    take = seen.take
    if take.labels is None:
        return None
    weights = G.semantic_weights(take.labels, take.frames)
    return float(np.mean([G.semantic_recall(own.joints, seen.truth.joints, weights)[0] for own in seen.samples]))


def _diversity(seen: TakeRow) -> float:
    return float(np.mean([F.l1_diversity(own.joints)[0] for own in seen.samples])) / seen.take.frames


def _over_time(seen: TakeRow) -> float:
    return float(np.mean([G.temporal_variance(own.poses) for own in seen.samples]))


def _over_samples(seen: TakeRow) -> float | None:
    return G.sample_variance([own.poses for own in seen.samples]) if len(seen.samples) > 1 else None


def _moments(seen: TakeRow, of: Callable[[np.ndarray], G.Moments]) -> G.Moments:
    return reduce(add, (of(own.poses) for own in seen.samples))


def _of_moments(own: list[G.Moments], true: list[G.Moments], *_rules) -> float:
    return G.frechet_of_moments(reduce(add, own), reduce(add, true))


def _moment_distance(title: str, of: Callable[[np.ndarray], G.Moments]) -> Metric:
    return Metric(title, None, adds=partial(_moments, of=of), over_takes=_of_moments, kept=False)


GENEA = {
    "genea_fgd": Metric("FGD", None, adds=_all_latents, over_takes=_fgd, embedded=True),
    "genea_fgd_script": Metric("FGD script", None, adds=_latents, over_takes=_fgd_script, embedded=True, kept=False),
    "genea_a2m": Metric("BA a2m", partial(_alignment, direction="a2m"), near_truth=True),
    "genea_m2a": Metric("BA m2a", partial(_alignment, direction="m2a"), near_truth=True),
    "genea_srgr": Metric("SRGR", _recall),
    "genea_div": Metric("DIV", _diversity, near_truth=True),
    "genea_div_sample": Metric("DIV sample", _over_samples, weight=_clip),
    "genea_fd_g": _moment_distance("FD g", G.pose_moments),
    "genea_fd_k": _moment_distance("FD k", G.motion_moments),
    "genea_div_k": Metric("DIV k", _over_time, weight=_clip),
}
"""Name -> metric of ``protocol=genea``: whole recordings, every sample of one counting as a recording of its own."""

SUITES = {"talkshow": TALKSHOW, "diffsheg": DIFFSHEG, "genea": GENEA}
"""Name of :attr:`semtalk.evaluation.protocol.Protocol.suite` -> its metrics."""
