# ruff: noqa: F811 (fixtures)
"""The studio's server: its page works over HTTP as in a browser, and gives away nothing else."""

import io
import json
import os
import re
import socket
import threading
import zipfile
from unittest import mock

import numpy as np
import pytest
import soundfile
from conftest import run_command
from tiny import voice
from voices import TEXT, Visitor, engine, hour, served, talk  # noqa: F401

from semtalk.errors import SemTalkError
from semtalk.settings import compose
from semtalk.studio import server as servers
from semtalk.studio.server import Studio

pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def studio(engine):
    with served(engine) as server:
        yield server


def test_a_voice_is_uploaded_and_everything_comes_back(studio, talk):
    visitor = Visitor(studio.address)
    page = visitor.get("/")
    assert page.status == 200 and b"SemTalk studio" in page.body
    path = visitor.upload(talk)
    assert visitor.asked("sound", [path, ""])[-1] == "4.0 s of sound."
    made = visitor.asked("generate", visitor.boxes(path, words=TEXT))
    stage, result, links, words, _, line, number, film, *_, said = made
    assert result["visible"] is True
    assert said == "Take 1: 4.0 s, 8 words." and words.count("\n") == 7 and film == "" and "audio=talk.wav" in line
    place = stage.partition("#")[2].partition('"')[0]
    scene = json.loads(visitor.get(f"{place}scene.json").body)
    assert [word["text"] for word in scene["words"]] == TEXT.split() and len(scene["psi"]) == 30
    assert visitor.get(f"{place}figure/0").body[:4] == b"glTF"
    begins = {"npz": b"PK", "bvh": b"HIERARCHY", "glb": b"glTF", "arkit": b"Timecode", "zip": b"PK"}
    for kind, begin in begins.items():
        answer = visitor.get(f"{place}file/{kind}")
        assert answer.body.startswith(begin) and answer.headers["content-disposition"].startswith("attachment")
    assert f"{place}file/zip" in links
    with zipfile.ZipFile(io.BytesIO(visitor.get(f"{place}file/zip").body)) as packed:
        assert "talk/command.txt" in packed.namelist()
    part = visitor.get(f"{place}file/wav", Range="bytes=0-3")
    assert (part.status, part.body) == (206, b"RIFF"), "browsers seek so"
    edited = visitor.asked("generate", visitor.boxes(path, words=words, emphasise="whole", samples=3))
    assert "emphasise=[whole]" in edited[5] and "/2/0/" in edited[0]
    assert [name for name, _ in edited[4]["choices"]] == ["0", "1", "2"] and edited[4]["value"] == "0"
    shown, links, _ = visitor.asked("sample", [None, "2"])
    assert "/2/2/" in shown
    for kind in ("npz", "arkit"):
        (address,) = re.findall(rf'href="([^"]*/file/{kind})"', links)
        assert "talk_2." in visitor.get(address).headers["content-disposition"], "called by the number that is shown"


def test_one_button_is_bright_and_what_needs_a_motion_is_hidden_until_there_is_one(studio):
    config = json.loads(Visitor(studio.address).get("/config").body)
    props = {one["id"]: one["props"] for one in config["components"]}

    def within(node: dict) -> set[str]:
        inner = [name for child in node.get("children") or [] for name in within(child)]
        return {props[node["id"]].get("elem_id"), *inner} if node["id"] in props else set(inner)

    def nodes(node: dict):
        yield node
        for child in node.get("children") or []:
            yield from nodes(child)

    assert [one["elem_id"] for one in props.values() if one.get("variant") == "primary"] == ["generate"]
    hidden = [node for node in nodes(config["layout"]) if props.get(node["id"], {}).get("visible") is False]
    assert any({"emphasise", "calm", "sample", "links", "draw", "film", "line"} <= within(node) for node in hidden)
    (box,) = [node for node in nodes(config["layout"]) if props.get(node["id"], {}).get("elem_id") == "go"]
    assert {"status", "generate", "stop"} <= within(box), "the status stands by the button"
    (more,) = [one["props"]["label"] for one in config["components"] if one["type"] == "accordion"]
    assert more in ("Seed, poses, scores", "Temperature, seed, poses, scores"), "what is in it"
    assert {one["show_progress"] for one in config["dependencies"] if one["api_name"] != "gone"} == {"hidden"}


