# ruff: noqa: F811 (fixtures)
"""Videos, which hold nobody up; what is stopped, by its user or with a page that is closed, leaves nothing."""

import threading

import numpy as np
import pytest
from made_head import write_head
from voices import TEXT, engine, session, talk  # noqa: F401

from semtalk.errors import SemTalkError
from semtalk.face.talk import FreeFace
from semtalk.studio.request import Request
from semtalk.studio.server import Studio
from semtalk.studio.turns import Stopped


def test_the_video_is_drawn_once_with_both_figures(session, talk, monkeypatch):
    drawn, shares = [], []

    def write(scene, path, progress):
        drawn.append(list(scene.motions))
        list(progress(iter("abcd"), 4))
        path.write_bytes(b"mp4")

    monkeypatch.setattr("semtalk.viz.video.write_video", write)
    number = session.generate(Request(talk, TEXT, beside="base"))
    take = session.take(number)
    with pytest.raises(SemTalkError, match="not drawn yet"):
        take.file(session.engine, "mp4", 0)
    for _ in range(2):
        path = session.video(number, 0, lambda share, doing: shares.append(share))
    assert take.file(session.engine, "mp4", 0) == path and path.read_bytes() == b"mp4"
    assert drawn == [["base motion alone", "generated"]] and shares == [None, 0, 0.25, 0.5, 0.75]


def test_a_video_shows_the_face_that_the_page_shows(session, talk, tmp_path, monkeypatch):
    faces = []

    def write(scene, path, progress):
        faces.append(scene.face)
        path.write_bytes(b"mp4")

    monkeypatch.setattr("semtalk.viz.video.write_video", write)
    monkeypatch.syspath_prepend(write_head(tmp_path / "site"))
    number = session.generate(Request(talk, TEXT))
    session.video(number, 0, lambda share, doing: None)
    assert isinstance(faces[0], FreeFace)


def test_while_a_video_is_drawn_all_else_goes_on_and_another_video_waits(session, talk, monkeypatch):
    began, free, told = threading.Event(), threading.Event(), []

    def write(scene, path, progress):
        began.set()
        assert free.wait(60)
        path.write_bytes(b"mp4")

    def at_once(share, doing):
        assert share is not None, doing

    def report(share, doing):
        told.append(doing)
        if doing.startswith("Another"):
            free.set()

    monkeypatch.setattr("semtalk.viz.video.write_video", write)
    number = session.generate(Request(talk, TEXT, samples=2))
    drawing = threading.Thread(target=session.video, args=(number, 0, lambda share, doing: None))
    drawing.start()
    assert began.wait(60)
    assert not session.take(number).lock.locked(), "what else is of the same take can be had"
    session.generate(Request(talk, TEXT), at_once)
    assert not free.is_set()
    assert session.video(number, 1, report).is_file()
    assert told[0] == "Another video is being drawn; yours is next." and told[-1] == "Preparing the video"
    drawing.join(60)


@pytest.mark.parametrize("doing", ["Generating", "Building the figure"])
def test_what_is_stopped_leaves_nothing_and_the_next_request_is_made(session, talk, doing):
    def report(share, what):
        if what == doing:
            session.stop("generating")

    with pytest.raises(Stopped, match="^Stopped.$"):
        session.generate(Request(talk, TEXT, samples=3), report)
    assert not session.takes and not list(session.folder.iterdir()) and not session.engine.turns.here
    session.stop("generating", "drawing")  # what is not made cannot be stopped
    assert session.generate(Request(talk, TEXT)) == 1, "what was not made has no number"


@pytest.mark.parametrize("doing", ["Generating", "Building the figure"])
def test_what_is_made_for_a_page_that_is_closed_is_stopped_and_nothing_of_it_is_left(session, talk, doing):
    told = []

    def report(share, what):
        told.append(what)
        if what == doing:
            session.end()

    with pytest.raises(SemTalkError, match="the page was closed"):
        session.generate(Request(talk, TEXT, samples=3), report)
    assert told.count(doing) == 1 and not session.folder.exists()


def test_a_video_of_a_page_that_is_closed_is_stopped(session, talk):
    number, told = session.generate(Request(talk, TEXT)), []

    def report(share, what):
        told.append(what)
        session.end()

    with pytest.raises(SemTalkError, match="the page was closed"):
        session.video(number, 0, report)
    assert told == ["Preparing the video"] and not session.folder.exists()


def test_a_video_that_is_stopped_is_drawn_by_no_process_any_more(session, talk, monkeypatch):
    ends = []

    def draw(motions, frames, *given):
        try:
            yield from [np.zeros((540, 960, 3), np.uint8)] * frames
        finally:
            ends.append(True)

    def report(share, what):
        if share:
            session.stop("drawing")

    monkeypatch.setattr("semtalk.viz.video.draw_motions", draw)
    number = session.generate(Request(talk, TEXT))
    with pytest.raises(Stopped) as kept:
        session.video(number, 0, report)
    assert ends and kept.traceback, "while the error is known, too"
    assert [path.suffix for path in session.take(number).drawn(0).parent.iterdir()] == [".glb"], "no half of a video"
    assert session.video(number, 0, lambda share, doing: None).is_file()


def test_a_studio_that_ends_stops_what_it_makes_and_leaves_nothing(engine, talk, tmp_path):
    studio, told = Studio(engine, tmp_path / "studio"), []
    _, session = studio.session("page")

    def report(share, what):
        told.append(what)
        studio.close()

    with pytest.raises(SemTalkError, match="the studio ended"):
        session.generate(Request(talk, TEXT), report)
    assert told == ["Generating"] and not studio.root.exists()
