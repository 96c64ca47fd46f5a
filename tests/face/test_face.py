"""A figure's face: where it sits, how it moves, and what its colours are."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from conftest import run_command
from made_head import HINGE, LIDS, LOWER, OPEN, write_head
from scipy.spatial.transform import Rotation
from synthetic_smplx import write_smplx
from tiny import voice

from semtalk.body import load_body
from semtalk.data.sample import script
from semtalk.data.sample.gesture import Mood, animate
from semtalk.data.sample.script import Phrase, SpokenWord, Syllable
from semtalk.errors import MissingModelError
from semtalk.face import face_map, head, mesh, sample, talk
from semtalk.face.head import refuse_faceless
from semtalk.face.mesh import CARRIERS, GROUPS, SIGHT, eyeball, face_mesh, normals, posed
from semtalk.face.names import ARKIT, INDEX
from semtalk.face.own import OwnFace
from semtalk.face.talk import FreeFace, blinks, find_face, free_face
from semtalk.motion.io import Motion

MARKS = list(head.LANDMARKS)
real = pytest.mark.skipif(find_spec("anny") is None, reason="pip install anny")


def motion(frames: int = 3) -> Motion:
    arrays = (np.zeros((frames, *shape), np.float32) for shape in ((55, 3), (100,), (3,)))
    return Motion(*arrays, np.zeros(300, np.float32))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_head(tmp_path_factory.mktemp("site"))


@pytest.fixture
def made(site, monkeypatch):
    """The made-up head is what is installed."""
    monkeypatch.syspath_prepend(site)
    return site


@pytest.fixture
def rest(body):
    betas = torch.zeros(300)
    betas[:3] = torch.tensor([1.0, -0.8, 0.6])
    return body.rest_joints(betas).numpy()


def vertex_of(number: int) -> int:
    """Where a vertex of the free head's mesh stands in a face."""
    points, quads = mesh.read_mesh(head.head_folder() / head.MESH, mesh.PARTS)
    body = points[quads["body"]]
    inside = (body[..., 1] >= mesh.CUT).all(axis=1) & (np.abs(body[..., 0]) <= mesh.HALF_WIDTH).all(axis=1)
    quads["body"] = quads["body"][inside]
    return int(np.searchsorted(np.unique(np.concatenate([part.reshape(-1) for part in quads.values()])), number))


def at(number: int, points: np.ndarray) -> np.ndarray:
    return points[vertex_of(number)]


def test_the_head_sits_on_the_eyes_of_the_figure(made, rest):
    face = face_mesh(rest)
    eyes = rest[[23, 24]] - rest[15]
    size = np.linalg.norm(eyes[0] - eyes[1]) / 0.0616
    for side in (0, 1):
        ball = face.vertices[face.weights[:, 2 + side] == 1]
        assert len(ball) > 100
        assert np.allclose(np.linalg.norm(ball - eyes[side], axis=1), mesh.BALL * size, atol=1e-5)
        assert ball[:, 2].max() == pytest.approx(eyes[side, 2] + mesh.BALL * size, abs=1e-4), "it looks ahead"
    points, _ = mesh.read_mesh(head.head_folder() / head.MESH, ())
    for mark in (MARKS[0], MARKS[30], MARKS[45]):
        expected = (points[mark] - SIGHT.mean(axis=0)) * size + eyes.mean(axis=0)
        assert at(mark, face.vertices) == pytest.approx(expected, abs=1e-5)


def test_a_face_hangs_on_neck_head_and_eyes_alone(made, rest):
    face = face_mesh(rest)
    assert np.allclose(face.weights.sum(axis=1), 1) and (face.weights >= 0).all()
    low = face.vertices[:, 1] < (rest[12] - rest[15])[1] - 0.03
    assert low.any() and (face.weights[low, 0] == 1).all(), "the neck's lower end stays with the neck"
    high = face.vertices[:, 1] > 0
    assert not face.weights[high, 0].any(), "the head moves as one"
    neck = face.weights[:, 0]
    assert ((neck > 0.1) & (neck < 0.9)).any(), "and bends into the neck bit by bit"
    collar = face.vertices[neck == 1] - (rest[12] - rest[15] + mesh.SUNK)
    assert np.allclose(np.linalg.norm(collar[:, [0, 2]], axis=1), mesh.COLLAR[0], atol=1e-5)


