"""SHOW's metrics as pure functions of numpy arrays: TalkSHOW's released ones, and DiffSHEG's as reconstructed.

None of them shares a unit or a formula with BEAT2's tables of the same name (:mod:`semtalk.metrics.functional`);
docs/metrics.md says what is known of each and what is not. Poses are (T, 165) axis-angle in SMPL-X's order, positions
metres, 30 frames a second. Joints are SMPL-X's 127 points: 55 joints, 21 vertices, 51 landmarks of the face.
"""

from collections.abc import Sequence

import numpy as np

from semtalk.metrics.functional import gaussians
from semtalk.motion.skeleton import FPS, JAW, SAMPLE_RATE, SHOW_WINDOW, pose_columns

SITTING = {
    0: (3.0747, -0.0158, -0.0152), 1: (-1.1826512813568115, 0.23866955935955048, 0.15146760642528534),
    2: (-1.2604516744613647, -0.3160211145877838, -0.1603458970785141), 4: (1.1654603481292725, 0.0, 0.0),
    5: (1.2521806955337524, 0.041598282754421234, -0.06312154978513718),
    **dict.fromkeys((7, 8, 10, 11, 22, 23, 24), (0.0, 0.0, 0.0)),
}  # fmt: skip
"""Joint -> what stands in its place where joints of the body are compared."""
BODY_JOINTS = 22
JAW_POINTS = slice(22, 25)
LANDMARKS = slice(74, 127)
"""51 landmarks of the face, and two finger tips before them that never move here."""
ANGLE_CHANGE = np.array([6.0181e-05, 5.1597e-05, 2.1344e-04, 2.1899e-04])
"""What changes of the four angles are divided by."""
BEAT_DROP = 0.01
BEAT_SIGMA = 0.1


def body_pose(poses: np.ndarray) -> np.ndarray:
    """Poses (T, 165) that joints of the body are computed from: legs, root, jaw and eyes as in :data:`SITTING`."""
    own = np.array(poses, np.float64)
    for joint, value in SITTING.items():
        own[:, pose_columns([joint])] = value
    return own


