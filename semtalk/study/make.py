"""Makes a study of folders of motion: names systems, cuts segments, draws videos and attention checks."""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from semtalk.errors import SemTalkError
from semtalk.evaluation.files import plain_name
from semtalk.evaluation.kinds import MATCHED, MUTED
from semtalk.evaluation.stimuli import (
    COLUMNS,
    Stimulus,
    plan_stimuli,
    read_segments,
    sampled_files,
    write_stimuli,
)
from semtalk.evaluation.submission import SAMPLE
from semtalk.features.audio import find_audio, load_audio
from semtalk.files import atomic_write, write_json
from semtalk.motion.io import load_motion
from semtalk.motion.skeleton import FPS, SAMPLE_RATE
from semtalk.study.plan import CHECKS, FILE, STIMULI, Check, Study
from semtalk.study.questions import ANSWERS, LABELS, QUESTIONS, SUFFIX
from semtalk.viz.video import STUDY, encode_silent, write_with_sound

TRUTH = "truth"
"""Name of captured motion among the systems."""
SHORTEST = 1.0
"""Seconds below which the rest of a take is no segment of its own, where there is another."""
APPEARS = 1 / 3
"""Share of an attention check's video before its words appear, or are spoken."""
Spoken = Mapping[str, np.ndarray]
"""Answer -> a recording (S,) at 16 kHz that says to give it."""


