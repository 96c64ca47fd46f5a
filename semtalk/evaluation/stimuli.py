"""Stimuli of a study after GENEA's: segments cut from any method's motion, with their own speech and with another's."""

import csv
import hashlib
import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from semtalk.errors import SemTalkError
from semtalk.evaluation.files import SAMPLE, named_files, plain_name
from semtalk.evaluation.kinds import MATCHED, MISMATCHED, MOTION, MUTED
from semtalk.evaluation.submission import file_name
from semtalk.features.audio import find_audio, load_audio
from semtalk.files import atomic_write, read_text
from semtalk.motion.io import Motion, load_motion, save_motion
from semtalk.motion.skeleton import EYES, FPS, JAW, SAMPLE_RATE
from semtalk.viz.video import write_silent, write_with_sound

COLUMNS = ["file_name", "start_seconds", "end_seconds", "duration_seconds"]
LEADERBOARDS = "394f28234d174b15fd8455b669eb08f79b7d559ecb5fdf6790229fed2bce57bc"
"""Sha256 of the leaderboard's table of 108 segments, which has no licence and is not part of this package."""


class Segment(NamedTuple):
    """A row of the table: frames [start, end) of a recording."""

    recording: str
    start: int
    end: int
    row: int

    @property
    def speaker(self) -> str:
        """Number and name that BEAT2's ids begin with."""
        return "_".join(self.recording.split("_")[:2])

    def code(self, sample: int) -> str:
        """What the leaderboard calls a stimulus, whatever system it is of."""
        return f"{self.recording}_sample_{sample}_{self.start:04d}-{self.end:04d}"


@dataclass(frozen=True)
class Stimulus:
    """A segment with what it is cut from.

    Attributes:
        segment: The segment.
        code: Its name, see :meth:`Segment.code`.
        motion: File of the method's motion.
        sound: File of the recording.
        other: Segment of the same speaker whose speech is heard in its place; none where the speaker has one alone.
    """

    segment: Segment
    code: str
    motion: Path
    sound: Path
    other: Segment | None


def read_segments(path: Path) -> list[Segment]:
    """Segments of a table ``file_name,start_seconds,end_seconds,duration_seconds``.

    Raises:
        SemTalkError: The file is missing, has other columns or no row, or a row is wrong.
    """
    if not path.is_file():
        raise SemTalkError(f"segments={path}: no such file; the leaderboard's is on its Data Release page.")
    rows = list(csv.reader(io.StringIO(read_text(path))))
    if not rows or [cell.strip() for cell in rows[0]] != COLUMNS:
        raise SemTalkError(f"{path}: expected the columns {','.join(COLUMNS)} in its first row.")
    segments: list[Segment] = []
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        try:
            name, (start, end, duration) = row[0].strip(), map(float, row[1:])
        except ValueError as error:
            raise SemTalkError(
                f"{path}, row {number}: expected a name and three numbers, not {','.join(row)!r}."
            ) from error
        if not (all(map(math.isfinite, (start, end, duration))) and start >= 0 and end - start >= 1 / FPS):
            raise SemTalkError(f"{path}, row {number}: {name} from {start:g} to {end:g} s is no segment.")
        if abs(end - start - duration) > 1 / FPS:
            raise SemTalkError(
                f"{path}, row {number}: {name} from {start:g} to {end:g} s does not last {duration:g} s; mend the row."
            )
        segment = Segment(name, round(FPS * start), round(FPS * end), number)
        if twice := next((one for one in segments if one[:3] == segment[:3]), None):
            raise SemTalkError(f"{path}, row {number}: the segment of row {twice.row} again.")
        segments.append(segment)
    if not segments:
        raise SemTalkError(f"{path}: there is no segment in it.")
    return segments


def is_leaderboards(table: Path) -> bool:
    """Whether a table is the leaderboard's, byte for byte."""
    return hashlib.sha256(table.read_bytes()).hexdigest() == LEADERBOARDS


def mismatched(segments: list[Segment], seed: int) -> dict[Segment, Segment]:
    """Segment -> another one of its speaker, at random so that each is another's once; none of a speaker's only one."""
    others: dict[Segment, Segment] = {}
    for speaker in dict.fromkeys(segment.speaker for segment in segments):
        own = [segment for segment in segments if segment.speaker == speaker]
        rng, order = np.random.default_rng([seed, zlib.crc32(speaker.encode())]), np.arange(len(own))
        while len(own) > 1 and (order == np.arange(len(own))).any():
            order = rng.permutation(len(own))
        others |= {own[at]: own[other] for at, other in enumerate(order) if at != other}
    return others


def drawn_sample(segment: Segment, seed: int, samples: int) -> int:
    """Number from 1 of the sample that is shown of a segment, the same for all systems."""
    return int(np.random.default_rng([seed, zlib.crc32(segment.code(0).encode())]).integers(1, samples + 1))


