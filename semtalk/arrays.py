"""Reads npz and npy files of others: real numbers alone, and never more memory than the file has data for."""

import zipfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from semtalk.errors import SemTalkError


def read_npz(path: Path, keys: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Arrays of an npz; what it holds beside them is not looked at.

    Args:
        path: The file.
        keys: Names of arrays that it has to hold.
        optional: Names of those that it may hold.

    Raises:
        SemTalkError: It is damaged, encrypted or no npz; it lacks a key; or one is no array of real numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            if missing := sorted(set(keys) - names):
                raise SemTalkError(f"it lacks {', '.join(missing)} and holds {', '.join(sorted(names)) or 'nothing'}")
            found = {}
            for key in (*keys, *(key for key in optional if key in names)):
                with archive.open(f"{key}.npy") as file:
                    found[key] = _read_array(file, key)
            return found
    except Exception as error:  # damaged zips fail in every way that their compressions and encryptions have
        raise SemTalkError(f"{path}: not a readable npz of plain arrays ({_said(error)}).") from error


def read_npy(path: Path) -> np.ndarray:
    """The array of real numbers of an npy.

    Raises:
        SemTalkError: It is damaged, no npy, or no array of real numbers.
    """
    try:
        with path.open("rb") as file:
            return _read_array(file, "it")
    except Exception as error:
        raise SemTalkError(f"{path}: not a readable npy of plain numbers ({_said(error)}).") from error


def _said(error: Exception) -> str:
    return (
        str(error).rstrip(".") if isinstance(error, SemTalkError) else f"damaged: {type(error).__name__}; make it anew"
    )


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape of an npy's array, whether it lies column by column, and its type; the file stands behind them then."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _read_array(file: BinaryIO, name: str) -> np.ndarray:
    shape, columns_first, dtype = read_header(file)
    if dtype.kind not in "fi":
        raise SemTalkError(f"{name} holds {dtype}; give floats or signed whole numbers")
    size = prod(shape) * dtype.itemsize
    data = file.read(size)
    if len(data) != size or file.read(1):
        raise SemTalkError(f"{name} has data of another size than its shape {shape}; make it anew")
    return (
        np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C").astype(dtype.newbyteorder("="))
    )
