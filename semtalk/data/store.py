"""The prepared corpus: each recording once, in memory-mapped safetensors files that say what they were made from."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from torch import Tensor

from semtalk.body import BodyModel
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


def read_origin(path: Path) -> str:
    """What a file of a store says that it was made from; empty where there is no whole file."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("origin", "")
    except (OSError, SafetensorError):
        return ""


@dataclass
class StoredRecording:
    """One recording of a store; tensors are memory-mapped when first asked for, and kept.

    ``info`` is its record, and below ``origins`` what each of its files was made from when the store was opened.
    """

    folder: Path
    info: dict
    tensors: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """Its id in the corpus."""
        return self.info["id"]

    @property
    def frames(self) -> int:
        """Frames of motion."""
        return self.info["frames"]

    @property
    def words(self) -> list[tuple[str, float, float]]:
        """Spoken words with seconds."""
        return [tuple(word) for word in self.info["words"]]

    def __getitem__(self, key: str) -> Tensor:
        """A tensor as it is stored; features may be of half precision.

        Raises:
            SemTalkError: Its file was prepared anew since the store was opened.
        """
        if key not in self.tensors:
            name = key if key in FILES else MOTION
            path = self.folder / f"{self.id}.{name}.safetensors"
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get("origin") != self.info["origins"][name]:
                    raise SemTalkError(
                        f"{path}: it was prepared anew since the store was opened; start again, and give features of "
                        "other settings another features.name."
                    )
                self.tensors[key] = file.get_tensor(key)
        return self.tensors[key]


class Store:
    """A prepared corpus on disk."""

    def __init__(self, folder: Path, recordings: list[StoredRecording], speakers: list[int], stride: int):
        """Take its content.

        Args:
            folder: Where it is.
            recordings: All that are prepared.
            speakers: The corpus's speaker numbers.
            stride: Frames between the rows of window features.
        """
        self.folder = folder
        self.recordings = recordings
        self.speakers = speakers
        self.stride = stride

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

    def know_speakers(self, speakers: list[int]) -> list[int]:
        """Number the speakers as an earlier run did; returns those that it did not know, which come after them."""
        unknown = [speaker for speaker in self.speakers if speaker not in speakers]
        self.speakers = [*speakers, *unknown]
        return unknown

    def speaker_index(self, speaker: int) -> int:
        """Index of a corpus's speaker number among the speakers of the store."""
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
        kept = {"key": key, "speed": speed_of_joints(training, body).tolist()}
        write_json(path, kept)
    return np.asarray(kept["speed"]), "computed from the training split"


def speed_of_joints(recordings: list[StoredRecording], body: BodyModel) -> np.ndarray:
    """Mean joint speed (55,) in m/s over recordings, with translation: what the beat metric is normalised by."""
    total, frames = np.zeros(55), 0
    for recording in recordings:
        poses = poses_from_rotation(recording["rotation"])
        speed = joint_speed(body.joints(poses, recording["betas"], recording["trans"]).double().numpy())
        total += speed.sum(axis=0)
        frames += len(speed)
    return total / frames