def test_another_voice_begins_anew_and_takes_with_it_what_belongs_to_the_one_before(studio, talk):
    """The figure, its downloads, marks, words that have its seconds; and what is still made."""
    visitor = Visitor(studio.address)
    path = visitor.upload(talk)
    visitor.asked("generate", visitor.boxes(path, words=TEXT))
    began, free = threading.Event(), threading.Event()

    def slow(*given):
        began.set()
        assert free.wait(60)
        return make(*given)

    make = studio.studio.engine._generated
    with mock.patch.object(studio.studio.engine, "_generated", slow):
        making = visitor.join("generate", visitor.boxes(path, words=TEXT))
        assert began.wait(60)
        visitor.put("sound", [path, "0.5-1 we"])
        assert "4.0 s of sound." in visitor.told(making, "of sound")
        free.set()
        assert "Stopped." in str(visitor.heard_out(making))
    assert list(studio.studio.session(visitor.name)[1].takes) == [1]
    stage, result, number, words, emphasise, calm, film, said = visitor.asked("sound", [path, "0.5-1 we"])
    assert "Record or choose a voice" in stage and result["visible"] is False and number is None
    assert (words, emphasise, calm, film, said) == ("", "", "", "", "4.0 s of sound.")
    assert visitor.asked("sound", [None, "we walk"])[3] == {"__type__": "update"}, "what is typed is of no voice yet"
    with pytest.raises(AssertionError, match="There is no motion yet"):
        visitor.asked("video", [None, "0"])


def test_what_is_asked_of_words_that_are_gone_goes(studio):
    visitor = Visitor(studio.address)
    assert visitor.asked("said", ["0.5-1 we\n1-2 walk", "we@0.7, talk@1.2", "walk@1.5"]) == [
        "we@0.7", {"__type__": "update"},
    ]  # fmt: skip


def test_what_is_wrong_is_told_in_the_page_and_the_next_request_works(studio, talk, hour, tmp_path):
    visitor = Visitor(studio.address)
    (tmp_path / "bad.mp3").write_bytes(b"no sound <b>" * 40)
    bad, good = visitor.upload(tmp_path / "bad.mp3"), visitor.upload(talk)
    for name, given, says in (
        ("sound", [bad, ""], r"bad.mp3: not a readable sound file, [^()]* give wav, .* or mp4, or record it anew\."),
        ("sound", [visitor.upload(hour), ""], "hour.wav: more than 20 s of sound"),
        ("generate", visitor.boxes(None), "There is no voice yet"),
        ("generate", visitor.boxes(good, words="a", emphasise="b"), "Words that matter more: b: talk has no such word"),
        ("generate", visitor.boxes(good, seed=None), "Seed: it is empty; give a whole number"),
        ("generate", visitor.boxes(good, seed=-5), "Seed: -5: give a whole number from 0"),
        ("video", [None, "0"], "There is no motion yet"),
    ):
        with pytest.raises(AssertionError, match=says) as error:
            visitor.asked(name, given)
        assert "Traceback" not in str(error.value) and "/tmp" not in str(error.value)
    broken = mock.patch.object(servers.Session, "sound", side_effect=ZeroDivisionError("of nobody's business"))
    with broken, pytest.raises(AssertionError, match=r"this could not be done \(ZeroDivisionError\)"):
        visitor.asked("sound", [good, ""])
    assert visitor.asked("sound", [good, ""])[-1] == "4.0 s of sound."


def test_a_transcript_comes_into_the_box_of_words(studio, talk, tmp_path):
    visitor = Visitor(studio.address)
    (tmp_path / "said.txt").write_text(TEXT)
    words, said = visitor.asked("transcript", [visitor.upload(talk), visitor.upload(tmp_path / "said.txt")])
    assert words.count("\n") == 7 and words.endswith(" here") and said == "8 words."


def test_fifty_bad_uploads_are_told_and_the_next_one_is_good(studio, talk, tmp_path):
    visitor, random = Visitor(studio.address), np.random.default_rng(0)
    good = visitor.upload(talk)
    for number in range(50):
        path = tmp_path / f"bad.{('wav', 'mp3', 'npz', 'srt', 'exe')[number % 5]}"
        path.write_bytes(b"\x80\x04" + random.bytes(number * 9).replace(b"\xff", b"\0"))
        bad = visitor.upload(path)
        asked = ("transcript", [good, bad]) if path.suffix == ".srt" else ("sound", [bad, ""])
        with pytest.raises(AssertionError, match=rf"{path.name}: [^\n]*\."):
            visitor.asked(*asked)
    assert visitor.asked("sound", [good, ""])[-1] == "4.0 s of sound."


