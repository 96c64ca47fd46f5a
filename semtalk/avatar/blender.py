"""FBX by Blender, which is installed as the package ``bpy`` and runs in a process of its own.

It is heavy, and what ends it must not end what else is written.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from semtalk.catalogue import BPY
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.files import atomic_write
from semtalk.gltf import read_glb_file
from semtalk.motion.skeleton import FPS

BEGINS = (b"Kaydara FBX Binary  ", b"; FBX")
"""Of FBX files; Blender reads the first kind."""
LONGEST = 1800
"""Seconds that Blender has."""


def refuse_without_blender(key: str) -> None:
    """See that Blender is here.

    Args:
        key: What needs it, as in ``format=fbx``.

    Raises:
        MissingModelError: It is not.
    """
    if find_spec("bpy") is None:
        raise MissingModelError(
            f"{key} needs Blender as the package {BPY.name}, which is not here: run `{BPY.command}` ({BPY.size}, "
            f"{BPY.licence}), or give and write glb, which Blender itself turns into fbx and back."
        )


def fbx_as_glb(path: Path) -> tuple[dict, bytes]:
    """A character's document and binary chunk, its rest pose alone, as Blender reads it.

    Raises:
        SemTalkError: It is no such file, or Blender is missing or cannot read it.
    """
    refuse_without_blender(f"avatar={path}")
    with path.open("rb") as file:
        begin = file.read(len(BEGINS[0]))
    if not begin.startswith(BEGINS):
        raise SemTalkError(f"avatar={path}: not an FBX file; export it again.")
    if not begin.startswith(BEGINS[0]):
        raise SemTalkError(f"avatar={path}: FBX as text, which Blender does not read; export it as binary FBX.")
    with TemporaryDirectory() as folder:
        glb = Path(folder) / "character.glb"
        _run("fbx_to_glb", path, glb, path)
        return read_glb_file(glb)


def write_fbx(path: Path, write_glb: Callable[[Path], None]) -> None:
    """Write FBX with what a glb holds.

    Args:
        path: Of the file.
        write_glb: Writes the glb to where it is told.

    Raises:
        SemTalkError: Blender is missing, or cannot write it.
    """
    refuse_without_blender(str(path))
    with TemporaryDirectory() as folder:
        glb = Path(folder) / "character.glb"
        write_glb(glb)
        atomic_write(path, lambda temporary: _run("glb_to_fbx", glb, temporary, path))


def _run(task: str, source: Path, target: Path, named: Path) -> None:
    """Have a process of its own do something with Blender, which is told of a file that the user named."""
    program = f"import sys; sys.path[:] = {sys.path}; from semtalk.avatar.blender import {task}; {task}(*sys.argv[1:])"
    command = [sys.executable, "-c", program, str(source.resolve()), str(target.resolve())]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=LONGEST, check=False)
        status, said = ended.returncode, ended.stderr.decode(errors="replace").strip().splitlines()
    except subprocess.TimeoutExpired:
        status, said = "none", [f"it did nothing for {LONGEST} s"]
    if status != 0 or not target.is_file():
        reason = said[-1][:300] if said else "it said nothing"
        raise SemTalkError(f"{named}: Blender ended with status {status} ({reason}); write glb in the place of fbx.")


def fbx_to_glb(source: str, target: str) -> None:
    """In Blender: read a character and write it as it rests."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.fbx(filepath=source, use_anim=False)
    bpy.ops.export_scene.gltf(
        filepath=target, export_format="GLB", export_animations=False, export_rest_position_armature=True
    )


def glb_to_fbx(source: str, target: str) -> None:
    """In Blender: read a figure with its first animation and write both."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = FPS
    bpy.ops.import_scene.gltf(filepath=source, disable_bone_shape=True)
    owners = [owner.animation_data for owner in (*bpy.data.objects, *bpy.data.shape_keys) if owner.animation_data]
    scene.frame_start, scene.frame_end = 0, round(max(one.action.frame_range[1] for one in owners if one.action))
    bpy.ops.export_scene.fbx(
        filepath=target, object_types={"ARMATURE", "MESH", "EMPTY"}, add_leaf_bones=False, path_mode="COPY",
        embed_textures=True, bake_anim_use_all_actions=False, bake_anim_use_nla_strips=False,
        bake_anim_simplify_factor=0,
    )  # fmt: skip
