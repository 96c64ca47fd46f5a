"""Faces in pictures: where they are, and that they move with their figures."""

import numpy as np
import pytest
from made_head import write_head

from semtalk.face import face_map
from semtalk.face.mesh import GROUPS
from semtalk.face.talk import FreeFace
from semtalk.motion.io import Motion
from semtalk.viz import figure
from semtalk.viz.figure import FigureRenderer, draw_motions
from semtalk.viz.stage import figure_places, stage
from semtalk.viz.video import SCENE, STRIP_HEIGHT, TITLE_SIZES, Scene, write_video

WHITE = 250
"""From here on a pixel is of the background."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_head(tmp_path_factory.mktemp("site"))


@pytest.fixture
def face(site, monkeypatch, body):
    monkeypatch.syspath_prepend(site)
    return FreeFace(face_map(body, corpus="sample"))


def standing(frames: int = 2, jaw: float = 0.0, aside: float = 0.0, turn: float = 0.0) -> Motion:
    poses = np.zeros((frames, 55, 3), np.float32)
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    poses[:, 22, 0], poses[:, 15, 1] = jaw, turn
    place = np.tile(np.float32([aside, 1.3, 0]), (frames, 1))
    return Motion(poses, np.zeros((frames, 100), np.float32), place, np.zeros(300, np.float32))


def part(picture: np.ndarray, box) -> np.ndarray:
    left, top, width, height = box
    return picture[top : top + height, left : left + width]


def inked(picture: np.ndarray) -> np.ndarray:
    return (picture < WHITE).any(axis=2)


@pytest.mark.parametrize("view", ["body", "face", "both"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_picture_has_a_part_for_each_face_and_one_for_bodies(count, view):
    place = stage(count, SCENE, view)
    wide, high = place.size
    assert len(place.faces) == (0 if view == "body" else count) and (place.bodies is None) == (view == "face")
    assert wide == SCENE[0] and wide % 2 == high % 2 == 0 and high >= SCENE[1], "as H.264 wants"
    taken = np.zeros((high, wide), int)
    for left, top, width, height in [*place.faces, *([place.bodies] if place.bodies else [])]:
        assert min(left, top) >= 0 and left + width <= wide and top + height <= high
        taken[top : top + height, left : left + width] += 1
    assert taken.max() == 1, "none covers another"
    assert len(place.middles) == count and list(place.middles) == sorted(place.middles)
    for middle, (left, _, width, _) in zip(place.middles, place.faces, strict=bool(place.faces)):
        assert left < middle < left + width or (count, view) == (1, "both")
    if view == "both" and count > 1:
        assert min(top for _, top, *_ in place.faces) >= 14 + TITLE_SIZES[0], "names stand above faces, not on them"
    if view == "body":
        assert list(place.middles) == [SCENE[0] * at for at in figure_places(count, SCENE)]


@pytest.mark.parametrize(("count", "view"), [(1, "both"), (3, "both"), (5, "both"), (1, "face"), (5, "face")])
def test_every_face_is_seen_whole(face, count, view):
    turned = standing(jaw=0.2, aside=0.3, turn=0.4)
    (picture,) = draw_motions([turned] * count, 1, SCENE, 1, face, view)
    place = stage(count, SCENE, view)
    assert picture.shape == (*place.size[::-1], 3)
    for box in place.faces:
        seen = inked(part(picture, box))
        top = seen[: box[3] // 3]
        assert not seen[0].any() and not top[:, [0, -1]].any(), "above it and beside it there is room"
        assert seen[box[3] // 2].any() and seen.mean() > 0.15
    outside = np.ones(picture.shape[:2], bool)
    for left, top, width, height in [*place.faces, *([place.bodies] if place.bodies else [])]:
        outside[top : top + height, left : left + width] = False
    assert (picture[outside] == 255).all(), "what is between is white"
    if place.bodies:
        whole = inked(part(picture, place.bodies))
        assert whole.any() and not whole[: whole.shape[0] // 2, [0, -1]].any() and not whole[0].any()


def test_a_face_talks_in_the_picture_and_in_step(face):
    still, talking = standing(3), standing(3)
    talking.poses[1:, 22, 0] = 0.395
    drawn = [list(draw_motions([motion], 3, SCENE, 1, face, "both")) for motion in (still, talking)]
    close, bodies = stage(1, SCENE, "both").faces[0], stage(1, SCENE, "both").bodies
    assert np.array_equal(drawn[0][0], drawn[1][0]), "the first frame is the same"
    for box in (close, bodies):
        assert not np.array_equal(part(drawn[0][1], box), part(drawn[1][1], box)), "also on the figure itself"


def test_without_a_face_a_figure_looks_as_before(face):
    (plain,) = draw_motions([standing()], 1, SCENE, 1)
    (asked,) = draw_motions([standing()], 1, SCENE, 1, None, "both")
    assert np.array_equal(plain, asked) and plain.shape == (SCENE[1], SCENE[0], 3)
    (faced,) = draw_motions([standing()], 1, SCENE, 1, face, "body")
    assert faced.shape == plain.shape and np.array_equal(faced[250:], plain[250:]), "but for its head"
    assert not np.array_equal(faced[:150], plain[:150])


def test_the_wooden_head_gives_place_to_the_face(face, body):
    talk = face.talk(standing(), figure.drawn_rest(np.zeros(300)))
    heads = [figure.head_of(talk, figure.drawn_rest(np.zeros(300)))]
    place = stage(1, (96, 64), "both")
    plain, faced = (FigureRenderer([np.zeros(300)], place, one) for one in (None, heads))

    def top(renderer) -> float:
        mesh, _ = renderer.wood[0][0]
        return mesh.points[np.unique(mesh.faces.reshape(-1, 4)[:, 1:]), 1].max()

    rest = figure.drawn_rest(np.zeros(300))
    assert top(plain) > rest[23, 1] and top(faced) < rest[15, 1]
    faced.draw([standing().poses[0]], [standing().trans[0]], [talk.at(0, 1)[0]])
    pupils = talk.mesh.groups == GROUPS.index("pupil")
    assert faced.faces[0].data.points[pupils].mean(axis=0) == pytest.approx(
        rest[[23, 24]].mean(axis=0) + [0, 1.3, 0.0145], abs=2e-3
    )


def test_several_processes_draw_faces_as_one_does(face):
    motion = standing(2 * figure.BATCH + 1)
    motion.poses[:, 22, 0] = np.linspace(0, 0.395, len(motion))
    one, two = (list(draw_motions([motion], len(motion), (96, 64), count, face, "both")) for count in (1, 2))
    assert len(one) == len(motion) and all(np.array_equal(*pictures) for pictures in zip(one, two, strict=True))
    assert not np.array_equal(one[0], one[-1])


def test_a_video_has_faces_and_names(face, tmp_path):
    import av

    motions = {"truth": standing(), "generated": standing()}
    for view, high in (("both", SCENE[1] + 240), ("body", SCENE[1]), ("face", SCENE[1])):
        path = tmp_path / f"{view}.mp4"
        write_video(Scene(motions, np.zeros(1600), None, 0.5, face=face, view=view), path, processes=1, quiet=True)
        with av.open(str(path)) as file:
            (frame, *_) = (frame.to_ndarray(format="rgb24") for frame in file.decode(video=0))
        assert frame.shape == (high + STRIP_HEIGHT, SCENE[0], 3)
        names = np.flatnonzero((frame[12:36] < 160).all(axis=2).any(axis=0))
        middles = stage(2, SCENE, view).middles
        assert all((np.abs(names - middle) < 40).any() for middle in middles), view
