"""Serves the studio on this machine: the page, what its users made, and nothing else."""

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.settings.commands import StudioSettings
from semtalk.studio.engine import Engine
from semtalk.studio.guard import Guard
from semtalk.studio.session import Session

HOST = "127.0.0.1"
STATIC = Path(__file__).with_name("static")
VIEWER = {"viewer.html": "text/html", "viewer.css": "text/css"} | dict.fromkeys(
    ("viewer.js", "figure.js", "timeline.js"), "text/javascript"
)
"""File of the viewer -> its type."""
KINDS = {
    "npz": "application/octet-stream", "bvh": "text/plain", "glb": "model/gltf-binary", "arkit": "text/csv",
    "psi": "text/csv",    "wav": "audio/wav", "mp4": "video/mp4", "zip": "application/zip",
}  # fmt: skip
UNKEPT = {"Cache-Control": "no-store"}
"""Of what users gave and made: the browser keeps none of it."""
SHOWN = ("wav", "mp4")
"""Kinds that the page plays."""
LARGEST_UPLOAD = "200mb"


def _written(folder: Path) -> int:
    """When the newest file of a folder was written, in nanoseconds; 0 where there is none."""
    return max((path.stat().st_mtime_ns for path in folder.iterdir()), default=0) if folder.is_dir() else 0


class Studio:
    """All sessions.

    Args:
        engine: What makes motion.
        root: Folder of everything; made anew, and removed in the end.
    """

    def __init__(self, engine: Engine, root: Path):
        self.engine, self.root = engine, root
        self.uploads = root / "uploads"
        self.uploads.mkdir(parents=True)
        self.sessions: dict[str, Session] = {}
        self.owners: dict[str, str] = {}
        self.given: dict[str, dict[Path, int]] = {}
        self.lock = threading.Lock()

    def session(self, owner: str) -> tuple[str, Session]:
        """The session of a page, by the name that Gradio gives it: begun where there is none.

        Returns:
            What it is called in addresses, which nobody can guess, and itself.
        """
        with self.lock:
            if owner not in self.owners:
                token = secrets.token_urlsafe(16)
                self.owners[owner] = token
                self.sessions[token] = Session(self.engine, self.root / "sessions" / token)
            token = self.owners[owner]
            return token, self.sessions[token]

    def received(self, owner: str, files: Iterable[str]) -> None:
        """Note which uploads a page uses; equal files of several pages are one."""
        with self.lock:
            folders = {Path(file).parent for file in files}
            self.given.setdefault(owner, {}).update((folder, _written(folder)) for folder in folders)

    def end(self, owner: str) -> None:
        """Remove the session of a page that was closed, and its uploads."""
        with self.lock:
            session = self.sessions.pop(self.owners.pop(owner, ""), None)
            given = self.given.pop(owner, {})
            for folder in set(given).difference(*self.given.values()):
                if folder.parent == self.uploads and _written(folder) == given[folder]:  # else it was given again
                    shutil.rmtree(folder, ignore_errors=True)
        if session is not None:
            session.end()

    def made(self, token: str, take: int) -> Any:
        """A take, by the names in an address.

        Raises:
            SemTalkError: There is none.
        """
        session = self.sessions.get(token)
        if session is None:
            raise SemTalkError("this session has ended; load the page anew.")
        return session.take(take)

    def close(self) -> None:
        """Stop what is being made, and remove everything."""
        for session in list(self.sessions.values()):
            session.end()
        shutil.rmtree(self.root, ignore_errors=True)


