"""Rigged characters that the tests build, and what their files say of a frame."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation, Slerp

from semtalk.avatar.names import CONVENTIONS, VRM
from semtalk.body import BodyModel
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import NUM_JOINTS, PARENTS

ARMS, LEGS = {16: 1, 17: -1}, {1: 1, 2: -1}
Z_UP = Rotation.from_euler("x", -90, degrees=True)
HANDS = range(25, 55)


def below(joint: int) -> list[int]:
    """A joint and all that hang on it."""
    found = [joint]
    for other in range(joint + 1, NUM_JOINTS):
        if PARENTS[other] in found:
            found.append(other)
    return found


def stick(start: np.ndarray, end: np.ndarray, thick: float) -> np.ndarray:
    """Corners (8, 3) of a beam."""
    along = (end - start) / max(np.linalg.norm(end - start), 1e-9)
    first = np.cross(along, [0.3, 0.5, 0.8])
    first /= np.linalg.norm(first)
    second = np.cross(along, first)
    around = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return np.array([at + thick * (x * first + y * second) for at in (start, end) for x, y in around])


SIDES = np.array([(0, 1, 2), (0, 2, 3), (4, 6, 5), (4, 7, 6), (0, 4, 5), (0, 5, 1), (1, 5, 6), (1, 6, 2), (2, 6, 7),
                  (2, 7, 3), (3, 7, 4), (3, 4, 0)])  # fmt: skip


def rest_places(body: BodyModel, pose: str, tall: float = 1.0) -> np.ndarray:
    """Places of SMPL-X's joints (55, 3) in a T pose, an A pose, or with arms down and bent; on the floor."""
    places = body.rest_joints(torch.zeros(300)).double().numpy().copy()
    for leg in LEGS:
        for joint in below(leg)[1:]:
            places[joint] = places[leg] + (places[joint] - places[leg]) * [1, tall, 1]
    hang = {"T": 0, "A": 45, "bent": 70}[pose]
    arms = {joint: Rotation.from_euler("z", -side * hang, degrees=True) for joint, side in ARMS.items()}
    turns = list(arms.items())
    if pose == "bent":
        for (joint, side), turn in zip(ARMS.items(), arms.values(), strict=True):
            turns.append((joint + 2, turn * Rotation.from_euler("y", -side * 70, degrees=True) * turn.inv()))
    if pose == "A":
        turns += [(joint, Rotation.from_euler("z", side * 9, degrees=True)) for joint, side in LEGS.items()]
    for joint, turn in turns:
        toes = places[joint + 9] - places[joint + 6]
        places[below(joint)] = places[joint] + turn.apply(places[below(joint)] - places[joint])
        if joint in LEGS:  # feet stay flat
            places[joint + 9] = places[joint + 6] + toes
    places[:, 1] -= places[[10, 11], 1].min() - 0.03
    return places


def of_vrm_1(name: str) -> str:
    """A bone of VRM 0 as VRM 1 spells it."""
    side, thumb, part = name.partition("Thumb")
    return side + thumb + {"Proximal": "Metacarpal", "Intermediate": "Proximal"}.get(part, part) if thumb else name


