"""What the user of the studio asks for; and the settings of ``generate.py`` that say the same."""

import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.transcript import Word, checked, clean, refuse_late, spread_over_speech
from semtalk.generation.wishes import NEAR
from semtalk.settings import validated
from semtalk.settings.commands import GenerateSettings

TIMED = re.compile(r"\s*(\d+\.?\d*)\s*-\s*(\d+\.?\d*)\s+(\S.*?)\s*")
"""A line of the box of words: ``0.42-0.71 hello``."""
ASKED = re.compile(r"(.+?)(?:@(\d+\.?\d*))?", re.S)
"""A word that is asked for: ``hello`` or ``hello@0.5``."""
BETWEEN = re.compile(r"\n|(?<!\d),|,(?!\d)")
"""Between words that are asked for; a comma between digits belongs to a word."""
BESIDE = ("nothing", "unedited", "base", "run", "file")
"""What may stand beside the motion: the same without what was said to matter, base codes alone, the other run, or
a motion file."""
WRITTEN = ["bvh", "glb", "arkit"]
"""Formats of the downloads, beside npz."""
LARGEST_TEXT = 200_000
OUT, COMMAND = "made", "command.txt"
"""Folder of what was made, and file of the command line, beside what was given."""
OWN = (OUT, COMMAND)


@dataclass
class Request:
    """What is asked for.

    Attributes:
        audio: The recording.
        words: What is said: plain text, or a word a line with its seconds, as in ``0.42-0.71 hello``.
        speaker: One that the run knows; none for its first.
        beta: Threshold of the semantic score.
        samples: How many motions.
        temperature: Of samples; none where the run draws none, or for its own.
        seed: Of samples.
        emphasise: Words that matter, between commas, as ``word`` or ``word@seconds``.
        calm: Words that do not.
        psi: File of scores.
        poses: Files of poses.
        pose_times: Seconds at which these are held, between commas.
        beside: One of :data:`BESIDE`.
        truth: Motion file that stands beside, for ``beside="file"``.
    """

    audio: Path | None
    words: str = ""
    speaker: int | str | None = None
    beta: float | None = None
    samples: int = 1
    temperature: float | None = None
    seed: int = 0
    emphasise: str = ""
    calm: str = ""
    psi: Path | None = None
    poses: Sequence[Path] = field(default_factory=list)
    pose_times: str = ""
    beside: str = "nothing"
    truth: Path | None = None


def listed(text: str) -> list[str] | None:
    """Words that are asked for, of a text; none for none."""
    return [word.strip() for word in BETWEEN.split(text or "") if word.strip()] or None


def times_of(text: str) -> list[float]:
    """Seconds, of a text.

    Raises:
        SemTalkError: One is no number.
    """
    try:
        return [float(one) for one in re.split(r"[,;\s]+", text or "") if one]
    except ValueError as error:
        raise SemTalkError(f"poses: give the seconds of each file, as in 1.5, 4 ({error}).") from error


def spelt(words: Sequence[Word]) -> str:
    """Words as the box shows them."""
    return "\n".join(f"{start:.3f}-{end:.3f} {text}" for text, start, end in words)


def is_timed(text: str) -> bool:
    """Whether the box of words has seconds, which are those of one voice."""
    return any(TIMED.fullmatch(line) for line in (text or "").splitlines())


def still_asked(asked: str, text: str) -> str:
    """Of the words that are asked for, those that the box of words still says, there where they are asked for.

    Args:
        asked: Between commas, as ``word`` or ``word@seconds``.
        text: Of the box.
    """
    if is_timed(text):
        timed = [match for line in text.splitlines() if (match := TIMED.fullmatch(line))]
        said = clean([(match[3], float(match[1]), float(match[2])) for match in timed])
    else:
        said = clean([(word, math.nan, math.nan) for word in (text or "").split()])

    def kept(one: str) -> bool:
        word, at = ASKED.fullmatch(one).groups()
        return any(
            word.casefold() == text.casefold() and (at is None or start - NEAR <= float(at) <= end + NEAR)
            for text, start, end in said
        )

    words = listed(asked) or []
    left = [one for one in words if kept(one)]
    return asked if left == words else ", ".join(left)


