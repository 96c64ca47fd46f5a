"""A frame feature of one's own in HuBERT's place: loudness and brightness of the voice, 30 times a second.

``PYTHONPATH=examples python train.py stage=rvqvae features.name=loudness
features.slots.hubert.encoder=own_feature:Loudness features.slots.hubert.dim=2``
"""

import numpy as np

from semtalk.features import Utterance, to_frames

HOP = 160


class Loudness:
    """Root mean square in decibels and zero crossings per sample, (T, 2)."""

    version = 1
    """Raised when this code is changed, so that stores make its files anew."""

    def __init__(self, dim: int):
        """Take the slot's keys: ``dim``, and any other that the configuration gives."""
        self.dim = dim

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode a recording; its words are in ``utterance.words``."""
        count = -(-len(utterance.wave) // HOP)
        pieces = np.pad(utterance.wave, (0, count * HOP - len(utterance.wave))).reshape(count, HOP)
        loudness = 10 * np.log10(np.square(pieces).mean(axis=1) + 1e-8)
        crossings = (np.diff(np.signbit(pieces), axis=1) != 0).mean(axis=1)
        return to_frames(np.stack([loudness, crossings], axis=1), 16000 / HOP, utterance.frames)
