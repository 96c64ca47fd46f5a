"""How well motion and sound fit each other by a scorer's numbers: own against others, and recall of what belongs.

``scores`` is (N, N) throughout: of the motion of segment i with the sound of segment j.
"""

import numpy as np
import torch
from torch import Tensor

DIGITS = 5
"""Decimals of a score that count; what differs beyond them is rounding."""


def same_speaker(speakers: Tensor) -> Tensor:
    """Whether two segments (N, N) are of the same speaker, by their numbers (N,)."""
    return speakers[:, None] == speakers[None]


def own_wins(scores: Tensor, among: Tensor) -> Tensor:
    """Share (N,) of the other sounds that each motion fits less well than its own; a tie is half of one.

    Args:
        scores: (N, N).
        among: (N, N) whether a sound is one that a motion may be given.

    Returns:
        Not a number where there is no other sound. A motion that is always the same has a mean of exactly one half:
        where one segment wins, the other one loses.
    """
    scores = scores.float().mul(10**DIGITS).round()
    others = among & ~torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    own = scores.diagonal()[:, None]
    won = (own > scores).float() + 0.5 * (own == scores).float()
    return (won * others).sum(dim=1) / others.sum(dim=1)


def recall_at(scores: Tensor, among: Tensor, count: int) -> Tensor:
    """Chance (N,) that a sound's own motion is among the ``count`` that fit it best; equal ones stand in any order.

    Args:
        scores: (N, N).
        among: (N, N) whether a motion is one that a sound may be given.
        count: Of the best.
    """
    scores = scores.float().mul(10**DIGITS).round().T
    own = scores.diagonal()[:, None]
    better, equal = (((found) & among).sum(dim=1) for found in (scores > own, scores == own))
    return ((count - better).clamp(min=0) / equal).clamp(max=1)


def resampled_means(values: np.ndarray, takes: np.ndarray, repeats: int, seed: int) -> np.ndarray:
    """Means (R,) of values (N,) over resamples of the takes (N,) that they are of, by number from 0."""
    count = int(takes.max()) + 1
    sums, sizes = (np.bincount(takes, weights, count) for weights in (values, np.ones_like(values)))
    draws = np.random.default_rng(seed).integers(0, count, (repeats, count))
    return sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
