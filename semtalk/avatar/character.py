"""A rigged character as its file has it: nodes, which of them are whose bones, and how it stands at rest."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from semtalk.avatar.names import CONVENTIONS, NEEDED, VRM, folded, match_bones
from semtalk.avatar.shapes import Shapes, read_shapes
from semtalk.errors import SemTalkError
from semtalk.files import read_text
from semtalk.gltf import read_accessor, read_glb_file
from semtalk.motion.turns import rotation_of, rotation_of_quaternion

SUFFIXES = (".glb", ".vrm", ".fbx")
EXTENSIONS = {"VRMC_vrm": "VRM 1", "VRM": "VRM 0"}
"""Of glTF, which say what bones are whose."""
TRUNK = (0, 3, 6, 9)
SIDES = ((1, 2), (4, 5), (16, 17), (18, 19))
"""Joints of the left, and the same of the right."""
NEARLY = np.radians(15)
UNEVEN = 0.02
"""Share by which sizes along axes may differ, above a bone."""


@dataclass
class Avatar:
    """A character.

    Attributes:
        path: Its file.
        document: glTF's description of it.
        data: The binary chunk, as it is.
        bones: SMPL-X joint -> number of the node.
        said: Whose names its bones have.
        parents: (N,) number of each node's parent, or -1.
        order: Nodes, parents before children.
        world: (N, 4, 4) from each node's frame at rest into the scene.
        shapes: What of its face follows which weights.
        trunk: (P, 3) vertices at rest, in the scene, that hang on hips, spine and chest.
    """

    path: Path
    document: dict[str, Any]
    data: bytes
    bones: dict[int, int]
    said: str
    parents: list[int]
    order: list[int]
    world: np.ndarray
    shapes: Shapes
    trunk: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))

    @property
    def places(self) -> np.ndarray:
        """Places of all nodes (N, 3) at rest."""
        return self.world[:, :3, 3]

    @property
    def turns(self) -> np.ndarray:
        """Rotations (N, 3, 3) of all nodes at rest, without their scale."""
        return rotation_of(self.world)

    @cached_property
    def carriers(self) -> list[int | None]:
        """The nearest bone at or above each node, as its node; none above the first."""
        bones, found = set(self.bones.values()), [None] * len(self.parents)
        for node in self.order:
            above = self.parents[node]
            found[node] = node if node in bones else found[above] if above >= 0 else None
        return found

    def above(self, node: int) -> int | None:
        """The nearest bone above a node, as its node; none above the first."""
        return self.carriers[self.parents[node]] if self.parents[node] >= 0 else None

    def axes(self) -> np.ndarray:
        """Columns (3, 3) that point to the character's left, up and forward.

        It stands along the scene's axis that is nearest to the way from its hips to its head, and its left is the way
        from right to left limbs, or an axis of the scene that is nearly that.
        """
        at = {joint: self.places[self.bones[joint]] for joint in (0, 15, *sum(SIDES, ()))}
        rise, side = at[15] - at[0], sum((at[left] - at[right] for left, right in SIDES), np.zeros(3))
        up = nearest_axis(rise)
        side = side - up * (side @ up)
        if min(np.linalg.norm(rise), np.linalg.norm(side)) < 1e-9:
            raise SemTalkError(
                f"{self.path}: its left and right, or its hips and head, are at one place; mend its rest."
            )
        side /= np.linalg.norm(side)
        side = nearest_axis(side) if side @ nearest_axis(side) > np.cos(NEARLY) else side
        return np.stack([side, up, np.cross(side, up)], axis=1)


def nearest_axis(direction: np.ndarray) -> np.ndarray:
    """The axis of the scene, or its opposite, that points most nearly there."""
    largest = np.argmax(np.abs(direction))
    return np.eye(3)[largest] * np.sign(direction[largest])


def local_transforms(nodes: list[dict]) -> np.ndarray:
    """From each node's frame into its parent's, (N, 4, 4)."""
    local = np.tile(np.eye(4), (len(nodes), 1, 1))
    for number, node in enumerate(nodes):
        if "matrix" in node:
            local[number] = np.array(node["matrix"], np.float64).reshape(4, 4).T
            continue
        turn = rotation_of_quaternion(np.array(node.get("rotation", (0, 0, 0, 1)), np.float64))
        local[number, :3, :3] = turn * np.array(node.get("scale", (1, 1, 1)), np.float64)
        local[number, :3, 3] = node.get("translation", (0, 0, 0))
    if not np.isfinite(local).all():
        raise ValueError("places of nodes are not finite")
    return local


def read_tree(nodes: list[dict]) -> tuple[list[int], list[int]]:
    """Parent of each node, or -1; and the nodes, parents before children.

    Raises:
        ValueError: They are no trees.
    """
    parents = [-1] * len(nodes)
    for number, node in enumerate(nodes):
        for child in node.get("children", ()):
            if not 0 <= child < len(nodes) or parents[child] != -1:
                raise ValueError(f"node {child} has two parents, or is none")
            parents[child] = number
    order = [number for number, parent in enumerate(parents) if parent < 0]
    for number in order:
        order.extend(nodes[number].get("children", ()))
    if len(order) != len(nodes):
        raise ValueError("nodes are their own parents")
    return parents, order


def read_avatar(path: str | Path, avatar_map: str | Path | None = None) -> Avatar:
    """Read a rigged character: ``.glb``, ``.vrm`` (0 or 1), or by Blender ``.fbx``.

    Args:
        path: The file.
        avatar_map: A yaml of VRM's names of bones and the character's own, for those that are not known; null leaves a
            bone out.

    Raises:
        SemTalkError: A file is missing, cut short, damaged or of another kind, or a bone is missing.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise SemTalkError(f"avatar={path}: give a rigged character as {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise SemTalkError(f"avatar={path}: no such file.")
    own = None if avatar_map is None else read_map(Path(avatar_map))
    try:
        if path.suffix.lower() == ".fbx":
            from semtalk.avatar.blender import fbx_as_glb

            document, data = fbx_as_glb(path)
        else:
            document, data = read_glb_file(path)
        nodes = document["nodes"]
        parents, order = read_tree(nodes)
        world = local_transforms(nodes)
        for node in order:
            if parents[node] >= 0:
                world[node] = world[parents[node]] @ world[node]
        avatar = Avatar(
            path, document, data, *_bones(path, document, own), parents, order, world, read_shapes(document)
        )
        avatar.trunk = trunk_points(avatar)
        _refuse_uneven(avatar)
        avatar.axes()
    except SemTalkError:
        raise
    except OSError as error:
        raise SemTalkError(f"avatar={path}: it cannot be read ({error.strerror}).") from error
    except Exception as error:  # whatever structure a damaged or hostile file may have in the place of glTF's own
        raise SemTalkError(f"{path}: not a character in glTF ({type(error).__name__}: {error}).") from error
    return avatar


def read_map(path: Path) -> dict[str, str | None]:
    """The user's own names of bones: VRM's name -> the character's, or none.

    Raises:
        SemTalkError: It is no such file.
    """
    if not path.is_file():
        raise SemTalkError(f"avatar_map={path}: no such file.")
    try:
        content = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SemTalkError(f"avatar_map={path}: not a readable yaml ({str(error).splitlines()[0]}).") from error
    if not isinstance(content, dict) or not all(isinstance(name, str | None) for name in content.values()):
        raise SemTalkError(f"avatar_map={path}: give a line for each bone, as in `leftUpperArm: arm_l`.")
    if unknown := [str(name) for name in content if name not in VRM]:
        raise SemTalkError(f"avatar_map={path}: {unknown[0]} is no bone; those of VRM 0 are {', '.join(VRM)}.")
    return content


def _bones(path: Path, document: dict, own: dict[str, str | None] | None) -> tuple[dict[int, int], str]:
    """Which node is whose bone, and whose names they have."""
    nodes = document["nodes"]
    jointed = [node for skin in document.get("skins", []) for node in skin["joints"]]
    named = {}
    for number in [*jointed, *range(len(nodes))]:
        named.setdefault(nodes[number].get("name", ""), number)
    extension = next((name for name in EXTENSIONS if name in document.get("extensions", {})), None)
    if extension is not None:
        given = document["extensions"][extension]["humanoid"]["humanBones"]
        listed = [(one["bone"], one["node"]) for one in given] if isinstance(given, list) else [
            (name, one["node"]) for name, one in given.items()
        ]  # fmt: skip
        said, found = EXTENSIONS[extension], match_bones(dict(listed), CONVENTIONS["VRM"])
        tried = CONVENTIONS["VRM"]
    else:
        matched = {said: match_bones(named, names) for said, names in CONVENTIONS.items()}
        said = max(matched, key=lambda one: (len(set(NEEDED) & set(matched[one])), len(matched[one])))
        found, tried = matched[said], CONVENTIONS[said]
    if own is not None:
        there = {folded(name): number for name, number in reversed(named.items())} | named
        for bone, name in own.items():
            node = None if name is None else there.get(name, there.get(folded(name)))
            if name is not None and node is None:
                raise SemTalkError(f"avatar_map: {bone}: {name}: {path} has no such node.")
            found = {joint: other for joint, other in found.items() if other != node and joint != VRM.index(bone)}
            if node is not None:
                found[VRM.index(bone)] = node
    if wrong := [node for node in found.values() if node not in range(len(nodes))]:
        raise ValueError(f"there is no node {wrong[0]}")
    if missing := [joint for joint in NEEDED if joint not in found]:
        _refuse_missing(path, missing, said, tried, len(found))
    return found, said


def _refuse_missing(path: Path, missing: list[int], said: str, tried: tuple[str, ...], found: int) -> None:
    """Say which bones are missing, and what was looked for."""
    own = "avatar_map=FILE.yaml gives other names, as in `leftUpperArm: arm_l`"
    if found < len(NEEDED) // 3:
        raise SemTalkError(
            f"avatar={path}: there is no skeleton whose names are known ({', '.join(CONVENTIONS)}), so that hips "
            f"and {len(missing) - 1} other bones are missing; {own}."
        )
    listed = ", ".join(f"{VRM[joint]} ({tried[joint].replace('|', ' or ')})" for joint in missing)
    one = len(missing) == 1
    raise SemTalkError(
        f"avatar={path}: by the names of {said}, the bone{'' if one else 's'} {listed} {'is' if one else 'are'} "
        f"missing; {own}."
    )


def _refuse_uneven(avatar: Avatar) -> None:
    """See that no bone, and nothing above one, has a size that differs from axis to axis, or is a mirror."""
    bones = set(avatar.bones.values())
    for node in bones | {avatar.parents[node] for node in bones} - {-1}:
        matrix = avatar.world[node, :3, :3]
        sizes = np.linalg.svd(matrix)[1]
        if np.linalg.det(matrix) <= 0 or sizes[0] > sizes[-1] * (1 + UNEVEN):
            name = avatar.document["nodes"][node].get("name", node)
            raise SemTalkError(
                f"{avatar.path}: {name} is scaled unevenly or mirrored; apply its scale in your program."
            )


def trunk_points(avatar: Avatar) -> np.ndarray:
    """Vertices (P, 3) at rest, in the scene, that hang on the trunk more than on anything else."""
    document, found = avatar.document, [np.zeros((0, 3))]
    carried = {avatar.bones[joint] for joint in TRUNK if joint in avatar.bones}
    of_trunk = np.array([above in carried for above in avatar.carriers])
    for node in document["nodes"]:
        if "mesh" not in node or "skin" not in node:
            continue
        skin = document["skins"][node["skin"]]
        joints = np.array(skin["joints"])
        binds = _array(avatar, skin.get("inverseBindMatrices"))
        into = np.tile(np.eye(4), (len(joints), 1, 1)) if binds is None else binds.reshape(-1, 4, 4).swapaxes(1, 2)
        into = avatar.world[joints] @ into[: len(joints)]
        for primitive in document["meshes"][node["mesh"]]["primitives"]:
            names = ("POSITION", "JOINTS_0", "WEIGHTS_0")
            arrays = [_array(avatar, primitive["attributes"].get(name)) for name in names]
            if any(array is None for array in arrays):
                continue
            vertices, carriers, weights = arrays
            share = (weights * of_trunk[joints[carriers]]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
            chosen = share > 0.5
            homogeneous = np.concatenate([vertices[chosen], np.ones((chosen.sum(), 1))], axis=1)
            moved = np.einsum("pk,pkij,pj->pi", weights[chosen], into[carriers[chosen]], homogeneous)
            found.append(moved[:, :3] / np.maximum(weights[chosen].sum(axis=1, keepdims=True), 1e-9))
    return np.concatenate(found)


def _array(avatar: Avatar, accessor: int | None) -> np.ndarray | None:
    return None if accessor is None else read_accessor(avatar.document, avatar.data, accessor)