def write_character(
    path: Path, body: BodyModel, *, names: str = "Mixamo", kind: str = "glb", pose: str = "T", turned: bool = True,
    scene: Rotation | None = None, unit: float = 1.0, node_scale: float = 1.0, without=(), twists: bool = True,
    wide: float = 0.0, tall: float = 1.0, targets=(), expressions=None, matrix: bool = False, apart: bool = False,
    prefix: str = "", animated: bool = False, edit=None,
) -> np.ndarray:  # fmt: skip
    """Write a character; places (55, 3) of its joints at rest in metres, before it is turned into its scene.

    Args:
        path: Of the file.
        body: Of the joints.
        names: Whose names bones have, of CONVENTIONS.
        kind: glb, vrm0 or vrm1.
        pose: T, A, or bent.
        turned: Whether bones have axes of their own.
        scene: How the character stands in its scene.
        unit: What a metre is in its scene.
        node_scale: Of the node above the skeleton; places below it are divided by it.
        without: SMPL-X joints that it lacks.
        twists: Whether there are twist bones, one of them between two bones.
        wide: Half width of its trunk in metres, 0 for sticks.
        tall: How long its legs are.
        targets: Names of morph targets.
        expressions: VRM's expressions.
        matrix: Whether nodes have matrices.
        apart: Whether legs hang on the root, and not on the hips.
        prefix: Of the bones' names.
        animated: Whether it has an animation already.
        edit: Changes the document.
    """
    rng = np.random.default_rng(5)
    places = rest_places(body, pose, tall)
    scene = Rotation.identity() if scene is None else scene
    frames = [Rotation.random(random_state=int(rng.integers(1e6))) if turned else Rotation.identity() for _ in PARENTS]
    nodes: list[dict] = [
        {"name": "Armature", "children": [], "rotation": scene.as_quat().tolist(), "scale": [node_scale] * 3}
    ]
    root = scene.as_matrix() * node_scale
    world = [np.block([[root, np.zeros((3, 1))], [0, 0, 0, 1]])]
    numbers: dict[int, int] = {}

    def add(name: str, parent: int, turn: Rotation, place: np.ndarray) -> int:
        own = np.eye(4)
        own[:3, :3] = (scene * turn).as_matrix() * node_scale
        own[:3, 3] = scene.apply(place) * unit
        local = np.linalg.inv(world[parent]) @ own
        node = {"name": name}
        if matrix:
            node["matrix"] = local.T.reshape(-1).tolist()
        else:
            node |= {
                "translation": local[:3, 3].tolist(),
                "rotation": Rotation.from_matrix(local[:3, :3]).as_quat().tolist(),
            }
        nodes.append(node)
        world.append(own)
        nodes[parent].setdefault("children", []).append(len(nodes) - 1)
        return len(nodes) - 1

    for joint, parent in enumerate(PARENTS):
        if joint in without:
            continue
        while parent in without:
            parent = PARENTS[parent]
        above = 0 if parent < 0 or (apart and joint in LEGS) else numbers[parent]
        if twists and joint in (18, 19):  # between upper and lower arm
            middle = (places[parent] + places[joint]) / 2
            above = add(f"extra_{joint}", above, frames[joint - 1], middle)
        name = prefix + CONVENTIONS[names][joint].split("|")[0]
        numbers[joint] = add(name, above, frames[joint], places[joint])
    if twists:
        for joint in {16, 17, 18, 19} & set(numbers):
            add(f"twist_{joint}", numbers[joint], frames[joint], places[joint])
    joints = list(range(1, len(nodes)))
    vertices, carriers, triangles = [], [], []
    for joint, number in numbers.items():
        children = [child for child in numbers if PARENTS[child] == joint and child not in (22, 23, 24)]
        trunk = joint in (0, 3, 6, 9)
        for child in [] if trunk and wide else children[:5]:
            triangles.append(SIDES + 8 * len(carriers))
            vertices.append(stick(places[joint], places[child], 0.03 if joint < 22 else 0.008))
            carriers.append(np.full(8, number - 1))
    points, faces, hung = np.concatenate(vertices), np.concatenate(triangles), np.concatenate(carriers)
    if wide:
        rings, around = 14, np.linspace(0, 2 * np.pi, 24, endpoint=False)
        heights = np.linspace(places[0, 1] - 0.15, places[16, 1], rings)
        middle = places[[0, 9]].mean(axis=0)
        tube = np.array(
            [[middle[0] + wide * np.sin(a), y, middle[2] + 0.7 * wide * np.cos(a)] for y in heights for a in around]
        )
        corner = np.arange(rings * 24).reshape(rings, 24)
        right = np.roll(corner, -1, axis=1)
        quads = np.stack([corner[:-1], right[:-1], corner[1:], right[1:]], axis=-1).reshape(-1, 4) + len(points)
        faces = np.concatenate([faces, quads[:, [0, 1, 2]], quads[:, [1, 3, 2]]])
        chest = (np.arange(len(tube)) // 24) >= rings // 2
        hung = np.concatenate([hung, np.where(chest, numbers[max({3, 6, 9} & set(numbers))] - 1, numbers[0] - 1)])
        points = np.concatenate([points, tube])
    head = hung == numbers[15] - 1 if 15 in numbers else hung < 0
    data, views, accessors = bytearray(), [], []

    def put(array: np.ndarray, kind: str, component: int, **more) -> int:
        raw = np.ascontiguousarray(array).tobytes()
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(raw)})
        data.extend(raw + bytes(-len(raw) % 4))
        accessors.append(
            {"bufferView": len(views) - 1, "componentType": component, "count": len(array), "type": kind} | more
        )
        return len(accessors) - 1

    scened = (scene.apply(points) * unit).astype(np.float32)
    bounds = {"min": scened.min(axis=0).tolist(), "max": scened.max(axis=0).tolist()}
    inverse = np.linalg.inv(np.array(world)[joints]).swapaxes(1, 2).astype(np.float32)
    four = np.zeros((len(points), 4))
    primitive = {
        "attributes": {
            "POSITION": put(scened, "VEC3", 5126, **bounds),
            "JOINTS_0": put(np.concatenate([hung[:, None], four[:, 1:]], axis=1).astype(np.uint16), "VEC4", 5123),
            "WEIGHTS_0": put(np.concatenate([four[:, :1] + 1, four[:, 1:]], axis=1).astype(np.float32), "VEC4", 5126),
        },
        "indices": put(faces.reshape(-1).astype(np.uint32), "SCALAR", 5125),
        "material": 0,
    }
    mesh = {"name": "skin", "primitives": [primitive]}
    if targets:
        primitive["targets"] = []
        for number, _ in enumerate(targets):
            moved = np.zeros_like(scened)
            moved[head] = [0, 0.01 * (number + 1), 0]
            low, high = moved.min(axis=0).tolist(), moved.max(axis=0).tolist()
            primitive["targets"].append({"POSITION": put(moved, "VEC3", 5126, min=low, max=high)})
        mesh |= {"weights": [0.0] * len(targets), "extras": {"targetNames": list(targets)}}
    nodes.append({"name": "Body", "mesh": 0, "skin": 0})
    png = io.BytesIO()
    Image.new("RGB", (2, 2), "teal").save(png, "PNG")
    picture = put(np.frombuffer(png.getvalue(), np.uint8), "SCALAR", 5121)
    document = {
        "asset": {"version": "2.0", "generator": "a test"}, "scene": 0,
        "scenes": [{"nodes": [0, len(nodes) - 1]}], "nodes": nodes, "meshes": [mesh],
        "materials": [{"name": "cloth", "pbrMetallicRoughness": {"baseColorFactor": [0.2, 0.4, 0.7, 1]},
                       "extensions": {"KHR_materials_unlit": {}}}],
        "skins": [{"joints": joints, "inverseBindMatrices": put(inverse, "MAT4", 5126)}],
        "images": [{"bufferView": accessors[picture]["bufferView"], "mimeType": "image/png"}],
        "extensionsUsed": ["KHR_materials_unlit"],
    }  # fmt: skip
    if animated:
        times, still = (
            put(np.zeros(1, np.float32), "SCALAR", 5126, min=[0], max=[0]),
            put(np.eye(4, dtype=np.float32)[3:], "VEC4", 5126),
        )
        channel = {"sampler": 0, "target": {"node": 1, "path": "rotation"}}
        document["animations"] = [
            {"name": "old", "samplers": [{"input": times, "output": still}], "channels": [channel]}
        ]
    bones = {VRM[joint]: number for joint, number in numbers.items()}
    if kind == "vrm0":
        bones = [{"bone": name, "node": node, "useDefaultValues": True} for name, node in bones.items()]
        document["extensions"] = {"VRM": {"humanoid": {"humanBones": bones}, "blendShapeMaster": expressions or {}}}
    elif kind == "vrm1":
        bones = {of_vrm_1(name): {"node": node} for name, node in bones.items()}
        document["extensions"] = {
            "VRMC_vrm": {"specVersion": "1.0", "humanoid": {"humanBones": bones}, "expressions": expressions or {}}
        }
    document |= {"buffers": [{"byteLength": len(data)}], "bufferViews": views, "accessors": accessors}
    if edit is not None:
        edit(document)
    save(path, document, bytes(data))
    return places


