"""Characters of the user's own: what moves them, what of their files stays, and what is told of bad ones."""

import json
import re

import numpy as np
import pytest
import soundfile
import torch
from characters import (
    HANDS,
    Z_UP,
    channels,
    gestures,
    load,
    of_vrm_1,
    posed,
    save,
    write_character,
)
from conftest import run_command, run_program
from scipy.spatial.transform import Rotation
from tiny import voice

from semtalk.avatar import blender, read_avatar, write_avatar
from semtalk.avatar.names import CONVENTIONS, NEEDED, VRM, match_bones
from semtalk.errors import SemTalkError
from semtalk.face import face_map
from semtalk.gltf import read_accessor
from semtalk.live.bones import BONES
from semtalk.motion.io import load_motion
from semtalk.motion.skeleton import JOINT_NAMES

LIMBS = [(16, 18), (18, 20), (17, 19), (19, 21), (1, 4), (4, 7), (2, 5), (5, 8), (20, 28), (21, 43)]
FINGERS = [(first + part, first + part + 1) for first in range(25, 55, 3) for part in (0, 1)]
FACING_BACK = Rotation.from_euler("y", 180, degrees=True)
CHARACTERS = {
    "a T pose": {},
    "an A pose": {"pose": "A"},
    "arms down and bent": {"pose": "bent"},
    "bones along the scene's axes": {"turned": False, "twists": False},
    "z upward": {"pose": "A", "scene": Z_UP},
    "facing aside": {"scene": Rotation.from_euler("y", 40, degrees=True)},
    "centimetres": {"unit": 100.0},
    "centimetres below a node of metres": {"pose": "A", "node_scale": 0.01},
    "no fingers": {"without": tuple(HANDS)},
    "needed bones alone": {"without": tuple(joint for joint in range(55) if joint not in NEEDED), "pose": "A"},
    "longer legs": {"tall": 1.25},
    "matrices": {"matrix": True, "pose": "A"},
    "legs that hang on the root": {"apart": True},
    "VRM 0": {"kind": "vrm0", "scene": FACING_BACK, "prefix": "J_Bip_"},
    "VRM 1": {"kind": "vrm1", "prefix": "J_Bip_"},
    "Mixamo's prefix": {"prefix": "mixamorig:"},
    **{f"names of {names}": {"names": names} for names in CONVENTIONS},
}


def name_of(joint: int, names: str = "Mixamo", prefix: str = "", **_) -> str:
    return prefix + CONVENTIONS[names][joint].split("|")[0]


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """Degrees between directions."""
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def joints_of(body, motion) -> np.ndarray:
    return body.joints(*map(torch.from_numpy, (motion.poses, motion.betas, motion.trans))).numpy()


def hanging(frames: int = 8):
    """A motion whose arms hang down, the hands before the belly in the end."""
    motion = gestures(frames, size=0.0)
    for shoulder, elbow, side in ((16, 18, 1), (17, 19, -1)):
        turn = Rotation.from_euler("z", -1.25 * side) * Rotation.from_euler("x", 0.7)
        motion.poses[:, shoulder] = turn.as_rotvec()
        motion.poses[:, elbow, 1] = -side * np.linspace(0, 1.9, frames)
    return motion


@pytest.mark.parametrize("spec", CHARACTERS.values(), ids=CHARACTERS)
def test_limbs_point_where_the_bodys_do(spec, body, tmp_path):
    motion = gestures()
    write_character(tmp_path / "a.glb", body, **spec)
    write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body)
    truth, scene = joints_of(body, motion), spec.get("scene", Rotation.identity())
    known = [joint for joint in range(55) if joint not in spec.get("without", ())]
    for frame in (0, 5, 11):
        nodes = posed(tmp_path / "b.glb", frame)
        at = {joint: scene.inv().apply(nodes[name_of(joint, **spec)][:3, 3]) for joint in known}
        for joint, child in [*LIMBS, *FINGERS]:
            if joint in at and child in at:
                assert angle(at[child] - at[joint], truth[frame, child] - truth[frame, joint]) < 0.5, (joint, child)
    moving = channels(*load(tmp_path / "b.glb"))
    extra = [number for number, node in enumerate(load(tmp_path / "b.glb")[0]["nodes"]) if "twist" in node["name"]]
    assert not [key for key in moving if key[0] in extra], "twist bones rest"
    assert all(len(values) == len(motion) for values in moving.values())


