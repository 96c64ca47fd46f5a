"""Feet that stand where the motion says so: what the networks let slide is held in place by bending the legs.

Of each foot the ball is held, where the contact of its ball or its ankle is predicted, and its direction too where both
are. It is held in the middle of where it would slide; a foot that would slide further than :data:`FAR` takes a step
between two such places. Before and after it stands, it is led there and away within :data:`BLEND` frames. Hip, knee and
ankle are turned, and nothing else: root, trunk, arms and hands stay bit for bit.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from semtalk.body import BodyModel
from semtalk.motion.io import Motion
from semtalk.motion.parts import foot_contact
from semtalk.motion.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from semtalk.motion.skeleton import FEET, FPS
from semtalk.motion.turns import turn_vectors

Array = NDArray[np.float64]

LEGS = ((1, 4, 7, 10), (2, 5, 8, 11))
"""Hip, knee, ankle and ball of the foot, left and right."""
STANDS = 0.5
"""Contact from which a joint stands."""
SHORTEST = 4
"""Frames below which a foot neither stands nor moves."""
FAR, TURNED = 0.15, np.radians(30)
"""Metres and radians on either side of its place that a foot is led back from; beyond, it takes a step."""
BLEND = 10
"""Frames within which a foot is led to its place, and away from it."""
STEP = 13
"""Frames of a step."""
LIFT, HIGHEST = 0.04, 0.03
"""Metres that a stepping foot is lifted for a speed of 1 m/s, and at most."""
STRETCH = 0.995
"""Share of a leg's length from which it gives way softly; what is beyond its length lifts the foot."""
HINGE, CLEAR = 0.05, 0.2
"""Weight of the knee's own axis beside the one that it is bent about, and the sine from which that one is clear."""
NEAR = 0.01
"""Metres of correction within which a knee that is bent the wrong way stays so."""


def lock_feet(motion: Motion, body: BodyModel, contact: np.ndarray | None = None) -> Motion:
    """The same motion with feet that stand still while they stand.

    Args:
        motion: T frames.
        body: Of the legs.
        contact: (T, 4) predicted contact in [0, 1] of joints 7, 8, 10, 11; by default of joints that are slow.
    """
    rest = body.rest_joints(torch.from_numpy(np.asarray(motion.betas, np.float32))).double()
    if contact is None:
        poses, betas, trans = (torch.from_numpy(np.asarray(a)) for a in (motion.poses, motion.betas, motion.trans))
        contact = foot_contact(body.joints(poses, betas, trans)[:, list(FEET)]).numpy()
    joints = [0, *(joint for leg in LEGS for joint in leg[:3])]
    turns = axis_angle_to_matrix(torch.from_numpy(motion.poses[:, joints]).double()).numpy()
    local = dict(zip(joints, turns.swapaxes(0, 1), strict=True))
    root = motion.trans.astype(np.float64) + rest[0].numpy()
    poses = motion.poses.copy()
    for side, joints in enumerate(LEGS):
        leg = Leg.of(joints, local, root, rest.numpy())
        stands = contact[:, [side, side + 2]] > STANDS
        moved, turned, lifted = leg.led(stands)
        changed = (moved != 0).any(axis=1) | (turned != 0)
        for joint, rotations in zip(joints, leg.reaching(moved, turned, lifted), strict=False):
            poses[changed, joint] = matrix_to_axis_angle(torch.from_numpy(rotations[changed])).numpy()
    return replace(motion, poses=poses)


