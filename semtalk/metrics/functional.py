"""FGD, L1 diversity, beat consistency, face MSE and LVD as pure functions of numpy arrays.

Names and quirks are those of the evaluators behind published tables (``legacy``: EMAGE, CVPR 2024, which SemTalk's
tables are comparable with). Where a quirk can be switched, the argument says so.
"""

import warnings
from collections.abc import Iterable
from typing import Literal

import numpy as np
from scipy import linalg, signal

from semtalk.motion.skeleton import FPS, SAMPLE_RATE, UPPER_JOINTS
from semtalk.motion.speed import joint_speed

BEAT_JOINTS = UPPER_JOINTS
"""Joints whose beats are compared with the audio's: 3, 6, 9, 12..21."""
BEAT_SIGMA = 0.3
BEAT_THRESHOLD = {"legacy": 0.30, "evaltools": 0.10}
BEAT_ORDER = 7
BEAT_SKIP = 60
"""Frames that beat consistency cuts at either end."""


Offset = Literal["legacy", "always", "root"]
"""Where a Frechet distance adds 1e-6 to the covariances' diagonals.

``legacy``: only where their product's root is not finite; ``always``; or ``root``: always, but in the root alone.
"""


def frechet_distance(a: np.ndarray, b: np.ndarray, eps: Offset = "legacy") -> float:
    """Frechet distance between the Gaussians of two feature sets (Heusel et al. 2017).

    Args:
        a: (N, D) features.
        b: (M, D) features.
        eps: See :data:`Offset`.

    Returns:
        A real number >= 0.

    Raises:
        ValueError: Fewer than two rows, different widths, or values that are not finite.
    """
    return frechet_of_gaussians(*gaussians(a, b), eps)


def gaussians(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means (D,) and unbiased covariances (D, D) of feature sets (N, D) and (M, D), in float64: of a, then of b.

    Raises:
        ValueError: Fewer than two rows, different widths, or values that are not finite.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"features must be (N, D) and (M, D) with N, M >= 2, got {a.shape} and {b.shape}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features hold NaN or infinite values.")
    cov_a, cov_b = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (a, b))
    return a.mean(axis=0), cov_a, b.mean(axis=0), cov_b


def frechet_of_gaussians(
    mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray, eps: Offset = "legacy"
) -> float:
    """:func:`frechet_distance` of sets whose means (D,) and covariances (D, D) are known, in float64."""
    mean = mean_a - mean_b
    offset = 1e-6 * np.eye(len(mean))
    if eps == "always":
        cov_a, cov_b = cov_a + offset, cov_b + offset
    root = _matrix_root((cov_a + offset) @ (cov_b + offset) if eps == "root" else cov_a @ cov_b)
    if not np.isfinite(root).all():
        root = _matrix_root((cov_a + offset) @ (cov_b + offset))
    distance = mean @ mean + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(np.real(root))
    return max(float(distance), 0.0)


