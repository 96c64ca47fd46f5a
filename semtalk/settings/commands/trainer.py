"""How a training runs: ``configs/trainer``, ``configs/speed`` and ``configs/logger``."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from semtalk.settings.common import DURATION, Name, Numbers, Settings, Text, between

Batches = Annotated[int, between(1, 1_000_000_000)] | Annotated[float, Field(gt=0.0, le=1.0)]
"""A number of batches, or a share of them."""


class Trainer(Settings):
    """What ``pl.Trainer`` takes; :data:`SET_ELSEWHERE` says where the rest is set.

    Keys without a value in ``configs/trainer`` are Lightning's own, and are
    given as in ``trainer.max_time=00:08:00:00``.
    """

    accelerator: Literal["auto", "cpu", "gpu"]
    """auto is a GPU where there is one."""
    devices: Annotated[int, between(1, 4096)] | Numbers | Literal["auto"]
    """Processes, each with a device of its own, or the numbers of GPUs."""
    strategy: Text
    """Of Lightning, as in ddp."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    """auto is bf16-mixed where the device is fast in it, else 32-true."""
    num_nodes: Annotated[int, between(1, 100_000)] = 1
    """Machines."""
    accumulate_grad_batches: Annotated[int, between(1, 1_000_000)] = 1
    """Batches whose gradients make one optimiser step."""
    wait_minutes: Annotated[float, Field(gt=0.0, le=1e5)] = 30.0
    """Minutes that processes wait for one that does not come, or that says nothing; with a ddp strategy."""
    limit_train_batches: Batches | None = None
    """Batches of an epoch that are trained on, or their share."""
    limit_val_batches: Batches | None = None
    """Batches of a validation, or their share."""
    overfit_batches: Batches | None = None
    """Train and validate on these alone, to see that a network can learn them."""
    max_time: Annotated[str, Field(pattern=DURATION)] | None = None
    """Stop after DD:HH:MM:SS."""
    log_every_n_steps: Annotated[int, between(1, 1_000_000)] = 10
    """Steps between rows of the log."""
    enable_progress_bar: bool = True
    """Whether a progress bar is shown."""
    deterministic: bool | Literal["warn"] | None = None
    """Whether only operations are used that always give the same."""
    benchmark: bool | None = None
    """Whether cuDNN tries which convolution is fastest."""
    detect_anomaly: bool = False
    """Whether the operation that gave NaN gradients is found; slow."""
    inference_mode: bool = True
    """Whether validation runs under torch.inference_mode."""
    sync_batchnorm: bool = False
    """Whether processes share the statistics of batch norm."""
    barebones: Literal[False] = False
    """Lightning's own bare mode has no checkpoints, so it is not for training."""
    profiler: Literal["simple", "advanced", "pytorch"] | None = None
    """Say at the end where time went."""

    def given(self) -> dict[str, Any]:
        """Arguments of ``pl.Trainer``: what is set."""
        names = set(type(self).model_fields) & self.model_fields_set - OF_THE_STRATEGY
        return {name: getattr(self, name) for name in names}


OF_THE_STRATEGY = {"wait_minutes"}
"""Keys of ``trainer`` that its strategy takes."""


SET_ELSEWHERE = {
    "fast_dev_run": "experiment=smoke",
    "logger": "logger", "callbacks": "the training itself", "max_epochs": "recipe.*.epochs",
    "min_epochs": "recipe.*.epochs",
    "max_steps": "recipe.*.steps", "min_steps": "recipe.*.steps", "check_val_every_n_epoch": "recipe.validations",
    "val_check_interval": "recipe.validations", "num_sanity_val_steps": "the training itself",
    "limit_test_batches": "eval.py", "limit_predict_batches": "generate.py",
    "enable_checkpointing": "the training itself",
    "enable_model_summary": "dry_run", "gradient_clip_val": "recipe.*.clip", "gradient_clip_algorithm": "recipe.*.clip",
    "use_distributed_sampler": "the training itself", "plugins": "trainer.strategy and trainer.precision",
    "reload_dataloaders_every_n_epochs": "the training itself", "default_root_dir": "runs_dir",
    "enable_autolog_hparams": "the training itself", "model_registry": "logger",
}  # fmt: skip
"""Argument of ``pl.Trainer`` that is no key of ``trainer`` -> what sets it."""


class Speed(Settings):
    """What differs in speed alone; docs/performance.md says what each brings."""

    name: Name
    """fast, or plain."""
    compile: Literal["auto", "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] | bool
    """Whether, or in which mode, torch.compile compiles the networks."""
    fused_adam: bool
    """Adam as one kernel."""
    grouped_parts: bool
    """Body parts through one stacked product where their networks are equal."""
    packed_dropout: bool
    """On a CPU: dropout masks drawn sixteen bits an element."""
    keep_memory: bool
    """On a CPU: freed memory is kept for the next step."""
    recompute: bool
    """Less memory for more time: attention layers are run again going back; needs ``grouped_parts``."""
    data_on_device: bool
    """On a GPU: windows lie there when they take less than half of what is free."""

    @model_validator(mode="after")
    def recompute_needs_grouped_parts(self) -> "Speed":
        """Attention is recomputed in grouped parts alone."""
        if self.recompute and not self.grouped_parts:
            raise ValueError("recompute=true needs grouped_parts=true.")
        return self


class Logger(Settings):
    """Where training is logged."""

    name: Literal["csv", "tensorboard", "wandb"]
    """Where to: a file of the run, or a service."""
    project: Text | None = None
    """Of wandb."""
