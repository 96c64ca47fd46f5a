"""What a training keeps: checkpoints and curves, whenever it ends, and whatever ends it."""

import csv
import math
import shutil
import signal
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from semtalk import __version__
from semtalk.data.datamodule import EpochSampler
from semtalk.environment import code, commit, write_environment
from semtalk.errors import DivergedError, SemTalkError
from semtalk.files import atomic_write, write_checkpoint
from semtalk.log import LOG
from semtalk.processes import largest_over_processes, refuse_different
from semtalk.slurm import WARNINGS, in_slurm
from semtalk.tasks.sizes import flat
from semtalk.tasks.together import SIGNALS

LOG_FOLDER = "log"
"""Of a phase: where Lightning writes the rows of this process; ``metrics.csv`` beside it holds those of all."""
BEGUN = ".begun"
"""Of a phase: stands from the start of a new training until its first checkpoint; those beside it are another's."""
RISING = ("val/jaw_r", "val/expressions_r", "val/gate_f1", "val/gate_accuracy", "val/aligned")
"""Figures that are good when they are high; all others are when they are low."""


class Stopped(SystemExit):
    """A signal ended the training after a step whose checkpoint is written; its status is 128 + the signal's number."""


class AtomicIO(TorchCheckpointIO):
    """Writes checkpoints so that a killed process leaves the one before, or the new one, and never half of one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options: Any = None) -> None:
        """Write to a file beside it first."""
        write_checkpoint(Path(path), checkpoint)


def read_curves(path: Path, before: int | None = None) -> list[dict[str, str]]:
    """Rows of a csv log, those of steps below ``before``."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if before is None or int(row["step"]) < before]


