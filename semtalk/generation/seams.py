"""How the windows of a rollout follow each other: 64 frames, the first 4 of which are the last of the window before."""

import torch
from torch import Tensor

from semtalk.models.layers import smooth_steps
from semtalk.models.tokenizer import Codes
from semtalk.motion.rotation import matrix_to_6d, rotation_6d_to_matrix
from semtalk.motion.skeleton import PARTS, SEED_FRAMES, WINDOW

NEW_FRAMES = WINDOW - SEED_FRAMES
PIECE = 4096
"""Frames whose rotations are turned from one form into another at once."""


def window_count(frames: int) -> int:
    """Windows that cover ``frames``: n windows give 60 n + 4."""
    return max(1, -(-(frames - SEED_FRAMES) // NEW_FRAMES))


def padded_frames(frames: int) -> int:
    """Frames that ``window_count(frames)`` windows give."""
    return window_count(frames) * NEW_FRAMES + SEED_FRAMES


def join_windows(windows: list[Codes]) -> Codes:
    """Codes (B, S, L) of windows one after another: all but the first lose the step that holds their seed."""
    skipped = [{name: codes[name][:, 1 if index else 0 :] for name in PARTS} for index, codes in enumerate(windows)]
    return {name: torch.cat([codes[name] for codes in skipped], dim=1) for name in PARTS}


def orthonormal(rotation: Tensor) -> Tensor:
    """Decoded 6D rotations (B, T, 55, 6) as those of true rotations; some frames at a time, for long takes."""
    return torch.cat([matrix_to_6d(rotation_6d_to_matrix(piece)) for piece in rotation.split(PIECE, dim=1)], dim=1)


def smooth_seams(latents: Tensor, seams: tuple[int, ...]) -> Tensor:
    """Average the four latents (B, S, C) around each seam with those around them, weights 1, 4, 6, 4, 1 of 16.

    A window knows the one before it by 4 frames alone; what it would correct at once is spread over eight steps.
    """
    near = [step for seam in seams for step in range(seam - 2, seam + 2) if 0 <= step < latents.shape[1]]
    if not near:
        return latents
    smoothed = latents.clone()
    smoothed[:, near] = smooth_steps(latents, times=2)[:, near]
    return smoothed
