"""Samples of one speech, and how far they differ from each other."""

import torch

from semtalk.body import BodyModel
from semtalk.evaluation.metrics import metric_joints
from semtalk.evaluation.takes import Take, TakeMaker
from semtalk.generation.rollout import MotionGenerator
from semtalk.metrics import functional as F
from semtalk.motion.skeleton import PARTS


def draws_numbers(generator: MotionGenerator, gate: str) -> bool:
    """Whether the samples of a recording differ."""
    decoding, sparse = generator.decoding, generator.sparse is not None and gate != "never"
    drawn = sparse and (decoding.sparse == "coherent" or gate.startswith("random"))
    return drawn or any(decoding.way(part) == "coherent" for part in PARTS)


def add_samples(takes: list[Take], samples: int, maker: TakeMaker) -> None:
    """Give takes further samples of the row ``fused``, which is the first of so many."""
    for sample in range(1, samples):
        rollout = maker.rollout([take.recording for take in takes], sample=sample)
        for index, take in enumerate(takes):
            take.add_rollout(Take.sample_name("fused", sample), rollout, index)


def diversity_of_takes(takes: list[Take], row: str, body: BodyModel) -> list[float]:
    """What each take adds to the diversity over a row's samples: its own, times its frames.

    See :func:`semtalk.metrics.functional.sample_diversity`; nothing for takes that have one sample.
    """
    found = []
    for take in takes:
        rotations = [take.rotation[name] for name in take.samples(row)]
        if len(rotations) > 1:
            joints = torch.stack([torch.from_numpy(metric_joints(body, own, take.betas)) for own in rotations])
            found.append(F.sample_diversity(joints.numpy()) * take.frames)
    return found


def mean_diversity(found: list[float], frames: list[int]) -> float | None:
    """Of what takes add, over their frames; none where they add nothing."""
    return sum(found) / sum(frames) if found else None
