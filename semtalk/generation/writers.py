"""Writes motion for other programs: BEAT2 npz, BVH skeletons, and figures, skinned and animated (.glb, .fbx)."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from semtalk.avatar.blender import write_fbx
from semtalk.avatar.names import BVH_NAMES
from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.face import FaceMap, face_map
from semtalk.face.mesh import HEAD
from semtalk.face.talk import FreeFace, free_face
from semtalk.files import atomic_write
from semtalk.generation.glb_face import add_face
from semtalk.generation.inputs import SUFFIXES
from semtalk.generation.live_link import write_live_link
from semtalk.gltf import FLOAT, UNSIGNED_INT, UNSIGNED_SHORT, Buffer, write_glb_file
from semtalk.log import LOG
from semtalk.motion.io import Motion, save_motion
from semtalk.motion.rotation import matrix_to_axis_angle
from semtalk.motion.skeleton import FPS, HAND_JOINTS, JAW, JOINT_NAMES, NUM_JOINTS, PARENTS

CENTIMETRES = 100.0


def local_rotations(motion: Motion, body: BodyModel) -> torch.Tensor:
    """Axis-angle (T, 55, 3) of each joint's whole rotation, SMPL-X's mean hand included."""
    return matrix_to_axis_angle(body.matrices(torch.from_numpy(motion.poses)))


def rest_offsets(motion: Motion, body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """Rest positions (55, 3) of the motion's shape in metres, and their offsets (55, 3) from the parents."""
    rest = body.rest_joints(torch.from_numpy(np.asarray(motion.betas, np.float32))).numpy()
    offsets = rest.copy()
    offsets[1:] -= rest[list(PARENTS[1:])]
    return rest, offsets


def bvh_order() -> list[int]:
    """Joints depth first, as a BVH file lists them."""
    order, stack = [], [0]
    while stack:
        joint = stack.pop()
        order.append(joint)
        stack += reversed([child for child in range(NUM_JOINTS) if PARENTS[child] == joint])
    return order


def _hierarchy(joint: int, offsets: np.ndarray, names: tuple[str, ...], depth: int = 0) -> Iterator[str]:
    pad = "  " * depth
    yield f"{pad}{'ROOT' if joint == 0 else 'JOINT'} {names[joint]}"
    yield pad + "{"
    offset = " ".join(f"{value * CENTIMETRES:.5f}" for value in offsets[joint])
    yield f"{pad}  OFFSET {offset}"
    rotations = "Zrotation Xrotation Yrotation"
    yield f"{pad}  CHANNELS " + (f"6 Xposition Yposition Zposition {rotations}" if joint == 0 else f"3 {rotations}")
    children = [child for child in range(NUM_JOINTS) if PARENTS[child] == joint]
    for child in children:
        yield from _hierarchy(child, offsets, names, depth + 1)
    if not children:
        end = " ".join(f"{value * CENTIMETRES * 0.5:.5f}" for value in offsets[joint])
        yield from (f"{pad}  End Site", pad + "  {", f"{pad}    OFFSET {end}", pad + "  }")
    yield pad + "}"


def write_bvh(path: Path, motion: Motion, body: BodyModel, names: str = "smplx") -> None:
    """Write a BVH file: 55 joints, centimetres, degrees in the order Z X Y; expressions have no place in it.

    Args:
        path: Of the file.
        motion: The motion.
        body: Of its joints.
        names: Whose names joints have, of :data:`semtalk.avatar.names.BVH_NAMES`.
    """
    from scipy.spatial.transform import Rotation

    rest, offsets = rest_offsets(motion, body)
    order = bvh_order()
    axis_angle = local_rotations(motion, body).numpy()[:, order]
    angles = Rotation.from_rotvec(axis_angle.reshape(-1, 3)).as_euler("ZXY", degrees=True)
    root = (motion.trans + rest[0]) * CENTIMETRES
    rows = np.concatenate([root, angles.reshape(len(motion), -1)], axis=1)
    still = offsets.copy()
    still[0] = 0

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8") as file:
            file.write("HIERARCHY\n" + "\n".join(_hierarchy(0, still, BVH_NAMES[names])) + "\n")
            file.write(f"MOTION\nFrames: {len(rows)}\nFrame Time: {1 / FPS:.8f}\n")
            np.savetxt(file, rows, fmt="%.5f")

    atomic_write(path, write)


