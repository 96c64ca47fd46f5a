"""Writes the embedded corpus as files in BEAT2's layout; the BEAT2 reader reads them."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from filelock import FileLock

from semtalk.body import BodyModel, load_body
from semtalk.data.beat2 import FILES, FOLDER, BEAT2Corpus, emotion_of
from semtalk.data.sample.gesture import Mood, Style, animate
from semtalk.data.sample.script import KEYWORD_LABELS, Phrase, write_script
from semtalk.data.sample.voice import Tone, Voice, synthesise
from semtalk.errors import SemTalkError
from semtalk.files import read_kept
from semtalk.motion.io import save_motion
from semtalk.motion.skeleton import SAMPLE_RATE

VERSION = 2
LABEL = "sample.json"
"""File of the corpus that says by what settings it was written."""
SPEAKERS = (
    ("1_ada", Voice(190, 1.12), Style(1.0, 1.15, 0.05, 0.15, 0.03, (0.5, -0.4, 0.3))),
    ("2_ben", Voice(115, 0.94), Style(0.75, 0.85, 0.18, 0.35, 0.05, (-0.6, 0.5, 0.0))),
    ("3_cora", Voice(150, 1.03), Style(1.25, 1.40, -0.05, 0.25, 0.02, (0.2, 0.9, -0.5))),
)
COLOURS = {
    "neutral": (Tone(), Mood()),
    "happiness": (Tone(1.2, 1.2), Mood(1.2, -0.08, 1.0)),
    "anger": (Tone(1.05, 1.6), Mood(1.35, 0.08, -1.0)),
}
TRAIN_TAKES = (1, 2, 3, 6, 7, 65, 67, 73, 74)
TAKES = dict.fromkeys(TRAIN_TAKES, "train") | {4: "val", 5: "test", 66: "test"}
"""Take number, which fixes the emotion as in BEAT2, and its split."""


@dataclass(frozen=True)
class SampleSettings:
    """What the embedded corpus depends on."""

    seed: int
    speakers: int
    take_seconds: float
    version: int = VERSION


def _write_textgrid(path: Path, phrases: list[Phrase], seconds: float) -> None:
    from praatio import textgrid

    words = [(word.start, word.end, word.text) for phrase in phrases for word in phrase.words]
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("words", words, 0, seconds))
    grid.save(str(path), format="long_textgrid", includeBlankSpaces=True)


def _write_semantics(path: Path, phrases: list[Phrase], seconds: float) -> None:
    rows, time = [], 0.0

    def row(label: str, start: float, end: float, score: float, *keyword: str) -> None:
        numbers = (f"{start:.3f}", f"{end:.3f}", f"{end - start:.3f}", f"{score:g}")
        rows.append("\t".join((label, *numbers, *keyword)))

    for phrase in phrases:
        for word in phrase.words:
            if word.is_keyword:
                start, end = word.gesture_interval
                label, score = KEYWORD_LABELS[word.text]
                row("01_beat_align", time, start, 0.1)
                row(label, start, end, score, word.text)
                time = end
    row("01_beat_align", time, seconds, 0.1)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_take(
    root: Path, identifier: str, voice: Voice, style: Style, seconds: float, rest_joints: np.ndarray,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Write the four files of a take into the folders of a corpus, which exist.

    Args:
        root: Folder of the corpus, the one with ``train_test_split.csv``.
        identifier: ``{speaker}_{name}_{rtype}_{start}_{end}``, which fixes the emotion as in BEAT2.
        voice: The speaker's.
        style: The speaker's.
        seconds: Length of the take.
        rest_joints: (55, 3) joints of the speaker's body in metres.
        rng: Of what is said, and of sound and tremor.
    """
    tone, mood = COLOURS[emotion_of(identifier)]
    phrases = write_script(seconds, rng)
    paths = {kind: root / folder / f"{identifier}{suffix}" for kind, (folder, suffix) in FILES.items()}
    wave = synthesise(phrases, seconds, voice, tone, rng)
    soundfile.write(paths["audio"], wave, SAMPLE_RATE, subtype="PCM_16")
    save_motion(paths["motion"], animate(phrases, seconds, style, mood, rest_joints, rng))
    _write_textgrid(paths["text"], phrases, seconds)
    _write_semantics(paths["semantics"], phrases, seconds)


def rest_joints_of(style: Style, body: BodyModel) -> np.ndarray:
    """Joints (55, 3) in metres of a speaker's body at rest."""
    betas = torch.zeros(300)
    betas[: len(style.betas)] = torch.tensor(style.betas)
    return body.rest_joints(betas).numpy()


def write_sample(root: Path, settings: SampleSettings) -> None:
    """Write the corpus below ``root``, at once or not at all; a corpus of the same settings is kept.

    Of several processes one writes, and the others wait for it.
    """
    label = root / LABEL
    if read_kept(label) == asdict(settings):
        return
    if root.exists() and not label.is_file():
        raise SemTalkError(f"{root}: not a folder of the embedded corpus; it is left alone. Set data.root elsewhere.")
    root.parent.mkdir(parents=True, exist_ok=True)
    lock = root.with_name(f".{root.name}.lock")
    with FileLock(lock):
        if read_kept(label) != asdict(settings):
            _write_whole(root, settings)
    lock.unlink(missing_ok=True)


def _write_whole(root: Path, settings: SampleSettings) -> None:
    """Write the corpus beside ``root``, and then put it there."""
    from rich.progress import track

    body = load_body(None)

    temporary = root.with_name(f".{root.name}.{os.getpid()}.tmp")
    corpus = temporary / FOLDER
    try:
        for folder, _ in FILES.values():
            (corpus / folder).mkdir(parents=True)
        takes = [(speaker, number) for speaker in range(settings.speakers) for number in TAKES]
        lines = ["id,type"]
        for speaker, number in track(takes, description="Writing the embedded corpus"):
            name, voice, style = SPEAKERS[speaker]
            identifier, rng = f"{name}_0_{number}_{number}", np.random.default_rng([settings.seed, speaker, number])
            write_take(corpus, identifier, voice, style, settings.take_seconds, rest_joints_of(style, body), rng)
            lines.append(f"{identifier},{TAKES[number]}")
        (corpus / "train_test_split.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (temporary / LABEL).write_text(json.dumps(asdict(settings)), encoding="utf-8")
        if root.exists():
            shutil.rmtree(root)
        temporary.rename(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class SampleCorpus(BEAT2Corpus):
    """The embedded corpus; written on first use."""

    def __init__(self, root: str, seed: int, speakers: int, take_seconds: float, name: str = "sample"):
        """Write the corpus if it is not there, and open it.

        Args:
            root: Folder to write it to.
            seed: Source of what is said; another seed is another corpus.
            speakers: How many of the three voices.
            take_seconds: Length of each of a speaker's twelve takes.
            name: What the run folder and the reports call it.
        """
        write_sample(Path(root), SampleSettings(seed, speakers, take_seconds))
        super().__init__(root, name=name)
