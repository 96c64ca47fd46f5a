"""Words with times from files: TextGrid, Whisper and WhisperX json, srt, plain text."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.spectrum import loud_parts
from semtalk.files import read_text
from semtalk.motion.skeleton import SAMPLE_RATE

EDGES = re.compile(r"^[\W_]+|[\W_]+$")
NO_SPEECH = re.compile(r"\s*(\[.*\]|<.*>)\s*")
"""What transcripts write for what is no word: ``[Music]``, ``<unk>``."""

LATEST = 1e6
"""Seconds, eleven days: no word is later."""
BEHIND = 2.0
"""Seconds by which a word of a transcript may begin behind the end of the sound."""


class Word(NamedTuple):
    """A spoken word; seconds."""

    text: str
    start: float
    end: float


def impossible(word: tuple[str, float, float]) -> bool:
    """Whether a word has times that cannot be: none, below zero, days away, or an end before the start."""
    _, start, end = word
    return not 0 <= start <= end <= LATEST


def clean(words: Iterable[tuple[str, float, float]]) -> list[Word]:
    """Words as encoders know them: in order, without punctuation at their edges, and without what is no word.

    Every word goes through here, wherever it comes from.
    """
    spoken = [(text, start, end) for text, start, end in words if not NO_SPEECH.fullmatch(text)]
    bare = [Word(EDGES.sub("", text.replace("\u2019", "'")), start, end) for text, start, end in spoken]
    return sorted((word for word in bare if word.text), key=lambda word: word.start)


def read_textgrid(path: Path) -> list[Word]:
    """Words of the first tier of a long or short TextGrid; pauses are left out.

    Raises:
        SemTalkError: The file is missing, unreadable, without an interval tier, or has words that overlap or run
            backwards.
    """
    from praatio import textgrid
    from praatio.utilities.errors import PraatioException

    if not path.is_file():
        raise SemTalkError(f"{path}: no such TextGrid.")
    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
        tier = grid.getTier(grid.tierNames[0])
    except (PraatioException, ValueError, IndexError, AssertionError, UnicodeError, KeyError) as error:
        raise SemTalkError(f"{path}: not a readable TextGrid ({type(error).__name__}: {error}).") from error
    if not isinstance(tier, textgrid.IntervalTier):
        raise SemTalkError(f"{path}: its first tier, '{tier.name}', is no interval tier of words.")
    return checked([Word(entry.label, entry.start, entry.end) for entry in tier.entries], path)


def checked(words: list[Word], name: str | Path) -> list[Word]:
    """Clean words.

    Args:
        words: Of a recording.
        name: Of where they are from.

    Raises:
        SemTalkError: They overlap, or have times that cannot be.
    """
    words = clean(words)
    for before, word in zip([None, *words], words, strict=False):
        if impossible(word):
            raise SemTalkError(f"{name}: '{word.text}' runs from {word.start} to {word.end} s; mend its times.")
        if before is not None and word.start < before.end - 0.5:
            raise SemTalkError(
                f"{name}: '{word.text}' begins at {word.start:.2f} s, but '{before.text}' ends at {before.end:.2f} s."
            )
    return words


def _from_json(path: Path) -> list[Word]:
    content = json.loads(read_text(path))
    if isinstance(content, dict) and "segments" in content:
        segments = content["segments"]
    elif isinstance(content, dict) and "chunks" in content:
        segments = [
            {"text": c["text"], "start": c["timestamp"][0], "end": c["timestamp"][1]} for c in content["chunks"]
        ]
    elif isinstance(content, list):
        segments = content
    else:
        raise SemTalkError(f"{path}: neither a Whisper nor a WhisperX transcript: no 'segments' and no 'chunks'.")
    words: list[Word] = []
    for segment in segments:
        timed = [word for word in segment.get("words", ()) if "start" in word and "end" in word]
        if timed:
            words += [Word(w.get("word") or w.get("text"), float(w["start"]), float(w["end"])) for w in timed]
        elif "word" in segment:
            words.append(Word(segment["word"], float(segment["start"]), float(segment["end"])))
        else:
            words += spread(segment["text"], float(segment["start"]), float(segment["end"]))
    return words


def _from_srt(path: Path) -> list[Word]:
    def seconds(stamp: str) -> float:
        hours, minutes, rest = stamp.replace(",", ".").split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(rest)

    time = r"(\d+:\d+:\d+[.,]\d+)"
    blocks = re.findall(rf"{time}\s*-->\s*{time}[^\n]*\n(.*?)(?:\n\s*\n|\Z)", read_text(path), re.S)
    if not blocks:
        raise SemTalkError(f"{path}: no 'hh:mm:ss,mmm --> hh:mm:ss,mmm' line; is this an srt file?")
    return [word for start, end, text in blocks for word in spread(text, seconds(start), seconds(end))]


def spread(text: str, start: float, end: float) -> list[Word]:
    """Give the words of a text a share of a time span by their length."""
    words = re.sub(r"<[^>]+>", "", text).split()
    shares = np.cumsum([0.0, *(len(word) + 1 for word in words)])
    times = start + (end - start) * shares / max(shares[-1], 1)
    return [Word(word, float(a), float(b)) for word, a, b in zip(words, times, times[1:], strict=False)]


def refuse_late(words: list[Word], wave: np.ndarray, name: str | Path) -> None:
    """See that no word begins far behind the end of a recording.

    Args:
        words: Clean ones.
        wave: (S,) the recording at 16 kHz.
        name: Of where they are from.

    Raises:
        SemTalkError: One does.
    """
    seconds = len(wave) / SAMPLE_RATE
    if late := [word for word in words if word.start > seconds + BEHIND]:
        raise SemTalkError(
            f"{name}: '{late[0].text}' begins at {late[0].start:.2f} s, but the sound ends at {seconds:.2f} s; give "
            "the words of this recording."
        )


def spread_over_speech(text: str, wave: np.ndarray) -> list[Word]:
    """Spread a text without times over the parts (S,) of a recording that are loud enough to be speech."""
    parts = loud_parts(wave) / SAMPLE_RATE
    if not len(parts):
        parts = np.array([[0.0, len(wave) / SAMPLE_RATE]])
    spoken = np.concatenate([[0.0], np.cumsum(parts[:, 1] - parts[:, 0])])

    def clock(at: float) -> float:
        part = min(int(np.searchsorted(spoken, at, side="right")) - 1, len(parts) - 1)
        return float(parts[part, 0] + at - spoken[part])

    words = spread(text, 0.0, spoken[-1])
    return clean([Word(word.text, clock(word.start), max(clock(word.end), clock(word.start))) for word in words])


def read_transcript(path: str | Path, wave: np.ndarray) -> list[Word]:
    """Read words with times from a file of any kind that people have.

    Args:
        path: ``.TextGrid``; ``.json`` of Whisper or WhisperX; ``.srt``; or plain text without times.
        wave: (S,) the recording at 16 kHz; plain text is spread over its speech.

    Raises:
        SemTalkError: The file is missing, is not what its name says, holds no words, or has words behind the sound.
    """
    path = Path(path)
    if not path.is_file():
        raise SemTalkError(f"{path}: no such transcript.")
    kind = path.suffix.lower()
    try:
        words = _read(path, kind, wave)
    except SemTalkError:
        raise
    except Exception as error:  # texts of others fail in every way that their numbers and nestings have
        said = f"{type(error).__name__}: {error}"
        raise SemTalkError(f"{path}: not a readable {kind or 'text'} transcript ({said}).") from error
    if not words:
        raise SemTalkError(f"{path}: there is no word in it; give those of this recording, or none (transcript=none).")
    refuse_late(words, wave, path)
    return words


def _read(path: Path, kind: str, wave: np.ndarray) -> list[Word]:
    if kind == ".textgrid":
        return read_textgrid(path)
    if kind == ".srt":
        return checked(_from_srt(path), path)
    text = read_text(path)
    if not text.strip():
        return []
    if kind == ".json":
        return checked(_from_json(path), path)
    return spread_over_speech(text, wave)
