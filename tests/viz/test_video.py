"""Videos of any number of figures: every one is in the picture, under its name."""

import av
import numpy as np
import pytest
from PIL import Image

from semtalk.motion.io import Motion
from semtalk.viz.figure import draw_motions
from semtalk.viz.stage import distance, figure_places, stage
from semtalk.viz.video import SCENE, STUDY, Scene, _compose, write_video

CHEST = slice(200, 290)
"""Rows of the picture above the floor, where figures stand before white."""


def standing(arms_down: bool = True) -> Motion:
    poses = np.zeros((3, 55, 3), np.float32)
    poses[:, 16, 2], poses[:, 17, 2] = (-1.2, 1.2) if arms_down else (0, 0)
    place = np.tile(np.float32([0, 1.3, 0]), (3, 1))
    return Motion(poses, np.zeros((3, 100), np.float32), place, np.zeros(300, np.float32))


def spans(inked: np.ndarray, apart: int = 12) -> list[tuple[int, int]]:
    """First and last of each run of columns that are inked; runs that are nearer than so many columns are one."""
    columns = np.flatnonzero(inked)
    cuts = np.flatnonzero(np.diff(columns) > apart)
    return [(int(run[0]), int(run[-1])) for run in np.split(columns, cuts + 1) if len(run)]


def figures(picture: np.ndarray) -> list[tuple[int, int]]:
    return spans((picture[CHEST] < 235).any(axis=(0, 2)))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_figure_is_in_the_picture_where_its_name_stands(count):
    (picture,) = draw_motions([standing()] * count, 1, SCENE, 1)
    found = figures(picture)
    assert len(found) == count
    for (first, last), place in zip(found, figure_places(count, SCENE), strict=True):
        assert first > 0 and last < SCENE[0] - 1, "whole"
        assert (first + last) / 2 == pytest.approx(place * SCENE[0], abs=12)
        feet = np.flatnonzero(picture[:, first + 5 : last - 5].min(axis=(1, 2)) < 120)[-1]
        assert (picture[feet + 4, first:last] < 240).all(), "on the floor"
    (stretched,) = draw_motions([standing(arms_down=False)] * count, 1, SCENE, 1)
    assert not (stretched[:290, [0, -1]] < 235).any(), "hands that are stretched to the sides too"


def test_figures_that_are_compared_have_their_own_colours():
    (picture,) = draw_motions([standing()] * 5, 1, SCENE, 1)
    tones = []
    for first, last in figures(picture):
        inked = picture[CHEST, first : last + 1].astype(float)
        inked = inked[inked.max(axis=2) < 235]
        tones.append(np.median(inked / inked.sum(axis=1, keepdims=True), axis=0))
    apart = np.abs(np.subtract.outer(*[np.array(tones)] * 2).diagonal(axis1=1, axis2=3)).max(axis=2)
    assert len(tones) == 5 and (apart[~np.eye(5, dtype=bool)] > 0.01).all()


def test_one_figure_and_two_are_as_near_as_they_were():
    assert [distance(count, SCENE) for count in (1, 2)] == pytest.approx([4, 4], abs=0.01)
    assert distance(1, STUDY) == 4 and distance(3, SCENE) > 5


@pytest.mark.parametrize(
    "titles",
    [["one"], ["base", "fused"], ["base", "fused", "truth"], ["a name of a system that is far too long"] * 5],
)
def test_names_stand_above_their_figures_and_beside_each_other(titles):
    page = np.asarray(
        _compose(
            np.full((SCENE[1], SCENE[0], 3), 255, np.uint8),
            titles,
            Image.new("RGB", (1, 1), "white"),
            stage(len(titles), SCENE),
        )
    )
    found = spans((page[:40] < 200).any(axis=(0, 2)), 8 if len(titles) > 3 else 20)
    middles = [place * SCENE[0] for place in figure_places(len(titles), SCENE)]
    between = [int((left + right) / 2) for left, right in zip(middles, middles[1:], strict=False)]
    assert (page[:40, between] > 200).all(), "no name reaches into the next one's place"
    assert found[0][0] > 0 and found[-1][1] < SCENE[0] - 1
    if len(titles) < 4:
        assert [(first + last) / 2 for first, last in found] == pytest.approx(middles, abs=3)


def test_a_video_of_five_shows_five(tmp_path):
    motions = {f"system {index}": standing() for index in range(5)}
    write_video(Scene(motions, np.zeros(1600), None, 0.5), tmp_path / "five.mp4", processes=1, quiet=True)
    with av.open(str(tmp_path / "five.mp4")) as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(pictures) == 3 and len(figures(pictures[0])) == 5
    assert len(spans((pictures[0][:40] < 200).any(axis=(0, 2)), 20)) == 5
