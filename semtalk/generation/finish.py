"""What is done to generated motion last, in this order: rest in silence, no travel, feet that stand, and the last pose.

Codes, latents and scores stay those of the motion before.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from semtalk.body import BodyModel
from semtalk.generation.edit import BODY_JOINTS
from semtalk.generation.feet import lock_feet, stretches
from semtalk.motion.io import Motion, in_place
from semtalk.motion.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from semtalk.motion.skeleton import FPS, HAND_JOINTS, SAMPLE_RATE, UPPER_JOINTS

QUIET = 0.05
"""Share of the level of loud frames, the 95th percentile, below which a frame is silent: 26 dB."""
SILENCE = 1e-4
"""Level below which a whole recording is silent."""
BURST = 3
"""Frames of sound, at most, that do not end a silence."""
TO_REST, TO_SPEAK = FPS, FPS // 2
"""Frames in which a figure comes to rest once it is silent, and in which it leaves its rest before it speaks."""
ENDING = 12
"""Frames within which what the held pose still lacks of the last one is made up."""


@dataclass(frozen=True)
class Finish:
    """What is asked for.

    Attributes:
        rest: Seconds of silence from which trunk, arms and hands come to rest; legs, place and face go on.
        in_place: Whether the figure stays over where it begins.
        foot_lock: Whether feet that stand are held, see :mod:`semtalk.generation.feet`.
        end: Motion of one frame, in whose pose of the body the take ends, at its height.
    """

    rest: float | None = None
    in_place: bool = False
    foot_lock: bool = True
    end: Motion | None = None

    def __call__(
        self, motion: Motion, contact: np.ndarray, begins: np.ndarray, wave: np.ndarray, body: BodyModel
    ) -> Motion:
        """Finish a motion.

        Args:
            motion: T frames.
            contact: (T, 4) predicted contact.
            begins: (55, 3) pose that the take begins with, which is its rest.
            wave: (S,) at 16 kHz.
            body: Of the legs.
        """
        if self.rest is not None:
            weights = rest_weights(wave, len(motion), self.rest)
            motion = replace(motion, poses=eased(motion.poses, begins, weights, [*UPPER_JOINTS, *HAND_JOINTS]))
        if self.in_place:
            motion = in_place(motion)
        if self.foot_lock:
            motion = lock_feet(motion, body, contact)
        return motion if self.end is None else ended(motion, self.end)


def levels(wave: np.ndarray, frames: int) -> np.ndarray:
    """Root mean square (T,) of the sound of each frame of a wave (S,)."""
    edges = np.arange(frames + 1) * SAMPLE_RATE // FPS
    sums = np.r_[0.0, np.cumsum(np.square(wave[: edges[-1]], dtype=np.float64))]
    return np.sqrt(np.diff(sums[np.minimum(edges, len(sums) - 1)]) * FPS / SAMPLE_RATE)


def rest_weights(wave: np.ndarray, frames: int, seconds: float) -> np.ndarray:
    """How far a figure is at rest, (T,) from 0 to 1: 1 in silence that lasts for so many seconds, but for its ends."""
    level, weights = levels(wave, frames), np.zeros(frames)
    loud = np.quantile(level, 0.95)
    silent = level < QUIET * loud if loud > SILENCE else np.ones(frames, bool)
    for first, last in stretches(~silent):
        if last - first <= BURST:
            silent[first:last] = True
    for first, last in stretches(silent):
        if last - first < seconds * FPS:
            continue
        frame = np.arange(first, last)
        since = (frame - first + 1) / TO_REST if first else np.ones(last - first)
        until = (last - frame) / TO_SPEAK if last < frames else np.ones(last - first)
        weights[first:last] = smooth(np.minimum(since, until))
    return weights


def smooth(share: np.ndarray) -> np.ndarray:
    """From 0 to 1 without a corner, of a share that grows evenly and may pass 1."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1))


def eased(poses: np.ndarray, pose: np.ndarray, weights: np.ndarray, joints: list[int]) -> np.ndarray:
    """Poses (T, 55, 3) of which some joints are turned towards those of a pose (55, 3), by weights (T,) from 0 to 1."""
    frames = np.flatnonzero(weights)
    if not len(frames):
        return poses
    rows = np.ix_(frames, joints)
    was = axis_angle_to_matrix(torch.from_numpy(poses[rows]).double())
    missing = matrix_to_axis_angle(was.mT @ axis_angle_to_matrix(torch.from_numpy(pose[joints]).double()))
    turn = axis_angle_to_matrix(missing * torch.from_numpy(weights[frames])[:, None, None])
    poses = poses.copy()
    poses[rows] = matrix_to_axis_angle(was @ turn).numpy()
    return poses


def ended(motion: Motion, end: Motion) -> Motion:
    """A motion whose last frame has the body's pose and height of a motion of one frame."""
    count = min(ENDING, len(motion))
    weights = np.r_[np.zeros(len(motion) - count), smooth(np.arange(1, count + 1) / count)]
    trans = motion.trans.copy()
    trans[:, 1] += (weights * (end.trans[0, 1] - trans[:, 1])).astype(np.float32)
    return replace(motion, poses=eased(motion.poses, end.poses[0], weights, BODY_JOINTS), trans=trans)
