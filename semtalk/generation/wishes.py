"""What the user says matters in a recording: words, semantic scores and poses at their times; read before torch is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from semtalk.arrays import read_npy
from semtalk.errors import SemTalkError
from semtalk.features.transcript import Word, clean
from semtalk.features.utterance import Utterance
from semtalk.files import read_text
from semtalk.motion.io import Motion, checked_motion, load_motion
from semtalk.motion.skeleton import DOWNSAMPLE, FPS

HELD = (-1, 0, 1)
"""Code steps that hold a pose, counted from that of its time: 12 frames. Of one alone the decoder makes less."""
NEAREST = 3
"""Words of a transcript that are named where one is asked for that it lacks."""
NEAR = 0.5
"""Seconds by which a time may miss the word that it points at."""
MOST_TIMES = 8
"""Of one word, where they are listed."""

EXAMPLES = {"emphasise": "whole@1.5", "calm": "whole@1.5", "pose": "FILE.npz@1.5"}
"""Key -> what it takes."""

Asked = str | tuple[str, float]
Pose = str | tuple[str | Path | Motion, float]
Scores = str | Path | Sequence[np.ndarray]


@dataclass
class Wishes:
    """What is asked of one recording of S code steps.

    Attributes:
        psi: (S,) semantic score from 0 to 1 of the steps where it is set; NaN where the gate's own stays.
        poses: Code step -> motion of one frame whose body is held there, see :data:`HELD`.
    """

    psi: np.ndarray
    poses: dict[int, Motion] = field(default_factory=dict)

    @property
    def sets_psi(self) -> bool:
        """Whether a step's score is set."""
        return not np.isnan(self.psi).all()


