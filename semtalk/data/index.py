"""What stands in the headers of a store's files, in one file: opening a store reads that, not thousands of headers."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from semtalk.data.mapped import read_head
from semtalk.data.store import FILES
from semtalk.files import read_kept, write_json

SETTLED = 1_000_000_000
"""Nanoseconds: a file that was written later than this before it was read could be replaced and look the same."""


class State(NamedTuple):
    """What is there of a recording: its record if its sources are as they were, and the origins of files that fit.

    ``speed`` is the sum over frames of the speed of each joint in m/s, where the file of its motion says it.
    """

    record: dict
    origins: dict[str, str]
    speed: list[float] | None = None

    @property
    def missing(self) -> set[str]:
        """Files that are to be made."""
        return set(FILES) - set(self.origins)


class StoreIndex:
    """Records and headers of the files of a store; of a file that is as it was when it was read, without opening it.

    Nothing is true because it stands here: each answer holds for as long as the file itself, by the system, is the
    same one, of the same size and last touched at the same time. A store without an index, or with an old one, gives
    the same answers later.
    """

    def __init__(self, folder: Path):
        """Of a store's folder."""
        self.path = folder / "index.json"
        self.known: dict[str, list] = read_kept(self.path)
        self.changed = False

    def record(self, path: Path) -> dict:
        """Content of a json file; empty where there is none."""
        return self._look(path, read_kept)

    def head(self, path: Path) -> dict:
        """See :func:`semtalk.data.mapped.read_head`."""
        return self._look(path, read_head)

    def _look(self, path: Path, read: Callable[[Path], dict]) -> dict:
        try:
            found = path.stat()
        except OSError:
            return {}
        same = [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
        kept = self.known.get(path.name)
        if isinstance(kept, list) and kept[:1] == [same]:
            return kept[1]
        content, touched = read(path), max(found.st_mtime_ns, found.st_ctime_ns)
        if time.time_ns() - touched > SETTLED:
            self.known[path.name], self.changed = [same, content], True
        return content

    def write(self) -> None:
        """Keep what is known, where the folder can be written to."""
        if self.changed:
            with contextlib.suppress(OSError):
                write_json(self.path, self.known)
