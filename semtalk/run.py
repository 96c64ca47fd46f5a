"""The commands. Heavy imports wait until the configuration is known to be sound."""

from __future__ import annotations

import errno
import gc
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from semtalk.errors import DivergedError, SemTalkError
from semtalk.log import LOG, print_messages, printable
from semtalk.places import called, checkpoint_path
from semtalk.threads import wait_briefly

if TYPE_CHECKING:
    from semtalk.settings.commands import (
        Command,
        EvalSettings,
        Evaluation,
        GeneaSettings,
        GenerateSettings,
        LiveSettings,
        PrepareSettings,
        TrainSettings,
    )

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, or of a share of it, that takes no more."""
KEPT = 50_000
"""New objects before Python looks for unused ones: imports make many that stay, and the default looks at every 700."""


def start(main: Callable[[], None], name: str, help_of: str | None = None) -> None:
    """Run a script's Hydra function with the words of the command line as Hydra wants them.

    Args:
        main: The function.
        name: Of its configuration in ``configs/``.
        help_of: The command whose help is shown, where it is not that of the configuration.
    """
    wait_briefly()  # torch is not loaded yet
    gc.set_threshold(KEPT)
    if help_of and {"-h", "--help"} & set(sys.argv):
        sys.argv.append(f"hydra/help={help_of}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be text
    if any(not word.startswith(("-", "hydra.")) for word in sys.argv[1:]):  # --help waits for no settings
        from semtalk.settings.compose import (
            refuse_bare_words,
            refuse_missing_plugins,
            refuse_null_groups,
            without_options,
        )
        from semtalk.settings.words import SEEDED, for_hydra, seeds_swept

        try:
            refuse_bare_words(name, without_options(sys.argv[1:]))
            refuse_null_groups(sys.argv[1:])
            refuse_missing_plugins(sys.argv[1:])
            words = seeds_swept(sys.argv[1:]) if name in SEEDED else sys.argv[1:]
            sys.argv[1:] = for_hydra(name, words)
        except SemTalkError as error:
            sys.exit(f"error: {error}")
    main()


def command(function: Callable[[Command], float | None], name: str, config: DictConfig) -> float | None:
    """Run a command with the configuration of ``configs/NAME.yaml``.

    What the user should mend is one sentence on stderr, and exit code 1.

    Returns:
        What a search makes small: of a training; not a number where it diverged, and the search goes on.
    """
    from semtalk.settings import settings_of

    print_messages()
    try:
        return function(settings_of(name, OmegaConf.to_container(config, resolve=True, throw_on_missing=True)))
    except DivergedError as error:
        if not _is_searched():
            sys.exit(f"error: {printable(error)}")
        print(f"error: {printable(error)}", file=sys.stderr)
        return math.nan
    except (SemTalkError, OmegaConfBaseException) as error:
        sys.exit(f"error: {printable(error)}")
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        sys.exit(f"error: {printable(error.filename or 'the disk')}: {error.strerror}; nothing half-written is left.")
    except KeyboardInterrupt:
        print("Stopped; nothing half-written is left.", file=sys.stderr)
        sys.exit(130)


def _is_searched() -> bool:
    """Whether a sweeper that chooses values by itself started this run."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized():
        return False
    hydra = HydraConfig.get()
    return hydra.mode == RunMode.MULTIRUN and not hydra.sweeper._target_.endswith(".BasicSweeper")


def run_dir(settings: Command) -> Path:
    """Folder that all stages of a run share: ``ckpt`` where it is given."""
    return Path(getattr(settings, "ckpt", None) or Path(settings.runs_dir) / settings.run_name)


def results_dir(settings: Command) -> Path:
    """Folder below which results go by default: that of the run; of a model of the hub, one in ``runs_dir``."""
    from semtalk.generation.hub import is_repository

    folder, ckpt = run_dir(settings), getattr(settings, "ckpt", None)
    return Path(settings.runs_dir) / ckpt if is_repository(ckpt, getattr(settings, "revision", None)) else folder


SHOWN = (
    "loss", "degrees", "unexplained_face", "jaw_r", "expressions_r", "own_other", "upper_error", "hands_error", "speed",
    "gate_f1", "gate_share", "fgd", "aligned",
)  # fmt: skip
"""What the closing table has of the best validation; the curves have all of it."""


