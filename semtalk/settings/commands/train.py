"""What ``train.py`` takes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.commands.base import Command, Seeded
from semtalk.settings.commands.evaluate import Evaluation
from semtalk.settings.commands.phases import PhaseName
from semtalk.settings.commands.trainer import Logger, Speed
from semtalk.settings.common import Part, PathText, Settings, Text, between, distinct


class Stage(Settings):
    """What a training trains."""

    name: Text
    """What the command line calls it."""
    phases: Annotated[
        list[Literal["rvqvae", PhaseName]],
        Field(min_length=1), AfterValidator(distinct),
    ]  # fmt: skip
    """In their order."""


class TrainSettings(Command, Seeded):
    """``train.py``."""

    stage: Stage
    logger: Logger
    speed: Speed
    evaluation: Evaluation
    parts: Annotated[list[Part], Field(min_length=1), AfterValidator(distinct)]
    """Body parts whose RVQ-VAEs are trained; the translation network goes with lower."""
    resume: bool
    """Go on from the last checkpoints."""
    checkpoint_minutes: Annotated[float, Field(gt=0.0, le=1e6)]
    """Minutes between checkpoints within an epoch; one is written at the end of every epoch."""
    keep_every: Annotated[int, between(1, 10_000_000)] | None
    """Epochs between checkpoints that are kept for good, as epoch_0010.ckpt; null for none."""
    rollout_video: Annotated[float, between(0.0, 600.0)]
    """Seconds of a val take that are drawn in each validation of base and sparse; 0 for no video."""
    init: PathText | None
    """Run whose weights training starts from; speakers that it knows keep their row, new ones begin as the mean."""
    tokenizer: PathText | None
    """Run whose RVQ-VAEs and translation network this one takes over."""
    embedder: PathText | None
    """Run whose FGD embedder this one takes over."""
    objective: Text | None
    """What a search makes small: a figure of the last phase's best validation; null for what chose the checkpoint.

    Figures that are good when they are high count negative. A search is hydra/sweeper=optuna_val.
    """
    dry_run: bool
    """Print the plan (data, cost of every phase, sources of inputs) and train nothing."""

    @model_validator(mode="after")
    def what_is_drawn_is_generated(self) -> "TrainSettings":
        """A video of validation needs generated motion."""
        if self.rollout_video and not self.recipe.rollout_seconds:
            raise ValueError("rollout_video draws what validation generates; it needs recipe.rollout_seconds above 0.")
        return self
