"""How fast joints move."""

import numpy as np

from semtalk.motion.skeleton import FPS


def joint_speed(joints: np.ndarray, fps: int = FPS) -> np.ndarray:
    """Speed (T, J) in m/s of joints (T, J, 3); central differences, one-sided at the ends."""
    return np.linalg.norm(np.gradient(np.asarray(joints, np.float64), 1 / fps, axis=0), axis=-1)
