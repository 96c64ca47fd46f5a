"""SMPL-X's joints as the humanoid bones of Unity, VRM and VMC: names, rest pose, axes."""

import numpy as np
import roma
import torch
from torch import Tensor

from semtalk.avatar.names import VRM
from semtalk.body import BodyModel
from semtalk.body.base import world_rotations
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import NUM_JOINTS, PARENTS

FINGERS = ("Index", "Middle", "Little", "Ring", "Thumb")
BONES = tuple(name[0].upper() + name[1:] for name in VRM)
"""By SMPL-X joint; bones have the parents of their joints."""
JAW = BONES.index("Jaw")
LEAST_TURN = np.radians(1)
"""Directions that are closer are not aligned."""


def _directions() -> dict[int, tuple[int, tuple[float, float, float]]]:
    """Joint -> the joint that it points to, and where in a T pose: y up, facing +z, its left +x."""
    found = {joint: (child, (0, 1, 0)) for joint, child in {3: 6, 6: 9, 9: 12, 12: 15}.items()}
    found |= {joint: (child, (0, -1, 0)) for joint, child in {1: 4, 2: 5, 4: 7, 5: 8}.items()}
    for side, arm, hand in ((1, (13, 16, 18, 20, 28), 25), (-1, (14, 17, 19, 21, 43), 40)):
        found |= {joint: (child, (side, 0, 0)) for joint, child in zip(arm, arm[1:], strict=False)}
        for finger in range(5):
            along = (side, 0, 1) if FINGERS[finger] == "Thumb" else (side, 0, 0)
            first = hand + 3 * finger
            found |= {joint: (joint + 1, along) for joint in (first, first + 1)}
    return found


DIRECTIONS = _directions()
"""Without hips, feet, jaw and eyes, which rest alike; the head and the last bones of limbs go with their parents."""
ALIKE = (0, 7, 8, 22, 23, 24)


def alignment(rest: Tensor) -> Tensor:
    """Rotations (55, 3, 3) that turn each bone of a T pose into SMPL-X's rest pose, whose joints are (55, 3)."""
    turns = torch.eye(3, dtype=rest.dtype).repeat(NUM_JOINTS, 1, 1)
    for joint in range(NUM_JOINTS):
        if joint in DIRECTIONS:
            child, along = DIRECTIONS[joint]
            wanted = torch.nn.functional.normalize(torch.tensor(along, dtype=rest.dtype), dim=0)
            own = torch.nn.functional.normalize(rest[child] - rest[joint], dim=0)
            axis = torch.linalg.cross(wanted, own)
            angle = torch.atan2(axis.norm(), wanted @ own)
            if angle > LEAST_TURN:
                turns[joint] = roma.rotvec_to_rotmat(axis / axis.norm() * angle)
        elif joint not in ALIKE:
            turns[joint] = turns[PARENTS[joint]]
    return turns


def mirrored_places(places: np.ndarray) -> np.ndarray:
    """Places (..., 3) in VMC's axes: left-handed, x to the figure's right."""
    return places * np.array([-1.0, 1.0, 1.0])


def mirrored_turns(quaternions: np.ndarray) -> np.ndarray:
    """Quaternions x, y, z, w (..., 4) in VMC's axes."""
    return quaternions * np.array([1.0, -1.0, -1.0, 1.0])


class Bones:
    """Turns motion into what bones are sent: places and rotations against their parents, in VMC's axes.

    Successive rotations lie on one side of the sphere, also from one piece of a stream to the next.
    """

    def __init__(self, body: BodyModel, betas: np.ndarray, hips_height: float | None = None):
        """Align the rest poses.

        Args:
            body: Of the joints.
            betas: (300,) body shape.
            hips_height: Metres from the floor to the hips of the figure that receives; null for the body's own.
        """
        rest = body.rest_joints(torch.from_numpy(np.asarray(betas, np.float32))).double()
        self.body, self.turns = body, alignment(rest)
        parents = list(PARENTS[1:])
        offsets = (self.turns[parents].mT @ (rest[1:] - rest[parents])[..., None])[..., 0]
        own = (rest[0, 1] - rest[:, 1].min()).item()
        self.scale = 1.0 if hips_height is None else hips_height / own
        self.pelvis, self.offsets = rest[0].numpy(), mirrored_places(offsets.numpy())
        self.before: np.ndarray | None = None

    def __call__(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """Places (T, 55, 3) in metres and quaternions x, y, z, w (T, 55, 4)."""
        local = self.body.matrices(torch.from_numpy(motion.poses)).double()
        bones = world_rotations(local) @ self.turns
        sent = bones.clone()
        sent[:, 1:] = bones[:, list(PARENTS[1:])].mT @ bones[:, 1:]
        turns = mirrored_turns(roma.rotmat_to_unitquat(sent).numpy())
        places = np.empty((len(motion), NUM_JOINTS, 3))
        places[:, 0] = mirrored_places(motion.trans + self.pelvis) * self.scale
        places[:, 1:] = self.offsets
        return places, self._on_one_side(turns)

    def _on_one_side(self, turns: np.ndarray) -> np.ndarray:
        """The same rotations, each quaternion (T, 55, 4) near the one of the frame before."""
        turns = turns.copy()
        for index, row in enumerate(turns):
            if self.before is not None:
                turns[index] = np.where((row * self.before).sum(axis=-1, keepdims=True) < 0, -row, row)
            self.before = turns[index]
        return turns
