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


def sampled_files(files: dict[str, Path], count: int, motions: str) -> dict[str, tuple[Path, ...]]:
    """The samples of each take, in files called ``TAKE_0``, ``TAKE_1``, ... as ``generate.py`` calls them.

    Raises:
        SemTalkError: A take has another number of them.
    """
    found: dict[str, dict[str, Path]] = {}
    for name, path in files.items():
        take, _, number = name.rpartition("_")
        found.setdefault(take or name, {})[number] = path
    wanted = [str(number) for number in range(count)]
    for take, samples in found.items():
        if set(samples) != set(wanted):
            raise SemTalkError(
                f"motions={motions}: samples={count} needs {take}_0.npz to {take}_{count - 1}.npz, and of these there "
                f"are {len(set(samples) & set(wanted))}; give every take as many samples."
            )
    return {take: tuple(samples[number] for number in wanted) for take, samples in found.items()}


@dataclass(frozen=True)
class Pair:
    """A take of a method beside the truth: files, which are read when they are asked for, and not kept.

    Attributes:
        name: Of the take.
        own: File of its motion by the method.
        true: File of its true motion, which may have another length.
        sound: File of its sound, or none.
        samples: Files of all of the method's motions for it, ``own`` the first; none where it has one.
    """

    name: str
    own: Path
    true: Path
    sound: Path | None
    samples: tuple[Path, ...] = ()

    @property
    def method(self) -> Motion:
        """Its motion by the method."""
        return load_motion(self.own)

    @property
    def motions(self) -> list[Motion]:
        """All its motions by the method."""
        return [load_motion(path) for path in self.samples or (self.own,)]

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
        pairs: The takes.
        frames: That motion and truth of each take have in common.
        notes: What a reader must know: files without a partner, lengths that differ.
        speed: (55,) mean joint speed in m/s, or none.
    """

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
    samples = sampled_files(own, settings.samples, motions) if settings.samples > 1 else {}
    own = {take: paths[0] for take, paths in samples.items()} or own
    names = sorted(set(own) & set(true))
    if not names:
        raise SemTalkError(f"motions={motions}, truth={truth}: no file name of one is in the other.")
    sounds = {plain_name(path): path for path in find_audio(audio)} if audio else {}
    pairs, lengths = [], []
    for name in names:
        if audio and name not in sounds:
            raise SemTalkError(f"audio={audio}: there is no sound file of the take {name}.")
        pair = Pair(name, own[name], true[name], sounds[name] if audio else None, samples.get(name, ()))
        lengths.append((min(map(len, pair.motions)), len(pair.truth)))
        _ = pair.wave  # or an error
        pairs.append(pair)
    notes = [
        f"{len(set(files) - set(names))} files of {key} have no partner: {', '.join(sorted(set(files) - set(names)))}"
        for key, files in (("motions", own), ("truth", true))
        if set(files) - set(names)
    ]
    if differing := sum(method != truth for method, truth in lengths):
        notes.append(f"{differing} of {len(names)} pairs differ in length and were cut to the shorter one")
    if not audio:
        notes.append("BC is left out: audio=DIR gives the sound")
    return Files(pairs, [min(both) for both in lengths], notes, read_speed(settings.mean_speed))


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
