"""What the studio answers at all: to this machine, for its own page, and of the file system what the page was given."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from semtalk.log import LOG, printable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST_ASKED = 1_000_000
"""Bytes of a request that is no upload."""
ROUTES = {
    "GET": re.compile(
        r"/|/(assets|static|made|viewer)/.*|/(config|theme\.css|favicon\.ico|manifest\.json)/?"
        r"|/gradio_api/(upload_progress|queue/data|heartbeat/\w+|file=.+)/?"
    ),
    "POST": re.compile(r"/gradio_api/(upload|queue/join|cancel|reset)/?"),
}
"""Method -> what is answered. Gradio has more, which the studio does without: proxies, other calls, monitoring."""
HEADERS = {
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src 'self' blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; frame-ancestors 'self'; form-action 'self'; "
    "base-uri 'self'; object-src 'none'",
}  # fmt: skip
"""Nothing is loaded from elsewhere, and no other page shows this one."""


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, said: str):
        super().__init__(said)
        self.status = status


def refuse_files(content: Any, folder: Path) -> None:
    """See that files that a request names are uploads.

    Gradio looks at that too, but only where it started its server itself; and it fetches addresses.

    Args:
        content: Of the request.
        folder: Of uploads.

    Raises:
        Refused: One is not.
    """
    for path in named_files(content):
        if not isinstance(path, str) or not _inside(path, folder):
            raise Refused(403, "a file that was not uploaded here is not read.")


def named_files(content: Any) -> Iterator[Any]:
    """What stands under ``path`` or ``url`` anywhere in a request, but for addresses of uploads on this page."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "path" and value is not None:
                yield value
            elif key == "url" and value is not None:
                yield str(value).partition("/gradio_api/file=")[2] or value
            else:
                yield from named_files(value)
    elif isinstance(content, list):
        for value in content:
            yield from named_files(value)


def _inside(path: str, folder: Path) -> bool:
    try:
        return Path(unquote(path)).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


class Guard:
    """Stands before the application.

    Args:
        app: It.
        uploads: Folder that Gradio puts uploads into.
        hosts: Names that this machine is called by in requests; filled in when the port is known.
    """

    def __init__(self, app: Callable, uploads: Path, hosts: set[str]):
        self.app, self.uploads, self.hosts = app, uploads, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        begun: list[bool] = []

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                begun.append(True)
                own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        try:
            if scope["type"] != "http":
                raise Refused(404, "there is no such page.")
            received = await self._looked_at(scope, receive)
        except Refused as error:
            await answer(with_headers, error.status, {"error": str(error)})
            return
        try:
            await self.app(scope, received, with_headers)
        except Exception as error:
            LOG.warning(printable(f"{scope['path']}: {type(error).__name__}: {error}"))
            if not begun:
                await answer(with_headers, 500, {"error": "this could not be done; the studio's own window says more."})

    async def _looked_at(self, scope: Scope, receive: Receive) -> Receive:
        """A request's content again, once it has been looked at."""
        headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope["headers"]}
        method, path = scope["method"], scope["path"]
        if headers.get("host", "") not in self.hosts:
            raise Refused(403, "the studio answers this machine alone.")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc not in self.hosts:
            raise Refused(403, "requests are taken from the studio's own page alone.")
        known = ROUTES.get("GET" if method == "HEAD" else method)
        if known is None or not known.fullmatch(path):
            raise Refused(404, "there is no such page.")
        if path.startswith("/gradio_api/file="):
            if not _inside(path.partition("file=")[2], self.uploads):
                raise Refused(403, "this file is not served.")
        elif method == "POST" and not path.startswith("/gradio_api/upload"):
            return await self._content(receive)
        return receive

    async def _content(self, receive: Receive) -> Receive:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > LARGEST_ASKED:
                raise Refused(413, f"send {LARGEST_ASKED} bytes at most.")
            if message["type"] != "http.request" or not message.get("more_body"):
                break
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "send json.") from error
        refuse_files(content, self.uploads)
        sent = False

        async def again() -> MutableMapping[str, Any]:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again


async def answer(send: Send, status: int, content: dict[str, str]) -> None:
    """Send json."""
    body = json.dumps(content).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
