"""SHOW's clips on disk, in any of three layouts, and how they are shared out into train, val and test."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semtalk.data.recording import SPLITS
from semtalk.errors import SemTalkError
from semtalk.files import load_pickle, read_json

SPEAKERS = ("chemistry", "conan", "oliver", "seth")
"""Their order is that of the numbers which stores and checkpoints of earlier versions have in the names' place."""
OFFICIAL = {
    "fe81e277a2d2513a416f549632a03516ddf68472407eac22c8d31dd7a4f0f3c5": "train_val_test.json",
    "2df6e745cdf7473f13ce3ae2ed759c3cceb60c9197e7f3fd65110e7bc20b6f2d": "split_more_than_2s.pkl",
}
"""sha256 of TalkSHOW's lists, both of one split -> name."""
COUNTS = {"train": 13_687, "val": 1_715, "test": 1_708}
"""Clips of the official split that release 1.0 of the corpus has."""
ABSENT = 55
"""Clips of the official lists that release 1.0 lacks."""
WITHIN, DISJOINT = "within videos", "video-disjoint split"
OFFICIAL_SPLIT = f"official split, {WITHIN}"
MEANS = {
    WITHIN: "clips of one video are in more than one split.",
    DISJOINT: "no video is in two splits, so that no number compares with the official split's.",
}
"""What a name of a split ends with -> what results have to say of it."""


@dataclass(frozen=True)
class Clip:
    """One sequence on disk.

    Attributes:
        id: Of speaker, video and sequence, whatever the layout; what files may be called.
        path: Of its files, without suffix.
        speaker: Name.
        video: Name; empty where the folders have none.
        split: Of the folder of that name that it lies in, or none.
    """

    id: str
    path: Path
    speaker: str
    video: str
    split: str | None

    def file(self, suffix: str) -> Path:
        """One of its files; its name may have dots of its own."""
        return self.path.with_name(self.path.name + suffix)

    @property
    def name(self) -> str:
        """Of the sequence; unique in the corpus."""
        return self.path.name


def bases(root: Path) -> list[Path]:
    """Folders that may hold the speakers': the root, and those of the splits in it."""
    return [root, *(root / split for split in SPLITS)]


def speakers_here(root: Path, chosen: Iterable[str] = SPEAKERS) -> list[str]:
    """Those speakers that have a folder."""
    return [speaker for speaker in chosen if any((base / speaker).is_dir() for base in bases(root))]


def find_clips(root: Path, speakers: list[str]) -> list[Clip]:
    """Sequences of some speakers, ordered by speaker and folder whatever the layout.

    ``[split/]speaker/video/[split/]sequence/sequence.pkl``: as released, and as TalkSHOW's scripts move them.
    """
    found = []
    for base in bases(root):
        for speaker in speakers:
            for path in (base / speaker).rglob("*.pkl"):
                parts = path.relative_to(root).parts[:-1]
                split = next((part for part in parts if part in SPLITS), None)
                inner = [part for part in parts if part not in SPLITS][1:]
                order = speakers.index(speaker), inner, path.name
                identifier = re.sub(r"[^\w.-]+", "-", "_".join((speaker, *inner[:-1], path.stem)))
                clip = Clip(identifier, path.with_suffix(""), speaker, inner[0] if inner else "", split)
                found.append((order, clip))
    return [clip for _, clip in sorted(found, key=lambda pair: pair[0])]


@dataclass(frozen=True)
class SplitList:
    """A list of clips and splits.

    Attributes:
        path: Of the file.
        sha256: Of its bytes.
        splits: Name of a sequence -> split.
        speakers: Name of a sequence -> speaker, where the list says it.
    """

    path: Path
    sha256: str
    splits: dict[str, str]
    speakers: dict[str, str]

    @property
    def is_official(self) -> bool:
        """Whether it is one of TalkSHOW's own files."""
        return self.sha256 in OFFICIAL

    def absent(self, clips: Iterable[Clip], speakers: Iterable[str]) -> list[str]:
        """Names of some speakers' sequences that it lists and that are not there."""
        there, wanted = {clip.name for clip in clips}, {*speakers, None}
        return [name for name in self.splits if name not in there and self.speakers.get(name) in wanted]


