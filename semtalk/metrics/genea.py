"""The objective metrics of the GENEA leaderboard on BEAT2 (version of November 2025), as functions of arrays.

They are of whole recordings; every sample of a recording counts as a recording of its own, and motion and truth are cut
to the shorter. Joints are positions (T, 55, 3) in metres of SMPL-X with the truth's betas, without translation,
pelvis, jaw and eyes at rest. What is counted as elsewhere is in :mod:`semtalk.metrics.functional`: DIV (pose) is its
:func:`~semtalk.metrics.functional.l1_diversity`. Formulas, and what the leaderboard leaves open: docs/genea.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from semtalk.metrics import functional as F
from semtalk.motion.skeleton import FPS, SAMPLE_RATE

THRESHOLD = F.BEAT_THRESHOLD["evaltools"]
"""Relative speed that a beat's joint must have."""
NEAR = 0.10
"""Metres from the truth that count as a hit of SRGR."""
MEAN_WEIGHT = 0.1672
"""What SRGR divides semantic weights by, so that captured motion has about 1 over the whole test split."""
RESAMPLES = 1000


class Alignment(NamedTuple):
    """Beat alignment of one recording in both directions; the leaderboard does not say which one it shows as BA.

    Attributes:
        a2m: Mean over audio onsets of ``exp(-d^2 / 2 sigma^2)``, d to the nearest motion beat.
        m2a: Mean over motion beats, d to the nearest audio onset.
    """

    a2m: float
    m2a: float


def heard_wave(wave: np.ndarray, frames: int) -> np.ndarray:
    """The samples whose onsets count, of a wave (S,) at 16 kHz beside ``frames`` of motion: two seconds off each end.

    The end is counted from the motion, however long the wave is.
    """
    begin = F.BEAT_SKIP * SAMPLE_RATE // FPS
    return wave[begin : max(begin, int((frames - F.BEAT_SKIP) / FPS * SAMPLE_RATE))]


def alignment(onsets: np.ndarray, beats: Sequence[np.ndarray]) -> Alignment:
    """Beat alignment in both directions, sigma 0.3 s, mean over joints 3, 6, 9, 12..21.

    Args:
        onsets: (N,) seconds from the cut's start.
        beats: For each of 55 joints, frames from the cut's start.

    Returns:
        Both; a joint without beats counts 0, and without onsets both are 0.
    """
    if not len(onsets):
        return Alignment(0.0, 0.0)
    scores = []
    for joint in F.BEAT_JOINTS:
        times = np.asarray(beats[joint]) / FPS
        distance = np.abs(times[:, None] - np.asarray(onsets)[None]).min(axis=1)
        scores.append(np.exp(-(distance**2) / (2 * F.BEAT_SIGMA**2)).mean() if len(times) else 0.0)
    return Alignment(F.beat_consistency(onsets, list(beats)), float(np.mean(scores)))


def beat_alignment(joints: np.ndarray, wave: np.ndarray, mean_speed: np.ndarray) -> tuple[Alignment, int]:
    """BA of one recording.

    A beat is a frame of ``speed[60:T-60]`` that is slower than the 7 on either side; it counts if the relative speed at
    its index in the cut, taken as an index of the *uncut* speed (60 frames early), is above 0.10.

    Args:
        joints: (T, 55, 3) metres.
        wave: (S,) the recording's sound at 16 kHz.
        mean_speed: (55,) m/s, BEAT2's ``mean_vel_smplxflame_30.npy``.

    Returns:
        The values, and their weight in the mean over recordings: T - 120, or 0 where nothing is left.
    """
    frames = len(joints) - 2 * F.BEAT_SKIP
    if frames <= 0:
        return Alignment(0.0, 0.0), 0
    beats = F.motion_beats(joints, mean_speed, threshold=THRESHOLD)
    heard = heard_wave(wave, len(joints))
    onsets = F.audio_onsets(heard) if len(heard) else np.zeros(0)
    return alignment(onsets, beats), frames


def semantic_weights(rows: Iterable[tuple], frames: int) -> np.ndarray:
    """Semantic weight (T,) of each frame: the largest of the labels from floor(30 start) to ceil(30 end) - 1, else 0.

    Args:
        rows: (label, start s, end s, weight, ...) as :func:`semtalk.data.recording.read_semantics` reads ``sem/ID.txt``
            (label, start, end, duration, weight, comment); a row that ends before it begins is left out.
        frames: T.
    """
    weights = np.zeros(frames)
    for _, start, end, weight, *_ in rows:
        if end > start:
            covered = slice(max(0, int(np.floor(FPS * start))), max(0, int(np.ceil(FPS * end))))
            weights[covered] = np.maximum(weights[covered], weight)
    return weights


def semantic_recall(joints: np.ndarray, true: np.ndarray, weights: np.ndarray) -> tuple[float, int]:
    """SRGR of one recording: mean over frames and joints of (within 0.10 m of the truth) x weight / 0.1672.

    Unlike :func:`semtalk.metrics.functional.semantic_recall` it is not divided by the recording's own weights.

    Args:
        joints: (T, 55, 3) metres.
        true: The same of the truth.
        weights: (T,) see :func:`semantic_weights`.

    Returns:
        The value, and its weight in the mean over recordings: the frames that all three have.
    """
    frames = min(len(joints), len(true), len(weights))
    distance = np.linalg.norm(np.asarray(joints[:frames]) - np.asarray(true[:frames]), axis=-1)
    hits = (distance < NEAR) * np.asarray(weights[:frames])[:, None] / MEAN_WEIGHT
    return float(hits.mean()), frames


