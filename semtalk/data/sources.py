"""What a store's files are made from, told apart cheaply: stamps of source files, and hashes of contents."""

import hashlib
import json
from pathlib import Path

import numpy as np

from semtalk.data.recording import Recording
from semtalk.features.packages import PACKAGES
from semtalk.features.pretrained import cached_model
from semtalk.files import read_kept, write_json


def digest(value) -> str:
    """Hash of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def array_digest(*arrays: np.ndarray) -> str:
    """Hash of arrays: their types, shapes and bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:32]


def contents(recording: Recording, wave: np.ndarray) -> dict[str, str | int]:
    """Content of everything that files are made of, with the wave (S,) as long as the motion."""
    motion = recording.motion
    return {
        "motion": array_digest(motion.poses, motion.expressions, motion.trans, motion.betas),
        "wave": array_digest(wave), "words": digest(recording.words), "frames": recording.frames,
        "emotion": digest(recording.emotion), "semantics": digest(recording.semantics),
    }  # fmt: skip


def file_stamp(*paths: Path) -> str:
    """Text that changes whenever one of the files does, without reading them; a reader's ``stamp`` is made of it.

    Beside size and time of writing it holds the time at which the file system itself last touched the file: copying an
    old time onto a new file leaves that one new.
    """
    return ",".join(_stamp(Path(path)) for path in paths)


def _stamp(path: Path) -> str:
    if not path.is_file():
        return "absent"
    found = path.stat()
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


class ContentHashes:
    """Hashes of the content of models' files, each computed once for as long as the file's stamp stays."""

    def __init__(self, path: Path):
        """Remember hashes in a file of this path."""
        self.path = path
        self.known = read_kept(path)

    def model(self, name: str | None) -> str | None:
        """What tells apart models of one name: content of the file or folder, version of the repository or package.

        Returns:
            None where there is no such model here.
        """
        if name in PACKAGES:
            return digest(PACKAGES[name].files)
        if name and Path(name).exists():
            return self.content(Path(name))
        folder = cached_model(name) if name else None
        return folder and folder.name  # the commit

    def content(self, path: Path) -> str:
        """Hash of a file, or of all files of a folder but hidden ones, with their names."""
        if path.is_file():
            return self._file(path.resolve())
        inside = sorted(p.relative_to(path) for p in path.rglob("*") if p.is_file())
        shown = [p for p in inside if not any(part.startswith(".") for part in p.parts)]
        return digest([[p.as_posix(), self._file((path / p).resolve())] for p in shown])

    def _file(self, path: Path) -> str:
        stamp, (known, found) = _stamp(path), self.known.get(str(path), (None, None))
        if known != stamp:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()[:32]
            self.known[str(path)] = (stamp, found)
            write_json(self.path, self.known)
        return found
