"""What an encoder is given, and the time grids that features live on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.transcript import impossible
from semtalk.motion.skeleton import FPS, SAMPLE_RATE

MOST_CHANNELS = 8
MOST_FRAMES = 24 * 3600 * FPS
"""Of one utterance: a day."""
LOUDEST = 100.0
"""Full scale is 1; what lies far above it is not scaled."""


def mono(wave: np.ndarray, name: str = "the wave") -> np.ndarray:
    """A wave as (S,) float32 with full scale 1: whole numbers are scaled, channels mixed.

    Args:
        wave: (S,), or (C, S) or (S, C) of up to 8 channels; of floats, or of int16 or int32; an array or a tensor.
        name: What messages call it.

    Raises:
        SemTalkError: It has another shape or type, holds NaN or infinite samples, or is not scaled.
    """
    try:
        if hasattr(wave, "detach"):  # a tensor, which may have a gradient, lie on a GPU, or be in bfloat16
            wave = wave.detach().cpu()
            wave = wave.float() if wave.is_floating_point() else wave
        wave = np.asarray(wave)
    except Exception as error:  # rows of several lengths
        raise SemTalkError(f"{name}: {type(wave).__name__}; give an array of samples.") from error
    wave = wave.astype(wave.dtype.newbyteorder("="), copy=False)
    if wave.dtype in (np.int16, np.int32):
        wave = wave / np.float32(-np.iinfo(wave.dtype).min)
    if wave.dtype.kind != "f":
        raise SemTalkError(f"{name}: samples of type {wave.dtype}; give floats with full scale 1, int16 or int32.")
    if wave.ndim <= 2 and not wave.size:
        return np.zeros(0, np.float32)
    if wave.ndim == 2 and min(wave.shape) <= MOST_CHANNELS:
        wave = wave.mean(axis=int(np.argmin(wave.shape)))
    if wave.ndim != 1:
        raise SemTalkError(
            f"{name}: shape {wave.shape}; give (samples,), or (channels, samples) with up to {MOST_CHANNELS} channels."
        )
    if not np.isfinite(wave).all():
        raise SemTalkError(f"{name}: the sound holds NaN or infinite samples.")
    if (loudest := np.abs(wave).max(initial=0.0)) > LOUDEST:
        raise SemTalkError(f"{name}: samples reach {loudest:.3g}, where full scale is 1; scale them.")
    return wave.astype(np.float32, copy=False)


def refuse_short(wave: np.ndarray, name: str) -> None:
    """Refuse a wave (S,) at 16 kHz that is shorter than a frame of motion.

    Raises:
        SemTalkError: It is.
    """
    if len(wave) < SAMPLE_RATE // FPS:
        raise SemTalkError(
            f"{name}: {len(wave) / SAMPLE_RATE:.2g} s of sound; a frame of motion alone takes 1/{FPS} s."
        )


def check_words(words: Iterable[tuple[str, float, float]], name: str) -> list[tuple[str, float, float]]:
    """Words as a list, where they are (text, start, end) in seconds.

    Raises:
        SemTalkError: One is not, or has times that cannot be.
    """
    if isinstance(words, str | bytes) or not isinstance(words, Iterable):
        raise SemTalkError(f"{name}: the words are {words!r}; give a list of (text, start, end) with seconds.")
    words = list(words)
    for word in words:
        try:
            wrong = impossible(word)
        except (TypeError, ValueError) as error:
            raise SemTalkError(f"{name}: the word {word!r} is no (text, start, end) with seconds.") from error
        if not isinstance(word[0], str):
            raise SemTalkError(f"{name}: the word {word!r} is no (text, start, end) with seconds.")
        if wrong:
            raise SemTalkError(f"{name}: '{word[0]}' runs from {word[1]} to {word[2]} s; mend its times.")
    return words


@dataclass
class Utterance:
    """What is said: a recording with its words, to be encoded or turned into motion.

    Attributes:
        wave: (S,) mono float32 at 16 kHz; what :func:`mono` takes becomes that.
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
        self.wave = mono(self.wave, self.name)
        self.words = check_words(self.words, self.name)
        if type(self.frames) is bool or not isinstance(self.frames, Integral) or not 0 <= self.frames <= MOST_FRAMES:
            raise SemTalkError(f"{self.name}: frames={self.frames!r}; give a whole number from 0 to {MOST_FRAMES}.")
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
