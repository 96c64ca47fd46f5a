"""What all stages share: optimiser, schedule, reproducible randomness and the stamp of checkpoints."""

import math
from collections.abc import Mapping

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from semtalk.body import BodyModel
from semtalk.tasks.stamp import stamp


class StageTask(pl.LightningModule):
    """A network in training; subclasses say what the losses of a batch are.

    Randomness of every step follows from the seed, the step and the process alone, so that a resumed run goes on along
    the same loss curve.
    """

    phase: str
    mixed = True
    """Whether it bears a mixed precision."""
    monitor = "val/loss"
    """What the best checkpoint is the lowest in."""

    def __init__(self, network: nn.Module, config: dict, recipe: Mapping, meta: dict, body: BodyModel):
        """Wrap a network.

        Args:
            network: What is trained.
            config: The full plain configuration, kept in every checkpoint.
            recipe: Of this phase: ``lr``, ``schedule``, ``losses`` and what the subclass reads.
            meta: Facts about data and method: ``speakers``, ``mean_joint_speed``, ``body``, ``generation``.
            body: For losses on positions.
        """
        super().__init__()
        self.network = network
        self.config = config
        self.recipe = recipe
        self.meta = meta
        self._body = (body,)

    @property
    def body(self) -> BodyModel:
        """The body model, on the task's device; it is no part of the checkpoint."""
        return self._body[0].to(self.device)

    @property
    def progress(self) -> float:
        """Share of the training that is done."""
        return self.global_step / max(1, self.trainer.estimated_stepping_batches)

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses of one batch by name; each is multiplied by the recipe's weight of that name."""
        raise NotImplementedError

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Further numbers to log in validation."""
        return {}

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """Weighted sum of the losses."""
        return torch.stack([self.recipe["losses"][name] * value for name, value in losses.items()]).sum()

    def on_train_batch_start(self, batch, batch_idx) -> None:
        """Seed this step, and let go of the last one's gradients before there are activations beside them."""
        self.network.zero_grad(set_to_none=True)
        torch.manual_seed((self.config["seed"] * 1_000_003 + self.global_step) * 1_009 + self.global_rank)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Log and return the loss."""
        losses = self.losses(batch)
        total = self.total(losses)
        size = len(batch["speaker"])
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, batch_size=size)
        self.log("train/loss", total, prog_bar=True, batch_size=size)
        return total

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Log losses and figures; the seed fixes what is random in them."""
        with torch.random.fork_rng(devices=[]), torch.compiler.set_stance("force_eager"):
            torch.manual_seed(self.config["seed"] + batch_idx)
            losses = self.losses(batch)
            values = {"loss": self.total(losses), **losses, **self.figures(batch)}
        size = len(batch["speaker"])
        self.log_dict({f"val/{name}": value for name, value in values.items()}, batch_size=size, sync_dist=True)

    def configure_optimizers(self):
        """Adam, with a constant or a cosine learning rate."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        fused = self.config["trainer"]["fused_adam"]
        optimizer = torch.optim.Adam(parameters, lr=self.recipe["lr"], betas=(0.9, 0.99), fused=fused)
        if self.recipe["schedule"] == "constant":
            return optimizer
        steps = max(1, self.trainer.estimated_stepping_batches)
        warmup = max(1, min(100, steps // 20))

        def rate(step: int) -> float:
            return min(1.0, (step + 1) / warmup) * (
                0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
            )

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        """Clip the norm of all gradients to the recipe's ``clip``; Lightning refuses to with a fused optimiser."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe["clip"])

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Go on with this plan's optimiser kernel, whatever plan the checkpoint was written under."""
        for state in checkpoint.get("optimizer_states", []):
            for group in state["param_groups"]:
                group["fused"] = self.config["trainer"]["fused_adam"]

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """Stamp the checkpoint with phase, configuration and facts."""
        stamp(checkpoint, self.phase, self.config, self.meta)
