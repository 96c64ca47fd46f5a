"""Masks of the three training passes (paper section 4.1): seed frames only, and a growing random share."""

import torch
from torch import Tensor

from semtalk.motion.skeleton import MOTION_CHANNELS, NUM_JOINTS, SEED_FRAMES, WINDOW


def seed_mask(device: torch.device | None = None, frames: int = WINDOW) -> Tensor:
    """(T, 337): the first 4 frames are given, all others hidden (1)."""
    mask = torch.ones(frames, MOTION_CHANNELS, device=device)
    mask[:SEED_FRAMES] = 0
    return mask


def mask_ratio(progress: float, ratio: float, warmup: float, begin: float = 0.0) -> float:
    """Share of hidden cells: grows evenly from 0 at the share ``begin`` of training to ``ratio`` at ``warmup``."""
    return ratio * min(1.0, max(0.0, progress - begin) / (warmup - begin)) if warmup > begin else ratio


def random_mask(
    batch: int, ratio: float, device: torch.device | None = None, frames: int = WINDOW, hides: str = "joints_and_frames"
) -> Tensor:
    """(B, T, 337): a random share of the cells (frame, joint) is hidden, each joint's six channels together.

    Translation and contact count as one further joint. No frame is spared, those of the seed included: the paper gives
    them in the seed pass alone.

    Args:
        batch: B.
        ratio: Share of hidden cells, in expectation.
        device: Of the mask.
        frames: T.
        hides: ``joints_and_frames`` draws whole joints of a window and whole frames, each with the probability
            ``f = 1 - sqrt(1 - ratio)``, so that ``1 - (1 - f)^2 = ratio`` of the cells are hidden; ``cells`` draws
            every cell by itself.
    """
    if hides == "cells":
        hidden = torch.rand(batch, frames, NUM_JOINTS + 1, device=device) < ratio
    else:
        share = 1 - (1 - ratio) ** 0.5
        whole_frames = torch.rand(batch, frames, 1, device=device) < share
        hidden = whole_frames | (torch.rand(batch, 1, NUM_JOINTS + 1, device=device) < share)
    joints = hidden[..., :NUM_JOINTS].repeat_interleave(6, dim=-1)
    rest = hidden[..., NUM_JOINTS:].expand(-1, -1, MOTION_CHANNELS - joints.shape[-1])
    return torch.cat([joints, rest], dim=-1).float()
