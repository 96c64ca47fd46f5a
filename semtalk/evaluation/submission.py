"""Motion files as the GENEA leaderboard takes them: their names, and what is wrong with a folder of them."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from semtalk.data.recording import Corpus, Entry
from semtalk.errors import SemTalkError
from semtalk.motion.io import Motion, load_motion
from semtalk.motion.skeleton import SEED_FRAMES

KEYS = ("poses", "betas", "expressions", "trans", "gender", "mocap_frame_rate", "model")
SAME = 1e-3
"""Radians within which frames are the same ones, turned from one form of rotation into another and back."""
SAMPLE = re.compile(r"(.+)_sample_([1-9]\d*)")


def file_name(recording: str, sample: int | None) -> str:
    """Name of a motion file: of a sample from 1, or of a system that draws no random numbers."""
    return f"{recording}.npz" if sample is None else f"{recording}_sample_{sample}.npz"


def named(path: Path) -> tuple[str, int | None]:
    """Recording and sample that a motion file is called by."""
    match = SAMPLE.fullmatch(path.stem)
    return (match[1], int(match[2])) if match else (path.stem, None)


def problems(folder: Path, corpus: Corpus, samples: int) -> Iterator[str]:
    """What is wrong with a folder of motion files, a line each.

    Args:
        folder: Of the files.
        corpus: Whose test split they are of, and whose truth they are held against.
        samples: That a system has of each recording if it draws random numbers.

    Raises:
        SemTalkError: There is no such folder, or no motion file in it.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise SemTalkError(f"check={folder}: there is no folder with npz files here.")
    wanted = {entry.id: entry for entry in corpus.entries() if entry.split == "test"}
    found: dict[str, dict[int | None, Path]] = {name: {} for name in wanted}
    for path in paths:
        name, sample = named(path)
        if name in wanted:
            found[name][sample] = path
        else:
            yield f"{path.name}: {name} is no recording of the test split."
    alone = sum(None in files for files in found.values())
    if 0 < alone < sum(map(bool, found.values())):
        yield f"{alone} recordings have one file without a number, others have samples; a system has one or the other."
    for name, files in found.items():
        if not files:
            yield f"{name}: there is no motion file of this test recording."
            continue
        if set(files) not in ({None}, set(range(1, samples + 1))):
            numbers = ", ".join("one without a number" if number is None else str(number) for number in files)
            yield f"{name}: samples {numbers}; expected {samples}, from 1, or {name}.npz alone."
        yield from _file_problems(files, corpus, wanted[name])


def _file_problems(files: Mapping[int | None, Path], corpus: Corpus, entry: Entry) -> Iterator[str]:
    try:
        truth = corpus.read(entry).motion
    except SemTalkError as error:
        yield f"{entry.id}: its truth cannot be read: {error}"
        truth = None
    seen: dict[str, np.ndarray] = {}
    for path in files.values():
        try:
            motion = load_motion(path)
        except SemTalkError as error:
            yield str(error)
            continue
        if missing := _missing_keys(path):
            yield f"{path.name}: it lacks {', '.join(missing)}."
        if truth is not None:
            yield from _differences(path.name, motion, truth)
        if same := next((name for name, poses in seen.items() if np.array_equal(poses, motion.poses)), None):
            yield f"{path.name}: the same motion as {same}; samples are drawn apart."
        seen[path.name] = motion.poses


def _missing_keys(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        there = {name.removesuffix(".npy") for name in archive.namelist()}
    return [key for key in KEYS if key not in there]


def _differences(name: str, motion: Motion, truth: Motion) -> Iterator[str]:
    if len(motion) != len(truth):
        yield f"{name}: {len(motion)} frames; the truth has {len(truth)}."
    own, true = motion.poses[:SEED_FRAMES], truth.poses[:SEED_FRAMES]
    if own.shape == true.shape and np.abs(own - true).max() < SAME:
        yield f"{name}: it begins with the truth's own frames; what is given to a method must be training data."
