"""Takes from files: any method's motion against the truth."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.data.store import sampled
from semtalk.evaluation.files import Files, Pair
from semtalk.evaluation.takes import Take, add_still, mean_frame
from semtalk.motion.parts import poses_from_rotation, rotation_from_poses
from semtalk.motion.speed import joint_speed


def takes_of(files: Files) -> Iterator[Take]:
    """Takes with the rows ``method``, ``truth`` and ``mean``, one after another."""
    still = mean_frame(_truth(pair) for pair in sampled(files.pairs, sum(files.frames)))
    for pair in files.pairs:
        take = _take(pair)
        add_still([take], still)  # of the truth: there is no training split to take it from
        yield take


def _truth(pair: Pair) -> dict[str, Tensor]:
    take = _take(pair)
    return {"rotation": take.rotation["truth"], "expressions": take.expressions["truth"]}


def _take(pair: Pair) -> Take:
    motions, truth = pair.samples, pair.truth
    frames = min(len(truth), *map(len, motions))
    sound = None if pair.wave is None else torch.from_numpy(pair.wave)
    take = Take(pair.name, frames, torch.from_numpy(truth.betas), sound, None)
    names = ["method", *(Take.sample_name("method", sample) for sample in range(1, len(motions)))]
    for row, motion in [*zip(names, motions, strict=True), ("truth", truth)]:
        poses, expressions, trans = (
            torch.from_numpy(array[:frames]) for array in (motion.poses, motion.expressions, motion.trans)
        )
        take.add(row, rotation_from_poses(poses), expressions, trans)
    return take


def joint_speed_of(files: Files, body: BodyModel) -> np.ndarray:
    """Mean joint speed (55,) in m/s of the truth, with translation."""
    speeds = []
    for pair in sampled(files.pairs, sum(files.frames)):
        take = _take(pair)
        poses = poses_from_rotation(take.rotation["truth"])
        speeds.append(joint_speed(body.joints(poses, take.betas, take.trans["truth"]).numpy()))
    return np.concatenate(speeds).mean(axis=0)
