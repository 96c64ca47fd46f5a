"""Writes files whole or not at all, and reads pickles and checkpoints without running what is in them."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from semtalk.errors import SemTalkError
from semtalk.log import LOG

PLAIN = {
    ("builtins", "dict"), ("builtins", "list"), ("builtins", "set"), ("builtins", "tuple"), ("builtins", "complex"),
    ("__builtin__", "set"), ("collections", "OrderedDict"), ("copyreg", "_reconstructor"),
    ("copy_reg", "_reconstructor"), ("builtins", "object"), ("__builtin__", "object"),
}  # fmt: skip
NUMPY = {
    ("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"), ("", "ndarray"),
    ("", "dtype"),
}  # fmt: skip
"""Module below ``numpy``, ``numpy.core`` or ``numpy._core``, and name."""
ZIP = b"PK\x03\x04"
"""First bytes of a npz file; numpy takes one that begins otherwise for a pickle."""
LONGEST_NAME = 255
"""Bytes of the longest name that file systems take."""


class StandIn:
    """Takes the place of an object that is not wanted; keeps its state and does nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __setitem__(self, key, value):
        pass

    def __setstate__(self, state):
        if isinstance(state, dict):
            self.__dict__.update(state)


class _AllowList(pickle.Unpickler):
    def __init__(self, file, path: Path, stand_in: Callable[[str, str], bool]):
        super().__init__(file, encoding="latin1")
        self.path = path
        self.stand_in = stand_in

    def find_class(self, module: str, name: str):
        package, *below = module.split(".")
        inside = [part for part in below if part not in ("core", "_core")]
        if (module, name) in PLAIN or (package == "numpy" and (".".join(inside), name) in NUMPY):
            return super().find_class(module, name)
        if module == "_codecs" and name == "encode":
            return _encode_latin1
        if self.stand_in(module, name):
            return type(name, (StandIn,), {})
        raise SemTalkError(f"{self.path}: the pickle asks for {module}.{name}, which is refused; nothing was run.")


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """What old pickles call for their bytes."""
    return text.encode("latin1")


def load_pickle(path: Path, stand_in: Callable[[str, str], bool] = lambda module, name: False):
    """Read a pickle of plain containers and numpy arrays.

    Args:
        path: The file.
        stand_in: (module, name) -> whether an object of this class is replaced by an empty :class:`StandIn`.

    Raises:
        SemTalkError: The file is missing, damaged, or asks for anything that is not on the list.
    """
    return _unpickled(path, "pickle", stand_in)


def load_pickled_npy(path: Path) -> Any:
    """The one object of an npy that numpy pickled: plain containers and arrays, with nothing of it run.

    Raises:
        SemTalkError: The file is missing, damaged, or asks for anything that is not on the list.
    """
    from semtalk.arrays import read_header

    array = _unpickled(path, "npy of an object", lambda module, name: False, read_header)
    if getattr(array, "size", 0) != 1:
        raise SemTalkError(f"{path}: not a readable npy of an object (it holds none, or several).")
    return array.item()


def _unpickled(
    path: Path, kind: str, stand_in: Callable[[str, str], bool], skip: Callable[[BinaryIO], Any] = lambda file: None
) -> Any:
    """What a file has pickled behind its head, by the list alone."""
    if not path.is_file():
        raise SemTalkError(f"{path}: no such file.")
    try:
        with path.open("rb") as file:
            skip(file)
            return _AllowList(file, path, stand_in).load()
    except SemTalkError:
        raise
    except Exception as error:
        raise SemTalkError(f"{path}: not a readable {kind} ({type(error).__name__}: {error}).") from error


class _WithoutTensors(_AllowList):
    def persistent_load(self, identity: tuple) -> None:
        """The numbers of a tensor."""


