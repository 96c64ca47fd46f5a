"""What several commands take."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from semtalk.settings.commands.trainer import Trainer
from semtalk.settings.common import MAX_SEED, SUFFIX, Name, PathText, Reference, Settings, Text, between
from semtalk.settings.inputs import Data, Features
from semtalk.settings.networks import Model
from semtalk.settings.recipes import Recipe, WantedDecoding

Beta = Annotated[float, between(0.0, 1.0)]
Samples = Annotated[int, between(1, 1000)]
Seconds = Annotated[float, Field(gt=0.0, le=1e6)]
View = Literal["body", "face", "both"]


def run_name(config: Mapping[str, Any]) -> str:
    """Name of the folder of a run, from its plain configuration, which an earlier version may have written."""
    name = config["name"] + (config.get("suffix") or "")
    return f"{name}_seed{config['seed']}" if config.get("seed_in_name") else name


class Body(Settings):
    """The body that measures motion."""

    model: Literal["auto"] | Reference
    """auto: SMPL-X where ``path`` is set, else the stand-in; or a body of an installed package (docs/extending.md)."""
    path: PathText | None
    """Folder of the SMPL-X model; null for the stand-in."""


class Seeded(Settings):
    """What the commands take that do the same for several seeds."""

    seeds: list[int] | None
    """On the command line, as seeds=[0,1,2]: a run for each, one after another, or as jobs of ``hydra/launcher``."""

    @model_validator(mode="after")
    def one_at_a_time(self) -> "Seeded":
        """The command line makes a run of each seed."""
        if self.seeds is not None:
            raise ValueError("seeds is for the command line, which makes a run of each; here give one, as in seed=0.")
        return self


class Command(Settings):
    """What every command takes."""

    name: Name
    """Name of the run, which is its folder in runs_dir; all stages of a run share it."""
    runs_dir: PathText
    """Folder of all runs."""
    data_dir: PathText
    """Folder of what is prepared and written of corpora."""
    seed: Annotated[int, between(0, MAX_SEED)]
    """Source of all randomness."""
    seed_in_name: bool
    """Whether the run's folder is called NAME_seedN; so it is where one command trains or evaluates several seeds.

    Such runs share the FGD embedder of the first, so that their FGD compares.
    """
    suffix: Annotated[str, Field(pattern=SUFFIX)] | None
    """Put behind the name of the run's folder; so it is _0, _1, ... where one command trains with several values."""
    strict: bool
    """Whether one bad recording stops the preparation; else it is left out and listed."""
    trust: list[Text]
    """Packages beside semtalk whose classes a loaded run may name; their code is run."""
    body: Body
    data: Data
    features: Features
    model: Model
    recipe: Recipe
    trainer: Trainer

    @property
    def run_name(self) -> str:
        """Name of the run's folder."""
        return run_name(self.plain())

    @model_validator(mode="after")
    def strides_fit(self) -> "Command":
        """Windows begin where sentence and emotion are kept."""
        if self.recipe.stride % self.features.stride:
            raise ValueError("recipe.stride must be a multiple of features.stride, where window features are kept.")
        return self


class OfARun(Settings):
    """What the commands take that use a trained run."""

    ckpt: PathText | None
    """Folder of the run, or a published model: its folder, or org/name of the hub; null for runs_dir/name."""
    revision: Text | None
    """Branch, tag or commit of a model of the hub; null for its main branch."""


class Rollout(Settings):
    """How a trained run makes motion: ``configs/rollout``."""

    beta: Beta
    """Threshold of the semantic score."""
    gate: Literal["learned", "always", "never", "random", "always_scaled", "random_scaled"]
    """How sparse steps are chosen; learned but for ablations. *_scaled put that score on semantic features too."""
    decoding: WantedDecoding
    samples: Samples
    """Motions of each take."""
    generation: Literal["auto", "default", "release"]
    """The rollout; auto is what the networks were trained for."""
    video: bool
    """Draw videos."""
    video_seconds: Seconds | None
    """Seconds of a take that its video shows; null for all."""


class Arkit(Settings):
    """How ARKit's weights of a face are found."""

    arkit_matrix: PathText | None
    """File of a matrix from ARKit's weights to expressions; null for a fit to SMPL-X's face, or jaw and gaze alone."""
    arkit_order: Literal["alphabetical", "apple"]
    """Of the weights in ``arkit_matrix``."""
