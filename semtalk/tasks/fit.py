"""Fits the phases of a stage one after another; each phase has its folder below the run's."""

import logging
import os
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from semtalk.body import BodyModel
from semtalk.claim import claim
from semtalk.data.datamodule import MotionDataModule
from semtalk.data.windows import MOTION_KEYS
from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.motion.skeleton import WINDOW
from semtalk.places import checkpoint_path
from semtalk.settings.commands import Trainer, TrainSettings
from semtalk.settings.recipes import PhaseRecipe
from semtalk.slurm import in_slurm, is_restarted
from semtalk.tasks.build import make_task
from semtalk.tasks.checkpoint import check_beside, load_checkpoint
from semtalk.tasks.keep import BEGUN, LOG_FOLDER, AtomicIO, Keeper, place_within
from semtalk.tasks.phases import PHASES
from semtalk.tasks.sizes import load_weights, network_weights
from semtalk.tasks.speed import apply_speed, keep_freed_memory, phase_precision, resolve_plan, trainer_device
from semtalk.tasks.stage import StageTask
from semtalk.tasks.stamp import FORMAT, Facts, Stamp
from semtalk.tasks.together import end_with_parent, ended_by_signals, one_sentence

COPIES = ("ddp_spawn", "ddp_fork", "ddp_notebook")
"""Begin the names of Lightning's strategies that copy a process, with all that it has begun."""
TORCHRUN = "TORCHELASTIC_RUN_ID"
"""Is in the environment of processes that torchrun starts."""


def make_logger(settings: TrainSettings, folder: Path):
    """The logger that the settings name, writing into the phase's folder."""
    from pytorch_lightning import loggers

    if settings.logger.name == "csv":
        return loggers.CSVLogger(folder / LOG_FOLDER, name="", version="", flush_logs_every_n_steps=50)
    if settings.logger.name == "tensorboard":
        try:
            return loggers.TensorBoardLogger(folder, name="", version="")
        except ModuleNotFoundError as error:
            raise SemTalkError("logger=tensorboard: run `pip install tensorboard` first.") from error
    return loggers.WandbLogger(
        project=settings.logger.project, group=settings.run_name, name=f"{settings.run_name}-{folder.name}",
        save_dir=folder, config=settings.plain(),
    )  # fmt: skip


def _quiet() -> None:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*number of training batches.*",
        ".*exists and is not empty.*",
        ".*LeafSpec.*",
        ".*ended before the epoch ended.*",
    ):
        warnings.filterwarnings("ignore", message=text)
    warnings.filterwarnings("ignore", category=FutureWarning)


class CompileNotice(pl.Callback):
    """Says that the first step of a compiled network takes a while, and how long it took."""

    def on_train_start(self, trainer, module) -> None:
        """Say what is being waited for."""
        self.began = time.monotonic()
        LOG.info(f"Compiling {module.phase} in the first step; this takes minutes, once.")

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        """Say that it is over."""
        if self.began is not None:
            LOG.info(f"Compiled in {time.monotonic() - self.began:.0f} s.")
        self.began = None


