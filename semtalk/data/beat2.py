"""The reader of BEAT2 (EMAGE, CVPR 2024), and of any corpus in its layout."""

from functools import cached_property
from pathlib import Path

import numpy as np

from semtalk.data.recording import MAX_LENGTH_GAP, SPLITS, Entry, Recording, read_semantics
from semtalk.data.sources import file_stamp
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio, sound_seconds
from semtalk.features.transcript import read_textgrid
from semtalk.files import read_text
from semtalk.motion.io import load_motion
from semtalk.motion.skeleton import FPS, SAMPLE_RATE
from semtalk.motion.speed import read_mean_speed

FOLDER = "beat_english_v2.0.0"
FILES = {
    "motion": ("smplxflame_30", ".npz"),
    "audio": ("wave16k", ".wav"),
    "text": ("textgrid", ".TextGrid"),
    "semantics": ("sem", ".txt"),
}
SPEECH_RTYPES = ("0", "2", "4", "6")
EMOTIONS = (
    (64, "neutral"), (72, "happiness"), (80, "anger"), (86, "sadness"), (94, "contempt"), (102, "surprise"),
    (110, "fear"), (118, "disgust"),
)  # fmt: skip
"""Last take number of each emotion, for speech recordings."""


def emotion_of(recording_id: str) -> str:
    """Emotion label of an id ``{speaker}_{name}_{rtype}_{start}_{end}``; conversations are neutral."""
    _, _, rtype, start, _ = recording_id.split("_")
    if rtype in SPEECH_RTYPES:
        for last, label in EMOTIONS:
            if int(start) <= last:
                return label
    return "neutral"


class BEAT2Corpus:
    """BEAT2 on disk: ``root/beat_english_v2.0.0/{smplxflame_30,wave16k,textgrid,sem,weights}/``."""

    def __init__(
        self, root: str | None, name: str = "beat2", speakers: list[int] | str = "all", additional: bool = False
    ):
        """Open the corpus.

        Args:
            root: The folder that holds ``beat_english_v2.0.0``, or that folder itself.
            name: What the run folder and the reports call it.
            speakers: Speaker numbers, or ``all``.
            additional: Take the split file's ``additional`` recordings into the training split.
        """
        if root is None:
            raise SemTalkError(f"data.root is not set: give the folder of the corpus, as in data={name} data.root=DIR.")
        path = Path(root)
        self.root = path / FOLDER if (path / FOLDER).is_dir() else path
        self.split_file = self.root / "train_test_split.csv"
        if not self.split_file.is_file():
            raise SemTalkError(f"data.root={root}: there is no {FOLDER}/train_test_split.csv; is this a BEAT2 folder?")
        if speakers != "all" and not isinstance(speakers, list | tuple):
            raise SemTalkError(f"data.speakers={speakers}: give a list such as [2], or all.")
        self.name = name
        self.speakers = speakers
        self.additional = additional
        self.notes: list[str] = []

    def entries(self) -> list[Entry]:
        """Recordings of the split file, for the chosen speakers, in its order."""
        return self._entries

    @cached_property
    def _entries(self) -> list[Entry]:
        found: list[Entry] = []
        seen = set()
        lines = read_text(self.split_file).splitlines()
        for number, line in enumerate(lines[1:], start=2):
            if not line.strip():
                continue
            identifier, _, split = (field.strip() for field in line.partition(","))
            if split == "additional":
                if not self.additional:
                    continue
                split = "train"
            fields = identifier.split("_")
            if split not in SPLITS or len(fields) != 5 or not fields[0].isdigit() or not fields[3].isdigit():
                raise SemTalkError(
                    f"{self.split_file}, line {number}: expected speaker_name_rtype_start_end,"
                    f"train|val|test|additional, found '{line}'."
                )
            if identifier in seen:
                raise SemTalkError(f"{self.split_file}, line {number}: {identifier} is listed twice.")
            seen.add(identifier)
            if self.speakers == "all" or int(fields[0]) in self.speakers:
                found.append(Entry(identifier, int(fields[0]), split))
        if not found:
            raise SemTalkError(f"{self.split_file}: no recording of speakers {self.speakers}.")
        return found

    def absent(self) -> list[int]:
        """Speakers without a single motion file, as where the corpus was fetched for others, or not to its end."""
        moving = {entry.speaker for entry in self._entries if self._path("motion", entry.id).is_file()}
        return sorted({entry.speaker for entry in self._entries} - moving)

    def _path(self, kind: str, identifier: str) -> Path:
        folder, suffix = FILES[kind]
        return self.root / folder / f"{identifier}{suffix}"

    def stamp(self, entry: Entry) -> str:
        """Of the recording's files."""
        return file_stamp(*(self._path(kind, entry.id) for kind in FILES))

    def read(self, entry: Entry) -> Recording:
        """Read one recording.

        Raises:
            SemTalkError: A file is missing or bad, or audio and motion differ in length by more than 2 s.
        """
        motion = load_motion(self._path("motion", entry.id))
        audio_path = self._path("audio", entry.id)
        wave = load_audio(audio_path)
        seconds, spoken = len(motion) / FPS, len(wave) / SAMPLE_RATE
        if abs(seconds - spoken) > MAX_LENGTH_GAP:
            raise SemTalkError(f"{audio_path}: {spoken:.2f} s of sound for {seconds:.2f} s of motion.")
        return Recording(
            id=entry.id,
            speaker=entry.speaker,
            split=entry.split,
            wave=wave,
            motion=motion,
            words=read_textgrid(self._path("text", entry.id)),
            semantics=read_semantics(self._path("semantics", entry.id)) or None,  # empty: nobody annotated the take
            emotion=emotion_of(entry.id),
        )

    def seconds(self, entry: Entry) -> float | None:
        """Length of the recording's sound by the file's header."""
        return sound_seconds(self._path("audio", entry.id))

    def mean_joint_speed(self) -> np.ndarray | None:
        """``weights/mean_vel_smplxflame_30.npy`` (55,) in m/s, where the corpus has it."""
        path = self.root / "weights" / "mean_vel_smplxflame_30.npy"
        return read_mean_speed(path) if path.is_file() else None
