"""From a motion of SMPL-X to rotations and places of a character's bones.

Each bone turns from its rest pose as its joint does from SMPL-X's, in the scene and not against its parent, so that
neither axes of bones nor what lies between them matter. Limbs that point elsewhere at rest, as arms of an A pose do,
are first turned to where SMPL-X's point.
"""

from dataclasses import dataclass

import numpy as np
import roma
import torch

from semtalk.avatar.character import Avatar
from semtalk.avatar.trunk import Trunk
from semtalk.body import BodyModel
from semtalk.body.base import forward_kinematics, world_rotations
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FEET, NUM_JOINTS, PARENTS
from semtalk.motion.turns import shortest_turn, turn_vectors

LIMBS = ((16, 18, 20), (17, 19, 21), (1, 4, 7), (2, 5, 8))
"""Joints of arms and legs, from above."""
HANDS = {20: (28, 25, 34, 31), 21: (43, 40, 49, 46)}
"""Wrist -> first joints of fingers; a hand points to the first of them that there is."""
SPINE = (3, 6, 9)
STANDING = 5
"""Percent of the frames in which a foot is nearer to the floor than it is taken to be."""


@dataclass
class Posed:
    """How a character stands in each frame, in the scene.

    Attributes:
        turns: SMPL-X joint -> rotations (T, 3, 3) of its bone from its rest pose.
        places: SMPL-X joint -> places (T, 3) of its bone.
    """

    turns: dict[int, np.ndarray]
    places: dict[int, np.ndarray]


def pointed_at(avatar: Avatar) -> dict[int, int]:
    """Joint of a limb -> the joint that its bone points to, of those that the character has."""
    found = {}
    for limb in LIMBS:
        found |= dict(zip(limb, limb[1:], strict=False))
    for wrist, fingers in HANDS.items():
        if there := [finger for finger in fingers if finger in avatar.bones]:
            found[wrist] = there[0]
        for first in (min(fingers) + 3 * finger for finger in range(5)):
            found |= {joint: joint + 1 for joint in (first, first + 1) if {joint, joint + 1} <= set(avatar.bones)}
    return {joint: child for joint, child in found.items() if joint in avatar.bones}


def alignment(avatar: Avatar, rest: np.ndarray) -> dict[int, np.ndarray]:
    """Joint -> rotation (3, 3), in the character's axes, from its bone at rest to how SMPL-X's rests (55, 3).

    A bone is first turned as the limb's bone above it is, which keeps how it is twisted, and then the shortest way.
    Trunk, head, shoulders and feet rest alike: curved backs and high heels are the character's own.
    """
    axes, child = avatar.axes(), pointed_at(avatar)
    in_limb = {joint for limb in LIMBS for joint in limb[:-1]} | set(HANDS) | set(range(25, NUM_JOINTS))
    turns: dict[int, np.ndarray] = {}
    for joint in sorted(avatar.bones):
        above = joint
        while above >= 0 and (above == joint or above not in avatar.bones):
            above = PARENTS[above]
        turn = turns[above] if joint in in_limb and above in in_limb else np.eye(3)
        if joint in child:
            own = (avatar.places[avatar.bones[child[joint]]] - avatar.places[avatar.bones[joint]]) @ axes
            if np.linalg.norm(own) > 1e-9:
                turn = shortest_turn(turn @ own, rest[child[joint]] - rest[joint]) @ turn
        turns[joint] = turn
    return turns


def leg_length(places: dict[int, np.ndarray] | np.ndarray) -> float:
    """Of places of joints, from hip to knee to ankle, both legs' mean."""
    legs = [limb for limb in LIMBS if limb[-1] in FEET]
    steps = [places[below] - places[above] for limb in legs for above, below in zip(limb, limb[1:], strict=False)]
    return float(np.linalg.norm(steps, axis=1).sum() / len(legs))


