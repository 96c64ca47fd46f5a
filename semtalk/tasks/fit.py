"""Fits the phases of a stage one after another; each phase has its folder below the run's."""

import csv
import logging
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from rich.progress import track
from torch import nn

from semtalk.body import BodyModel
from semtalk.data.datamodule import MotionDataModule
from semtalk.data.store import Store
from semtalk.data.windows import MOTION_KEYS
from semtalk.errors import SemTalkError
from semtalk.motion.io import atomic_write
from semtalk.motion.parts import part_channels
from semtalk.motion.skeleton import PARTS
from semtalk.tasks.checkpoint import checkpoint_path, load_checkpoint, load_needed, load_network
from semtalk.tasks.motion import batch_frames
from semtalk.tasks.phases import PHASES, build_network
from semtalk.tasks.semtalk import latent_statistics
from semtalk.tasks.speed import apply_plan, keep_freed_memory, phase_precision, resolve_plan, trainer_device
from semtalk.tasks.stage import StageTask

MIN_SCALE = 0.02
"""Channels are not stretched beyond 1 / this when they are standardised."""
MIN_DEVIATION = 1e-5
"""Below it a feature's channel counts as constant."""


def start_from(network: nn.Module, init: str | None, phase: str) -> None:
    """Give a fresh network the weights that another run ended with.

    Raises:
        SemTalkError: That run has no such phase, or its network has other sizes.
    """
    if init is None:
        return
    try:
        network.load_state_dict(load_network(init, phase)[0].state_dict())
    except RuntimeError as error:
        raise SemTalkError(
            f"init={init}: its '{phase}' does not fit this configuration ({str(error).splitlines()[1].strip()}); "
            "choose the same model and features."
        ) from error


def training_channels(store: Store, part: str) -> list[torch.Tensor]:
    """A part's channels (T, D) of every take of the training split."""
    return [part_channels(batch_frames(recording), PARTS[part]) for recording in store.split("train")]