@pytest.mark.parametrize("name", ["an A pose", "centimetres", "longer legs", "z upward", "legs that hang on the root"])
def test_feet_stand_on_the_floor_and_the_way_goes_with_the_legs(name, body, tmp_path):
    spec = CHARACTERS[name]
    motion, unit = gestures(40, size=0.3), spec.get("unit", 1.0)
    motion.poses[:, :9] *= np.linspace(0, 1, 40)[:, None, None]
    own = write_character(tmp_path / "a.glb", body, **spec)
    write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body)
    scene, truth = spec.get("scene", Rotation.identity()), joints_of(body, motion)
    rest = body.rest_joints(torch.zeros(300)).numpy()
    lengths = [
        np.linalg.norm(places[[4, 5]] - places[[1, 2]], axis=1)
        + np.linalg.norm(places[[7, 8]] - places[[4, 5]], axis=1)
        for places in (own, rest)
    ]
    scale = unit * lengths[0].mean() / lengths[1].mean()
    feet, lifted, hips = (7, 8, 10, 11), [], []
    for frame in range(40):
        nodes = posed(tmp_path / "b.glb", frame)
        at = {joint: scene.inv().apply(nodes[name_of(joint, **spec)][:3, 3]) for joint in (0, *feet)}
        lifted.append(min(at[joint][1] - unit * own[joint, 1] for joint in feet))
        hips.append(at[0])
    body_lifted = (truth[:, feet, 1] - rest[list(feet), 1]).min(axis=1)
    body_lifted -= np.percentile(body_lifted, 5)
    assert np.abs(np.array(lifted) - scale * body_lifted).max() < 1e-4 * unit, "as far above the floor as the body's"
    way = np.array(hips)[:, [0, 2]] - np.array(hips)[:1, [0, 2]]
    assert np.abs(way - scale * (truth[:, 0] - truth[:1, 0])[:, [0, 2]]).max() < 1e-4 * unit
    start = unit * own[0, [0, 2]] + scale * motion.trans[0, [0, 2]]
    assert np.abs(np.array(hips)[0, [0, 2]] - start).max() < 1e-4 * unit


@pytest.mark.parametrize("pose", ["A", "bent"])
def test_a_rest_pose_changes_nothing_of_hands_feet_and_head(pose, body, tmp_path):
    """Also how limbs are twisted, which their directions do not say."""
    motion = gestures()
    for one in ("T", pose):
        write_character(tmp_path / f"{one}.glb", body, pose=one)
        write_avatar(tmp_path / f"{one}_moved.glb", motion, tmp_path / f"{one}.glb", body)
    for frame in (0, 11):
        first, second = (posed(tmp_path / f"{one}_moved.glb", frame) for one in ("T", pose))
        for joint, child in [(20, 25), (20, 31), (21, 46), (7, 10), (8, 11), (0, 3), (9, 12), (12, 15), (9, 13)]:
            ways = [at[name_of(child)][:3, 3] - at[name_of(joint)][:3, 3] for at in (first, second)]
            assert angle(*ways) < (6 if joint in (20, 21) else 0.5), (joint, child)


@pytest.mark.parametrize("kind", ["glb", "vrm0", "vrm1"])
def test_bones_turn_from_rest_as_joints_do(kind, body, tmp_path):
    """Of a T pose that is SMPL-X's own, in all axes."""
    motion = gestures()
    write_character(tmp_path / "a.glb", body, kind=kind, names="SMPL-X")
    write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body)
    local, world = body.matrices(torch.from_numpy(motion.poses[5])).numpy(), {}
    rest = {node["name"]: number for number, node in enumerate(load(tmp_path / "a.glb")[0]["nodes"])}
    still, moved = read_avatar(tmp_path / "a.glb").world, posed(tmp_path / "b.glb", 5)
    from semtalk.motion.skeleton import PARENTS

    for joint, parent in enumerate(PARENTS):
        world[joint] = local[joint] if parent < 0 else world[parent] @ local[joint]
        name = name_of(joint, "SMPL-X")
        turn = moved[name][:3, :3] @ still[rest[name]][:3, :3].T
        assert np.abs(turn - world[joint]).max() < 1e-4, name


