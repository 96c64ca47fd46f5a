"""The face that a drawn figure has: SMPL-X's own, or the free head's."""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from semtalk.body import BodyModel, load_body
from semtalk.face.head import LACKING, has_head, refuse_faceless
from semtalk.face.mesh import FaceMesh, face_mesh
from semtalk.face.names import INDEX
from semtalk.face.own import own_face
from semtalk.face.weights import FaceMap, face_map
from semtalk.log import LOG
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FPS

BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
PAUSES = (2.6, 4.1, 1.9, 3.4, 2.2, 4.8)
"""Seconds between blinks, over and over."""
CLOSING = (0.35, 0.9, 1.0, 0.75, 0.4, 0.15)
"""Of the lids in the frames of a blink."""


class Talk(Protocol):
    """A face and how it moves through a take.

    Attributes:
        mesh: At rest.
    """

    mesh: FaceMesh

    def at(self, first: int, last: int) -> np.ndarray:
        """Vertices (last - first, V, 3) of these frames in metres from the head's joint, before joints turn."""


class DrawnFace(Protocol):
    """The face of figures."""

    def talk(self, motion: Motion, rest: np.ndarray) -> Talk:
        """How it moves, on a figure with joints (55, 3) at rest."""


class Shaped(NamedTuple):
    """A face that shapes move, see :class:`Talk`; weights are (T, 52)."""

    mesh: FaceMesh
    weights: np.ndarray

    def at(self, first: int, last: int) -> np.ndarray:
        """See :class:`Talk`."""
        return self.mesh.vertices + np.tensordot(self.weights[first:last].astype(np.float32), self.mesh.shapes, 1)


class FreeFace:
    """The free head, moved by ARKit's weights."""

    def __init__(self, arkit: FaceMap):
        self.arkit = arkit
        lids = "" if arkit.lids else " It blinks by a rule, every few seconds."
        self.said = f"The face: a free head. {arkit.said}{lids}"

    def weights(self, motion: Motion) -> np.ndarray:
        """Weights (T, 52) of the head's shapes."""
        weights = self.arkit(motion)
        if not self.arkit.lids:
            for name in BLINKS:
                weights[:, INDEX[name]] = np.maximum(weights[:, INDEX[name]], blinks(len(motion)))
        return weights

    def talk(self, motion: Motion, rest: np.ndarray) -> Shaped:
        """See :class:`DrawnFace`."""
        return Shaped(face_mesh(rest), self.weights(motion))


def blinks(frames: int) -> np.ndarray:
    """Lids (T,) of an eye that blinks every few seconds, the same in every take: 1 is closed."""
    lids, start, number = np.zeros(frames), 0.0, 0
    while (start := start + PAUSES[number % len(PAUSES)]) * FPS < frames:
        first, number = round(start * FPS), number + 1
        lids[first : first + len(CLOSING)] = CLOSING[: max(0, frames - first)]
    return lids


def free_face(
    body: BodyModel, matrix: str | Path | None = None, order: str = "alphabetical", corpus: str | None = None
) -> FreeFace | None:
    """The free head, with weights as :func:`semtalk.face.face_map` finds them; or none, which is said."""
    if not has_head():
        LOG.info(f"The figure has no face: {LACKING}.")
        return None
    face = FreeFace(face_map(body, matrix, order, corpus))
    LOG.info(face.said)
    return face


def find_face(
    view: str, body: BodyModel, corpus: str | None = None, matrix: str | Path | None = None, order: str = "alphabetical"
) -> DrawnFace | None:
    """The face of figures in a video, or none, which is said.

    Args:
        view: What is shown; ``body`` looks for no face.
        body: Whose expressions they are.
        corpus: That the expressions are of, see :func:`semtalk.face.face_map`.
        matrix: As :func:`semtalk.face.face_map` takes it.
        order: Of the matrix.

    Raises:
        MissingModelError: There is none, and nothing else is to be shown.
    """
    if view == "body":
        return None
    face = own_face(body, corpus) or free_face(body, matrix, order, corpus)
    if face is None:
        refuse_faceless(view, None)
    return face


def drawn_rest(betas: np.ndarray) -> np.ndarray:
    """Joints (55, 3) at rest of the figure that is drawn, for a shape (300,)."""
    return load_body(None).rest_joints(torch.from_numpy(np.asarray(betas, np.float32))).numpy()