def _initial_facts(init: str | None):
    """Facts in the checkpoints of the run that training starts from; none without one."""
    if init is None:
        return None
    from semtalk.tasks.checkpoint import read_stamp
    from semtalk.tasks.phases import PHASES

    for phase in PHASES:
        if checkpoint_path(init, phase).is_file():
            return read_stamp(init, phase).facts
    raise SemTalkError(f"init={init}: there is no checkpoint here; give the folder of a run, as in runs/NAME.")


def train(settings: TrainSettings) -> float | None:
    """Train the phases of a stage.

    Returns:
        The last one's ``objective``, which a search makes small; none for a plan.
    """
    from semtalk.needs import opened, refuse_missing, refuse_run
    from semtalk.settings.commands import MOTION_PHASES
    from semtalk.slurm import go_back_when_warned

    if settings.tokenizer:
        refuse_run("tokenizer", settings.tokenizer, MOTION_PHASES)
    if settings.dry_run:
        return plan(settings)
    go_back_when_warned()
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # its pages about sockets; what is wrong is said as an error

    corpus = opened(settings.data)
    refuse_missing(settings, corpus)
    known = _initial_facts(settings.init)

    from pytorch_lightning.utilities.rank_zero import rank_zero_only
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from semtalk.body import load_body
    from semtalk.data.datamodule import CorpusDataModule
    from semtalk.data.store import mean_joint_speed
    from semtalk.evaluation.judge import Judge, hears_less
    from semtalk.tasks.checkpoint import phases_to_train, refuse_parts, share_checkpoints
    from semtalk.tasks.fit import fit_phase, processes_of
    from semtalk.tasks.phases import phases_of
    from semtalk.tasks.speed import warn_of_shared_cores
    from semtalk.tasks.stamp import Facts

    if rank_zero_only.rank:  # of processes that train together, one speaks
        LOG.setLevel("WARNING")
    processes_of(settings.trainer)  # or an error
    warn_of_shared_cores(settings.trainer)
    body = load_body(settings.body.path, settings.body.model)
    data = CorpusDataModule(
        corpus, settings.features, settings.data.store, body, settings.strict, stride=settings.recipe.stride,
        seed=settings.seed, workers=settings.recipe.workers, on_device=settings.speed.data_on_device,
    )  # fmt: skip
    new = data.store.know_speakers(known.speakers) if known else []
    if new:
        LOG.info(f"init={settings.init}: the speakers {new} are new to it; they begin as the mean of those it knows.")
    embedder, phases = settings.embedder, phases_of(settings.stage.phases, settings.parts)
    if embedder is None and "fgd" in phases[1:] and not checkpoint_path(run_dir(settings), "fgd").is_file():
        embedder = _shared_embedder(settings)
    phases = phases_to_train(phases, run_dir(settings), embedder)
    for key, source, shared in (("tokenizer", settings.tokenizer, MOTION_PHASES), ("embedder", embedder, ["fgd"])):
        if source:
            share_checkpoints(source, run_dir(settings), shared, key)
    if settings.init:
        lacking = [
            phase
            for phase in (*MOTION_PHASES, "fgd", *([] if new else ["base"]))
            if phase not in phases
            and checkpoint_path(settings.init, phase).is_file()
            and not checkpoint_path(run_dir(settings), phase).is_file()
        ]
        share_checkpoints(settings.init, run_dir(settings), lacking, "init")
        trained = "base" in phases or checkpoint_path(run_dir(settings), "base").is_file()
        if new and "sparse" in phases and not trained:
            raise SemTalkError(
                f"init={settings.init}: its base network does not know the speakers {new}, and sparse is trained "
                "beside base; train both (stage=semtalk)."
            )
    refuse_parts(phases, run_dir(settings))
    speed, _ = mean_joint_speed(data.store, corpus, body)
    generation = known.generation if known else "default"
    facts = Facts(
        data.speakers, [float(value) for value in speed], body.name, generation, corpus.notes,
        licence=settings.data.licence,
    )  # fmt: skip
    for note in corpus.notes:
        LOG.info(note)
    title = escape(f"Trained {run_dir(settings)}")
    table = Table("phase", "steps", "minutes", "best at step", "chosen by", "its validation", title=title)
    console = Console(quiet=bool(rank_zero_only.rank))
    judge = None
    if settings.recipe.rollout_seconds:
        judge = Judge(settings, run_dir(settings), data.store, facts, body, speed)
    remarks = []
    for phase in phases:
        console.print(f"[bold]{phase}[/bold]")
        row = fit_phase(phase, settings, data, run_dir(settings), facts, body, judge)
        remarks += [f"{phase} hears less than it could: {remark}." for remark in hears_less(row["validation"])]
        shown = {name: value for name, value in row["validation"].items() if name in (*SHOWN, row["select"])}
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
        took, best = f"{row['seconds'] / 60:.1f}", str(row["best_step"])
        table.add_row(phase, str(row["steps"]), took, best, row["select"], numbers)
    console.print(table)
    for remark in remarks:
        LOG.info(remark)
    if settings.logger.name == "wandb" and "sparse" in phases:
        _evaluate_run(settings, settings.evaluation, None)
    return _objective(settings.objective, row)


