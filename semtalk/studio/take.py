"""What was made of one request of the studio: its files, and what the page shows of it."""

import threading
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from semtalk.errors import SemTalkError
from semtalk.features.utterance import Utterance
from semtalk.files import atomic_write
from semtalk.generation.generated import Generated
from semtalk.generation.inputs import SUFFIXES
from semtalk.generation.wishes import asked_words
from semtalk.generation.writers import write_motion
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import DOWNSAMPLE, FPS, SAMPLE_RATE
from semtalk.settings.commands import GenerateSettings
from semtalk.studio.engine import Engine
from semtalk.studio.request import COMMAND, OUT, WRITTEN
from semtalk.studio.turns import Report

DOWNLOADS = ("npz", *WRITTEN)
"""Formats that ``generate.py`` writes too."""


@dataclass
class Take:
    """What was made of one request.

    Attributes:
        folder: Of its files: ``given`` and ``made``.
        settings: Of ``generate.py``, with names of files within ``given``.
        utterance: The recording and its words.
        samples: Motions.
        beside: What stands beside each of them: motions, one for all, or none.
        title: Of what stands beside.
        line: Command line that gives the same bytes, within the folder ``given``.
        semantic: Whether the run has a semantic score, so that words can matter.
    """

    folder: Path
    settings: GenerateSettings
    utterance: Utterance
    samples: list[Generated]
    beside: list[Motion]
    title: str
    line: str
    semantic: bool
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """Of its files."""
        return self.utterance.name

    def called(self, sample: int) -> str:
        """Name of a sample's files, as ``generate.py`` calls them."""
        return f"{self.name}_{sample}" if len(self.samples) > 1 else self.name

    def figures(self, sample: int) -> list[Motion]:
        """Motions that are shown, from left to right: the one beside it first, so that the result is at the right."""
        beside = self.beside[min(sample, len(self.beside) - 1) :][:1]
        return [*beside, self.samples[sample].motion]

    def titles(self) -> list[str]:
        """Of the figures."""
        return [self.title, "generated"] if self.beside else ["generated"]

    def scene(self, sample: int) -> dict[str, Any]:
        """What the page draws of a sample: psi, the words below it, and what was asked of them."""
        settings, utterance = self.settings, self.utterance
        psi = self.samples[sample].psi
        marks = {
            mark: asked_words(key, value or [], utterance)
            for key, mark, value in (("calm", "calm", settings.calm), ("emphasise", "emphasised", settings.emphasise))
        }
        seconds = len(self.samples[sample].motion) / FPS
        words = [
            {"text": word[0], "start": word[1], "end": word[2],
             "asked": next((mark for mark, asked in marks.items() if tuple(word) in map(tuple, asked)), "")}
            for word in utterance.words
        ]  # fmt: skip
        return {
            "name": self.called(sample), "seconds": seconds, "step": DOWNSAMPLE / FPS, "beta": settings.beta,
            "psi": [round(float(value), 4) for value in psi],
            "sparse": [bool(value > settings.beta) for value in psi], "words": words,
            "poses": [float(one.rpartition("@")[2]) for one in settings.pose or []], "titles": self.titles(),
            "semantic": self.semantic,
        }  # fmt: skip

    def file(self, engine: Engine, kind: str, sample: int, figure: int | None = None) -> Path:
        """A file of a sample, written when it is first asked for.

        Args:
            engine: Of the studio.
            kind: One of :data:`DOWNLOADS`; ``psi`` (scores to be edited), ``wav``, ``mp4`` where it was drawn, or
                ``zip`` with all of the take.
            sample: Its number.
            figure: For a glb: of which of the figures; by default of the motion itself.

        Raises:
            SemTalkError: There is no such file.
        """
        if not 0 <= sample < len(self.samples):
            raise SemTalkError(f"sample {sample}: there are {len(self.samples)}.")
        with self.lock:
            if kind == "zip":
                return self._zip(engine)
            return self._file(engine, kind, sample, figure)

    def _file(self, engine: Engine, kind: str, sample: int, figure: int | None = None) -> Path:
        motions, suffix = self.figures(sample), SUFFIXES.get(kind, kind)
        path = self.folder / OUT / f"{self.called(sample)}.{suffix}"
        motion = motions[-1]
        if figure is not None:
            if not 0 <= figure < len(motions):
                raise SemTalkError(f"figure {figure}: there are {len(motions)}.")
            if figure < len(motions) - 1:
                path, motion = self.folder / f"beside_{sample}.glb", motions[figure]
        if path.is_file():
            return path
        if kind == "wav":
            wave = np.clip(self.utterance.wave, -1, 1)
            atomic_write(path, lambda file: soundfile.write(file, wave, SAMPLE_RATE, "PCM_16", format="WAV"))
        elif kind == "psi":
            path = self.folder / f"{self.called(sample)}_psi.csv"
            lines = ["psi", *(repr(float(value)) for value in self.samples[sample].psi)]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        elif kind == "mp4":
            raise SemTalkError("the video is not drawn yet.")
        elif kind in DOWNLOADS:
            arkit = engine.arkit if kind == "arkit" else None
            write_motion(path, motion, engine.body, arkit, corpus=engine.model.corpus)
        else:
            raise SemTalkError(
                f"{kind}: there is no such file; choose one of {', '.join(DOWNLOADS)}, psi, wav, mp4, zip."
            )
        return path

    def _zip(self, engine: Engine) -> Path:
        """All of the take: what was given, what was made, and the command line that makes it again."""
        path = self.folder / f"{self.name}.zip"
        files = sorted((self.folder / "given").iterdir())
        made = [self._file(engine, kind, sample) for sample in range(len(self.samples)) for kind in DOWNLOADS]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(f"{self.name}/{COMMAND}", self.line + "\n")
            for file in files:
                packed.write(file, f"{self.name}/{file.name}")
            for file in made:
                packed.write(file, f"{self.name}/{OUT}/{file.name}")
        return path

    def drawn(self, sample: int) -> Path:
        """Where the video of a sample is, or will be."""
        return self.folder / OUT / f"{self.called(sample)}.mp4"

    def video(self, engine: Engine, sample: int, report: Report) -> Path:
        """The video of a sample with its sound, drawn when it is first asked for; one is drawn at a time."""
        from semtalk.face.talk import find_face
        from semtalk.viz.video import Scene, write_video

        path = self.drawn(sample)
        with engine.drawing.turn(report):
            if not path.is_file():
                report(None, "Preparing the video")
                motions = dict(zip(self.titles(), self.figures(sample), strict=True))
                scene = Scene(
                    motions, self.utterance.wave, self.samples[sample].psi, self.settings.beta,
                    words=self.utterance.words, view=self.settings.view,
                    face=find_face(self.settings.view, engine.body, engine.model.corpus),
                )  # fmt: skip

                def told(pictures: Iterable, total: int) -> Iterator:
                    for number, picture in enumerate(pictures):
                        report(number / total, "Drawing the video")
                        yield picture

                write_video(scene, path, progress=told)
        return path
