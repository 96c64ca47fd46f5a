"""Turns a corpus into a store, recording by recording; any number of processes may work on one store.

Beside a recording's files lies its record, with the key of all that each file depends on: a key that changed (other
source files, other encoder settings) invalidates that file alone. A recording is done under its own lock, and every
file is written under another name and renamed: a killed preparation goes on where it stopped, and a second process
takes other recordings meanwhile.
"""

import csv
import glob
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors.torch import save_file
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.data.recording import SPLITS, Corpus, Entry, Recording, frame_scores
from semtalk.data.store import MOTION, Store, StoredRecording
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.extract import SLOTS, build_encoder, count_lines, encode
from semtalk.features.utterance import Utterance, fit_wave
from semtalk.files import atomic_write
from semtalk.log import LOG
from semtalk.motion.parts import foot_contact, root_from_translation, rotation_from_poses
from semtalk.motion.skeleton import FEET, FPS
from semtalk.settings.inputs import Features

FORMAT = 4
STORED = {"float16": torch.float16, "float32": torch.float32}
"""Types that features can be kept in."""


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
        "rotation": rotation_from_poses(poses),
        "expressions": torch.from_numpy(motion.expressions),
        "trans": trans,
        "root": root_from_translation(trans),
        "contact": foot_contact(joints[:, list(FEET)]),
        "betas": betas,
        "semantic": torch.from_numpy(scores.astype(np.float32)),
        "wave": torch.from_numpy(fit_wave(recording.wave, len(motion))),
    }


def parse_shard(shard: str | None) -> tuple[int, int]:
    """Read ``i/n`` as (i, n), 1 <= i <= n; (1, 1) for none.

    Raises:
        SemTalkError: It is neither.
    """
    if shard is None:
        return 1, 1
    first, _, count = str(shard).partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise SemTalkError(f"shard={shard}: give i/n with i from 1 to n, as in shard=2/8.")
    return int(first), int(count)


