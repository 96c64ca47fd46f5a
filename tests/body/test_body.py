"""SMPL-X through the smplx package, on a synthetic file of its schema (the real one needs a licence)."""

import os
import pickle

import numpy as np
import pytest
import torch
from synthetic_smplx import VERTICES, write_smplx

from semtalk.body import load_body
from semtalk.errors import SemTalkError


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory, body):
    return write_smplx(tmp_path_factory.mktemp("body"), body)


def test_smplx_joints_equal_the_packages_own(model_folder):
    smplx = load_body(str(model_folder))
    assert not smplx.stand_in and "SMPL-X" in smplx.name
    torch.manual_seed(0)
    poses, trans, betas = 0.4 * torch.randn(3, 55, 3), torch.randn(3, 3), torch.randn(300)
    own = smplx.joints(poses, betas, trans)
    out = smplx.model(
        betas=betas.expand(3, -1), expression=torch.zeros(3, 100), global_orient=poses[:, 0], transl=trans,
        body_pose=poses[:, 1:22].flatten(1), jaw_pose=poses[:, 22], leye_pose=poses[:, 23], reye_pose=poses[:, 24],
        left_hand_pose=poses[:, 25:40].flatten(1), right_hand_pose=poses[:, 40:].flatten(1),
    )  # fmt: skip
    assert torch.allclose(own, out.joints[:, :55], atol=1e-4)
    assert smplx.hand_mean.abs().max() > 0.05, "the mean hand is added"


def test_smplx_points_are_the_joints_and_those_of_the_face_without_a_place(model_folder):
    smplx = load_body(str(model_folder))
    torch.manual_seed(0)
    poses, expressions, betas = 0.4 * torch.randn(3, 55, 3), torch.randn(3, 100), torch.randn(300)
    points, still = (smplx.points(poses, share * expressions, betas) for share in (1.0, 0.0))
    assert points.shape == (3, 55 + 21 + 51, 3)
    assert torch.allclose(still[:, :55], smplx.joints(poses, betas), atol=1e-4)
    assert (points - still)[:, 76:].abs().min(dim=1).values.max() > 1e-3, "expressions move the landmarks"


def test_smplx_face_has_all_vertices(model_folder):
    smplx = load_body(str(model_folder))
    still = smplx.face_vertices(torch.zeros(2, 3), torch.zeros(2, 100), torch.zeros(300))
    moved = smplx.face_vertices(torch.zeros(2, 3), torch.ones(2, 100), torch.zeros(300))
    assert still.shape == (2, VERTICES, 3) and (moved - still).abs().max() > 0.01


def test_the_lips_are_the_corners_of_the_mouths_landmarks(model_folder):
    """The last 20 of the file's 51 landmarks, which lie in its face 7 here."""
    assert load_body(str(model_folder)).lips.tolist() == [21, 22, 23]


def test_the_lips_of_the_stand_in_lie_where_its_face_opens(body):
    opened = body.face_vertices(torch.tensor([[0.3, 0.0, 0.0]]), torch.zeros(1, 100), torch.zeros(300))[0]
    lips = body.template[body.lips]
    moved = (opened - body.template).norm(dim=1)
    share = moved[body.lips] / moved.max()
    assert len(body.lips) > 10 and (lips[:, 2] > 0).all(), "the front"
    assert share.min() < 0.1 and share.max() > 0.5, "one lip stays, the other one goes with the jaw"


def test_missing_model_is_named(tmp_path):
    with pytest.raises(SemTalkError, match="SMPLX_NEUTRAL_2020.npz"):
        load_body(str(tmp_path))


class Hostile:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def npz_of(path, **arrays):
    np.savez(path, **arrays)
    return path.read_bytes()


@pytest.mark.parametrize(
    "made, says",
    [
        (lambda path, evil: pickle.dumps(evil), "not a readable npz file"),
        (lambda path, evil: pickle.dumps(evil) + npz_of(path, a=np.zeros(3)), "begins with something else"),
        (lambda path, evil: npz_of(path, a=np.array([evil], object)), "asks for .*system, which is refused"),
        (lambda path, evil: npz_of(path, a=np.zeros(3)), "not the neutral SMPL-X model of 2020"),
        (lambda path, evil: npz_of(path, a=np.zeros(3))[:-30], "not a readable npz file"),
        (lambda path, evil: b"", "not a readable npz file"),
    ],
)
def test_a_hostile_or_damaged_body_is_one_sentence_and_nothing_of_it_is_run(tmp_path, made, says):
    path = tmp_path / "smplx" / "SMPLX_NEUTRAL_2020.npz"
    path.parent.mkdir()
    path.write_bytes(made(path, Hostile(f"touch {tmp_path}/ran")))
    with pytest.raises(SemTalkError, match=says):
        load_body(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_a_body_may_hold_plain_tables_beside_its_arrays(model_folder, tmp_path):
    """As the licensed file does: names of joints and parts."""
    (tmp_path / "smplx").mkdir()
    with np.load(model_folder / "smplx" / "SMPLX_NEUTRAL_2020.npz") as arrays:
        np.savez(tmp_path / "smplx" / "SMPLX_NEUTRAL_2020.npz", joint2num=np.array({"pelvis": 0}), **arrays)
    assert load_body(str(tmp_path)).hand_mean.abs().max() > 0.05