def in_milliseconds(words: Sequence[Word]) -> list[Word]:
    """Words whose times are what the box shows of them."""
    return [Word(text, round(start, 3), round(end, 3)) for text, start, end in words]


def read_words(text: str, wave: np.ndarray) -> list[Word]:
    """The words of the box.

    Args:
        text: Plain text, which is spread over the speech, or a word a line with its seconds.
        wave: (S,) the recording at 16 kHz.

    Raises:
        SemTalkError: Some lines have times and others have none, or times cannot be.
    """
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if not lines:
        return []
    if len(text) > LARGEST_TEXT:
        raise SemTalkError(f"words: {len(text)} letters; give {LARGEST_TEXT} at most.")
    timed = [TIMED.fullmatch(line) for line in lines]
    if any(timed) and not all(timed):
        wrong = next(number for number, match in enumerate(timed) if match is None)
        raise SemTalkError(f"words: '{lines[wrong].strip()[:40]}' has no times; write it as in 0.42-0.71 hello.")
    if all(timed):
        words = checked([Word(match[3], float(match[1]), float(match[2])) for match in timed], "words")
        refuse_late(words, wave, "words")
    else:
        words = spread_over_speech("\n".join(lines), wave)
    return in_milliseconds(words)


def write_words(words: Sequence[Word], path: Path) -> None:
    """Write words as json of WhisperX, which ``transcript=`` reads."""
    rows = [{"word": text, "start": start, "end": end} for text, start, end in words]
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def free(name: str, folder: Path) -> Path:
    """A path in a folder that nothing there has, in any case: where a zip is unpacked, ``A`` may be ``a``."""
    stem, kind = Path(name).stem or "file", Path(name).suffix
    there = {path.name.casefold() for path in folder.iterdir()}.union(OWN)
    found, number = f"{stem}{kind}", 1
    while found.casefold() in there:
        number += 1
        found = f"{stem}_{number}{kind}"
    return folder / found


def taken(path: Path, folder: Path) -> Path:
    """A file that was given, copied into a folder under a name that is free there."""
    return Path(shutil.copyfile(path, free(path.name, folder)))


def taken_poses(request: Request, folder: Path) -> list[tuple[Path, float]]:
    """Pose files, copied, and the seconds of each.

    Raises:
        SemTalkError: There are not as many times as files.
    """
    times = times_of(request.pose_times)
    if len(times) != len(request.poses):
        raise SemTalkError(
            f"poses: {len(request.poses)} files and {len(times)} times; give each file its seconds, as in 1.5, 4."
        )
    return [(taken(path, folder), at) for path, at in zip(request.poses, times, strict=True)]


def asked_settings(
    base: GenerateSettings, request: Request, audio: Path, transcript: Path | None, psi: Path | None,
    poses: Sequence[tuple[Path, float]],
) -> GenerateSettings:  # fmt: skip
    """Settings of ``generate.py`` that ask for the same.

    Args:
        base: What the studio was started with.
        request: What is asked for.
        audio: The recording where it lies now.
        transcript: Its words; none for none.
        psi: File of scores.
        poses: Pose files and their seconds.

    Raises:
        SemTalkError: A value is none that its key takes.
    """
    plain = base.plain()
    plain |= {
        "audio": str(audio), "transcript": "none" if transcript is None else str(transcript),
        "speaker": request.speaker, "samples": request.samples, "seed": request.seed,
        "emphasise": listed(request.emphasise), "calm": listed(request.calm), "psi": None if psi is None else str(psi),
        "pose": [f"{path}@{at:g}" for path, at in poses] or None, "format": WRITTEN, "video": False, "out": OUT,
    }  # fmt: skip
    if request.beta is not None:
        plain["beta"] = float(request.beta)
    if request.temperature is not None:
        plain["decoding"] = plain["decoding"] | {"temperature": float(request.temperature)}
    return validated(GenerateSettings, plain)
