"""How the embedded corpus sounds: a pulse train through formant filters, consonants as bursts of noise."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from semtalk.data.sample.script import CONSONANTS, Phrase, SpokenWord
from semtalk.motion.skeleton import SAMPLE_RATE

FORMANTS = {
    "a": (750, 1200, 2500), "e": (520, 1850, 2600), "i": (300, 2300, 3000), "o": (480, 850, 2500),
    "u": (320, 700, 2300), "y": (300, 1700, 2200),
}  # fmt: skip
"""First three formants in Hz of each vowel."""


@dataclass(frozen=True)
class Voice:
    """A speaker's pitch (Hz) and the length of the vocal tract relative to the mean."""

    pitch: float
    tract: float


@dataclass(frozen=True)
class Tone:
    """How an emotion colours the voice: factors on pitch and loudness."""

    pitch: float = 1.0
    loudness: float = 1.0


def _resonate(signal: np.ndarray, frequency: float, bandwidth: float) -> np.ndarray:
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    angle = 2 * np.pi * frequency / SAMPLE_RATE
    return lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], signal)


def _word_colour(word: SpokenWord) -> np.ndarray:
    """Shift of the three formants that every word has of its own; homophones share it."""
    rng = np.random.default_rng([7, *(ord(letter) for letter in word.sound)])
    return rng.uniform(0.92, 1.08, 3)


def synthesise(phrases: list[Phrase], seconds: float, voice: Voice, tone: Tone, rng: np.random.Generator) -> np.ndarray:
    """Speak a script: (S,) float32 at 16 kHz."""
    wave = np.zeros(int(seconds * SAMPLE_RATE))
    for phrase in phrases:
        for word in phrase.words:
            colour = _word_colour(word)
            for syllable in word.syllables:
                first, last = (int(time * SAMPLE_RATE) for time in (syllable.start, syllable.end))
                count = last - first
                fall = 1.1 - 0.2 * (syllable.start - phrase.start) / max(phrase.end - phrase.start, 1e-6)
                pitch = voice.pitch * tone.pitch * fall * (1.15 if syllable.stress else 1.0)
                phase = np.cumsum(np.full(count, pitch / SAMPLE_RATE)) % 1.0
                source = 2.0 * (phase < 0.1) - 0.2 + 0.02 * rng.standard_normal(count)
                voiced = sum(
                    _resonate(source, frequency * voice.tract * shift, 70 + 30 * index) / (1 + index)
                    for index, (frequency, shift) in enumerate(zip(FORMANTS[syllable.vowel], colour, strict=True))
                )
                onset = min(int(0.05 * SAMPLE_RATE), count // 3)
                band = 800 + 600 * CONSONANTS.index(syllable.consonant)
                noise = sosfilt(
                    butter(2, [band, band + 800], "bandpass", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(onset)
                )
                position = np.arange(count) / count
                envelope = np.clip(position / 0.25, 0, 1) * np.clip((1 - position) / 0.35, 0, 1)
                sound = voiced * envelope / (np.abs(voiced).max() + 1e-9)
                sound[:onset] += 0.15 * noise * np.hanning(onset)
                wave[first:last] += sound * tone.loudness * (1.0 if syllable.stress else 0.45)
    wave += 0.001 * rng.standard_normal(len(wave))
    return (0.3 * wave).astype(np.float32)
