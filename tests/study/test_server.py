"""The page's server: blind, patient with bad requests, several raters at once, and no answer is ever lost."""

import http.client
import json
import re
import socket
import threading
from urllib.parse import urlsplit

import made
import pytest
from made import asked, given, served, taken

from semtalk.errors import SemTalkError
from semtalk.study.server import StudyServer
from semtalk.study.store import Store
from semtalk.study.votes import Rater

REASON = {"realism": "MotionSmoothness", "speech": "FitRhythmTiming"}


@pytest.fixture
def folder(tmp_path):
    return made.written(tmp_path / "study", made.plan(questions=("realism", "speech"), pages=6))


@pytest.fixture
def started():
    """Starts a server of a folder in a process of its own; all are killed in the end."""
    servers = []

    def start(folder) -> made.Process:
        servers.append(made.Process(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def joined(address: str) -> str:
    return asked(address, "/join", {})[1]["rater"]


def answered(store: Store, rater: str, page: int, answer: str = "LeftSlightlyBetter") -> dict:
    question = store.session(rater)["pages"][page].question
    return given(rater, page, answer, [] if answer in ("TheyAreEqual", "Skipped") else [REASON[question]])


def test_a_rater_answers_every_page_as_a_browser_does(folder):
    with served(folder) as server:
        status, html, headers = asked(server.address, "/")
        assert status == 200 and b"<video" in html and "default-src 'self'" in headers["Content-Security-Policy"]
        assert not re.search(rb"(src|href)=\"?(https?:)?//", html), "nothing comes from elsewhere"
        rater = joined(server.address)
        assert re.fullmatch("[0-9a-f]{24}", rater)
        pages = server.store.session(rater)["pages"]
        for at, page in enumerate(pages):
            shown = asked(server.address, f"/page?rater={rater}")[1]
            assert (shown["page"], shown["pages"], shown["given"]) == (at, 8, None)
            for side in ("left", "right"):
                status, video, headers = asked(server.address, shown[side])
                assert status == 200 and video.decode().endswith(getattr(page, side).video)
            answer = page.expected or "RightClearlyBetter"
            said = asked(server.address, "/answer", answered(server.store, rater, at, answer))[1]
            again = asked(server.address, f"/page?rater={rater}&page={at}")[1]
            assert said["status"] == "finish" or again["given"]["answer"] == answer
        assert said["status"] == "finish" and re.fullmatch("[0-9A-F]{8}", said["code"])
        assert asked(server.address, f"/page?rater={rater}")[1] == said
        late = asked(server.address, "/answer", answered(server.store, rater, 0))
        assert late[0] == 400 and "this session has ended" in late[1]["error"]
        assert len(server.store.votes()) == 6 and server.store.raters() == [Rater(rater, "finish", 0, 2)]


def test_nothing_that_a_browser_gets_tells_whose_a_video_is(folder):
    with served(folder) as server:
        names, rater = set(), joined(server.address)
        for at, page in enumerate(server.store.session(rater)["pages"]):
            found = asked(server.address, f"/page?rater={rater}")[1]
            told = json.dumps(found)
            hidden = [*server.store.study.systems, page.code, "heck", "expected", "sample", "uted", "Reference"]
            assert not any(word in told for word in hidden if len(word) > 1), told
            names |= {found["left"], found["right"]}
            asked(server.address, "/answer", answered(server.store, rater, at, page.expected or "TheyAreEqual"))
        assert all(re.fullmatch(r"/video/[0-9a-f]{24}\.mp4", name) for name in names) and len(names) > 8
        other = made.written(folder.parent / "other", server.store.study)
        with served(other) as second:
            assert not set(second.videos) & set(server.videos), "names are of one study alone"


@pytest.mark.parametrize(
    ("path", "content", "status", "says"),
    [
        ("/nothing", None, 404, "no such page"),
        ("/video/../../study.json", None, 404, "no such page"),
        ("/..%2f..%2fetc/passwd", None, 404, "no such page"),
        ("/video/" + "0" * 24 + ".mp4", None, 404, "no such page"),
        ("/study.json", None, 404, "no such page"),
        ("/votes.sqlite", None, 404, "no such page"),
        ("/page", None, 400, "no such rater"),
        ("/page?rater='; DROP TABLE answers; --", None, 400, "no such rater"),
        ("/nothing", {}, 404, "no such page"),
        ("/answer", {}, 400, "rater: it is missing"),
        ("/answer", b"\xff{", 400, "send json"),
        ("/answer", b"[1]", 400, "send json"),
        ("/answer", b"[" * 60000, 400, "send json"),
        ("/answer", b"0" * 70000, 413, "bytes at most"),
        ("/answer", given("x", 0), 400, "no such rater"),
        ("/answer", given("RATER", 3), 400, "page 3 cannot be answered now"),
        ("/answer", given("RATER", -1), 400, "page -1 cannot"),
        ("/answer", given("RATER", True), 400, "page: it is missing"),
        ("/answer", given("RATER", 10**30), 400, "numbers that can be"),
        ("/answer", given("RATER", 0, "Left"), 400, "answer: choose one of"),
        ("/answer", given("RATER", 0), 400, "reasons: give one"),
        ("/answer", given("RATER", 0, reasons=["Nothing"]), 400, "reasons: choose among"),
        ("/answer", given("RATER", 0, reasons=[["a"]]), 400, "and nothing else"),
        ("/answer", given("RATER", 0, "TheyAreEqual", status="finish"), 400, "and nothing else"),
        ("/answer", given("RATER", 0, "TheyAreEqual", seconds=-1), 400, "numbers that can be"),
        ("/answer", given("RATER", 0, "TheyAreEqual", other="x" * 3000), 400, "2000 letters"),
    ],
)
def test_a_bad_request_is_one_sentence_and_the_server_goes_on(folder, path, content, status, says):
    with served(folder) as server:
        rater = joined(server.address)
        if isinstance(content, dict) and content.get("rater") == "RATER":
            content = content | {"rater": rater}
        said = asked(server.address, path.replace(" ", "%20"), content)
        assert said[0] == status and says in said[1]["error"] and "\n" not in said[1]["error"]
        assert not server.store.votes()
        assert asked(server.address, "/answer", given(rater, 0, "TheyAreEqual"))[1] == {"status": "started"}


def test_the_last_reason_needs_words(folder):
    with served(folder) as server:
        rater = joined(server.address)
        last = "MotionOther" if server.store.session(rater)["pages"][0].question == "realism" else "SpeechOther"
        said = asked(server.address, "/answer", given(rater, 0, reasons=[last], other=" "))
        assert said[0] == 400 and "in words" in said[1]["error"]
        asked(server.address, "/answer", given(rater, 0, reasons=[last], other="its hands"))
        assert server.store.votes()[0].other == "its hands"
        status, said, _ = asked(server.address, "/answer", given(rater, 0, reasons=[last], other="hands \ud83d"))
        assert status == 200, said
        assert server.store.votes()[0].other == "hands \N{REPLACEMENT CHARACTER}", "half of a letter"


def test_what_is_no_request_at_all_does_not_end_the_server(folder):
    with served(folder) as server:
        place = server.server_address
        no_size = b"POST /answer HTTP/1.1\r\nContent-Length: x\r\n\r\n"
        for sent in (b"\x00\xff\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70000, b"", no_size):
            with socket.create_connection(place, timeout=10) as connection:
                connection.sendall(sent)
        connection = http.client.HTTPConnection(*place, timeout=10)
        connection.request("DELETE", "/answer")
        assert connection.getresponse().status == 501
        connection.close()
        assert asked(server.address, "/")[0] == 200


def test_answers_are_taken_from_the_studys_own_page_alone(folder):
    with served(folder) as server:
        rater = joined(server.address)
        said = asked(server.address, "/answer", given(rater, 0, "TheyAreEqual"), Origin="http://elsewhere.example")
        assert said[0] == 403 and not server.store.votes()
        form = asked(server.address, "/join", {}, **{"Content-Type": "text/plain"})
        assert form[0] == 415 and len(server.store.raters()) == 1
        own = server.address.rstrip("/")
        assert asked(server.address, "/answer", given(rater, 0, "TheyAreEqual"), Origin=own)[0] == 200


def test_videos_come_in_parts_too(folder):
    with served(folder) as server:
        path = asked(server.address, f"/page?rater={joined(server.address)}")[1]["left"]
        whole = asked(server.address, path)[1]
        for wanted, status, begin, end in (
            ("bytes=0-", 206, 0, None), ("bytes=3-7", 206, 3, 8), ("bytes=-4", 206, -4, None),
            ("bytes=5-99999", 206, 5, None), ("bytes=99999-", 416, 0, 0), ("pages=1-2", 200, 0, None),
        ):  # fmt: skip
            found = asked(server.address, path, Range=wanted)
            assert found[0] == status, wanted
            if status < 400:
                assert found[1] == whole[begin:end]
        (folder / server.store.session(server.store.join())["pages"][0].left.video).unlink()
        rater = server.store.raters()[-1].name
        found = asked(server.address, asked(server.address, f"/page?rater={rater}")[1]["left"])
        assert found[0] == 404 and "tell whoever runs the study" in found[1]["error"]


def test_it_listens_on_this_machine_alone(folder):
    with served(folder) as server:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(SemTalkError, match=f"port={server.server_address[1]}: this address cannot be listened on"):
            StudyServer(folder, port=server.server_address[1])
    with pytest.raises(SemTalkError, match="host=no.such.host"):
        StudyServer(folder, "no.such.host")


def test_raters_answer_at_once_and_each_has_a_slot(folder):
    with served(folder) as server:
        raters, wrong = [], []

        def take():
            rater = joined(server.address)
            raters.append(rater)
            for at, page in enumerate(server.store.session(rater)["pages"]):
                sent = answered(server.store, rater, at, page.expected or "LeftClearlyBetter")
                if asked(server.address, "/answer", sent)[0] != 200:
                    wrong.append(sent)

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store = server.store
        assert not wrong and len(store.votes()) == 36
        assert sorted(store.session(rater)["slot"] for rater in raters) == list(range(6))
        assert {rater.status for rater in store.raters()} == {"finish"}


def test_a_rater_goes_back_and_changes_a_vote_and_the_first_one_is_kept_too(folder):
    with served(folder) as server:
        rater = joined(server.address)
        for answer in ("TheyAreEqual", "LeftClearlyBetter"):
            asked(server.address, "/answer", answered(server.store, rater, 0, answer))
        assert [vote.answer for vote in server.store.votes()] == ["LeftClearlyBetter"]
        (record,) = server.store.records()
        assert [one.get("answer") for one in record["actions"]] == [None, "TheyAreEqual", "LeftClearlyBetter"]
        assert asked(server.address, f"/page?rater={rater}")[1]["page"] == 1
        assert asked(server.address, f"/page?rater={rater}&page=5")[1]["page"] == 1, "none is jumped over"


def test_two_failed_checks_end_a_session_and_four_skipped_pages_too_and_their_slots_are_given_again(folder):
    store = Store(folder, made.plan(questions=("realism", "speech"), pages=6))
    careless, hasty, good = store.join(), store.join(), store.join()
    assert taken(store, careless, right=False) == "failed"
    statuses = [store.answer(hasty, at, "Skipped", []) for at in range(4)]
    assert statuses == ["started"] * 3 + ["uncomplete"]
    with pytest.raises(SemTalkError, match="has ended"):
        store.answer(hasty, 4, "Skipped", [])
    assert taken(store, good) == "finish"
    found = {rater.name: rater for rater in store.raters()}
    assert found[careless] == Rater(careless, "failed", 2, 2) and found[good].failed == 0
    assert [store.session(store.join())["slot"] for _ in range(3)] == [0, 1, 3]


def test_no_answer_is_lost_when_the_server_is_killed_between_any_two_clicks(folder, started):
    server = started(folder)
    rater = joined(server.address)
    store = Store(folder, made.plan(questions=("realism", "speech"), pages=6))
    sent = []
    for at, page in enumerate(store.session(rater)["pages"]):
        sent.append(page.expected or ("TheyAreEqual" if at % 2 else "RightSlightlyBetter"))
        status, said, _ = asked(server.address, "/answer", answered(store, rater, at, sent[-1]))
        assert status == 200
        server.kill()
        if at < 7:
            server = started(folder)
            shown = asked(server.address, f"/page?rater={rater}")[1]
            assert shown["page"] == at + 1, "it goes on where it stopped"
    given_now = store.session(rater)["given"]
    assert [given_now[at]["answer"] for at in range(8)] == sent and said["status"] == "finish"


def test_what_was_acknowledged_is_there_when_the_server_is_killed_amid_requests(folder, started):
    server = started(folder)
    store = Store(folder, made.plan(questions=("realism", "speech"), pages=6))
    raters, acknowledged = [joined(server.address) for _ in range(4)], []

    def click(rater: str) -> None:
        for at, page in enumerate(store.session(rater)["pages"]):
            sent = answered(store, rater, at, page.expected or "LeftSlightlyBetter")
            try:
                if asked(server.address, "/answer", sent)[0] != 200:
                    return
            except (OSError, http.client.HTTPException):
                return
            acknowledged.append((rater, at))
            if len(acknowledged) == 12:
                server.process.kill()

    threads = [threading.Thread(target=click, args=(rater,)) for rater in raters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.kill()
    assert 12 <= len(acknowledged) < 32
    for rater, at in acknowledged:
        assert at in store.session(rater)["given"]


def test_a_damaged_file_of_answers_is_one_sentence_and_no_acknowledgement(folder):
    with served(folder) as server:
        rater = joined(server.address)
        server.store.path.write_bytes(b"no database" * 1000)
        said = asked(server.address, "/answer", given(rater, 0, "TheyAreEqual"))
        assert said[0] == 503 and "cannot be stored now" in said[1]["error"] and str(folder) not in said[1]["error"]
    with pytest.raises(SemTalkError, match=r"votes\.sqlite: answers cannot be read or stored there"):
        StudyServer(folder)


def test_a_study_that_is_not_finished_is_not_served(folder):
    text = (folder / "study.json").read_text()
    (folder / "study.json").write_text(text.replace('"ready": true', '"ready": false'))
    with pytest.raises(SemTalkError, match="its videos are not finished"):
        StudyServer(folder)


def test_every_address_is_of_this_studys_folder(folder):
    with served(folder) as server:
        assert urlsplit(server.address).hostname == "127.0.0.1"
        assert all(path.is_relative_to(folder) and path.is_file() for path in server.videos.values())