def checkpoint_facts(path: Path) -> dict:
    """What a checkpoint holds beside its tensors, read in milliseconds: without torch, and without their numbers.

    Raises:
        SemTalkError: It is damaged, or asks for anything else than torch would keep in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(one for one in archive.namelist() if one.endswith("/data.pkl"))
            with archive.open(name) as file:
                return _WithoutTensors(file, path, lambda module, name: module.partition(".")[0] == "torch").load()
    except SemTalkError:
        raise
    except Exception as error:
        raise SemTalkError(
            f"{path}: not a readable checkpoint: it is cut short or damaged; copy it again, or train anew."
        ) from error


def refuse_code(path: Path) -> None:
    """See that a npz file runs nothing where a library reads it that lets numpy unpickle.

    Raises:
        SemTalkError: It is none, is damaged, or holds objects of anything but plain containers and numpy arrays.
    """
    from semtalk.arrays import read_header

    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            file.seek(0)
            if file.read(4) != ZIP:
                raise ValueError("it begins with something else than an archive")
            for member in archive.infolist():
                with archive.open(member) as content:
                    _, _, dtype = read_header(content)
                    if dtype.hasobject:
                        _AllowList(content, path, lambda module, name: False).load()
    except SemTalkError:
        raise
    except Exception as error:
        raise SemTalkError(f"{path}: not a readable npz file ({type(error).__name__}: {error}).") from error


def atomic_write(path: Path, write) -> None:
    """Call ``write(temporary_path)`` and rename the result to ``path``, so that no half file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = f".{os.getpid()}.tmp{path.suffix}"
    fits = len(os.fsencode(path.stem + ending)) < LONGEST_NAME
    temporary = path.with_name(f".{path.stem}{ending}" if fits else ending)
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def has_long_name(path: Path) -> bool:
    """Whether a name in a path is longer than file systems take."""
    return any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts)


def refuse_unwritable(folder: Path) -> None:
    """See, before anything is worked out, that files can be written to a folder, or that it can be made.

    Raises:
        SemTalkError: A name in it is too long, it is or lies in what is no folder, or it may not be written to.
    """
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if has_long_name(folder):
        wrong = "a name in it is too long"
    elif not there.is_dir():
        wrong = f"{there} is no folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        wrong = f"{there} may not be written to"
    else:
        return
    raise SemTalkError(f"{folder}: {wrong}; give another folder.")


def write_checkpoint(path: Path, content: Any) -> None:
    """Write what ``torch.load`` reads, whole or not at all.

    Raises:
        OSError: The disk is full, of which torch itself says something else.
    """
    import torch

    def write(temporary: Path) -> None:
        try:
            with temporary.open("wb") as file:
                torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise

    atomic_write(path, write)


def plain(value):
    """A value as json gives it back."""
    return json.loads(json.dumps(value, default=str))


def read_text(path: Path) -> str:
    """Content of a text file.

    Raises:
        SemTalkError: It is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark before the first letter
    except UnicodeDecodeError as error:
        raise SemTalkError(
            f"{path}: not a text in UTF-8; save it as that, or copy it again if it is damaged."
        ) from error


def read_json(path: Path, kind: type = dict) -> Any:
    """Content of a json file.

    Args:
        path: Of the file.
        kind: What it holds.

    Raises:
        SemTalkError: It is no text, no json, nested too deeply, or holds something else.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else error
        raise SemTalkError(f"{path}: not readable as json ({said}); copy it again, or make it anew.") from error
    if not isinstance(content, kind):
        raise SemTalkError(
            f"{path}: it holds {type(content).__name__}, not {kind.__name__}; copy it again, or make it anew."
        )
    return content


def read_kept(path: Path) -> dict:
    """Content of a json file that is made anew where it is damaged, which is said; empty where there is none."""
    try:
        return read_json(path) if path.is_file() else {}
    except SemTalkError:
        LOG.warning(f"{path}: damaged; it is made anew.")
        return {}


def write_json(path: Path, content: dict) -> None:
    """Write a json file, unless it holds just that."""
    text = json.dumps(content)
    if not path.is_file() or path.read_bytes() != text.encode():
        atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
