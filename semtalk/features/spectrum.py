"""Mel spectra in bounded memory, equal to librosa's own on the whole recording."""

import numpy as np

from semtalk.motion.skeleton import SAMPLE_RATE

CHUNK = 4096
"""Frames at once."""


def mel_power(wave: np.ndarray, bands: int, n_fft: int, hop: int, fmax: float | None = None) -> np.ndarray:
    """Power of mel bands (bands, n) of a wave (S,) at 16 kHz; frame i is centred on sample ``i * hop``."""
    import librosa

    padded = np.pad(wave, n_fft // 2)
    frames = 1 + len(wave) // hop
    pieces = []
    for first in range(0, frames, CHUNK):
        last = min(first + CHUNK, frames)
        piece = padded[first * hop : (last - 1) * hop + n_fft]
        pieces.append(
            librosa.feature.melspectrogram(
                y=piece, sr=SAMPLE_RATE, n_fft=n_fft, hop_length=hop, n_mels=bands, center=False, fmax=fmax
            )
        )
    return np.concatenate(pieces, axis=1)


def onset_frames(wave: np.ndarray, hop: int) -> np.ndarray:
    """Frames of librosa's onsets: what ``librosa.onset.onset_detect`` finds with its defaults."""
    import librosa

    power = librosa.power_to_db(mel_power(wave, 128, 2048, hop, fmax=0.5 * SAMPLE_RATE))
    envelope = librosa.onset.onset_strength(S=power, sr=SAMPLE_RATE, hop_length=hop)
    return librosa.onset.onset_detect(onset_envelope=envelope, sr=SAMPLE_RATE, hop_length=hop)
