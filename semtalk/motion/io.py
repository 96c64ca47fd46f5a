"""Motion of one take and its npz file, with the keys that BEAT2 and its Blender add-on read."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from semtalk.arrays import read_npz
from semtalk.errors import SemTalkError
from semtalk.files import atomic_write
from semtalk.motion.skeleton import FPS, NUM_BETAS, NUM_EXPRESSIONS, NUM_JOINTS

KEYS = ("poses", "expressions", "trans", "betas")
LARGEST_TURN = 4 * np.pi
"""Radians; axis-angles stay below pi, or 2 pi where they are never wrapped."""
LARGEST_PLACE = 30.0
"""Metres."""
LARGEST_BETA = 100.0
LARGEST = {"betas": LARGEST_BETA, "expressions": 1000.0, "trans": 1e4}
"""Of single numbers: shapes and faces lie within a few deviations, places in metres; what is far beyond is damaged."""


@dataclass
class Motion:
    """One take of motion, 30 frames a second, metres and radians, y up.

    Attributes:
        poses: (T, 55, 3) axis-angle in SMPL-X order.
        expressions: (T, 100).
        trans: (T, 3).
        betas: (300,) body shape.
    """

    poses: np.ndarray
    expressions: np.ndarray
    trans: np.ndarray
    betas: np.ndarray

    def __len__(self) -> int:
        return len(self.poses)

    def __getitem__(self, frames: slice) -> "Motion":
        return Motion(self.poses[frames], self.expressions[frames], self.trans[frames], self.betas)


def in_place(motion: Motion) -> Motion:
    """The same motion without travel: the figure stays over where it begins, and rises and sinks as before."""
    trans = motion.trans.copy()
    trans[:, [0, 2]] = trans[:1, [0, 2]]
    return replace(motion, trans=trans)


def save_motion(path: str | Path, motion: Motion) -> None:
    """Write a motion as a BEAT2 npz."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # to a name that ends otherwise, as in .NPZ, numpy would add .npz
            np.savez(
                file,
                betas=motion.betas.astype(np.float32),
                poses=motion.poses.reshape(len(motion), -1).astype(np.float32),
                expressions=motion.expressions.astype(np.float32),
                trans=motion.trans.astype(np.float32),
                model="smplx2020",
                gender="neutral",
                mocap_frame_rate=FPS,
            )

    atomic_write(Path(path), write)


def load_motion(path: str | Path) -> Motion:
    """Read a BEAT2 npz.

    Raises:
        SemTalkError: The file is missing, damaged, no npz, holds another schema, another rate, or anything else than
            finite real numbers that can be meant, see :data:`LARGEST`.
    """
    path = Path(path)
    if not path.is_file():
        raise SemTalkError(f"{path}: no such motion file.")
    data = read_npz(path, KEYS, ("mocap_frame_rate",))
    rate = data.get("mocap_frame_rate", np.array(FPS))
    if rate.size != 1:
        raise SemTalkError(f"{path}: mocap_frame_rate has shape {rate.shape}, expected one number.")
    if rate.item() != FPS:
        raise SemTalkError(f"{path}: {rate.item():g} frames a second, expected {FPS}; resample it first.")
    poses = data["poses"]
    if poses.ndim != 2 or poses.shape[1] != NUM_JOINTS * 3:
        raise SemTalkError(f"{path}: poses has shape {poses.shape}, expected (frames, {NUM_JOINTS * 3}).")
    data["poses"] = poses.reshape(len(poses), NUM_JOINTS, 3)
    return checked_motion(Motion(**{key: data[key] for key in KEYS}), str(path))


def checked_motion(motion: Motion, name: str) -> Motion:
    """A motion as float32.

    Args:
        motion: The motion.
        name: What messages call it.

    Raises:
        SemTalkError: It has no frame, arrays of other shapes, or numbers that are not finite or cannot be meant.
    """
    arrays = {key: np.asarray(getattr(motion, key)) for key in KEYS}
    frames = len(arrays["poses"]) if arrays["poses"].ndim else 0
    if not frames:
        raise SemTalkError(f"{name}: there is no frame in it.")
    expected = {
        "poses": (frames, NUM_JOINTS, 3),
        "expressions": (frames, NUM_EXPRESSIONS),
        "trans": (frames, 3),
        "betas": (NUM_BETAS,),
    }
    for key, shape in expected.items():
        value = arrays[key]
        if value.shape != shape or value.dtype.kind not in "fi":
            raise SemTalkError(f"{name}: {key} has shape {value.shape} of {value.dtype}, expected numbers {shape}.")
        if not np.isfinite(value).all():
            raise SemTalkError(f"{name}: {key} holds NaN or infinite values.")
        if (largest := np.abs(value).max()) > LARGEST.get(key, np.inf):
            raise SemTalkError(f"{name}: {key} reach {largest:.3g}, expected {LARGEST[key]:g} at most; mend them.")
    _refuse_other_units(arrays["poses"], arrays["trans"], name)
    return Motion(**{key: value.astype(np.float32) for key, value in arrays.items()})


def _refuse_other_units(poses: np.ndarray, trans: np.ndarray, name: str) -> None:
    """Refuse angles that can only be degrees, and places that can only be centimetres or millimetres."""
    turn, place = np.abs(poses).max(), np.abs(np.median(trans, axis=0)).max()
    if turn > LARGEST_TURN:
        raise SemTalkError(f"{name}: poses reach {turn:.3g}; they seem to be degrees, expected radians.")
    if place > LARGEST_PLACE:
        raise SemTalkError(f"{name}: trans lies about {place:.0f} from the origin; centimetres? Expected metres.")