def test_nothing_of_the_machine_is_served(studio, talk, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    visitor, link = Visitor(studio.address), studio.studio.uploads / "link"
    link.symlink_to(secret)
    visitor.asked("sound", [visitor.upload(talk), ""])
    session = next((studio.studio.root / "sessions").iterdir())
    for path in (
        f"/gradio_api/file={secret}", f"/gradio_api/file={link}", f"/gradio_api/file={session}", "/gradio_api/file=.",
        f"/gradio_api/file={studio.studio.uploads}/../../../etc/passwd", "/gradio_api/file=https://example.com/",
        "/gradio_api/proxy=https://example.com", "/gradio_api/openapi.json", "/monitoring", "/gradio_api/runs", "/docs",
        f"/viewer/..%2f..%2f..%2f..%2f..%2f..{secret}", "/viewer/page.js", "/static/../../app.py", "/viewer/../a",
        f"/static//{secret}", f"/assets//{secret}", "/made/x/1/0/file/npz", "/made/x/1/0/scene.json", "/openapi.json",
        "/gradio_api/deep_link?session_hash=x", "/svelte/x", "/login", "/gradio_api/token", "//etc/passwd",
    ):  # fmt: skip
        answer = visitor.get(path)
        assert answer.status >= 400 and b"SECRET" not in answer.body and b"root:" not in answer.body, path
    link.unlink()


def test_a_request_names_no_file_that_was_not_uploaded(studio, tmp_path):
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, voice(1.0), 16000)
    visitor = Visitor(studio.address)
    for given in (
        {"path": str(secret)}, {"path": "https://example.com/a.wav"}, {"path": "x", "url": f"file://{secret}"},
        {"path": f"{studio.studio.uploads}/../../{secret.name}"}, {"path": ["a"]}, {"path": "\0"},
    ):  # fmt: skip
        answer = visitor.post("/gradio_api/queue/join", {"data": [given], "session_hash": "x", "fn_index": 0})
        assert answer.status == 403 and b"was not uploaded here" in answer.body, given
    with mock.patch("semtalk.studio.guard.refuse_files"), pytest.raises(AssertionError, match="not uploaded"):
        visitor.asked("sound", [str(secret), ""])  # gradio looks too
    for sent, status in ((b"[" * 200_000, 400), (b"no json", 400), (b" " * 1_000_001, 413)):
        assert visitor.send("POST", "/gradio_api/queue/join", sent).status == status


def test_it_answers_its_own_page_on_this_machine_alone(studio):
    visitor = Visitor(studio.address)
    assert studio.socket.getsockname()[0] == "127.0.0.1"
    assert visitor.get("/config", Host="evil.example").status == 403
    assert visitor.get("/config", Origin="http://evil.example").status == 403
    assert visitor.send("POST", "/gradio_api/queue/join", b"{}", Origin="null").status == 403
    assert visitor.get("/config", Host=f"localhost:{studio.port}").status == 200
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        assert visitor.send(method, "/").status == 404
    policy = visitor.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "http" not in policy


def test_an_upload_has_a_limit(studio, monkeypatch, tmp_path):
    monkeypatch.setattr(studio.blocks, "max_file_size", 1000)
    (tmp_path / "large.wav").write_bytes(b"0" * 2000)
    with pytest.raises(AssertionError, match="413"):
        Visitor(studio.address).upload(tmp_path / "large.wav")


def test_a_second_request_waits_its_turn(studio, talk):
    first, second = Visitor(studio.address), Visitor(studio.address)
    began, free, order = threading.Event(), threading.Event(), []
    make = studio.studio.engine._generated

    def slow(*given):
        order.append("begins")
        began.set()
        assert free.wait(60)
        made = make(*given)
        order.append("ends")
        return made

    with mock.patch.object(studio.studio.engine, "_generated", slow):
        paths = [visitor.upload(talk) for visitor in (first, second)]
        one = first.join("generate", first.boxes(paths[0]))
        assert began.wait(60)
        two = second.join("generate", second.boxes(paths[1]))
        assert "Another request is at work; yours is next." in second.told(two, "Another request")
        assert "Another request" not in first.told(one, "<progress"), "it is at work itself"
        free.set()
        for visitor, event in ((first, one), (second, two)):
            assert "Take 1" in visitor.result(event)[-1]
    assert order == ["begins", "ends"] * 2


