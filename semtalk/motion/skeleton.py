"""The SMPL-X skeleton: 55 joints, their parents, and the four body parts of the method (paper section 3.1)."""

from collections.abc import Iterable
from dataclasses import dataclass

FPS = 30
SAMPLE_RATE = 16_000
DOWNSAMPLE = 4
"""Frames in one code step."""

JOINT_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "jaw", "left_eye", "right_eye",
    "left_index1", "left_index2", "left_index3", "left_middle1", "left_middle2", "left_middle3", "left_pinky1",
    "left_pinky2", "left_pinky3", "left_ring1", "left_ring2", "left_ring3", "left_thumb1", "left_thumb2",
    "left_thumb3", "right_index1", "right_index2", "right_index3", "right_middle1", "right_middle2", "right_middle3",
    "right_pinky1", "right_pinky2", "right_pinky3", "right_ring1", "right_ring2", "right_ring3", "right_thumb1",
    "right_thumb2", "right_thumb3",
)  # fmt: skip
PARENTS = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15,
    20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38,
    21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53,
)  # fmt: skip
NUM_JOINTS = 55
NUM_EXPRESSIONS = 100
NUM_BETAS = 300
JAW = 22
EYES = (23, 24)
FEET = (7, 8, 10, 11)
"""Ankles and toes, in the order of the four contact channels."""

UPPER_JOINTS = (3, 6, 9, *range(12, 22))
HAND_JOINTS = tuple(range(25, 55))
LOWER_JOINTS = (0, 1, 2, 4, 5, 7, 8, 10, 11)

TALKSHOW_JOINTS = (3, 6, 9, 10, 11, *range(14, 22), *HAND_JOINTS)
"""What TalkSHOW's FGD sees: by a slip that is part of its score, the feet instead of neck and left collar."""
DIFFSHEG_JOINTS = (*UPPER_JOINTS, *HAND_JOINTS)
"""What DiffSHEG's FGD sees."""


def pose_columns(joints: Iterable[int]) -> list[int]:
    """Columns of an axis-angle pose (T, 165) that hold these joints."""
    return [3 * joint + axis for joint in joints for axis in range(3)]


SEED_FRAMES = 4
"""Frames that are always given to the networks at the start of a window."""
WINDOW = 64
"""Frames in one window."""
SHOW_WINDOW = 88
"""Frames in a window of SHOW's feature extractors."""

ROOT_CHANNELS = 3
CONTACT_CHANNELS = 4
MOTION_CHANNELS = NUM_JOINTS * 6 + ROOT_CHANNELS + CONTACT_CHANNELS
"""Width of the whole-body seed and mask channel: 55 * 6 + 3 + 4 = 337."""


@dataclass(frozen=True)
class Part:
    """One of the four body parts; its channels are joints in 6D, then expressions, root and contact."""

    name: str
    joints: tuple[int, ...]
    expressions: int = 0
    root: int = 0
    contact: int = 0

    @property
    def rotation_width(self) -> int:
        """Number of 6D rotation channels."""
        return 6 * len(self.joints)

    @property
    def width(self) -> int:
        """Number of channels D."""
        return self.rotation_width + self.expressions + self.root + self.contact


PARTS: dict[str, Part] = {
    "face": Part("face", (JAW,), expressions=NUM_EXPRESSIONS),
    "upper": Part("upper", UPPER_JOINTS),
    "hands": Part("hands", HAND_JOINTS),
    "lower": Part("lower", LOWER_JOINTS, root=ROOT_CHANNELS, contact=CONTACT_CHANNELS),
}
BODY_PARTS = ("upper", "hands", "lower")
