"""What one user of the studio makes: takes, which are removed when the user goes."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.transcript import read_transcript
from semtalk.features.utterance import Utterance
from semtalk.motion.io import load_motion
from semtalk.settings.line import generate_line
from semtalk.studio.boxes import in_boxes
from semtalk.studio.engine import Engine
from semtalk.studio.request import (
    BESIDE,
    OUT,
    Request,
    asked_settings,
    free,
    read_words,
    taken,
    taken_poses,
    write_words,
)
from semtalk.studio.take import Take
from semtalk.studio.turns import Report, Stopped

MOST_TAKES = 6
"""That a session keeps; the oldest goes when another one is made."""
TITLES = {"nothing": "", "unedited": "as it was", "base": "base motion alone", "file": "motion file"}


class Session:
    """One user.

    Attributes:
        folder: Of everything that the user gave and made.
        takes: By their number, which is counted up with each that is made.
        ended: Whether the user has gone.
        working: What is made now, by its kind: ``generating``, ``drawing`` or ``hearing``; set, it is to stop.
    """

    def __init__(self, engine: Engine, folder: Path):
        self.engine, self.folder = engine, folder
        self.takes: dict[int, Take] = {}
        self.requests = self.made = 0
        self.ended = False
        self.working: dict[str, threading.Event] = {}
        folder.mkdir(parents=True)

    def sound(self, audio: Path | None) -> np.ndarray:
        """The wave (S,) of a recording.

        Raises:
            SemTalkError: There is none, it is no sound, or longer than the studio takes.
        """
        if audio is None:
            raise SemTalkError("There is no voice yet: record one, or choose a file.")
        with self.plain_names(audio.parent):
            return load_audio(audio, self.engine.settings.longest)

    def words_of(self, audio: Path | None, transcript: Path) -> list:
        """Words of a transcript file."""
        wave = self.sound(audio)
        with self.plain_names(transcript.parent):
            return read_transcript(transcript, wave)

    def heard(self, audio: Path | None, report: Report) -> list:
        """Words that Whisper hears."""
        report = self.wanted("hearing", report)
        words = self.engine.hear(Utterance(self.sound(audio)), report)
        report(1, "Hearing the words")  # there may be another voice by now
        return words

    def generate(self, request: Request, report: Report = lambda share, doing: None) -> int:
        """Make a take of a request.

        Returns:
            Its number.

        Raises:
            SemTalkError: What is asked for cannot be; in one sentence, in which files have no folders.
        """
        if request.beside not in BESIDE:
            raise SemTalkError(f"beside={request.beside}: choose one of {', '.join(BESIDE)}.")
        wave = self.sound(request.audio)
        self.requests += 1
        folder = self.folder / str(self.requests)
        report = self.wanted("generating", report)
        try:
            with self.plain_names(folder / "given"):
                take = self._take(request, wave, folder, report)
            report(1, "Building the figure")
        except BaseException:
            shutil.rmtree(self.folder if self.ended else folder, ignore_errors=True)
            raise
        self.made += 1
        number = self.made
        self.takes[number] = take
        while len(self.takes) > MOST_TAKES:
            shutil.rmtree(self.takes.pop(min(self.takes)).folder, ignore_errors=True)
        return number

    def _take(self, request: Request, wave: np.ndarray, folder: Path, report: Report) -> Take:
        given = folder / "given"
        given.mkdir(parents=True)
        (folder / OUT).mkdir()
        audio, transcript = taken(request.audio, given), None
        words = read_words(request.words, wave)
        if words:
            transcript = free(f"{audio.stem}.json", given)
            write_words(words, transcript)
            words = read_transcript(transcript, wave)
        psi = None if request.psi is None else taken(request.psi, given)
        poses = taken_poses(request, given)
        if self.engine.temperature in (None, request.temperature):
            request = replace(request, temperature=None)
        settings = asked_settings(self.engine.base, request, audio, transcript, psi, poses)
        utterance = Utterance(wave, words, name=audio.stem)
        truth = []
        if request.beside == "file":
            if request.truth is None:
                raise SemTalkError("beside: choose the motion file (npz) that stands beside.")
            with self.plain_names(request.truth.parent):
                truth = [load_motion(request.truth)]
        samples, beside = self.engine.make(settings, utterance, request.beside, report)
        beside = truth or [one.motion for one in beside]
        report(0.97, "Building the figure")
        named = settings.model_copy(
            update={
                "audio": audio.name, "transcript": transcript.name if transcript else "none",
                "psi": psi.name if psi else None,
                "pose": [f"{path.name}@{at:g}" for path, at in poses] or None,
            }
        )  # fmt: skip
        line = generate_line(named, self.engine.ckpt, "semtalk generate")
        title = Path(self.engine.settings.beside or "").name if request.beside == "run" else TITLES[request.beside]
        take = Take(folder, named, utterance, samples, beside, title, line, self.engine.semantic)
        for figure in range(len(take.figures(0))):
            take.file(self.engine, "glb", 0, figure)
        return take

    def take(self, number: int) -> Take:
        """A take.

        Raises:
            SemTalkError: It is not there, or no longer.
        """
        if number not in self.takes:
            raise SemTalkError(f"take {number}: it is not there any more; generate it again.")
        return self.takes[number]

    def video(self, number: int, sample: int, report: Report) -> Path:
        """The video of a sample of a take."""
        try:
            return self.take(number).video(self.engine, sample, self.wanted("drawing", report))
        finally:
            if self.ended:  # whoever writes makes the folder anew
                shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def plain_names(self, folder: Path) -> Iterator[None]:
        """Errors name files as the user does, without the folder that they were put into; and boxes, not keys."""
        try:
            yield
        except SemTalkError as error:
            said = str(error).replace(f"{folder}/", "").replace(f"{folder.parent}/", "")
            raise SemTalkError(in_boxes(said)) from error

    def wanted(self, kind: str, report: Report) -> Report:
        """A report that ends the work which makes it once the user has gone, or has stopped it: others wait for it."""
        stopped = self.working[kind] = threading.Event()

        def told(share: float | None, doing: str) -> None:
            if self.ended:
                raise SemTalkError("the page was closed, or the studio ended; what was made is removed.")
            if stopped.is_set():
                raise Stopped("Stopped.")
            report(share, doing)

        return told

    def stop(self, *kinds: str) -> None:
        """Stop what is made now of some kinds, see :attr:`working`."""
        for kind in kinds:
            self.working.get(kind, threading.Event()).set()

    def end(self) -> None:
        """Remove everything, and stop what is being made."""
        self.ended = True
        self.takes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
