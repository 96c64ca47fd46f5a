"""What a user gives to ``generate.py``: files or folders of recordings, and their words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.recognise import Recogniser
from semtalk.features.transcript import read_transcript
from semtalk.features.utterance import Utterance
from semtalk.log import LOG

TRANSCRIPT_SUFFIXES = (".TextGrid", ".json", ".srt", ".txt")


def word_source(
    transcript: str, whisper: str, language: str | None, recordings: int
) -> Callable[[Path, np.ndarray], list]:
    """Choose where words come from, and say so.

    Args:
        transcript: A file, a folder of files with the recordings' names, ``whisper``, ``none``, or ``auto``: Whisper
            where its model is on this machine.
        whisper: The Whisper model.
        language: What it hears; detected for none.
        recordings: How many there are.

    Returns:
        Path of a recording and its wave (S,) -> words.
    """
    unknown = "the words are unknown, so gestures follow the voice alone"
    if transcript == "none":
        LOG.info(f"transcript=none: {unknown}.")
        return lambda path, wave: []
    if transcript in ("auto", "whisper"):
        try:
            recognise = Recogniser(whisper, language)
        except MissingModelError as error:
            if transcript == "whisper":
                raise
            LOG.info(f"No transcript: {unknown} (transcript=FILE gives them). {error}")
            return lambda path, wave: []

        def heard(path: Path, wave: np.ndarray) -> list:
            words = recognise(wave)
            LOG.info(f"{path.name}: {len(words)} words were heard.")
            return words

        return heard
    source = Path(transcript)
    if source.is_dir():
        return lambda path, wave: read_transcript(_beside(source, path.stem), wave)
    if recordings > 1:
        raise SemTalkError(f"transcript={transcript}: one file for {recordings} recordings; give a folder of files.")
    return lambda path, wave: read_transcript(source, wave)


def _beside(folder: Path, stem: str) -> Path:
    for suffix in TRANSCRIPT_SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise SemTalkError(f"{folder}: there is no transcript {stem} ({', '.join(TRANSCRIPT_SUFFIXES)}).")


def read_utterances(
    paths: list[Path], transcript: str, whisper: str, language: str | None
) -> tuple[list[Utterance], list[str]]:
    """Read recordings and their words.

    Returns:
        The recordings, and what is wrong with those that could not be read.

    Raises:
        SemTalkError: Not one of them could be read.
    """
    waves, bad = {}, []
    for path in paths:
        try:
            waves[path] = load_audio(path)
        except SemTalkError as error:
            bad.append(str(error))
    if not waves:
        raise SemTalkError("; ".join(bad))
    words_of = word_source(transcript, whisper, language, len(paths))
    utterances = []
    for path, wave in waves.items():
        if not np.abs(wave).max():
            LOG.warning(f"{path} is silent.")
        try:
            utterances.append(Utterance(wave, words_of(path, wave), name=path.stem))
        except SemTalkError as error:
            bad.append(str(error))
    if not utterances:
        raise SemTalkError("; ".join(bad))
    return utterances, bad