def _listed(value: Any, split: str | None = None, speaker: str | None = None) -> Iterator[tuple[str, str, str | None]]:
    """Names with their split and, where it is said, their speaker, from dicts and lists that nest them in any way."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) and inner in SPLITS:
                yield from _listed(str(key), inner, speaker)
            else:
                yield from _listed(inner, key if key in SPLITS else split, key if key in SPEAKERS else speaker)
    elif isinstance(value, list | tuple | set):
        for inner in value:
            yield from _listed(inner, split, speaker)
    elif isinstance(value, str) and split:
        path = Path(value)
        name = path.stem if path.suffix in (".pkl", ".wav") else path.name
        yield name, split, next((part for part in path.parts if part in SPEAKERS), speaker)


def read_split_file(path: Path) -> SplitList:
    """Read a json or pickle that nests names below ``train``, ``val`` and ``test`` in any way.

    Raises:
        SemTalkError: It is missing or damaged, there is no name below these keys, or a name is in two splits.
    """
    if not path.is_file():
        raise SemTalkError(f"data.split_file={path}: no such file.")
    content = read_json(path, object) if path.suffix == ".json" else load_pickle(path)
    splits: dict[str, str] = {}
    speakers: dict[str, str] = {}
    for name, split, speaker in _listed(content):
        if splits.setdefault(name, split) != split:
            raise SemTalkError(f"data.split_file={path}: {name} is listed in {splits[name]} and in {split}.")
        if speaker:
            speakers[name] = speaker
    if not splits:
        raise SemTalkError(f"data.split_file={path}: no sequence is named below train, val or test.")
    return SplitList(path, hashlib.sha256(path.read_bytes()).hexdigest(), splits, speakers)


def split_by_video(clips: Iterable[Clip]) -> dict[Clip, str]:
    """8 of 10 videos of a speaker train, one val, one test, in an order that depends on their names alone."""
    clips, splits = list(clips), {}
    for speaker in {clip.speaker for clip in clips}:
        names = {clip.video for clip in clips if clip.speaker == speaker}
        videos = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
        for place, video in enumerate(videos):
            if len(videos) < 10:  # so few that tenths would leave a split without a video
                splits[speaker, video] = {0: "test", 1: "val"}.get(place, "train")
            else:
                share = (place + 0.5) / len(videos)
                splits[speaker, video] = "train" if share < 0.8 else "val" if share < 0.9 else "test"
    return {clip: splits[clip.speaker, clip.video] for clip in clips}


def split_name(splits: Mapping[Clip, str], listed: SplitList | None, by_folder: bool) -> str:
    """What a split is called wherever it is named: the official one, or one of a list, of folders or by video.

    Args:
        splits: Of the clips that are taken.
        listed: The list that they are of.
        by_folder: Whether folders say it.
    """
    if listed is not None and listed.is_official:
        return OFFICIAL_SPLIT
    of: dict[tuple[str, str], set[str]] = {}
    for clip, split in splits.items():
        of.setdefault((clip.speaker, clip.video), set()).add(split)
    kind = WITHIN if any(len(found) > 1 for found in of.values()) else DISJOINT
    if listed is not None:
        return f"split of {listed.path.name}, {kind}"
    return f"split of the folders, {kind}" if by_folder else kind


def split_note(name: str) -> str:
    """What every result has to say of a split of this name."""
    return f"SHOW, {name}: {next(said for kind, said in MEANS.items() if name.endswith(kind))}"


def said_counts(counts: Mapping[str, int]) -> str:
    """Clips of train, val and test, as in 13,687 / 1,715 / 1,708."""
    return " / ".join(f"{counts.get(split, 0):,}" for split in SPLITS)


def counts_line(counts: Mapping[str, int], name: str, whole: bool) -> str:
    """What a report says of how many clips there are.

    Args:
        counts: Split -> clips that are prepared.
        name: Of the split.
        whole: Whether all speakers are chosen, so that the known counts are to be met.
    """
    line = f"Clips of train / val / test: {said_counts(counts)} ({name})"
    if not whole or not name.startswith((OFFICIAL_SPLIT, "split of the folders")):
        return line + "."
    if Counter(counts) == Counter(COUNTS):
        return line + ", as many as the official split has in release 1.0."
    return line + f". The official split has {said_counts(COUNTS)} in release 1.0: this is another set of clips."
