"""Mel spectra, onsets and loud parts of a wave in bounded memory: those of librosa, which takes seconds to import."""

from functools import cache

import numpy as np

from semtalk.motion.skeleton import SAMPLE_RATE

CHUNK = 1024
"""Frames at once."""
LINEAR_STEP = 200 / 3
"""Hz of a mel below :data:`LOG_FROM` (Slaney's scale)."""
LOG_FROM = 1000.0
"""Hz from which mels are logarithmic."""
LOG_STEP = np.log(6.4) / 27
"""Growth of the logarithm of a frequency with a mel there."""
ONSET_FFT, ONSET_BANDS, ONSET_HOP = 2048, 128, 512
AROUND = 3
"""Frames to either side, 0.1 s, over whose mean an onset's strength lies."""
ABOVE = 0.07
"""By how much it does, as a share of the strongest."""


def mel_power(wave: np.ndarray, bands: int, n_fft: int, hop: int) -> np.ndarray:
    """Power of mel bands (bands, n) of a wave (S,) at 16 kHz; frame i is centred on sample ``i * hop``."""
    rows = np.lib.stride_tricks.sliding_window_view(np.pad(wave, n_fft // 2), n_fft)[::hop]
    window = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, n_fft + 1)[:-1])
    pieces = []
    for first in range(0, len(rows), CHUNK):
        spectrum = np.fft.rfft(rows[first : first + CHUNK] * window).astype(np.complex64)
        pieces.append(mel_filters(bands, n_fft) @ np.square(np.abs(spectrum)).T)
    return np.concatenate(pieces, axis=1)


@cache
def mel_filters(bands: int, n_fft: int) -> np.ndarray:
    """Triangles (bands, n_fft / 2 + 1) of equal area on Slaney's mel scale, from 0 to 8 kHz."""
    linear, top = LOG_FROM / LINEAR_STEP, np.log(SAMPLE_RATE / 2 / LOG_FROM) / LOG_STEP
    mels = np.linspace(0, linear + top, bands + 2)
    edges = np.where(mels < linear, LINEAR_STEP * mels, LOG_FROM * np.exp(LOG_STEP * (mels - linear)))
    distance = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE) - edges[:, None]
    width = np.diff(edges)[:, None]
    triangles = np.minimum(distance[:-2] / width[:-1], -distance[2:] / width[1:]).clip(min=0)
    return (triangles.astype(np.float32) * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def decibels(power: np.ndarray, least: float) -> np.ndarray:
    """Powers in dB, those below ``least`` as that."""
    return 10 * np.log10(np.maximum(power, least))


def onset_frames(wave: np.ndarray) -> np.ndarray:
    """Frames at hop 512 where a wave (S,) gets louder in many bands at once: librosa's onsets with its defaults."""
    level = decibels(mel_power(wave, ONSET_BANDS, ONSET_FFT, ONSET_HOP), 1e-10)
    level = np.maximum(level, level.max() - 80)
    late = np.zeros(1 + ONSET_FFT // (2 * ONSET_HOP), np.float32)  # a frame hears what begins behind its centre
    strength = np.concatenate([late, np.maximum(np.diff(level), 0).mean(axis=0)])[: level.shape[1]]
    strength /= strength.max() + np.finfo(np.float32).tiny
    near = np.lib.stride_tricks.sliding_window_view(np.pad(strength, AROUND, constant_values=np.nan), 2 * AROUND + 1)
    return np.flatnonzero(strength >= np.nanmean(near, axis=1) + ABOVE)


def loud_parts(wave: np.ndarray, below: float = 35, width: int = 1024, hop: int = 256) -> np.ndarray:
    """Samples (n, 2) between which a wave (S,) is less than ``below`` dB quieter than where it is loudest."""
    rows = np.lib.stride_tricks.sliding_window_view(np.pad(wave, width // 2), width)[::hop]
    power = np.concatenate([np.square(rows[at : at + CHUNK]).mean(axis=1) for at in range(0, len(rows), CHUNK)])
    level = decibels(power, 1e-10)
    loud = np.pad(level > level.max() - below, 1)
    return np.minimum(np.flatnonzero(np.diff(loud)) * hop, len(wave)).reshape(-1, 2)
