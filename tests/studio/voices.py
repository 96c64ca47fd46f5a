"""An engine of the tiny trained run, voices, and a studio that is served."""

import http.client
import json
import os
import secrets
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from tiny import voice

from semtalk.settings import compose
from semtalk.studio.engine import Engine
from semtalk.studio.session import Session

TEXT = "we did not walk the whole way here"
PATIENCE = 300
"""Seconds after which a stream that only says that it is there is taken for one that will say nothing."""


@pytest.fixture(scope="session")
def engine(smoke) -> Engine:
    return Engine(compose("studio", "longest=20"), str(smoke[0] / "runs" / "smoke"))


@pytest.fixture
def session(engine, tmp_path) -> Session:
    return Session(engine, tmp_path / "session")


@pytest.fixture(scope="session")
def talk(tmp_path_factory) -> Path:
    """A voice of four seconds."""
    path = tmp_path_factory.mktemp("voices") / "talk.wav"
    soundfile.write(path, voice(4.0), 16000)
    return path


@pytest.fixture(scope="session")
def hour(tmp_path_factory) -> Path:
    """An hour of hum, at the lowest rate that is taken."""
    path = tmp_path_factory.mktemp("voices") / "hour.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(3_600_000)).astype(np.float32), 1000)
    return path


@contextmanager
def served(engine: Engine):
    """A studio on a free port, in a thread."""
    from semtalk.studio.server import StudioServer

    with mock.patch.dict(os.environ):  # which tells Gradio where uploads go
        server = StudioServer(engine, 0)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server
        finally:
            server.server.should_exit = True
            thread.join()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Visitor:
    """What the page does in a browser, over HTTP."""

    def __init__(self, address: str):
        self.host = urlsplit(address).netloc
        self.name = secrets.token_hex(6)
        self.alive = http.client.HTTPConnection(self.host)
        self.alive.request("GET", f"/gradio_api/heartbeat/{self.name}")
        self.functions = {one["api_name"]: one for one in json.loads(self.get("/config").body)["dependencies"]}

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=120)
        connection.putrequest(method, path, skip_host="Host" in headers)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, **headers)

    def post(self, path: str, content) -> Answer:
        return self.send("POST", path, json.dumps(content).encode(), Content_Type="application/json")

    def upload(self, path: Path) -> str:
        head = f'--cut\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
        body = head.encode() + path.read_bytes() + b"\r\n--cut--\r\n"
        answer = self.send("POST", "/gradio_api/upload", body, Content_Type="multipart/form-data; boundary=cut")
        assert answer.status == 200, answer
        return json.loads(answer.body)[0]

    @staticmethod
    def boxes(audio: str | None, **given) -> list:
        """What the boxes hold, in their order."""
        empty = {
            "words": "", "speaker": None, "beta": 0.5, "samples": 1, "heat": 0.7, "seed": 0, "emphasise": "",
            "calm": "", "psi": None, "poses": None, "pose_times": "", "side": "nothing", "truth": None,
        }  # fmt: skip
        return [audio, *(empty | given).values()]

    def put(self, name: str, given: list) -> None:
        """Ask for something; what is said of it comes through the stream of what was asked before."""

        def file(value):
            return {"path": value, "meta": {"_type": "gradio.FileData"}} if str(value).startswith("/") else value

        function = self.functions[name]
        content = {"data": [file(value) for value in given], "fn_index": function["id"], "session_hash": self.name}
        answer = self.post("/gradio_api/queue/join", content)
        assert answer.status == 200, answer

    def join(self, name: str, given: list):
        """Ask for something; returns the stream of what is said of it."""
        self.put(name, given)
        connection = http.client.HTTPConnection(self.host, timeout=120)
        connection.request("GET", f"/gradio_api/queue/data?session_hash={self.name}")
        return connection.getresponse()

    def next(self, stream) -> dict:
        """What is said next in a stream, but that it is still there."""
        until = time.monotonic() + PATIENCE
        while line := stream.readline():
            if line.startswith(b"data:") and (said := json.loads(line[5:]))["msg"] != "heartbeat":
                return said
            assert time.monotonic() < until, "nothing is said"
        raise AssertionError("it ended")

    def told(self, stream, text: str) -> str:
        """The first of what a page is told that has some text in it."""
        while text not in (said := json.dumps(self.next(stream))):
            assert "process_completed" not in said, said
        return said

    def heard_out(self, stream) -> list[dict]:
        """All that is said in a stream to its end; while it is open, what is asked next would come through it."""
        said = [self.next(stream)]
        while said[-1]["msg"] != "close_stream":
            said.append(self.next(stream))
        return said

    def result(self, stream) -> list:
        said = next(one for one in self.heard_out(stream) if one["msg"] == "process_completed")
        assert said["success"] and 'class="failed"' not in str(said["output"]["data"][-1:]), said
        return said["output"]["data"]

    def asked(self, name: str, given: list) -> list:
        return self.result(self.join(name, given))

    def leave(self) -> None:
        """Close the page: the connection that keeps its session alive ends."""
        self.alive.close()
