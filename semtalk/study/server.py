"""Serves a study's page, its videos and its answers to browsers; nothing else, and to this machine alone by default."""

import hashlib
import json
import re
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from semtalk.errors import SemTalkError
from semtalk.log import LOG, printable
from semtalk.study.plan import Page, Study
from semtalk.study.questions import ANSWERS, LABELS, QUESTIONS
from semtalk.study.store import MOST_SKIPPED, Store, StoreError

PAGE = Path(__file__).with_name("page.html")
LARGEST = 65_536
"""Bytes of a request."""
PATIENCE = 60.0
"""Seconds that a client may keep a connection waiting."""
CHUNK = 1 << 16
HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'",
}  # fmt: skip
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: HTTPStatus, said: str):
        super().__init__(said)
        self.status = status


class StudyServer(ThreadingHTTPServer):
    """A server of one study; each request has a thread.

    Args:
        folder: Of the study.
        host: Address to listen on.
        port: 0 for any that is free.

    Raises:
        SemTalkError: The study is not ready, or the address cannot be used.
    """

    daemon_threads = True

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0):
        study = Study.read(folder)
        if not study.ready:
            raise SemTalkError(f"{folder}: its videos are not finished; make the study again by the same command.")
        self.store = Store(folder, study)
        self.videos = {self.token(video): folder / video for video in study.videos()}
        self.content = PAGE.read_bytes()
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise SemTalkError(f"host={host} port={port}: this address cannot be listened on ({error}).") from error

    def token(self, video: str) -> str:
        """What a video is called outside: nothing in it tells whose it is."""
        return hashlib.sha256(f"{self.store.secret} {video}".encode()).hexdigest()[:24]

    @property
    def address(self) -> str:
        """Where browsers find it."""
        host, port = self.server_address[:2]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the study."""

    def shown(self, session: dict[str, Any], number: int) -> dict[str, Any]:
        """What the browser gets of a page; neither systems nor what is a check."""
        page: Page = session["pages"][number]
        question = QUESTIONS[page.question]
        return {
            "status": "started", "page": number, "pages": len(session["pages"]), "next": session["next"],
            "question": question.text, "silent": question.silent, "answers": list(zip(ANSWERS, LABELS, strict=True)),
            "reasons": list(question.reasons.items()),
            "left": f"/video/{self.token(page.left.video)}.mp4", "right": f"/video/{self.token(page.right.video)}.mp4",
            "given": session["given"].get(number), "skips": MOST_SKIPPED - session["skipped"],
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """Answers one client."""

    server: StudyServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "study", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        """The page, a rater's page of questions, or a video."""
        self._answered(self._get)

    def do_POST(self) -> None:
        """A new rater, or an answer."""
        self._answered(self._post)

    def _answered(self, respond) -> None:
        try:
            respond()
        except Refused as error:
            self._send_json({"error": str(error)}, error.status)
        except StoreError as error:
            LOG.warning(printable(error))
            said = "the answers cannot be stored now; wait a moment and try again."
            self._send_json({"error": said}, HTTPStatus.SERVICE_UNAVAILABLE)
        except SemTalkError as error:
            self._send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        except (BrokenPipeError, ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            LOG.warning(printable(f"{self.path}: {type(error).__name__}: {error}"))
            self._send_json({"error": "this could not be done; try it again."}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _get(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/":
            self._send(self.server.content, "text/html; charset=utf-8")
        elif url.path == "/page":
            given = parse_qs(url.query)
            rater, wanted = given.get("rater", [""])[0], given.get("page", [""])[0]
            session = self.server.store.session(rater)
            if session["status"] != "started":
                self._send_json(self._ended(session["status"]))
                return
            number = int(wanted) if re.fullmatch(r"\d{1,6}", wanted) else session["next"]
            self._send_json(self.server.shown(session, min(number, session["next"])))
        elif (match := re.fullmatch(r"/video/([0-9a-f]{24})\.mp4", url.path)) and match[1] in self.server.videos:
            self._send_video(self.server.videos[match[1]])
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page.")

    def _post(self) -> None:
        content = self._content()
        if self.path == "/join":
            self._send_json({"rater": self.server.store.join()})
        elif self.path == "/answer":
            wanted = {"rater": str, "page": int, "answer": str, "reasons": list, "other": str, "seconds": (int, float)}
            for key, kind in wanted.items():
                if not isinstance(content.get(key), kind) or isinstance(content[key], bool):
                    raise Refused(HTTPStatus.BAD_REQUEST, f"{key}: it is missing, or of another kind.")
            if set(content) != set(wanted) or not all(isinstance(one, str) for one in content["reasons"]):
                raise Refused(HTTPStatus.BAD_REQUEST, f"give {', '.join(wanted)} and nothing else.")
            if not (0 <= content["seconds"] < 1e9 and abs(content["page"]) < 1e6):
                raise Refused(HTTPStatus.BAD_REQUEST, "page and seconds: give numbers that can be.")
            content["other"] = _whole(content["other"])
            status = self.server.store.answer(**content)
            self._send_json({"status": status} if status == "started" else self._ended(status))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page.")

    def _ended(self, status: str) -> dict[str, str]:
        return {"status": status, "code": self.server.store.completion(status)}

    def _content(self) -> dict[str, Any]:
        """The json of a request, which must come from the study's own page."""
        size = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,9}", size) or int(size) > LARGEST:
            self.close_connection = True  # what is not read would be taken for the next request
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send {LARGEST} bytes at most, and say how many.")
        sent = self.rfile.read(int(size))
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send json.")
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            raise Refused(HTTPStatus.FORBIDDEN, "answers are taken from the study's own page alone.")
        try:
            content = json.loads(sent)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "send json: keys and values.")
        return content

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _send_json(self, content: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(content).encode(), "application/json", status)

    def _send_video(self, path: Path) -> None:
        """A video, or the part of it that is asked for, as browsers do to seek."""
        if not path.is_file():
            raise Refused(HTTPStatus.NOT_FOUND, "this video is not there; tell whoever runs the study.")
        size = path.stat().st_size
        begin, end = 0, size
        if part := RANGE.fullmatch(self.headers.get("Range", "")):
            if part[1]:
                begin, end = int(part[1]), min(int(part[2]) + 1 if part[2] else size, size)
            elif part[2]:
                begin = max(0, size - int(part[2]))
            if begin >= end:
                raise Refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "the video has no such part.")
        self.send_response(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK)
        said = {"Content-Type": "video/mp4", "Content-Length": str(end - begin), "Accept-Ranges": "bytes"}
        if part:
            said["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        for name, value in {**HEADERS, **said}.items():
            self.send_header(name, value)
        self.end_headers()
        with path.open("rb") as file:
            file.seek(begin)
            left = end - begin
            for block in iter(partial(file.read, CHUNK), b""):
                self.wfile.write(block[:left])
                left -= len(block)
                if left <= 0:
                    break

    def log_message(self, *words: Any) -> None:
        """Requests are not printed."""


def _whole(text: str) -> str:
    """A text that can be stored: browsers send half of a letter where a box cuts it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def serve(folder: Path, host: str, port: int) -> None:
    """Serve a study until Ctrl-C; nothing is lost whenever it ends."""
    with StudyServer(folder, host, port) as server:
        LOG.info(f"The study is at {server.address} (Ctrl-C ends it; the same command goes on).")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            LOG.info(f"Stopped; all answers are in {server.store.path}.")
