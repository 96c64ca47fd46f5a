"""Rotations in numpy alone, so that a character is read before torch is."""

import numpy as np


def rotation_of(transforms: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) of transforms (..., 4, 4) without their scale: the nearest ones."""
    left, _, right = np.linalg.svd(transforms[..., :3, :3])
    return left @ right


def rotation_of_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) of a quaternion x, y, z, w of any length."""
    vector, w = quaternion[:3], quaternion[3]
    return np.eye(3) + 2 / (quaternion @ quaternion) * (
        w * cross_matrix(vector) + np.linalg.matrix_power(cross_matrix(vector), 2)
    )


def cross_matrix(vector: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) whose products are those with vectors (..., 3)."""
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*vector.shape[:-1], 3, 3)


def shortest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotations (..., 3, 3) that turn directions (..., 3) into others, which may not be opposite."""
    start, end = (one / np.maximum(np.linalg.norm(one, axis=-1, keepdims=True), 1e-12) for one in (start, end))
    across, along = cross_matrix(np.cross(start, end)), (start * end).sum(axis=-1)[..., None, None]
    return np.eye(3) + across + across @ across / np.maximum(1 + along, 1e-9)


def turn_vectors(turns: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) that are turned by rotations (..., 3, 3)."""
    return (turns @ vectors[..., None])[..., 0]
