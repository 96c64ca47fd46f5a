"""Which process trains in a folder, told by a lock that the kernel keeps for as long as that process lives."""

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from semtalk.errors import SemTalkError

FILE = ".process"
"""Says which process it is; empty after one that ended by itself. Its lock is free after any."""
KEYS = {"pid", "host", "locked"}
"""Of what it says."""
TRIES = 20


def _lock(file: TextIO, kind: int) -> bool | None:
    """Try to lock an open file: whether it is locked now, or none where the file system has no locks."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _read(file: TextIO) -> dict[str, Any]:
    file.seek(0)
    try:
        found = json.loads(file.read())
    except (ValueError, RecursionError):  # empty, half-written by a process that is at it, or damaged
        return {}
    return found if isinstance(found, dict) and set(found) >= KEYS else {}


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Train in a folder: no other process may meanwhile, and :func:`worker` tells whether this one still does.

    Raises:
        SemTalkError: Another process trains in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+", encoding="utf-8") as file:
        for _ in range(TRIES):  # who only looks has the lock for a moment
            if (locked := _lock(file, fcntl.LOCK_EX)) is not False:
                break
            time.sleep(0.05)
        else:
            other = _read(file)
            raise SemTalkError(
                f"{folder}: process {other.get('pid')} on {other.get('host')} is training here; wait for it, or give "
                "this training another name."
            )
        file.truncate(0)
        json.dump({"pid": os.getpid(), "host": platform.node(), "locked": bool(locked)}, file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
            if locked:
                fcntl.flock(file, fcntl.LOCK_UN)  # from forked readers of data too, which may live a moment longer


def worker(folder: Path) -> tuple[str, str]:
    """Whether a process trains in a folder.

    Returns:
        ``at work``, ``dead`` (it ended without a word), ``unknown`` (its machine or file system cannot tell), or
        nothing where none does; and which process.
    """
    path = folder / FILE
    if not path.is_file():
        return "", ""
    with path.open(encoding="utf-8") as file:
        free = _lock(file, fcntl.LOCK_SH)
        found = _read(file)  # while it cannot end and start
    said = f"process {found.get('pid')} on {found.get('host')}"
    if free is False:
        return "at work", said
    if not found:
        return "", ""
    here = found["locked"] and free and found["host"] == platform.node()
    return ("dead" if here else "unknown"), said
