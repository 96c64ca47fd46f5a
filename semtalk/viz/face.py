"""A face in a scene of pyvista."""

from typing import NamedTuple

import numpy as np

from semtalk.face.mesh import CARRIERS, HEAD, FaceMesh, normals, posed
from semtalk.face.talk import Talk

SKIN = 1.12
"""How much lighter the skin is than the figure's wood."""
CLOSE, CLOSE_ANGLE = 1.45, 16.0
"""Metres from the camera to a face, and degrees that it sees from top to bottom."""
LEAST_WIDTH = 0.29
"""Metres of a face that are seen from left to right."""
BELOW = 0.015
"""Metres from between the eyes down to the middle of what is seen."""


class Head(NamedTuple):
    """What a process needs to draw a face.

    Attributes:
        mesh: At rest.
        rest: (4, 3) the joints :data:`CARRIERS` at rest, from the head's.
    """

    mesh: FaceMesh
    rest: np.ndarray


def head_of(talk: Talk, rest: np.ndarray) -> Head:
    """The face of a figure with joints (55, 3) at rest; without its shapes, which no process needs."""
    return Head(talk.mesh._replace(shapes=np.zeros((0, 0, 3))), rest[list(CARRIERS)] - rest[HEAD])


class FaceActor:
    """A face that is seen by one camera or several."""

    def __init__(self, head: Head, colour: str):
        """Make it, in the colour of its figure."""
        import pyvista

        self.head = head
        mesh = head.mesh
        skin = np.minimum(np.array(pyvista.Color(colour).float_rgb) * SKIN, 1)
        colours = np.where(mesh.groups[:, None] == 0, mesh.colours * skin, mesh.colours)
        faces = mesh.faces.astype(np.int64)
        self.faces = faces
        self.data = pyvista.PolyData(mesh.vertices, np.hstack([np.full((len(faces), 1), 3), faces]))
        self.data.point_data["colours"] = np.round(255 * colours).astype(np.uint8)
        self.eyes = self.middle = head.rest[2:].mean(axis=0)
        self._turn_to(mesh.vertices)
        mapper = pyvista.DataSetMapper(self.data)
        mapper.set_scalars(self.data["colours"], "colours", rgb=True)
        self.actor = pyvista.Actor(mapper=mapper)
        self.actor.prop.interpolation = "Phong"

    def _turn_to(self, points: np.ndarray) -> None:
        self.data.points = points
        self.data.point_data.active_normals = normals(points, self.faces).astype(np.float32)

    def move(self, points: np.ndarray, gaze: np.ndarray, joints: dict[str, np.ndarray]) -> None:
        """Put it where its joints are.

        Args:
            points: (V, 3), see :meth:`semtalk.face.talk.Talk.at`.
            gaze: (2, 3) axis-angle of left and right eye.
            joints: Transforms (4, 4) of ``Neck`` and ``Head``.
        """
        from scipy.spatial.transform import Rotation

        neck, head = joints["Neck"], joints["Head"]
        looking = head[:3, :3] @ Rotation.from_rotvec(gaze).as_matrix()
        rest = self.head.rest
        turns = np.stack([neck[:3, :3], head[:3, :3], *looking])
        places = np.stack([neck[:3, 3], head[:3, 3], *(head[:3, :3] @ rest[2:].T + head[:3, 3:]).T])
        moved = posed(points, self.head.mesh.weights, rest, turns, places).astype(np.float32)
        self._turn_to(moved)
        self.middle = head[:3, :3] @ self.eyes + head[:3, 3]


def look_at(closeup, middle: np.ndarray) -> None:
    """Put the camera of a view (a renderer of pyvista) before a face whose eyes are around ``middle`` (3,)."""
    left, bottom, right, top = closeup.viewport
    width, height = closeup.parent.window_size
    aspect = (right - left) * width / ((top - bottom) * height)
    seen = 2 * CLOSE * np.tan(np.radians(CLOSE_ANGLE / 2)) * aspect
    away = CLOSE * max(1, LEAST_WIDTH / seen)
    focus = middle - np.array([0, BELOW, 0.05])
    closeup.camera.position = tuple(focus + np.array([0, 0.02, away]))
    closeup.camera.focal_point = tuple(focus)
    closeup.camera.up = (0, 1, 0)
    closeup.ResetCameraClippingRange()
