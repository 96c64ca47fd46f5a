"""Evaluates a trained run, or any folder of motion files: the rows, the known answers, and all that a result states."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from semtalk.body import BodyModel
from semtalk.data.recording import Corpus
from semtalk.data.store import Store, sampled
from semtalk.errors import SemTalkError
from semtalk.evaluation.files import Files
from semtalk.evaluation.folder import joint_speed_of, takes_of
from semtalk.evaluation.hearing import OTHER, add_other_sound, filled_table, hearings, other_sounds
from semtalk.evaluation.known_answers import KnownAnswers
from semtalk.evaluation.measure import FGD_MULTIPLE, Measurement
from semtalk.evaluation.metrics import chosen_metrics
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.result import Measured, Result
from semtalk.evaluation.samples import diversity_of_takes, mean_diversity
from semtalk.evaluation.takes import Take, TakeMaker, add_sound, add_still, mean_frame
from semtalk.generation.load import files_of, load_generator
from semtalk.metrics import functional as F
from semtalk.models.fusion import active_steps
from semtalk.places import checkpoint_path
from semtalk.settings.commands import EvalSettings, Evaluation, TrainSettings, run_name
from semtalk.tasks.checkpoint import load_network
from semtalk.tasks.stamp import Stamp, digest

ROWS = ("fused", "base", "truth", "mean")
TAKES_AT_ONCE = 32
"""Takes of a split that are generated together, measured, and let go of; the numbers are the same for any other."""


def embedder_of(folder: Path) -> tuple[torch.nn.Module, dict[str, str]]:
    """The FGD embedder of a run, and what a result says of it: where its weights are from, and its file's hash."""
    network, stamp = load_network(folder, "fgd")
    sha256 = hashlib.sha256(checkpoint_path(folder, "fgd").read_bytes()).hexdigest()[:12]
    return network, {"source": source_of(network, stamp, folder), "sha256": sha256}


def source_of(network: torch.nn.Module, stamp: Stamp, folder: Path) -> str:
    """Where a network's weights are from: ``released`` where they are the authors' own, or the training that made them.

    A checkpoint that was copied into another run is still of the training that its stamp names.
    """
    if stamp.facts.released and stamp.facts.released == digest(network.state_dict()):
        return "released"
    config = stamp.config
    if "name" not in config:
        return f"{folder}, of unknown origin"
    trained = f"trained by {Path(config.get('runs_dir', '')) / run_name(config)}"
    return f"{trained}, from init={config['init']}" if config.get("init") else trained


def gate_report(takes: list[Take], beta: float) -> dict[str, float]:
    """Precision, recall and F1 of the trained gate per code step, where takes are labelled."""
    return gate_numbers(gates_of(takes), beta)


