"""What every body model offers, and the kinematics that they share."""

from abc import abstractmethod
from functools import cache

import torch
from torch import Tensor, nn

from semtalk.motion.rotation import axis_angle_to_matrix
from semtalk.motion.skeleton import NUM_JOINTS, PARENTS


@cache
def _levels() -> list[tuple[list[int], list[int]]]:
    """Joints grouped by depth, each group with its parents."""
    depth = [0] * NUM_JOINTS
    for joint in range(1, NUM_JOINTS):
        depth[joint] = depth[PARENTS[joint]] + 1
    groups = [[joint for joint in range(NUM_JOINTS) if depth[joint] == level] for level in range(1, max(depth) + 1)]
    return [(group, [PARENTS[joint] for joint in group]) for group in groups]


def forward_kinematics(rotations: Tensor, rest_joints: Tensor) -> Tensor:
    """Pose a skeleton.

    Args:
        rotations: (..., 55, 3, 3) local rotation matrices.
        rest_joints: (..., 55, 3) joint positions at rest in metres; broadcasts over the leading dimensions.

    Returns:
        (..., 55, 3) joint positions in metres, before translation.
    """
    with torch.autocast(rotations.device.type, enabled=False):
        return _pose(rotations.float() if rotations.dtype != torch.float64 else rotations, rest_joints)


def _pose(rotations: Tensor, rest_joints: Tensor) -> Tensor:
    rest_joints = rest_joints.expand(*rotations.shape[:-3], NUM_JOINTS, 3)
    offsets = rest_joints[..., 1:, :] - rest_joints[..., list(PARENTS[1:]), :]
    world_rotation = {0: rotations[..., 0, :, :]}
    world_position = {0: rest_joints[..., 0, :]}
    for joints, parents in _levels():
        parent_rotation = torch.stack([world_rotation[parent] for parent in parents], dim=-3)
        parent_position = torch.stack([world_position[parent] for parent in parents], dim=-2)
        offset = offsets[..., [joint - 1 for joint in joints], :]
        rotation = parent_rotation @ rotations[..., joints, :, :]
        position = parent_position + (parent_rotation @ offset[..., None])[..., 0]
        world_rotation.update(zip(joints, rotation.unbind(-3), strict=True))
        world_position.update(zip(joints, position.unbind(-2), strict=True))
    return torch.stack([world_position[joint] for joint in range(NUM_JOINTS)], dim=-2)


class BodyModel(nn.Module):
    """Joints and face vertices of an SMPL-X body.

    Attributes:
        name: What reports call it.
        stand_in: True when numbers from it are not numbers of SMPL-X.
    """

    name: str
    stand_in: bool

    hand_mean: Tensor
    """(30, 3) axis-angle that is added to the hand joints (SMPL-X's ``flat_hand_mean=False``)."""

    @abstractmethod
    def rest_joints(self, betas: Tensor) -> Tensor:
        """Joint positions (..., 55, 3) in metres of the unposed shape (..., 300)."""

    @abstractmethod
    def face_vertices(self, jaw: Tensor, expressions: Tensor, betas: Tensor) -> Tensor:
        """Vertices (T, V, 3) in metres with only jaw (T, 3) and expressions (T, 100) moving, for the shape (300,)."""

    def matrices(self, poses: Tensor) -> Tensor:
        """Local rotation matrices (..., 55, 3, 3) of axis-angle poses (..., 55, 3), the mean hand added."""
        shift = torch.cat([self.hand_mean.new_zeros(NUM_JOINTS - len(self.hand_mean), 3), self.hand_mean])
        return axis_angle_to_matrix(poses + shift.to(poses.dtype))

    def joints(self, poses: Tensor, betas: Tensor, trans: Tensor | None = None) -> Tensor:
        """Joint positions (..., T, 55, 3) in metres.

        Args:
            poses: (..., T, 55, 3) axis-angle.
            betas: (..., 300) shape.
            trans: (..., T, 3) translation, or none.
        """
        joints = forward_kinematics(self.matrices(poses), self.rest_joints(betas)[..., None, :, :].to(poses.dtype))
        return joints if trans is None else joints + trans[..., None, :]


def load_body(path: str | None) -> BodyModel:
    """SMPL-X from ``path`` (a folder with ``smplx/SMPLX_NEUTRAL_2020.npz``), or the stand-in when it is none."""
    if path is None:
        from semtalk.body.stand_in import StandInBody

        return StandInBody()
    from semtalk.body.smplx_body import SMPLXBody

    return SMPLXBody(path)