@dataclass
class Leg:
    """A leg over T frames, in the world.

    Attributes:
        parent: (T, 3, 3) rotation of the pelvis.
        hip: (T, 3) its place; so are ``knee``, ``ankle`` and ``ball``.
        thigh: (T, 3, 3) rotation of the thigh; so are ``shin`` and ``foot``.
    """

    parent: Array
    hip: Array
    knee: Array
    ankle: Array
    ball: Array
    thigh: Array
    shin: Array
    foot: Array

    @classmethod
    def of(cls, joints: tuple[int, ...], local: dict[int, Array], root: Array, rest: Array) -> "Leg":
        """The leg of some joints: local rotations (T, 3, 3) of each, the pelvis (T, 3), and rest joints (55, 3)."""
        turn, place, turns, places = local[0], root, [], []
        for before, joint in zip((0, *joints[:-1]), joints, strict=True):
            place = place + turn_vectors(turn, np.broadcast_to(rest[joint] - rest[before], root.shape))
            places.append(place)
            if joint in local:
                turn = turn @ local[joint]
                turns.append(turn)
        return cls(local[0], *places, *turns)

    def led(self, stands: np.ndarray) -> tuple[Array, Array, Array]:
        """Where the foot is wanted: how far the ball moves (T, 2), the foot turns (T,) and is lifted (T,).

        Args:
            stands: (T, 2) whether ankle and ball stand.
        """
        along = self.ball - self.ankle
        yaw = np.unwrap(np.arctan2(along[:, 0], along[:, 2]))
        moved, speed = correction(self.ball[:, [0, 2]], stands.any(axis=1), FAR)
        turned, _ = correction(yaw[:, None], stands.all(axis=1), TURNED)
        return moved, turned[:, 0], np.minimum(LIFT * speed, HIGHEST)

    def reaching(self, moved: Array, turned: Array, lifted: Array) -> tuple[Array, Array, Array]:
        """Local rotations (T, 3, 3) of hip, knee and ankle that bring the foot there, see :meth:`led`."""
        turn = about(np.broadcast_to([0.0, 1.0, 0.0], self.ball.shape), turned)
        ball = self.ball + np.stack([moved[:, 0], lifted, moved[:, 1]], axis=1)
        wanted = ball - turn_vectors(turn, self.ball - self.ankle) - self.hip
        upper, lower = self.knee - self.hip, self.ankle - self.knee
        length = norm(upper) + norm(lower)
        distance = within_reach(norm(wanted), length)
        level = np.hypot(wanted[:, 0], wanted[:, 2])
        wanted[:, 1] = np.where(
            distance < norm(wanted), -np.sqrt(np.maximum(distance**2 - level**2, 0.0)), wanted[:, 1]
        )
        bend = self._bend(upper, lower, norm(wanted), norm(wanted - (self.ankle - self.hip)))
        swing = between(upper + turn_vectors(bend, lower), wanted)
        thigh = swing @ self.thigh
        shin = swing @ bend @ self.shin
        return (
            self.parent.swapaxes(1, 2) @ thigh,
            thigh.swapaxes(1, 2) @ shin,
            shin.swapaxes(1, 2) @ turn @ self.foot,
        )

    def _bend(self, upper: Array, lower: Array, distance: Array, correction: Array) -> Array:
        """Rotation (T, 3, 3) of the shin that brings the ankle to a distance (T,) from the hip.

        It is about the axis that the knee is bent about, or the knee's own where it is straight or bent the wrong way.

        Args:
            upper: (T, 3) from hip to knee.
            lower: (T, 3) from knee to ankle.
            distance: (T,) metres.
            correction: (T,) metres that the ankle is to move in all.
        """
        thigh, shin = upper / norm(upper)[:, None], lower / norm(lower)[:, None]
        own = self.thigh[:, :, 0] - dot(self.thigh[:, :, 0], thigh)[:, None] * thigh
        own /= norm(own)[:, None]
        bent = np.cross(thigh, shin)
        forward = np.maximum(dot(bent, own), 0.0)[:, None]
        sideways = bent - dot(bent, own)[:, None] * own
        axis = (forward + HINGE) * own + np.minimum(forward / CLEAR, 1.0) * sideways
        axis /= norm(axis)[:, None]
        fixed = dot(thigh, axis) * dot(shin, axis)
        cosine, sine = dot(thigh, shin) - fixed, dot(thigh, np.cross(axis, shin))
        straight, most = np.arctan2(sine, cosine), np.hypot(cosine, sine)
        inner = (distance**2 - norm(upper) ** 2 - norm(lower) ** 2) / (2 * norm(upper) * norm(lower))
        angle = straight + np.arccos(np.clip((inner - fixed) / most, -1.0, 1.0))
        wrong = np.maximum(straight, 0.0)
        return about(axis, angle - 2 * wrong * np.exp(-correction / NEAR))