def _shared_embedder(settings: TrainSettings | EvalSettings) -> str | None:
    """Run whose FGD embedder the seeds of one command share; none for a run that is not one of several seeds."""
    from semtalk.tasks.checkpoint import embedder_of_seeds

    if not settings.seed_in_name:
        return None
    name = settings.name + (settings.suffix or "")
    return embedder_of_seeds(run_dir(settings).parent, name, settings.plain()["data"])


def _objective(name: str | None, row: dict) -> float:
    """What a search makes small: a figure of a phase's best validation, negative where a high one is good.

    Raises:
        SemTalkError: The validation has no such figure.
    """
    from semtalk.tasks.keep import RISING

    name = name or row["select"]
    if name not in row["validation"]:
        raise SemTalkError(
            f"objective={name}: the validation of {row['phase']} has none; choose one of "
            f"{', '.join(sorted(row['validation']))}."
        )
    return row["validation"][name] * (-1 if f"val/{name}" in RISING else 1)


def plan(settings: TrainSettings) -> None:
    """Print what a training would do."""
    from semtalk.body import load_body
    from semtalk.needs import needs_of, opened
    from semtalk.tasks.checkpoint import phases_to_train
    from semtalk.tasks.dry_run import print_plan
    from semtalk.tasks.phases import phases_of

    corpus = opened(settings.data)
    needs = needs_of(settings, corpus)
    there = all(need.here for need in needs if need.purpose == "body")
    body = load_body(settings.body.path if there else None, settings.body.model)
    phases = phases_to_train(phases_of(settings.stage.phases, settings.parts), run_dir(settings), settings.embedder)
    print_plan(settings, phases, corpus, body, needs)


def fetch(settings: TrainSettings) -> None:
    """Fetch what a training lacks from the hub, or print what there is and what is not."""
    from semtalk.fetch import fetch_missing
    from semtalk.needs import needs_of, needs_table, opened

    if settings.dry_run:
        return LOG.info(needs_table(needs_of(settings, opened(settings.data))))
    fetch_missing(settings)


def evaluate(settings: EvalSettings) -> None:
    """Evaluate a run, or a folder of motion files, or compare evaluations; print the tables and write the numbers."""
    if settings.compare:
        return _compare(settings)
    for key, phase in (("embedder", "fgd"), ("scorer", "alignment")):
        if run := getattr(settings, key):
            from semtalk.needs import refuse_run

            refuse_run(key, run, [phase])
    if settings.motions:
        return _evaluate_folder(settings)
    _evaluate_run(settings, settings, settings.out)


def _compare(settings: EvalSettings) -> None:
    from semtalk.evaluation.comparison import compare
    from semtalk.evaluation.report import print_comparison

    paths = [settings.compare] if isinstance(settings.compare, str) else settings.compare
    comparison = compare(paths, settings.folder, settings.seed)
    print_comparison(comparison, Path(settings.out or Path(settings.runs_dir) / "compare"))


