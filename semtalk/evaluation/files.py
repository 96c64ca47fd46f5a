"""What a user gives to measure: folders of any method's npz files, of the truth and of sound; read before torch is."""

import re
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


SAMPLE = re.compile(r"_sample_(\d+)$")
"""At the end of a file's name: which sample of its take it holds."""


def plain_name(path: Path) -> str:
    """Name of a take: the file's, without what evaluators put before and after it, and without a sample's number."""
    name = SAMPLE.sub("", path.stem)
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def named_files(folder: str | Path, key: str, prefix: str) -> dict[str, list[Path]]:
    """Npz files of a folder by their plain names, the samples of a take in order.

    Where some files begin with ``prefix``, those alone are taken.

    Raises:
        SemTalkError: The folder is missing or empty, two files have one name, or takes have other numbers of samples.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SemTalkError(f"{key}={folder}: there is no such folder.")
    paths = sorted(folder.glob("*.npz"))
    chosen = [path for path in paths if path.name.startswith(prefix)] or paths
    if not chosen:
        raise SemTalkError(f"{key}={folder}: there is no npz file in it.")
    found: dict[str, dict[int, Path]] = {}
    for path in chosen:
        name, numbered = plain_name(path), SAMPLE.search(path.stem)
        sample = int(numbered[1]) if numbered else 0
        samples = found.setdefault(name, {})
        if sample in samples:
            raise SemTalkError(f"{key}: {samples[sample].name} and {path.name} would both be the take {name}.")
        samples[sample] = path
    (first, number), *others = ((name, len(samples)) for name, samples in found.items())
    for name, count in others:
        if count != number:
            raise SemTalkError(
                f"{key}={folder}: {first} has {number} samples and {name} has {count}; give as many of each take."
            )
    return {name: [samples[sample] for sample in sorted(samples)] for name, samples in found.items()}


def numbered_files(files: dict[str, list[Path]], count: int, motions: str) -> dict[str, list[Path]]:
    """The samples of each take, in files called ``TAKE_0``, ``TAKE_1``, ... as ``generate.py`` calls them.

    Raises:
        SemTalkError: A take has another number of them.
    """
    found: dict[str, dict[str, Path]] = {}
    for name, (path, *_) in files.items():
        take, _, number = name.rpartition("_")
        found.setdefault(take or name, {})[number] = path
    wanted = [str(number) for number in range(count)]
    for take, samples in found.items():
        if set(samples) != set(wanted):
            raise SemTalkError(
                f"motions={motions}: samples={count} needs {take}_0.npz to {take}_{count - 1}.npz, and of these there "
                f"are {len(set(samples) & set(wanted))}; give every take as many samples."
            )
    return {take: [samples[number] for number in wanted] for take, samples in found.items()}


@dataclass(frozen=True)
class Pair:
    """A take of a method beside the truth: files, which are read when they are asked for, and not kept.

    Attributes:
        name: Of the take.
        own: Files of its motion by the method, one for each sample.
        true: File of its true motion, which may have another length.
        sound: File of its sound, or none.
    """

    name: str
    own: tuple[Path, ...]
    true: Path
    sound: Path | None

    @property
    def samples(self) -> list[Motion]:
        """Its motion by the method, each sample of it."""
        return [load_motion(path) for path in self.own]

    @property
    def truth(self) -> Motion:
        """Its true motion."""
        return load_motion(self.true)

    @property
    def wave(self) -> np.ndarray | None:
        """(S,) its sound at 16 kHz, or none."""
        return None if self.sound is None else load_audio(self.sound)


@dataclass(frozen=True)
class Files:
    """What was read, and found to be sound.

    Attributes:
        samples: How many each take has.
        pairs: The takes.
        frames: That all samples of the motion, and the truth, of each take have in common.
        notes: What a reader must know: files without a partner, lengths that differ.
        speed: (55,) mean joint speed in m/s, or none.
    """

    samples: int
    pairs: list[Pair]
    frames: list[int]
    notes: list[str]
    speed: np.ndarray | None


def read_files(settings: EvalSettings) -> Files:
    """Match the files of ``motions``, ``truth`` (the same folder, with ``res_`` and ``gt_``) and ``audio``.

    Each is read once, to see that it can be.

    Raises:
        SemTalkError: A file is bad, nothing matches, or a take has no sound.
    """
    motions, truth, audio = settings.motions, settings.truth, settings.audio
    if truth is None:
        raise SemTalkError("truth is not set: give the folder of the true motion, as in motions=DIR truth=DIR.")
    own, true = named_files(motions, "motions", "res_"), named_files(truth, "truth", "gt_")
    if settings.samples > 1 and max(map(len, own.values())) == 1:
        own = numbered_files(own, settings.samples, motions)
    if several := next((paths for paths in true.values() if len(paths) > 1), None):
        raise SemTalkError(f"truth={truth}: {several[0].name} and {several[1].name} are samples; the truth has one.")
    names = sorted(set(own) & set(true))
    if not names:
        raise SemTalkError(f"motions={motions}, truth={truth}: no file name of one is in the other.")
    sounds = {plain_name(path): path for path in find_audio(audio)} if audio else {}
    pairs, lengths = [], []
    for name in names:
        if audio and name not in sounds:
            raise SemTalkError(f"audio={audio}: there is no sound file of the take {name}.")
        pair = Pair(name, tuple(own[name]), true[name][0], sounds[name] if audio else None)
        lengths.append((min(map(len, pair.samples)), len(pair.truth)))
        _ = pair.wave  # or an error
        pairs.append(pair)
    notes = []
    for key, files in (("motions", own), ("truth", true)):
        if alone := sorted(set(files) - set(names)):
            more = ", ..." if len(alone) > 3 else ""
            notes.append(f"{len(alone)} files of {key} have no partner: {', '.join(alone[:3])}{more}")
    if differing := sum(method != truth for method, truth in lengths):
        notes.append(f"{differing} of {len(names)} pairs differ in length and were cut to the shorter one")
    if not audio:
        notes.append("BC is left out: audio=DIR gives the sound")
    samples = len(pairs[0].own)
    return Files(samples, pairs, [min(both) for both in lengths], notes, read_speed(settings.mean_speed))


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