def gates_of(takes: list[Take]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Score (T/4,) of the trained gate and what is right, of takes that are labelled."""
    labelled = [take for take in takes if take.semantic is not None and take.gate is not None]
    return [(take.gate, take.semantic_steps) for take in labelled]


def gate_numbers(gates: list[tuple[torch.Tensor, torch.Tensor]], beta: float) -> dict[str, float]:
    """See :func:`gate_report`."""
    if not gates:
        return {}
    scores, true = (torch.cat(steps) for steps in zip(*gates, strict=True))
    return F.precision_recall_f1(active_steps(scores, beta).numpy(), true.numpy())


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
        seen: Is given the takes, some at a time; they are not kept otherwise.

    Returns:
        The result, and its numbers.

    Raises:
        SemTalkError: A checkpoint is missing, or the split holds nothing that can be evaluated.
    """
    embedder, embedded = embedder_of(Path(settings.embedder or folder))
    torch.manual_seed(settings.seed)
    metrics = chosen_metrics(evaluation.metrics)
    files = files_of(settings.features)
    run = load_generator(folder, evaluation.generation, dict(evaluation.decoding), settings.trust, files)
    maker = TakeMaker(
        run.generator.to(device),
        run.facts.speakers,
        run.features.stride,
        evaluation.beta,
        evaluation.gate,
        settings.seed,
        find_protocol(evaluation.protocol).counted,
    )
    weights = {phase: digest(network.state_dict()) for phase, network in run.networks.items()}
    recordings, short = maker.long_enough(store.split(evaluation.split))
    speed, source = joint_speed
    measurement = Measurement(ROWS, metrics, embedder, body, speed, evaluation.protocol)
    heard = hearings(ROWS, body, {"fused": OTHER}) if evaluation.extended else {}
    known = None
    if settings.data.reader == "sample" and run.generator.sparse is not None:
        known = KnownAnswers(maker)
    still = mean_frame(sampled(store.split("train")))
    gates, frames, diversity = [], [], []
    others = other_sounds(recordings) if heard or known else []
    for begin in range(0, len(recordings), TAKES_AT_ONCE):
        chosen = slice(begin, begin + TAKES_AT_ONCE)
        text = f" {begin + 1} to {min(begin + TAKES_AT_ONCE, len(recordings))} of {len(recordings)}"
        some = text if len(recordings) > TAKES_AT_ONCE else ""
        takes, _ = maker.takes(recordings[chosen], partial(track, description=f"Generating{some}"))
        add_sound(takes, corpus)
        add_still(takes, still)
        if heard:
            add_other_sound(takes, maker, others[chosen])
        if evaluation.samples > 1:
            diversity += diversity_of_takes(takes, evaluation.samples, maker, body)
        if known:
            known.add(takes, others[chosen])
        for take in track(takes, description=f"Measuring{some}"):
            measurement.add(take)
            for one in heard.values():
                one.add(take)
        seen(takes)
        gates, frames = gates + gates_of(takes), [*frames, *(take.frames for take in takes)]
        del takes, take
        for recording in recordings[chosen]:
            recording.let_go()
    run.generator.cpu()
    measured = measurement.measured()
    result = Result(
        str(folder), evaluation.split, len(recordings), evaluation.protocol, body.name, body.stand_in, embedded, source,
        settings.plain(), measured.table, {name: metric.heading for name, metric in metrics.items()},
        {name: metric.scale for name, metric in metrics.items()},
        hearing=filled_table(heard, measured.table) if heard else {},
        known_answers=known.numbers(store.split("train")) if known else {},
        gate=gate_numbers(gates, evaluation.beta) if evaluation.extended else {},
        samples={
            "count": evaluation.samples, "diversity": mean_diversity(diversity, frames) if diversity else None
        }, too_short=short, weights=weights,
        notes=sorted({*corpus.notes, *run.facts.notes}),
    )  # fmt: skip
    return result, measured


def refuse_short(files: Files) -> None:
    """See that FGD can be measured.

    Raises:
        SemTalkError: A take is too short for a row of its features.
    """
    for pair, frames in zip(files.pairs, files.frames, strict=True):
        if frames < FGD_MULTIPLE:
            raise SemTalkError(
                f"{pair.name}.npz: motion and truth have {frames} frames in common, and FGD needs {FGD_MULTIPLE}; "
                "leave the take out, or FGD (embedder=null)."
            )


def evaluate_folder(settings: EvalSettings, files: Files, body: BodyModel) -> tuple[Result, Measured]:
    """Measure a folder of motion files of any method against the truth; no model is needed.

    Args:
        settings: Of the command; with an ``embedder`` FGD is measured too.
        files: What :func:`semtalk.evaluation.files.read_files` read; takes are read again one after another.
        body: For joints and face vertices.

    Raises:
        SemTalkError: The embedder is missing, or a take too short for it.
    """
    metrics = chosen_metrics(settings.metrics)
    rows, count = ("method", "truth", "mean"), len(files.pairs)
    speed, source = files.speed, str(settings.mean_speed)
    if speed is None:
        speed, source = joint_speed_of(files, body), "of the true files given (mean_speed=FILE gives the corpus's)"
    embedder, embedded = None, {"source": "none: FGD is left out (embedder=RUN gives one)", "sha256": ""}
    if settings.embedder:
        refuse_short(files)
        embedder, embedded = embedder_of(Path(settings.embedder))
    measurement = Measurement(rows, metrics, embedder, body, speed, settings.protocol)
    heard = hearings(rows, body) if settings.extended else {}
    for take in track(takes_of(files), description="Measuring", total=count):
        measurement.add(take)
        for one in heard.values():
            one.add(take)
    measured = measurement.measured()
    result = Result(
        settings.motions, settings.split, count, settings.protocol, body.name, body.stand_in, embedded, source,
        settings.plain(), measured.table, {name: metric.heading for name, metric in metrics.items()},
        {name: metric.scale for name, metric in metrics.items()},
        hearing=filled_table(heard, measured.table) if heard else {}, notes=files.notes,
    )  # fmt: skip
    return result, measured