def step_count(frames: int) -> int:
    """Code steps of a recording: a quarter of its frames, rounded up."""
    return -(-frames // DOWNSAMPLE)


def read_wishes(
    utterances: Sequence[Utterance],
    emphasise: str | Sequence[Asked] | None = None,
    calm: str | Sequence[Asked] | None = None,
    psi: Scores | None = None,
    pose: str | Sequence[Pose] | None = None,
    end: str | Path | Motion | None = None,
    heard: bool = True,
) -> list[Wishes] | None:
    """What is asked of each recording; none where nothing is.

    Args:
        utterances: The recordings; words and poses are of one alone.
        emphasise: Words, as ``word`` or ``word@seconds``: the score of their steps is 1.
        calm: The same, whose score is 0; a step that an emphasised word shares with a calm one is of the former.
        psi: A file of scores, see :func:`read_scores`, or a row of them for each recording: it sets every step, and
            words what it says of theirs.
        pose: ``FILE@seconds``, or (file or motion, seconds): the body of the frame in the middle of a motion file is
            held around that time, see :data:`HELD`.
        end: File or motion in whose first pose every recording's motion ends.
        heard: Whether the words of the recordings are known by now; if not, these are not looked for.

    Raises:
        SemTalkError: A word is not said, or more than once; a time is none, or beyond the recording; a file is missing,
            damaged or of another length; or words and poses are given for several recordings.
    """
    words = {"calm": _listed("calm", calm, (str,)), "emphasise": _listed("emphasise", emphasise, (str,))}
    poses = _listed("pose", pose, (str, Path, Motion))
    asked = [key for key, value in {**words, "pose": poses}.items() if value]
    last = read_end(end)
    if not asked and psi is None and last is None:
        return None
    if isinstance(psi, str | Path):
        asked.append("psi")
    if asked and len(utterances) != 1:
        raise SemTalkError(f"{', '.join(asked)}: for one recording; here are {len(utterances)}.")
    wishes = [Wishes(row) for row in _rows(psi, utterances)]
    timed = [_timed_pose(one) for one in poses]
    steps = sorted(_step("pose", at, utterances[0]) for _, at in timed)
    if steps and last is not None:
        steps.append(step_count(utterances[0].frames) - 1)
    if any(after - before < len(HELD) for before, after in zip(steps, steps[1:], strict=False)):
        keys = "pose" if last is None else "pose, end"
        raise SemTalkError(
            f"{keys}: two poses are less than {len(HELD) * DOWNSAMPLE} frames apart, the time that one is held; take "
            "one away."
        )
    if poses:
        wishes[0].poses = {_step("pose", at, utterances[0]): _pose(what) for what, at in timed}
    if last is not None:
        for wish, utterance in zip(wishes, utterances, strict=True):
            wish.poses[step_count(utterance.frames) - 1] = last
    said: dict[str, list[Word]] = {key: [] for key in words}
    for key, score in (("calm", 0.0), ("emphasise", 1.0)):
        said[key] = asked_words(key, words[key], utterances[0], heard) if words[key] else []
        for word in said[key]:
            wishes[0].psi[_steps_of(word, utterances[0])] = score
    if both := [word.text for word in said["calm"] if word in said["emphasise"]]:
        raise SemTalkError(f"emphasise, calm: both are asked of '{both[0]}'; take one away.")
    return wishes


def asked_words(key: str, asked: Sequence[Asked], utterance: Utterance, heard: bool = True) -> list[Word]:
    """Words of a transcript that are asked for by a key; none where they are not known yet, see :func:`read_wishes`."""
    timed = [_timed_word(key, one, utterance) for one in asked]
    return [find_word(key, text, at, utterance) for text, at in timed] if heard else []


def find_word(key: str, text: str, at: float | None, utterance: Utterance) -> Word:
    """The word of a transcript that is meant.

    Args:
        key: What asks for it.
        text: Of the word, in any case, with or without punctuation.
        at: Seconds at which it is said; none where it is said once.
        utterance: The recording.

    Raises:
        SemTalkError: It is not said, not then, or more than once.
    """
    words = clean(utterance.words)
    bare = "".join(word.text for word in clean([(text, 0.0, 0.0)])).casefold()
    found = [word for word in words if word.text.casefold() == bare]
    if not words:
        raise SemTalkError(f"{key}={text}: the words of {utterance.name} are unknown; give transcript=FILE.")
    if not found:
        spelt = {word.text.casefold(): word.text for word in words}
        alike = sorted(spelt, key=lambda known: -SequenceMatcher(None, bare, known).ratio())
        nearest = ", ".join(spelt[known] for known in alike[:NEAREST])
        raise SemTalkError(
            f"{key}={text}: {utterance.name} has no such word; the nearest are {nearest} (word, or word@seconds)."
        )
    times = ", ".join(f"{text}@{word.start:.2f}" for word in found[:MOST_TIMES])
    if at is None and len(found) > 1:
        raise SemTalkError(f"{key}={text}: the word is said {len(found)} times; say which, as in {times}.")
    word = found[0] if at is None else min(found, key=lambda word: _distance(word, at))
    if at is not None and _distance(word, at) > NEAR:
        raise SemTalkError(f"{key}={text}@{at:g}: the word is not said then, but at {times}.")
    if word.start * FPS >= utterance.frames:
        raise SemTalkError(f"{key}={text}: the word begins at {word.start:.2f} s, behind the end of {utterance.name}.")
    return word


def read_scores(path: str | Path, frames: int) -> np.ndarray:
    """Semantic score (S,) of each code step, from a file.

    Args:
        path: A csv with one number a line, below a heading or none, or an npy (N,): a score for each code step, or for
            each frame, of which a step takes the mean.
        frames: Of the recording.

    Raises:
        SemTalkError: The file is missing, damaged, of another length, or holds anything else than numbers from 0 to 1.
    """
    path = Path(path)
    if not path.is_file():
        raise SemTalkError(f"psi={path}: there is no such file.")
    if path.suffix.lower() not in (".csv", ".npy"):
        raise SemTalkError(f"psi={path}: give a .csv or an .npy.")
    scores = read_npy(path) if path.suffix.lower() == ".npy" else _csv(path)
    steps = step_count(frames)
    if scores.shape not in ((steps,), (frames,)):
        raise SemTalkError(f"psi={path}: {_lengths(scores)}; the recording has {steps} code steps and {frames} frames.")
    scores = _checked(scores, f"psi={path}")
    if len(scores) == steps:
        return scores
    return np.array([scores[first : first + DOWNSAMPLE].mean() for first in range(0, frames, DOWNSAMPLE)], np.float32)


def read_end(end: str | Path | Motion | None) -> Motion | None:
    """The first frame of a file or motion.

    Raises:
        SemTalkError: It is none, or the file is missing or damaged.
    """
    if end is None:
        return None
    if not isinstance(end, str | Path | Motion):
        raise SemTalkError(f"end: {type(end).__name__}; give an npz or a semtalk.motion.io.Motion.")
    return (checked_motion(end, "end") if isinstance(end, Motion) else load_motion(end))[:1]


def pose_files(pose: str | Sequence[str] | None) -> list[Path]:
    """Files of poses that are given as ``FILE@seconds``."""
    return [Path(_timed_pose(one)[0]) for one in _listed("pose", pose, (str,))]


def _csv(path: Path) -> np.ndarray:
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if lines and _number(lines[0]) is None:
        lines = lines[1:]
    try:
        return np.array([float(line) for line in lines], np.float32)
    except ValueError as error:
        raise SemTalkError(f"psi={path}: give one number a line ({error}).") from error


def _lengths(scores: np.ndarray) -> str:
    return f"{len(scores)} scores" if scores.ndim == 1 else f"an array of shape {scores.shape}"


def _checked(scores: np.ndarray, name: str) -> np.ndarray:
    if np.isnan(scores).any():
        raise SemTalkError(f"{name}: there are NaN in it; scores are numbers from 0 to 1.")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise SemTalkError(f"{name}: scores are numbers from 0 to 1.")
    return scores.astype(np.float32)


def _rows(psi: Scores | None, utterances: Sequence[Utterance]) -> list[np.ndarray]:
    """A row (S,) for each recording; NaN where nothing is set."""
    steps = [step_count(utterance.frames) for utterance in utterances]
    if psi is None:
        return [np.full(count, np.nan, np.float32) for count in steps]
    if isinstance(psi, str | Path):
        return [read_scores(psi, utterances[0].frames)]
    try:
        rows = [np.asarray(row, np.float32) for row in psi]
    except (TypeError, ValueError) as error:
        raise SemTalkError(f"psi: give one row of numbers for each recording ({error}).") from error
    if [row.shape for row in rows] != [(count,) for count in steps]:
        raise SemTalkError(f"psi: give a row for each recording with a score of every code step: {steps} of them.")
    return [_checked(row, "psi").copy() for row in rows]


def _listed(key: str, value: Any, kinds: tuple[type, ...]) -> list:
    """What a key asks for, one after another: texts, or pairs of one of some kinds and a time.

    Raises:
        SemTalkError: It is something else.
    """
    if value is None:
        return []
    alone = isinstance(value, str) or (isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Real))
    listed = [value] if alone or not isinstance(value, Sequence) else list(value)
    for one in listed:
        pair = isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], kinds) and isinstance(one[1], Real)
        if not isinstance(one, str) and not pair:
            raise SemTalkError(f"{key}: {one!r} is no text with a time, as in {EXAMPLES[key]}.")
    return listed