class Retargeting:
    """How a character moves as a body of a shape does."""

    def __init__(self, avatar: Avatar, body: BodyModel, betas: np.ndarray):
        """Align the rest poses.

        Args:
            avatar: The character.
            body: Of the joints.
            betas: (300,) body shape.
        """
        self.avatar, self.body = avatar, body
        self.rest = body.rest_joints(torch.from_numpy(np.asarray(betas, np.float32))).double()
        self.axes = avatar.axes()
        self.aligned = alignment(avatar, self.rest.numpy())
        self.own = {joint: avatar.places[node] for joint, node in avatar.bones.items()}
        self.scale = leg_length(self.own) / leg_length(self.rest.numpy())
        self.followed = {joint: joint for joint in avatar.bones}
        self.followed[max(joint for joint in SPINE if joint in avatar.bones)] = SPINE[-1]
        self.trunk = Trunk(avatar, self.scale)

    def __call__(self, motion: Motion) -> Posed:
        """Pose the character in every frame."""
        local = self.body.matrices(torch.from_numpy(motion.poses)).double()
        world = world_rotations(local).numpy()
        body = forward_kinematics(local, self.rest).numpy() + motion.trans[:, None]
        turns = {
            joint: self.axes @ world[:, followed] @ self.aligned[joint] @ self.axes.T
            for joint, followed in self.followed.items()
        }
        posed = Posed(turns, self._hung(turns))
        self.trunk.keep_apart(posed.turns, posed.places)
        posed.places = self._hung(posed.turns)
        hips = self._hips(posed.places, body)
        posed.places = {joint: places + hips for joint, places in posed.places.items()}
        return posed

    def above(self, joint: int) -> int:
        """The nearest joint above one whose bone the character has."""
        joint = PARENTS[joint]
        while joint not in self.own:
            joint = PARENTS[joint]
        return joint

    def _hung(self, turns: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Places (T, 3) of bones by their rotations, from the hips."""
        places = {0: np.zeros((len(turns[0]), 3))}
        for joint in sorted(set(turns) - {0}):
            above = self.above(joint)
            places[joint] = places[above] + turn_vectors(turns[above], self.own[joint] - self.own[above])
        return places

    def _hips(self, places: dict[int, np.ndarray], body: np.ndarray) -> np.ndarray:
        """Places of the hips (T, 3): the way of the body's in the scale of legs, and feet on the floor as its are.

        Args:
            places: Of bones, from the hips.
            body: (T, 55, 3) places of the body's joints.
        """
        rest, up = self.rest.numpy(), self.axes[:, 1]
        feet = [joint for joint in FEET if joint in places]
        lifted = (body[:, feet, 1] - rest[feet, 1]).min(axis=1)
        lifted -= np.percentile(lifted, STANDING)
        sunk = np.min([(places[joint] - self.own[joint]) @ up for joint in feet], axis=0)
        way = self.scale * (body[:, 0] - rest[0])
        way[:, 1] = 0
        flat = self.own[0] - up * (self.own[0] @ up)
        return flat + way @ self.axes.T + (self.scale * lifted - sunk)[:, None] * up


def tracks_of(avatar: Avatar, posed: Posed) -> list[tuple[str, int, np.ndarray]]:
    """What an animation moves, as :meth:`semtalk.gltf.Buffer.animation` takes it.

    Every bone gets a rotation against the node that it hangs on; a place gets the hips', and each bone that hangs on
    something else than the bone above it, as in rigs that bring together what they move in another way.
    """
    joint_of = {node: joint for joint, node in avatar.bones.items()}
    turns, tracks = avatar.turns, []
    for joint, node in sorted(avatar.bones.items()):
        carrier, parent = avatar.above(node), avatar.parents[node]
        rest = np.eye(3) if parent < 0 else turns[parent]
        above = np.eye(3) if carrier is None else posed.turns[joint_of[carrier]]
        local = np.swapaxes(above @ rest, -1, -2) @ posed.turns[joint] @ turns[node]
        tracks.append(("rotation", node, roma.rotmat_to_unitquat(torch.from_numpy(local)).numpy()))
        at = posed.places[joint]
        if carrier is not None:
            other = joint_of[carrier]
            at = turn_vectors(np.swapaxes(above, -1, -2), at - posed.places[other]) + avatar.places[carrier]
        if parent >= 0:
            at = (at - avatar.world[parent, :3, 3]) @ np.linalg.inv(avatar.world[parent, :3, :3]).T
        still = avatar.document["nodes"][node]
        if joint == 0 or np.abs(at - _translation(still)).max() > 1e-4 * max(1e-6, np.abs(at).max()):
            tracks.append(("translation", node, at))
    return tracks


def _translation(node: dict) -> np.ndarray:
    """Of a node, from its own description."""
    return np.array(node["matrix"][12:15] if "matrix" in node else node.get("translation", (0, 0, 0)), np.float64)
