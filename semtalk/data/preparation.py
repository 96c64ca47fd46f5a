"""Turns a corpus into a store, recording by recording; any number of processes may work on one store.

Every file of a recording says in its own header what it was made from: its settings, and the content that it was made
of. No other file says it, so that nothing that happens between two writes can make it untrue; a file is renamed into
its place when it is whole. What no longer fits is made anew, alone. The record beside them holds the content of the
sources as they were read, and their stamp: while that stays, nothing is read again.

A recording is done under its own lock: a killed preparation goes on where it stopped, and a second process takes other
recordings meanwhile.
"""

import csv
import glob
import json
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors.torch import save
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.data.index import State, StoreIndex
from semtalk.data.recording import SPLITS, Corpus, Entry, Recording, frame_scores
from semtalk.data.sources import ContentHashes, contents, digest
from semtalk.data.store import FILES, MOTION, SEMANTIC, WAVE, Store, StoredRecording
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.extract import SLOTS, Encoder, build_encoder, count_lines, encode, encoder_settings, leading_rows
from semtalk.features.needs import needs_table, slot_needs
from semtalk.features.utterance import WatchedUtterance, fit_wave
from semtalk.files import atomic_write, plain, read_kept, write_json
from semtalk.log import LOG
from semtalk.motion.io import Motion
from semtalk.motion.parts import foot_contact, root_from_translation, rotation_from_poses
from semtalk.motion.skeleton import FEET, FPS
from semtalk.motion.speed import speed_sum
from semtalk.settings.inputs import Features

FORMAT = 5
"""Raised when the same sources and settings give other files."""
STORED = {"float16": torch.float16, "float32": torch.float32}
"""Types that features can be kept in."""


def motion_tensors(motion: Motion, body: BodyModel) -> dict[str, Tensor]:
    """What is kept of a motion: (T, ...) arrays as float32, and the sum over frames of each joint's speed in m/s."""
    poses, trans, betas = (torch.from_numpy(a) for a in (motion.poses, motion.trans, motion.betas))
    joints = body.joints(poses, betas, trans)
    return {
        "rotation": rotation_from_poses(poses),
        "expressions": torch.from_numpy(motion.expressions),
        "trans": trans,
        "root": root_from_translation(trans),
        "contact": foot_contact(joints[:, list(FEET)]),
        "betas": betas,
        "speed": torch.from_numpy(speed_sum(joints.numpy())),
    }