def depth_in(trunk: float, middle: np.ndarray, at: np.ndarray) -> float:
    return float(np.hypot((at[0] - middle[0]) / trunk, (at[2] - middle[2]) / (0.7 * trunk)))


def test_hands_stay_out_of_a_trunk_that_is_wider_than_the_bodys(body, tmp_path):
    motion, wrists = hanging(), {}
    for wide in (0.05, 0.22):
        own = write_character(tmp_path / "a.glb", body, wide=wide)
        write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body)
        for frame in range(len(motion)):
            nodes = posed(tmp_path / "b.glb", frame)
            hips = nodes["Hips"][:3, 3] - own[0]
            for joint in (20, 21, 28, 43):
                wrists[wide, frame, joint] = nodes[name_of(joint)][:3, 3] - hips
                arm = [nodes[name_of(one)][:3, 3] for one in ((16, 18) if joint in (20, 28) else (17, 19))]
            assert np.linalg.norm(arm[1] - arm[0]) == pytest.approx(np.linalg.norm(own[19] - own[17]), rel=1e-3)
    middle, truth = own[[0, 9]].mean(axis=0), joints_of(body, motion)
    depths = {
        wide: [depth_in(0.22, middle, at) for (one, *_), at in wrists.items() if one == wide] for wide in (0.05, 0.22)
    }
    assert min(depths[0.05]) < 0.8, "where a thin one's are, the wide one is"
    assert min(depths[0.22]) > 1.0
    for frame in (0, 7):
        thin = wrists[0.05, frame, 28] - wrists[0.05, frame, 20]
        assert angle(thin, truth[frame, 28] - truth[frame, 20]) < 0.2, "a thin one's arms are left alone"
    steps = [np.linalg.norm(wrists[0.22, frame + 1, 20] - wrists[0.22, frame, 20]) for frame in range(7)]
    assert max(steps) < 0.25, "without leaps"


@pytest.mark.parametrize("suffix", ["glb", "vrm"])
def test_the_file_is_the_same_character_with_an_animation_behind_it(suffix, body, tmp_path):
    spec = {"targets": ["jawOpen", "other"], "animated": True, "kind": "vrm1" if suffix == "vrm" else "glb"}
    write_character(tmp_path / f"a.{suffix}", body, **spec)
    given = write_avatar(tmp_path / f"b.{suffix}", gestures(), tmp_path / f"a.{suffix}", body)
    (before, old), (after, new) = load(tmp_path / f"a.{suffix}"), load(given)
    assert new.startswith(old) and len(new) > len(old) and after["buffers"][0]["byteLength"] == len(new)
    for key, value in before.items():
        if key == "nodes" or key in (
            "materials",
            "meshes",
            "skins",
            "images",
            "extensions",
            "extensionsUsed",
            "scenes",
        ):
            assert after[key] == value, key
        elif isinstance(value, list) and key != "buffers":
            kept = after[key][1:] if key == "animations" else after[key][: len(value)]
            assert kept == value, key
    assert [one["name"] for one in after["animations"]] == ["semtalk", "old"]
    assert set(after) == set(before)


