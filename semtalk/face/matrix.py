"""A matrix that the user has, from ARKit's weights to the expressions and the jaw of FLAME or SMPL-X."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semtalk.arrays import read_npy, read_npz
from semtalk.errors import SemTalkError
from semtalk.face.names import ARKIT, ORDERS
from semtalk.motion.skeleton import NUM_EXPRESSIONS

COLUMNS = (NUM_EXPRESSIONS, NUM_EXPRESSIONS + 3)
"""Expressions, or expressions and then the jaw's axis-angle in radians."""
SIDES = (len(ARKIT) - 1, len(ARKIT))
"""Of a matrix: ARKit's weights without ``tongueOut``, or all of them."""
KEY = "matrix"


class Matrix(NamedTuple):
    """What one unit of each weight does.

    Attributes:
        names: Of the rows, as in :data:`ARKIT`.
        rows: (N, 100 or 103) expressions, and the jaw's axis-angle in radians.
    """

    names: tuple[str, ...]
    rows: np.ndarray


def read_matrix(path: str | Path, order: str = "alphabetical") -> Matrix:
    """Read a matrix: npy, npz (``matrix``) or csv, of 51 or 52 weights by 100 or 103 coefficients, or turned.

    It has no names: ``order`` says which weight is where.

    Args:
        path: The file.
        order: ``alphabetical`` or ``apple``.

    Raises:
        SemTalkError: It is missing or damaged, has another shape, or numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise SemTalkError(f"arkit_matrix={path}: no such file.")
    readers = {".npy": read_npy, ".npz": lambda path: read_npz(path, [KEY])[KEY], ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise SemTalkError(f"arkit_matrix={path}: give an npy, an npz with the key '{KEY}', or a csv.")
    values = readers[path.suffix.lower()](path)
    if values.ndim == 2 and values.shape[0] in COLUMNS and values.shape[1] in SIDES:
        values = values.T
    if values.ndim != 2 or values.shape[0] not in SIDES or values.shape[1] not in COLUMNS:
        raise SemTalkError(
            f"arkit_matrix={path}: its shape is {values.shape}, expected 51 or 52 weights by 100 expressions, or by "
            "103: the jaw's three angles behind them."
        )
    if not np.isfinite(values).all():
        raise SemTalkError(f"arkit_matrix={path}: it holds NaN or infinite values.")
    names = _without_tongue(ORDERS[order]) if len(values) == SIDES[0] else ORDERS[order]
    return Matrix(tuple(names), values.astype(np.float64))


def _without_tongue(names: Sequence[str]) -> list[str]:
    return [name for name in names if name != ARKIT[-1]]


def _read_csv(path: Path) -> np.ndarray:
    try:
        return np.loadtxt(path, delimiter=",", ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise SemTalkError(f"{path}: not a csv of numbers without headings ({error}).") from error
