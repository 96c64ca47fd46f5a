"""The prepared corpus: each recording once, in memory-mapped safetensors files that say what they were made from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.data.mapped import MappedFile
from semtalk.data.recording import Corpus
from semtalk.data.sources import digest
from semtalk.errors import SemTalkError
from semtalk.features.extract import SLOTS
from semtalk.files import read_kept, write_json
from semtalk.motion.parts import poses_from_rotation
from semtalk.motion.speed import joint_speed

MOTION, WAVE, SEMANTIC = "motion", "wave", "semantic"
FILES = (MOTION, WAVE, SEMANTIC, *SLOTS)
"""Files of a recording: what changes apart from the rest has a file of its own."""
SAMPLED = 200_000
"""Frames, 1.9 hours of motion, that statistics of a split are of at most: a larger one is not read whole for them."""
T = TypeVar("T")


@dataclass
class StoredRecording:
    """One recording of a store; its files are mapped when first asked for.

    ``info`` is its record, and below ``origins`` what each of its files was made from when the store was opened.
    ``tensors`` are others than the stored ones.
    """

    folder: Path
    info: dict
    tensors: dict[str, Tensor] = field(default_factory=dict, repr=False)
    files: dict[str, MappedFile] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict:
        """For another process, which maps the files itself."""
        return vars(self) | {"files": {}}

    @property
    def id(self) -> str:
        """Its id in the corpus."""
        return self.info["id"]

    @property
    def frames(self) -> int:
        """Frames of motion."""
        return self.info["frames"]

    @property
    def window_frames(self) -> int:
        """Frames, from the first, that training windows are of."""
        said = self.info.get("window_frames")
        return self.frames if said is None else said

    @property
    def words(self) -> list[tuple[str, float, float]]:
        """Spoken words with seconds."""
        return [tuple(word) for word in self.info["words"]]

    def __getitem__(self, key: str) -> Tensor:
        """A tensor as it is stored; features may be of half precision.

        Raises:
            SemTalkError: Its file was prepared anew since the store was opened.
        """
        if key in self.tensors:
            return self.tensors[key]
        name = key if key in FILES else MOTION
        if name not in self.files:
            path = self.folder / f"{self.id}.{name}.safetensors"
            file = MappedFile(path)
            if file.metadata.get("origin") != self.info["origins"][name]:
                raise SemTalkError(
                    f"{path}: it was prepared anew since the store was opened; start again, and give features of "
                    "other settings another features.name."
                )
            self.files[name] = file
        return self.files[name].tensors[key]

    def let_go(self) -> None:
        """Have the process's memory let go of what was read; it is read again where it is asked for."""
        for file in self.files.values():
            file.let_go()


def in_turn(recordings: Iterable[T]) -> Iterator[T]:
    """Recordings one after another; the memory lets go of each before the next one."""
    for recording in recordings:
        yield recording
        if isinstance(recording, StoredRecording):
            recording.let_go()


def sampled(recordings: list[T], frames: int | None = None, most: int = SAMPLED) -> list[T]:
    """Recordings that stand for a split where all have more frames than that: every k-th, in the split's order.

    Args:
        recordings: Of the split.
        frames: How many they have in all; stored recordings say it themselves.
        most: Frames that are about as many as one wants.
    """
    if frames is None:
        frames = sum(one.frames for one in recordings if isinstance(one, StoredRecording))
    return recordings[:: max(1, -(-frames // most))]


class Store:
    """A prepared corpus on disk."""

    def __init__(
        self, folder: Path, recordings: list[StoredRecording], speakers: list[int | str], stride: int,
        split_name: str | None = None,
    ):  # fmt: skip
        """Take its content.

        Args:
            folder: Where it is.
            recordings: All that are prepared.
            speakers: The corpus's speakers, by its own numbers or names.
            stride: Frames between the rows of window features.
            split_name: What the corpus calls its split, where it has several.
        """
        self.folder = folder
        self.recordings = recordings
        self.speakers = speakers
        self.stride = stride
        self.split_name = split_name

    def split(self, name: str) -> list[StoredRecording]:
        """Recordings of a split.

        Raises:
            SemTalkError: The split is empty.
        """
        found = [recording for recording in self.recordings if recording.info["split"] == name]
        if not found:
            raise SemTalkError(
                f"{self.folder}: the split '{name}' is empty; see quarantine.csv there and the corpus's split file."
            )
        return found

    def know_speakers(self, speakers: list[int | str]) -> list[int | str]:
        """Number the speakers as an earlier run did; returns those that it did not know, which come after them."""
        unknown = [speaker for speaker in self.speakers if speaker not in speakers]
        self.speakers = [*speakers, *unknown]
        return unknown

    def speaker_index(self, speaker: int | str) -> int:
        """Index of a corpus's speaker among the speakers of the store."""
        return self.speakers.index(speaker)


def mean_joint_speed(store: Store, corpus: Corpus, body: BodyModel) -> tuple[np.ndarray, str]:
    """What the beat metric is normalised by, (55,) m/s, and where it is from.

    The corpus's own file where it has one; otherwise that of the training split, computed once and kept in the store.
    """
    given = corpus.mean_joint_speed()
    if given is not None:
        return given, "the corpus's own file"
    training = store.split("train")
    key = digest(sorted(recording.info["origins"][MOTION] for recording in training))
    path = store.folder / "mean_joint_speed.json"
    kept = read_kept(path)
    if kept.get("key") != key:
        said = said_speed(training)
        kept = {"key": key, "speed": (speed_of_joints(training, body) if said is None else said).tolist()}
        write_json(path, kept)
    return np.asarray(kept["speed"]), "computed from the training split"


def said_speed(recordings: list[StoredRecording]) -> np.ndarray | None:
    """Mean joint speed (55,) in m/s by what the files of the motion say; none where an earlier version wrote one."""
    sums = [recording.info.get("speed") for recording in recordings]
    return None if None in sums else np.sum(sums, axis=0) / sum(recording.frames for recording in recordings)


def speed_of_joints(recordings: list[StoredRecording], body: BodyModel) -> np.ndarray:
    """Mean joint speed (55,) in m/s over recordings, with translation: what the beat metric is normalised by."""
    total, frames = np.zeros(55), 0
    for recording in in_turn(recordings):
        poses = poses_from_rotation(recording["rotation"])
        speed = joint_speed(body.joints(poses, recording["betas"], recording["trans"]).double().numpy())
        total += speed.sum(axis=0)
        frames += len(speed)
    return total / frames
