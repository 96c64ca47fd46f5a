"""A small server of the Hugging Face hub's interface on this machine, for tests that fetch and publish."""

import base64
import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

Files = dict[str, bytes]
LARGE = (".safetensors", ".bin", ".pt", ".ckpt", ".npz", ".pkl")
"""Endings of what the hub keeps by its sha256, beside git."""
REPO = r"(?P<repo>(?:datasets/)?[^/]+(?:/[^/]+)?)"
API = r"/api/(?P<kind>model|dataset)s/(?P<name>[^/]+(?:/[^/]+)?)"


class Request(NamedTuple):
    """What was asked: the method, the path without the query, and the range of bytes or an empty text."""

    method: str
    path: str
    range: str


class Unknown(Exception):
    """There is no such thing; its text is the code by which clients know what is not there."""


class Hub:
    """Repositories, and what was asked of them.

    Attributes:
        repos: Repository (``org/name``, or ``datasets/org/name``) -> revision -> path -> content. Every commit is a
            revision too, under its hash.
        requests: All requests, in their order.
        break_off: Path -> number of bytes after which the next download of it breaks off, once.
        etags: Path -> ETag that is said of it in the place of its hash.
        token: What writing needs; none where everyone may write.
        url: Of the server.
    """

    def __init__(self, repos: dict[str, dict[str, Files]] | None = None, token: str | None = None):
        self.repos = repos or {}
        self.requests: list[Request] = []
        self.break_off: dict[str, int] = {}
        self.etags: dict[str, str] = {}
        self.token = token
        self.url = ""
        self.uploads: Files = {}
        self.lock = Lock()

    def count(self, method: str, ending: str) -> int:
        """How many requests of a method had a path with this ending."""
        return sum(one.method == method and one.path.endswith(ending) for one in self.requests)

    def put(self, repo: str, folder: Path, revision: str = "main") -> None:
        """Serve the files of a folder."""
        found = {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }
        self.repos.setdefault(repo, {})[revision] = found

    def found(self, repo: str, revision: str) -> tuple[str, Files]:
        """Commit and files of a revision: a branch, a tag, or a commit."""
        if repo not in self.repos:
            raise Unknown("RepoNotFound")
        revisions = self.repos[repo]
        by_commit = {commit_of(files): files for files in revisions.values()} | revisions
        if revision not in by_commit:
            raise Unknown("RevisionNotFound")
        return commit_of(by_commit[revision]), by_commit[revision]

    def environment(self, cache: Path) -> dict[str, str]:
        """Variables with which another process uses this server."""
        return {
            "HF_ENDPOINT": self.url, "HF_HUB_CACHE": str(cache), "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1", "HF_TOKEN": self.token or "",
        }  # fmt: skip

    def use(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        """Have this process use this server, and an own cache."""
        from huggingface_hub import constants

        for name, value in self.environment(cache).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        template = f"{self.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)


class Leaving(dict):
    """For ``break_off`` of a hub: bytes after which a download breaks off; its repository is away from then on."""

    def __init__(self, hub: Hub, repo: str, broken: dict[str, int]):
        super().__init__(broken)
        self.hub, self.repo = hub, repo

    def pop(self, path, default=None):
        """How far a file is sent; Hub asks."""
        if path in self:
            self.hub.repos[self.repo]["main"] = {}
        return super().pop(path, default)


def commit_of(files: Files) -> str:
    """A hash like a commit's: of all files."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path, content in sorted(files.items()):
        digest.update(path.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def blob_of(content: bytes) -> str:
    """Git's hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def described(path: str, content: bytes) -> dict:
    """A file as a listing has it."""
    entry = {"type": "file", "path": path, "size": len(content), "oid": blob_of(content)}
    if path.endswith(LARGE):
        sha = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 134}
    return entry


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        with self.hub.lock:
            self.hub.requests.append(Request(method, path, self.headers.get("Range", "")))
            writes = method == "POST" and "/paths-info/" not in path  # where large files go is secret enough
            if writes and self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
                return self._json({"error": "Invalid username or password."}, 401)
            for asked, pattern, answer in ROUTES:
                # a slash of a revision is quoted, so that paths are matched as they came
                match = re.fullmatch(pattern, urlsplit(self.path).path)
                if method in asked and match:
                    try:
                        return answer(
                            self, body=body, **{name: unquote(text) for name, text in match.groupdict().items()}
                        )
                    except Unknown as unknown:
                        return self._json({"error": str(unknown)}, 404, {"X-Error-Code": str(unknown)})
            self._json({"error": f"no route {method} {path}"}, 404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, content: bytes, status: int, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        # each answer ends its connection: one that is kept would be served on when the server is gone
        for name, value in ({"Content-Length": str(len(content)), "Connection": "close"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:cut])

    def _json(self, content, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(content).encode(), status, {"Content-Type": "application/json"} | (headers or {}))

    @staticmethod
    def _repo(kind: str, name: str) -> str:
        return name if kind == "model" else f"datasets/{name}"

    def info(self, kind: str, name: str, body: bytes, revision: str = "main") -> None:
        """A repository at a revision."""
        commit, files = self.hub.found(self._repo(kind, name), revision)
        siblings: list[dict] = [{"rfilename": path} for path in files]
        if "blobs" in parse_qs(urlsplit(self.path).query):
            for one in siblings:
                entry = described(one["rfilename"], files[one["rfilename"]])
                one |= {"size": entry["size"], "blobId": entry["oid"]}
                if large := entry.get("lfs"):
                    one["lfs"] = {"sha256": large["oid"], "size": large["size"], "pointerSize": 134}
        self._json({"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": [], "downloads": 0})

    def tree(self, kind: str, name: str, revision: str, body: bytes) -> None:
        """All files."""
        _, files = self.hub.found(self._repo(kind, name), revision)
        self._json([described(path, content) for path, content in files.items()])

    def paths_info(self, kind: str, name: str, revision: str, body: bytes) -> None:
        """Chosen files."""
        _, files = self.hub.found(self._repo(kind, name), revision)
        asked = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode()).get("paths", [])
        self._json([described(path, files[path]) for path in asked if path in files])

    def resolve(self, repo: str, revision: str, path: str, body: bytes) -> None:
        """A file, or a range of its bytes."""
        commit, files = self.hub.found(repo, revision)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if path not in files:
            return self._json({"error": "Entry not found"}, 404, headers | {"X-Error-Code": "EntryNotFound"})
        content = files[path]
        large = described(path, content).get("lfs")
        etag = self.hub.etags.get(path, large["oid"] if large else blob_of(content))
        headers |= {"ETag": f'"{etag}"', "Content-Type": "application/octet-stream"}
        if large:
            headers |= {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        status, total = 200, len(content)
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2] or total - 1), total - 1)
            if first >= total:
                return self._send(b"", 416, {"Content-Range": f"bytes */{total}"})
            content, status = content[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{last}/{total}"
        cut = self.hub.break_off.pop(path, None) if self.command == "GET" else None
        self._send(content, status, headers, cut)

    def create(self, body: bytes) -> None:
        """A new repository."""
        asked = json.loads(body)
        name = "/".join(filter(None, (asked.get("organization") or "me", asked["name"])))
        repo = self._repo(asked.get("type") or "model", name)
        known = repo in self.hub.repos
        self.hub.repos.setdefault(repo, {"main": {".gitattributes": b"*.safetensors filter=lfs\n"}})
        said = {"url": f"{self.hub.url}/{repo}", "name": name}
        self._json(said | ({"error": "You already created this model repo"} if known else {}), 409 if known else 200)

    def valid_yaml(self, body: bytes) -> None:
        """Whether the head of a card is well formed."""
        import yaml

        head = re.match(r"---\n(.*?)\n---\n", json.loads(body)["content"], re.DOTALL)
        try:
            sound = head is not None and isinstance(yaml.safe_load(head[1]), dict)
        except yaml.YAMLError:
            sound = False
        errors = [] if sound else [{"message": "the head of README.md is no YAML mapping"}]
        self._json({"errors": errors, "warnings": []}, 200 if sound else 400)

    def preupload(self, kind: str, name: str, revision: str, body: bytes) -> None:
        """How each file is uploaded."""
        _, files = self.hub.found(self._repo(kind, name), revision)
        answer = [
            {
                "path": one["path"], "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False, "oid": blob_of(files[one["path"]]) if one["path"] in files else None,
            }
            for one in json.loads(body)["files"]
        ]  # fmt: skip
        self._json({"files": answer, "commitOid": self.hub.found(self._repo(kind, name), revision)[0]})

    def batch(self, repo: str, body: bytes) -> None:
        """Where large files go."""
        found = []
        for one in json.loads(body)["objects"]:
            known = one["oid"] in self.hub.uploads
            upload = {"upload": {"href": f"{self.hub.url}/upload/{one['oid']}", "header": {}}}
            found.append(one | ({} if known else {"actions": upload}))
        self._json({"transfer": "basic", "objects": found})

    def upload(self, oid: str, body: bytes) -> None:
        """A large file."""
        if hashlib.sha256(body).hexdigest() != oid:
            return self._json({"error": "the content has another hash"}, 400)
        self.hub.uploads[oid] = body
        self._json({})

    def commit(self, kind: str, name: str, revision: str, body: bytes) -> None:
        """New content of a branch."""
        repo = self._repo(kind, name)
        before, files = self.hub.found(repo, revision)
        new = dict(files)
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                new[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                new[value["path"]] = self.hub.uploads[value["oid"]]
            elif entry["key"] == "deletedFile":
                new.pop(value["path"], None)
            elif entry["key"] == "deletedFolder":
                new = {path: content for path, content in new.items() if not path.startswith(value["path"])}
        self.hub.repos[repo] |= {before: files, revision: new}
        oid = commit_of(new)
        said = {"commitUrl": f"{self.hub.url}/{repo}/commit/{oid}", "commitOid": oid, "success": True}
        self._json(said)

    def branch(self, kind: str, name: str, revision: str, body: bytes) -> None:
        """A new branch or tag of main, or of the revision that is asked for."""
        repo = self._repo(kind, name)
        asked = json.loads(body or b"{}")
        new = asked.get("tag", revision)
        if new in self.hub.repos.get(repo, {}):
            return self._json({"error": "Reference already exists"}, 409)
        start = revision if "tag" in asked else asked.get("startingPoint", "main")
        self.hub.repos.setdefault(repo, {})[new] = dict(self.hub.found(repo, start)[1])
        self._json({})


ROUTES = (
    (("GET", "HEAD"), rf"/{REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler.resolve),
    (("GET",), API, _Handler.info),
    (("GET",), rf"{API}/revision/(?P<revision>[^/]+)", _Handler.info),
    (("GET",), rf"{API}/tree/(?P<revision>[^/]+)", _Handler.tree),
    (("POST",), rf"{API}/paths-info/(?P<revision>[^/]+)", _Handler.paths_info),
    (("POST",), r"/api/repos/create", _Handler.create),
    (("POST",), r"/api/validate-yaml", _Handler.valid_yaml),
    (("POST",), rf"{API}/preupload/(?P<revision>[^/]+)", _Handler.preupload),
    (("POST",), rf"{API}/commit/(?P<revision>[^/]+)", _Handler.commit),
    (("POST",), rf"{API}/(?:branch|tag)/(?P<revision>[^/]+)", _Handler.branch),
    (("POST",), rf"/{REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    (("PUT",), r"/upload/(?P<oid>[0-9a-f]{64})", _Handler.upload),
)
