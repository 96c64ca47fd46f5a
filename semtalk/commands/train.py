"""``train.py`` and ``fetch.py``: trains the phases of a stage, says what a training would do, brings what it lacks."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path
from typing import TYPE_CHECKING

from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.places import checkpoint_path
from semtalk.run import run_dir, shared_embedder

if TYPE_CHECKING:
    from semtalk.settings.commands import TrainSettings


SHOWN = (
    "loss", "degrees", "unexplained_face", "jaw_r", "expressions_r", "own_other", "upper_error", "hands_error", "speed",
    "gate_f1", "gate_share", "fgd", "aligned",
)  # fmt: skip
"""What the closing table has of the best validation; the curves have all of it."""


def train(settings: TrainSettings) -> float | None:
    """Train the phases of a stage.

    Returns:
        The last one's ``objective``, which a search makes small; none for a plan.
    """
    from semtalk.needs import initial_phase, opened, refuse_missing, refuse_run
    from semtalk.settings.commands import MOTION_PHASES
    from semtalk.slurm import go_back_when_warned

    if settings.tokenizer:
        refuse_run("tokenizer", settings.tokenizer, MOTION_PHASES)
    first = initial_phase(settings.init) if settings.init else None
    if settings.logger.name == "wandb" and settings.evaluation.video:
        from semtalk.face.head import refuse_faceless

        refuse_faceless(settings.evaluation.view, settings.body.path)
    if settings.dry_run:
        return plan(settings)
    go_back_when_warned()
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # its pages about sockets; what is wrong is said as an error

    corpus = opened(settings.data)
    refuse_missing(settings, corpus)

    from pytorch_lightning.utilities.rank_zero import rank_zero_only
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from semtalk.body import load_body
    from semtalk.data.datamodule import CorpusDataModule
    from semtalk.data.store import mean_joint_speed
    from semtalk.evaluation.judge import Judge, hears_less
    from semtalk.tasks.checkpoint import phases_to_train, read_stamp, refuse_parts, share_checkpoints
    from semtalk.tasks.fit import fit_phase, processes_of
    from semtalk.tasks.phases import phases_of
    from semtalk.tasks.speed import warn_of_shared_cores
    from semtalk.tasks.stamp import Facts

    if rank_zero_only.rank:  # of processes that train together, one speaks
        LOG.setLevel("WARNING")
    else:
        warn_of_shared_cores(settings.trainer)
    processes_of(settings.trainer)  # or an error
    known = read_stamp(settings.init, first).facts if settings.init else None
    body = load_body(settings.body.path, settings.body.model)
    data = CorpusDataModule(
        corpus, settings.features, settings.data.store, body, settings.strict, stride=settings.recipe.stride,
        seed=settings.seed, workers=settings.recipe.workers, on_device=settings.speed.data_on_device,
    )  # fmt: skip
    new: list = []
    if known:
        here = data.store.speakers
        new = data.store.know_speakers(known.speakers)
        LOG.info(f"init={settings.init}: {_said_of_rows(here, new, len(known.speakers))}")
    phases = phases_of(settings.stage.phases, settings.parts)
    embedder = settings.embedder or (_embedder_to_share(settings) if "fgd" in phases[1:] else None)
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
        from semtalk.commands.evaluate import evaluate_trained

        evaluate_trained(settings, settings.evaluation, None)
    return _objective(settings.objective, row)


def _embedder_to_share(settings: TrainSettings) -> str | None:
    """Run whose FGD embedder a run of several seeds takes over, or has taken over; none where it has one of its own.

    So that a process that joins the training, or goes on with it, finds what the first one did.
    """
    run, own = shared_embedder(settings), checkpoint_path(run_dir(settings), "fgd")
    if run is None or Path(run) == run_dir(settings):
        return None
    return run if not own.is_file() or filecmp.cmp(own, checkpoint_path(run, "fgd"), shallow=False) else None


def _said_of_rows(here: list, new: list, known: int) -> str:
    """Which speakers of a corpus keep their row of a run's embeddings, and which begin as the mean of its rows."""
    kept = ", ".join(str(one) for one in here if one not in new) or "none"
    begun = f"; those that begin as the mean of its {known}: {', '.join(map(str, new))}" if new else ""
    return f"speakers that keep their row: {kept}{begun}."


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
