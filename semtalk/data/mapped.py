"""Safetensors files whose tensors are the file's own pages, which can be let go of again."""

import ctypes
import json
import math
import mmap
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from semtalk.errors import SemTalkError

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
MAPPED = 1 << 30
"""Bytes of files that a process keeps in its memory while it gathers windows, beside what programs map."""


def read_head(path: Path) -> dict:
    """What opening a store wants to know of a file: ``origin``, and the sums ``speed`` where it has them.

    Returns:
        Nothing where there is no whole file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            head: dict = dict(file.metadata() or {})
            return head | {key: file.get_tensor(key).tolist() for key in {"speed"} & set(file.keys())}  # noqa: SIM118
    except (OSError, SafetensorError):
        return {}


class MappedFile:
    """One file, mapped once.

    Attributes:
        metadata: Texts in its header.
        tensors: Its tensors; they must not be written to.
    """

    def __init__(self, path: Path):
        """Map a file.

        Raises:
            SemTalkError: It is not there, or damaged.
        """
        try:
            size = path.stat().st_size
            self._storage = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=size)
            whole = torch.empty(0, dtype=torch.uint8).set_(self._storage)
            begin = 8 + int.from_bytes(whole[:8].numpy().tobytes(), "little")
            header = json.loads(whole[8:begin].numpy().tobytes())
            self.metadata: dict[str, str] = header.pop("__metadata__", {})
            self.tensors = {name: self._tensor(begin, **entry) for name, entry in header.items()}
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise SemTalkError(f"{path}: missing or damaged; start again, and it is prepared anew.") from error

    def _tensor(self, begin: int, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
        kind, first = DTYPES[dtype], begin + data_offsets[0]
        strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return torch.empty(0, dtype=kind).set_(self._storage, first // kind.itemsize, shape, strides)

    def let_go(self) -> None:
        """Have this process's memory let go of the file; what is asked for again comes from the disk or its cache."""
        _forget(self._storage.data_ptr(), self._storage.nbytes())


def _forgetting() -> Callable[[int, int], object]:
    """Linux's own call; a system that cannot be told finds out by itself."""
    if not sys.platform.startswith("linux"):
        return lambda address, size: None
    call = ctypes.CDLL(None).madvise
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return lambda address, size: call(address, size, mmap.MADV_DONTNEED)


_forget = _forgetting()


def mapped_bytes() -> int:
    """Bytes of files in this process's memory; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[2]) * mmap.PAGESIZE
    except OSError:
        return 0
