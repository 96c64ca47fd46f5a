"""Whether a method's motion fits its own sound better than another's, by a trained scorer; see docs/metrics.md.

A take is cut into segments of some windows, one after another; a gesture is the window around a labelled interval. Both
are scored window by window, as the scorer was trained.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semtalk.errors import SemTalkError
from semtalk.evaluation.comparison import REPEATS, interval
from semtalk.evaluation.files import Files
from semtalk.evaluation.takes import Take
from semtalk.features.extract import build_encoder, encode, encoder_settings, full_precision
from semtalk.features.utterance import Utterance, fit_wave
from semtalk.generation.load import files_of, located
from semtalk.metrics.alignment import own_wins, recall_at, resampled_means, same_speaker
from semtalk.models.scorer import HEARD, AlignmentScorer
from semtalk.motion.skeleton import FPS, WINDOW
from semtalk.places import called, checkpoint_path
from semtalk.settings import refuse_untrusted
from semtalk.settings.commands import EvalSettings, TrainSettings
from semtalk.settings.inputs import Features
from semtalk.tasks.checkpoint import load_network

SHIFTED = "shifted"
"""The row of the truth's motion, rolled by half of its take."""
RECALLS = (1, 5)


def segments_of(frames: int, windows: int) -> list[slice]:
    """Segments of so many windows of a take, one after another."""
    length = windows * WINDOW
    return [slice(start, start + length) for start in range(0, frames - length + 1, length)]


