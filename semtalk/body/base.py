"""What every body model offers, and the kinematics that they share."""

from abc import abstractmethod
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from semtalk.motion.precision import without_autocast
from semtalk.motion.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from semtalk.motion.skeleton import NUM_JOINTS, PARENTS


@cache
def _levels() -> list[tuple[list[int], list[int]]]:
    """Joints grouped by depth below the root, and where each one's parent stands in the group before."""
    groups, before = [], [0]
    while children := [joint for joint in range(1, NUM_JOINTS) if PARENTS[joint] in before]:
        groups.append((children, [before.index(PARENTS[joint]) for joint in children]))
        before = children
    return groups


def forward_kinematics(rotations: Tensor, rest_joints: Tensor) -> Tensor:
    """Pose a skeleton.

    Args:
        rotations: (..., 55, 3, 3) local rotation matrices.
        rest_joints: (..., 55, 3) joint positions at rest in metres; broadcasts over the leading dimensions.

    Returns:
        (..., 55, 3) joint positions in metres, before translation.
    """
    with without_autocast(rotations):
        return _pose(rotations.float() if rotations.dtype != torch.float64 else rotations, rest_joints)


def world_rotations(rotations: Tensor) -> Tensor:
    """Rotations (..., 55, 3, 3) of joints in the world, from their local ones."""
    world: list[Tensor] = []
    for joint, parent in enumerate(PARENTS):
        local = rotations[..., joint, :, :]
        world.append(local if parent < 0 else world[parent] @ local)
    return torch.stack(world, dim=-3)


def _pose(rotations: Tensor, rest_joints: Tensor) -> Tensor:
    rest_joints = rest_joints.expand(*rotations.shape[:-3], NUM_JOINTS, 3)
    offsets = rest_joints[..., 1:, :] - rest_joints[..., list(PARENTS[1:]), :]
    joints = [joint for group, _ in _levels() for joint in group]
    sizes = [len(group) for group, _ in _levels()]
    local = rotations[..., joints, :, :].split(sizes, dim=-3)
    offset = offsets[..., [joint - 1 for joint in joints], :, None].split(sizes, dim=-3)
    rotation, position = rotations[..., :1, :, :], rest_joints[..., :1, :]
    positions = [position]
    for (_, parents), turn, step in zip(_levels(), local, offset, strict=True):
        parent = rotation[..., parents, :, :]
        position = position[..., parents, :] + (parent @ step)[..., 0]
        rotation = parent @ turn
        positions.append(position)
    order = [0, *joints]
    return torch.cat(positions, dim=-2)[..., [order.index(joint) for joint in range(NUM_JOINTS)], :]


class BodyModel(nn.Module):
    """Joints and face vertices of an SMPL-X body.

    Attributes:
        name: What reports call it.
        stand_in: True when numbers from it are not numbers of SMPL-X.
        version: Raised when the same motion gives other joints.
        has_landmarks: Whether :meth:`face_landmarks` has any, and expressions are SMPL-X's.
        source: The file that it is read from, or none.
    """

    name: str
    stand_in: bool
    version: int = 1
    has_landmarks: bool = False
    source: Path | None = None

    lips: Tensor
    """(L,) which of the face's vertices are the lips; a body need not say it."""
    hand_mean: Tensor
    """(30, 3) axis-angle that is added to the hand joints (SMPL-X's ``flat_hand_mean=False``)."""

    @abstractmethod
    def rest_joints(self, betas: Tensor) -> Tensor:
        """Joint positions (..., 55, 3) in metres of the unposed shape (..., 300)."""

    @abstractmethod
    def face_vertices(self, jaw: Tensor, expressions: Tensor, betas: Tensor) -> Tensor:
        """Vertices (T, V, 3) in metres with only jaw (T, 3) and expressions (T, 100) moving, for the shape (300,)."""

    def points(self, poses: Tensor, expressions: Tensor, betas: Tensor) -> Tensor | None:
        """SMPL-X's 127 points (T, 127, 3) in metres without translation: joints, 21 vertices, 51 landmarks of the face.

        Args:
            poses: (T, 55, 3) axis-angle.
            expressions: (T, 100).
            betas: (300,) shape.

        Returns:
            The points; none of a body that has no such vertices.
        """
        return None

    def surface(self) -> tuple[Tensor, Tensor] | None:
        """Corners (F, 3) of what :meth:`face_vertices` gives, and how its vertices hang on the joints (V, 55).

        None of a body whose face is not to be drawn.
        """
        return None

    def face_landmarks(self, jaw: Tensor, expressions: Tensor, betas: Tensor) -> Tensor:
        """The last 51 points of the 68-point scheme (T, 51, 3) in metres, moved as in :meth:`face_vertices`."""
        raise NotImplementedError(f"{self.name} has no landmarks of the face.")

    def matrices(self, poses: Tensor) -> Tensor:
        """Local rotation matrices (..., 55, 3, 3) of axis-angle poses (..., 55, 3), the mean hand added."""
        shift = torch.cat([self.hand_mean.new_zeros(NUM_JOINTS - len(self.hand_mean), 3), self.hand_mean])
        return axis_angle_to_matrix(poses + shift.to(poses.dtype))

    def with_mean_hand(self, rotations: Tensor) -> Tensor:
        """Local rotation matrices (..., 55, 3, 3) without the mean hand, as 6D rotations give them, with it added."""
        with without_autocast(rotations):
            body, hands = rotations.float().split([NUM_JOINTS - len(self.hand_mean), len(self.hand_mean)], dim=-3)
            return torch.cat([body, axis_angle_to_matrix(matrix_to_axis_angle(hands) + self.hand_mean)], dim=-3)

    def joints(self, poses: Tensor, betas: Tensor, trans: Tensor | None = None) -> Tensor:
        """Joint positions (..., T, 55, 3) in metres.

        Args:
            poses: (..., T, 55, 3) axis-angle.
            betas: (..., 300) shape.
            trans: (..., T, 3) translation, or none.
        """
        joints = forward_kinematics(self.matrices(poses), self.rest_joints(betas)[..., None, :, :].to(poses.dtype))
        return joints if trans is None else joints + trans[..., None, :]
