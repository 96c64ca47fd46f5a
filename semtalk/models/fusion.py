"""Fusion of base and sparse motion by the semantic score (paper sections 3.4, Eq. 5, and 3.5)."""

import torch
from torch import Tensor

BETA = 0.5
"""The paper's threshold of the semantic score; ``configs/rollout`` has it for the commands."""


def semantic_score(gate_logits: Tensor) -> Tensor:
    """Semantic score psi (B, S) of gate logits (B, S, 2)."""
    return gate_logits.float().softmax(dim=-1)[..., 1]


def active_steps(psi: Tensor, beta: float = BETA) -> Tensor:
    """Which steps (B, S) take the sparse codes: those whose semantic score psi (B, S) passes the threshold."""
    return psi > beta


def blend_latents(base: Tensor, sparse: Tensor, psi: Tensor) -> Tensor:
    """``q_m = psi q_s + (1 - psi) q_b`` while training: latents (..., S, L, C) and psi (..., S)."""
    return base + psi[..., None, None] * (sparse - base)


def near_changes(active: Tensor, reach: int) -> Tensor:
    """Which steps (B, S) lie within ``reach`` steps of a change of ``active`` (B, S), on either side of it."""
    change, near = active[:, 1:] != active[:, :-1], torch.zeros_like(active)
    for distance in range(min(reach, change.shape[1])):
        rest = change.shape[1] - distance
        near[:, distance + 1 :] |= change[:, :rest]
        near[:, :rest] |= change[:, distance:]
    return near


def fuse_codes(base: dict[str, Tensor], sparse: dict[str, Tensor], psi: Tensor, beta: float) -> dict[str, Tensor]:
    """Codes at generation: a step takes the sparse codes where psi > beta, the base codes elsewhere.

    Args:
        base: Part -> (B, S, L) indices; parts that sparse lacks (the face) stay base.
        sparse: Part -> (B, S, L) indices.
        psi: (B, S) semantic score.
        beta: Threshold.
    """
    active = active_steps(psi, beta)[..., None]
    return {part: torch.where(active, sparse[part], codes) if part in sparse else codes for part, codes in base.items()}