def test_the_neck_has_no_seam_to_the_head(made, rest):
    face = face_mesh(rest)
    skin = face.faces[face.groups[face.faces[:, 0]] == 0]
    open_ones = mesh.open_edges(skin)
    low = open_ones[(face.vertices[open_ones, 1] < -0.02).all(axis=1)]
    assert len(low) and (face.weights[low, 0] == 1).all(), "below the eyes it is open at its lower end alone"
    middle = face.vertices[np.unique(low)].mean(axis=0)
    rings = skin[((face.weights[skin, 0] > 0) & (face.weights[skin, 0] < 1)).all(axis=1)]
    outward = normals(face.vertices, skin)[np.unique(rings)]
    across = face.vertices[np.unique(rings)] - middle
    assert ((outward * across)[:, [0, 2]].sum(axis=1) > 0).all(), "and is seen from outside"


def test_all_shapes_are_there_in_the_size_of_the_figure(made, rest):
    face = face_mesh(rest)
    size = np.linalg.norm(rest[23] - rest[24]) / 0.0616
    assert face.shapes.shape == (52, len(face.vertices), 3)
    moved = np.abs(face.shapes).max(axis=(1, 2))
    assert (moved > 0).all() and not face.shapes[:, face.weights[:, 2:].sum(axis=1) > 0].any(), "eyes turn by joints"
    name = "mouthSmileLeft"
    numbers, steps = head.read_steps(head.head_folder() / head.UNITS / f"{name}.target")
    assert at(int(numbers[20]), face.shapes[INDEX[name]]) == pytest.approx(steps[20] * size, abs=1e-6)


def test_a_jaw_that_turns_opens_the_mouth_as_far(made, body, rest):
    take = motion(3)
    take.poses[:, 22, 0] = 0, OPEN / 2, OPEN
    face = FreeFace(face_map(body, corpus="sample")).talk(take, rest)
    still, half, opened = face.at(0, 3)
    assert np.allclose(still, face.mesh.vertices, atol=1e-6)
    size = np.linalg.norm(rest[23] - rest[24]) / 0.0616
    hinge = (HINGE - SIGHT.mean(axis=0)) * size + (rest[[23, 24]] - rest[15]).mean(axis=0)
    turn = Rotation.from_rotvec([OPEN, 0, 0]).as_matrix()
    for vertex in (MARKS[40], LOWER[0]):
        expected = turn @ (at(vertex, still) - hinge) + hinge
        assert at(vertex, opened) == pytest.approx(expected, abs=1e-4)
        assert at(vertex, still)[1] - at(vertex, half)[1] > 0.007
    assert at(MARKS[32], opened) == pytest.approx(at(MARKS[32], still), abs=1e-6), "the upper lip stays"


def gap(points: np.ndarray, side: str) -> float:
    """Metres between the lids of an eye."""
    up, down = ([at(MARKS[mark - 17], points)[1] for mark in lid] for lid in LIDS[side])
    return float(np.mean(up) - np.mean(down))


def test_a_blink_closes_the_lids(made, body, rest):
    face = FreeFace(face_map(body, corpus="sample"))
    talking = face.talk(motion(120), rest)
    lids = talking.weights[:, INDEX["eyeBlinkLeft"]]
    assert np.array_equal(lids, talking.weights[:, INDEX["eyeBlinkRight"]]) and np.array_equal(lids, blinks(120))
    closed = int(lids.argmax())
    opened, shut = talking.at(0, 1)[0], talking.at(closed, closed + 1)[0]
    for side in ("Left", "Right"):
        assert gap(opened, side) > 0.005 and abs(gap(shut, side)) < 1e-4


def test_blinks_are_short_and_come_every_few_seconds():
    lids = blinks(60 * 30)
    starts = np.flatnonzero((lids[1:] > 0) & (lids[:-1] == 0))
    assert lids.min() == 0 and lids.max() == 1 and (lids > 0).mean() < 0.1
    assert np.diff(starts).min() / 30 > 1.5 and np.diff(starts).max() / 30 < 6 and len(starts) > 10
    assert np.array_equal(blinks(81), lids[:81]) and not blinks(0).any()


def test_eyes_turn_by_their_joints(made, rest):
    face = face_mesh(rest)
    joints = rest[list(CARRIERS)] - rest[15]
    turns = np.stack([np.eye(3)] * 4)
    turns[2] = Rotation.from_rotvec([0, 0.3, 0]).as_matrix()
    places = joints + [1.0, 2.0, 3.0]
    moved = posed(face.vertices, face.weights, joints, turns, places)
    right, left = (face.weights[:, index] == 1 for index in (3, 2))
    assert np.allclose(moved[right], face.vertices[right] + [1, 2, 3], atol=1e-5)
    pupil = left & (face.groups == GROUPS.index("pupil"))
    ahead = moved[pupil].mean(axis=0) - places[2]
    assert np.arctan2(ahead[0], ahead[2]) == pytest.approx(0.3, abs=1e-3), "to the figure's left"
    turns[:] = Rotation.from_rotvec([0, 0, 0.5]).as_matrix()
    moved = posed(face.vertices, face.weights, joints, turns, np.einsum("ab,jb->ja", turns[0], joints))
    assert np.allclose(moved, face.vertices @ turns[0].T, atol=1e-5), "all together they turn it as a whole"


