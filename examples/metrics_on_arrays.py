"""Metrics on two arrays, and a metric of one's own.

``python examples/metrics_on_arrays.py GENERATED.npz TRUE.npz`` compares two motion files of BEAT2's keys. The metric
stands in every table with ``PYTHONPATH=examples python eval.py metrics=[extended,metrics_on_arrays:REACH]``.
"""

import sys

import numpy as np
import torch

from semtalk.body import load_body
from semtalk.evaluation import Metric, TakeRow
from semtalk.metrics import frechet_distance, l1_diversity, mean_jerk
from semtalk.motion import load_motion


def reach(joints: np.ndarray) -> float:
    """Mean distance in metres of the wrists from the pelvis, of joints (T, 55, 3)."""
    return float(np.linalg.norm(joints[:, [20, 21]] - joints[:, :1], axis=-1).mean())


def measure_reach(seen: TakeRow) -> float:
    """The same of one row of a take, as the tables ask for it."""
    return reach(seen.joints)


REACH = Metric("reach m", measure_reach)


def main(generated: str, true: str) -> dict[str, float]:
    """Numbers of two motion files."""
    joints = []
    for path in (generated, true):
        motion = load_motion(path)
        poses, betas = torch.from_numpy(motion.poses), torch.from_numpy(motion.betas)
        joints.append(load_body(None).joints(poses, betas).numpy())
    numbers = {}
    for name, positions in zip(("generated", "true"), joints, strict=True):
        total, frames = l1_diversity(positions)
        numbers |= {
            f"DIV {name}": total / frames,
            f"jerk {name}": mean_jerk(positions),
            f"reach {name}": reach(positions),
        }
    features = [positions[:, [20, 21]].reshape(len(positions), -1) for positions in joints]
    return numbers | {"Frechet distance of the wrists": frechet_distance(*features)}


if __name__ == "__main__":
    for name, value in main(*sys.argv[1:3]).items():
        print(f"{name}: {value:.4g}")
