"""Masks of the three training passes (paper section 4.1): seed frames only, and a growing random share."""

import torch
from torch import Tensor

from semtalk.motion.skeleton import MOTION_CHANNELS, NUM_JOINTS, SEED_FRAMES, WINDOW


def seed_mask(device: torch.device | None = None, frames: int = WINDOW) -> Tensor:
    """(T, 337): the first 4 frames are given, all others hidden (1)."""
    mask = torch.ones(frames, MOTION_CHANNELS, device=device)
    mask[:SEED_FRAMES] = 0
    return mask


def mask_ratio(progress: float, ratio: float, warmup: float) -> float:
    """Share of hidden cells: grows evenly to ``ratio`` over the ``warmup`` share of training, then stays."""
    return ratio * min(1.0, progress / warmup) if warmup else ratio


def random_mask(batch: int, ratio: float, device: torch.device | None = None, frames: int = WINDOW) -> Tensor:
    """(B, T, 337): a random share of (frame, joint) cells is hidden, each joint's six channels together.

    Translation and contact count as one further joint.
    """
    hidden = torch.rand(batch, frames, NUM_JOINTS + 1, device=device) < ratio
    joints = hidden[..., :NUM_JOINTS].repeat_interleave(6, dim=-1)
    rest = hidden[..., NUM_JOINTS:].expand(-1, -1, MOTION_CHANNELS - joints.shape[-1])
    return torch.cat([joints, rest], dim=-1).float()
