"""How far the samples of one speech differ from each other."""

import torch

from semtalk.body import BodyModel
from semtalk.evaluation.protocol import metric_joints
from semtalk.evaluation.takes import Take, rollout_takes
from semtalk.generation.rollout import Generator
from semtalk.metrics import functional as F


def diversity_of_samples(takes: list[Take], samples: int, generator: Generator, body: BodyModel, **chosen) -> float:
    """Diversity over the samples of the row ``fused``, see :func:`semtalk.metrics.functional.sample_diversity`.

    Args:
        takes: With the row ``fused``, which is the first sample.
        samples: How many there are, 2 or more.
        generator: Makes the others.
        body: For joints.
        chosen: What the row was made with: the arguments of :func:`rollout_takes`.
    """
    motions = [[take.rotation["fused"]] for take in takes]
    for sample in range(1, samples):
        rollout, _ = rollout_takes(generator, [take.recording for take in takes], sample=sample, **chosen)
        for index, (take, own) in enumerate(zip(takes, motions, strict=True)):
            own.append(rollout.frames.rotation[index, : take.frames].cpu())
    total = 0.0
    for take, own in zip(takes, motions, strict=True):
        joints = torch.stack([torch.from_numpy(metric_joints(body, rotation, take.betas)) for rotation in own])
        total += F.sample_diversity(joints.numpy()) * take.frames
    return total / sum(take.frames for take in takes)