def named_systems(methods: Sequence[str], truth: str | None) -> dict[str, str]:
    """Name -> folder: the folder's own name, with those of the folders around it where two have one name.

    Raises:
        SemTalkError: Two are the same folder, or a method's is called as captured motion is.
    """
    paths = [Path(one).absolute() for one in methods]
    if len(set(paths)) < len(paths) or (truth and Path(truth).absolute() in paths):
        raise SemTalkError("methods: a folder is given twice; each is compared with the others.")
    for depth in range(1, max((len(path.parts) for path in paths), default=1)):
        names = ["-".join(re.sub(r"[^\w.+-]", "-", part) for part in path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    if wrong := next((name for name in names if name == TRUTH or name.endswith(SUFFIX)), None):
        raise SemTalkError(f"methods: a folder is called {wrong}, which the study calls something else; rename it.")
    return dict(zip(names, methods, strict=True)) | ({TRUTH: truth} if truth else {})


def refuse_absent(systems: dict[str, str]) -> None:
    """See that the folders of systems are there.

    Raises:
        SemTalkError: One is not.
    """
    for name, folder in systems.items():
        if not Path(folder).is_dir():
            raise SemTalkError(f"{TRUTH if name == TRUTH else 'methods'}={folder}: there is no such folder.")


def cut_takes(systems: dict[str, str], audio: str, seconds: float, path: Path) -> Path:
    """Write a table of segments: takes that all systems and the sound have, cut into pieces of so many seconds.

    Raises:
        SemTalkError: No take is in all folders.
    """
    sounds = {plain_name(one): one for one in find_audio(audio)}
    files = [sampled_files(folder) for folder in systems.values()]
    takes = [{(match[1] if (match := SAMPLE.fullmatch(name)) else name) for name in own} for own in files]
    names = sorted(set(sounds).intersection(*takes))
    if not names:
        raise SemTalkError(
            f"no take is in all of {', '.join(systems.values())} and audio={audio}, by the files' names."
        )
    rows, size = [], round(seconds * FPS)
    for name in names:
        lengths = [
            len(load_motion(one))
            for own in files
            for stem, one in own.items()
            if stem == name or ((match := SAMPLE.fullmatch(stem)) and match[1] == name)
        ]
        end = min(*lengths, len(load_audio(sounds[name])) * FPS // SAMPLE_RATE)
        for start in range(0, end, size):
            if start == 0 or end - start >= SHORTEST * FPS:
                stop = min(end, start + size)
                rows.append((name, start, stop))
    return write_segments(rows, path)


def drawn_segments(table: Path, count: int, seed: int, path: Path) -> Path:
    """Write so many segments of a table, drawn, as a table of their own; where it has no more, it is taken itself.

    Raises:
        SemTalkError: The table is bad.
    """
    segments = read_segments(table)
    if count >= len(segments):
        return table
    kept = sorted(np.random.default_rng(seed).permutation(len(segments))[:count])
    return write_segments([segments[at][:3] for at in kept], path)


def write_segments(segments: Iterable[tuple[str, int, int]], path: Path) -> Path:
    """Write a table of segments: recording, and frames [start, end)."""
    text = io.StringIO()
    rows = ([name, *(f"{at / FPS:.3f}" for at in (start, end, end - start))] for name, start, end in segments)
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    atomic_write(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))
    return path


def planned(systems: dict[str, str], audio: str, table: Path, seed: int, samples: int) -> dict[str, list[Stimulus]]:
    """System -> its stimuli, of the same segments for all.

    Args:
        systems: Name -> folder.
        audio: Folder of the recordings.
        table: Of segments.
        seed: Of what is drawn.
        samples: That a system may have of each take.

    Raises:
        SemTalkError: As :func:`semtalk.evaluation.stimuli.plan_stimuli`.
    """
    return {name: plan_stimuli(table, folder, audio, seed, samples) for name, folder in systems.items()}


def read_spoken(folder: str) -> Spoken:
    """Recordings that say which answer to give, for attention checks.

    Args:
        folder: With one for each of :data:`semtalk.study.questions.ANSWERS`, called as it is.

    Raises:
        SemTalkError: One is missing or cannot be read.
    """
    if not Path(folder).is_dir():
        raise SemTalkError(f"spoken={folder}: there is no such folder.")
    there = {path.stem: path for path in find_audio(folder)}
    if missing := [name for name in ANSWERS if name not in there]:
        raise SemTalkError(
            f"spoken={folder}: there is no recording {missing[0]}; each answer needs one that says to give it: "
            f"{', '.join(ANSWERS)}."
        )
    return {name: load_audio(there[name]) for name in ANSWERS}


def digest(systems: dict[str, list[Stimulus]], spoken: Spoken) -> str:
    """Of everything that videos are made of."""
    found, files = hashlib.sha256(), {}
    for name, wave in spoken.items():
        found.update(name.encode() + wave.tobytes())
    for name, stimuli in systems.items():
        for one in stimuli:
            for path in (one.motion, one.sound):
                if path not in files:
                    files[path] = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(repr((name, one.code, files[one.motion], files[one.sound], one.other)).encode())
    return found.hexdigest()


def new_study(
    systems: dict[str, list[Stimulus]], questions: Sequence[str], pages: int, checks: int, seed: int, spoken: Spoken
) -> Study:
    """The plan of a study of stimuli.

    Args:
        systems: Stimuli of each.
        questions: That are asked.
        pages: Comparisons of a rater.
        checks: Attention checks of a rater, between them.
        seed: Of what is drawn.
        spoken: With these, every second check of pages with sound is spoken; empty for none.

    Raises:
        SemTalkError: There is nothing to compare, a rater has fewer comparisons than questions or checks, or what is
            spoken is longer than a segment.
    """
    stimuli = next(iter(systems.values()))
    codes = tuple(one.code for one in stimuli)
    mismatched = tuple(one.code for one in stimuli if one.other is not None)
    pairwise = [name for name in questions if not QUESTIONS[name].mismatched]
    if pairwise and len(systems) < 2:
        raise SemTalkError(f"questions={pairwise[0]} compares systems, and there is one; give another, or truth=DIR.")
    if len(pairwise) < len(questions) and not mismatched:
        raise SemTalkError(
            "questions=mismatch needs two segments of a speaker (the two first parts of a name, as in 2_scott); "
            "give more takes or shorter seconds, or leave it out, as in questions=[realism,speech,meaning]."
        )
    shortest = min(one.segment.end - one.segment.start for one in stimuli) / FPS
    for name, wave in spoken.items():
        if len(wave) > shortest * SAMPLE_RATE:
            raise SemTalkError(
                f"spoken: {name} has {len(wave) / SAMPLE_RATE:.1f} s, and the shortest segment {shortest:.1f} s; speak "
                "it quicker, or show longer segments."
            )
    if pages < max(len(questions), checks + 1):
        raise SemTalkError(f"pages={pages}: a rater needs one for each question, and more than checks={checks}.")
    return Study(
        tuple(systems), codes, mismatched, tuple(questions), pages,
        _checks(questions, checks, seed, bool(spoken)), checks, seed, digest(systems, spoken),
    )  # fmt: skip


def _checks(questions: Sequence[str], count: int, seed: int, spoken: bool = False) -> tuple[Check, ...]:
    """Checks for silent pages and for those with sound, each kind with other answers in turn."""
    rng, found = np.random.default_rng([seed, 1]), []
    for silent in sorted({QUESTIONS[name].silent for name in questions}, reverse=True):
        answers = [list(ANSWERS)[at] for at in rng.permutation(len(ANSWERS))]
        for number in range(count):
            expected, sound = answers[number % len(answers)], "Muted" if silent else "Unmuted"
            at, said = len(found), "Audio" if spoken and number % 2 and not silent else "Text"
            files = [f"{CHECKS}/{at}_{expected}_{said}_{sound}.mp4", f"{CHECKS}/{at}_Reference.mp4"]
            if rng.integers(2):
                files.reverse()
            found.append(Check(silent, expected, *files))
    return tuple(found)


def make_study(
    study: Study, systems: dict[str, list[Stimulus]], folder: Path, spoken: Spoken, progress: Callable = iter
) -> Study:
    """Write a study: its videos, those that are there already left as they are, and its plan.

    Raises:
        SemTalkError: Another study is in the folder.
    """
    if (folder / FILE).is_file():
        there = Study.read(folder)
        if replace(there, ready=False) != study:
            raise SemTalkError(f"{folder}: another study is here; give this one a folder of its own, as in out=DIR.")
        if there.ready:
            return there
    write_json(folder / FILE, study.plain())
    for system, stimuli in systems.items():
        wanted = [folder / video for video in study.videos() if video.startswith(f"{STIMULI}/{system}/")]
        if not all(path.is_file() for path in wanted):
            write_stimuli(stimuli, folder / STIMULI / system, video=True, progress=progress)
    rng, names = np.random.default_rng([study.seed, 2]), list(systems)
    for number, check in enumerate(study.checks):
        code = study.codes[rng.integers(len(study.codes))]
        shown, other = (names[at % len(names)] for at in (number, number + 1))
        for video in (check.left, check.right):
            if not (folder / video).is_file():
                said = None if video.endswith("_Reference.mp4") else check.expected
                heard = spoken[check.expected] if "_Audio_" in video else None
                stimuli = folder / STIMULI / (shown if said else other)
                _write_check(stimuli, code, said, check.silent, folder / video, heard)
    study = replace(study, ready=True)
    write_json(folder / FILE, study.plain())
    return study


def _write_check(
    stimuli: Path, code: str, answer: str | None, silent: bool, path: Path, heard: np.ndarray | None
) -> None:
    """Write a stimulus again with words in it that say which answer to give; without an answer as it is.

    Args:
        stimuli: Of a system.
        code: Of the segment.
        answer: That is asked for.
        silent: Whether nothing is heard.
        path: Of the video.
        heard: Recording (S,) that says the answer in the place of written words.
    """
    sound = MUTED if silent else MATCHED
    if answer is None:
        content = (stimuli / sound / f"{code}.mp4").read_bytes()
        atomic_write(path, lambda temporary: temporary.write_bytes(content))
        return
    if silent:
        _write_words(stimuli / MUTED / f"{code}.mp4", answer, path)
        return
    if heard is not None:
        sound = with_spoken(load_audio(stimuli / MATCHED / f"{code}.wav"), heard)
        write_with_sound(stimuli / MUTED / f"{code}.mp4", sound, path)
        return
    without = path.with_name(f".{path.stem}.silent.mp4")
    _write_words(stimuli / MUTED / f"{code}.mp4", answer, without)
    write_with_sound(without, load_audio(stimuli / MATCHED / f"{code}.wav"), path)
    without.unlink()


def with_spoken(sound: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Speech (S,) that gives way to a recording at the place where written words would appear, or so that it fits."""
    begin = max(0, min(round(len(sound) * APPEARS), len(sound) - len(said)))
    whole = np.concatenate([sound[:begin], said])
    return np.pad(whole, (0, max(0, len(sound) - len(whole))))


def _write_words(source: Path, answer: str, path: Path) -> None:
    import av

    label = LABELS[list(ANSWERS).index(answer)]
    words = f"Attention check\nPlease answer this page with\n“{label}”"

    def pictures():
        with av.open(str(source.absolute())) as video:
            count = video.streams.video[0].frames
            for at, frame in enumerate(video.decode(video=0)):
                picture = frame.to_image()
                if at >= int(count * APPEARS):
                    _draw_words(picture, words)
                yield np.asarray(picture)

    encode_silent(pictures(), path, STUDY)


def _draw_words(picture: Image.Image, words: str) -> None:
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=picture.height // 18)
    centre = (picture.width // 2, picture.height // 5)
    left, top, right, bottom = draw.multiline_textbbox(centre, words, font, anchor="mm", align="center")
    draw.rectangle((left - 30, top - 30, right + 30, bottom + 30), fill="white", outline="black", width=3)
    draw.multiline_text(centre, words, "black", font, anchor="mm", align="center")