@dataclass(frozen=True)
class Moments:
    """What a Frechet distance needs to know of rows, however many; those of several recordings add up.

    Attributes:
        count: N rows.
        total: (D,) their sum.
        products: (D, D) the sum of their outer products.
    """

    count: int
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Moments":
        """Of rows (N, D)."""
        rows = np.asarray(rows, np.float64)
        return cls(len(rows), rows.sum(axis=0), rows.T @ rows)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    @property
    def mean(self) -> np.ndarray:
        """(D,) mean row."""
        return self.total / self.count

    @property
    def covariance(self) -> np.ndarray:
        """(D, D) as numpy's ``cov`` has it, over N - 1."""
        return (self.products - self.count * np.outer(self.mean, self.mean)) / (self.count - 1)


def pose_moments(poses: np.ndarray) -> Moments:
    """What FD_g is of: moments of the axis-angle rows (T, 165) of one recording, in radians."""
    return Moments.of(_flat(poses))


def motion_moments(poses: np.ndarray) -> Moments:
    """What FD_k is of: moments of the frame differences of axis-angle rows (T, 165), in radians."""
    return Moments.of(np.diff(_flat(poses), axis=0))


def frechet_of_moments(own: Moments, true: Moments) -> float:
    """FD_g of the sums of :func:`pose_moments` over recordings, FD_k of those of :func:`motion_moments`.

    1e-6 is added to the covariances only where the root of their product is not finite.
    """
    return F.frechet_of_gaussians(own.mean, own.covariance, true.mean, true.covariance)


def temporal_variance(poses: np.ndarray) -> float:
    """DIV_k of one recording: mean over the 165 numbers of their variance over time, in square radians.

    The value of a system is the mean over its files, each counting once.

    Args:
        poses: (T, 165) or (T, 55, 3) axis-angle.
    """
    return float(_flat(poses).var(axis=0).mean())


def sample_variance(samples: Sequence[np.ndarray]) -> float:
    """DIV_sample of one recording: variance over its samples of each number of the poses, mean over all of them.

    The value of a system is the mean over recordings, each counting once.

    Args:
        samples: Two or more, each (T, 165) or (T, 55, 3) axis-angle; they are cut to the shortest.

    Raises:
        ValueError: There are fewer than two.
    """
    if len(samples) < 2:
        raise ValueError(f"the diversity over samples is of two or more, got {len(samples)}.")
    frames = min(map(len, samples))
    return float(np.stack([_flat(poses[:frames]) for poses in samples]).var(axis=0).mean())


def _flat(poses: np.ndarray) -> np.ndarray:
    return np.asarray(poses, np.float64).reshape(len(poses), -1)


def fgd(true: np.ndarray, samples: Sequence[np.ndarray]) -> float:
    """FGD of the truth against all samples.

    1e-6 is added to the covariances in the root alone. Latents are of whole recordings cut to a multiple of 32 frames.

    Args:
        true: (N, D) latents of all recordings' true motion.
        samples: For each number of a sample the latents (M, D) of all recordings; one where a system is deterministic.
    """
    return F.frechet_distance(np.concatenate(samples), true, "root")


def fgd_script(true: np.ndarray, samples: Sequence[np.ndarray]) -> float:
    """FGD as the leaderboard's script at 49aab47 has it: the first samples against the truth *and the other samples*.

    With one sample it is :func:`fgd`; arguments are as there.
    """
    return F.frechet_distance(samples[0], np.concatenate([true, *samples[1:]]), "root")


def weighted_mean(rows: np.ndarray) -> float:
    """Mean of values by their weights; rows (N, 2) are a recording's value and weight each."""
    return float((rows[:, 0] * rows[:, 1]).sum() / rows[:, 1].sum())


def bootstrap_interval(
    statistic: Callable[..., float], *sets: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """95% interval of a statistic: 2.5 and 97.5 percentiles over resamples of rows with replacement.

    Args:
        statistic: Of the sets, as ``weighted_mean`` of values and weights, or ``frechet_distance`` of latents.
        sets: Arrays (N, ...); the rows of each are drawn apart from those of the others.
        resamples: How many.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    found = [statistic(*(rows[rng.integers(len(rows), size=len(rows))] for rows in sets)) for _ in range(resamples)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def ranks_by_closeness(values: Mapping[str, float], truth: float) -> dict[str, int]:
    """Ranks of systems where nearer to captured motion is better, as for BA and DIV; 1 is the nearest.

    Args:
        values: System -> value; what is not a number has no rank.
        truth: The value of captured motion.

    Returns:
        System -> rank; equally near ones share theirs.
    """
    away = {name: abs(value - truth) for name, value in values.items() if np.isfinite(value)}
    return {name: 1 + sum(other < own for other in away.values()) for name, own in away.items()}