def test_groups_have_their_colours(made, rest):
    face = face_mesh(rest)
    same = face.groups[face.faces]
    assert (same == same[:, :1]).all() and set(face.groups) == set(range(len(GROUPS)))
    for name in ("white", "iris", "pupil", "teeth", "tongue", "lashes"):
        assert np.allclose(face.colours[face.groups == GROUPS.index(name)], mesh.PAINT[name])
    assert at(MARKS[45], face.colours) == pytest.approx(mesh.LIPS)
    assert (at(MARKS[2], face.colours) < 0.7).all() and at(MARKS[16], face.colours) == pytest.approx(1)


def test_an_eye_is_round_and_its_zones_meet():
    vertices, faces, groups = eyeball()
    assert np.allclose(np.linalg.norm(vertices, axis=1), 1)
    outward = np.cross(
        vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]]
    )  # fmt: skip
    assert ((outward * vertices[faces].mean(axis=1)).sum(axis=1) >= -1e-12).all()
    angles = np.degrees(np.arccos(np.clip(vertices[:, 2], -1, 1)))
    edges = {name: (angles[groups == GROUPS.index(name)].min(), angles[groups == GROUPS.index(name)].max())
             for name in ("pupil", "iris", "white")}  # fmt: skip
    assert edges["pupil"][0] == pytest.approx(0, abs=1e-5) and edges["white"][1] > 100
    assert edges["pupil"][1] == pytest.approx(edges["iris"][0]) and edges["iris"][1] == pytest.approx(edges["white"][0])


def said(vowel: str, stress: int = 0, smile: float = 0.0) -> dict[str, float]:
    """Weights in the middle of a syllable that the embedded corpus says."""
    syllable = Syllable(0.9, 1.1, "b", vowel, stress)
    phrase = Phrase((SpokenWord("a", "a", (syllable,)),))
    take = animate([phrase], 2.0, _style(), Mood(smile=smile), np.zeros((55, 3)), np.random.default_rng(0))
    weights = sample.SampleFace()(take)
    assert weights.shape == (60, 52) and weights.min() >= 0 and weights.max() <= 1
    return dict(zip(ARKIT, weights[round(syllable.center * 30)], strict=True))


def _style():
    from semtalk.data.sample.corpus import SPEAKERS

    return SPEAKERS[0][2]


def test_lips_say_the_vowels_of_the_embedded_corpus():
    assert sample.VOWELS == script.VOWELS
    wide, round_, narrow = said("i"), said("o"), said("u")
    assert wide["mouthStretchLeft"] > 0.25 and wide["mouthFunnel"] < 0.02
    assert round_["mouthFunnel"] > 0.35 and narrow["mouthPucker"] > 0.35 and round_["mouthStretchLeft"] < 0.02
    assert said("a")["jawOpen"] > said("i")["jawOpen"] > 0.1, "the jaw by its joint"
    stressed = said("o", 1)
    assert stressed["mouthFunnel"] > round_["mouthFunnel"] and stressed["browInnerUp"] > 0.3 > round_["browInnerUp"]


def test_a_mood_of_the_embedded_corpus_is_in_its_face():
    glad, cross = said("a", smile=1.0), said("a", smile=-1.0)
    assert glad["mouthSmileLeft"] == glad["mouthSmileRight"] == pytest.approx(0.55, abs=0.01)
    assert cross["browDownLeft"] == pytest.approx(0.7, abs=0.01) and not glad["browDownLeft"]
    assert not cross["mouthSmileLeft"]


def test_the_corpus_says_what_expressions_mean(made, body, caplog):
    assert isinstance(face_map(body, corpus="sample"), sample.SampleFace)
    assert not isinstance(face_map(body, corpus="beat2"), sample.SampleFace)
    with caplog.at_level("INFO"):
        free_face(body, corpus="beat2")
    assert "jaw and gaze alone" in caplog.text and "blinks by a rule" in caplog.text


