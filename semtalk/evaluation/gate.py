"""How well the trained gate finds the code steps that are semantic, where takes are labelled."""

import torch

from semtalk.evaluation.takes import Take
from semtalk.metrics import functional as F
from semtalk.models.fusion import active_steps


def gate_report(takes: list[Take], beta: float) -> dict[str, float]:
    """Precision, recall and F1 of the trained gate per code step, where takes are labelled."""
    return gate_numbers(gates_of(takes), beta)


def gates_of(takes: list[Take]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Score (T/4,) of the trained gate and what is right, of takes that are labelled."""
    labelled = [take for take in takes if take.semantic is not None and take.gate is not None]
    return [(take.gate, take.semantic_steps) for take in labelled]


def gate_numbers(gates: list[tuple[torch.Tensor, torch.Tensor]], beta: float) -> dict[str, float]:
    """See :func:`gate_report`."""
    if not gates:
        return {}
    scores, true = (torch.cat(steps) for steps in zip(*gates, strict=True))
    return F.precision_recall_f1(active_steps(scores, beta).numpy(), true.numpy())
