"""What an encoder is given, and the time grids that features live on."""

from dataclasses import dataclass, field

import numpy as np

from semtalk.motion.skeleton import FPS, SAMPLE_RATE


@dataclass
class Utterance:
    """What is said: a recording with its words, to be encoded or turned into motion.

    Attributes:
        wave: (S,) mono float32 at 16 kHz.
        words: (text, start, end) with times in seconds, in order; empty without a transcript.
        frames: T, the frames that features and motion cover; those of the wave by default, 1 at least.
        emotion: Emotion label, where it is known.
        name: What its files and messages are called; the random numbers of samples follow from it.
    """

    wave: np.ndarray
    words: list[tuple[str, float, float]] = field(default_factory=list)
    frames: int = 0
    emotion: str | None = None
    name: str = "audio"

    def __post_init__(self) -> None:
        self.frames = self.frames or max(1, len(self.wave) * FPS // SAMPLE_RATE)

    def words_between(self, start: float, end: float) -> list[str]:
        """Texts of the words that overlap a span of seconds."""
        return [text for text, first, last in self.words if first < end and last > start]

    def spoken(self) -> list[tuple[str, slice]]:
        """Words and the frames on which they are spoken, one or more."""
        spans = ((text, round(start * FPS), round(end * FPS)) for text, start, end in self.words)
        return [(text, slice(first, max(last, first + 1))) for text, first, last in spans]


HEARD = ("wave", "words", "frames", "emotion")
"""Fields of an utterance that a recording fills."""


@dataclass
class WatchedUtterance(Utterance):
    """An utterance that notes which of :data:`HEARD` an encoder reads: its feature depends on these, and no others."""

    read: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.read.clear()

    def __getattribute__(self, name: str):
        if name in HEARD:
            object.__getattribute__(self, "read").add(name)
        elif name == "__dict__":
            object.__getattribute__(self, "read").update(HEARD)
        return object.__getattribute__(self, name)


def to_frames(values: np.ndarray, rate: float, frames: int) -> np.ndarray:
    """Linearly interpolate rows (n, d) at ``rate`` rows a second to (frames, d) at 30 fps; the ends are held."""
    position = np.clip(np.arange(frames) * (rate / FPS), 0, len(values) - 1)
    low = np.minimum(position.astype(int), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    share = (position - low)[:, None]
    return ((1 - share) * values[low] + share * values[high]).astype(np.float32)


def window_starts(frames: int, stride: int) -> np.ndarray:
    """First frames of the windows for which window features are kept: 0, stride, 2 stride, ... below ``frames``."""
    return np.arange(0, max(frames, 1), stride)


def fit_wave(wave: np.ndarray, frames: int) -> np.ndarray:
    """Cut a wave to the length of ``frames``, or pad it with silence."""
    samples = -(-frames * SAMPLE_RATE // FPS)
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))