def test_another_reader_sees_the_skin_where_the_bones_carry_it(body, tmp_path):
    """VTK's, with its own skinning and morph targets."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOGeometry import vtkGLTFReader

    motion = gestures()
    motion.poses[:, 22] = 0.2, 0, 0
    write_character(tmp_path / "a.glb", body, targets=["eyeBlinkLeft", "jawOpen"], pose="A", scene=Z_UP)
    write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body)
    document, data = load(tmp_path / "b.glb")
    (primitive,), (skin,) = document["meshes"][0]["primitives"], document["skins"]
    points, jaw = (
        read_accessor(document, data, one)
        for one in (primitive["attributes"]["POSITION"], primitive["targets"][1]["POSITION"])
    )
    carriers = read_accessor(document, data, primitive["attributes"]["JOINTS_0"])[:, 0]
    inverse = read_accessor(document, data, skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
    reader = vtkGLTFReader()
    reader.SetFileName(str(tmp_path / "b.glb"))
    reader.ApplyDeformationsToGeometryOn()
    reader.SetFrameRate(30)
    reader.UpdateInformation()
    assert reader.GetAnimationName(0) == "semtalk" and reader.GetAnimationDuration(0) == pytest.approx(11 / 30)
    reader.EnableAnimation(0)
    for frame in (0, 7):
        reader.UpdateTimeStep(frame / 30 + 1e-6)
        blocks = reader.GetOutput().NewIterator()
        seen = vtk_to_numpy(blocks.GetCurrentDataObject().GetPoints().GetData())
        nodes = posed(tmp_path / "b.glb", frame)
        moved = np.array([nodes[document["nodes"][joint]["name"]] for joint in skin["joints"]]) @ inverse
        open_mouth = points + 0.2 / 0.395 * jaw
        expected = (moved[carriers] @ np.c_[open_mouth, np.ones(len(points))][..., None])[:, :3, 0]
        assert np.abs(seen - expected).max() < 1e-4 and np.abs(seen - points).max() > 0.1


class Face:
    """ARKit's weights that a test gives."""

    said = "given"

    def __init__(self, **weights: float):
        self.weights = weights

    def __call__(self, motion) -> np.ndarray:
        from semtalk.face.names import ARKIT

        return np.tile([self.weights.get(name, 0.0) for name in ARKIT], (len(motion), 1))


FACE = {"jawOpen": 0.8, "mouthPucker": 0.25, "eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.3, "mouthSmileLeft": 0.5}
_GROUPS = {
    "a": {0: 100}, "o": {0: 50, 1: 40}, "blink_l": {2: 100}, "blink_r": {3: 100}, "blink": {2: 100}, "joy": {1: 100},
}  # fmt: skip
BINDS_0 = {
    "blendShapeGroups": [
        {
            "name": name.upper(),
            "presetName": name,
            "isBinary": name == "blink_l",
            "binds": [{"mesh": 0, "index": index, "weight": weight} for index, weight in binds.items()],
        }
        for name, binds in _GROUPS.items()
    ]
}
"""Of VRM 0; the same of VRM 1 is made of it."""
OPENED = 0.8 * 0.75 * 0.75
"""What aa is of FACE."""
SEEN = [OPENED + 0.5 * 0.8 * 0.25, 0.4 * 0.8 * 0.25, 1.0, 0.3]


def binds_1(document: dict) -> None:
    """Give a character VRM 1's expressions."""
    body = next(number for number, node in enumerate(document["nodes"]) if "mesh" in node)
    names = {"a": "aa", "o": "oh", "blink_l": "blinkLeft", "blink_r": "blinkRight", "blink": "blink", "joy": "happy"}
    document["extensions"]["VRMC_vrm"]["expressions"]["preset"] = {
        names[one["presetName"]]: {
            "isBinary": one["isBinary"],
            "morphTargetBinds": [
                {"node": body, "index": bind["index"], "weight": bind["weight"] / 100} for bind in one["binds"]
            ],
        }
        for one in BINDS_0["blendShapeGroups"]
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"targets": ["jawOpen", "smile", "eyeBlink_L", "head.mouthPucker"]}, [0.8, 0, 0.9, 0.25]),
        ({"targets": ["viseme_aa", "viseme_O", "viseme_sil", "mouthSmile"]}, [OPENED, 0.2, 0, 0]),
        ({"targets": list("abcd"), "kind": "vrm0", "expressions": BINDS_0}, SEEN),
        ({"targets": list("abcd"), "kind": "vrm1", "edit": binds_1}, SEEN),
        ({"targets": ["jawOpen", "b", "c", "d"], "kind": "vrm1", "edit": binds_1}, [0.8, 0, 0, 0]),
    ],
    ids=["ARKit", "visemes", "VRM 0", "VRM 1", "ARKit before VRM"],
)  # fmt: skip
def test_the_characters_own_face_follows(spec, expected, body, tmp_path):
    motion = gestures(3)
    motion.poses[:, 22] = 0.3, 0, 0
    write_character(tmp_path / "a.glb", body, **spec)
    write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body, Face(**FACE))
    document, data = load(tmp_path / "b.glb")
    number = {node["name"]: number for number, node in enumerate(document["nodes"])}
    moving = channels(document, data)
    assert moving[number["Body"], "weights"] == pytest.approx(np.tile(expected, (3, 1)), abs=1e-5)
    assert (number["Jaw"], "rotation") not in moving, "the mouth would open twice"
    assert (number["LeftEye"], "rotation") in moving


