"""Rotations, parts, translation, contact and npz files."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from semtalk.body import forward_kinematics
from semtalk.errors import SemTalkError
from semtalk.motion.io import Motion, load_motion, save_motion
from semtalk.motion.parts import (
    Frames,
    foot_contact,
    merge_parts,
    motion_channels,
    poses_from_rotation,
    root_from_translation,
    rotation_from_poses,
    split_parts,
    translation_from_root,
)
from semtalk.motion.rotation import (
    axis_angle_to_6d,
    axis_angle_to_matrix,
    geodesic_distance,
    matrix_to_6d,
    rotation_6d_to_matrix,
)
from semtalk.motion.skeleton import EYES, JOINT_NAMES, PARENTS, PARTS

vectors = hnp.arrays(np.float64, (5, 3), elements=st.floats(-6, 6, width=32))


def random_frames(frames: int = 12, seed: int = 0) -> tuple[Frames, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    poses = 0.5 * torch.randn(2, frames, 55, 3, generator=g, dtype=torch.float64)
    poses[..., list(EYES), :] = 0
    trans = torch.randn(2, frames, 3, generator=g, dtype=torch.float64)
    contact = (torch.rand(2, frames, 4, generator=g) > 0.5).double()
    expressions = torch.randn(2, frames, 100, generator=g, dtype=torch.float64)
    return Frames(rotation_from_poses(poses), expressions, root_from_translation(trans), contact), trans


@given(vectors)
@settings(max_examples=60, deadline=None)
def test_6d_round_trip(axis_angle):
    matrix = axis_angle_to_matrix(torch.from_numpy(axis_angle))
    back = rotation_6d_to_matrix(matrix_to_6d(matrix))
    assert torch.allclose(back, matrix, atol=1e-6)


def test_6d_is_the_first_two_rows():
    matrix = axis_angle_to_matrix(torch.tensor([0.3, -0.2, 0.9]))
    assert torch.equal(matrix_to_6d(matrix), torch.cat([matrix[0], matrix[1]]))


@given(vectors, st.floats(0.01, 3.0))
@settings(max_examples=40, deadline=None)
def test_geodesic_distance_is_the_angle(axis_angle, angle):
    a = axis_angle_to_matrix(torch.from_numpy(axis_angle))
    turn = axis_angle_to_matrix(torch.tensor([[0.0, angle, 0.0]], dtype=torch.float64))
    assert torch.allclose(geodesic_distance(a, a @ turn), torch.full((5,), angle, dtype=torch.float64), atol=1e-4)


def test_geodesic_gradient_is_finite_for_equal_rotations():
    x = axis_angle_to_6d(torch.tensor([[0.1, 0.2, 0.3]])).requires_grad_()
    geodesic_distance(rotation_6d_to_matrix(x), rotation_6d_to_matrix(x.detach())).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_parts_cover_every_modelled_joint_once():
    joints = [joint for part in PARTS.values() for joint in part.joints]
    assert sorted(joints) == sorted(set(range(55)) - set(EYES))
    assert {name: part.width for name, part in PARTS.items()} == {"face": 106, "upper": 78, "hands": 180, "lower": 61}
    assert len(JOINT_NAMES) == len(PARENTS) == 55


def test_parts_round_trip():
    frames, trans = random_frames()
    back = merge_parts(split_parts(frames))
    for name in ("rotation", "expressions", "root", "contact"):
        assert torch.allclose(getattr(back, name), getattr(frames, name), atol=1e-12), name
    assert motion_channels(frames, trans).shape == (2, 12, 337)


def test_motion_channels_do_not_depend_on_where_a_person_stands():
    frames, trans = random_frames()
    there = motion_channels(frames, trans + torch.tensor([3.0, 0.0, -2.0]))
    assert torch.allclose(there, motion_channels(frames, trans), atol=1e-9)


@given(hnp.arrays(np.float64, (9, 3), elements=st.floats(-3, 3)))
@settings(max_examples=40, deadline=None)
def test_velocity_and_position_are_inverse(path):
    trans = torch.from_numpy(path)
    assert torch.allclose(translation_from_root(root_from_translation(trans), trans[0]), trans, atol=1e-9)


def test_velocity_is_metres_a_second():
    trans = torch.arange(5, dtype=torch.float64)[:, None] * torch.tensor([0.1, 0.0, -0.2])
    root = root_from_translation(trans)
    assert torch.allclose(root[:, 0], torch.full((5,), 3.0, dtype=torch.float64))
    assert torch.allclose(root[:, 2], torch.full((5,), -6.0, dtype=torch.float64))


def test_contact_threshold_and_last_frame():
    feet = torch.zeros(4, 4, 3)
    feet[1:, 0, 0] = 0.02
    feet[1:, 1, 0] = 0.009
    contact = foot_contact(feet)
    assert contact[:, 0].tolist() == [0, 1, 1, 1]
    assert contact[:, 1].tolist() == [1, 1, 1, 1]
    feet[3, 2, 0] = 1.0
    assert foot_contact(feet)[-1].tolist() == [1, 1, 1, 1]


def test_npz_round_trip_and_keys(tmp_path):
    motion = Motion(
        *(np.random.default_rng(0).normal(size=s).astype(np.float32) for s in ((7, 55, 3), (7, 100), (7, 3), (300,)))
    )
    save_motion(tmp_path / "a.npz", motion)
    back = load_motion(tmp_path / "a.npz")
    for name in ("poses", "expressions", "trans", "betas"):
        assert np.array_equal(getattr(back, name), getattr(motion, name))
    with np.load(tmp_path / "a.npz") as file:
        assert file["poses"].shape == (7, 165)
        assert (str(file["model"]), str(file["gender"]), int(file["mocap_frame_rate"])) == ("smplx2020", "neutral", 30)
    save_motion(tmp_path / "b.NPZ", motion)
    assert np.array_equal(load_motion(tmp_path / "b.NPZ").poses, motion.poses)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.NPZ"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"poses": np.zeros((5, 156))}, "poses has shape"),
        ({"expressions": np.zeros((5, 50))}, "expressions has shape"),
        ({"trans": np.full((5, 3), np.nan)}, "NaN"),
        ({"mocap_frame_rate": 60}, "frames a second"),
        ({"poses": None}, "lacks poses"),
        ({"betas": np.array([{}], dtype=object)}, "not a readable npz"),
    ],
)
def test_bad_npz_is_named(tmp_path, change, says):
    data = {
        "poses": np.zeros((5, 165)),
        "expressions": np.zeros((5, 100)),
        "trans": np.zeros((5, 3)),
        "betas": np.zeros(300),
    }
    data = {key: value for key, value in (data | change).items() if value is not None}
    np.savez(tmp_path / "bad.npz", **data)
    with pytest.raises(SemTalkError, match=says) as error:
        load_motion(tmp_path / "bad.npz")
    assert "bad.npz" in str(error.value)


def test_real_take_round_trip(real_data):
    motion = load_motion(next(real_data.glob("beat2/*/smplxflame_30/*_e.npz")))
    poses = torch.from_numpy(motion.poses).double()
    trans = torch.from_numpy(motion.trans).double()
    frames = Frames(
        rotation_from_poses(poses),
        torch.from_numpy(motion.expressions).double(),
        root_from_translation(trans),
        torch.zeros(len(motion), 4).double(),
    )
    back = merge_parts(split_parts(frames))
    modelled = [joint for joint in range(55) if joint not in EYES]
    again = axis_angle_to_matrix(poses_from_rotation(back.rotation))
    assert (again - axis_angle_to_matrix(poses))[:, modelled].abs().max() < 1e-5
    assert (translation_from_root(back.root, trans[0]) - trans).abs().max() < 1e-5


def test_forward_kinematics_matches_mannequin(body):
    from mannequin import Mannequin

    rng = np.random.default_rng(1)
    poses, trans, betas = rng.normal(0, 0.4, (6, 55, 3)), rng.normal(size=(6, 3)), np.zeros(300)
    betas[:10] = rng.normal(size=10)
    joints = body.joints(*(torch.from_numpy(a).float() for a in (poses, betas, trans))).numpy()
    model = Mannequin("wooden", shape=betas[:10].astype(np.float32))
    pose = model.rest_pose(batch_dims=(6,)) | {
        "body_pose": poses[:, 1:22],
        "hand_pose": poses[:, 25:],
        "pelvis_rotation": poses[:, 0],
        "global_translation": trans,
    }
    pose["shape"] = np.broadcast_to(betas[:10], (6, 10))
    transforms = dict(zip(model.joint_names, np.moveaxis(model.joint_transforms(pose), 1, 0), strict=True))
    for name, index in {"L_Index3": 27, "R_Pinky2": 47, "Head": 15, "L_Foot": 10}.items():
        assert np.abs(transforms[name][:, :3, 3] - joints[:, index]).max() < 1e-5, name


def test_forward_kinematics_of_a_bent_elbow(body):
    rest = body.rest_joints(torch.zeros(300))
    rotations = torch.eye(3).repeat(55, 1, 1)
    rotations[18] = axis_angle_to_matrix(torch.tensor([0.0, -torch.pi / 2, 0.0]))
    posed = forward_kinematics(rotations, rest)
    forearm = rest[20] - rest[18]
    assert torch.allclose(posed[20] - posed[18], rotations[18] @ forearm, atol=1e-6)
    assert torch.allclose(posed[:19], rest[:19], atol=1e-6)


def test_face_vertices_move_with_jaw_and_expressions(body):
    still = body.face_vertices(torch.zeros(1, 3), torch.zeros(1, 100), torch.zeros(300))
    jaw = body.face_vertices(torch.tensor([[0.3, 0.0, 0.0]]), torch.zeros(1, 100), torch.zeros(300))
    smile = body.face_vertices(torch.zeros(1, 3), torch.eye(100)[:1], torch.zeros(300))
    assert (jaw - still).norm(dim=-1).max() > 0.01
    assert 1e-4 < (smile - still).norm(dim=-1).max() < 0.01
    assert body.stand_in