def _evaluate_folder(settings: EvalSettings) -> None:
    from semtalk.evaluation.files import read_files

    files = read_files(settings)

    from semtalk.body import load_body
    from semtalk.evaluation.evaluate import evaluate_folder
    from semtalk.evaluation.report import print_result, result_pages
    from semtalk.evaluation.result import write_result

    result, measured = evaluate_folder(settings, files, load_body(settings.body.path, settings.body.model))
    print_result(result)
    folder = Path(settings.out or Path(settings.motions) / "eval")
    LOG.info("\n".join(map(str, write_result(result, result_pages(result), measured, folder))))


def _evaluate_run(settings: EvalSettings | TrainSettings, evaluation: Evaluation, out: str | None) -> None:
    from semtalk.data.open import open_corpus, open_store
    from semtalk.generation.hub import located_model
    from semtalk.tasks.checkpoint import read_stamp

    folder = located_model(getattr(settings, "ckpt", None) or run_dir(settings), getattr(settings, "revision", None))
    if settings.embedder is None and getattr(settings, "ckpt", None) is None:
        settings = settings.model_copy(update={"embedder": _shared_embedder(settings)})
    read_stamp(settings.embedder or folder, "fgd")
    settings = _with_own_features(settings, folder)
    corpus = open_corpus(settings.data)

    from semtalk.body import load_body
    from semtalk.data.store import mean_joint_speed
    from semtalk.evaluation.evaluate import evaluate_run
    from semtalk.evaluation.report import log_wandb, print_result, result_pages
    from semtalk.evaluation.result import write_result
    from semtalk.evaluation.takes import Shown
    from semtalk.tasks.speed import trainer_device

    body = load_body(settings.body.path, settings.body.model)
    device = trainer_device(settings.trainer.accelerator)
    store = open_store(settings, corpus, body)
    speed = mean_joint_speed(store, corpus, body)
    shown = Shown(evaluation.video_seconds)
    processes = getattr(settings, "processes", 1)
    result, measured = evaluate_run(settings, evaluation, folder, store, corpus, speed, body, device, shown, processes)
    result = replace(result, run=str(results_dir(settings)))
    print_result(result)
    output = Path(out or results_dir(settings) / "eval" / evaluation.folder)
    paths = write_result(result, result_pages(result), measured, output, device)
    paths += _draw_take(shown.take, evaluation, output)
    if settings.logger.name == "wandb":
        video = next((path for path in paths if path.suffix == ".mp4"), None)
        log_wandb(result, video, settings.logger.project, settings.run_name, output)
    LOG.info("\n".join(map(str, paths)))


def _with_own_features(settings: EvalSettings | TrainSettings | GeneaSettings, folder: Path):
    """Settings with the features that a run's networks hear and read.

    Raises:
        SemTalkError: A checkpoint is missing, or names a class of a package that is not trusted.
    """
    from semtalk.generation.load import files_of, located
    from semtalk.settings import refuse_untrusted
    from semtalk.tasks.checkpoint import read_stamp

    phase = "sparse" if checkpoint_path(folder, "sparse").is_file() else "base"
    trained = read_stamp(folder, phase).settings
    refuse_untrusted(trained, settings.trust)
    features = located(trained.features, folder, files_of(settings.features))
    if features.name != "offline":
        LOG.info(f"The run's own features are used: {features.name}.")
    return settings.model_copy(update={"features": features})


def _draw_take(take, evaluation: Evaluation, output: Path) -> list[Path]:
    """Write the generated take as npz and, if wished, its video beside the truth."""
    from semtalk.evaluation.scene import take_motion, take_scene
    from semtalk.motion.io import save_motion
    from semtalk.viz.video import write_video

    path = output / f"{take.recording.id}.npz"
    save_motion(path, take_motion(take, "fused"))
    if not evaluation.video:
        return [path]
    scene = take_scene(take, evaluation.beta)
    return [path, *write_video(scene, path.with_suffix(".mp4"), evaluation.video_seconds)]