def application(studio: Studio, hosts: set[str]) -> tuple[Guard, Any]:
    """The whole application, and Gradio's part of it.

    Args:
        studio: Its sessions.
        hosts: Names that requests may call this machine by.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is loaded
    os.environ["GRADIO_TEMP_DIR"] = str(studio.uploads)
    import gradio
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, JSONResponse, Response

    from semtalk.studio.page import build, head, theme

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(SemTalkError)
    def refused(request: Any, error: SemTalkError) -> Response:
        return JSONResponse({"error": str(error)}, 404)

    @app.get("/viewer/{name}")
    def viewer(name: str) -> Response:
        if name not in VIEWER:
            raise SemTalkError("there is no such page.")
        return FileResponse(STATIC / name, media_type=VIEWER[name], headers={"Cache-Control": "no-cache"})

    @app.get("/made/{token}/{take}/{sample}/scene.json")
    def scene(token: str, take: int, sample: int) -> Response:
        one = studio.made(token, take)
        one.file(studio.engine, "wav", sample)  # or an error
        return JSONResponse(one.scene(sample), headers=UNKEPT)

    @app.get("/made/{token}/{take}/{sample}/figure/{figure}")
    def figure(token: str, take: int, sample: int, figure: int) -> Response:
        path = studio.made(token, take).file(studio.engine, "glb", sample, figure)
        return FileResponse(path, media_type=KINDS["glb"], headers=UNKEPT)

    @app.get("/made/{token}/{take}/{sample}/file/{kind}")
    def file(token: str, take: int, sample: int, kind: str) -> Response:
        one = studio.made(token, take)
        path = one.file(studio.engine, kind, sample)
        shown = "inline" if kind in SHOWN else "attachment"
        return FileResponse(
            path, media_type=KINDS[kind], filename=path.name, content_disposition_type=shown, headers=UNKEPT
        )

    blocks = build(studio)
    gradio.mount_gradio_app(
        app, blocks, path="/", server_name=HOST, footer_links=[], run_history=False, allowed_paths=[],
        blocked_paths=[str(studio.root / "sessions")], show_error=True, max_file_size=LARGEST_UPLOAD, ssr_mode=False,
        enable_monitoring=False, pwa=False, mcp_server=False, theme=theme(), head=head(),
        css=(STATIC / "page.css").read_text("utf-8"),
    )  # fmt: skip
    blocks.has_launched = True  # else gradio reads any file that a request names
    return Guard(app, studio.uploads, hosts), blocks


class StudioServer:
    """The studio while it is served.

    Args:
        engine: What makes motion.
        port: 0 for any that is free.

    Raises:
        SemTalkError: The port is taken.
    """

    def __init__(self, engine: Engine, port: int):
        import uvicorn

        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind((HOST, port))
            self.socket.listen()  # who comes while the page is built waits
        except OSError as error:
            raise SemTalkError(
                f"port={port}: it cannot be listened on ({error.strerror}); give another one, or port=0 for any."
            ) from error
        self.port = self.socket.getsockname()[1]
        self.studio = Studio(engine, Path(tempfile.mkdtemp(prefix="semtalk-studio-")) / "studio")
        hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        logging.getLogger("httpx").setLevel(logging.WARNING)
        guarded, self.blocks = application(self.studio, hosts)
        self.server = uvicorn.Server(
            uvicorn.Config(guarded, log_level="critical", timeout_graceful_shutdown=2, server_header=False)
        )

    @property
    def address(self) -> str:
        """Where browsers find it."""
        return f"http://{HOST}:{self.port}/"

    def run(self) -> None:
        """Serve until Ctrl-C; nothing that users gave or made is left."""
        try:
            self.server.run(sockets=[self.socket])
        finally:
            self.close()

    def close(self) -> None:
        """Remove what is left."""
        self.socket.close()
        self.studio.close()
        shutil.rmtree(self.studio.root.parent, ignore_errors=True)


def serve(settings: StudioSettings, ckpt: str | Path) -> None:
    """Load the runs and serve the studio until Ctrl-C."""
    LOG.info(f"Loading {ckpt}.")
    server = StudioServer(Engine(settings, ckpt), settings.port)
    LOG.info(f"The studio is at {server.address} (Ctrl-C ends it; what was made there is removed then).")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.run()
    except KeyboardInterrupt:
        LOG.info("Stopped.")
