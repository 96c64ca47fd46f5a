"""Takes from files: any method's motion against the truth."""

import numpy as np
import torch

from semtalk.body import BodyModel
from semtalk.evaluation.files import Pair
from semtalk.evaluation.takes import Take, add_mean_pose
from semtalk.motion.parts import poses_from_rotation, rotation_from_poses
from semtalk.motion.speed import joint_speed


def takes_of(pairs: list[Pair]) -> list[Take]:
    """Takes with the rows ``method``, ``truth`` and ``mean``."""
    takes = [_take(pair) for pair in pairs]
    truth_frames = [{"rotation": take.rotation["truth"], "expressions": take.expressions["truth"]} for take in takes]
    add_mean_pose(takes, truth_frames)  # of the truth: there is no training split to take it from
    return takes


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


def joint_speed_of(takes: list[Take], body: BodyModel) -> np.ndarray:
    """Mean joint speed (55,) in m/s of the truth, with translation."""
    speeds = [
        joint_speed(body.joints(poses_from_rotation(t.rotation["truth"]), t.betas, t.trans["truth"]).numpy())
        for t in takes
    ]
    return np.concatenate(speeds).mean(axis=0)
