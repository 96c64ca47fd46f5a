"""ARKit's weights as a csv, with the columns of Live Link Face: for Unreal, Blender, Unity and MotionBuilder."""

from pathlib import Path

import numpy as np
import torch

from semtalk.errors import SemTalkError
from semtalk.face.names import ARKIT, INDEX, pascal
from semtalk.face.weights import FaceMap
from semtalk.files import atomic_write
from semtalk.motion.io import Motion
from semtalk.motion.rotation import axis_angle_to_matrix
from semtalk.motion.skeleton import EYES, FPS, JOINT_NAMES, PARENTS

SWAPPED = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
"""Unlike Apple, the app writes the right side of these first."""
WEIGHTS = tuple(SWAPPED.get(name, name) for name in ARKIT)
ANGLES = tuple(f"{part}{angle}" for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll"))
VALUES = (*map(pascal, WEIGHTS), *ANGLES)
HEADER = ("Timecode", "BlendShapeCount", *VALUES)
HEAD = JOINT_NAMES.index("head")
RATES = (30, 60)


def timecode(frame: int, fps: int) -> str:
    """``HH:MM:SS:FF.mmm``: FF counts the frames of a second, mmm the thousandths of one, of which there are none."""
    seconds, part = divmod(frame, fps)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{part:02d}.000"


def angles(motion: Motion) -> np.ndarray:
    """Yaw, pitch and roll in radians of the head against the world and of each eye against the head, (T, 9).

    Turned about y first, then x, then z; yaw is to the figure's left, pitch down.
    """
    from scipy.spatial.transform import Rotation

    local = axis_angle_to_matrix(torch.from_numpy(motion.poses))
    head, joint = local[:, HEAD], PARENTS[HEAD]
    while joint >= 0:
        head, joint = local[:, joint] @ head, PARENTS[joint]
    turns = torch.stack([head, *(local[:, eye] for eye in EYES)], dim=1)
    return Rotation.from_matrix(turns.reshape(-1, 3, 3).numpy()).as_euler("YXZ").reshape(len(motion), -1)


def rows_of(motion: Motion, face: FaceMap, fps: int) -> np.ndarray:
    """The 61 values of each row, (T, 61) or at 60 frames a second (2T, 61): between two frames lies their mean."""
    values = np.concatenate([face(motion)[:, [INDEX[name] for name in WEIGHTS]], angles(motion)], axis=1)
    if fps == FPS:
        return values
    values[:, len(WEIGHTS) :] = np.unwrap(values[:, len(WEIGHTS) :], axis=0)
    places = np.minimum(np.arange(len(values) * fps // FPS) * FPS / fps, len(values) - 1)
    before = places.astype(int)
    after = np.minimum(before + 1, len(values) - 1)
    return values[before] + (places - before)[:, None] * (values[after] - values[before])


def write_live_link(path: Path, motion: Motion, face: FaceMap, fps: int = FPS) -> None:
    """Write the csv.

    Args:
        path: Of the file.
        motion: Whose face it is.
        face: How weights follow from it.
        fps: Rows a second, 30 or 60.

    Raises:
        SemTalkError: There is no such rate.
    """
    if fps not in RATES:
        raise SemTalkError(f"arkit_fps={fps!r}: choose 30 or 60.")
    rows = rows_of(motion, face, fps)

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(",".join(HEADER) + "\n")
            for frame, row in enumerate(rows):
                values = ",".join(f"{value:.8f}" for value in row)
                file.write(f"{timecode(frame, fps)},{len(VALUES)},{values}\n")

    atomic_write(path, write)
