"""VRM's vowels and lids, from ARKit's weights."""

import numpy as np

from semtalk.face.names import ARKIT

VOWELS = {"aa": "A", "ih": "I", "ou": "U", "ee": "E", "oh": "O", "blinkLeft": "Blink_L", "blinkRight": "Blink_R"}
"""Expression of VRM 1 -> preset of VRM 0."""


def vowels(weights: np.ndarray) -> dict[str, np.ndarray]:
    """Values (...) of :data:`VOWELS`, by VRM 1's names, from ARKit's weights (..., 52)."""
    of = dict(zip(ARKIT, np.moveaxis(np.asarray(weights), -1, 0), strict=True))
    opened, round_ = of["jawOpen"], np.maximum(of["mouthPucker"], of["mouthFunnel"])
    wide = sum(of[f"{name}{side}"] for name in ("mouthStretch", "mouthSmile") for side in ("Left", "Right"))
    wide = np.minimum(1.0, wide / 2)
    return {
        "aa": opened * (1 - round_) * (1 - wide), "ih": (1 - opened) * wide * 0.7, "ou": (1 - opened) * round_,
        "ee": opened * wide, "oh": opened * round_, "blinkLeft": of["eyeBlinkLeft"], "blinkRight": of["eyeBlinkRight"],
    }  # fmt: skip