def face_pose(poses: np.ndarray) -> np.ndarray:
    """Poses (T, 165) that points of the face are computed from: the jaw alone; expressions are kept beside them."""
    own = np.zeros_like(poses, dtype=np.float64)
    jaw = pose_columns([JAW])
    own[:, jaw] = poses[:, jaw]
    return own


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance of feature rows (N, D) and (M, D), unbiased covariances, by the eigenvalues of Ca^1/2 Cb Ca^1/2.

    Raises:
        ValueError: Fewer than two rows, different widths, or values that are not finite.
    """
    mean_a, cov_a, mean_b, cov_b = gaussians(a, b)
    gap = mean_a - mean_b
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root @ cov_b @ root
    inner = np.linalg.eigvalsh((product + product.T) / 2)
    distance = gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(inner.clip(0)).sum()
    return max(float(distance), 0.0)


def variation(joints: np.ndarray) -> float:
    """Variation over samples (B, T, J, 3), B >= 2: norm of each joint's variance, summed over joints, mean over frames.

    Raises:
        ValueError: There is one sample, whose variance is not defined.
    """
    if len(joints) < 2:
        raise ValueError("variation is over samples: there must be two or more.")
    return float(np.linalg.norm(np.var(joints, axis=0, ddof=1), axis=-1).sum(axis=-1).mean())


def angle_changes(joints: np.ndarray) -> np.ndarray:
    """Changes (T, 4) of the angles between collar and upper arm, and upper arm and forearm, left and right; first 0.

    "Angles" of vectors that are not of unit length, as the released evaluator has them.
    """
    joints = np.asarray(joints, np.float64)
    collar = joints[:, [16, 17]] - joints[:, [13, 14]]
    upper = joints[:, [18, 19]] - joints[:, [16, 17]]
    fore = joints[:, [20, 21]] - joints[:, [18, 19]]
    inner = np.concatenate([(upper * collar).sum(axis=-1), (fore * upper).sum(axis=-1)], axis=1)
    angle = np.arccos(np.clip(inner, -1, 1)) / np.pi
    return np.concatenate([np.zeros((1, 4)), np.abs(np.diff(angle, axis=0)) / ANGLE_CHANGE / 4])


def beat_consistency(joints: np.ndarray, onsets: np.ndarray) -> tuple[float, int]:
    """Beat consistency of one clip: sum of exp(-d^2 / 2 sigma^2) over onsets and channels with a beat, and their count.

    A corpus's value is the sum of sums over the sum of counts.

    Args:
        joints: (T, 22 or more, 3) metres.
        onsets: (N,) seconds.
    """
    onsets = np.asarray(onsets, np.float64).ravel()
    if len(joints) < 3 or not len(onsets):
        return 0.0, 0
    change, total, count = angle_changes(joints), 0.0, 0
    before, now, after = change[:-2], change[1:-1], change[2:]
    least = (now < before) & (now < after)
    beats = least & ((before - now >= BEAT_DROP) | (after - now >= BEAT_DROP))
    for channel in range(4):
        times = (np.flatnonzero(beats[:, channel]) + 1) / FPS
        if len(times):
            distance = np.abs(onsets[:, None] - times).min(axis=1)
            total += float(np.exp(-(distance**2) / (2 * BEAT_SIGMA**2)).sum())
            count += len(onsets)
    return total, count


def heard(wave: np.ndarray, frames: int) -> np.ndarray:
    """Wave (S,) at 16 kHz as onsets are looked for in it: cut, or filled with silence, to the frames of the motion."""
    samples = SAMPLE_RATE * frames // FPS
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))


def speeds(points: np.ndarray) -> np.ndarray:
    """Norms (..., T - 1, P) of the differences of points (..., T, P, 3) from frame to frame."""
    return np.linalg.norm(np.diff(np.asarray(points, np.float64), axis=-3), axis=-1)


def body_lvd(true: np.ndarray, samples: np.ndarray) -> float:
    """Difference of speeds of the first 22 joints, summed over joints, mean over frames and samples; metres a frame.

    Args:
        true: (T, J, 3) metres.
        samples: (B, T', J, 3); both are cut to the shorter.
    """
    frames = min(len(true), samples.shape[1])
    own, real = speeds(samples[:, :frames, :BODY_JOINTS]), speeds(true[:frames, :BODY_JOINTS])
    return float(np.abs(own - real).sum(axis=-1).mean())


def body_error(true: np.ndarray, samples: np.ndarray) -> float:
    """Distance in metres of points (B, T, J, 3) to the true (T, J, 3): summed over points, mean of the rest."""
    return float(np.linalg.norm(np.asarray(true, np.float64) - samples, axis=-1).sum(axis=-1).mean())


def face_errors(true: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """Errors of the face's points: ``jaw_l1``, ``landmark_l1`` and their sum ``l2`` in metres, ``lvd`` a frame.

    Args:
        true: (T, 127, 3) points of :func:`face_pose` and the expressions.
        own: (T, 127, 3).
    """
    true, own = np.asarray(true, np.float64), np.asarray(own, np.float64)
    jaw, landmark = (
        float(np.linalg.norm(true[:, points] - own[:, points], axis=-1).sum(axis=-1).mean())
        for points in (JAW_POINTS, LANDMARKS)
    )
    faces = [np.concatenate([points[:, JAW_POINTS], points[:, LANDMARKS]], axis=1) for points in (own, true)]
    lvd = np.abs(speeds(faces[0]) - speeds(faces[1])).sum(axis=-1).mean() if len(true) > 1 else 0.0
    return {"jaw_l1": jaw, "landmark_l1": landmark, "l2": jaw + landmark, "lvd": float(lvd)}


def windows(values: np.ndarray) -> np.ndarray:
    """Windows (N, 88, D) of (T, D) one behind the other; what is left at the end is dropped."""
    count = len(values) // SHOW_WINDOW
    return values[: count * SHOW_WINDOW].reshape(count, SHOW_WINDOW, *values.shape[1:])


def near_share(own: np.ndarray, true: np.ndarray, limit: float = 1.0) -> float:
    """PCM: share of the 43 normalised 3-vectors of (N, 88, 129) whose error is below a limit."""
    gap = np.linalg.norm((own - true).reshape(*own.shape[:-1], -1, 3), axis=-1)
    return float((gap < limit).mean())


def pair_difference(clips: np.ndarray) -> float:
    """Diversity of windows (N, ...): mean over all pairs of the mean absolute difference; not a number below two.

    In each coordinate the sum over pairs is that of the sorted values, each times how many lie below less those above.
    """
    count = len(clips)
    if count < 2:
        return float("nan")
    ordered = np.sort(np.asarray(clips, np.float64).reshape(count, -1), axis=0)
    sums = (2 * np.arange(count) - count + 1) @ ordered
    return float(sums.mean() / (count * (count - 1) / 2))


def pooled(parts: Sequence[tuple[float, int]]) -> float:
    """Sum of sums over sum of counts, of :func:`beat_consistency` of clips; not a number where nothing counts."""
    total, count = (sum(values) for values in zip(*parts, strict=True)) if parts else (0.0, 0)
    return total / count if count else float("nan")