def _timed_word(key: str, one: Asked, utterance: Utterance) -> tuple[str, float | None]:
    """A word, and its time where it has one."""
    if not isinstance(one, str):
        text, at = one
    else:
        text, sign, said = one.rpartition("@")
        at = _number(said) if sign else None
        text = text if at is not None else one
    if at is not None:
        _step(f"{key}={text}@{at:g}", at, utterance)
    return text, at


def _timed_pose(one: Pose) -> tuple[str | Path | Motion, float]:
    if not isinstance(one, str):
        return one
    path, _, said = one.rpartition("@")
    at = _number(said)
    if not path or at is None:
        raise SemTalkError(f"pose={one}: give a motion file and seconds, as in pose=FILE.npz@1.5.")
    return path, at


def _number(text: str) -> float | None:
    """A number; none for what is no number."""
    try:
        return float(text)
    except ValueError:
        return None


def _step(name: str, at: float, utterance: Utterance) -> int:
    """Code step of a time."""
    if not math.isfinite(at) or not 0 <= at * FPS < utterance.frames:
        raise SemTalkError(
            f"{name}: {at:g} s is not within {utterance.name}, which lasts {utterance.frames / FPS:.2f} s."
        )
    return int(at * FPS) // DOWNSAMPLE


def _steps_of(word: Word, utterance: Utterance) -> slice:
    """Code steps that a word is said in, at least one."""
    first = int(word.start * FPS) // DOWNSAMPLE
    return slice(first, min(max(first + 1, math.ceil(word.end * FPS / DOWNSAMPLE)), step_count(utterance.frames)))


def _distance(word: Word, at: float) -> float:
    """Seconds from a time to a word; 0 within it."""
    return max(word.start - at, at - word.end, 0.0)


def _pose(what: str | Path | Motion) -> Motion:
    """The frame in the middle of a motion file."""
    motion = checked_motion(what, "pose") if isinstance(what, Motion) else load_motion(what)
    middle = len(motion) // 2
    return motion[middle : middle + 1]