def gestures_of(semantic: Tensor | None, frames: int) -> list[slice]:
    """The window around each labelled interval of a take, by the semantic scores (T,); none without labels."""
    if semantic is None or frames < WINDOW:
        return []
    inside = torch.nn.functional.pad((semantic > 0).int(), (1, 1)).diff()
    begins, ends = (inside.eq(sign).nonzero()[:, 0].tolist() for sign in (1, -1))
    middles = [(begin + end) // 2 - WINDOW // 2 for begin, end in zip(begins, ends, strict=True)]
    return [slice(start, start + WINDOW) for start in (min(max(0, middle), frames - WINDOW) for middle in middles)]


def named_speaker(name: str) -> str | None:
    """Speaker of a take by a file name as BEAT2's, ``2_scott_0_1_1``; none where it has another form."""
    found = re.match(r"(\d+)_[a-z]+_\d", name)
    return found[1] if found else None


def what_is_heard(features: Features) -> dict[str, dict[str, Any]]:
    """Slot -> what the values of the features that a scorer hears depend on, wherever the files of their models lie."""

    def anywhere(settings: dict[str, Any]) -> dict[str, Any]:
        options = {key: value for key, value in settings["options"].items() if key != "path"}
        if "model" in options:
            options["model"] = Path(str(options["model"])).name
        return {"encoder": settings["encoder"], "version": settings["version"], **options}

    return {slot: anywhere(encoder_settings(features, slot)) for slot in HEARD}


@dataclass(frozen=True)
class Scorer:
    """A trained scorer.

    Attributes:
        network: In evaluation mode.
        features: That it was trained with.
        said: What a result says of it: its run, and its file's hash.
        windows: Of a segment that it scores.
    """

    network: AlignmentScorer
    features: Features
    said: dict[str, str]
    windows: int

    @classmethod
    def load(cls, folder: str | Path, windows: int, trust: Sequence[str] = ()) -> "Scorer":
        """Of a run.

        Raises:
            SemTalkError: It has none, or a damaged one; or its features name a class of a package that is not trusted.
        """
        network, stamp = load_network(folder, "alignment")
        refuse_untrusted(stamp.settings, trust)
        sha256 = hashlib.sha256(checkpoint_path(folder, "alignment").read_bytes()).hexdigest()[:12]
        return cls(network, stamp.settings.features, {"run": str(folder), "sha256": sha256}, windows)

    def check_features(self, features: Features) -> None:
        """See that a run hears what the scorer was trained with.

        Raises:
            SemTalkError: It hears something else.
        """
        own, its = what_is_heard(self.features), what_is_heard(features)
        for slot in HEARD:
            if own[slot] != its[slot]:
                one, other = (" ".join(f"{key}={value}" for key, value in said[slot].items()) for said in (own, its))
                raise SemTalkError(
                    f"scorer={self.said['run']}: it was trained with features.slots.{slot} {one}, and the run hears "
                    f"{other}; train one with `{called('train')} stage=alignment features={features.name}`."
                )

    @cached_property
    def _encoders(self):
        return {slot: build_encoder(self.features, slot) for slot in HEARD}

    def features_of(self, take: Take) -> dict[str, Tensor]:
        """What it hears of a take: its recording's features, or those of its sound, each (T, d)."""
        if take.recording is not None:
            return {slot: full_precision(take.recording[slot][: take.frames]) for slot in HEARD}
        wave = fit_wave(take.wave.numpy(), take.frames)
        utterance = Utterance(wave, frames=take.frames, name=take.id)
        return {
            slot: torch.from_numpy(encode(encoder, self.features, slot, utterance)).float()
            for slot, encoder in self._encoders.items()
        }

    @torch.no_grad()
    def embedded(self, value: Tensor | Mapping[str, Tensor], pieces: list[slice]) -> np.ndarray:
        """Unit vectors (N, S C) of N pieces of motion (T, 55, 6), or of features, as long as each other.

        The cosine of two is the mean of their steps' cosines.
        """
        if not pieces:
            return np.zeros((0, 0), np.float32)

        def windows(x: Tensor) -> Tensor:
            return torch.stack([x[piece] for piece in pieces]).unflatten(1, (-1, WINDOW)).flatten(0, 1)

        if isinstance(value, Tensor):
            steps = self.network.see(windows(value))
        else:
            steps = self.network.hear({slot: windows(one) for slot, one in value.items()})
        whole = steps.reshape(len(pieces), -1)
        return (whole / whole.norm(dim=1, keepdim=True)).numpy()


class Alignment:
    """What a scorer makes of takes that come one by one: segments and gestures of rows and sound, embedded."""

    def __init__(self):
        self.speakers: list[str] = []
        self.motion: dict[str, list[np.ndarray]] = defaultdict(list)
        self.speech: list[np.ndarray] = []
        self.gestures: dict[str, list[np.ndarray]] = defaultdict(list)
        self.words: list[np.ndarray] = []

    def add(self, take: Take, speaker: str, scorer: Scorer, rows: Iterable[str]) -> None:
        """Take a take into it; it has the rows, of which the truth's is rolled too."""
        segments, gestures = segments_of(take.frames, scorer.windows), gestures_of(take.semantic, take.frames)
        features = scorer.features_of(take)
        self.speakers.append(speaker)
        self.speech.append(scorer.embedded(features, segments))
        self.words.append(scorer.embedded(features, gestures))
        moves = {row: take.rotation[row] for row in rows}
        moves[SHIFTED] = take.rotation["truth"].roll(take.frames // 2, dims=0)
        for row, rotation in moves.items():
            self.motion[row].append(scorer.embedded(rotation, segments))
            self.gestures[row].append(scorer.embedded(rotation, gestures))

    def numbers(self, scorer: Scorer, seed: int = 0) -> dict[str, Any]:
        """What a result has of it: of each row the share with its interval, and recalls where takes are labelled.

        Args:
            scorer: What measured.
            seed: Of the bootstrap over takes.
        """
        takes, speakers = self._places(self.speech)
        found: dict[str, Any] = {
            "scorer": scorer.said, "segments": len(takes), "seconds": scorer.windows * WINDOW / FPS,
            "takes": len(set(takes)), "rows": {},
        }  # fmt: skip
        among = same_speaker(torch.from_numpy(speakers))
        of_gestures, gesturing = self._places(self.words)
        found["gestures"] = len(of_gestures)
        rivals = same_speaker(torch.from_numpy(gesturing))
        for row, motion in self.motion.items():
            wins = own_wins(_scores(motion, self.speech), among).double().numpy()
            draws = resampled_means(wins, takes, REPEATS if takes.max() else 0, seed)  # one take has no spread
            found["rows"][row] = {"share": float(wins.mean()), **interval(draws)}
            if len(of_gestures):
                scores = _scores(self.gestures[row], self.words)
                found["rows"][row] |= {f"recall_{k}": float(recall_at(scores, rivals, k).mean()) for k in RECALLS}
        if len(of_gestures):
            chances = [(k / rivals.sum(dim=1)).clamp(max=1).mean() for k in RECALLS]
            found["chance"] = {f"recall_{k}": float(chance) for k, chance in zip(RECALLS, chances, strict=True)}
        return found

    def _places(self, found: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Number of the take, of those that have one, and of the speaker of each piece (N,)."""
        counts = [len(pieces) for pieces in found]
        takes = np.repeat(np.cumsum([bool(count) for count in counts]) - 1, counts)
        numbers = {speaker: number for number, speaker in enumerate(dict.fromkeys(self.speakers))}
        return takes, np.repeat([numbers[speaker] for speaker in self.speakers], counts)


def _scores(motion: list[np.ndarray], speech: list[np.ndarray]) -> Tensor:
    a, b = (torch.from_numpy(np.concatenate([piece for piece in found if len(piece)])) for found in (motion, speech))
    return a @ b.T


def refuse_few(said: str, takes: Iterable[tuple[str, int]], windows: int) -> None:
    """See that every speaker has two segments, of which one can be told from the other.

    Args:
        said: Begins the error.
        takes: Speaker and frames of each.
        windows: Of a segment.

    Raises:
        SemTalkError: One has fewer.
    """
    counts = Counter()
    for speaker, frames in takes:
        counts[speaker] += len(segments_of(frames, windows))
    if lacking := [speaker for speaker, count in counts.items() if count < 2]:
        raise SemTalkError(
            f"{said}: speaker {lacking[0]} has {counts[lacking[0]]} segments of {windows * WINDOW / FPS:.1f} s, and "
            "alignment compares two or more; give longer or more takes, or segment_windows=1."
        )


def scorer_of_run(
    settings: EvalSettings | TrainSettings,
    folder: Path,
    features: Features,
    takes: Sequence[tuple[str, int]],
    windows: int,
) -> tuple[Scorer | None, list[str]]:
    """The scorer that is given, or the run's own, and what a result says where the run's own cannot measure.

    Args:
        settings: Of the command.
        folder: Of the run.
        features: Of the run.
        takes: Speaker and frames of each.
        windows: Of a segment.

    Raises:
        SemTalkError: The one that is given is missing, hears something else, or has too few segments to compare.
    """
    given = getattr(settings, "scorer", None)
    if given is None and not checkpoint_path(folder, "alignment").is_file():
        return None, []
    try:
        scorer = Scorer.load(given or folder, windows, settings.trust)
        scorer.check_features(features)
        refuse_few(f"scorer={given or folder}", takes, windows)
    except SemTalkError as error:
        if given is not None:
            raise
        return None, [f"alignment is left out: {error}"]
    return scorer, []


def scorer_of_files(settings: EvalSettings, files: Files) -> tuple[Scorer | None, list[str], list[str]]:
    """The scorer that is given for a folder of motion files, the speaker of each take, and what a result says of these.

    Raises:
        SemTalkError: The scorer is missing, there is no sound, or there are too few segments to compare.
    """
    if settings.scorer is None:
        return None, [], []
    if settings.audio is None:
        raise SemTalkError(f"scorer={settings.scorer}: it hears the sound of the takes; give its folder, audio=DIR.")
    scorer = Scorer.load(settings.scorer, settings.segment_windows, settings.trust)
    scorer = replace(scorer, features=located(scorer.features, Path(settings.scorer), files_of(settings.features)))
    named, notes = [named_speaker(pair.name) for pair in files.pairs], []
    if None in named:
        named = ["whoever speaks"] * len(named)
        notes = ["alignment takes all files for one speaker's: names as 2_scott_0_1_1 would say whose they are"]
    refuse_few(f"scorer={settings.scorer}", zip(named, files.frames, strict=True), scorer.windows)
    return scorer, named, notes
