"""A study without motion: its plan, and files in the place of videos; and its server in a process of its own."""

import contextlib
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

from conftest import ROOT

from semtalk.files import write_json
from semtalk.study.make import _checks
from semtalk.study.plan import FILE, Study
from semtalk.study.questions import ANSWERS
from semtalk.study.server import StudyServer

ALL = ("realism", "speech", "mismatch", "meaning")


def plan(systems=("ours", "base", "truth"), codes=8, questions=ALL, pages=10, checks=2, seed=5, **others) -> Study:
    names = tuple(f"1_ada_0_{at}_{at}_sample_1_0000-0030" for at in range(codes))
    given = {"ready": True, "digest": "0" * 64, "mismatched": names[:-1], **others}
    return Study(
        systems, names, questions=questions, pages=pages, checks=_checks(questions, checks, seed), checked=checks,
        seed=seed, **given,
    )  # fmt: skip


def written(folder: Path, study: Study) -> Path:
    write_json(folder / FILE, study.plain())
    for video in study.videos():
        (folder / video).parent.mkdir(parents=True, exist_ok=True)
        (folder / video).write_bytes(b"video of " + video.encode())
    return folder


@contextlib.contextmanager
def served(folder: Path):
    with StudyServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def asked(address: str, path: str, content=None, **headers) -> tuple[int, dict | bytes, dict]:
    """Status, content and headers of a request as a browser makes it."""
    sent = None if content is None else content if isinstance(content, bytes) else json.dumps(content).encode()
    given = ({"Content-Type": "application/json"} if sent is not None else {}) | headers
    request = urllib.request.Request(address.rstrip("/") + path, sent, given)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            status, said, found = response.status, response.read(), dict(response.headers)
    except urllib.error.HTTPError as error:
        status, said, found = error.code, error.read(), dict(error.headers)
    return status, json.loads(said) if found.get("Content-Type") == "application/json" else said, found


def given(rater: str, page: int, answer: str = "LeftSlightlyBetter", reasons=(), **others) -> dict:
    return {
        "rater": rater, "page": page, "answer": answer, "reasons": list(reasons), "other": "", "seconds": 9.5, **others,
    }  # fmt: skip


def taken(store, rater: str, choose=lambda page: "LeftSlightlyBetter", right: bool = True) -> str:
    """A rater answers everything; attention checks as they ask for, or otherwise."""
    from semtalk.study.questions import QUESTIONS

    status, session = "started", store.session(rater)
    for at, page in enumerate(session["pages"]):
        if page.expected:
            answer = page.expected if right else next(one for one in ANSWERS if one != page.expected)
        else:
            answer = choose(page)
        reasons = [] if answer == "TheyAreEqual" else [next(iter(QUESTIONS[page.question].reasons))]
        status = store.answer(rater, at, answer, reasons)
        if status != "started":
            break
    return status


class Process:
    """The server in a process of its own, which can be killed."""

    def __init__(self, folder: Path):
        program = (
            "import sys; from pathlib import Path; from semtalk.study.server import StudyServer; "
            "server = StudyServer(Path(sys.argv[1])); print(server.address, flush=True); server.serve_forever()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address, "it did not start"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