def generate(settings: GenerateSettings) -> None:
    """Turn voice recordings into motion: npz, other formats, and a video of each."""
    if settings.audio is None:
        raise SemTalkError(f"audio is not set: give a voice recording, as in `{called('generate')} audio=FILE.wav`.")
    from semtalk.features.audio import find_audio
    from semtalk.generation.inputs import (
        SUFFIXES,
        hear_words,
        read_betas,
        read_seed,
        read_utterances,
        refuse_overwriting,
    )
    from semtalk.motion.skeleton import FPS

    paths = find_audio(settings.audio)
    utterances, bad = read_utterances(paths, settings.transcript)
    motion = None if settings.motion is None else read_seed(settings.motion)
    betas = None if settings.betas is None else read_betas(settings.betas)
    formats = {"npz", *([settings.format] if isinstance(settings.format, str) else settings.format)}
    folder = Path(settings.out or results_dir(settings) / "generated")
    kinds = {SUFFIXES.get(kind, kind) for kind in formats} | ({"mp4", "png"} if settings.video else set())
    names = [utterance.name for utterance in utterances]
    if settings.samples > 1:
        names = [f"{name}_{sample}" for name in names for sample in range(settings.samples)]
    files = (settings.motion, settings.betas, settings.transcript, settings.arkit_matrix)
    given = [*paths, *(Path(one) for one in files if isinstance(one, str))]
    refuse_overwriting(
        given, [folder / "environment.json", *(folder / f"{name}.{kind}" for name in names for kind in kinds)]
    )

    from functools import partial

    from rich.progress import track

    from semtalk.body import load_body
    from semtalk.environment import write_environment
    from semtalk.face import face_map
    from semtalk.generation.load import files_of
    from semtalk.generation.speech import SemTalk
    from semtalk.motion.io import in_place
    from semtalk.tasks.speed import trainer_device

    device = trainer_device(settings.trainer.accelerator)
    body, arkit = load_body(settings.body.path, settings.body.model), None
    if "arkit" in formats:
        arkit = face_map(body, settings.arkit_matrix, settings.arkit_order)
        LOG.info(arkit.said)
    model = SemTalk.from_pretrained(
        settings.ckpt or run_dir(settings), settings.generation, str(device), body, settings.precision,
        dict(settings.decoding), settings.trust, settings.revision, files_of(settings.features),
    )  # fmt: skip
    hear_words(utterances, settings.transcript, settings.whisper, settings.language)
    results = model.generate(
        utterances, settings.speaker, settings.emotion, motion, betas, settings.beta, settings.gate,
        settings.batch, settings.samples, settings.seed, progress=partial(track, description="Generating"),
    )  # fmt: skip
    for line in model.counts():
        LOG.info(line)
    write_environment(folder, device)
    for name, result in zip(names, results, strict=True):
        if settings.in_place:
            result.motion = in_place(result.motion)
        utterance = result.utterance
        written = [
            result.save(folder / f"{name}.{SUFFIXES.get(kind, kind)}", arkit, settings.arkit_fps)
            for kind in sorted(formats)
        ]
        if settings.video:
            written += _draw_speech(result, folder / f"{name}.mp4", settings.video_seconds, settings.beta)
        LOG.info(f"{name}: {utterance.frames} frames ({utterance.frames / FPS:.1f} s)")
        LOG.info("\n".join(map(str, written)))
    if bad:
        raise SemTalkError("; ".join(bad) + f" ({len(bad)} of {len(paths)} recordings gave no motion).")


def _draw_speech(result, path: Path, seconds: float | None, beta: float) -> list[Path]:
    from semtalk.motion.skeleton import FPS
    from semtalk.viz.video import Scene, write_video

    if seconds is not None and len(result.motion) > seconds * FPS:
        LOG.info(f"The video shows the first {seconds:g} s (video_seconds=null for all).")
    utterance = result.utterance
    scene = Scene({"generated": result.motion}, utterance.wave, result.psi, beta, words=utterance.words)
    return write_video(scene, path, seconds)


def send_live(settings: LiveSettings) -> None:
    """Send the motion of a voice by VMC, in step with its sound."""
    if settings.audio is None:
        raise SemTalkError(f"audio is not set: give a voice recording, as in `{called('live')} audio=FILE.wav`.")
    from semtalk.features.audio import load_audio
    from semtalk.features.transcript import read_transcript
    from semtalk.features.utterance import refuse_short
    from semtalk.live.process import Sender
    from semtalk.live.vmc import refuse_without_osc

    refuse_without_osc()
    wave = load_audio(settings.audio)
    refuse_short(wave, settings.audio)
    words = [] if settings.transcript is None else read_transcript(settings.transcript, wave)
    sender = Sender(settings.target, wave, settings.play)
    if settings.play == "auto" and not sender.plays:
        LOG.info("The motion is sent without its sound, which needs sounddevice and a sound card (docs/live.md).")
    try:
        sent, late = sender.send(_live_frames(settings, wave, words))
    finally:
        sender.end()
    LOG.info(f"{sent} frames were sent, {late} of which came too late.")


