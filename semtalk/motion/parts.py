"""Frames of motion as tensors, and their split into the four body parts and back."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from semtalk.motion.rotation import (
    axis_angle_to_6d,
    geodesic_distance,
    rotation_6d_to_axis_angle,
    rotation_6d_to_matrix,
)
from semtalk.motion.skeleton import EYES, FPS, NUM_EXPRESSIONS, NUM_JOINTS, PARTS, Part

IDENTITY_6D = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CONTACT_SPEED = 0.01
"""A foot joint slower than this, in metres per frame, stands."""


@dataclass
class Frames:
    """Motion in the channels that the networks see, any leading batch dimensions.

    Attributes:
        rotation: (..., T, 55, 6) local rotations in 6D.
        expressions: (..., T, 100) face expression coefficients.
        root: (..., T, 3) x velocity (m/s), height y (m), z velocity (m/s) of the translation.
        contact: (..., T, 4) 1 where a foot joint (7, 8, 10, 11) stands.
    """

    rotation: Tensor
    expressions: Tensor
    root: Tensor
    contact: Tensor

    def map(self, function) -> "Frames":
        """Apply a function to each of the four tensors."""
        return Frames(**{f.name: function(getattr(self, f.name)) for f in fields(self)})


def root_from_translation(trans: Tensor) -> Tensor:
    """Turn translation (..., T, 3) in metres into x velocity, height y, z velocity (..., T, 3).

    ``v_t = (p_(t+1) - p_t) * 30``; the last frame repeats the velocity before it (0 for a single frame).
    """
    velocity = torch.diff(trans, dim=-2) * FPS
    last = velocity[..., -1:, :] if velocity.shape[-2] else torch.zeros_like(trans)
    velocity = torch.cat([velocity, last], dim=-2)
    return torch.stack([velocity[..., 0], trans[..., 1], velocity[..., 2]], dim=-1)


def translation_from_root(root: Tensor, start: Tensor) -> Tensor:
    """Integrate x and z velocity (..., T, 3) from a start position (..., 3); y is taken as it is.

    ``p_0 = start``, ``p_t = p_(t-1) + v_(t-1) / 30``: the exact inverse of :func:`root_from_translation`.
    """
    step = root[..., :-1, :] / FPS
    path = torch.cat([torch.zeros_like(root[..., :1, :]), step.cumsum(dim=-2)], dim=-2) + start[..., None, :]
    return torch.stack([path[..., 0], root[..., 1], path[..., 2]], dim=-1)


def foot_contact(foot_positions: Tensor) -> Tensor:
    """Contact (..., T, 4) from the positions (..., T, 4, 3) in metres of joints 7, 8, 10, 11.

    1 where the joint moves less than 0.01 m to the next frame; the last frame is 1.
    """
    speed = torch.diff(foot_positions, dim=-3).norm(dim=-1)
    standing = (speed < CONTACT_SPEED).to(foot_positions.dtype)
    return torch.cat([standing, torch.ones_like(foot_positions[..., :1, :, 0])], dim=-2)


def part_channels(frames: Frames, part: Part) -> Tensor:
    """Collect the channels (..., T, D) of one part; D is ``part.width``."""
    channels = [frames.rotation[..., list(part.joints), :].flatten(-2)]
    if part.expressions:
        channels.append(frames.expressions)
    if part.root:
        channels.append(frames.root)
    if part.contact:
        channels.append(frames.contact)
    return torch.cat(channels, dim=-1)


def split_parts(frames: Frames) -> dict[str, Tensor]:
    """Split whole-body frames into the channels of the four parts."""
    return {name: part_channels(frames, part) for name, part in PARTS.items()}


def merge_parts(channels: dict[str, Tensor]) -> Frames:
    """Put part channels (..., T, D) together; joints and channels of absent parts, and the eyes, are at rest.

    The inverse of :func:`split_parts` but for the eyes, which the method does not model.
    """
    some = next(iter(channels.values()))
    lead = some.shape[:-1]
    frames = Frames(
        rotation=some.new_tensor(IDENTITY_6D).expand(*lead, NUM_JOINTS, 6).clone(),
        expressions=some.new_zeros(*lead, NUM_EXPRESSIONS),
        root=some.new_zeros(*lead, 3),
        contact=some.new_zeros(*lead, 4),
    )
    for name, value in channels.items():
        part = PARTS[name]
        widths = [part.rotation_width, part.expressions, part.root, part.contact]
        rotation, expressions, root, contact = value.split(widths, dim=-1)
        frames.rotation[..., list(part.joints), :] = rotation.unflatten(-1, (len(part.joints), 6))
        if part.expressions:
            frames.expressions = expressions
        if part.root:
            frames.root = root
        if part.contact:
            frames.contact = contact
    return frames


def motion_channels(frames: Frames, trans: Tensor, world: bool = False) -> Tensor:
    """Whole-body channels (..., T, 337) of a window: rotations 330, translation 3, contact 4.

    Horizontal translation is counted from the window's first frame, so that where a person stands does not matter;
    the released networks count it from the origin of the world.

    Args:
        frames: The window's frames.
        trans: (..., T, 3) translation in metres.
        world: Count from the origin of the world.
    """
    if world:
        return torch.cat([frames.rotation.flatten(-2), trans, frames.contact], dim=-1)
    origin = trans[..., :1, :] * trans.new_tensor([1.0, 0.0, 1.0])
    return torch.cat([frames.rotation.flatten(-2), trans - origin, frames.contact], dim=-1)


def rotation_from_poses(poses: Tensor) -> Tensor:
    """6D rotations (..., 55, 6) of axis-angle poses (..., 55, 3)."""
    return axis_angle_to_6d(poses)


def poses_from_rotation(rotation: Tensor) -> Tensor:
    """Axis-angle poses (..., 55, 3) of 6D rotations (..., 55, 6); the eyes, which are not modelled, are zero."""
    poses = rotation_6d_to_axis_angle(rotation)
    poses[..., list(EYES), :] = 0
    return poses


def batch_frames(batch: dict[str, Tensor]) -> Frames:
    """Frames (B, T, ...) of a batch."""
    return Frames(*(batch[key] for key in ("rotation", "expressions", "root", "contact")))


def rotation_error(prediction: Tensor, target: Tensor, part) -> Tensor:
    """Angle in degrees (..., T, J) between the rotations of two sets of part channels (..., T, D)."""
    shape = (len(part.joints), 6)
    a, b = (
        rotation_6d_to_matrix(channels[..., : part.rotation_width].unflatten(-1, shape))
        for channels in (prediction, target)
    )
    return geodesic_distance(a, b) * (180 / math.pi)