class Preparation:
    """The preparation of one corpus with one feature configuration."""

    def __init__(self, corpus: Corpus, features: Features, body: BodyModel, folder: Path, strict: bool):
        self.corpus = corpus
        self.features = features
        self.body = body
        self.folder = folder
        self.strict = strict
        self.encoders: dict = {}

    def keys(self, entry: Entry) -> dict[str, str]:
        """For each file of a recording, the key of what it depends on."""
        source = (FORMAT, self.corpus.stamp(entry))
        keys = {MOTION: _digest((source, self.body.name))}
        for slot in SLOTS:
            features = self.features
            keys[slot] = _digest((source, features.stride, features.stored, features.slots[slot].plain()))
        return keys

    def run(self, shard: tuple[int, int] = (1, 1)) -> Store:
        """Prepare what is missing or out of date of a share of the recordings, and open what there is."""
        from rich.progress import Progress, TimeRemainingColumn

        entries = self._entries()
        missing = {entry: self._missing(entry) for entry in entries[shard[0] - 1 :: shard[1]]}
        stale = [entry for entry, names in missing.items() if names]
        if stale:
            self.folder.mkdir(parents=True, exist_ok=True)
            for slot in sorted(set().union(*missing.values()) - {MOTION}):
                self.encoders[slot] = build_encoder(self.features, slot)
            with Progress(*Progress.get_default_columns()[:3], TimeRemainingColumn()) as progress:
                task = progress.add_task(f"Preparing {self.corpus.name}", total=len(stale))
                waiting = [entry for entry in stale if not self._turn(entry, 0, lambda: progress.advance(task))]
                for entry in waiting:  # another process had them
                    self._turn(entry, -1, lambda: progress.advance(task))
            for line in count_lines(self.encoders):
                LOG.info(line)
        return self._open(entries, list_bad=bool(stale))

    def _entries(self) -> list[Entry]:
        """What the corpus offers.

        Raises:
            SemTalkError: Nothing, or a take of a split that does not exist.
        """
        entries = self.corpus.entries()
        if not entries:
            raise SemTalkError(f"data={self.corpus.name}: there is no recording in it.")
        for entry in entries:
            if entry.split not in SPLITS:
                raise SemTalkError(f"{entry.id}: the split {entry.split} does not exist; choose {', '.join(SPLITS)}.")
        return entries

    def _path(self, entry: Entry, name: str) -> Path:
        return self.folder / f"{entry.id}.{name}"

    def _record(self, entry: Entry, name: str = "record.json") -> dict:
        """What is known of a recording; empty when there is nothing, or a file of it is gone."""
        path = self._path(entry, name)
        if not path.is_file():
            return {}
        record = json.loads(path.read_text(encoding="utf-8"))
        if name == "record.json":
            there = {key for key in record["keys"] if self._path(entry, f"{key}.safetensors").is_file()}
            record["keys"] = {key: value for key, value in record["keys"].items() if key in there}
        return record

    def _missing(self, entry: Entry) -> set[str]:
        """Files of a recording that are to be made: none for one that is as bad as it was."""
        keys = self.keys(entry)
        if self._record(entry, "bad.json").get("keys") == keys and not self.strict:
            return set()
        known = self._record(entry).get("keys", {})
        return {name for name, key in keys.items() if known.get(name) != key}

    def _turn(self, entry: Entry, timeout: float, done) -> bool:
        """Prepare a recording unless another process does; returns whether it is done with."""
        try:
            with FileLock(self._path(entry, "lock"), timeout=timeout):
                for stray in self.folder.glob(f".{glob.escape(entry.id)}.*.tmp*"):
                    stray.unlink()  # a killed process left it
                self._prepare_or_list(entry)
        except Timeout:
            return False
        self._path(entry, "lock").unlink(missing_ok=True)
        done()
        return True

    def _prepare_or_list(self, entry: Entry) -> None:
        missing, bad = self._missing(entry), self._path(entry, "bad.json")
        if not missing:
            return
        try:
            self._prepare(entry, missing)
            bad.unlink(missing_ok=True)
        except MissingModelError:
            raise
        except SemTalkError as error:
            if self.strict:
                raise
            self._path(entry, "record.json").unlink(missing_ok=True)
            self._write_json(bad, {"id": entry.id, "reason": str(error), "keys": self.keys(entry)})

    def _prepare(self, entry: Entry, missing: set[str]) -> None:
        keys = self.keys(entry)
        try:
            recording = self.corpus.read(entry)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            said = f"{type(error).__name__}: {error}"
            raise SemTalkError(f"{entry.id}: the reader of {self.corpus.name} fails ({said}).") from error
        tensors = motion_tensors(recording, self.body)
        if MOTION in missing:
            self._write(entry, MOTION, tensors)
        words = [tuple(word) for word in recording.words]
        utterance = Utterance(tensors["wave"].numpy(), words, recording.frames, recording.emotion)
        for slot in [slot for slot in SLOTS if slot in missing]:
            if slot not in self.encoders:
                self.encoders[slot] = build_encoder(self.features, slot)
            self._write(
                entry, slot, {slot: self._stored(slot, encode(self.encoders[slot], self.features, slot, utterance))}
            )
        record = {
            "id": entry.id, "speaker": entry.speaker, "split": entry.split, "frames": recording.frames,
            "seconds": recording.frames / FPS, "emotion": recording.emotion, "words": recording.words,
            "keywords": [row for row in recording.semantics or [] if row.score > 0.1], "keys": keys,
        }  # fmt: skip
        self._write_json(self._path(entry, "record.json"), record)

    def _stored(self, slot: str, values: np.ndarray) -> Tensor:
        """A feature as it is kept: ids as they are, other values in ``features.stored``."""
        tensor = torch.from_numpy(values)
        if not tensor.is_floating_point():
            return tensor
        kept = tensor.to(STORED[self.features.stored])
        if not kept.isfinite().all():
            raise SemTalkError(f"the encoder of {slot} gave values too large for float16; use features.stored=float32.")
        return kept

    def _write(self, entry: Entry, name: str, tensors: dict[str, Tensor]) -> None:
        tensors = {key: value.contiguous() for key, value in tensors.items()}
        path = self._path(entry, f"{name}.safetensors")
        atomic_write(path, lambda temporary: save_file(tensors, temporary))

    def _write_json(self, path: Path, content: dict) -> None:
        text = json.dumps(content)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def _open(self, entries: list[Entry], list_bad: bool) -> Store:
        from semtalk import __version__

        records, quarantine = [], []
        for entry in entries:
            record, keys = self._record(entry), self.keys(entry)
            if record and record["keys"] == keys:
                records.append(record | {"split": entry.split, "speaker": entry.speaker})
            elif (bad := self._record(entry, "bad.json")).get("keys") == keys:
                quarantine.append((entry.id, bad["reason"]))
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "format": FORMAT, "version": __version__, "corpus": self.corpus.name, "body": self.body.name,
            "features": self.features.plain(),
        }  # fmt: skip
        self._write_json(self.folder / "manifest.json", settings)
        self._list_quarantine(quarantine, list_bad)
        speakers = sorted({record["speaker"] for record in records})
        return Store(self.folder, [StoredRecording(self.folder, record) for record in records], speakers)

    def _list_quarantine(self, quarantine: list[tuple[str, str]], aloud: bool) -> None:
        listing = self.folder / "quarantine.csv"
        if not quarantine:
            listing.unlink(missing_ok=True)
            return

        def write(temporary: Path) -> None:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("id", "reason"), *quarantine])

        atomic_write(listing, write)
        LOG.warning(f"{len(quarantine)} bad recordings are left out; {listing} lists them.")
        for name, reason in quarantine if aloud else []:
            LOG.warning(f"  {name}: {reason}")


def prepare(
    corpus: Corpus,
    features: Features,
    body: BodyModel,
    folder: str | Path,
    strict: bool = False,
    shard: tuple[int, int] = (1, 1),
) -> Store:
    """Prepare a corpus into a store, or open it when nothing has changed.

    Args:
        corpus: The reader.
        features: Slots with encoder and dim, and the stride of windows.
        body: For foot contact.
        folder: Where the store is.
        strict: Stop at the first bad recording instead of listing it in ``quarantine.csv``.
        shard: (i, n): prepare the i-th of n shares alone.

    Raises:
        SemTalkError: An encoder's model is missing; or, with ``strict``, a recording is bad.
    """
    return Preparation(corpus, features, body, Path(folder), strict).run(shard)