def cut_points(segment: Segment) -> slice:
    """Samples of the sound that belong to a segment."""
    return slice(segment.start * SAMPLE_RATE // FPS, segment.end * SAMPLE_RATE // FPS)


def plan_stimuli(table: Path, motions: str, audio: str, seed: int, samples: int) -> list[Stimulus]:
    """What is cut from what; every file is read once, to see that its segments lie within it.

    Args:
        table: Of segments.
        motions: Folder of any method's motion: ``ID_sample_K.npz``, or ``ID.npz`` where there is one of each.
        audio: Folder of the recordings.
        seed: Of what is drawn: the sample of each segment, and its mismatched speech.
        samples: That a system may have of each recording.

    Raises:
        SemTalkError: The table is bad, a file is missing, or a segment ends after its motion or sound.
    """
    segments = read_segments(table)
    own, sounds = sampled_files(motions), {plain_name(path): path for path in find_audio(audio)}
    others, lengths, found = mismatched(segments, seed), {}, []
    for segment in segments:
        said, sample = f"{table}, row {segment.row}: {segment.recording}", drawn_sample(segment, seed, samples)
        names = [Path(file_name(segment.recording, number)).stem for number in (sample, None)]
        motion = next((own[name] for name in names if name in own), None)
        if motion is None:
            raise SemTalkError(f"{said} has neither {names[0]}.npz nor {names[1]}.npz in motions={motions}.")
        if segment.recording not in sounds:
            raise SemTalkError(f"{said} has no sound file in audio={audio}.")
        sound = sounds[segment.recording]
        for path, read, end, rate in (
            (motion, load_motion, segment.end, FPS),
            (sound, load_audio, cut_points(segment).stop, SAMPLE_RATE),
        ):
            if path not in lengths:
                lengths[path] = len(read(path))
            if end > lengths[path]:
                raise SemTalkError(f"{said} ends at {end / rate:.2f} s, and {path} at {lengths[path] / rate:.2f} s.")
        found.append(Stimulus(segment, segment.code(sample), motion, sound, others.get(segment)))
    return found


def sampled_files(motions: str) -> dict[str, Path]:
    """Motion files of a folder by recording, with ``_sample_K`` behind it where the file has a number."""
    found = named_files(motions, "motions", "res_").items()
    return {
        name + (numbered[0] if (numbered := SAMPLE.search(path.stem)) else ""): path
        for name, paths in found
        for path in paths
    }


def still_face(motion: Motion) -> Motion:
    """A motion without expressions, and with jaw and eyes at rest."""
    poses = motion.poses.copy()
    poses[:, [JAW, *EYES]] = 0
    return Motion(poses, np.zeros_like(motion.expressions), motion.trans, motion.betas)


def fitted(wave: np.ndarray, samples: int) -> np.ndarray:
    """A wave of so many samples: cut, or followed by silence."""
    return np.pad(wave[:samples], (0, max(0, samples - len(wave))))


def write_stimuli(
    stimuli: list[Stimulus], folder: Path, video: bool, seconds: float | None = None, progress: Callable = iter
) -> None:
    """Write npz, wav and mp4 of stimuli, below ``motion``, ``muted``, ``matched`` and ``mismatched``, and their table.

    Args:
        stimuli: See :func:`plan_stimuli`.
        folder: To write to.
        video: Whether mp4 are drawn.
        seconds: Videos show only so much of each.
        progress: Wraps the iteration over them.
    """
    sounds = {stimulus.segment: stimulus.sound for stimulus in stimuli}
    codes = {stimulus.segment: stimulus.code for stimulus in stimuli}
    for stimulus in progress(stimuli):
        segment, code = stimulus.segment, stimulus.code
        motion = still_face(load_motion(stimulus.motion)[segment.start : segment.end])
        save_motion(folder / MOTION / f"{code}.npz", motion)
        own = load_audio(stimulus.sound)[cut_points(segment)]
        waves = {MATCHED: own}
        if stimulus.other is not None:
            other = load_audio(sounds[stimulus.other])[cut_points(stimulus.other)]
            waves[MISMATCHED] = fitted(other, len(own))
        for kind, wave in waves.items():
            _write_wave(folder / kind / f"{code}.wav", wave)
        if video:
            shown = motion if seconds is None else motion[: max(1, int(seconds * FPS))]
            silent = folder / MUTED / f"{code}.mp4"
            write_silent(shown, silent)
            for kind, wave in waves.items():
                write_with_sound(silent, wave[: len(shown) * SAMPLE_RATE // FPS], folder / kind / f"{code}.mp4")
    _write_table(folder / "stimuli.csv", stimuli, codes)


def _write_wave(path: Path, wave: np.ndarray) -> None:
    def write(temporary: Path) -> None:
        soundfile.write(temporary, wave, SAMPLE_RATE, subtype="PCM_16")

    atomic_write(path, write)


def _write_table(path: Path, stimuli: list[Stimulus], codes: dict[Segment, str]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["input_code", "recording", "start_frame", "end_frame", "motion", "mismatched_speech_of"])
    for stimulus in stimuli:
        segment, other = stimulus.segment, codes.get(stimulus.other, "")
        table.writerow([stimulus.code, segment.recording, segment.start, segment.end, stimulus.motion.name, other])
    atomic_write(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))
