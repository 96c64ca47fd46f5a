"""Keeps a character's arms out of its trunk, which may be wider than the body's that the motion is of."""

from typing import NamedTuple

import numpy as np

from semtalk.avatar.character import TRUNK, Avatar
from semtalk.log import LOG
from semtalk.motion.turns import shortest_turn, turn_vectors

ARMS = {16: (18, 20, 28, 25), 17: (19, 21, 43, 40)}
"""Shoulder -> the joints of its arm that are kept out: elbow, wrist, two fingers."""
CARRIED = {16: (16, 18, 20, *range(25, 40)), 17: (17, 19, 21, *range(40, 55))}
"""Shoulder -> the joints that turn with it."""
MARGIN = {18: 0.0, 19: 0.0}
HAND_MARGIN = 0.02
"""Metres, in the body's size, between a joint and the surface."""
SLICES = 8
FEWEST = 8
"""Points that a slice is measured by."""
BELOW, ABOVE = 0.25, 0.85
"""Where slices begin, below the hips, and end, above them; in shares of the way from there to the shoulders."""
MOST = 0.98
"""Share of the points in a slice that its ellipse reaches to."""
ROUNDS = 4
"""In which arms are turned, each time for the joint that is deepest inside."""


class Slices(NamedTuple):
    """Ellipses around a trunk, from below to above, in the character's axes.

    Attributes:
        heights: (S,) of their middles.
        middles: (S, 2) to the left and forward.
        radii: (S, 2) to the side and forward; 0 where there is nothing.
    """

    heights: np.ndarray
    middles: np.ndarray
    radii: np.ndarray


class Trunk:
    """An upright stack of ellipses around what hangs on hips, spine and chest, up to the armpits."""

    def __init__(self, avatar: Avatar, scale: float):
        """Measure it.

        Args:
            avatar: The character; where its mesh cannot be read, nothing is kept apart.
            scale: Its size over the body's.
        """
        self.axes, self.scale = avatar.axes(), scale
        self.own = {joint: avatar.places[node] for joint, node in avatar.bones.items()}
        self.chest = max(joint for joint in TRUNK if joint in self.own)
        low, high = ((self.own[joint] @ self.axes)[1] for joint in (0, 16))
        self.bend = low, (self.own[self.chest] @ self.axes)[1]
        self.slices = measured(avatar.trunk @ self.axes, low - BELOW * (high - low), low + ABOVE * (high - low))
        if not self.slices.radii.any():
            LOG.info(
                f"{avatar.path.name}: its mesh is compressed or has no weights, so hands are not kept off its trunk."
            )

    def keep_apart(self, turns: dict[int, np.ndarray], places: dict[int, np.ndarray]) -> None:
        """Turn arms about their shoulders until no joint of them is in the trunk; both are changed.

        Args:
            turns: SMPL-X joint -> rotations (T, 3, 3) of its bone from its rest pose.
            places: SMPL-X joint -> places (T, 3) of its bone.
        """
        for _ in range(ROUNDS):
            for shoulder, joints in ARMS.items():
                for joint in (one for one in joints if one in places):
                    margin = self.scale * MARGIN.get(joint, HAND_MARGIN)
                    out = self.way_out(places[joint], turns, places, margin)
                    if out.any():
                        arm = places[joint] - places[shoulder]
                        self._turn(shoulder, shortest_turn(arm, arm + out), turns, places)

    def _turn(self, shoulder: int, by: np.ndarray, turns: dict, places: dict) -> None:
        for joint in CARRIED[shoulder]:
            if joint in turns:
                turns[joint] = by @ turns[joint]
                lever = places[joint] - places[shoulder]
                places[joint] = places[shoulder] + turn_vectors(by, lever)

    def way_out(self, at: np.ndarray, turns: dict, places: dict, margin: float) -> np.ndarray:
        """The way (T, 3) from places (T, 3) to the surface of the trunk, 0 for those outside of it.

        A bent trunk is that of the hips below and that of the chest above, and between them goes from one to the other.
        """
        seen = [self._at_rest(at, turns[joint], places[joint], joint) for joint in (0, self.chest)]
        low, high = self.bend
        share = np.clip((seen[1][:, 1:2] - low) / max(high - low, 1e-9), 0, 1)
        point = (1 - share) * seen[0] + share * seen[1]
        middles = _between(self.slices.heights, self.slices.middles, point[:, 1])
        radii = _between(self.slices.heights, self.slices.radii, point[:, 1])
        aside = point[:, [0, 2]] - middles
        depth = np.linalg.norm(aside / np.maximum(radii + margin, 1e-9), axis=1, keepdims=True)
        inside = (depth < 1) & (radii.min(axis=1, keepdims=True) > 0)
        step = np.where(inside, aside * (1 / np.maximum(depth, 0.2) - 1), 0)
        out = np.stack([step[:, 0], np.zeros(len(step)), step[:, 1]], axis=1) @ self.axes.T
        return sum(
            weight * turn_vectors(turns[joint], out)
            for joint, weight in ((0, 1 - share), (self.chest, share))
        )  # fmt: skip

    def _at_rest(self, at: np.ndarray, turn: np.ndarray, place: np.ndarray, joint: int) -> np.ndarray:
        """Places (T, 3) where a bone would have them at rest, in the character's axes."""
        return (turn_vectors(np.swapaxes(turn, -1, -2), at - place) + self.own[joint]) @ self.axes


def _between(heights: np.ndarray, rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows (S, 2) at other heights (T,); 0 beyond the first and the last one."""
    return np.stack([np.interp(at, heights, column, left=0, right=0) for column in rows.T], axis=1)


def measured(points: np.ndarray, low: float, high: float) -> Slices:
    """Lay ellipses around points (P, 3) in the character's axes, between two heights."""
    edges = np.linspace(low, high, SLICES + 1)
    middles, radii = np.zeros((SLICES, 2)), np.zeros((SLICES, 2))
    for number in range(SLICES):
        inside = points[(points[:, 1] >= edges[number]) & (points[:, 1] <= edges[number + 1])][:, [0, 2]]
        if len(inside) >= FEWEST:
            ends = np.quantile(inside, [1 - MOST, MOST], axis=0)
            middles[number], radii[number] = ends.mean(axis=0), (ends[1] - ends[0]) / 2
    return Slices((edges[1:] + edges[:-1]) / 2, middles, radii)
