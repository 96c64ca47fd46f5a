"""SMPL-X's own face on the wooden figure, from the user's own licensed file: nothing of it is written anywhere."""

from typing import NamedTuple

import numpy as np
import torch

from semtalk.body import BodyModel
from semtalk.face.mesh import CARRIERS, GROUPS, HEAD, IRIS, LIPS, PAINT, PUPIL, FaceMesh
from semtalk.face.weights import SAMPLE
from semtalk.log import LOG
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import EYES, JAW

LEAST = 0.9
"""Weight of neck, head, jaw and eyes together from which on a vertex is one of the face."""


class OwnTalk(NamedTuple):
    """How the face moves, see :class:`semtalk.face.talk.Talk`."""

    mesh: FaceMesh
    body: BodyModel
    motion: Motion
    kept: np.ndarray
    head: np.ndarray

    def at(self, first: int, last: int) -> np.ndarray:
        """See :class:`semtalk.face.talk.Talk`."""
        part = self.motion[first:last]
        arrays = (part.poses[:, JAW], part.expressions, part.betas)
        vertices = self.body.face_vertices(*(torch.from_numpy(np.asarray(array, np.float32)) for array in arrays))
        return vertices[:, self.kept].numpy() - self.head


class OwnFace:
    """The face of a body that has one, see :class:`semtalk.face.talk.DrawnFace`."""

    def __init__(self, body: BodyModel):
        self.body = body
        self.said = f"The face in videos: that of {body.name}."

    def talk(self, motion: Motion, rest: np.ndarray) -> OwnTalk:
        """See :class:`semtalk.face.talk.DrawnFace`."""
        faces, hung = (array.numpy() for array in self.body.surface())
        betas = torch.from_numpy(np.asarray(motion.betas, np.float32))
        joints = self.body.rest_joints(betas).numpy()
        still = self.body.face_vertices(torch.zeros(1, 3), torch.zeros(1, 100), betas)[0].numpy()
        weights = hung[:, list(CARRIERS)].astype(np.float64)
        weights[:, CARRIERS.index(HEAD)] += hung[:, JAW]  # its turn is in the vertices
        face = weights.sum(axis=1) > LEAST
        kept, corners = np.unique(faces[face[faces].all(axis=1)], return_inverse=True)
        groups = np.zeros(len(still), np.uint8)
        for joint in EYES:
            ball = hung[:, joint] > 0.5
            off = still - joints[joint]
            angle = np.degrees(np.arccos(off[:, 2] / np.maximum(np.linalg.norm(off, axis=1), 1e-9)))
            for name, widest in (("white", 180), ("iris", IRIS), ("pupil", PUPIL)):
                groups[ball & (angle <= widest)] = GROUPS.index(name)
        colours = np.array([PAINT[name] for name in GROUPS])[groups]
        colours[self.body.lips.numpy()] = LIPS
        weights = weights[kept] / weights[kept].sum(axis=1, keepdims=True)
        mesh = FaceMesh(
            (still[kept] - joints[HEAD]).astype(np.float32), corners.reshape(-1, 3).astype(np.uint32), groups[kept],
            colours[kept], weights, np.zeros((0, len(kept), 3), np.float32),
        )  # fmt: skip
        return OwnTalk(mesh, self.body, motion, kept, joints[HEAD])


def own_face(body: BodyModel, corpus: str | None) -> OwnFace | None:
    """The body's own face where it has one that expressions of this corpus move."""
    if body.surface() is None or corpus == SAMPLE:
        return None
    face = OwnFace(body)
    LOG.info(face.said)
    return face
