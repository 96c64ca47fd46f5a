"""Takes from files: any method's motion against the truth."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.data.store import sampled
from semtalk.evaluation.files import Files, Pair
from semtalk.evaluation.samples import diversity_of_motions
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
    frames = min(len(pair.method), len(pair.truth))
    sound = None if pair.wave is None else torch.from_numpy(pair.wave)
    take = Take(pair.name, frames, torch.from_numpy(pair.truth.betas), sound, None)
    for row, motion in (("method", pair.method), ("truth", pair.truth)):
        poses, expressions, trans = (
            torch.from_numpy(array[:frames]) for array in (motion.poses, motion.expressions, motion.trans)
        )
        take.add(row, rotation_from_poses(poses), expressions, trans)
    return take


def diversity_of_files(pair: Pair, take: Take, body: BodyModel) -> float:
    """What a take adds to the diversity over a method's samples: its own, times its frames."""
    poses = (torch.from_numpy(motion.poses[: take.frames]) for motion in pair.motions)
    return diversity_of_motions([rotation_from_poses(one) for one in poses], take.betas, body) * take.frames


def joint_speed_of(files: Files, body: BodyModel) -> np.ndarray:
    """Mean joint speed (55,) in m/s of the truth, with translation."""
    speeds = []
    for pair in sampled(files.pairs, sum(files.frames)):
        take = _take(pair)
        poses = poses_from_rotation(take.rotation["truth"])
        speeds.append(joint_speed(body.joints(poses, take.betas, take.trans["truth"]).numpy()))
    return np.concatenate(speeds).mean(axis=0)
