"""Rhythmic features gamma_b (paper section 3.3): amplitude envelope, short-time energy and onsets."""

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.spectrum import CHUNK, ONSET_HOP, onset_frames
from semtalk.features.utterance import Utterance, to_frames
from semtalk.motion.skeleton import SAMPLE_RATE

HOP = ONSET_HOP
WIDTH = 1024


class Rhythm:
    """Beats of the voice, (T, 3): max |x| and sum of x^2 over 1024 samples, and detected onsets, at hop 512."""

    def __init__(self, dim: int = 3, amplitude_hop: int = HOP):
        """Choose the grid of the envelope.

        Args:
            dim: 3.
            amplitude_hop: Samples between the values of the amplitude envelope. The released weights were trained with
                1: as many values of a per-sample envelope as the other two features have at hop 512, so that they
                describe the first 1/512 of the recording, stretched over all of it.
        """
        if dim != 3:
            raise SemTalkError(f"features.slots.rhythm.dim={dim}: rhythm has 3 channels.")
        self.amplitude_hop = amplitude_hop

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode speech as (T, 3)."""
        wave = np.pad(utterance.wave, WIDTH // 2)
        if len(wave) < WIDTH + HOP:
            wave = np.pad(wave, (0, WIDTH + HOP - len(wave)))
        blocks = np.lib.stride_tricks.sliding_window_view(wave, WIDTH)[::HOP]
        spaced = np.lib.stride_tricks.sliding_window_view(wave, WIDTH)[:: self.amplitude_hop][: len(blocks)]
        amplitude = in_chunks(lambda rows: np.abs(rows).max(axis=1), spaced)
        energy = in_chunks(lambda rows: np.square(rows).sum(axis=1), blocks)
        onsets = np.zeros(len(blocks), np.float32)
        found = onset_frames(utterance.wave)
        onsets[found[found < len(onsets)]] = 1.0
        return to_frames(np.stack([amplitude, energy, onsets], axis=1), SAMPLE_RATE / HOP, utterance.frames)


def in_chunks(function, rows: np.ndarray) -> np.ndarray:
    """Apply a function of rows (n, w) -> (n,) to views that would be large as copies, some at a time."""
    return np.concatenate([function(rows[first : first + CHUNK]) for first in range(0, len(rows), CHUNK)])
