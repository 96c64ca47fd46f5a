"""ARKit's weights by what landmarks of SMPL-X's face do: the shapes of a free head that move them likewise.

What is kept beside the model derives from it and from the user's licence of it: it is no part of this package.
"""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from semtalk.arrays import read_npz
from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.face.head import read_head
from semtalk.face.names import ARKIT, GAZE, TONGUE
from semtalk.face.solve import bounded_least_squares
from semtalk.files import atomic_write
from semtalk.log import LOG
from semtalk.motion.skeleton import NUM_BETAS, NUM_EXPRESSIONS

SEEN = tuple(name for name in ARKIT if name not in (*GAZE, TONGUE))
"""Shapes that move landmarks."""
UNSURE = ("cheekSquintLeft", "cheekSquintRight")
"""Shapes of :data:`SEEN` that move a landmark by half a millimetre, which no fit can tell from others: left out."""
FITTED = tuple(name for name in SEEN if name not in UNSURE)
EMPHASIS = np.repeat([1.0, 2.0, 3.0], [19, 12, 20])
"""(51,) of brows and nose, eyes, and lips."""
RIDGE = 1e-3
TURN = 0.1
"""Radians of the jaw about each axis, of which its share of the movement is measured."""
VERSION = 1
"""Raised when the same model gives other numbers."""


class Fit(NamedTuple):
    """What weights are solved from.

    Attributes:
        shapes: (153, N) how far each of :data:`FITTED` moves the landmarks, in the body's size and axes, metres.
        basis: (153, 103) how far expressions and jaw move them, metres per unit and per radian.
    """

    shapes: np.ndarray
    basis: np.ndarray


def similarity(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rotation times scale (3, 3) that brings points (N, 3) onto others best, beside a translation (Umeyama 1991)."""
    a, b = points - points.mean(axis=0), onto - onto.mean(axis=0)
    left, sizes, right = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return (left * sign) @ right * (sizes @ sign / np.square(a).sum())


def coefficient_basis(body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """The body's landmarks (51, 3) at rest, and how far a unit of each coefficient moves them (153, 103), metres."""
    count = NUM_EXPRESSIONS + 3
    rows = torch.cat([torch.zeros(1, count), torch.eye(count)])
    rows[NUM_EXPRESSIONS + 1 :] *= TURN
    points = body.face_landmarks(rows[:, NUM_EXPRESSIONS:], rows[:, :NUM_EXPRESSIONS], torch.zeros(NUM_BETAS))
    points = points.double().numpy()
    basis = (points[1:] - points[0]).reshape(count, -1)
    basis[NUM_EXPRESSIONS:] /= TURN
    return points[0], basis.T


def make_fit(body: BodyModel) -> Fit:
    """Measure a body's face and lay the free head's shapes over it.

    Raises:
        MissingModelError: The package with the free head is not installed.
    """
    points, shapes = read_head(FITTED)
    rest, basis = coefficient_basis(body)
    turned = shapes @ similarity(points, rest).T
    return Fit(turned.reshape(len(shapes), -1).T, basis)


def kept_fit(body: BodyModel) -> Fit:
    """:func:`make_fit`, kept beside the body's own file where that folder can be written."""
    if body.source is None:
        return make_fit(body)
    facts = body.source.stat()
    digest = sha256(f"{VERSION} {body.version} {facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:12]
    path = body.source.with_name(f"{body.source.stem}_arkit_{digest}.npz")
    if path.is_file():
        try:
            return Fit(**read_npz(path, Fit._fields))
        except SemTalkError:
            LOG.warning(f"{path}: damaged; it is made anew.")
    fit = make_fit(body)
    try:
        atomic_write(path, lambda temporary: _write(temporary, fit))
    except OSError as error:
        LOG.warning(f"{path}: it cannot be kept ({error.strerror}), and is made anew next time.")
    return fit


def _write(path: Path, fit: Fit) -> None:
    with path.open("wb") as file:
        np.savez(file, **fit._asdict())


def solve_fit(shapes: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Weights (T, N) from 0 to 1 of shapes (153, N) that move the landmarks most nearly by what they moved (T, 153)."""
    emphasis = np.repeat(EMPHASIS, 3)
    seen = emphasis[:, None] * shapes
    square = seen.T @ seen
    square += RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    return bounded_least_squares(square, (moved * emphasis) @ seen)
