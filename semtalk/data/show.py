"""The reader of SHOW (TalkSHOW, CVPR 2023); :mod:`semtalk.data.show_split` finds its clips, show_pickle reads them."""

import contextlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from semtalk.body import load_body
from semtalk.catalogue import SMPLX_FILE
from semtalk.data.recording import Entry, Recording, read_semantics
from semtalk.data.show_pickle import count_frames, hand_components, hand_scale_note, read_show_pickle, upright
from semtalk.data.show_split import (
    ABSENT,
    SPEAKERS,
    Clip,
    SplitList,
    counts_line,
    find_clips,
    read_split_file,
    speakers_here,
    split_by_video,
    split_name,
    split_note,
)
from semtalk.data.sources import file_stamp
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.recognise import WHISPER, Recogniser
from semtalk.features.transcript import Word, read_transcript
from semtalk.files import atomic_write, read_kept, write_json
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FEET, FPS, NUM_JOINTS, SAMPLE_RATE

TRANSCRIPTS = (".TextGrid", ".json", ".srt")
"""What a transcript beside a sequence may end in; the first that is there is read."""
MEAN_HANDS = "hands are SMPL-X's mean hands: there is no SMPL-X file to turn SHOW's hand components into joints"
COEFFICIENTS = 12
"""Components of each hand."""


