"""Makes docs/face.png: the free head at rest, saying a and u, and glad with its eyes shut.

``python docs/face_picture.py`` does; with ``MOTION.npz SECONDS`` it makes docs/face_video.png, a frame of that motion.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from semtalk.body import load_body
from semtalk.face import find_face
from semtalk.face.names import ARKIT, INDEX
from semtalk.face.talk import FreeFace
from semtalk.motion import FPS, Motion
from semtalk.motion.io import load_motion
from semtalk.viz.figure import draw_motions
from semtalk.viz.video import SCENE

SIZE = (420, 480)
FACES = (
    {},
    {"jawOpen": 0.75, "mouthLowerDown": 0.3, "mouthUpperUp": 0.3, "browInnerUp": 0.4},
    {"jawOpen": 0.2, "mouthPucker": 0.8, "mouthFunnel": 0.25, "eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5},
    {"mouthSmile": 0.65, "cheekSquint": 0.3, "eyeBlink": 1.0, "jawOpen": 0.12},
)
"""Weights of each face; those without a side are of both."""


class Posed(FreeFace):
    """A face with weights of its own, one frame for each."""

    said, lids = "", True

    def __init__(self):
        super().__init__(self)

    def __call__(self, motion: Motion) -> np.ndarray:
        """Weights (T, 52)."""
        weights = np.zeros((len(FACES), len(ARKIT)))
        for row, shapes in zip(weights, FACES, strict=True):
            for name, value in shapes.items():
                row[[INDEX[f"{name}{side}"] for side in ("", "Left", "Right") if f"{name}{side}" in INDEX]] = value
        return weights


def faces() -> Image.Image:
    """The four faces beside each other."""
    count = len(FACES)
    motion = Motion(np.zeros((count, 55, 3)), np.zeros((count, 100)), np.zeros((count, 3)), np.zeros(300))
    motion.poses[:, 15, 1] = 0, 0, -0.35, 0.35
    motion.poses[2, [23, 24], 1] = 0.25
    drawn = draw_motions([motion], count, SIZE, 1, Posed(), "face")
    return Image.fromarray(np.concatenate(list(drawn), axis=1))


def frame(path: str, seconds: float) -> Image.Image:
    """Body and face of a motion of the embedded corpus."""
    motion = load_motion(path)
    face, at = find_face("both", load_body(None), "sample"), round(seconds * FPS)
    pictures = list(draw_motions([motion], at + 1, SCENE, None, face, "both"))
    return Image.fromarray(pictures[at])


if __name__ == "__main__":
    given = sys.argv[1:]
    made = frame(given[0], float(given[1])) if given else faces()
    made.save(Path("docs") / ("face_video.png" if given else "face.png"), optimize=True)
