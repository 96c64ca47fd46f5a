"""From jaw, eyes and expressions to ARKit's 52 weights, by the best that is here: see :func:`face_map`."""

from pathlib import Path
from typing import Protocol

import numpy as np

from semtalk.body import BodyModel
from semtalk.face.matrix import Matrix, read_matrix
from semtalk.face.names import ARKIT, GAZE, INDEX, PAIRS, TONGUE
from semtalk.face.solve import bounded_least_squares
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import EYES, JAW, NUM_EXPRESSIONS

OPEN, ASIDE, LOOK = 0.395, 0.1, 0.5
"""Radians of the jaw down and aside, and of an eye, at which a weight is 1; the first is measured on the free head."""
SAMPLE = "sample"
"""Reader of the embedded corpus."""
JAW_RULED = ("jawOpen", "jawLeft", "jawRight")
JAW_SCALE, SHRINK, EVEN = 50.0, 3.0, 30.0
"""Of a matrix: weight of the jaw's radians beside expressions, of small weights, and of a mouth that is even."""


class FaceMap(Protocol):
    """Gives the face's weights.

    Attributes:
        said: How, in a sentence.
        lids: Whether it knows when eyes close.
    """

    said: str
    lids: bool

    def __call__(self, motion: Motion) -> np.ndarray:
        """Weights (T, 52) from 0 to 1, in the order of :data:`ARKIT`."""


def gaze_weights(poses: np.ndarray) -> np.ndarray:
    """Weights (T, 52), of which the 8 of :data:`GAZE` follow from the eyes' joints of poses (T, 55, 3)."""
    weights = np.zeros((len(poses), len(ARKIT)))
    for side, joint, outward in zip(("Left", "Right"), EYES, (1, -1), strict=True):
        down, out = poses[:, joint, 0] / LOOK, outward * poses[:, joint, 1] / LOOK
        for name, value in {"Down": down, "Up": -down, "Out": out, "In": -out}.items():
            weights[:, INDEX[f"eyeLook{name}{side}"]] = np.clip(value, 0, 1)
    return weights


def jaw_weights(jaw: np.ndarray) -> dict[str, np.ndarray]:
    """Weights (T,) of :data:`JAW_RULED` of a jaw's axis-angle (T, 3): x > 0 opens it, y > 0 moves it to its left."""
    down, left = jaw[:, 0] / OPEN, jaw[:, 1] / ASIDE
    values = {"jawOpen": down, "jawLeft": left, "jawRight": -left}
    return {name: np.clip(value, 0, 1) for name, value in values.items()}


def coefficients(motion: Motion) -> np.ndarray:
    """Expressions and the jaw's axis-angle, (T, 103)."""
    return np.concatenate([motion.expressions, motion.poses[:, JAW]], axis=1).astype(np.float64)


def ruled_weights(motion: Motion) -> np.ndarray:
    """ARKit's weights (T, 52) of jaw and gaze by their joints; all others are 0."""
    weights = gaze_weights(motion.poses)
    for name, value in jaw_weights(motion.poses[:, JAW]).items():
        weights[:, INDEX[name]] = value
    return weights


class RuledFace:
    """Jaw and gaze alone; everything else is 0, because expressions mean nothing without a face that has them."""

    said = (
        "ARKit's weights: jaw and gaze alone, the rest is 0 (expressions need SMPL-X's own face, body.path=DIR, or a "
        "matrix, arkit_matrix=FILE)."
    )
    lids = False

    def __call__(self, motion: Motion) -> np.ndarray:
        """See :class:`FaceMap`."""
        return ruled_weights(motion)


class MatrixFace:
    """Weights whose product with a matrix comes nearest to expressions and jaw; gaze from the eyes' joints.

    Where the matrix has nothing of the jaw, its weights follow from the joint.
    """

    lids = True

    def __init__(self, matrix: Matrix, source: str):
        self.said = f"ARKit's weights: by the matrix {source}; gaze from the eyes' joints."
        self.width = matrix.rows.shape[1]
        ruled = JAW_RULED if self.width == NUM_EXPRESSIONS else ()
        kept = [index for index, name in enumerate(matrix.names) if name not in (*GAZE, TONGUE, *ruled)]
        self.names = [matrix.names[index] for index in kept]
        self.ruled = ruled
        self.scale = np.where(np.arange(self.width) < NUM_EXPRESSIONS, 1.0, JAW_SCALE)
        self.rows = matrix.rows[kept] * self.scale
        self.square = self.rows @ self.rows.T + SHRINK * np.eye(len(kept))
        for pair in PAIRS:
            left, right = (self.names.index(name) for name in pair)
            self.square[[left, right], [left, right]] += EVEN
            self.square[[left, right], [right, left]] -= EVEN

    def __call__(self, motion: Motion) -> np.ndarray:
        """See :class:`FaceMap`."""
        weights = gaze_weights(motion.poses)
        scaled = coefficients(motion)[:, : self.width] * self.scale
        weights[:, [INDEX[name] for name in self.names]] = bounded_least_squares(self.square, scaled @ self.rows.T)
        for name, value in jaw_weights(motion.poses[:, JAW]).items():
            if name in self.ruled:
                weights[:, INDEX[name]] = value
        return weights


class FittedFace:
    """Weights of a free head's shapes that move the landmarks of the face as the body's own face does."""

    said = "ARKit's weights: by a fit of a free head's shapes to SMPL-X's landmarks; gaze from the eyes' joints."
    lids = True

    def __init__(self, body: BodyModel):
        from semtalk.face.fit import FITTED, kept_fit

        self.fit, self.names = kept_fit(body), FITTED

    def __call__(self, motion: Motion) -> np.ndarray:
        """See :class:`FaceMap`."""
        from semtalk.face.fit import solve_fit

        weights = gaze_weights(motion.poses)
        moved = coefficients(motion) @ self.fit.basis.T
        weights[:, [INDEX[name] for name in self.names]] = solve_fit(self.fit.shapes, moved)
        return weights


def face_map(
    body: BodyModel, matrix: str | Path | None = None, order: str = "alphabetical", corpus: str | None = None
) -> FaceMap:
    """How weights are found: by a matrix that is given; of the embedded corpus, by what its expressions mean.

    Else by a fit where the body is SMPL-X, and of jaw and gaze alone where it is not.

    Args:
        body: The body that expressions are of.
        matrix: A file, see :func:`semtalk.face.matrix.read_matrix`.
        order: Of its weights: ``alphabetical`` or ``apple``.
        corpus: Reader of the corpus that the expressions are of, or that a run was trained on; ``sample`` is the
            embedded one.

    Raises:
        SemTalkError: The matrix is bad, or the package that the fit needs is not installed.
    """
    if matrix is not None:
        return MatrixFace(read_matrix(matrix, order), str(matrix))
    if corpus == SAMPLE:
        from semtalk.face.sample import SampleFace

        return SampleFace()
    return FittedFace(body) if body.has_landmarks else RuledFace()