class SHOWCorpus:
    """SHOW on disk; words come from Whisper once and are kept, semantic labels from ``scripts/label_semantics.py``."""

    version = 2

    def __init__(
        self,
        root: str | None,
        words: str = "whisper",
        hands: str = "smplx",
        smplx_path: str | None = None,
        made: str = "data/show",
        name: str = "show",
        speakers: list[str] | str = "all",
        min_frames: int = 61,
        min_seconds: float = 0.0,
        split_file: str | None = None,
        whisper: str = WHISPER,
        language: str | None = "en",
    ):
        """Open the corpus.

        Args:
            root: The folder that holds the speakers' folders, or ``train``, ``val`` and ``test`` with these in them.
            words: ``whisper`` transcribes what has no transcript; ``none`` goes on without words.
            hands: ``smplx`` turns hand components into joints with the user's SMPL-X file; ``mean`` takes mean hands.
            smplx_path: Folder of the SMPL-X model, as ``body.path``.
            made: Folder of what is made for the corpus: ``words/{id}.json``, ``semantics/{id}.txt``, ``frames.json``.
            name: What the run folder and the reports call it.
            speakers: Names of speakers, or ``all``.
            min_frames: Sequences of fewer frames of motion are left out.
            min_seconds: Sequences of shorter motion are left out; the paper says 10.
            split_file: A list, such as the official one; what it does not name is left out. Without one, the folders
                ``train``, ``val`` and ``test`` say the split; where there are none, videos are shared out 80/10/10.
            whisper: Model that transcribes.
            language: What is spoken; detected for none.
        """
        if root is None:
            raise SemTalkError(f"data.root is not set: give the folder of the corpus, as in data={name} data.root=DIR.")
        self.root = Path(root)
        chosen = SPEAKERS if speakers == "all" else tuple(speakers)
        if unknown := [speaker for speaker in chosen if speaker not in SPEAKERS]:
            raise SemTalkError(f"data.speakers: {unknown[0]} is none of SHOW's; choose among {', '.join(SPEAKERS)}.")
        self.speakers = speakers_here(self.root, chosen)
        if not self.speakers:
            raise SemTalkError(f"data.root={root}: there is no folder {' or '.join(chosen)}; is this a SHOW folder?")
        if words not in ("whisper", "none") or hands not in ("smplx", "mean"):
            raise SemTalkError(f"data.words={words}, data.hands={hands}: choose whisper or none, and smplx or mean.")
        self.name, self.words = name, words
        self.min_frames, self.min_seconds = min_frames, min_seconds
        self.chosen = chosen
        self.split_file = split_file
        self.made = Path(made)
        self.whisper, self.language = whisper, language
        self.body = load_body(smplx_path if hands == "smplx" else None)
        self.hands, self.hands_note = self._hands(hands, smplx_path)

    def _hands(self, hands: str, smplx_path: str | None) -> tuple[tuple[np.ndarray, np.ndarray] | None, str | None]:
        if hands == "mean":
            return None, MEAN_HANDS
        if smplx_path is None:
            raise SemTalkError(
                "SHOW's hands are components of SMPL-X: set body.path to the folder that holds "
                "smplx/SMPLX_NEUTRAL_2020.npz, or data.hands=mean to go on with mean hands."
            )
        path = Path(smplx_path) / SMPLX_FILE
        left, right = hand_components(path)
        return (left[:COEFFICIENTS], right[:COEFFICIENTS]), hand_scale_note(path, left, right)

    @cached_property
    def listed(self) -> SplitList | None:
        """What the list says, where there is one."""
        return None if self.split_file is None else read_split_file(Path(self.split_file))

    @property
    def notes(self) -> list[str]:
        """What every result has to say: which split it is of, and of hands that are not SHOW's."""
        return [split_note(self.split_name), *([self.hands_note] if self.hands_note else [])]

    @cached_property
    def split_name(self) -> str:
        """What the split is called; one that parts videos and one that does not have different names."""
        return split_name(self._splits, self.listed, self._by_folder)

    @cached_property
    def _clips(self) -> dict[str, Clip]:
        """Id -> sequence, of all that are on disk."""
        clips: dict[str, Clip] = {}
        for clip in find_clips(self.root, self.speakers):
            if clip.id in clips:
                raise SemTalkError(f"{clip.path} and {clips[clip.id].path}: both would be called {clip.id}.")
            clips[clip.id] = clip
        return clips

    @cached_property
    def _by_folder(self) -> bool:
        return self.listed is None and any(clip.split for clip in self._clips.values())

    @cached_property
    def _splits(self) -> dict[Clip, str]:
        """Sequences that are in a split, however short."""
        clips = self._clips.values()
        if self.listed is not None:
            return {clip: self.listed.splits[clip.name] for clip in clips if clip.name in self.listed.splits}
        if self._by_folder:
            return {clip: clip.split for clip in clips if clip.split}
        return split_by_video(clips)

    def entries(self) -> list[Entry]:
        """Sequences in a split, of at least ``min_frames`` frames and ``min_seconds`` of motion."""
        return self._entries

    @cached_property
    def _entries(self) -> list[Entry]:
        if not self._splits:
            where = self.listed.path if self.listed is not None else "any split"
            raise SemTalkError(f"{self.root}: none of the {len(self._clips)} sequences here is in {where}.")
        least = max(self.min_frames, math.ceil(self.min_seconds * FPS - 0.5))
        frames = self._frames  # reading a sequence will say what is wrong with one that has none
        chosen = [clip for clip in self._splits if frames[clip.id] is None or frames[clip.id] >= least]
        if not chosen:
            raise SemTalkError(
                f"{self.root}: none of the {len(self._splits)} sequences of the {self.split_name} has "
                f"{least} frames or more (data.min_frames, data.min_seconds)."
            )
        return [Entry(clip.id, clip.speaker, self._splits[clip]) for clip in chosen]

    @cached_property
    def _frames(self) -> dict[str, int | None]:
        """Frames of motion of the sequences in a split, by their files; kept, and counted again when a file changes."""
        path = self.made / "frames.json"
        known, stamps = read_kept(path), {clip.id: file_stamp(clip.file(".pkl")) for clip in self._splits}
        found = {one: known[one] for one, stamp in stamps.items() if one in known and known[one][0] == stamp}
        lacking = [clip for clip in self._splits if clip.id not in found]
        for clip in track(lacking, f"Counting frames of {self.name}", transient=True) if lacking else ():
            found[clip.id] = [stamps[clip.id], count_frames(clip.file(".pkl"))]
        if lacking:
            with contextlib.suppress(OSError):  # a folder that may not be written to: they are counted again
                write_json(path, known | found)
        return {one: frames for one, (_, frames) in found.items()}

    def lacking(self) -> str | None:
        """What the list names and the folder does not have, in a sentence."""
        if self.listed is None:
            return None
        absent = self.listed.absent(self._clips.values(), self.chosen)
        if not absent:
            return None
        return (
            f"{self.listed.path}: {len(absent):,} of the clips that it lists are not in {self.root}: "
            f"{', '.join(absent[:3])}{' and others' if len(absent) > 3 else ''}"
            f"{f'; release 1.0 of the corpus lacks {ABSENT}' if self.listed.is_official else ''}."
        )

    def report(self, counts: Mapping[str, int]) -> list[str]:
        """Lines about how many clips are prepared, and about those on disk that are not taken.

        Args:
            counts: Split -> clips that are prepared.
        """
        unsplit, short = len(self._clips) - len(self._splits), len(self._splits) - len(self._entries)
        where = "the list" if self.listed is not None else "a folder of a split"
        lines = [counts_line(counts, self.split_name, set(self.chosen) == set(SPEAKERS))]
        if unsplit or short:
            lines.append(
                f"Left out: {unsplit:,} sequences that are not in {where}, {short:,} that are too short "
                "(data.min_frames, data.min_seconds)."
            )
        for made, path in (("words that Whisper heard", self._words_path), ("labels of a gate", self._semantics_path)):
            if count := sum(path(entry.id).is_file() for entry in self._entries):
                lines.append(f"With {made}, instead of anyone's own: {count:,} of {len(self._entries):,} clips.")
        return lines

    def seconds(self, entry: Entry) -> float | None:
        """Length of the sequence's motion, or none where there is no motion or no sound."""
        frames, wave = self._frames[entry.id], self._clips[entry.id].file(".wav")
        return frames / FPS if frames and wave.is_file() else None

    def stamp(self, entry: Entry) -> str:
        """Of the sequence's files, what was made for it and SMPL-X, and how its hands and words are made."""
        files = [self._clips[entry.id].file(suffix) for suffix in (".pkl", ".wav", *TRANSCRIPTS)]
        files += [self._words_path(entry.id), self._semantics_path(entry.id)]
        files += [] if self.body.source is None else [self.body.source]
        return f"{file_stamp(*files)},{self.words},{'mean' if self.hands is None else 'smplx'}"

    def read(self, entry: Entry) -> Recording:
        """Read one sequence.

        Raises:
            SemTalkError: A file is missing or bad, or the sound is shorter than the motion.
        """
        sound = self._clips[entry.id].file(".wav")
        arrays = read_show_pickle(self._clips[entry.id].file(".pkl"))
        wave = load_audio(sound)
        motion = self._motion(arrays)
        refuse_shorter(sound, len(wave), len(motion))
        labels = self._semantics_path(entry.id)
        return Recording(
            id=entry.id,
            speaker=entry.speaker,
            split=entry.split,
            wave=wave,
            motion=motion,
            words=self._read_words(entry.id, wave),
            semantics=read_semantics(labels) if labels.is_file() else None,
            whole_sound=True,
            window_frames=len(motion) // FPS * FPS,
        )

    def _motion(self, arrays: dict[str, np.ndarray]) -> Motion:
        frames, betas = len(arrays["expression"]), arrays["betas"]
        rest = self.body.rest_joints(torch.from_numpy(betas)).numpy()
        orient, trans = upright(arrays, rest[0], rest[list(FEET), 1].min())
        poses = np.zeros((frames, NUM_JOINTS, 3), np.float32)
        poses[:, 0] = orient
        poses[:, 1:22] = arrays["body_pose_axis"].reshape(frames, 21, 3)
        for joint, key in enumerate(("jaw_pose", "leye_pose", "reye_pose"), start=22):
            poses[:, joint] = arrays[key]
        if self.hands is not None:  # the mean hand is added by the body, as for BEAT2
            poses[:, 25:40] = (arrays["left_hand_pose"] @ self.hands[0]).reshape(frames, 15, 3)
            poses[:, 40:55] = (arrays["right_hand_pose"] @ self.hands[1]).reshape(frames, 15, 3)
        return Motion(poses, arrays["expression"], trans, betas)

    def untranscribed(self) -> bool:
        """Whether Whisper is needed: words are wanted, and some sequence has none yet."""
        return self.words == "whisper" and any(
            not self._words_path(entry.id).is_file()
            and not any(self._clips[entry.id].file(suffix).is_file() for suffix in TRANSCRIPTS)
            for entry in self._entries
        )

    def _semantics_path(self, identifier: str) -> Path:
        return self.made / "semantics" / f"{identifier}.txt"

    def _words_path(self, identifier: str) -> Path:
        return self.made / "words" / f"{identifier}.json"

    def _read_words(self, identifier: str, wave: np.ndarray) -> list[Word]:
        if self.words == "none":
            return []
        for suffix in TRANSCRIPTS:
            if (path := self._clips[identifier].file(suffix)).is_file():
                return read_transcript(path, wave)
        kept = self._words_path(identifier)
        if not kept.is_file():
            words = [{"word": word.text, "start": word.start, "end": word.end} for word in self._recogniser(wave)]
            atomic_write(kept, lambda temporary: temporary.write_text(json.dumps(words), encoding="utf-8"))
        if kept.read_text(encoding="utf-8") == "[]":  # nothing is said in it
            return []
        return read_transcript(kept, wave)

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser(self.whisper, self.language, "data.whisper")

    def mean_joint_speed(self) -> np.ndarray | None:
        """SHOW ships none."""
        return None


def refuse_shorter(path: Path, samples: int, frames: int) -> None:
    """Refuse sound that is shorter than its motion; longer sound is its beginning that counts.

    One frame may be missing where the motion's whole seconds lack none: the last row of features is repeated then.

    Args:
        path: Of the sound.
        samples: At 16 kHz.
        frames: Of motion.

    Raises:
        SemTalkError: It is shorter.
    """
    heard = samples * FPS // SAMPLE_RATE
    if heard < max(frames - 1, frames // FPS * FPS):
        raise SemTalkError(
            f"{path}: sound of {heard} frames for {frames} frames of motion; give all of it, or leave the clip out."
        )
