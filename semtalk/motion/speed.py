"""How fast joints move, and files that say so."""

from pathlib import Path

import numpy as np

from semtalk.arrays import read_npy
from semtalk.errors import SemTalkError
from semtalk.motion.skeleton import FPS, NUM_JOINTS


def joint_speed(joints: np.ndarray, fps: int = FPS) -> np.ndarray:
    """Speed (T, J) in m/s of joints (T, J, 3); central differences, one-sided at the ends."""
    return np.linalg.norm(np.gradient(np.asarray(joints, np.float64), 1 / fps, axis=0), axis=-1)


def speed_sum(joints: np.ndarray) -> np.ndarray:
    """Sum over frames (J,) of the speed in m/s of joints (T, J, 3); a single frame stands still."""
    return joint_speed(joints).sum(axis=0) if len(joints) > 1 else np.zeros(joints.shape[1])


def read_mean_speed(path: Path) -> np.ndarray:
    """Mean joint speed (55,) in m/s of an npy file.

    Raises:
        SemTalkError: It is damaged, or holds something else.
    """
    speed = read_npy(path)
    if speed.shape != (NUM_JOINTS,):
        raise SemTalkError(f"{path}: give one array of the shape ({NUM_JOINTS},), a speed in m/s for each joint.")
    speed = speed.astype(np.float64)
    if not (np.isfinite(speed).all() and speed.min() >= 0 and speed.max() > 0):
        raise SemTalkError(f"{path}: no mean speeds; give finite numbers in m/s from 0, and not 0 alone.")
    return speed