@pytest.fixture
def none_installed(monkeypatch):
    monkeypatch.setattr(head, "find_spec", lambda name: None)


def test_without_the_extra_a_figure_has_no_face_and_one_line_says_what_brings_it(none_installed, body, caplog):
    with caplog.at_level("INFO"):
        assert find_face("both", body) is None
    assert len(caplog.records) == 1 and "pip install" in caplog.text and "face" in caplog.text
    with pytest.raises(MissingModelError, match=r"view=face: .*pip install.*body.path=DIR"):
        find_face("face", body)
    with pytest.raises(MissingModelError, match=r"view=face: .*pip install"):
        refuse_faceless("face", None)
    refuse_faceless("both", None)
    refuse_faceless("face", "a folder with SMPL-X")


@pytest.fixture(scope="module")
def smplx(tmp_path_factory):
    """The made-up SMPL-X with a face: a grid before the head, whose lower half swings with the jaw, and two eyes."""
    body = load_body(None)
    joints = body.rest_joints(torch.zeros(300)).numpy()
    grid = np.stack(np.meshgrid(np.linspace(-0.05, 0.05, 6), np.linspace(-0.05, 0.12, 6)), axis=-1).reshape(-1, 2)
    own, eyes = 100 + np.arange(36), 200 + np.arange(8)

    def placed(template):
        template[own] = joints[15] + np.concatenate([grid, np.full((36, 1), 0.1)], axis=1)
        turns = [Rotation.from_rotvec(v).apply([0, 0, 0.012]) for v in ([0, 0, 0], [0.3, 0, 0], [0, 0.8, 0], [0, 3, 0])]
        template[eyes] = np.concatenate([joints[23] + turns, joints[24] + turns])
        return template

    def hung(weights):
        weights[own[:18]], weights[own[18:]] = np.eye(55)[22], np.eye(55)[15]
        weights[eyes[:4]], weights[eyes[4:]] = np.eye(55)[23], np.eye(55)[24]
        return weights

    def cornered(_):
        a = np.array([row * 6 + column for row in range(5) for column in range(5)])
        squares = own[np.stack([a, a + 1, a + 7, a + 6], axis=1)]
        return np.concatenate([mesh.triangles(squares), eyes[[[0, 1, 2], [4, 5, 6]]], [[0, 1, 2]]])

    def directed(shapedirs):
        shapedirs[:] = 0
        shapedirs[own, 2, 300] = 0.01
        return shapedirs

    return load_body(str(write_smplx(
        tmp_path_factory.mktemp("smplx"), body, v_template=placed, weights=hung, f=cornered, shapedirs=directed,
    )))  # fmt: skip


def test_smplx_has_its_own_face(smplx, caplog):
    with caplog.at_level("INFO"):
        face = find_face("both", smplx, "beat2")
        assert find_face("body", smplx, "beat2") is None, "nothing is looked for that is not shown"
    assert isinstance(face, OwnFace) and "SMPL-X" in caplog.text
    take = motion(30)
    take.poses[:, 22, 0] = np.linspace(0, 0.2, 30)
    take.expressions[:, 0] = 2
    rest = load_body(None).rest_joints(torch.zeros(300)).numpy()
    talking = face.talk(take, rest)
    assert len(talking.mesh.vertices) == 36 + 6 and len(talking.mesh.faces) == 52, "hands and feet are left out"
    assert np.allclose(talking.mesh.weights.sum(axis=1), 1) and (talking.mesh.weights[:18, 1] == 1).all()
    first, last = talking.at(0, 1)[0], talking.at(29, 30)[0]
    assert np.allclose(first[:36] - talking.mesh.vertices[:36], [0, 0, 0.02], atol=1e-5), "it shows expressions"
    assert np.allclose(first[18:36], last[18:36], atol=1e-5) and (first - last)[:18, 1].min() > 0.005
    names = [GROUPS[index] for index in talking.mesh.groups[36:]]
    assert names == ["pupil", "iris", "white"] * 2


def test_expressions_of_the_embedded_corpus_move_no_face_of_smplx(smplx, made):
    assert isinstance(find_face("both", smplx, "sample"), FreeFace)