def semantic_scores(recording: Recording) -> Tensor:
    """Semantic score (T,) of each frame, NaN where the take is unlabelled."""
    frames, semantics = recording.frames, recording.semantics
    scores = frame_scores(semantics, frames) if semantics is not None else np.full(frames, np.nan)
    return torch.from_numpy(scores.astype(np.float32))


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
        self.encoders: dict[str, Encoder] = {}
        self.index = StoreIndex(folder)

    @cached_property
    def settings(self) -> dict[str, dict]:
        """For each file of a recording, the settings that it is made by.

        Below ``files`` stand the names and contents of models, none for the content of one that is not here.
        """
        hashes = ContentHashes(self.folder / "hashes.json")
        body, source = self.body, self.body.source
        files = {} if source is None else {"body": [str(source), hashes.content(source)]}
        made = {MOTION: {"body": body.name, "version": body.version, "files": files}}
        for slot in SLOTS:
            made[slot] = encoder_settings(self.features, slot)
            named = {key: made[slot]["options"].pop(key, None) for key in ("model", "path")}
            made[slot]["files"] = {key: [name, hashes.model(name)] for key, name in named.items()}
        return {name: plain({"format": FORMAT, "files": {}} | made.get(name, {})) for name in FILES}

    def _stamp(self, entry: Entry) -> str:
        """Of what a recording is read from: its entry, its files, and the reader's version, 1 where it has none."""
        return digest([FORMAT, getattr(self.corpus, "version", 1), *entry, self.corpus.stamp(entry)])

    def _bad_stamp(self, entry: Entry) -> str:
        """Of what may be the reason that a recording is bad."""
        return digest([self._stamp(entry), self.settings])

    def _fits(self, name: str, origin: str, content: dict) -> bool:
        """Whether a file of this origin is what settings and content give; a model not here goes by its name."""
        if not origin:
            return False
        made, wanted = json.loads(origin), self.settings[name]
        for key, (called, there) in wanted["files"].items():
            before = made["by"]["files"].get(key, [None, None])
            if before[1] == there if there else before[0] == called:
                made["by"]["files"][key] = [called, there]
        return made["by"] == wanted and all(content[key] == kept for key, kept in made["of"].items())

    def _state(self, entry: Entry) -> State:
        record = self.index.record(self._path(entry, "record.json"))
        if record.get("stamp") != self._stamp(entry):
            return State({}, {})
        heads = {name: self.index.head(self._path(entry, f"{name}.safetensors")) for name in FILES}
        origins = {name: head.get("origin", "") for name, head in heads.items()}
        fitting = {name: o for name, o in origins.items() if self._fits(name, o, record["content"])}
        return State(record, fitting, heads[MOTION].get("speed"))

    def _reason(self, entry: Entry) -> str | None:
        """Why a recording is bad; none for one that is good, or was bad before something changed."""
        bad = read_kept(self._path(entry, "bad.json"))
        return bad["reason"] if bad and bad.get("stamp") == self._bad_stamp(entry) else None

    def run(self, shard: tuple[int, int] = (1, 1)) -> Store:
        """Prepare what is missing or out of date of a share of the recordings, and open what there is."""
        from rich.progress import Progress, TimeRemainingColumn

        entries = self._entries()
        states = {entry: self._state(entry) for entry in entries}
        share = entries[shard[0] - 1 :: shard[1]]
        stale = [entry for entry in share if states[entry].missing and (self.strict or self._reason(entry) is None)]
        if stale:
            self.folder.mkdir(parents=True, exist_ok=True)
            with Progress(*Progress.get_default_columns()[:3], TimeRemainingColumn()) as progress:
                task = progress.add_task(f"Preparing {self.corpus.name}", total=len(stale))
                waiting = [entry for entry in stale if not self._turn(entry, 0, lambda: progress.advance(task))]
                for entry in waiting:  # another process had them
                    self._turn(entry, -1, lambda: progress.advance(task))
            for line in count_lines(self.encoders):
                LOG.info(line)
        states |= {entry: self._state(entry) for entry, state in states.items() if state.missing}
        self.index.write()
        return self._open(states, share, aloud=bool(stale))

    def _entries(self) -> list[Entry]:
        """What the corpus offers.

        Raises:
            SemTalkError: Nothing, or a take of a split that does not exist; or, with ``strict``, not all that it lists.
        """
        entries = self.corpus.entries()
        if not entries:
            raise SemTalkError(f"data={self.corpus.name}: there is no recording in it.")
        for entry in entries:
            if entry.split not in SPLITS:
                raise SemTalkError(f"{entry.id}: the split {entry.split} does not exist; choose {', '.join(SPLITS)}.")
        if said := getattr(self.corpus, "lacking", lambda: None)():
            if self.strict:
                raise SemTalkError(f"{said} Without strict=true they are left out.")
            LOG.warning(said)
        return entries

    def _path(self, entry: Entry, name: str) -> Path:
        return self.folder / f"{entry.id}.{name}"

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
        if not self._state(entry).missing or not (self.strict or self._reason(entry) is None):
            return  # another process was here
        bad = self._path(entry, "bad.json")
        try:
            self._prepare(entry)
            bad.unlink(missing_ok=True)
        except MissingModelError:
            raise
        except SemTalkError as error:
            if self.strict:
                raise
            write_json(bad, {"id": entry.id, "reason": str(error), "stamp": self._bad_stamp(entry)})

    def _read(self, entry: Entry) -> tuple[str, Recording]:
        """A recording, and the stamp of what it was read from."""
        for _ in range(3):  # reading may make a file, such as a transcript
            stamp = self._stamp(entry)
            try:
                recording = self.corpus.read(entry)
            except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
                said = f"{type(error).__name__}: {error}"
                raise SemTalkError(f"{entry.id}: the reader of {self.corpus.name} fails ({said}).") from error
            if stamp == self._stamp(entry):
                return stamp, recording
        raise SemTalkError(f"{entry.id}: its files change while they are read; prepare it when they rest.")

    def _prepare(self, entry: Entry) -> None:
        stamp, recording = self._read(entry)
        if recording.motion is None:
            raise SemTalkError(f"{recording.id}: it has no motion; a store for training needs one.")
        heard, wave = recording.heard, fit_wave(recording.wave, recording.frames)
        content = contents(recording, heard)
        record = {
            "id": entry.id, "speaker": entry.speaker, "split": entry.split, "frames": recording.frames,
            "seconds": recording.frames / FPS, "emotion": recording.emotion, "words": recording.words,
            "keywords": [row for row in recording.semantics or [] if row.score > 0.1], "stamp": stamp,
            "content": content, "window_frames": recording.window_frames,
        }  # fmt: skip
        write_json(self._path(entry, "record.json"), record)
        missing = self._state(entry).missing
        self._refuse_missing([slot for slot in SLOTS if slot in missing and slot not in self.encoders])
        if MOTION in missing:
            self._write(entry, MOTION, motion_tensors(recording.motion, self.body), content, ["motion"])
        if WAVE in missing:
            self._write(entry, WAVE, {WAVE: torch.from_numpy(wave)}, content, ["wave", "frames"])
        if SEMANTIC in missing:
            self._write(entry, SEMANTIC, {SEMANTIC: semantic_scores(recording)}, content, ["semantics", "frames"])
        words = [tuple(word) for word in recording.words]
        for slot in [slot for slot in SLOTS if slot in missing]:
            utterance = WatchedUtterance(heard.copy(), words, emotion=recording.emotion)
            values = encode(self._encoder(slot), self.features, slot, utterance)
            if recording.whole_sound:
                utterance.read |= {"wave"}  # which says how many rows there are
                values = leading_rows(self.features, slot, values, recording.frames)
            self._write(entry, slot, {slot: self._stored(slot, values)}, content, sorted(utterance.read))

    def _refuse_missing(self, slots: list[str]) -> None:
        """See that the encoders of slots have what they need, all at once.

        Raises:
            MissingModelError: Something is not here.
        """
        lacking = [need for slot in slots for need in slot_needs(self.features, slot) if not need.here]
        if len(lacking) > 1:  # of one, its encoder says it
            raise MissingModelError(f"{self.corpus.name} cannot be prepared:\n\n{needs_table(lacking)}")

    def _encoder(self, slot: str) -> Encoder:
        """The encoder of a slot, built for the first recording that needs it; that there is none stops all of them."""
        if slot not in self.encoders:
            try:
                self.encoders[slot] = build_encoder(self.features, slot)
            except SemTalkError as error:
                raise MissingModelError(str(error)) from error
        return self.encoders[slot]

    def _stored(self, slot: str, values: np.ndarray) -> Tensor:
        """A feature as it is kept: ids as they are, other values in ``features.stored``."""
        tensor = torch.from_numpy(values)
        if not tensor.is_floating_point():
            return tensor
        kept = tensor.to(STORED[self.features.stored])
        if not kept.isfinite().all():
            raise SemTalkError(f"the encoder of {slot} gave values too large for float16; use features.stored=float32.")
        return kept

    def _write(self, entry: Entry, name: str, tensors: dict[str, Tensor], content: dict, read: list[str]) -> None:
        """Write a file that was made from those keys of the content."""
        tensors = {key: value.contiguous() for key, value in tensors.items()}
        origin = json.dumps({"by": self.settings[name], "of": {key: content[key] for key in read}}, sort_keys=True)
        path = self._path(entry, f"{name}.safetensors")
        atomic_write(path, lambda temporary: temporary.write_bytes(save(tensors, {"origin": origin})))

    def _open(self, states: dict[Entry, State], share: list[Entry], aloud: bool) -> Store:
        recordings, quarantine = [], []
        for entry, state in states.items():
            if not state.missing:
                info = state.record | {"origins": state.origins, "speed": state.speed}
                recordings.append(StoredRecording(self.folder, info))
            elif reason := self._reason(entry):
                quarantine.append((entry.id, reason))
            elif entry in share:
                raise SemTalkError(
                    f"{entry.id}: its files, or those in {self.folder}, were changed meanwhile; if another process "
                    "prepares other settings there, give one of them another features.name, and start again."
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._list_quarantine(quarantine, aloud)
        speakers = sorted({recording.info["speaker"] for recording in recordings})
        if (name := getattr(self.corpus, "split_name", None)) is not None:
            write_json(self.folder / "split.json", {"split": name})
        return Store(self.folder, recordings, speakers, self.features.stride, name)

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
        strict: Stop at a bad recording instead of listing it in ``quarantine.csv``, and at ones that are not there.
        shard: (i, n): prepare the i-th of n shares alone.

    Raises:
        SemTalkError: An encoder's model is missing; or, with ``strict``, a recording is bad.
    """
    return Preparation(corpus, features, body, Path(folder), strict).run(shard)