def test_a_video_does_not_hold_up_who_generates_and_what_is_stopped_says_so(studio, talk, monkeypatch):
    visitor, began, go = Visitor(studio.address), threading.Event(), threading.Event()

    def write(scene, path, progress):
        for picture in progress(iter("abcd"), 4):
            began.set()
            assert picture == "a" or go.wait(60)

    monkeypatch.setattr("semtalk.viz.video.write_video", write)
    path = visitor.upload(talk)
    visitor.asked("generate", visitor.boxes(path))
    drawing = visitor.join("video", [None, "0"])
    assert began.wait(60)
    while "Drawing the video 25%" not in visitor.told(drawing, "Drawing the video"):
        pass
    other = Visitor(studio.address)
    assert "Take 1" in other.asked("generate", other.boxes(other.upload(talk)))[-1]
    visitor.put("halt", [])
    assert "Stopping" in visitor.told(drawing, "Stopping")
    go.set()
    assert visitor.result(drawing)[-1] == "Stopped."


def test_what_a_page_gave_and_made_goes_with_it_and_the_rest_with_the_studio(engine, talk, tmp_path):
    with served(engine) as server:
        first, second = Visitor(server.address), Visitor(server.address)
        other = tmp_path / "other.wav"
        soundfile.write(other, voice(0.5, seed=1), 16000)
        paths = [first.upload(talk), first.upload(other), second.upload(talk)]
        first.asked("sound", [paths[0], ""])
        first.asked("generate", first.boxes(paths[1]))
        second.asked("sound", [paths[2], ""])
        (tmp_path / "scores.csv").write_text("0.5\n")
        unused = first.upload(tmp_path / "scores.csv")
        first.asked("given", [None, unused, None])
        root, sessions = server.studio.root, server.studio.root / "sessions"
        assert len(list(sessions.iterdir())) == 2 and os.stat(root.parent).st_mode & 0o077 == 0
        gone = threading.Event()
        end = server.studio.end
        with mock.patch.object(server.studio, "end", lambda owner: (end(owner), gone.set())):
            first.leave()
            assert gone.wait(60)
        assert len(list(sessions.iterdir())) == 1
        assert os.path.exists(paths[2]) and not os.path.exists(paths[1]), "equal uploads are one file"
        assert not os.path.exists(unused), "no motion was made with it"
    assert not root.parent.exists()


def test_a_file_that_is_given_anew_stays_until_who_gave_it_goes(tmp_path):
    """Between an upload and its use nobody has noted it yet, and the page that gave an equal one may be closed."""
    studio = Studio(None, tmp_path / "studio")
    path = studio.uploads / "hash" / "talk.wav"
    path.parent.mkdir()
    path.write_bytes(b"first")
    studio.received("first", [str(path)])
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # what an upload of the same does
    studio.end("first")
    assert path.exists()
    studio.received("second", [str(path)])
    studio.end("second")
    assert not path.exists()


def test_nobody_else_is_called(engine, talk):
    called, connect = [], socket.socket.connect

    def watched(self, address):
        called.append(address)
        return connect(self, address)

    with mock.patch.object(socket.socket, "connect", watched), served(engine) as server:
        visitor = Visitor(server.address)
        theme = visitor.get("/theme.css").body + visitor.get("/config").body
        visitor.asked("generate", visitor.boxes(visitor.upload(talk)))
        assert b"googleapis" not in theme and os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert {address[0] for address in called if isinstance(address, tuple)} <= {"127.0.0.1"}


def test_a_port_that_is_taken_is_told(studio, engine):
    with pytest.raises(SemTalkError, match=f"^port={studio.port}: it cannot be listened on"):
        servers.StudioServer(engine, studio.port)


def test_without_the_extra_one_sentence_names_it():
    with mock.patch("semtalk.commands.studio.find_spec", lambda name: None):
        said = run_command("scripts/studio.py", check=False)
    assert said.stderr == (
        "error: the studio needs the extra studio, which is not here: run `pip install -e .[studio]`."
    )
    assert compose("studio").port == 7860 and np.isfinite(compose("studio").longest)


def test_a_run_that_is_not_there_is_told_before_anything_is_served(tmp_path):
    said = run_command("scripts/studio.py", f"ckpt={tmp_path}/none", check=False)
    assert said.returncode == 1 and f"{tmp_path}/none" in said.stderr and "Traceback" not in said.stderr
