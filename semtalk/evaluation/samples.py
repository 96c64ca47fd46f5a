"""How far the samples of one speech differ from each other."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.evaluation.metrics import metric_joints
from semtalk.evaluation.takes import Take, TakeMaker
from semtalk.metrics import functional as F


def diversity_of_samples(takes: list[Take], samples: int, maker: TakeMaker, body: BodyModel) -> float:
    """Diversity over the samples of the row ``fused``, see :func:`semtalk.metrics.functional.sample_diversity`.

    Args:
        takes: With the row ``fused``, which is the first sample.
        samples: How many there are, 2 or more.
        maker: What the row was made by; makes the others.
        body: For joints.
    """
    return mean_diversity(diversity_of_takes(takes, samples, maker, body), [take.frames for take in takes])


def mean_diversity(found: list[float], frames: list[int]) -> float:
    """Of what takes add, over their frames."""
    return sum(found) / sum(frames)


def diversity_of_takes(takes: list[Take], samples: int, maker: TakeMaker, body: BodyModel) -> list[float]:
    """What each take adds to the diversity over its samples: its own, times its frames."""
    motions = [[take.rotation["fused"]] for take in takes]
    for sample in range(1, samples):
        rollout = maker.rollout([take.recording for take in takes], sample=sample)
        for index, (take, own) in enumerate(zip(takes, motions, strict=True)):
            own.append(rollout.frames.rotation[index, : take.frames].cpu())
    found = []
    for take, own in zip(takes, motions, strict=True):
        found.append(diversity_of_motions(own, take.betas, body) * take.frames)
    return found


def diversity_of_motions(rotations: Sequence[Tensor], betas: Tensor, body: BodyModel) -> float:
    """Diversity over samples of one take, each (T, 55, 6), with the true shape (300,)."""
    return F.sample_diversity(np.stack([metric_joints(body, rotation, betas) for rotation in rotations]))