def test_a_character_without_shapes_moves_jaw_and_eyes_as_bones(body, tmp_path):
    motion = gestures(2)
    motion.poses[:, 22:24] = (0.3, 0, 0), (0, 0.2, 0)
    write_character(tmp_path / "a.glb", body, turned=False)
    write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body)
    nodes = posed(tmp_path / "b.glb", 1)
    for name, turn in (("Jaw", (0.3, 0, 0)), ("LeftEye", (0, 0.2, 0)), ("RightEye", (0, 0, 0))):
        local = nodes["Head"][:3, :3].T @ nodes[name][:3, :3]
        assert Rotation.from_matrix(local).as_rotvec() == pytest.approx(turn, abs=1e-4), name


def test_eyes_that_look_by_shapes_are_not_turned_as_bones_too(body, tmp_path):
    motion = gestures(2)
    motion.poses[:, 23] = 0, 0.25, 0
    targets = ["jawOpen", "eyeLookOutLeft", "eyeLookInRight"]
    write_character(tmp_path / "a.glb", body, targets=targets)
    write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body, face_map(body))
    document, data = load(tmp_path / "b.glb")
    number = {node["name"]: number for number, node in enumerate(document["nodes"])}
    moving = channels(document, data)
    assert moving[number["Body"], "weights"][0] == pytest.approx([0, 0.5, 0])
    assert (number["LeftEye"], "rotation") not in moving


def test_a_weight_that_follows_nothing_stays_as_it_is(body, tmp_path):
    def slim(document):
        document["meshes"][0]["weights"] = [0.0, 0.6]

    write_character(tmp_path / "a.glb", body, targets=["jawOpen", "slim"], edit=slim)
    write_avatar(tmp_path / "b.glb", gestures(2), tmp_path / "a.glb", body, Face(jawOpen=1))
    document, data = load(tmp_path / "b.glb")
    assert channels(document, data)[len(document["nodes"]) - 1, "weights"][1] == pytest.approx([1, 0.6])


def test_bones_of_any_names_are_found_by_a_map(body, tmp_path):
    def rename(document):
        for node in document["nodes"]:
            node["name"] = {"LeftArm": "Oberarm links", "Head": "Kopf"}.get(node["name"], node["name"])

    write_character(tmp_path / "a.glb", body, edit=rename)
    with pytest.raises(SemTalkError, match=r"Mixamo, the bones head \(Head\), leftUpperArm \(LeftArm\) are missing"):
        read_avatar(tmp_path / "a.glb")
    own = tmp_path / "map.yaml"
    own.write_text("leftUpperArm: Oberarm links\nhead: Kopf\njaw: null\n")
    avatar = read_avatar(tmp_path / "a.glb", own)
    named = {VRM[joint]: avatar.document["nodes"][node]["name"] for joint, node in avatar.bones.items()}
    assert named["leftUpperArm"] == "Oberarm links" and named["head"] == "Kopf" and "jaw" not in named
    assert named["leftHand"] == "LeftHand"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("leftArm: LeftArm", "leftArm is no bone; those of VRM 0 are hips"),
        ("hips: Nothing", r"hips: Nothing: .*a.glb has no such node"),
        ("[1, 2]", "give a line for each bone"),
        ("hips: 3", "give a line for each bone"),
        ("hips: [", "not a readable yaml"),
        (None, "no such file"),
    ],
)
def test_a_bad_map_is_one_sentence(content, says, body, tmp_path):
    write_character(tmp_path / "a.glb", body)
    if content is not None:
        (tmp_path / "map.yaml").write_text(content)
    with pytest.raises(SemTalkError, match=says) as told:
        read_avatar(tmp_path / "a.glb", tmp_path / "map.yaml")
    assert "\n" not in str(told.value)