def write_curves(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write rows with the columns of all of them."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)

    atomic_write(path, write)


def place_within(batches: int, before: int, now: int) -> int:
    """How many of an epoch's batches are over where so many, of other windows, were: those that are begun count.

    Args:
        batches: That were.
        before: Windows that all processes had in a batch then.
        now: Windows that they have.
    """
    return -(-batches * before // now)


def _find_place(trainer: pl.Trainer, windows: int | None, accumulated: int | None) -> None:
    """Have a resumed training go on with the windows that its epoch has not had.

    Lightning makes the iterator before it reads which epoch it is, and counts batches, whatever their size was.

    Args:
        trainer: That goes on.
        windows: That all processes together had in a batch so far; none where it is not known.
        accumulated: Batches that a step had so far.
    """
    epochs, batches = trainer.fit_loop.epoch_progress.current, trainer.fit_loop.epoch_loop.batch_progress.current
    loader, begun = trainer.train_dataloader, epochs.ready > epochs.processed
    if not begun:  # its epoch is over, which Lightning would go through again, without a batch
        loop = trainer.fit_loop
        for progress in (loop.epoch_progress.current, loop.epoch_progress.total):
            progress.completed = progress.processed
        for one in (loop, loop.epoch_loop):
            one._restarting = False
            one.reset_restart_stage()
    now = loader.batch_size * trainer.world_size
    if windows is not None:
        said = windows * (accumulated or trainer.accumulate_grad_batches), now * trainer.accumulate_grad_batches
        if said[0] != said[1]:
            LOG.info(f"resume=true: a step had {said[0]} windows so far; it has {said[1]} from here on.")
    if isinstance(loader.sampler, EpochSampler):
        had = batches.completed * (windows or now) // trainer.world_size
        if begun:
            batches.completed = place_within(batches.completed, windows or now, now)
        loader.sampler.set_epoch(epochs.processed, had if begun else 0)
        iter(trainer.fit_loop._data_fetcher)


def _of_all(trainer: pl.Trainer, *numbers: int) -> list[int]:
    """The largest that a process of the training says of each number; all of them learn it."""
    return largest_over_processes(list(numbers), trainer.strategy.root_device)


class Keeper(Checkpoint):
    """Writes the checkpoints of a phase, and stops it in good order when a signal asks for it.

    ``last.ckpt`` is written at the end of every epoch, every so many minutes within one, and before a signal's stop;
    ``best.ckpt`` after a validation whose ``monitor`` is the best so far. What an earlier training left in the folder
    goes when the first of these is written, not before. Rows of the curves are written before the checkpoint whose
    steps they are of, so that a resumed run has each of them once.
    """

    def __init__(
        self, folder: Path, monitor: str, config: Mapping[str, Any], minutes: float, every: int | None = None,
        resumed_at: int | None = None,
    ):  # fmt: skip
        """Watch over a phase.

        Args:
            folder: Of the phase.
            monitor: What the best checkpoint is the lowest in; the highest of :data:`RISING`.
            config: The full plain configuration, which is written beside the checkpoints.
            minutes: Between checkpoints within an epoch.
            every: Epochs between checkpoints that are kept for good; none without.
            resumed_at: Steps of the checkpoint that training goes on from; none for a new training.
        """
        self.folder, self.monitor, self.config, self.minutes, self.every = folder, monitor, config, minutes, every
        self.fresh, self.resumed_at = resumed_at is None, resumed_at
        self.rows = [] if self.fresh else read_curves(folder / "metrics.csv", resumed_at)
        self.score, self.numbers, self.step, self.seconds = math.inf, {}, None, 0.0
        self.began, self.described = time.monotonic(), False
        self.asked: int | None = None
        self.validated = False
        self.windows: int | None = None
        self.accumulated: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """The best validation with the figure that chose it, seconds in all, windows of a batch, batches of a step."""
        seconds = self.seconds + time.monotonic() - self.began
        return {
            "figure": self.monitor, "score": self.score, "numbers": self.numbers, "step": self.step, "seconds": seconds,
            "windows": self.windows, "accumulated": self.accumulated,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it."""
        self.score, self.numbers, self.step = state["score"], state["numbers"], state["step"]
        self.seconds, self.windows = state.get("seconds", 0.0), state.get("windows")  # unknown to earlier versions
        self.accumulated = state.get("accumulated")

    def path(self, name: str) -> Path:
        """Of a checkpoint."""
        return self.folder / f"{name}.ckpt"

    def keep_curves(self, trainer: pl.Trainer) -> None:
        """Write the rows of all processes that this training went through."""
        for logger in trainer.loggers:
            logger.save()
        if trainer.is_global_zero and any(isinstance(logger, CSVLogger) for logger in trainer.loggers):
            write_curves(
                self.folder / "metrics.csv", [*self.rows, *read_curves(self.folder / LOG_FOLDER / "metrics.csv")]
            )

    def _save(self, trainer: pl.Trainer, *names: str) -> None:
        """Write checkpoints, and then let go of what an earlier training left."""
        self.keep_curves(trainer)
        for name in names:
            trainer.save_checkpoint(self.path(name))
        self.saved_at = time.monotonic()
        if trainer.is_global_zero:
            if not self.described:
                write_environment(self.folder, trainer.strategy.root_device, going_on=not self.fresh)
                self.described = True
            if self.fresh:
                text = yaml.safe_dump(dict(self.config), sort_keys=False)
                atomic_write(self.folder / "config.yaml", lambda path: path.write_text(text, encoding="utf-8"))
            for path in self.folder.glob("*.ckpt") if self.fresh else ():
                if path.stem not in names:
                    path.unlink()
            (self.folder / BEGUN).unlink(missing_ok=True)
        self.fresh = False

    def setup(self, trainer: pl.Trainer, module, stage: str) -> None:
        """See that processes that train together do the same, before their networks are held against each other.

        Raises:
            SemTalkError: They have other settings, other code or other takes, or go on from another step.
        """
        if trainer.world_size > 1:
            values = {f"value of {key}": str(value) for key, value in flat(self.config)}
            own = {"version": __version__, "commit": str(commit()), "digest of its code": code(), **values}
            own |= {"step to go on from": str(self.resumed_at or 0), "digest of its takes": trainer.datamodule.digest()}
            refuse_different(own)

    def on_train_start(self, trainer: pl.Trainer, module) -> None:
        """Mark what is written as unfinished, and listen for signals from now on; Lightning puts handlers back."""
        if module.stamp is not None:
            module.stamp = replace(module.stamp, finished=False)
        if not self.fresh:
            _find_place(trainer, self.windows, self.accumulated)
        elif trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / BEGUN).touch()
        self.windows = trainer.train_dataloader.batch_size * trainer.world_size
        self.accumulated = trainer.accumulate_grad_batches
        self.began = self.saved_at = time.monotonic()
        self.earlier = {}
        if threading.current_thread() is threading.main_thread():
            self.earlier = {number: signal.signal(number, self._ask) for number in SIGNALS}

    def _ask(self, number: int, frame) -> None:
        if self.asked == number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.asked is None:
            LOG.info(f"{signal.Signals(number).name}: the checkpoint of this step is written first.")
        self.asked = number

    def on_train_batch_start(self, trainer: pl.Trainer, module, batch, batch_idx: int) -> None:
        """Between two optimiser steps: save where it is time to, or stop."""
        loop = trainer.fit_loop.epoch_loop
        loop._batches_that_stepped = trainer.global_step  # Lightning miscounts after a resume within an epoch
        if batch_idx % trainer.accumulate_grad_batches:
            return
        due, asked = _of_all(trainer, int(time.monotonic() - self.saved_at > 60 * self.minutes), self.asked or 0)
        if (due or asked) and batch_idx > 0:
            for progress in (loop.batch_progress.current, loop.batch_progress.total):
                progress.ready -= 1  # this batch is not begun: a resumed training begins with it
            self._save(trainer, "last")
            for progress in (loop.batch_progress.current, loop.batch_progress.total):
                progress.ready += 1
        if asked:
            self._answer(asked, f"{module.phase} is at step {trainer.global_step}")

    def on_validation_end(self, trainer: pl.Trainer, module) -> None:
        """There are numbers to judge by."""
        self.validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, module) -> None:
        """Write ``last.ckpt``, before it ``best.ckpt`` where it is, and stop where that is asked for."""
        names = ["last"]
        if self.every and (trainer.current_epoch + 1) % self.every == 0:
            names = [f"epoch_{trainer.current_epoch + 1:04d}", *names]
        if self.validated and self._is_best(trainer, module):
            names = ["best", *names]
        self.validated = False
        self._save(trainer, *names)
        (asked,) = _of_all(trainer, self.asked or 0)
        if asked:
            self._answer(asked, f"{module.phase} is at step {trainer.global_step}")

    def _is_best(self, trainer: pl.Trainer, module) -> bool:
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        if self.monitor not in found:
            raise SemTalkError(f"{module.phase}: no validation gives {self.monitor}; are its takes long enough?")
        score = found[self.monitor] * (-1 if self.monitor in RISING else 1)
        if not math.isfinite(score):
            raise DivergedError(
                f"{module.phase}: {self.monitor} is {found[self.monitor]} after step {trainer.global_step}; "
                f"{self.path('last')} is the checkpoint before it."
            )
        if score >= self.score:
            return False
        self.score, self.step = score, trainer.global_step
        self.numbers = {name.removeprefix("val/"): value for name, value in found.items()}
        return True

    def _answer(self, number: int, place: str) -> None:
        """Answer a signal whose checkpoint is written: hand a scheduler's warning on, or end the training.

        SLURM sends SIGTERM too before it puts a job back, and a job that is over by then does not go back.

        Args:
            number: Of the signal.
            place: Where training is.

        Raises:
            Stopped: With the status of the signal.
        """
        handler, self.asked = self.earlier.get(number), None
        if number in WARNINGS and callable(handler):
            handler(number, None)
        elif number == signal.SIGTERM and in_slurm():
            LOG.info(f"Asked to end by SLURM, which does so itself: {place}, and goes on until then.")
        else:
            LOG.info(f"Stopped: {place}; the same command with resume=true goes on.")
            raise Stopped(128 + number)

    def finish(self, trainer: pl.Trainer) -> None:
        """Mark the best checkpoint as finished.

        Raises:
            Stopped: A signal came after the last step.
        """
        self.keep_curves(trainer)
        if trainer.is_global_zero:
            finish_checkpoint(self.path("best"), self.state_dict()["seconds"])
            shutil.rmtree(self.folder / LOG_FOLDER, ignore_errors=True)
        trainer.strategy.barrier()
        (asked,) = _of_all(trainer, self.asked or 0)
        if asked:
            self._answer(asked, f"{self.folder.name} is at its end")


def finish_checkpoint(path: Path, seconds: float) -> None:
    """Mark a checkpoint as that of a finished training, which took so long."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if not checkpoint["semtalk"].get("finished", True):
        checkpoint["semtalk"]["finished"] = True
        checkpoint["callbacks"]["Keeper"]["seconds"] = seconds
        write_checkpoint(path, checkpoint)
