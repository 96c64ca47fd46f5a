"""The face of the embedded corpus: what its expressions mean, as ARKit's weights.

:func:`semtalk.data.sample.gesture.animate` writes three coefficients for each of six vowels, one for stress and two for
the mood. That is read backwards here: how much of each vowel, of stress and of mood is in a frame, and which shapes a
mouth and brows make of it. The corpus has nothing of lids and gaze.
"""

import numpy as np

from semtalk.face.names import ARKIT, INDEX
from semtalk.face.weights import ruled_weights
from semtalk.motion.io import Motion

VOWELS = "aeiouy"
"""As in :mod:`semtalk.data.sample.script`."""
SIZES = (1.6, -1.0, 0.6)
"""Of a vowel's three coefficients: its own number, and 6 and 12 further."""
STRESS, MOOD = (18, 1.2), ((19, 1.5), (20, -1.0))
"""Coefficient and size."""
LIPS = {
    "a": {"mouthLowerDown": 0.35, "mouthUpperUp": 0.30},
    "e": {"mouthStretch": 0.45, "mouthLowerDown": 0.35, "mouthUpperUp": 0.20},
    "i": {"mouthStretch": 0.55, "mouthSmile": 0.25, "mouthLowerDown": 0.30},
    "o": {"mouthFunnel": 0.75, "mouthPucker": 0.20},
    "u": {"mouthPucker": 0.80, "mouthFunnel": 0.25},
    "y": {"mouthPucker": 0.45, "mouthFunnel": 0.30},
}
"""Vowel -> shapes of the lips, beside the jaw, which moves by its joint."""
STRESSED = {"browInnerUp": 0.45, "browOuterUp": 0.40, "eyeWide": 0.15}
GLAD = {"mouthSmile": 0.55, "cheekSquint": 0.30, "mouthDimple": 0.15}
ANGRY = {"browDown": 0.70, "mouthFrown": 0.35, "eyeSquint": 0.35, "noseSneer": 0.25}


def _row(shapes: dict[str, float]) -> np.ndarray:
    """Weights (52,) of shapes that are named without their sides."""
    row = np.zeros(len(ARKIT))
    for name, value in shapes.items():
        for side in ("", "Left", "Right"):
            if f"{name}{side}" in INDEX:
                row[INDEX[f"{name}{side}"]] = value
    return row


class SampleFace:
    """Weights of the embedded corpus' expressions, see :class:`semtalk.face.weights.FaceMap`."""

    said = (
        "ARKit's weights: lips, brows and smile by what the embedded corpus' expressions mean; jaw and gaze by their "
        "joints."
    )
    lids = False

    def __call__(self, motion: Motion) -> np.ndarray:
        """See :class:`semtalk.face.weights.FaceMap`."""
        found = motion.expressions.astype(np.float64)
        weights = ruled_weights(motion)
        spoken = sum(size * found[:, 6 * place : 6 * place + 6] for place, size in enumerate(SIZES))
        spoken = np.clip(spoken / np.square(SIZES).sum(), 0, 1)
        weights += spoken @ np.stack([_row(LIPS[vowel]) for vowel in VOWELS])
        weights += np.clip(found[:, STRESS[0]] / STRESS[1], 0, 1)[:, None] * _row(STRESSED)
        mood = sum(size * found[:, place] for place, size in MOOD) / sum(size**2 for _, size in MOOD)
        weights += np.clip(mood, 0, 1)[:, None] * _row(GLAD) + np.clip(-mood, 0, 1)[:, None] * _row(ANGRY)
        return np.clip(weights, 0, 1)