def test_every_joint_has_a_name_of_its_own_by_everyone():
    for said, names in CONVENTIONS.items():
        nodes = {name.split("|")[0]: number for number, name in enumerate(names)}
        found = match_bones(nodes, names)
        assert len(found) == 55 and [found[joint] for joint in sorted(found)] == list(range(55)), said
    assert BONES[37] == "LeftThumbProximal" and of_vrm_1(VRM[38]) == "leftThumbProximal"
    assert [CONVENTIONS["Mixamo"][JOINT_NAMES.index(name)] for name in ("right_elbow", "left_pinky2", "spine3")] == [
        "RightForeArm", "LeftHandPinky2", "Spine2",
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "expected"), [(3, ("01", "02", "03")), (5, ("01", "03", "05")), (2, ("01", "02"))])
def test_unreals_mannequins_of_three_and_five_spine_bones_bend_over_their_length(count, expected):
    nodes = {f"spine_0{number}": number for number in range(1, count + 1)}
    found = match_bones(nodes, CONVENTIONS["Unreal"])
    assert [f"0{found[joint]}" for joint in (3, 6, 9) if joint in found] == list(expected)


def broken(change):
    """A way to write a character whose description is changed."""

    def write(path, body):
        write_character(path, body, edit=change)

    return write


def cut(size):
    def write(path, body):
        write_character(path, body)
        content = path.read_bytes()
        path.write_bytes(content[: size if size > 0 else len(content) + size])

    return write


def without(joint: int):
    return lambda path, body: write_character(path, body, without=(joint,))


def raw(content: bytes):
    return lambda path, body: path.write_bytes(content)


def described(text: bytes):
    length = len(text).to_bytes(4, "little")
    return raw(b"glTF" + (2).to_bytes(4, "little") + (20 + len(text)).to_bytes(4, "little") + length + b"JSON" + text)


def uneven(document):
    document["nodes"][0]["scale"] = [1, 2, 1]


