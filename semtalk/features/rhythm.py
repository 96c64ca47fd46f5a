"""Rhythmic features gamma_b (paper section 3.3): amplitude envelope, short-time energy and onsets."""

import numpy as np

from semtalk.features.utterance import Utterance, to_frames
from semtalk.motion.skeleton import SAMPLE_RATE

HOP = 512
WIDTH = 1024


class Rhythm:
    """Beats of the voice, (T, 3): max |x| and sum of x^2 over 1024 samples, and detected onsets, at hop 512."""

    dim = 3

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode speech as (T, 3)."""
        import librosa

        wave = np.pad(utterance.wave, WIDTH // 2)
        if len(wave) < WIDTH + HOP:
            wave = np.pad(wave, (0, WIDTH + HOP - len(wave)))
        blocks = np.lib.stride_tricks.sliding_window_view(wave, WIDTH)[::HOP]
        amplitude = np.abs(blocks).max(axis=1)
        energy = np.square(blocks).sum(axis=1)
        onsets = np.zeros(len(blocks), np.float32)
        found = librosa.onset.onset_detect(y=utterance.wave, sr=SAMPLE_RATE, hop_length=HOP)
        onsets[found[found < len(onsets)]] = 1.0
        return to_frames(np.stack([amplitude, energy, onsets], axis=1), SAMPLE_RATE / HOP, utterance.frames)
