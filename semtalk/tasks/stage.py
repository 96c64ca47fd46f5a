"""What all stages share: optimiser, schedule, reproducible randomness and the stamp of checkpoints."""

import math
from collections.abc import Mapping
from typing import NoReturn

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from semtalk.body import BodyModel, load_body
from semtalk.errors import DivergedError
from semtalk.settings.recipes import PhaseRecipe
from semtalk.tasks.stamp import Stamp


class Frozen:
    """A network that a task uses and does not train: no part of its parameters and checkpoints."""

    def __init__(self, network: nn.Module):
        self.network = network.eval().requires_grad_(False)

    def on(self, device: torch.device) -> nn.Module:
        """The network, on the task's device."""
        return self.network.to(device)


class StageTask(pl.LightningModule):
    """A network in training; subclasses say what the losses of a batch are.

    Randomness of every step follows from the seed, the step and the process alone, so that a resumed run goes on along
    the same loss curve. What all windows of a step have in common is drawn from ``alike``, which has the same seed in
    all processes, so that several of them train as one does.
    """

    phase: str
    mixed = True
    """Whether it bears a mixed precision."""

    def __init__(
        self,
        network: nn.Module,
        recipe: PhaseRecipe,
        body: BodyModel | None = None,
        seed: int = 0,
        fused: bool = False,
        stamp: Stamp | None = None,
        weights: Mapping[str, float] | None = None,
        progress: float | None = None,
    ):
        """Wrap a network.

        Args:
            network: What is trained.
            recipe: Of this phase.
            body: For losses on positions; the stand-in by default.
            seed: Of all randomness.
            fused: Adam as one kernel.
            stamp: What checkpoints say of themselves; without one they hold weights alone, and no command loads them.
            weights: Of losses beside the recipe's, for a task of one's own that adds some.
            progress: Share of the training that is done, outside of a ``pl.Trainer``; the trainer's own by default.
        """
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.weights = {**recipe.losses.weights(), **(weights or {})}
        self.seed, self.fused, self.stamp, self._progress = seed, fused, stamp, progress
        self._body = Frozen(body or load_body(None))
        self._terms: dict[str, Tensor] = {}
        self._left_out = 0
        self.alike = torch.Generator()
        self.steps: int | None = None
        """Of the whole training; by default what the trainer estimates, for whom all epochs have as many batches."""
        self.first_window = 0
        """Of a batch of validation: which of the split's windows it begins with."""

    @property
    def body(self) -> BodyModel:
        """The body model, on the task's device; it is no part of the checkpoint."""
        return self._body.on(self.device)

    @property
    def monitor(self) -> str:
        """What the best checkpoint is the best in."""
        return f"val/{self.recipe.select}"

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        if self._progress is not None:
            return self._progress
        return self.global_step / self._all_steps()

    def _all_steps(self) -> int:
        return max(1, self.steps or self.trainer.estimated_stepping_batches)

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses of one batch by name; each is multiplied by the recipe's weight of that name."""
        raise NotImplementedError

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Further numbers to log in validation."""
        return {}

    def counted(self, batch: dict[str, Tensor]) -> dict[str, int]:
        """How much a loss or figure of a batch counts in the mean over validation, where it is not by its windows."""
        return {}

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """Weighted sum of the losses."""
        return torch.stack([self.weights[name] * value for name, value in losses.items()]).sum()

    def on_train_batch_start(self, batch, batch_idx) -> None:
        """Seed this step, and let go of the last one's gradients before there are activations beside them."""
        part = batch_idx % self.trainer.accumulate_grad_batches
        if part == 0:
            self.network.zero_grad(set_to_none=True)
            self._terms = {}
        if not self._terms:
            self._left_out = part
        seed = (self.seed * 1_000_003 + self.global_step) * 1_009
        self.alike.manual_seed(seed)
        torch.manual_seed(seed + part * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Log the loss, and return it; Lightning divides it by ``accumulate_grad_batches``."""
        losses = self.losses(batch)
        total = self.total(losses)
        for name, value in losses.items():  # summed over the batches of a step: one that is not finite is not forgotten
            self._terms[name] = value.detach() + self._terms.get(name, 0)
        size = len(batch["speaker"])
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, batch_size=size)
        self.log("train/loss", total, prog_bar=True, batch_size=size)
        return total * self._weight_in_step(batch_idx)

    def _weight_in_step(self, batch: int) -> float:
        """What makes the gradient the mean over the batches of a step where it has fewer.

        The last one of an epoch may, and the first one of a training that goes on with another number of windows.
        """
        several = self.trainer.accumulate_grad_batches
        last = min(several, self.trainer.num_training_batches - batch + batch % several)
        return several / (last - self._left_out)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Log losses and figures; the seed fixes what is random in them."""
        number = batch_idx * self.trainer.world_size + self.global_rank
        self.first_window = number * self.trainer.val_dataloaders.batch_size
        with torch.random.fork_rng(devices=[]), torch.compiler.set_stance("force_eager"):
            torch.manual_seed(self.seed + number)
            losses = self.losses(batch)
            values = {"loss": self.total(losses), **losses, **self.figures(batch)}
        counted = dict.fromkeys(values, len(batch["speaker"])) | self.counted(batch)
        for name, value in values.items():
            self.log(f"val/{name}", value, batch_size=counted[name], sync_dist=True)

    def configure_optimizers(self):
        """Adam, with a constant or a cosine learning rate."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        recipe = self.recipe
        optimizer = torch.optim.Adam(parameters, lr=recipe.lr, betas=tuple(recipe.betas), fused=self.fused)
        if recipe.schedule == "constant":
            return optimizer
        steps = self._all_steps()
        warmup = max(1, min(recipe.warmup, steps // 20))

        def rate(step: int) -> float:
            wave = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
            return min(1.0, (step + 1) / warmup) * (recipe.lr_floor + (1 - recipe.lr_floor) * wave)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        """Clip gradients in Lightning's place, which refuses to with a fused optimiser.

        Raises:
            DivergedError: A loss or a gradient is not finite; no weight has changed by it yet.
        """
        norm = self.clip_gradients()
        scaled = self.trainer.precision == "16-mixed"  # its scaler leaves out steps whose gradients overflow
        if not (torch.stack(list(self._terms.values())).isfinite().all() if scaled else norm.isfinite()):
            self._refuse(norm)

    def clip_gradients(self) -> Tensor:
        """Clip the norm of all gradients to the recipe's ``clip``; returns what it was."""
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.recipe.clip, norm)
        return norm

    def _refuse(self, norm: Tensor) -> NoReturn:
        wrong = [f"the loss '{name}' is {value.item()}" for name, value in self._terms.items() if not value.isfinite()]
        wrong = wrong or [f"the norm of the gradients is {norm.item()} (losses are finite)"]
        raise DivergedError(
            f"{self.phase}, step {self.global_step + 1}: {wrong[0]}; the training stops, and the checkpoint before it "
            "stays. Choose a lower recipe.*.lr, or find the operation with trainer.detect_anomaly=true."
        )

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Go on with this plan's optimiser kernel, whatever plan the checkpoint was written under."""
        for state in checkpoint.get("optimizer_states", []):
            for group in state["param_groups"]:
                group["fused"] = self.fused

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """Stamp the checkpoint."""
        if self.stamp is not None:
            self.stamp.write(checkpoint)
