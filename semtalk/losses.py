"""Losses of all stages, as functions of tensors."""

import torch
from torch import Tensor
from torch.nn import functional as F

from semtalk.motion.precision import without_autocast
from semtalk.motion.rotation import geodesic_distance, rotation_6d_to_matrix
from semtalk.motion.skeleton import FPS, Part
from semtalk.processes import places_among_all, windows_of_all


def info_nce(
    motion: Tensor, speech: Tensor, temperature: float = 0.1, own: Tensor | None = None, among: Tensor | None = None
) -> Tensor:
    """Rhythmic consistency (paper Eq. 4): each motion feature finds its own speech feature among M.

    Args:
        motion: (..., N, C) projected motion latents.
        speech: (..., M, C) speech features; the softmax runs over these.
        temperature: tau.
        own: (N,) index of each motion feature's own speech feature; where there are as many, it has the same.
        among: (N, M) whether a speech feature is one of those that a motion feature chooses among; all by default.

    Returns:
        The mean over N and all leading dimensions, a scalar.
    """
    with without_autocast(motion):
        motion, speech = F.normalize(motion.float(), dim=-1), F.normalize(speech.float(), dim=-1)
        similarity = motion @ speech.transpose(-1, -2) / temperature
    if among is not None:
        similarity = similarity.masked_fill(~among, -torch.inf)
    own = torch.arange(similarity.shape[-1], device=similarity.device) if own is None else own
    target = own.expand(similarity.shape[:-1])
    return F.cross_entropy(similarity.flatten(0, -2), target.flatten())


def local_consistency(motion: Tensor, speech: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE over the steps of one clip: motion and speech (B, S, C)."""
    return info_nce(motion, speech, temperature)


def global_consistency(motion: Tensor, speech: Tensor, temperature: float = 0.1, everyone: bool = False) -> Tensor:
    """InfoNCE over the clips of a batch, pooled over time: motion and speech (B, S, C).

    ``everyone`` has each clip's motion find its speech among the clips of all processes that train together.
    """
    motion, speech = motion.mean(dim=-2), speech.mean(dim=-2)
    if everyone:
        return info_nce(motion, windows_of_all(speech), temperature, places_among_all(len(motion), motion.device))
    return info_nce(motion, speech, temperature)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of (..., B, S), each step weighted by (B, S) where a weight is given."""
    if weight is None:
        return values.mean()
    weight = weight.expand_as(values)
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def soft_targets(residuals: Tensor, codebooks: Tensor, spread: Tensor, tau: float) -> Tensor:
    """Soft code targets: ``p_k`` proportional to ``exp(-|r - c_k|^2 / (tau m))``.

    Args:
        residuals: r (..., L, C), what each level has to explain: the unquantised latent less the codes before.
        codebooks: c (L, K, C).
        spread: m (L,), the mean squared distance of a level's residual to its nearest code over the training split.
        tau: Softness; towards 0 they become the nearest code alone.

    Returns:
        (..., L, K), each row summing to 1.
    """
    distance = (
        residuals.square().sum(dim=-1, keepdim=True)
        - 2 * torch.einsum("...lc,lkc->...lk", residuals, codebooks)
        + codebooks.square().sum(dim=-1)
    )
    return (-distance / (tau * spread[:, None])).softmax(dim=-1)


def code_loss(logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
    """Classification loss L_cls: cross-entropy of all levels, level i weighted by 1 / (i + 1).

    Args:
        logits: (..., B, S, L, K).
        targets: (B, S, L) indices, or (B, S, L, K) probabilities; broadcast over leading dimensions.
        weight: (B, S) weight of each step, or none.
    """
    soft = targets.is_floating_point()
    flat = targets.expand(logits.shape).flatten(0, -2) if soft else targets.expand(logits.shape[:-1]).flatten()
    entropy = F.cross_entropy(logits.float().flatten(0, -2), flat, reduction="none").view(logits.shape[:-1])
    levels = 1 / torch.arange(1, logits.shape[-2] + 1, device=logits.device)
    return weighted_mean((entropy * levels).sum(dim=-1), weight)


def latent_loss(latents: Tensor, vectors: Tensor, weight: Tensor | None = None) -> Tensor:
    """Reconstruction loss L_rec: squared error of latents (..., B, S, L, C) to code vectors (B, S, L, C)."""
    return weighted_mean((latents - vectors).square().mean(dim=(-1, -2)), weight)


def gate_loss(gate_logits: Tensor, semantic: Tensor) -> Tensor:
    """Cross-entropy of gate logits (B, S, 2) against "the mean semantic score (B, S) of the step is above 0".

    Steps without a label (NaN) are left out; without any label it is 0.
    """
    labelled = ~semantic.isnan()
    target = (semantic > 0).long().masked_fill(~labelled, -1)
    entropy = F.cross_entropy(gate_logits.float().flatten(0, -2), target.flatten(), ignore_index=-1, reduction="sum")
    return entropy / labelled.sum().clamp(min=1)


def motion_differences(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """L1 of velocity and of acceleration along time, of channels (B, T, D)."""
    error = torch.diff(prediction - target, dim=-2)
    return error.abs().mean(), torch.diff(error, dim=-2).abs().mean()


def reconstruction_losses(part: Part, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Losses between reconstructed and true channels (B, T, D) of one part that need no body.

    Geodesic angle on rotations, squared error on expressions, L1 on velocity and acceleration; for the part that has
    them also squared error on foot contact and L1 on root channels.
    """
    widths = [part.rotation_width, part.expressions, part.root, part.contact]
    rotation, expressions, root, contact = prediction.split(widths, dim=-1)
    true_rotation, true_expressions, true_root, true_contact = target.split(widths, dim=-1)
    shape = (len(part.joints), 6)
    angle = geodesic_distance(
        rotation_6d_to_matrix(rotation.unflatten(-1, shape)), rotation_6d_to_matrix(true_rotation.unflatten(-1, shape))
    )
    smooth = part.rotation_width + part.expressions
    velocity, acceleration = motion_differences(prediction[..., :smooth], target[..., :smooth])
    losses = {"rotation": angle.mean(), "velocity": velocity, "acceleration": acceleration}
    if part.expressions:
        losses["expressions"] = F.mse_loss(expressions, true_expressions)
    if part.root:
        losses["translation"] = F.l1_loss(root, true_root)
    if part.contact:
        losses["contact"] = F.mse_loss(contact, true_contact)
    return losses


def skating_loss(feet: Tensor, contact: Tensor) -> Tensor:
    """Speed in m/s of feet (B, T, 4, 3) that the prediction says stand: contact (B, T, 4)."""
    speed = torch.diff(feet, dim=-3).norm(dim=-1) * FPS
    return (speed * contact[..., :-1, :].detach().clamp(0, 1)).mean()