def channel_statistics(store: Store, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (D,) of a part's channels over the training split."""
    channels = torch.cat(training_channels(store, part))
    return channels.mean(dim=0), channels.std(dim=0).clamp(min=MIN_SCALE)


def feature_statistics(store: Store, slot: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (d,) of a feature over the training split; a channel that never changes has deviation 1."""
    count, total, squares = 0, 0.0, 0.0
    for recording in store.split("train"):
        rows = recording[slot].double()
        count, total, squares = count + len(rows), total + rows.sum(dim=0), squares + rows.square().sum(dim=0)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean, torch.where(deviation > MIN_DEVIATION, deviation, torch.ones_like(deviation))


def set_feature_statistics(network: nn.Module, store: Store) -> None:
    """Have a base or a sparse network standardise its features by the training split."""
    for slot, layer in network.standard.items():
        layer.set_statistics(*feature_statistics(store, slot))


def make_task(phase: str, config: dict, store: Store, run_dir: Path, meta: dict, body: BodyModel) -> StageTask:
    """The task of a phase: its network with what the training split says of it, and the trained ones that it needs.

    Raises:
        SemTalkError: An earlier phase has no checkpoint; or the sparse network is asked for without semantic labels.
    """
    row, init, known = PHASES[phase], config["init"], {}
    network = build_network(phase, config, len(meta["speakers"]))
    start_from(network, init, phase)
    needed = load_needed(phase, run_dir, init)
    if phase == "sparse":
        check_labels(store)
    if row.part and init is None:
        network.set_statistics(*channel_statistics(store, row.part))
        network.fit_linear(training_channels(store, row.part))
    if row.speech:
        if config["model"]["standardise"] and init is None:
            set_feature_statistics(network, store)
        takes = track(store.split("train"), "Encoding motion", transient=True)
        known["statistics"] = latent_statistics(row.given(needed)["tokenizer"], takes)
    if phase == "base":
        for part, readout in network.readouts.items():
            readout.mean.copy_(known["statistics"].mean[part])
    return row.make_task(network, config, meta, body, needed, **known)


def check_labels(store: Store) -> None:
    """See that the takes of train and val have semantic labels.

    Raises:
        SemTalkError: One has none.
    """
    labelled = [*store.split("train"), *store.split("val")]
    unlabelled = [recording.id for recording in labelled if recording["semantic"].isnan().any()]
    if unlabelled:
        raise SemTalkError(
            f"{unlabelled[0]} and {len(unlabelled) - 1} others have no semantic labels; sparse needs them "
            "(scripts/label_semantics.py makes them with a trained gate)."
        )


def make_logger(config: Mapping, folder: Path):
    """The logger that the configuration names, writing into the phase's folder."""
    from pytorch_lightning import loggers

    name = config["logger"]["name"]
    if name == "csv":
        return loggers.CSVLogger(folder, name="", version="", flush_logs_every_n_steps=50)
    if name == "tensorboard":
        try:
            return loggers.TensorBoardLogger(folder, name="", version="")
        except ModuleNotFoundError as error:
            raise SemTalkError("logger=tensorboard: run `pip install tensorboard` first.") from error
    if name == "wandb":
        return loggers.WandbLogger(
            project=config["logger"]["project"], group=config["name"], name=f"{config['name']}-{folder.name}",
            save_dir=folder, config=config,
        )  # fmt: skip
    raise SemTalkError(f"logger={name}: choose csv, tensorboard or wandb.")


def _quiet() -> None:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in (
        ".*does not have many workers.*",
        ".*number of training batches.*",
        ".*exists and is not empty.*",
        ".*LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message=text)
    warnings.filterwarnings("ignore", category=FutureWarning)


def join_curves(before: Path, after: Path) -> None:
    """Put the rows of a csv log before those of the log of a resumed run, which starts a file of its own."""
    rows = []
    for path in (before, after):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    names = list(dict.fromkeys(name for row in rows for name in row))

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)

    atomic_write(after, write)
    before.unlink()


class CompileNotice(pl.Callback):
    """Says that the first step of a compiled network takes a while, and how long it took."""

    def on_train_start(self, trainer, module) -> None:
        """Say what is being waited for."""
        self.began = time.monotonic()
        trainer.print(f"Compiling {module.phase} in the first step; this takes minutes, once.")

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        """Say that it is over."""
        if self.began is not None:
            trainer.print(f"Compiled in {time.monotonic() - self.began:.0f} s.")
        self.began = None


def epochs_of(recipe: Mapping, batches: int) -> int:
    """Whole epochs that a phase lasts: ``epochs``, or as many as ``steps`` need."""
    if recipe.get("epochs"):
        return recipe["epochs"]
    return -(-recipe["steps"] // batches)


def fit_phase(phase: str, config: dict, store: Store, run_dir: Path, meta: dict, body: BodyModel) -> dict:
    """Train one phase, or go on with it when ``resume`` is set.

    Returns:
        A row for the closing table: phase, steps, seconds, validation numbers of the best checkpoint, its path.
    """
    _quiet()
    speed = resolve_plan(config["trainer"])
    config = config | {"trainer": speed}
    if speed["keep_memory"] and trainer_device(speed["accelerator"]).type == "cpu":
        keep_freed_memory()
    pl.seed_everything(config["seed"], verbose=False)
    folder = run_dir / phase
    last = checkpoint_path(run_dir, phase, "last")
    resume = config["resume"] and last.is_file()
    if resume:
        load_checkpoint(last, phase)
    recipe = config["recipe"][PHASES[phase].recipe]
    task = make_task(phase, config, store, run_dir, meta, body)
    apply_plan(task.network, speed)
    keys = None if PHASES[phase].speech else (*MOTION_KEYS, "betas", "speaker")
    data = MotionDataModule(
        store, config["recipe"]["stride"], recipe["batch_size"], config["seed"], config["recipe"]["workers"], keys,
        on_device=speed["data_on_device"],
    )  # fmt: skip
    epochs = epochs_of(recipe, len(data.train_dataloader()))
    every = max(1, epochs // config["recipe"]["validations"])
    best = ModelCheckpoint(
        folder, filename="best", monitor=task.monitor, save_last=True, save_on_train_epoch_end=True,
        every_n_epochs=every, enable_version_counter=False,
    )  # fmt: skip
    logger = make_logger(config, folder)
    try:
        trainer = pl.Trainer(
            accelerator=speed["accelerator"],
            devices=speed["devices"],
            strategy=speed["strategy"],
            precision=phase_precision(speed["precision"], task.mixed),
            max_epochs=epochs,
            check_val_every_n_epoch=every,
            num_sanity_val_steps=0,
            logger=logger,
            callbacks=[best, RichProgressBar(), *([CompileNotice()] if speed["compile"] else [])],
            enable_model_summary=False,
            log_every_n_steps=10,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise SemTalkError(f"trainer: {error}") from error
    if not resume:
        for stale in folder.glob("*.ckpt"):
            stale.unlink(missing_ok=True)
        for stale in folder.glob("metrics*.csv"):
            stale.unlink(missing_ok=True)
    log, log_before = folder / "metrics.csv", folder / "metrics_before.csv"
    if resume and log.is_file():
        if log_before.is_file():
            join_curves(log_before, log)
        log.replace(log_before)
    text = yaml.safe_dump(config, sort_keys=False)
    atomic_write(folder / "config.yaml", lambda temporary: temporary.write_text(text, encoding="utf-8"))
    began = time.monotonic()
    trainer.fit(task, datamodule=data, ckpt_path=last if resume else None, weights_only=True)
    if log_before.is_file() and log.is_file() and trainer.is_global_zero:
        join_curves(log_before, log)
    numbers = {name.removeprefix("val/"): float(v) for name, v in trainer.callback_metrics.items() if "val/" in name}
    return {
        "phase": phase, "steps": trainer.global_step, "seconds": time.monotonic() - began, "validation": numbers,
        "checkpoint": str(checkpoint_path(run_dir, phase)),
    }  # fmt: skip