def _live_frames(settings: LiveSettings, wave, words: list) -> Iterator[list[bytes]]:
    """Datagrams of each frame of a recording, as soon as there is one."""
    from semtalk.body import load_body
    from semtalk.face import face_map
    from semtalk.generation.load import files_of
    from semtalk.generation.speech import SemTalk
    from semtalk.generation.stream import SpeechStream
    from semtalk.live.bones import Bones
    from semtalk.live.speech import Encoder, spoken_frames
    from semtalk.motion.skeleton import NUM_BETAS
    from semtalk.tasks.speed import trainer_device

    body = load_body(settings.body.path, settings.body.model)
    face = face_map(body, settings.arkit_matrix, settings.arkit_order)
    LOG.info(face.said)
    model = SemTalk.from_pretrained(
        settings.ckpt or run_dir(settings), settings.generation, str(trainer_device(settings.trainer.accelerator)),
        body, decoding=dict(settings.decoding), trust=settings.trust, revision=settings.revision,
        files=files_of(settings.features),
    )  # fmt: skip
    stream = SpeechStream(
        model, settings.speaker, settings.emotion, settings.beta, settings.lookahead, name=Path(settings.audio).stem,
        seed=settings.seed,
    )  # fmt: skip
    encoder = Encoder(
        Bones(body, [0.0] * NUM_BETAS, settings.hips_height), face, settings.face, settings.jaw, settings.bundle
    )
    LOG.info(f"Sending to {settings.target}; Ctrl+C ends it.")
    yield from spoken_frames(stream, wave, words, encoder)


def prepare_corpus(settings: PrepareSettings) -> None:
    """Prepare a corpus, or a share of it; say what there is when asked to."""
    from semtalk.data.open import open_store
    from semtalk.needs import opened, refuse_missing

    corpus = opened(settings.data)
    refuse_missing(settings, corpus)

    from semtalk.body import load_body
    from semtalk.data.report import print_report

    store = open_store(settings, corpus, load_body(settings.body.path, settings.body.model), settings.shard)
    for note in corpus.notes:
        LOG.info(note)
    LOG.info(f"{len(store.recordings)} of {len(corpus.entries())} recordings are in {store.folder}.")
    if settings.report:
        print_report(store)


def label_semantics(settings: GenerateSettings) -> None:
    """Label a corpus that has no semantic labels with the gate of a trained run."""
    if settings.ckpt is None:
        raise SemTalkError("ckpt is not set: give the run whose gate labels, as in ckpt=runs/NAME.")
    if settings.data.reader != "show":
        raise SemTalkError(
            f"data={settings.data.name}: this labels data=show; another corpus's reader gives its own labels."
        )
    from semtalk.data.open import open_corpus

    corpus = open_corpus(settings.data)

    from functools import partial

    from rich.progress import track

    from semtalk.generation.label import label_corpus
    from semtalk.generation.load import files_of
    from semtalk.generation.speech import SemTalk

    model = SemTalk.from_pretrained(
        settings.ckpt, trust=settings.trust, revision=settings.revision, files=files_of(settings.features)
    )
    folder = Path(settings.data.made) / "semantics"
    shares, bad = label_corpus(model, corpus, folder, settings.beta, partial(track, description="Labelling"))
    for entry, reason in bad:
        LOG.info(f"  {entry.id}: {reason}")
    if not shares:
        raise SemTalkError("no recording could be labelled.")
    LOG.info(
        f"{len(shares)} recordings labelled in {folder}; {sum(shares.values()) / len(shares):.0%} of their frames."
    )


