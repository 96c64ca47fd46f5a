"""What a user gives to measure: folders of any method's npz files, of the truth and of sound; read before torch is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.audio import find_audio, load_audio
from semtalk.motion.io import Motion, load_motion
from semtalk.motion.speed import read_mean_speed
from semtalk.settings.commands import EvalSettings

PREFIXES = ("res_", "gt_")
SUFFIXES = ("_output", "_gt", "_res")


def plain_name(path: Path) -> str:
    """Name of a take: the file's, without what evaluators put before and after it."""
    name = path.stem
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def named_files(folder: str | Path, key: str, prefix: str) -> dict[str, Path]:
    """Npz files of a folder by their plain names; where some begin with ``prefix``, those alone.

    Raises:
        SemTalkError: The folder is missing or empty, or two files have one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SemTalkError(f"{key}={folder}: there is no such folder.")
    paths = sorted(folder.glob("*.npz"))
    chosen = [path for path in paths if path.name.startswith(prefix)] or paths
    if not chosen:
        raise SemTalkError(f"{key}={folder}: there is no npz file in it.")
    found: dict[str, Path] = {}
    for path in chosen:
        name = plain_name(path)
        if name in found:
            raise SemTalkError(f"{key}: {found[name].name} and {path.name} would both be the take {name}.")
        found[name] = path
    return found


@dataclass(frozen=True)
class Pair:
    """A take of a method beside the truth.

    Attributes:
        name: Of the take.
        method: Its motion by the method.
        truth: Its true motion, which may have another length.
        wave: (S,) its sound at 16 kHz, or none.
    """

    name: str
    method: Motion
    truth: Motion
    wave: np.ndarray | None


@dataclass(frozen=True)
class Files:
    """What was read.

    Attributes:
        pairs: The takes.
        notes: What a reader must know: files without a partner, lengths that differ.
        speed: (55,) mean joint speed in m/s, or none.
    """

    pairs: list[Pair]
    notes: list[str]
    speed: np.ndarray | None


def read_files(settings: EvalSettings) -> Files:
    """Read and match the files of ``motions``, ``truth`` (the same folder, with ``res_`` and ``gt_``) and ``audio``.

    Raises:
        SemTalkError: A file is bad, nothing matches, or a take has no sound.
    """
    motions, truth, audio = settings.motions, settings.truth, settings.audio
    if truth is None:
        raise SemTalkError("truth is not set: give the folder of the true motion, as in motions=DIR truth=DIR.")
    own, true = named_files(motions, "motions", "res_"), named_files(truth, "truth", "gt_")
    names = sorted(set(own) & set(true))
    if not names:
        raise SemTalkError(f"motions={motions}, truth={truth}: no file name of one is in the other.")
    sounds = {plain_name(path): path for path in find_audio(audio)} if audio else {}
    pairs = []
    for name in names:
        method, its_truth = load_motion(own[name]), load_motion(true[name])
        if audio and name not in sounds:
            raise SemTalkError(f"audio={audio}: there is no sound file of the take {name}.")
        pairs.append(Pair(name, method, its_truth, load_audio(sounds[name]) if audio else None))
    notes = [
        f"{len(set(files) - set(names))} files of {key} have no partner: {', '.join(sorted(set(files) - set(names)))}"
        for key, files in (("motions", own), ("truth", true))
        if set(files) - set(names)
    ]
    if differing := sum(len(pair.method) != len(pair.truth) for pair in pairs):
        notes.append(f"{differing} of {len(names)} pairs differ in length and were cut to the shorter one")
    if not audio:
        notes.append("BC is left out: audio=DIR gives the sound")
    return Files(pairs, notes, read_speed(settings.mean_speed))


def read_speed(path: str | None) -> np.ndarray | None:
    """Mean joint speed (55,) in m/s of a file, or none.

    Raises:
        SemTalkError: The file is missing, damaged, or holds something else.
    """
    if path is None:
        return None
    if not Path(path).is_file():
        raise SemTalkError(f"mean_speed={path}: no such file.")
    try:
        return read_mean_speed(Path(path))
    except SemTalkError as error:
        raise SemTalkError(f"mean_speed={error}") from error
