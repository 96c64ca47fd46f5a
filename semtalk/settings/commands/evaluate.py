"""What ``eval.py`` takes, and of it what the evaluation at a training's end does."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.commands.base import Command, OfARun, Rollout, Seeded, View
from semtalk.settings.commands.trainer import Logger
from semtalk.settings.common import Name, PathText, Reference, between, distinct


class Evaluation(Rollout):
    """What is evaluated, and how: ``configs/evaluation``."""

    view: View
    """What videos show; faces need the extra face, or SMPL-X's file."""

    split: Literal["train", "val", "test"]
    """Whose takes are generated and measured."""
    protocol: Literal["legacy", "evaltools", "corrected", "talkshow", "diffsheg", "genea"]
    """How published tables count, or a mended way; talkshow and diffsheg are for SHOW (docs/metrics.md)."""
    metrics: (
        Literal["main", "extended"]
        | Annotated[list[Literal["main", "extended"] | Reference], Field(min_length=1), AfterValidator(distinct)]
    )
    """extended adds jerk, skating, SRGR and what is heard; metrics of one's own are package.module:NAME in a list."""
    segment_windows: Annotated[int, between(1, 1000)]
    """Windows of 64 frames in a segment of alignment."""
    tag: Name | None
    """Of the results' folder."""

    @property
    def extended(self) -> bool:
        """Whether more than the metrics of published tables is measured."""
        return "extended" in ([self.metrics] if isinstance(self.metrics, str) else self.metrics)

    @property
    def folder(self) -> str:
        """Name of the results' folder: the split, and the tag where there is one."""
        return self.split if self.tag is None else f"{self.split}_{self.tag}"


class EvalSettings(Command, Seeded, OfARun, Evaluation):
    """``eval.py``."""

    logger: Logger
    out: PathText | None
    """Folder of the results."""
    motions: PathText | None
    """Folder of motion files of any method, in the run's place."""
    truth: PathText | None
    """Folder of the true motion files, for ``motions``."""
    audio: PathText | None
    """Folder of the recordings, for ``motions``."""
    embedder: PathText | None
    """Run whose FGD embedder measures; null for the run's own."""
    scorer: PathText | None
    """Run whose scorer measures alignment; null for the run's own, where it has one."""
    mean_speed: PathText | None
    """File of the joints' mean speeds, for ``motions``."""
    processes: Annotated[int, between(1, 4096)]
    """How many share the takes of a run, each with a GPU of its own if there are several; numbers are the same."""
    compare: PathText | Annotated[list[PathText], Field(min_length=1)] | None
    """Runs to compare."""

    @model_validator(mode="after")
    def what_is_for_motions(self) -> "EvalSettings":
        """truth, audio and mean_speed go with motions."""
        for key in ("truth", "audio", "mean_speed"):
            if getattr(self, key) is not None and self.motions is None:
                raise ValueError(f"{key} is for motions=DIR, which is not set.")
        return self

    @model_validator(mode="after")
    def what_is_compared_is_measured(self) -> "EvalSettings":
        """A comparison reads what evaluations left."""
        for key in ("embedder", "scorer"):
            if self.compare is not None and getattr(self, key) is not None:
                raise ValueError(f"{key} is for evaluating a run or motions=DIR; compare reads what that measured.")
        return self
