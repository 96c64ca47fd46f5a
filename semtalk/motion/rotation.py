"""Rotations: axis-angle, matrices and the 6D form, on roma.

6D follows the field's convention (Zhou et al. 2019, as in PyTorch3D): the first two *rows* of the matrix, flattened.
"""

import math

import roma
import torch
from einops import rearrange
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Turn axis-angle vectors (..., 3) in radians into rotation matrices (..., 3, 3)."""
    return roma.rotvec_to_rotmat(axis_angle)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Turn rotation matrices (..., 3, 3) into axis-angle vectors (..., 3) in radians, angles in [0, pi]."""
    return roma.rotmat_to_rotvec(matrix)


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """Take the first two rows of matrices (..., 3, 3) as (..., 6)."""
    return rearrange(matrix[..., :2, :], "... row column -> ... (row column)")


def rotation_6d_to_matrix(rotation_6d: Tensor) -> Tensor:
    """Orthonormalise 6D rotations (..., 6) by Gram-Schmidt into matrices (..., 3, 3)."""
    columns = rearrange(rotation_6d, "... (row column) -> ... column row", row=2)
    return roma.special_gramschmidt(columns, epsilon=1e-8).transpose(-1, -2)


def axis_angle_to_6d(axis_angle: Tensor) -> Tensor:
    """Turn axis-angle vectors (..., 3) into 6D rotations (..., 6)."""
    return matrix_to_6d(axis_angle_to_matrix(axis_angle))


def rotation_6d_to_axis_angle(rotation_6d: Tensor) -> Tensor:
    """Turn 6D rotations (..., 6) into axis-angle vectors (..., 3)."""
    return matrix_to_axis_angle(rotation_6d_to_matrix(rotation_6d))


def geodesic_distance(a: Tensor, b: Tensor, epsilon: float = 1e-7) -> Tensor:
    """Angle in radians between rotation matrices (..., 3, 3), with a finite gradient everywhere.

    ``|A - B|_F = 2 sqrt(2) sin(angle / 2)``; epsilon keeps the root and the arcsine away from their poles.
    """
    chord = (a - b).square().sum(dim=(-1, -2)).add(epsilon**2).sqrt()
    return 2 * torch.asin((chord / (2 * math.sqrt(2))).clamp(max=1 - epsilon))