def save(path: Path, document: dict, data: bytes) -> None:
    """Write a glb."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data += bytes(-len(data) % 4)
    size = 28 + len(text) + len(data)
    path.write_bytes(
        struct.pack("<4sIII4s", b"glTF", 2, size, len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(data), b"BIN\0")
        + data
    )


def load(path: Path) -> tuple[dict, bytes]:
    """Document and binary chunk of a glb."""
    content = path.read_bytes()
    length = int.from_bytes(content[12:16], "little")
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def track(document: dict, data: bytes, accessor: int) -> np.ndarray:
    """Float values of an accessor that this project wrote."""
    one = document["accessors"][accessor]
    view = document["bufferViews"][one["bufferView"]]
    raw = data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    return np.frombuffer(raw, np.float32).reshape(one["count"], -1)


def channels(document: dict, data: bytes) -> dict[tuple[int, str], np.ndarray]:
    """Node and path -> values (T, N) of the first animation."""
    animation = document["animations"][0]
    found = {}
    for channel in animation["channels"]:
        values = track(document, data, animation["samplers"][channel["sampler"]]["output"])
        found[channel["target"]["node"], channel["target"]["path"]] = values
    frames = {len(track(document, data, sampler["input"])) for sampler in animation["samplers"]}
    assert len(frames) == 1
    return {key: values.reshape(frames.copy().pop(), -1) for key, values in found.items()}


def posed(path: Path, frame: int) -> dict[str, np.ndarray]:
    """Name of a node -> its transform (4, 4) in the scene, by the file's own first animation."""
    document, data = load(path)
    moving, nodes = channels(document, data), document["nodes"]
    parents = {child: number for number, node in enumerate(nodes) for child in node.get("children", [])}

    def local(number: int) -> np.ndarray:
        node, matrix = nodes[number], np.eye(4)
        if "matrix" in node:
            assert not any(key[0] == number for key in moving), "an animated node has no matrix"
            return np.array(node["matrix"]).reshape(4, 4).T
        resting = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
        parts = {key: np.array(node.get(key, default)) for key, default in resting.items()}
        parts |= {name: values[frame] for (of, name), values in moving.items() if of == number}
        assert np.linalg.norm(parts["rotation"]) - 1 < 1e-4
        matrix[:3, :3] = Rotation.from_quat(parts["rotation"]).as_matrix() * parts["scale"]
        matrix[:3, 3] = parts["translation"]
        return matrix

    found = {}
    for number, node in enumerate(nodes):
        matrix, at = local(number), number
        while at in parents:
            at = parents[at]
            matrix = local(at) @ matrix
        found[node["name"]] = matrix
    return found


def gestures(frames: int = 12, size: float = 0.5, seed: int = 0) -> Motion:
    """A motion of all joints that walks a little."""
    rng = np.random.default_rng(seed)
    ends = Rotation.from_rotvec(size * rng.normal(size=(2, NUM_JOINTS, 3)).reshape(-1, 3) / 2)
    poses = np.zeros((frames, NUM_JOINTS, 3), np.float32)
    for joint in range(NUM_JOINTS):
        pair = ends[[joint, NUM_JOINTS + joint]]
        poses[:, joint] = Slerp([0, 1], pair)(np.linspace(0, 1, frames)).as_rotvec()
    poses[:, 22:25] = 0
    trans = np.linspace([0, 1.3, 0], [0.4, 1.32, 0.7], frames).astype(np.float32)
    return Motion(poses, np.zeros((frames, 100), np.float32), trans, np.zeros(300, np.float32))