def figure_mesh(betas: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The wooden figure at rest, and how its vertices hang on the joints.

    The weights are read off the figure's own movement: turning one joint by R moves a vertex x by
    ``W (R - I) (x - p)``, where W is the weight of that joint and all below it, and p the joint's place.

    Args:
        betas: (300,) shape.
        rest: (55, 3) joint positions of that shape.

    Returns:
        Vertices (V, 3) in metres, faces (F, 3), weights (V, 55) that add up to 1.
    """
    from mannequin import Mannequin
    from scipy.spatial.transform import Rotation

    model = Mannequin("wooden", shape=np.asarray(betas[:10], np.float32), flat_hand_mean=True)
    still = model.vertices(model.rest_pose())
    below = np.zeros((NUM_JOINTS, len(still)))
    below[0] = 1
    for joint in [*range(1, JAW), *HAND_JOINTS]:
        product = square = np.zeros(len(still))
        for turn in np.eye(3)[:2]:
            pose = model.rest_pose()
            key, index = ("body_pose", joint - 1) if joint < JAW else ("hand_pose", joint - HAND_JOINTS[0])
            pose[key][index] = turn
            lever = (still - rest[joint]) @ (Rotation.from_rotvec(turn).as_matrix() - np.eye(3)).T
            product = product + ((model.vertices(pose) - still) * lever).sum(axis=1)
            square = square + np.square(lever).sum(axis=1)
        below[joint] = product / np.maximum(square, 1e-12)
    weights = below.copy()
    for joint in range(1, NUM_JOINTS):
        weights[PARENTS[joint]] -= below[joint]
    weights = np.where(weights.T < 1e-3, 0, weights.T)
    return still.astype(np.float32), np.asarray(model.faces, np.uint32), weights / weights.sum(axis=1, keepdims=True)


@lru_cache(maxsize=4)
def _mesh_of(betas: bytes, rest: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:func:`figure_mesh`, which takes seconds, of float32 arrays as bytes; takes share their shape."""
    return figure_mesh(np.frombuffer(betas, np.float32), np.frombuffer(rest, np.float32).reshape(NUM_JOINTS, 3))


def _nodes(offsets: np.ndarray) -> list[dict]:
    nodes = []
    for joint, name in enumerate(JOINT_NAMES):
        node = {"name": name, "translation": offsets[joint].tolist()}
        children = [child for child in range(NUM_JOINTS) if PARENTS[child] == joint]
        nodes.append(node | ({"children": children} if children else {}))
    return [*nodes, {"name": "figure", "mesh": 0, "skin": 0}]


def write_glb(path: Path, motion: Motion, body: BodyModel, face: FreeFace | None = None) -> None:
    """Write a glTF 2.0 binary: the wooden figure, skinned to 55 joints and animated; metres, y up.

    Args:
        path: Of the file.
        motion: The motion.
        body: Of its joints.
        face: Of the figure, as a mesh of its own; without one its head is of wood.
    """
    import roma

    rest, offsets = rest_offsets(motion, body)
    vertices, faces, carried = _mesh_of(np.asarray(motion.betas, np.float32).tobytes(), rest.tobytes())
    if face is not None:
        faces = faces[~(carried[:, HEAD] > 0)[faces].any(axis=1)]
    quaternions = roma.rotvec_to_unitquat(local_rotations(motion, body)).numpy()
    buffer = Buffer()
    joints = np.argsort(-carried, axis=1)[:, :4].astype(np.uint16)
    weights = np.take_along_axis(carried, joints.astype(int), axis=1).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    inverse = np.tile(np.eye(4, dtype=np.float32), (NUM_JOINTS, 1, 1))
    inverse[:, 3, :3] = -rest  # column-major, so that the translation is the last row here
    attributes = {
        "POSITION": buffer.add(vertices, "VEC3", FLOAT, bounds=True),
        "JOINTS_0": buffer.add(joints, "VEC4", UNSIGNED_SHORT),
        "WEIGHTS_0": buffer.add(weights, "VEC4", FLOAT),
    }
    mesh = {"attributes": attributes, "indices": buffer.add(faces.reshape(-1), "SCALAR", UNSIGNED_INT), "material": 0}
    skin = {"joints": list(range(NUM_JOINTS)), "inverseBindMatrices": buffer.add(inverse, "MAT4", FLOAT), "skeleton": 0}
    tracks = [("translation", 0, motion.trans + rest[0])]
    tracks += [("rotation", joint, quaternions[:, joint]) for joint in range(NUM_JOINTS)]
    animation = buffer.animation("motion", np.arange(len(motion)) / FPS, tracks)
    document = {
        "asset": {"version": "2.0", "generator": "semtalk"},
        "scene": 0,
        "scenes": [{"nodes": [0, NUM_JOINTS]}],
        "nodes": _nodes(offsets),
        "meshes": [{"primitives": [mesh]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.6, 0.42, 0.2, 1], "metallicFactor": 0.0}}],
        "skins": [skin],
        "animations": [animation],
        "buffers": [{"byteLength": len(buffer.data)}],
        "bufferViews": buffer.views,
        "accessors": buffer.accessors,
    }
    if face is not None:
        add_face(document, buffer, face.talk(motion, rest), rest, animation["samplers"][0]["input"])
        document["buffers"][0]["byteLength"] = len(buffer.data)
    write_glb_file(path, document, buffer.data)


KINDS = ("npz", "bvh", "glb", "fbx", *SUFFIXES.values())


def write_motion(
    path: Path, motion: Motion, body: BodyModel, arkit: FaceMap | None = None, arkit_fps: int = FPS,
    bvh: str = "smplx", face: FreeFace | None | Literal["auto"] = "auto", corpus: str | None = None,
) -> None:  # fmt: skip
    """Write a motion in the format of the path's suffix: .npz, .bvh, .glb, .fbx, or .csv for the face.

    Args:
        path: Of the file.
        motion: The motion.
        body: Of its joints and its face.
        arkit: How a csv's weights are found; by default as :func:`semtalk.face.face_map` does, which is said.
        arkit_fps: Rows of a csv a second, 30 or 60.
        bvh: Whose names a bvh's joints have: smplx, vrm or mixamo.
        face: Of a glb's or fbx's figure, or none; by default the free head where it is installed, which is said.
        corpus: That the expressions are of, see :func:`semtalk.face.face_map`.

    Raises:
        SemTalkError: The suffix is another one, or Blender, which writes .fbx, is missing or fails.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise SemTalkError(f"{path}: motion is written as {', '.join(f'.{name}' for name in KINDS)}.")
    if kind in ("glb", "fbx") and face == "auto":
        face = free_face(body, corpus=corpus)
    if kind == "npz":
        save_motion(path, motion)
    elif kind == "bvh":
        write_bvh(path, motion, body, bvh)
    elif kind == "glb":
        write_glb(path, motion, body, face)
    elif kind == "fbx":
        write_fbx(path, lambda glb: write_glb(glb, motion, body, face))
    else:
        if arkit is None:
            arkit = face_map(body, corpus=corpus)
            LOG.info(arkit.said)
        write_live_link(path, motion, arkit, arkit_fps)