def export_genea(settings: GeneaSettings) -> None:
    """Write what the GENEA leaderboard takes of a run, look such a folder through, or cut the stimuli of a study."""
    if settings.segments:
        return _cut_segments(settings)
    if settings.check:
        return _check_export(settings)
    from semtalk.data.open import open_corpus, open_store
    from semtalk.generation.hub import located_model
    from semtalk.tasks.checkpoint import read_stamp

    run = located_model(settings.ckpt or run_dir(settings), settings.revision)
    read_stamp(run, "base")
    settings = _with_own_features(settings, run)
    corpus = open_corpus(settings.data)

    from functools import partial

    from rich.progress import track

    from semtalk.body import load_body
    from semtalk.environment import write_environment
    from semtalk.evaluation.genea import Exporter, export_takes, training_starts
    from semtalk.generation.load import files_of, load_generator
    from semtalk.tasks.speed import trainer_device

    store = open_store(settings, corpus, load_body(settings.body.path, settings.body.model))
    recordings = store.split("test")
    starts = training_starts(store, recordings) if settings.begin == "take" else {}
    files, device = files_of(settings.features), trainer_device(settings.trainer.accelerator)
    loaded = load_generator(run, settings.generation, dict(settings.decoding), settings.trust, files)
    exporter = Exporter(
        loaded.generator.to(device), loaded.facts.speakers, loaded.features.stride, settings.beta, settings.gate,
        settings.seed, starts=starts,
    )  # fmt: skip
    folder = Path(settings.out or results_dir(settings) / "genea")
    bar = partial(track, description="Generating")
    written = export_takes(exporter, recordings, folder, settings.samples, bar)
    write_environment(folder, device)
    LOG.info(f"{len(written)} motion files of {len(recordings)} test recordings are in {folder}.")
    missing = sum(entry.split == "test" for entry in corpus.entries()) - len(recordings)
    if missing:
        LOG.warning(
            f"{missing} test recordings could not be prepared, and lack; {store.folder}/quarantine.csv has why."
        )
    if settings.data.reader == "beat2" and (speakers := settings.data.speakers) != "all":
        LOG.warning(f"The leaderboard takes the test recordings of all speakers; these are of {speakers}.")


def _check_export(settings: GeneaSettings) -> None:
    """Say what is wrong with a folder, and with the training lists of its run.

    Raises:
        SemTalkError: Something is.
    """
    from semtalk.data.open import open_corpus
    from semtalk.evaluation.submission import problems

    whole = {"speakers": "all"} if settings.data.reader == "beat2" else {}
    corpus = open_corpus(settings.data.model_copy(update=whole))
    found = list(problems(Path(settings.check), corpus, settings.samples))
    if settings.ckpt:
        from semtalk.evaluation.genea import list_problems
        from semtalk.generation.hub import located_model
        from semtalk.tasks.checkpoint import read_stamp

        run = located_model(settings.ckpt, settings.revision)
        read_stamp(run, "base")
        found += list_problems(run, corpus)
    for line in found:
        LOG.info(line)
    if found:
        raise SemTalkError(f"check={settings.check}: what is listed above is wrong ({len(found)}).")
    lists = "its run's training lists too" if settings.ckpt else "training lists were not looked at (ckpt=RUN)"
    LOG.info(f"{settings.check}: nothing is wrong; {lists}.")


def _cut_segments(settings: GeneaSettings) -> None:
    from functools import partial

    from rich.progress import track

    from semtalk.evaluation.stimuli import is_leaderboards, plan_stimuli, write_stimuli

    table = Path(settings.segments)
    stimuli = plan_stimuli(table, settings.motions, settings.audio, settings.seed, settings.samples)
    own = "the leaderboard's own table" if is_leaderboards(table) else "another table than the leaderboard's"
    LOG.info(f"{table}: {len(stimuli)} segments; {own}.")
    alone = sorted({stimulus.segment.speaker for stimulus in stimuli if stimulus.other is None})
    if alone:
        LOG.warning(f"No mismatched speech for {', '.join(alone)}: {table} has one segment of each.")
    folder = Path(settings.out or Path(settings.motions) / "stimuli")
    bar = partial(track, description="Cutting")
    write_stimuli(stimuli, folder, settings.video, settings.video_seconds, bar)
    LOG.info(f"The stimuli are in {folder}.")
