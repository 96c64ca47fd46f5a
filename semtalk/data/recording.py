"""What a corpus is made of: recordings, and the contract of a reader."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.transcript import Word
from semtalk.features.utterance import fit_wave
from semtalk.files import read_text
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FPS, SAMPLE_RATE

SPLITS = ("train", "val", "test")


class SemanticInterval(NamedTuple):
    """One row of a semantic annotation; seconds, score in [0, 1]."""

    label: str
    start: float
    end: float
    score: float
    keyword: str = ""


@dataclass
class Recording:
    """One take.

    Attributes:
        id: Unique in its corpus.
        speaker: The corpus's own speaker number or name.
        split: train, val or test.
        wave: (S,) mono float32 at 16 kHz.
        motion: 30 frames a second, or none.
        words: Spoken words in order; empty without a transcript.
        semantics: Annotated intervals; empty where it is known that there are none, or none where nobody annotated.
        emotion: Emotion label, or none.
        whole_sound: Whether features are of the whole sound, of whose rows the motion's are kept, the first ones;
            otherwise they are of the sound as long as the motion.
        window_frames: Frames, from the first, that training windows are of; all of them for none.
    """

    id: str
    speaker: int | str
    split: str
    wave: np.ndarray
    motion: Motion | None = None
    words: list[Word] = field(default_factory=list)
    semantics: list[SemanticInterval] | None = None
    emotion: str | None = None
    whole_sound: bool = False
    window_frames: int | None = None

    @property
    def frames(self) -> int:
        """Frames of motion, or of audio where there is no motion."""
        return len(self.motion) if self.motion is not None else int(len(self.wave) / SAMPLE_RATE * FPS)

    @property
    def heard(self) -> np.ndarray:
        """The sound (S,) that features are made of."""
        return self.wave if self.whole_sound else fit_wave(self.wave, self.frames)


class Entry(NamedTuple):
    """A recording that a corpus offers, before it is read."""

    id: str
    speaker: int | str
    split: str


class Corpus(Protocol):
    """A reader of one corpus on disk.

    ``version``, a number that a class may have, is raised when the same files are read otherwise than before. It may
    have ``split_name``, what its split is called where there are several; ``lacking()``, a sentence about recordings
    that are listed and not there, or none; and ``report(counts)``, lines about how many of each split are prepared.
    """

    name: str
    notes: list[str]
    """What every result from this corpus has to say."""

    def entries(self) -> list[Entry]:
        """List the recordings."""

    def read(self, entry: Entry) -> Recording:
        """Read one of them; raises SemTalkError naming the file that is bad."""

    def stamp(self, entry: Entry) -> str:
        """Text that changes when anything that the recording is read from does; `semtalk.data.file_stamp` gives it."""

    def seconds(self, entry: Entry) -> float | None:
        """Its length by the head of a file, or none where there is no readable one."""

    def mean_joint_speed(self) -> np.ndarray | None:
        """The corpus's own mean joint speed (55,) in m/s, where it ships one."""


def frame_scores(semantics: list[SemanticInterval], frames: int) -> np.ndarray:
    """Semantic score (T,) of each frame: the first row that covers it; scores up to 0.1 (beats) and gaps are 0."""
    scores = np.zeros(frames, np.float32)
    times = np.arange(frames) / FPS
    for row in reversed(semantics):
        covered = (times >= row.start) & (times <= row.end)
        scores[covered] = row.score if row.score > 0.1 else 0.0
    return scores


MAX_LENGTH_GAP = 2.0
"""Seconds by which audio and motion may differ in length."""


def read_semantics(path: Path) -> list[SemanticInterval]:
    """Rows of a semantic annotation: tab-separated name, start, end, duration, score and, where given, keywords.

    Raises:
        SemTalkError: The file is missing, or a row has fewer than five columns or text where a number belongs.
    """
    if not path.is_file():
        raise SemTalkError(f"{path}: no such semantic annotation.")
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        label, *fields = line.split("\t")
        try:
            start, end, _, score = (float(value) for value in fields[:4])
        except ValueError as error:
            raise SemTalkError(
                f"{path}, line {number}: expected name, start, end, duration, score ({error})."
            ) from error
        rows.append(SemanticInterval(label, start, end, score, fields[4].strip() if len(fields) > 4 else ""))
    return rows
