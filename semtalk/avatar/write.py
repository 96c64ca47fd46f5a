"""Writes a character that moves: its own file, and behind what is there an animation."""

import copy
from pathlib import Path

import numpy as np

from semtalk.avatar.character import Avatar, read_avatar
from semtalk.avatar.retarget import Retargeting, tracks_of
from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.face import FaceMap, face_map
from semtalk.gltf import Buffer, write_glb_file
from semtalk.log import LOG
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import EYES, FPS, JAW
from semtalk.motion.turns import rotation_of

NAME = "semtalk"
"""Of the animation, which is the file's first."""


def write_avatar(
    path: str | Path, motion: Motion, avatar: Avatar | str | Path, body: BodyModel, face: FaceMap | None = None
) -> Path:
    """Write a character that moves as a motion does.

    Args:
        path: Of the file: ``.glb`` or ``.vrm``, or by Blender ``.fbx``.
        motion: The motion.
        avatar: The character, or its file, see :func:`semtalk.avatar.read_avatar`.
        body: Of the motion's joints and face.
        face: How the face's weights are found; by default as :func:`semtalk.face.face_map` does, which is said.

    Returns:
        The path.

    Raises:
        SemTalkError: The character's file is bad, or this one cannot be written.
    """
    path = Path(path)
    if not isinstance(avatar, Avatar):
        avatar = read_avatar(avatar)
    if path.suffix.lower() not in (".glb", ".vrm", ".fbx"):
        raise SemTalkError(f"{path}: a character is written as .glb, .vrm or .fbx.")
    if face is None and avatar.shapes.driven:
        face = face_map(body)
        LOG.info(face.said)
    document, data = animated(avatar, motion, body, face)
    try:
        if path.suffix.lower() == ".fbx":
            from semtalk.avatar.blender import write_fbx

            write_fbx(path, lambda glb: write_glb_file(glb, document, data))
        else:
            write_glb_file(path, document, data)
    except OSError as error:
        raise SemTalkError(f"{path}: it cannot be written ({error.strerror}); give another path.") from error
    return path


def animated(avatar: Avatar, motion: Motion, body: BodyModel, face: FaceMap | None) -> tuple[dict, bytearray]:
    """A character's document and its binary chunk, with the motion as its first animation."""
    tracks = tracks_of(avatar, Retargeting(avatar, body, motion.betas)(motion))
    still = {avatar.bones[JAW]} if avatar.shapes.open_the_mouth and JAW in avatar.bones else set()
    still |= {avatar.bones[joint] for joint in EYES if joint in avatar.bones and avatar.shapes.turn_the_eyes}
    tracks = [track for track in tracks if track[1] not in still]
    if avatar.shapes.driven:
        tracks += avatar.shapes.tracks(face(motion))
    document = copy.deepcopy(avatar.document)
    for node in {node for _, node, _ in tracks}:
        as_parts(document["nodes"][node])
    buffer = Buffer(avatar.data, document.setdefault("bufferViews", []), document.setdefault("accessors", []))
    animation = buffer.animation(NAME, np.arange(len(motion)) / FPS, tracks)
    document["animations"] = [animation, *document.get("animations", [])]
    document.setdefault("buffers", [{}])[0]["byteLength"] = len(buffer.data)
    return document, buffer.data


def as_parts(node: dict) -> None:
    """Say a node's place by translation, rotation and scale: what is animated may have no matrix."""
    if "matrix" not in node:
        return
    from scipy.spatial.transform import Rotation

    matrix = np.array(node.pop("matrix"), np.float64).reshape(4, 4).T
    turn = rotation_of(matrix)
    node["translation"] = matrix[:3, 3].tolist()
    node["rotation"] = Rotation.from_matrix(turn).as_quat().tolist()
    node["scale"] = np.diag(turn.T @ matrix[:3, :3]).tolist()
