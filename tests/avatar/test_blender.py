"""FBX by Blender: written, and read as a character; where `bpy` is installed."""

import json
import subprocess
import sys

import numpy as np
import pytest
from characters import gestures, posed, write_character
from test_avatar import FINGERS, LIMBS, angle, joints_of, name_of

from semtalk.avatar import blender, read_avatar, write_avatar
from semtalk.generation.writers import write_motion
from semtalk.motion.skeleton import JOINT_NAMES

pytestmark = pytest.mark.skipif(blender.find_spec("bpy") is None, reason="pip install -e .[fbx]")
PROGRAM = """
import json, sys, bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = 30
bpy.ops.import_scene.fbx(filepath=sys.argv[1])
(armature,) = [one for one in bpy.data.objects if one.type == "ARMATURE"]
first, last = (round(one) for one in armature.animation_data.action.frame_range)
found = []
for frame in range(first, last + 1):
    bpy.context.scene.frame_set(frame)
    seen = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    places = {bone.name: seen.matrix_world @ bone.matrix.translation for bone in seen.pose.bones}
    found.append({name: [place.x, place.z, -place.y] for name, place in places.items()})
keys = [[block.name, block.value] for key in bpy.data.shape_keys for block in key.key_blocks]
materials = [one.name for one in bpy.data.materials]
print("\\n" + json.dumps([found, keys, materials]))
"""
"""Prints places of bones in every frame, y up, and shape keys of the last, as Blender reads an FBX."""
RIGIFY = """
import sys, bpy, addon_utils
bpy.ops.wm.read_factory_settings(use_empty=True)
addon_utils.enable("rigify", default_set=True)
bpy.ops.object.armature_human_metarig_add()
rig = meta = bpy.context.object
if sys.argv[2] == "DEF-":
    import rigify.generate
    rigify.generate.generate_rig(bpy.context, meta)
    (rig,) = [one for one in bpy.data.objects if one.type == "ARMATURE" and one is not meta]
    bpy.data.objects.remove(meta)
mesh = bpy.data.meshes.new("skin")
mesh.from_pydata([(-0.1, 0, 1), (0.1, 0, 1), (0, 0, 1.2)], [], [(0, 1, 2)])
skin = bpy.data.objects.new("skin", mesh)
bpy.context.collection.objects.link(skin)
skin.vertex_groups.new(name=sys.argv[2] + "spine").add([0, 1, 2], 1.0, "ADD")
skin.parent = rig
skin.modifiers.new("rig", "ARMATURE").object = rig
bpy.ops.export_scene.gltf(
    filepath=sys.argv[1], export_format="GLB", export_animations=False, export_def_bones=sys.argv[2] == "DEF-"
)
"""
"""Writes a glb of Rigify's human, as its metarig or as the deforming bones of its rig."""


def seen_in(path) -> tuple[list[dict[str, np.ndarray]], dict[str, float], list[str]]:
    said = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True)
    frames, keys, materials = json.loads(said.stdout.splitlines()[-1])
    return [{name: np.array(place) for name, place in one.items()} for one in frames], dict(keys), materials


def test_a_character_moves_in_fbx_as_in_glb_and_can_be_given_as_one(body, tmp_path):
    motion = gestures()
    motion.poses[:, 22] = 0.2, 0, 0
    write_character(tmp_path / "a.glb", body, pose="A", targets=["jawOpen"], animated=True, prefix="mixamorig:")
    avatar = read_avatar(tmp_path / "a.glb")
    write_avatar(tmp_path / "b.glb", motion, avatar, body)
    write_avatar(tmp_path / "b.fbx", motion, avatar, body)
    frames, keys, materials = seen_in(tmp_path / "b.fbx")
    assert len(frames) == len(motion) and materials == ["cloth"]
    assert keys["jawOpen"] == pytest.approx(0.2 / 0.395, abs=1e-3)
    for frame in (0, 5, 11):
        nodes = posed(tmp_path / "b.glb", frame)
        for name, place in frames[frame].items():
            assert np.abs(place - nodes[name][:3, 3]).max() < 1e-3, name
    again = read_avatar(tmp_path / "b.fbx")
    assert again.said == "Mixamo" and "animations" not in again.document and len(again.bones) == 55
    turned = gestures(seed=3)
    write_avatar(tmp_path / "c.fbx", turned, again, body)
    frames, truth = seen_in(tmp_path / "c.fbx")[0], joints_of(body, turned)
    for frame in (0, 11):
        for joint, child in LIMBS:
            place = {one: frames[frame][name_of(one, prefix="mixamorig:")] for one in (joint, child)}
            assert angle(place[child] - place[joint], truth[frame, child] - truth[frame, joint]) < 1, (joint, child)


@pytest.mark.parametrize(("prefix", "said"), [("", "Rigify's metarig"), ("DEF-", "Rigify")])
def test_rigifys_own_human_moves_as_the_body_does(prefix, said, body, tmp_path):
    """Of the rig, arms and legs hang on other bones than a body's do."""
    subprocess.run([sys.executable, "-c", RIGIFY, str(tmp_path / "a.glb"), prefix], capture_output=True, check=True)
    avatar, motion = read_avatar(tmp_path / "a.glb"), gestures()
    assert avatar.said == said and len(avatar.bones) >= 53
    write_avatar(tmp_path / "b.glb", motion, avatar, body)
    names, truth = (
        {j: avatar.document["nodes"][node]["name"] for j, node in avatar.bones.items()},
        joints_of(body, motion),
    )
    for frame in (0, 11):
        at = posed(tmp_path / "b.glb", frame)
        for joint, child in [*LIMBS, *FINGERS]:
            way = at[names[child]][:3, 3] - at[names[joint]][:3, 3]
            assert angle(way, truth[frame, child] - truth[frame, joint]) < 0.5, (joint, child)


def test_the_wooden_figure_moves_in_fbx_as_the_body_does(body, tmp_path):
    motion = gestures(4)
    write_motion(tmp_path / "a.fbx", motion, body)
    frames, truth = seen_in(tmp_path / "a.fbx")[0], joints_of(body, motion)
    assert len(frames) == 4
    for frame, places in enumerate(frames):
        for joint, name in enumerate(JOINT_NAMES):
            assert np.abs(places[name] - truth[frame, joint]).max() < 1e-3, name


def test_a_damaged_fbx_is_one_sentence(body, tmp_path):
    (tmp_path / "a.fbx").write_bytes(b"Kaydara FBX Binary  \0\x1a\0" + bytes(40))
    with pytest.raises(blender.SemTalkError, match="a.fbx: Blender ended with status") as told:
        read_avatar(tmp_path / "a.fbx")
    assert "\n" not in str(told.value)
