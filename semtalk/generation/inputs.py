"""What a user gives to ``generate.py``: recordings, their words, seed motion and shape; read before torch is."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.recognise import WHISPER, Recogniser
from semtalk.features.transcript import read_transcript
from semtalk.features.utterance import Utterance
from semtalk.files import has_long_name
from semtalk.log import LOG
from semtalk.motion.io import LARGEST_BETA, Motion, checked_motion, load_motion
from semtalk.motion.skeleton import NUM_BETAS, SEED_FRAMES
from semtalk.settings import choose
from semtalk.settings.inputs import Slots

WAYS = ("auto", "whisper", "none")
"""Where words come from when not from files."""
BETAS = f"give an npz, or up to {NUM_BETAS} numbers from {-LARGEST_BETA:g} to {LARGEST_BETA:g}."
UNKNOWN = "the words are unknown, so gestures follow the voice alone"
SUFFIXES = {"arkit": "csv"}
"""Format -> suffix of its files, where that is not its name."""
TRANSCRIPT_SUFFIXES = (".TextGrid", ".json", ".srt", ".txt")


def given_path(key: str, value: str | Path) -> Path:
    """A path that a caller gives.

    Raises:
        SemTalkError: It is none.
    """
    if not isinstance(value, str | Path) or not str(value):
        raise SemTalkError(f"{key}={value!r}: give a path.")
    if has_long_name(Path(value)):
        raise SemTalkError(f"{value}: a name in it is too long; give another {key}.")
    return Path(value)


def check_options(options: Mapping[str, Any]) -> None:
    """See that what a caller gives in the place of a command's keys is what these take; a tuple is a list.

    Raises:
        SemTalkError: It is not.
    """
    for key, value in options.items():
        choose(key, list(value) if isinstance(value, tuple) else value)


def check_mappings(decoding: Mapping | None, files: Mapping | None) -> None:
    """See that what a caller gives as mappings is that, and that files are for slots that there are.

    Raises:
        SemTalkError: They are not.
    """
    slots = Slots.model_fields
    if decoding is not None and not isinstance(decoding, Mapping):
        raise SemTalkError(f"decoding={decoding!r}: give a dict of its keys.")
    if files is not None and (not isinstance(files, Mapping) or set(files) - set(slots)):
        raise SemTalkError(f"files={files!r}: give a dict of files for slots, which are {', '.join(slots)}.")


def read_betas(betas: str | Path | Sequence[float] | None) -> np.ndarray:
    """Body shape (300,) from an npz with ``betas``, from up to 300 numbers, or the mean shape for none.

    Raises:
        SemTalkError: The file is bad, or they are no such numbers.
    """
    shape = np.zeros(NUM_BETAS, np.float32)
    if betas is None:
        return shape
    if isinstance(betas, str | Path):
        betas = load_motion(betas).betas
    try:
        values = np.asarray(betas)
    except Exception as error:  # rows of several lengths, tensors elsewhere, and what else has a length
        raise SemTalkError(f"betas: {type(betas).__name__}; {BETAS}") from error
    if values.ndim != 1 or values.dtype.kind not in "fi":
        raise SemTalkError(f"betas: shape {values.shape} of {values.dtype}; {BETAS}")
    if len(values) > NUM_BETAS:
        raise SemTalkError(f"betas: {len(values)} values; {BETAS}")
    if not (np.abs(values) <= LARGEST_BETA).all():
        raise SemTalkError(f"betas: they reach {np.abs(values).max():.3g}; {BETAS}")
    shape[: len(values)] = values
    return shape


def read_seed(motion: str | Path | Motion) -> Motion:
    """Motion whose first frames begin a take.

    Raises:
        SemTalkError: The file is bad, or too short.
    """
    if isinstance(motion, str | Path):
        motion = load_motion(motion)
    elif isinstance(motion, Motion):
        motion = checked_motion(motion, "motion")
    else:
        raise SemTalkError(f"motion: {type(motion).__name__}; give an npz or a semtalk.motion.io.Motion.")
    if len(motion) < SEED_FRAMES:
        raise SemTalkError(f"motion: {len(motion)} frames; a seed needs {SEED_FRAMES}.")
    return motion


def read_utterances(paths: list[Path], transcript: str) -> tuple[list[Utterance], list[str]]:
    """Read recordings, and their words where these are in files; :func:`find_recogniser` finds what hears the others'.

    Args:
        paths: The recordings.
        transcript: A file, a folder of files with the recordings' names, or one of :data:`WAYS`.

    Returns:
        The recordings, and what is wrong with those that could not be read.

    Raises:
        SemTalkError: Not one of them could be read.
    """
    utterances, bad = [], []
    source = None if transcript in WAYS else Path(transcript)
    if source is not None and len(paths) > 1 and not source.is_dir():
        raise SemTalkError(f"transcript={transcript}: one file for {len(paths)} recordings; give a folder of files.")
    for path in paths:
        try:
            wave, words = load_audio(path), []
            if source is not None:
                words = read_transcript(_beside(source, path.stem) if source.is_dir() else source, wave)
            utterances.append(Utterance(wave, words, name=path.stem))
            if not np.abs(wave).max():
                LOG.warning(f"{path} is silent.")
        except SemTalkError as error:
            bad.append(str(error))
    if not utterances:
        raise SemTalkError("; ".join(bad))
    return utterances, bad


def refuse_overwriting(given: Iterable[Path], written: Iterable[Path]) -> None:
    """See that no file that is to be written is one of those that were given.

    Raises:
        SemTalkError: One is.
    """

    def there(paths: Iterable[Path]) -> dict[tuple[int, int], Path]:
        return {(path.stat().st_dev, path.stat().st_ino): path for path in paths if path.is_file()}

    inputs, outputs = there(given), there(written)
    if both := [inputs[file] for file in outputs if file in inputs]:
        raise SemTalkError(f"{both[0]}: a file that is given would be overwritten with a result; give another out=DIR.")


def _beside(folder: Path, stem: str) -> Path:
    for suffix in TRANSCRIPT_SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise SemTalkError(f"{folder}: there is no transcript {stem} ({', '.join(TRANSCRIPT_SUFFIXES)}).")


def find_recogniser(transcript: str, whisper: str, language: str | None) -> Recogniser | None:
    """What hears words where no file holds them; none, which is said, where they stay unknown.

    Args:
        transcript: As in :func:`read_utterances`: ``auto`` is Whisper where its model is on this machine.
        whisper: The Whisper model; one that is not the default was named, and has to be there.
        language: What it hears; detected for none.

    Raises:
        SemTalkError: There is no such model, or it does not know the language.
    """
    if transcript == "none":
        LOG.info(f"transcript=none: {UNKNOWN}.")
    if transcript not in ("auto", "whisper"):
        return None
    try:
        return Recogniser(whisper, language)
    except MissingModelError as error:
        if transcript == "whisper" or whisper != WHISPER:
            raise
        LOG.info(f"No transcript: {UNKNOWN} (transcript=FILE gives them). {error}")
        return None


def hear_words(utterances: list[Utterance], recognise: Recogniser) -> None:
    """Have Whisper hear the words of recordings, and say how many it heard."""
    for utterance in utterances:
        utterance.words = recognise(utterance.wave)
        LOG.info(f"{utterance.name}: {len(utterance.words)} words were heard.")