def _matrix_root(matrix: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", linalg.LinAlgWarning)  # of one pose: its covariance has no rank
        root = linalg.sqrtm(matrix)
    return root[0] if isinstance(root, tuple) else root


def l1_diversity(joints: np.ndarray) -> tuple[float, int]:
    """L1 diversity (DIV) of one sequence: sum over coordinates of |p - sequence mean|, summed over frames.

    Args:
        joints: (T, J, 3) joint positions in metres, or (T, 3 J).

    Returns:
        The sum and T; a corpus's value is the sum of sums over the sum of frames.
    """
    flat = np.asarray(joints, np.float64).reshape(len(joints), -1)
    return float(np.abs(flat - flat.mean(axis=0)).sum()), len(flat)


def sample_diversity(joints: np.ndarray) -> float:
    """Diversity over samples: mean over pairs of samples and over frames of the sum over coordinates of |p_i - p_j|.

    Args:
        joints: (N, T, J, 3) joint positions in metres of N >= 2 samples for one speech.

    Returns:
        Metres, on the scale of DIV; 0 where all samples are alike.
    """
    flat = np.asarray(joints, np.float64).reshape(*joints.shape[:2], -1)
    pairs = [(a, b) for a in range(len(flat)) for b in range(a)]
    return float(np.mean([np.abs(flat[a] - flat[b]).sum(axis=-1).mean() for a, b in pairs]))


def audio_onsets(wave: np.ndarray, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Onset times in seconds of a wave (S,), by librosa with hop 512."""
    import librosa

    return librosa.onset.onset_detect(y=np.asarray(wave, np.float32), sr=sample_rate, hop_length=512, units="time")


def motion_beats(
    joints: np.ndarray,
    mean_speed: np.ndarray,
    fps: int = FPS,
    threshold: float = BEAT_THRESHOLD["legacy"],
    skip: int = BEAT_SKIP,
    mask_from_zero: bool = True,
) -> list[np.ndarray]:
    """Frames at which each joint's speed has a local minimum (lower than the 7 frames on either side).

    Args:
        joints: (T, J, 3) positions in metres.
        mean_speed: (J,) the corpus's mean speed in m/s, by which speeds are divided.
        fps: Frames a second.
        threshold: Only minima whose relative speed is above it count.
        skip: Frames cut at either end before minima are searched.
        mask_from_zero: Legacy's quirk: the threshold is looked up at the frame counted from the cut, not from 0.

    Returns:
        For each joint the frames, counted from the cut.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # a joint that never moves has no beats
        speed = joint_speed(joints, fps) / np.asarray(mean_speed)
    inner = speed[skip : len(speed) - skip]
    minima, joint = signal.argrelextrema(inner, np.less, axis=0, order=BEAT_ORDER)
    reference = speed if mask_from_zero else inner
    fast = reference[minima, joint] > threshold
    minima, joint = minima[fast], joint[fast]
    return [minima[joint == number] for number in range(speed.shape[1])]


def beat_consistency(
    onsets: np.ndarray,
    beats: list[np.ndarray],
    fps: int = FPS,
    sigma: float = BEAT_SIGMA,
    joints: tuple[int, ...] = BEAT_JOINTS,
) -> float:
    """Beat consistency (BC): mean over onsets of exp(-d^2 / 2 sigma^2), d the distance to the nearest motion beat.

    Args:
        onsets: (N,) seconds.
        beats: For each joint, frames.
        fps: Frames a second.
        sigma: Seconds.
        joints: Which joints count; one without beats counts 0.

    Returns:
        The mean over joints; 0 without onsets.
    """
    if not len(onsets):
        return 0.0
    scores = []
    for joint in joints:
        times = np.asarray(beats[joint]) / fps
        if not len(times):
            scores.append(0.0)
            continue
        distance = np.abs(np.asarray(onsets)[:, None] - times[None]).min(axis=1)
        scores.append(float(np.exp(-(distance**2) / (2 * sigma**2)).mean()))
    return float(np.mean(scores))


def trim_wave(
    wave: np.ndarray,
    frames: int,
    skip: int = BEAT_SKIP,
    fps: int = FPS,
    sample_rate: int = SAMPLE_RATE,
    untrimmed_end: bool = True,
) -> np.ndarray:
    """Cut a wave (S,) for beat consistency with ``frames`` of motion.

    ``untrimmed_end`` is legacy's quirk: the wave ends with the motion, but the cut at its end is counted from its own
    length, so that audio which outlasts the motion is cut too little.
    """
    samples = int(skip / fps * sample_rate)
    heard = wave[: int(sample_rate / fps * frames)]
    return heard[samples : len(wave if untrimmed_end else heard) - samples]


def face_mse(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared error of face vertices (T, V, 3) in metres."""
    return float(np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean())


def face_l1_position(a: np.ndarray, b: np.ndarray) -> float:
    """What legacy evaluators call LVD: mean L1 error of the *positions* (T, V, 3) of frames 1..T-1, in metres."""
    return float(np.abs(np.asarray(a, np.float64)[1:] - np.asarray(b, np.float64)[1:]).mean())


def face_velocity_difference(a: np.ndarray, b: np.ndarray) -> float:
    """LVD by its name: mean L1 difference of the velocities of vertices (T, V, 3), in metres per frame."""
    a, b = (np.diff(np.asarray(x, np.float64), axis=0) for x in (a, b))
    return float(np.abs(a - b).mean())


def face_errors(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """All three face metrics of one sequence whose vertices come in consecutive pieces.

    Args:
        pairs: Pieces (t, V, 3) of two sequences in metres.

    Returns:
        ``mse``, ``position`` and ``velocity``: what :func:`face_mse`, :func:`face_l1_position` and
        :func:`face_velocity_difference` give for the whole.
    """
    sums, frames, last = np.zeros(3), 0, None
    for a, b in pairs:
        difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        sums[0] += np.square(difference).mean(axis=(1, 2)).sum()
        sums[1] += np.abs(difference[0 if frames else 1 :]).mean(axis=(1, 2)).sum()
        joined = difference if last is None else np.concatenate([last, difference])
        sums[2] += np.abs(np.diff(joined, axis=0)).mean(axis=(1, 2)).sum()
        frames, last = frames + len(a), difference[-1:]
    later = max(frames - 1, 1)
    return {"mse": sums[0] / max(frames, 1), "position": sums[1] / later, "velocity": sums[2] / later}


def mean_jerk(joints: np.ndarray, fps: int = FPS) -> float:
    """Mean norm of the third derivative of joints (T, J, 3), in m/s^3: how shaky a motion is; 0 below 4 frames."""
    if len(joints) < 4:
        return 0.0
    return float(np.linalg.norm(np.diff(np.asarray(joints, np.float64), n=3, axis=0), axis=-1).mean() * fps**3)


def foot_skating(feet: np.ndarray, fps: int = FPS) -> float:
    """Mean horizontal speed in m/s of the foot that stands: in each frame, the lowest of the foot joints.

    Args:
        feet: (T, F, 3) positions in metres, y up.
        fps: Frames a second.
    """
    feet = np.asarray(feet, np.float64)
    if len(feet) < 2:
        return 0.0
    speed = np.linalg.norm(np.diff(feet[..., [0, 2]], axis=0), axis=-1) * fps
    return float(np.take_along_axis(speed, feet[:-1, :, 1].argmin(axis=1)[:, None], axis=1).mean())


def semantic_recall(joints: np.ndarray, true: np.ndarray, scores: np.ndarray, threshold: float = 0.1) -> float:
    """Semantic-relevant gesture recall (SRGR, Liu et al. 2022): share of joints near their place, by semantic score.

    Args:
        joints: (T, J, 3) positions in metres from the root.
        true: (T, J, 3) of the truth.
        scores: (T,) semantic score of each frame.
        threshold: Metres that count as near.

    Returns:
        Mean over joints and frames, frames weighted by their score.
    """
    near = (np.linalg.norm(np.asarray(joints) - np.asarray(true), axis=-1) < threshold).mean(axis=1)
    weight = np.nan_to_num(np.asarray(scores, np.float64))
    return float((near * weight).sum() / weight.sum())


def precision_recall_f1(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 of boolean (N,) predictions; 0 where nothing is right."""
    hits = int((predicted & true).sum())
    found, wanted = int(predicted.sum()), int(true.sum())
    return {
        "precision": hits / max(1, found),
        "recall": hits / max(1, wanted),
        "f1": 2 * hits / max(1, found + wanted),
    }
