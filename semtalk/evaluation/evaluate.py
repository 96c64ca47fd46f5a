"""Evaluates a trained run, or any folder of motion files: the rows, the known answers, and all that a result states."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from semtalk.body import BodyModel, load_body
from semtalk.data.open import open_corpus, open_store
from semtalk.data.recording import Corpus
from semtalk.data.store import Store, StoredRecording, sampled
from semtalk.evaluation.alignment import Alignment, scorer_of_files, scorer_of_run
from semtalk.evaluation.embedding import embedder_of, refuse_short
from semtalk.evaluation.files import Files
from semtalk.evaluation.folder import joint_speed_of, takes_of
from semtalk.evaluation.gate import gate_numbers, gates_of
from semtalk.evaluation.hearing import OTHER, Hearing, add_other_sound, filled_table, hearings, other_sounds
from semtalk.evaluation.known_answers import KnownAnswers
from semtalk.evaluation.measure import Measurement, missing_values, thin_rows
from semtalk.evaluation.metrics import chosen_metrics
from semtalk.evaluation.notes import corpus_notes
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.result import Measured, Result
from semtalk.evaluation.samples import add_samples, diversity_of_takes, draws_numbers, mean_diversity
from semtalk.evaluation.shares import in_processes, joined, own_device
from semtalk.evaluation.takes import Shown, Take, TakeMaker, add_sound, add_still, mean_frame
from semtalk.generation.load import files_of, load_generator
from semtalk.log import LOG
from semtalk.settings.commands import EvalSettings, Evaluation, TrainSettings
from semtalk.tasks.stamp import digest

ROWS = ("fused", "base", "truth", "mean")
UNDRAWN = "the run draws no random numbers: one sample of each take stands for the {} that were asked for"
TAKES_AT_ONCE = 8
"""Takes of a split that are generated together, measured, and let go of: a piece, of which processes have some each."""


@dataclass
class Found:
    """What was found of some takes, one after another.

    Attributes:
        measured: Their numbers, without a table.
        heard: Row -> what is heard in it.
        known: Of the embedded corpus, or none.
        gates: See :func:`gates_of`.
        frames: Of each.
        diversity: What each adds to the diversity over samples.
        alignment: Of their segments, where there is a scorer.
    """

    measured: Measured
    heard: dict[str, Hearing]
    known: KnownAnswers | None
    gates: list[tuple[torch.Tensor, torch.Tensor]]
    frames: list[int]
    diversity: list[float]
    alignment: Alignment | None = None


class Evaluator:
    """A run whose takes are generated and measured piece by piece, and the result of all of them."""

    def __init__(
        self, settings: EvalSettings | TrainSettings, evaluation: Evaluation, folder: Path, store: Store,
        corpus: Corpus, joint_speed: tuple[np.ndarray, str], body: BodyModel, device: torch.device, at_once: int,
    ):  # fmt: skip
        """Load the run; see :func:`evaluate_run`."""
        self.at_once = at_once
        self.settings, self.evaluation, self.folder, self.store = settings, evaluation, folder, store
        self.corpus, self.body, (speed, self.speed_source) = corpus, body, joint_speed
        asked = settings.embedder is not None
        embedder, self.embedded = embedder_of(Path(settings.embedder or folder), evaluation.protocol, asked)
        torch.manual_seed(settings.seed)
        self.metrics = chosen_metrics(evaluation.metrics, evaluation.protocol)
        files = files_of(settings.features)
        self.run = load_generator(folder, evaluation.generation, dict(evaluation.decoding), settings.trust, files)
        rules = find_protocol(evaluation.protocol)
        self.maker = TakeMaker(
            self.run.generator.to(device), self.run.facts.speakers, self.run.features.stride, evaluation.beta,
            evaluation.gate, settings.seed, rules.counted, rules.true_seed,
        )  # fmt: skip
        self.measurement = Measurement(ROWS, self.metrics, embedder, body, speed, evaluation.protocol)
        self.recordings, self.short = self.maker.long_enough(store.split(evaluation.split))
        takes = [(one.info["speaker"], self.maker.counted(one.frames)) for one in self.recordings]
        self.scorer, self.unscored = scorer_of_run(
            settings, folder, self.run.features, takes, evaluation.segment_windows
        )
        drawn = evaluation.samples == 1 or draws_numbers(self.run.generator, evaluation.gate)
        self.samples, self.undrawn = (evaluation.samples, []) if drawn else (1, [UNDRAWN.format(evaluation.samples)])
        self.knows = settings.data.reader == "sample" and self.run.generator.sparse is not None

    @cached_property
    def still(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean pose and face of the training split, read where pieces are measured."""
        return mean_frame(sampled(self.store.split("train")))

    @cached_property
    def others(self) -> list[StoredRecording]:
        """Whose sound each of the recordings gets instead of its own; none where that is not measured."""
        return other_sounds(self.recordings, self.maker.counted) if self.evaluation.extended or self.knows else []

    @property
    def pieces(self) -> int:
        """How many pieces the takes make."""
        return -(-len(self.recordings) // self.at_once)

    def piece(self, number: int, seen: Callable[[list[Take]], None], quiet: bool = False) -> Found:
        """Generate and measure the takes of a piece.

        Args:
            number: Of the piece.
            seen: Is given its takes.
            quiet: Without progress bars.
        """
        begin = number * self.at_once
        chosen = slice(begin, begin + self.at_once)
        text = f" {begin + 1} to {min(chosen.stop, len(self.recordings))} of {len(self.recordings)}"
        some = text if self.pieces > 1 else ""
        bar = partial(track, description=f"Generating{some}", disable=quiet)
        takes, _ = self.maker.takes(self.recordings[chosen], bar)
        add_sound(takes, self.corpus)
        add_still(takes, self.still)
        heard = hearings(ROWS, {"fused": OTHER}) if self.evaluation.extended else {}
        if heard:
            add_other_sound(takes, self.maker, self.others[chosen])
        diversity = []
        if self.samples > 1:
            add_samples(takes, self.samples, self.maker)
            diversity = diversity_of_takes(takes, "fused", self.body)
        known = KnownAnswers() if self.knows else None
        if known:
            known.add(takes, self.others[chosen], self.maker)
        measured, alignment = Measured(), Alignment() if self.scorer else None
        for take in track(takes, description=f"Measuring{some}", disable=quiet):
            measured = joined(measured, self.measurement.of(take))
            for one in heard.values():
                one.add(take, self.body)
            if alignment:
                alignment.add(take, take.recording.info["speaker"], self.scorer, ROWS)
        seen(takes)
        for recording in self.recordings[chosen]:
            recording.let_go()
        frames = [take.frames for take in takes]
        return Found(measured, heard, known, gates_of(takes), frames, diversity, alignment)

    def result(self, found: Found) -> tuple[Result, Measured]:
        """The result of all pieces, and its numbers."""
        evaluation, run = self.evaluation, self.run
        run.generator.cpu()
        measured = self.measurement.whole(found.measured)
        diversity = mean_diversity(found.diversity, found.frames)
        known = {}
        if found.known:
            known = found.known.numbers(self.maker, self.recordings, self.store.split("train"))
        result = Result(
            str(self.folder), evaluation.split, len(self.recordings), evaluation.protocol, self.body.name,
            self.body.stand_in, self.embedded, self.speed_source, self.settings.plain(), measured.table,
            {name: metric.heading for name, metric in self.metrics.items()},
            {name: metric.scale for name, metric in self.metrics.items()},
            hearing=filled_table(found.heard, measured.table) if found.heard else {},
            known_answers=known,
            gate=gate_numbers(found.gates, evaluation.beta) if evaluation.extended else {},
            samples={"count": self.samples, "diversity": diversity}, too_short=self.short,
            weights={phase: digest(network.state_dict()) for phase, network in run.networks.items()},
            notes=[
                *corpus_notes(self.corpus, self.store, self.settings.data),
                *(f"trained on: {note}" for note in run.facts.notes if note not in self.corpus.notes),
                *thin_rows(measured, self.metrics), *missing_values(measured, self.metrics), *self.unscored,
                *self.undrawn,
            ],
            alignment=found.alignment.numbers(self.scorer, self.settings.seed) if found.alignment else {},
        )  # fmt: skip
        return result, measured


def evaluate_run(
    settings: EvalSettings | TrainSettings,
    evaluation: Evaluation,
    folder: Path,
    store: Store,
    corpus: Corpus,
    joint_speed: tuple[np.ndarray, str],
    body: BodyModel,
    device: torch.device,
    seen: Callable[[list[Take]], None] = lambda takes: None,
    processes: int = 1,
    at_once: int = TAKES_AT_ONCE,
) -> tuple[Result, Measured]:
    """Generate the takes of a split and measure them.

    Args:
        settings: Of the command.
        evaluation: What is evaluated, and how; for ``eval.py`` the settings themselves.
        folder: Of the run.
        store: The prepared corpus, with the run's own features.
        corpus: Its reader, for whole sounds and what every result of it has to say.
        joint_speed: (55,) mean joint speed in m/s, for BC, and where it is from.
        body: For joints and face vertices.
        device: Where to generate.
        seen: Is given the takes, some at a time; they are not kept otherwise. From several processes it is given the
            one of each piece that is worth looking at.
        processes: How many share the takes, each with a GPU of its own where there are several; numbers are the same.
        at_once: Takes of a piece; with others the motion of a take differs by rounding.

    Returns:
        The result, and its numbers.

    Raises:
        SemTalkError: A checkpoint is missing, the split holds nothing that can be evaluated, or a process was killed.
    """
    evaluator = Evaluator(settings, evaluation, folder, store, corpus, joint_speed, body, device, at_once)
    if processes == 1:
        pieces = (evaluator.piece(number, seen) for number in range(evaluator.pieces))
        return evaluator.result(reduce(joined, pieces))
    evaluator.run.generator.cpu()
    make = partial(_opened, settings, evaluation, folder, joint_speed, device.type, at_once)
    found = []
    shared = in_processes(make, evaluator.pieces, min(processes, evaluator.pieces))
    for piece, take in track(shared, description="Evaluating", total=evaluator.pieces):
        seen([take])
        found.append(piece)
    return evaluator.result(reduce(joined, found))


def _opened(
    settings: EvalSettings,
    evaluation: Evaluation,
    folder: Path,
    joint_speed: tuple[np.ndarray, str],
    kind: str,
    at_once: int,
) -> Callable[[int], tuple[Found, Take]]:
    """In a process of several: what measures a piece, and gives the take of it that is worth looking at."""
    LOG.setLevel("ERROR")  # the first process has said it
    corpus, body = open_corpus(settings.data), load_body(settings.body.path, settings.body.model)
    store, device = open_store(settings, corpus, body), torch.device(own_device(kind))
    evaluator = Evaluator(settings, evaluation, folder, store, corpus, joint_speed, body, device, at_once)

    def piece(number: int) -> tuple[Found, Take]:
        shown = Shown(evaluation.video_seconds)
        return evaluator.piece(number, shown, quiet=True), shown.take

    return piece


def evaluate_folder(settings: EvalSettings, files: Files, body: BodyModel) -> tuple[Result, Measured]:
    """Measure a folder of motion files of any method against the truth; no model is needed.

    Args:
        settings: Of the command; with an ``embedder`` FGD is measured too.
        files: What :func:`semtalk.evaluation.files.read_files` read; takes are read again one after another.
        body: For joints and face vertices.

    Raises:
        SemTalkError: The embedder is missing, or a take too short for it.
    """
    metrics = chosen_metrics(settings.metrics, settings.protocol)
    rows, count = ("method", "truth", "mean"), len(files.pairs)
    speed, source = files.speed, str(settings.mean_speed)
    if speed is None:
        speed, source = joint_speed_of(files, body), "of the true files given (mean_speed=FILE gives the corpus's)"
    embedder, embedded = None, {"source": "none: FGD is left out (embedder=RUN gives one)", "sha256": "", "network": ""}
    if settings.embedder:
        if find_protocol(settings.protocol).embedder == "emage":
            refuse_short(files)
        embedder, embedded = embedder_of(Path(settings.embedder), settings.protocol)
    scorer, speakers, said = scorer_of_files(settings, files)
    measurement = Measurement(rows, metrics, embedder, body, speed, settings.protocol)
    heard, found, alignment = hearings(rows) if settings.extended else {}, Measured(), Alignment()
    diversity = []
    for number, take in enumerate(track(takes_of(files), description="Measuring", total=count)):
        found = joined(found, measurement.of(take))
        diversity += diversity_of_takes([take], "method", body)
        for one in heard.values():
            one.add(take, body)
        if scorer:
            alignment.add(take, speakers[number], scorer, rows)
    measured = measurement.whole(found)
    result = Result(
        settings.motions, settings.split, count, settings.protocol, body.name, body.stand_in, embedded, source,
        settings.plain(), measured.table, {name: metric.heading for name, metric in metrics.items()},
        {name: metric.scale for name, metric in metrics.items()},
        hearing=filled_table(heard, measured.table) if heard else {},
        notes=[*files.notes, *said, *thin_rows(measured, metrics), *missing_values(measured, metrics)],
        alignment=alignment.numbers(scorer, settings.seed) if scorer else {},
        samples={"count": files.samples, "diversity": mean_diversity(diversity, files.frames)},
    )  # fmt: skip
    return result, measured