def correction(path: Array, stands: np.ndarray, far: float) -> tuple[Array, Array]:
    """How far a path (T, n) is moved so that it stays where it stands, and the speed (T,) a second of where it is held.

    Args:
        path: What is held.
        stands: (T,) whether it stands.
        far: How far it may be from where it is held.
    """
    moved, speed, held_in = np.zeros_like(path), np.zeros(len(path)), standing(stands)
    free = np.ones(len(path), bool)
    for first, last in held_in:
        place = held(path[first:last], far)
        moved[first:last] = place - path[first:last]
        speed[first:last] = norm(np.diff(place, axis=0, append=place[-1:])) * FPS
        free[first:last] = False
    fall = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, BLEND) / BLEND)
    for first, last in held_in:
        for edge, others in ((first, first - np.arange(1, BLEND)), (last - 1, last - 1 + np.arange(1, BLEND))):
            inside = (others >= 0) & (others < len(path))
            inside[inside] = free[others[inside]]
            moved[others[inside]] += fall[inside, None] * moved[edge]
    return moved, speed


def standing(stands: np.ndarray) -> list[tuple[int, int]]:
    """First frame of each stretch that stands, and the one behind it; what is shorter than :data:`SHORTEST` is not."""
    stands = stands.copy()
    for first, last in stretches(~stands):
        if last - first < SHORTEST and first > 0 and last < len(stands):
            stands[first:last] = True
    return [(first, last) for first, last in stretches(stands) if last - first >= SHORTEST]


def stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """First frame of each stretch of a mask (T,) that is true, and the frame behind it."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def held(path: Array, far: float) -> Array:
    """Where a path (T, n) is held: in the middle of as many frames as are not further than that from it, then anew."""
    places, first = np.empty_like(path), 0
    low = high = path[0]
    for frame in range(len(path) + 1):
        if frame < len(path):
            wider = np.minimum(low, path[frame]), np.maximum(high, path[frame])
            if np.linalg.norm(wider[1] - wider[0]) <= 2 * far:
                low, high = wider
                continue
        places[first:frame] = (low + high) / 2
        if frame < len(path):
            first, low, high = frame, path[frame], path[frame]
    step = np.hanning(STEP + 2)[1:-1]
    padded = np.pad(places, ((STEP // 2, STEP // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, step / step.sum(), mode="valid") for column in padded.T], axis=1)


def within_reach(distance: Array, length: Array) -> Array:
    """Distances (T,) from hip to ankle that a leg reaches: beyond :data:`STRETCH` of its length it gives way softly."""
    soft, room = STRETCH * length, (1 - STRETCH) * length
    beyond = np.maximum(distance - soft, 0.0)
    return np.where(beyond > 0, soft + room * (1 - np.exp(-beyond / room)), distance)


def about(axis: Array, angle: Array) -> Array:
    """Rotations (T, 3, 3) about unit axes (T, 3) by angles (T,)."""
    return axis_angle_to_matrix(torch.from_numpy(axis * angle[:, None])).numpy()


def between(one: Array, other: Array) -> Array:
    """The shortest rotations (T, 3, 3) that turn vectors (T, 3) into the directions of others."""
    axis = np.cross(one, other)
    angle = np.arctan2(norm(axis), dot(one, other))
    return about(axis / np.maximum(norm(axis), 1e-12)[:, None], angle)


def dot(one: Array, other: Array) -> Array:
    """Inner products (T,)."""
    return (one * other).sum(axis=-1)


def norm(vectors: Array) -> Array:
    """Lengths (T,)."""
    return np.linalg.norm(vectors, axis=-1)