class LastValidation(pl.Callback):
    """Has the training end with a validation where it ends within an epoch."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        """Ask Lightning to stop, which validates first; reaching ``max_steps`` alone does not."""
        if trainer.global_step == trainer.max_steps:
            trainer.should_stop = True


def batches_of(trainer: Trainer, batches: int) -> int:
    """Batches that an epoch of so many has under the limits of ``trainer``."""
    for limit in (trainer.limit_train_batches, trainer.overfit_batches):
        if limit is not None:
            batches = min(batches, limit) if isinstance(limit, int) else max(1, int(batches * limit))
    return batches


def _per_epoch(batches: int, accumulate: int) -> int:
    """Optimiser steps of an epoch of so many batches."""
    return max(1, -(-batches // accumulate))


def _begun(last: Mapping[str, Any], batches: int, accumulate: int, windows: int | None) -> tuple[int, int]:
    """Epochs that a training has begun before a checkpoint, and its steps when the last of them will be over."""
    loops = last["loops"]["fit_loop"]
    epoch, batch = (loops[name]["current"] for name in ("epoch_progress", "epoch_loop.batch_progress"))
    if epoch["ready"] <= epoch["processed"]:
        return epoch["processed"], last["global_step"]
    before = last["callbacks"]["Keeper"].get("windows")
    left = max(0, batches - place_within(batch["completed"], before or windows, windows))
    return epoch["processed"] + 1, last["global_step"] - (-left // accumulate)


def length_of(
    recipe: PhaseRecipe,
    batches: int,
    accumulate: int = 1,
    last: Mapping[str, Any] | None = None,
    windows: int | None = None,
) -> dict[str, int]:
    """``max_epochs`` and ``max_steps`` of ``pl.Trainer``: ``epochs``, or ``steps`` optimiser steps exactly.

    Args:
        recipe: Of the phase.
        batches: Of an epoch.
        accumulate: Batches of a step.
        last: The checkpoint that training goes on from; its batches may have been others.
        windows: That all processes have in a batch.
    """
    if recipe.epochs is not None:
        return {"max_epochs": recipe.epochs, "max_steps": -1}
    epochs, steps = _begun(last, batches, accumulate, windows) if last else (0, 0)
    more = max(0, -(-(recipe.steps - steps) // _per_epoch(batches, accumulate)))
    return {"max_epochs": epochs + more, "max_steps": recipe.steps}


def steps_of(
    recipe: PhaseRecipe, batches: int, accumulate: int, last: Mapping[str, Any] | None, windows: int | None
) -> int | None:
    """Steps in all of a training that goes on, whose epochs may have had others so far; see :func:`length_of`."""
    if recipe.steps is not None or last is None:
        return recipe.steps
    epochs, steps = _begun(last, batches, accumulate, windows)
    return steps + max(0, recipe.epochs - epochs) * _per_epoch(batches, accumulate)


def resumable(path: Path, phase: str) -> dict[str, Any]:
    """The checkpoint that a training can go on from.

    Raises:
        SemTalkError: It is damaged, or an earlier version wrote it.
    """
    checkpoint = load_checkpoint(path, phase)
    stamp = Stamp.read(checkpoint)
    if stamp.format < FORMAT and PHASES[phase].speech:
        raise SemTalkError(
            f"{path}: version {stamp.version} wrote it, whose optimiser counts parameters in another order; "
            "train the phase anew, or start from its weights with init=RUN."
        )
    return checkpoint


def _trainer(trainer: Trainer, **arguments) -> pl.Trainer:
    """``trainer`` as it is given, and more arguments.

    Raises:
        SemTalkError: Lightning refuses a key, or its processes would be copies of this one.
    """
    if str(trainer.strategy).startswith(COPIES):
        raise SemTalkError(
            f"trainer.strategy={trainer.strategy}: its processes are copies of one that has begun; give "
            "trainer.strategy=ddp, whose processes each run the command."
        )
    try:
        made = pl.Trainer(**trainer.given() | arguments)
    except (TypeError, ValueError, ImportError, MisconfigurationException) as error:
        raise SemTalkError(f"trainer: {str(error).strip()}") from error
    waiting = timedelta(minutes=trainer.wait_minutes)
    if isinstance(made.strategy, DDPStrategy):
        made.strategy._timeout = waiting  # which its name alone cannot say
    return made


def processes_of(trainer: Trainer) -> int:
    """How many processes train under ``trainer``, before a corpus is prepared.

    Raises:
        SemTalkError: Lightning refuses a key, or torchrun has started several, each for itself.
    """
    _quiet()
    bare = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    count, started = _trainer(trainer, precision="32-true", **bare).world_size, os.environ.get("WORLD_SIZE")
    if TORCHRUN in os.environ and started != str(count):
        raise SemTalkError(
            f"torchrun has started {started} processes, and each would train by itself; give trainer.strategy=ddp, "
            "trainer.devices as --nproc-per-node says, and trainer.num_nodes as --nnodes."
        )
    return count


def make_trainer(
    settings: TrainSettings, task: StageTask, folder: Path, length: dict[str, int], keeper: Keeper
) -> pl.Trainer:
    """The ``pl.Trainer`` of a phase: ``trainer`` as it is given, and what the recipe says.

    Raises:
        SemTalkError: Lightning refuses a key.
    """
    every = max(1, length["max_epochs"] // settings.recipe.validations)
    bar = [RichProgressBar()] if settings.trainer.enable_progress_bar else []
    return _trainer(
        settings.trainer,
        precision=phase_precision(settings.trainer.precision, task.mixed),
        log_every_n_steps=settings.trainer.log_every_n_steps,
        **length,
        check_val_every_n_epoch=every,
        num_sanity_val_steps=0,
        logger=make_logger(settings, folder),
        callbacks=[LastValidation(), *bar, *([CompileNotice()] if settings.speed.compile else []), keeper],
        plugins=[AtomicIO()],
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def fit_phase(
    phase: str, settings: TrainSettings, data: MotionDataModule, run_dir: Path, facts: Facts, body: BodyModel,
    judge: Callable[..., dict[str, float]] | None = None,
) -> dict:  # fmt: skip
    """Train one phase, or go on with it when ``resume`` is set.

    Returns:
        A row for the closing table: phase, steps, seconds; the best checkpoint's path, its step, its validation, and
        the figure that chose it.

    Raises:
        SemTalkError: A loss or a gradient is not finite; there is no validation; the checkpoint to go on from is
            damaged; another process trains the phase; or one of those that train it together is gone.
        Stopped: A signal asked for it; the checkpoint is written.
    """
    _quiet()
    trainer_plan, speed = resolve_plan(settings.trainer, settings.speed)
    settings = settings.model_copy(update={"trainer": trainer_plan, "speed": speed})
    if speed.keep_memory and trainer_device(trainer_plan.accelerator).type == "cpu":
        keep_freed_memory()
    pl.seed_everything(settings.seed, verbose=False)
    folder = run_dir / phase
    last = checkpoint_path(run_dir, phase, "last")
    resume = (settings.resume or is_restarted()) and last.is_file() and not (folder / BEGUN).is_file()
    before = resumable(last, phase) if resume else None
    recipe = getattr(settings.recipe, PHASES[phase].recipe)
    task = make_task(phase, settings, data.store, run_dir, facts, body, judge)
    if before is not None:
        stamp, said = Stamp.read(before), f"resume=true: {last}"
        load_weights(task.network, network_weights(before), phase, settings, stamp.settings, said)
        check_beside(said, phase, stamp, task.stamp.beside)
    apply_speed(task.network, speed)
    keys = None if PHASES[phase].speech else (*MOTION_KEYS, "betas", "speaker", *PHASES[phase].hears)
    data.serve(recipe.batch_size, keys, getattr(task.network, "window", WINDOW))
    processes = processes_of(settings.trainer)
    batches = batches_of(settings.trainer, data.batches(processes))
    windows = data.windows_of_batch(processes) if before else None
    place = recipe, batches, settings.trainer.accumulate_grad_batches, before, windows
    length, task.steps = length_of(*place), steps_of(*place)
    keeper = Keeper(
        folder, task.monitor, settings.plain(), settings.checkpoint_minutes, settings.keep_every,
        before["global_step"] if before else None,
    )  # fmt: skip
    trainer = make_trainer(settings, task, folder, length, keeper)
    if TORCHRUN in os.environ or int(os.environ.get("LOCAL_RANK", "0")):
        end_with_parent()
    began = time.monotonic()
    with ExitStack() as stack:
        if trainer.is_global_zero:
            stack.enter_context(claim(folder))
        if trainer.world_size > 1:
            if not in_slurm():  # which ends its jobs itself
                stack.enter_context(ended_by_signals(lambda: trainer.validating))
            stack.enter_context(one_sentence(folder))
        trainer.fit(task, datamodule=data, ckpt_path=last if resume else None, weights_only=True)
        if keeper.step is None:
            raise SemTalkError(f"{folder}: the training ended before a validation, so there is no best checkpoint.")
        keeper.finish(trainer)
    return {
        "phase": phase, "steps": trainer.global_step, "seconds": time.monotonic() - began,
        "checkpoint": str(checkpoint_path(run_dir, phase)), "best_step": keeper.step, "validation": keeper.numbers,
        "select": recipe.select,
    }  # fmt: skip
