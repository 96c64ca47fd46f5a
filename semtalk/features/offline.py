"""Encoders that need no download: log-mel in HuBERT's place, hashed words, spectral statistics for emotion."""

import hashlib

import numpy as np

from semtalk.features.spectrum import decibels, mel_power
from semtalk.features.utterance import Utterance, to_frames, window_starts
from semtalk.motion.skeleton import FPS, SAMPLE_RATE, WINDOW

HOP = 256


def log_mel(wave: np.ndarray, bands: int) -> np.ndarray:
    """Log-mel spectrogram (n, bands) at hop 256 of a wave (S,), scaled to about [-2, 2]."""
    return (decibels(mel_power(wave, bands, 1024, HOP), 1e-6).T + 20) / 20


def hashed_vector(text: str, dim: int) -> np.ndarray:
    """A unit-variance vector (dim,) that depends on nothing but the lower-case text."""
    seed = int.from_bytes(hashlib.sha256(text.lower().encode()).digest()[:8], "little")
    return np.random.default_rng(seed).standard_normal(dim).astype(np.float32)


class Absent:
    """Zeros in the place of a feature, for ablations and for inputs that a network does not read."""

    def __init__(self, dim: int, stride: int = 1):
        """Take the size, and in the place of a window feature the frames between windows."""
        self.dim, self.stride = dim, stride

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Say nothing: (T, d), or (W, d) for windows."""
        return np.zeros((len(window_starts(utterance.frames, self.stride)), self.dim), np.float32)


class LogMel:
    """Log-mel bands (T, d) in the place of HuBERT."""

    def __init__(self, dim: int):
        self.dim = dim

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode speech as (T, d)."""
        return to_frames(log_mel(utterance.wave, self.dim), SAMPLE_RATE / HOP, utterance.frames)


class HashedWords:
    """A fixed random vector for each word on the frames where it is spoken, zero in pauses: (T, d)."""

    def __init__(self, dim: int):
        self.dim = dim

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode words as (T, d)."""
        track = np.zeros((utterance.frames, self.dim), np.float32)
        for text, frames in utterance.spoken():
            track[frames] = hashed_vector(text, self.dim)
        return track


class HashedBag:
    """Scaled sum of the vectors of a window's different words: (W, d), one row for each window start."""

    def __init__(self, dim: int, stride: int):
        self.dim = dim
        self.stride = stride

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode the words of each window as (W, d)."""
        rows = []
        for start in window_starts(utterance.frames, self.stride):
            words = sorted(set(utterance.words_between(start / FPS, (start + WINDOW) / FPS)))
            vectors = [hashed_vector(f"sentence:{word}", self.dim) for word in words]
            rows.append(np.sum(vectors, axis=0) / len(words) ** 0.5 if words else np.zeros(self.dim, np.float32))
        return np.stack(rows).astype(np.float32)


class SpectralStatistics:
    """Mean and deviation of d/2 log-mel bands over each window: (W, d), a crude reading of tone and loudness."""

    def __init__(self, dim: int, stride: int):
        self.dim = dim
        self.stride = stride

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode the tone of each window as (W, d)."""
        bands = log_mel(utterance.wave, self.dim // 2)
        rate = SAMPLE_RATE / HOP / FPS
        rows = []
        for start in window_starts(utterance.frames, self.stride):
            window = bands[int(start * rate) : max(int((start + WINDOW) * rate), int(start * rate) + 1)]
            window = window if len(window) else bands[-1:]
            rows.append(np.concatenate([window.mean(axis=0), window.std(axis=0)]))
        return np.stack(rows).astype(np.float32)
