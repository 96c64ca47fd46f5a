"""Names of bones: what VRM, Mixamo, Rigify, Unreal's mannequin and SMPL-X call SMPL-X's joints."""

import re
from collections.abc import Mapping

from semtalk.motion.skeleton import JOINT_NAMES

ROWS = {
    "pelvis": ("hips", "Hips", "spine", "pelvis"),
    "spine1": ("spine", "Spine", "spine.001", "spine_01"),
    "spine2": ("chest", "Spine1", "spine.002", "spine_03|spine_02"),
    "spine3": ("upperChest", "Spine2", "spine.003", "spine_05|spine_03"),
    "neck": ("neck", "Neck", "spine.004", "neck_01"),
    "head": ("head", "Head", "spine.006|spine.005", "head"),
    "jaw": ("jaw", "Jaw", "jaw|jaw_master", "jaw|FACIAL_C_Jaw"),
    "left_eye": ("leftEye", "LeftEye", "eye.L", "eye_l|FACIAL_L_Eye"),
    "left_hip": ("leftUpperLeg", "LeftUpLeg", "thigh.L", "thigh_l"),
    "left_knee": ("leftLowerLeg", "LeftLeg", "shin.L", "calf_l"),
    "left_ankle": ("leftFoot", "LeftFoot", "foot.L", "foot_l"),
    "left_foot": ("leftToes", "LeftToeBase", "toe.L", "ball_l"),
    "left_collar": ("leftShoulder", "LeftShoulder", "shoulder.L", "clavicle_l"),
    "left_shoulder": ("leftUpperArm", "LeftArm", "upper_arm.L", "upperarm_l"),
    "left_elbow": ("leftLowerArm", "LeftForeArm", "forearm.L", "lowerarm_l"),
    "left_wrist": ("leftHand", "LeftHand", "hand.L", "hand_l"),
    "left_index": ("leftIndex", "LeftHandIndex", "f_index.0{}.L", "index_0{}_l"),
    "left_middle": ("leftMiddle", "LeftHandMiddle", "f_middle.0{}.L", "middle_0{}_l"),
    "left_pinky": ("leftLittle", "LeftHandPinky", "f_pinky.0{}.L", "pinky_0{}_l"),
    "left_ring": ("leftRing", "LeftHandRing", "f_ring.0{}.L", "ring_0{}_l"),
    "left_thumb": ("leftThumb", "LeftHandThumb", "thumb.0{}.L", "thumb_0{}_l"),
}
"""Joint -> its name by VRM 0, Mixamo, Rigify and Unreal, or several to try; fingers without their number."""
PARTS = ("Proximal", "Intermediate", "Distal")
TO_THE_RIGHT = (("left", "right"), ("Left", "Right"), (r"\.L\b", ".R"), (r"_l\b", "_r"), ("_L_", "_R_"))


def _column(number: int) -> tuple[str, ...]:
    """A column of :data:`ROWS` for all 55 joints."""
    names = []
    for joint in JOINT_NAMES:
        key, part = re.fullmatch(r"(.*?)(\d?)", joint.replace("right", "left")).groups()
        if joint in ROWS:
            key, part = joint, ""
        name = ROWS[key][number]
        if part:
            name = name.format(part) if "{}" in name else name + (PARTS[int(part) - 1] if number == 0 else part)
        for left, right in TO_THE_RIGHT if joint.startswith("right") else ():
            name = re.sub(left, right, name)
        names.append(name)
    return tuple(names)


VRM = _column(0)
"""By SMPL-X joint, as VRM 0 spells them; Unity and VMC begin them with a capital."""
MIXAMO = tuple(f"mixamorig:{name}" for name in _column(1))
"""By SMPL-X joint; Ready Player Me's names are these without the prefix."""
BVH_NAMES = {"smplx": JOINT_NAMES, "vrm": VRM, "mixamo": MIXAMO}
"""Names that joints of a BVH file may have."""
VRM_1_THUMB = {"ThumbProximal": "ThumbMetacarpal", "ThumbIntermediate": "ThumbProximal"}
"""Bones of VRM 0 that have another name in VRM 1, which both must be asked for."""


def _of_both_vrms(name: str) -> str:
    side = "left" if name.startswith("left") else "right"
    new = VRM_1_THUMB.get(name.removeprefix(side))
    return f"{side}{new}|{name}" if new == "ThumbMetacarpal" else f"{name}|{side}{new}" if new else name


CONVENTIONS: dict[str, tuple[str, ...]] = {
    "VRM": tuple(map(_of_both_vrms, VRM)),
    "Mixamo": _column(1),
    "Rigify": tuple("|".join(f"DEF-{one}" for one in name.split("|")) for name in _column(2)),
    "Rigify's ORG bones": tuple("|".join(f"ORG-{one}" for one in name.split("|")) for name in _column(2)),
    "Rigify's metarig": _column(2),
    "Unreal": _column(3),
    "SMPL-X": tuple(f"{name}|{name}_smplhf" if name.endswith("eye") else name for name in JOINT_NAMES),
}
"""Whose names they are -> names to try for each SMPL-X joint, parted by ``|``."""
NEEDED = tuple(JOINT_NAMES.index(name) for name in (
    "pelvis", "spine1", "head", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
))  # fmt: skip
"""Joints without which nothing can be moved, which are VRM's own 15 needed bones."""
_ORDER = sorted(range(len(JOINT_NAMES)), key=lambda joint: (JOINT_NAMES[joint] != "spine3", joint))
"""So that of names to try for two joints, the first of them takes the first that is there."""


def folded(name: str) -> str:
    """A name without what programs change in it: capitals, signs between words, and Mixamo's prefix."""
    return re.sub(r"^mixamorig\d*", "", re.sub(r"[^a-z0-9]", "", name.lower()))


def match_bones(nodes: Mapping[str, int], names: tuple[str, ...]) -> dict[int, int]:
    """SMPL-X joint -> node, of those that are there.

    Args:
        nodes: Name -> number of the node.
        names: Of the joints, one of :data:`CONVENTIONS`.
    """
    there = {folded(name): node for name, node in reversed(nodes.items())}
    found: dict[int, int] = {}
    for joint in _ORDER:
        tried = (there.get(folded(name)) for name in names[joint].split("|"))
        node = next((node for node in tried if node is not None and node not in found.values()), None)
        if node is not None:
            found[joint] = node
    return found