BAD = {
    "nothing there": (lambda path, body: None, "no such file"),
    "a text": (raw(b"hello, I am no character"), "not a glTF file in binary form"),
    "empty": (raw(b""), "not a glTF file"),
    "cut in the head": (cut(15), "not a glTF file"),
    "cut in the description": (cut(1000), "cut short or damaged"),
    "cut in the data": (cut(-100), "cut short or damaged"),
    "glTF 1": (raw(b"glTF" + (1).to_bytes(4, "little") + bytes(40)), "glTF 1, expected 2"),
    "no description": (raw(b"glTF" + (2).to_bytes(4, "little") + (20).to_bytes(4, "little") + bytes(8)), "cut short"),
    "a list": (described(b"[1, 2] "), "description is damaged"),
    "depth without end": (described(b"[" * 200000), "description is damaged"),
    "no number": (described(b'{"nodes": [{"translation": [NaN, 0, 0]}]}'), "NaN is no number"),
    "no nodes": (described(b'{"asset": {"version": "2.0"}}'), "not a character in glTF"),
    "nodes of text": (described(b'{"nodes": "none"}'), "not a character in glTF"),
    "another file": (broken(lambda one: one["buffers"][0].update(uri="../../etc/passwd")), "other files .*passwd"),
    "a picture elsewhere": (broken(lambda one: one["images"].append({"uri": "skin.png"})), "other files .*skin.png"),
    "a ring of nodes": (broken(lambda one: one["nodes"][5].update(children=[0])), "their own parents"),
    "a child of two": (broken(lambda one: one["nodes"][5].update(children=[3])), "two parents"),
    "a child that is none": (broken(lambda one: one["nodes"][5].update(children=[9999])), "two parents, or is none"),
    "data beyond the end": (broken(lambda one: one["accessors"][0].update(count=10**9)), "reaches beyond the data"),
    "a negative place": (broken(lambda one: one["bufferViews"][0].update(byteOffset=-8)), "reaches beyond the data"),
    "joints that are none": (broken(lambda one: one["skins"][0].update(joints=[10**6])), "not a character in glTF"),
    "uneven": (broken(uneven), "Armature is scaled unevenly or mirrored"),
    "huge places": (broken(lambda one: one["nodes"][0].update(translation=[1e400, 0, 0])), "NaN|Infinity|finite"),
    "no arm": (without(16), r"by the names of Mixamo, the bone leftUpperArm \(LeftArm\) is missing; avatar_map="),
    "no hips": (without(0), r"the bone hips \(Hips\) is missing"),
    "names of nobody": (
        lambda path, body: write_character(path, body, prefix="xyz"), "no skeleton whose names are known .*14 other",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("write", "says"), BAD.values(), ids=BAD)
def test_a_bad_character_is_one_sentence(write, says, body, tmp_path):
    write(tmp_path / "a.glb", body)
    with pytest.raises(SemTalkError, match=says) as told:
        read_avatar(tmp_path / "a.glb")
    assert "\n" not in str(told.value) and "a.glb" in str(told.value)


def test_a_vrm_whose_humanoid_is_damaged_is_one_sentence(body, tmp_path):
    def remove(document):
        del document["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"]["rightHand"]

    def lost(document):
        document["extensions"]["VRMC_vrm"]["humanoid"]["humanBones"]["rightHand"]["node"] = 4000

    for edit, says in ((remove, "names of VRM 1, the bone rightHand"), (lost, "there is no node 4000")):
        write_character(tmp_path / "a.vrm", body, kind="vrm1", edit=edit)
        with pytest.raises(SemTalkError, match=says):
            read_avatar(tmp_path / "a.vrm")


def test_whatever_is_wrong_with_a_description_is_one_sentence(body, tmp_path):
    """Values of it are replaced by others, at random."""
    spec = {"targets": ["jawOpen"], "kind": "vrm0", "expressions": BINDS_0, "without": tuple(HANDS), "twists": False}
    write_character(tmp_path / "a.glb", body, **spec | {"targets": list("abcd")})
    document, data = load(tmp_path / "a.glb")
    text, rng, told = json.dumps(document), np.random.default_rng(0), 0
    places = [match.span() for match in re.finditer(r'(?<=[ \[:])-?\d[\d.e-]*|"[^"]*"(?=[,\]}])', text)]
    for _ in range(150):
        first, last = places[rng.integers(len(places))]
        other = ["-1", "99999", "null", '"a"', "[]", "{}", "1e300", "true", "0.5"][rng.integers(9)]
        save(tmp_path / "b.glb", json.loads(text[:first] + other + text[last:]), data)
        try:
            read_avatar(tmp_path / "b.glb")
        except SemTalkError as error:
            told += 1
            assert "\n" not in str(error)
    assert told > 20


def test_a_file_of_another_kind_is_refused(body, tmp_path):
    (tmp_path / "a.gltf").write_text("{}")
    with pytest.raises(SemTalkError, match=r"give a rigged character as .glb, .vrm, .fbx"):
        read_avatar(tmp_path / "a.gltf")
    write_character(tmp_path / "a.glb", body)
    with pytest.raises(SemTalkError, match=r"b.obj: a character is written as"):
        write_avatar(tmp_path / "b.obj", gestures(2), tmp_path / "a.glb", body)


def test_a_bad_character_is_told_before_torch(body, tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    write_character(tmp_path / "a.glb", body, without=(16,))
    words = [f"audio={tmp_path}/a.wav", "transcript=none", f"avatar={tmp_path}/a.glb"]
    said = run_program("-X", "importtime", "generate.py", *words, check=False)
    modules = set(re.findall(r"\|\s*([\w.]+)$", said.stderr, re.M))
    assert said.returncode == 1 and "leftUpperArm (LeftArm) is missing" in said.stderr
    assert "semtalk.avatar.names" in modules and "torch" not in modules


def test_the_command_writes_the_character_beside_the_rest(smoke, body, tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(1.0), 16000)
    write_character(tmp_path / "me.vrm", body, kind="vrm1", targets=["jawOpen"])
    words = [*smoke[1], f"audio={tmp_path}/a.wav", "transcript=none", "video=false", f"avatar={tmp_path}/me.vrm"]
    said = run_command("generate.py", *words, f"out={tmp_path}/made", "format=bvh", "bvh=mixamo")
    assert "a_avatar.vrm" in said.stdout and "ARKit's weights: lips, brows" in said.stdout
    motion = load_motion(tmp_path / "made" / "a.npz")
    document, data = load(tmp_path / "made" / "a_avatar.vrm")
    moving = channels(document, data)
    assert {len(values) for values in moving.values()} == {len(motion)}
    weights = moving[len(document["nodes"]) - 1, "weights"][:, 0]
    assert weights == pytest.approx(face_map(body)(motion)[:, 17], abs=1e-5)
    assert "ROOT mixamorig:Hips" in (tmp_path / "made" / "a.bvh").read_text()
    again = [*words, f"out={tmp_path}", "format=npz"]
    (tmp_path / "a_avatar.vrm").write_bytes((tmp_path / "me.vrm").read_bytes())
    refused = run_command("generate.py", *again, f"avatar={tmp_path}/a_avatar.vrm", check=False)
    assert refused.returncode == 1 and "would be overwritten" in refused.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["avatar_map=a.yaml"], "avatar_map is for avatar=FILE"),
        (["bvh=vrm"], "bvh is for format=bvh"),
        (["format=bvh", "bvh=unity"], "choose one of smplx, vrm, mixamo"),
    ],
)
def test_keys_that_do_not_go_together_are_told(words, says):
    said = run_command("generate.py", "audio=a.wav", *words, check=False)
    assert said.returncode == 1 and says in said.stderr