@real
def test_the_real_head_opens_its_mouth_and_closes_its_eyes(body, rest):
    take = motion(100)
    take.poses[50:, 22, 0] = OPEN
    talking = FreeFace(face_map(body, corpus="sample")).talk(take, rest)
    closed = int(talking.weights[:, INDEX["eyeBlinkLeft"]].argmax())
    still, opened, shut = (talking.at(frame, frame + 1)[0] for frame in (0, 60, closed))
    between = [at(MARKS[62 - 17], points)[1] - at(MARKS[66 - 17], points)[1] for points in (still, opened)]
    assert between[0] < 0.004 and 0.02 < between[1] < 0.05
    for side in ("Left", "Right"):
        assert gap(still, side) > 0.01 and gap(shut, side) < 0.004
    face = talking.mesh
    assert 5000 < len(face.vertices) < 8000 and np.allclose(face.weights.sum(axis=1), 1)
    skin = face.faces[face.groups[face.faces[:, 0]] == 0]
    low = mesh.open_edges(skin)
    low = low[(face.vertices[low, 1] < -0.05).all(axis=1)]
    assert (face.weights[low, 0] == 1).all(), "its neck has no hole but the lower end"
    assert (face.colours[face.groups == 0] < 0.9).any(axis=1).mean() < 0.35, "lips, brows and mouth are small"
    assert talk.has_head()


@real
@pytest.mark.parametrize(
    "said", [{}, {"jawOpen": 0.35, "mouthPucker": 0.4, "mouthFunnel": 0.5}, {"jawOpen": 0.2, "mouthPucker": 0.8}]
)
def test_teeth_stay_within_the_corners_of_a_mouth_that_is_pursed(said):
    face = mesh.free_head(head.head_folder())
    points = face.vertices + sum(value * face.shapes[INDEX[name]] for name, value in said.items())
    lips = points[(face.groups == 0) & np.isclose(face.colours, mesh.LIPS).all(axis=1)]
    corner = lips[lips[:, 0].argmax()]
    teeth = points[face.groups == GROUPS.index("teeth")]
    ahead = teeth[teeth[:, 2] > corner[2] - 0.012]
    assert len(ahead) > 20 and np.abs(ahead[:, 0]).max() < corner[0] - 0.002


def test_rows_of_teeth_are_narrower_than_the_file_has_them(made, monkeypatch):
    teeth = []
    for wide in (mesh.ARCH, 1.0):
        monkeypatch.setattr(mesh, "ARCH", wide)
        mesh.free_head.cache_clear()
        face = mesh.free_head(head.head_folder())
        teeth.append(face.vertices[face.groups == GROUPS.index("teeth")])
    mesh.free_head.cache_clear()
    assert np.allclose(teeth[0], teeth[1] * [0.82, 1, 1]) and np.ptp(teeth[1][:, 0]) > 0


def test_generate_and_eval_show_the_face(made, smoke, tmp_path, caplog):
    import av
    import soundfile

    _, arguments = smoke
    soundfile.write(tmp_path / "a.wav", voice(1.0), 16000)
    words = [f"audio={tmp_path}/a.wav", "transcript=none", "video_seconds=0.1", f"out={tmp_path}/made"]
    said = run_command("generate.py", *arguments, *words, "view=face", "format=glb").stdout
    assert said.count("The face: a free head.") == 1 and "embedded corpus" in said and "blinks by a rule" in said
    assert b'"name":"face"' in (tmp_path / "made" / "a.glb").read_bytes()
    with av.open(str(tmp_path / "made" / "a.mp4")) as file:
        first = next(file.decode(video=0)).to_ndarray(format="rgb24")
    assert first.shape == (690, 960, 3) and (first[270:540] < 240).any(axis=2).mean() > 0.2, "close up"
    said = run_command("eval.py", *arguments, "video_seconds=0.1", f"out={tmp_path}/eval").stdout
    (video,) = (tmp_path / "eval").glob("*.mp4")
    with av.open(str(video)) as file:
        assert "a free head" in said and file.streams.video[0].codec_context.height == 930


@pytest.mark.parametrize(
    ("command", "words"),
    [("generate", "audio=none.wav view=face"), ("eval", "view=face"), ("train", "logger=wandb evaluation.view=face")],
)
def test_a_face_that_is_asked_for_and_not_there_is_refused_before_all_else(none_installed, command, words):
    said = run_command(f"{command}.py", *words.split(), check=False)
    assert said.returncode == 1 and "view=face" in said.stderr and "pip install" in said.stderr


def test_a_matrix_is_for_what_has_a_face(tmp_path):
    words = ["audio=none.wav", f"arkit_matrix={tmp_path}/none.npy"]
    said = run_command("generate.py", *words, "video=false", check=False).stderr
    assert "arkit_matrix is for faces: format=arkit, glb or fbx, an avatar, or a video" in said
    for more in (["format=glb", "video=false"], []):
        assert "arkit_matrix is for" not in run_command("generate.py", *words, *more, check=False).stderr
