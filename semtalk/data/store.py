"""The prepared corpus: each recording once, one memory-mapped safetensors file for its motion and for each feature.

A manifest beside the files holds, for every file, the key of all that it depends on. A key that changed (other source
files, other encoder settings) invalidates that file alone; an interrupted preparation goes on where it stopped.
"""

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.data.recording import Corpus, Entry, Recording, frame_scores
from semtalk.errors import SemTalkError
from semtalk.features.extract import SLOTS, build_encoder, encode
from semtalk.features.utterance import Utterance, fit_wave
from semtalk.motion.io import atomic_write
from semtalk.motion.parts import foot_contact, root_from_translation, rotation_from_poses
from semtalk.motion.skeleton import FEET, FPS

FORMAT = 1
MOTION = "motion"


def _digest(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def motion_tensors(recording: Recording, body: BodyModel) -> dict[str, Tensor]:
    """Everything that is kept of a recording but its features; (T, ...) arrays as float32."""
    motion = recording.motion
    if motion is None:
        raise SemTalkError(f"{recording.id}: it has no motion; a store for training needs one.")
    poses, trans, betas = (torch.from_numpy(a) for a in (motion.poses, motion.trans, motion.betas))
    joints = body.joints(poses, betas, trans)
    semantics = recording.semantics
    scores = frame_scores(semantics, len(motion)) if semantics is not None else np.full(len(motion), np.nan)
    return {
        "poses": poses,
        "rotation": rotation_from_poses(poses),
        "expressions": torch.from_numpy(motion.expressions),
        "trans": trans,
        "root": root_from_translation(trans),
        "contact": foot_contact(joints[:, list(FEET)]),
        "betas": betas,
        "semantic": torch.from_numpy(scores.astype(np.float32)),
        "wave": torch.from_numpy(fit_wave(recording.wave, len(motion))),
    }


@dataclass
class StoredRecording:
    """One recording of a store; tensors are memory-mapped when first asked for, and kept."""

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
        if key not in self.tensors:
            name = key if key in SLOTS else MOTION
            with safe_open(self.folder / f"{self.id}.{name}.safetensors", framework="pt") as file:
                self.tensors[key] = file.get_tensor(key)
        return self.tensors[key]


class Store:
    """A prepared corpus on disk."""

    def __init__(self, folder: Path, recordings: list[StoredRecording], speakers: list[int]):
        self.folder = folder
        self.recordings = recordings
        self.speakers = speakers

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

    def know_speakers(self, speakers: list[int] | None) -> None:
        """Number the speakers as an earlier run did.

        Raises:
            SemTalkError: That run did not know all of the corpus's speakers.
        """
        if speakers is None:
            return
        unknown = sorted(set(self.speakers) - set(speakers))
        if unknown:
            raise SemTalkError(f"the speakers {unknown} are unknown to the run that training starts from: {speakers}.")
        self.speakers = speakers

    def speaker_index(self, speaker: int) -> int:
        """Index of a corpus's speaker number among the speakers of the store."""
        return self.speakers.index(speaker)


class Preparation:
    """Turns a corpus into a store, file by file."""

    def __init__(self, corpus: Corpus, features: Mapping, body: BodyModel, folder: Path, strict: bool):
        self.corpus = corpus
        self.features = features
        self.body = body
        self.folder = folder
        self.strict = strict
        self.manifest_path = folder / "manifest.json"
        self.encoders: dict = {}

    def keys(self, entry: Entry) -> dict[str, str]:
        """For each file of a recording, the key of what it depends on."""
        source = (FORMAT, self.corpus.stamp(entry))
        keys = {MOTION: _digest((source, self.body.name))}
        for slot in SLOTS:
            stride = self.features["stride"]
            keys[slot] = _digest((source, stride, dict(self.features["slots"][slot])))
        return keys

    def run(self) -> Store:
        """Prepare what is missing or out of date, with a progress bar, and open the store."""
        from rich.progress import track

        records = self._load_manifest()
        entries = self.corpus.entries()
        stale = [entry for entry in entries if records.get(entry.id, {}).get("keys") != self.keys(entry)]
        quarantine: list[tuple[str, str]] = []
        for entry in track(stale, description=f"Preparing {self.corpus.name}", disable=not stale):
            try:
                records[entry.id] = self._prepare(entry, records.get(entry.id, {}))
            except SemTalkError as error:
                if self.strict:
                    raise
                records.pop(entry.id, None)
                quarantine.append((entry.id, str(error)))
        wanted = {entry.id: entry for entry in entries}
        kept = [records[name] | {"split": wanted[name].split} for name in wanted if name in records]
        self._save(records, quarantine)
        speakers = sorted({record["speaker"] for record in kept})
        return Store(self.folder, [StoredRecording(self.folder, record) for record in kept], speakers)

    def _load_manifest(self) -> dict[str, dict]:
        """Manifest, completed by the records of an interrupted preparation."""
        records = json.loads(self.manifest_path.read_text())["recordings"] if self.manifest_path.is_file() else {}
        for path in sorted(self.folder.glob("*.record.json")):
            record = json.loads(path.read_text())
            records[record["id"]] = record
        return records

    def _prepare(self, entry: Entry, old: dict) -> dict:
        keys = self.keys(entry)
        recording = self.corpus.read(entry)
        tensors = motion_tensors(recording, self.body)
        if old.get("keys", {}).get(MOTION) != keys[MOTION]:
            self._write(entry.id, MOTION, tensors)
        utterance = Utterance(tensors["wave"].numpy(), [tuple(word) for word in recording.words], recording.frames)
        for slot in SLOTS:
            if old.get("keys", {}).get(slot) != keys[slot]:
                if slot not in self.encoders:
                    self.encoders[slot] = build_encoder(self.features, slot)
                self._write(entry.id, slot, {slot: torch.from_numpy(encode(self.encoders[slot], slot, utterance))})
        record = {
            "id": entry.id, "speaker": entry.speaker, "split": entry.split, "frames": recording.frames,
            "seconds": recording.frames / FPS, "emotion": recording.emotion, "words": recording.words,
            "keywords": [row for row in recording.semantics or [] if row.score > 0.1], "keys": keys,
        }  # fmt: skip
        path = self.folder / f"{entry.id}.record.json"
        atomic_write(path, lambda temporary: temporary.write_text(json.dumps(record), encoding="utf-8"))
        return json.loads(json.dumps(record))

    def _write(self, identifier: str, name: str, tensors: dict[str, Tensor]) -> None:
        path = self.folder / f"{identifier}.{name}.safetensors"
        tensors = {key: value.contiguous() for key, value in tensors.items()}
        atomic_write(path, lambda temporary: save_file(tensors, temporary))

    def _save(self, records: dict[str, dict], quarantine: list[tuple[str, str]]) -> None:
        from semtalk import __version__

        manifest = {
            "format": FORMAT, "version": __version__, "corpus": self.corpus.name, "body": self.body.name,
            "features": json.loads(json.dumps(dict(self.features), default=dict)), "recordings": records,
        }  # fmt: skip
        text = json.dumps(manifest)
        if not self.manifest_path.is_file() or self.manifest_path.read_text() != text:
            atomic_write(self.manifest_path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        for path in self.folder.glob("*.record.json"):
            path.unlink()
        listing = self.folder / "quarantine.csv"
        if not quarantine:
            listing.unlink(missing_ok=True)
            return

        def write(temporary: Path) -> None:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("id", "reason"), *quarantine])

        atomic_write(listing, write)
        print(f"{len(quarantine)} bad recordings are left out; {listing} lists them:")
        for name, reason in quarantine:
            print(f"  {name}: {reason}")


def prepare(corpus: Corpus, features: Mapping, body: BodyModel, folder: str | Path, strict: bool = False) -> Store:
    """Prepare a corpus into a store, or open it when nothing has changed.

    Args:
        corpus: The reader.
        features: Feature configuration: slots with encoder and dim, and the stride of windows.
        body: For foot contact.
        folder: Where the store is.
        strict: Stop at the first bad recording instead of listing it in ``quarantine.csv``.
    """
    return Preparation(corpus, features, body, Path(folder), strict).run()


def joint_speed(recordings: list[StoredRecording], body: BodyModel) -> np.ndarray:
    """Mean joint speed (55,) in m/s over recordings, with translation: what the beat metric is normalised by."""
    total, frames = np.zeros(55), 0
    for recording in recordings:
        joints = body.joints(recording["poses"], recording["betas"], recording["trans"]).double().numpy()
        speed = np.linalg.norm(np.gradient(joints, 1 / FPS, axis=0), axis=-1)
        total += speed.sum(axis=0)
        frames += len(speed)
    return total / frames