@pytest.mark.parametrize("words", [["format=fbx"], ["avatar=a.fbx"]])
def test_without_blender_one_sentence_says_what_brings_it(words, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    (tmp_path / "a.fbx").write_bytes(b"Kaydara FBX Binary  \0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(blender, "find_spec", lambda name: None)
    said = run_command("generate.py", "audio=a.wav", "transcript=none", *words, check=False)
    assert said.returncode == 1 and "pip install -e .[fbx]" in said.stderr and "374 MB, GPL-3.0" in said.stderr


def test_blender_that_ends_does_not_lose_the_take(smoke, body, tmp_path, monkeypatch):
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", voice(0.5), 16000)
    write_character(tmp_path / "me.glb", body)
    monkeypatch.setattr(blender, "find_spec", lambda name: True)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bpy.py").write_text("import os, sys\nprint('out of memory', file=sys.stderr)\nos._exit(7)\n")
    words = [*smoke[1], f"audio=[{tmp_path}/a.wav,{tmp_path}/b.wav]", "transcript=none", "video=false"]
    said = run_command(
        "generate.py", *words, f"out={tmp_path}/made", "format=fbx", f"avatar={tmp_path}/me.glb", check=False
    )
    assert said.returncode == 1 and said.stderr.count("Blender ended with status 7 (out of memory)") == 4
    assert "b_avatar.fbx: Blender ended" in said.stderr
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "a.npz", "a_avatar.glb", "b.npz", "b_avatar.glb", "environment.json",
    ]  # fmt: skip


@pytest.mark.parametrize(("begin", "says"), [(b"hello", "not an FBX file"), (b"; FBX 7.3.0 project", "FBX as text")])
def test_a_bad_fbx_is_one_sentence(begin, says, tmp_path, monkeypatch):
    monkeypatch.setattr(blender, "find_spec", lambda name: True)
    (tmp_path / "a.fbx").write_bytes(begin)
    with pytest.raises(SemTalkError, match=says):
        read_avatar(tmp_path / "a.fbx")
