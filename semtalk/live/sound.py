"""Plays the sound that motion is sent for, and hears a microphone, where ``sounddevice`` is installed."""

from collections.abc import Iterator
from queue import SimpleQueue

import numpy as np

from semtalk.errors import MissingModelError
from semtalk.motion.skeleton import SAMPLE_RATE
from semtalk.places import CHECKOUT

COMMAND = "pip install -e .[live]" if CHECKOUT else "pip install sounddevice"


PIECE = SAMPLE_RATE // 10
"""Samples that are heard, or given to networks, at a time."""


def pieces_of(wave: np.ndarray) -> Iterator[np.ndarray]:
    """A wave (S,) as it would be heard: in pieces."""
    for first in range(0, len(wave), PIECE):
        yield wave[first : first + PIECE]


class Microphone:
    """What the default microphone hears, in pieces, until it or the user ends it."""

    def __init__(self):
        """Open it.

        Raises:
            MissingModelError: There is no ``sounddevice``, or none that finds its library or a microphone.
        """
        try:
            import sounddevice

            self.stream = sounddevice.InputStream(
                samplerate=SAMPLE_RATE, channels=1, dtype="float32", blocksize=PIECE, callback=self._hear,
                finished_callback=self.end,
            )  # fmt: skip
        except Exception as error:  # as for a player
            raise MissingModelError(
                f"audio=microphone: it cannot be heard ({type(error).__name__}: {error}): run `{COMMAND}` on a machine "
                "with a microphone, or give a recording, as in audio=FILE.wav."
            ) from error
        self.pieces: SimpleQueue[np.ndarray | None] = SimpleQueue()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Listen from now on: pieces (N,) at 16 kHz."""
        self.stream.start()
        while (piece := self.pieces.get()) is not None:
            yield piece

    def end(self) -> None:
        """Hear no more than what was heard."""
        self.pieces.put(None)

    def close(self) -> None:
        """Close it."""
        self.stream.close()

    def _hear(self, block: np.ndarray, count: int, times, status) -> None:
        self.pieces.put(block[:, 0].copy())


class Player:
    """A wave that begins at a stated time, which the sound card's own clock keeps."""

    def __init__(self, wave: np.ndarray):
        """Open the sound card.

        Args:
            wave: (S,) at 16 kHz.

        Raises:
            MissingModelError: There is no ``sounddevice``, or none that finds its library or a device.
        """
        try:
            import sounddevice

            self.stream = sounddevice.OutputStream(
                samplerate=SAMPLE_RATE, channels=1, dtype="float32", callback=self._fill
            )
        except Exception as error:  # the package, its library or a device is missing, each in its own way
            raise MissingModelError(
                f"sound cannot be played ({type(error).__name__}: {error}): run `{COMMAND}` on a machine with a sound "
                "card, or leave it out with play=false."
            ) from error
        self.wave = wave.astype(np.float32)
        self.begin: float | None = None
        self.next: int | None = None

    def start(self, seconds: float) -> None:
        """Have the wave begin in so many seconds."""
        self.stream.start()
        self.begin = self.stream.time + seconds

    def close(self) -> None:
        """Close the sound card."""
        self.stream.close()

    def _fill(self, block: np.ndarray, count: int, times, status) -> None:
        """Give the next samples (count, 1); before the first one there is silence."""
        block[:] = 0
        if self.begin is None:
            return
        if self.next is None:
            self.next = round((times.outputBufferDacTime - self.begin) * SAMPLE_RATE)
        first, last = max(self.next, 0), min(self.next + count, len(self.wave))
        if first < last:
            block[first - self.next : last - self.next, 0] = self.wave[first:last]
        self.next += count


def open_player(wave: np.ndarray, play: bool | str) -> Player | None:
    """What plays a wave: always, never, or for ``auto`` where it can be played.

    Raises:
        MissingModelError: It is wanted and cannot be played.
    """
    if play is False:
        return None
    try:
        return Player(wave)
    except MissingModelError:
        if play != "auto":
            raise
        return None
