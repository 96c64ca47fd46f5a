"""Rotations: axis-angle, quaternions, matrices and the 6D form; gradients are finite everywhere.

6D follows the field's convention (Zhou et al. 2019, as in PyTorch3D): the first two *rows* of the matrix, flattened.
"""

import math

import torch
from einops import rearrange
from torch import Tensor

SMALL = 1e-6
"""Radians below which a rotation is that of its first order."""
SHORT = 1e-8
"""Vectors are not stretched beyond 1 / this when they are scaled to length 1."""


def norm(vector: Tensor) -> Tensor:
    """Length (..., 1) of vectors (..., n)."""
    return torch.linalg.vector_norm(vector, dim=-1, keepdim=True)


def _matrix(*entries: Tensor) -> Tensor:
    """Matrices (..., 3, 3) of nine entries (...), row by row."""
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Turn axis-angle vectors (..., 3) in radians into rotation matrices (..., 3, 3): Rodrigues' formula."""
    angle = norm(axis_angle)
    axis = axis_angle / angle.clamp(min=SMALL)
    x, y, z = axis.unbind(-1)
    sx, sy, sz = (axis * angle.sin()).unbind(-1)
    rest = 1 - angle.cos()
    xx, yy, zz = (axis**2 * rest).unbind(-1)
    xy, xz, yz = (torch.stack([x * y, x * z, y * z], dim=-1) * rest).unbind(-1)
    turned = _matrix(1 - yy - zz, xy - sz, xz + sy, xy + sz, 1 - xx - zz, yz - sx, xz - sy, yz + sx, 1 - xx - yy)
    x, y, z = axis_angle.unbind(-1)
    one = torch.ones_like(x)
    return torch.where(angle[..., None] < SMALL, _matrix(one, -z, y, z, one, -x, -y, x, one), turned)


def axis_angle_to_quaternion(axis_angle: Tensor) -> Tensor:
    """Turn axis-angle vectors (..., 3) in radians into unit quaternions (..., 4): x, y, z, w."""
    half = norm(axis_angle) / 2
    return torch.cat([torch.sinc(half / math.pi) / 2 * axis_angle, half.cos()], dim=-1)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """Turn rotation matrices (..., 3, 3) into unit quaternions (..., 4): x, y, z, w.

    The entries of ``4 q q^T`` are sums of the matrix's; the row of the largest component is scaled to length 1
    (Markley 2008, Unit quaternion from rotation matrix).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    squares = [1 + xx - yy - zz, 1 + yy - zz - xx, 1 + zz - xx - yy, 1 + xx + yy + zz]
    sxy, sxz, syz = yx + xy, zx + xz, zy + yz
    wx, wy, wz = zy - yz, xz - zx, yx - xy
    rows = [
        (squares[0], sxy, sxz, wx),
        (sxy, squares[1], syz, wy),
        (sxz, syz, squares[2], wz),
        (wx, wy, wz, squares[3]),
    ]
    largest = torch.stack(squares, dim=-1).argmax(dim=-1)[..., None, None]
    products = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    row = products.gather(-2, largest.expand(*largest.shape[:-1], 4)).squeeze(-2)
    return row / norm(row)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Turn rotation matrices (..., 3, 3) into axis-angle vectors (..., 3) in radians, angles in [0, pi]."""
    quaternion = matrix_to_quaternion(matrix)
    quaternion = torch.where(quaternion[..., 3:] > 0, quaternion, -quaternion)
    vector, w = quaternion.split([3, 1], dim=-1)
    return 2 * _angle_over_sine(torch.atan2(norm(vector), w)) * vector


def _angle_over_sine(angle: Tensor) -> Tensor:
    """``x / sin(x)``; by its series where sine and angle are too small to be divided without loss in the gradient."""
    small = angle.abs() < 2 * torch.finfo(angle.dtype).eps ** (1 / 6)
    series = 1 + angle**2 / 6 + 7 * angle**4 / 360
    return torch.where(small, series, angle / torch.where(small, 1, angle.sin()))


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """Take the first two rows of matrices (..., 3, 3) as (..., 6)."""
    return rearrange(matrix[..., :2, :], "... row column -> ... (row column)")


def rotation_6d_to_matrix(rotation_6d: Tensor) -> Tensor:
    """Orthonormalise 6D rotations (..., 6) by Gram-Schmidt into matrices (..., 3, 3)."""
    first, second = rotation_6d.unflatten(-1, (2, 3)).unbind(-2)
    first = first / norm(first).clamp(min=SHORT)
    second = second - (first * second).sum(dim=-1, keepdim=True) * first
    second = second / norm(second).clamp(min=SHORT)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


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
