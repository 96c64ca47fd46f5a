"""Lips, feet and shaking: what a body may not do whatever it says, as pure functions of numpy arrays.

The ground is where the truth of the same take stands (:func:`ground_height`): a file of motion names none.
"""

from collections.abc import Iterable

import numpy as np
from scipy.signal import savgol_filter

from semtalk.motion.skeleton import FPS, JOINT_NAMES

SOLES = tuple(JOINT_NAMES.index(name) for name in ("left_foot", "right_foot"))
"""Joints 10 and 11, the balls of the feet: what is nearest to the ground of a body that stands."""
CONTACT_HEIGHT = 0.03
"""Metres above the ground below which a sole counts as standing."""
SMOOTHED_FRAMES = 15
"""Frames of the polynomial that smooths a motion: half a second."""
SMOOTHED_ORDER = 3


def lip_vertex_error(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Lip-vertex error (LVE): mean over frames of the largest distance of a lip vertex to its true place, in metres.

    Args:
        pairs: Pieces (t, V, 3) of the lips of two sequences in metres, one after another.
    """
    largest = [np.linalg.norm(np.asarray(a, np.float64) - b, axis=-1).max(axis=-1) for a, b in pairs]
    return float(np.concatenate(largest).mean())


def ground_height(soles: np.ndarray) -> float:
    """Height in metres of the ground under true soles (T, F, 3), y up: the median over frames of the lower one's."""
    return float(np.median(np.asarray(soles, np.float64)[..., 1].min(axis=1)))


def floating(soles: np.ndarray, ground: float) -> float:
    """Mean over frames of how far the lower of the soles (T, F, 3) is above the ground, in metres."""
    return float((soles[..., 1].min(axis=1) - ground).clip(min=0).mean())


def penetration(soles: np.ndarray, ground: float) -> float:
    """Mean over frames of how far the lower of the soles (T, F, 3) is below the ground, in metres."""
    return float((ground - soles[..., 1].min(axis=1)).clip(min=0).mean())


def foot_slide(soles: np.ndarray, ground: float, fps: int = FPS, height: float = CONTACT_HEIGHT) -> float | None:
    """Mean horizontal speed in m/s of the soles (T, F, 3) that stand; none where none ever does.

    A sole stands from one frame to the next where it is less than ``height`` metres above the ground in both.
    """
    soles = np.asarray(soles, np.float64)
    low = soles[..., 1] - ground < height
    stands = low[:-1] & low[1:]
    speed = np.linalg.norm(np.diff(soles[..., [0, 2]], axis=0), axis=-1) * fps
    return float(speed[stands].mean()) if stands.any() else None


def smoothed(joints: np.ndarray) -> np.ndarray:
    """Joints (T, J, 3) without what shakes: a cubic fitted to the half second around each frame (Savitzky and Golay).

    A motion that is shorter than that is one cubic.
    """
    joints = np.asarray(joints, np.float64)
    frames = min(SMOOTHED_FRAMES, len(joints) - (1 - len(joints) % 2))
    return savgol_filter(joints, frames, min(SMOOTHED_ORDER, frames - 1), axis=0)


def jitter(joints: np.ndarray) -> float:
    """Mean distance in metres of joints (T, J, 3) to where they are :func:`smoothed`: how far a motion shakes."""
    return float(np.linalg.norm(joints - smoothed(joints), axis=-1).mean())
