"""What the commands take: one frozen tree for each file in ``configs/``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.common import MAX_SEED, SHARD, Name, Numbers, Part, Settings, Text, between, distinct
from semtalk.settings.inputs import Data, Features
from semtalk.settings.networks import Model
from semtalk.settings.recipes import Recipe, WantedDecoding


class Trainer(Settings):
    """Device, and what differs in speed alone; docs/performance.md says what each brings."""

    accelerator: Literal["auto", "cpu", "gpu"]
    """auto is a GPU where there is one."""
    devices: Annotated[int, between(1, 4096)] | Numbers | Literal["auto"]
    """Processes, each with a device of its own, or the numbers of GPUs."""
    strategy: Text
    """Of Lightning, as in ddp."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    """auto is bf16-mixed where the device is fast in it, else 32-true."""
    compile: Literal[
        "auto", "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"
    ] | bool  # fmt: skip
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
    def recompute_needs_grouped_parts(self) -> "Trainer":
        """Attention is recomputed in grouped parts alone."""
        if self.recompute and not self.grouped_parts:
            raise ValueError("recompute=true needs grouped_parts=true.")
        return self


class Body(Settings):
    """The body that measures motion."""

    path: Text | None
    """Folder of the SMPL-X model; null for the stand-in."""


class Logger(Settings):
    """Where training is logged."""

    name: Literal["csv", "tensorboard", "wandb"]
    """Where to: a file of the run, or a service."""
    project: Text | None = None
    """Of wandb."""


class Stage(Settings):
    """What a training trains."""

    name: Text
    """What the command line calls it."""
    phases: Annotated[
        list[Literal["rvqvae", "rvqvae_face", "rvqvae_upper", "rvqvae_hands", "rvqvae_lower", "translation", "fgd",
                     "base", "sparse"]],
        Field(min_length=1),
    ]  # fmt: skip
    """In their order."""


Beta = Annotated[float, between(0.0, 1.0)]
Samples = Annotated[int, between(1, 1000)]
Seconds = Annotated[float, Field(gt=0.0, le=1e6)]


class Command(Settings):
    """What every command takes."""

    name: Name
    """Of the run: its folder below ``runs_dir``."""
    runs_dir: Text
    """Folder of all runs."""
    data_dir: Text
    """Folder of what is prepared and written of corpora."""
    seed: Annotated[int, between(0, MAX_SEED)]
    """Of all randomness."""
    strict: bool
    """Whether one bad recording stops the preparation; else it is left out and listed."""
    body: Body
    data: Data
    features: Features
    model: Model
    recipe: Recipe
    trainer: Trainer

    @model_validator(mode="after")
    def strides_fit(self) -> "Command":
        """Windows begin where sentence and emotion are kept."""
        if self.recipe.stride % self.features.stride:
            raise ValueError("recipe.stride must be a multiple of features.stride, where window features are kept.")
        return self


class TrainSettings(Command):
    """``train.py``."""

    stage: Stage
    logger: Logger
    parts: Annotated[list[Part], Field(min_length=1), AfterValidator(distinct)]
    """Whose RVQ-VAEs are trained."""
    resume: bool
    """Whether an interrupted training goes on."""
    init: Text | None
    """Run whose weights training starts from."""
    dry_run: bool
    """Whether to print the plan alone."""


class MotionCommand(Command):
    """What the commands take that make motion by a trained run."""

    ckpt: Text | None
    """Folder of the run; null for runs_dir/name."""
    out: Text | None
    """Folder of the results."""
    beta: Beta
    """Threshold of the semantic score."""
    gate: Literal["learned", "always", "never", "random"]
    """Which steps take the sparse codes; learned but for ablations."""
    decoding: WantedDecoding
    samples: Samples
    """Motions of each take."""
    generation: Literal["auto", "default", "release"]
    """The rollout; auto is what the networks were trained for."""
    video: bool
    """Whether videos are drawn."""
    video_seconds: Seconds | None
    """Of a video; null for the whole take."""


class EvalSettings(MotionCommand):
    """``eval.py``."""

    logger: Logger
    split: Literal["train", "val", "test"]
    """Whose takes are generated and measured."""
    protocol: Literal["legacy", "evaltools", "corrected"]
    """How published tables count, or a mended way (docs/metrics.md)."""
    metrics: Literal["main", "extended"]
    """extended adds jerk, skating, SRGR and what is heard."""
    motions: Text | None
    """Folder of motion files of any method, in the run's place."""
    truth: Text | None
    """Folder of the true motion files, for ``motions``."""
    audio: Text | None
    """Folder of the recordings, for ``motions``."""
    embedder: Text | None
    """Run whose FGD embedder measures ``motions``."""
    mean_speed: Text | None
    """File of the joints' mean speeds, for ``motions``."""
    compare: Text | Annotated[list[Text], Field(min_length=1)] | None
    """Runs to compare."""
    tag: Name | None
    """Of the results' folder."""


class GenerateSettings(MotionCommand):
    """``generate.py``."""

    audio: Text | Annotated[list[Text], Field(min_length=1)] | None
    """A recording, a folder of them, or a list."""
    transcript: Text
    """A file or folder of transcripts; auto, or none."""
    whisper: Text
    """The Whisper model that hears words."""
    language: Text | None
    """Of the speech; null to detect it."""
    speaker: int | None
    """Number that the run knows; null for its first."""
    emotion: Text | None
    """Label, where the run reads labels."""
    motion: Text | None
    """Motion file whose first 4 frames begin each take."""
    betas: Text | list[float] | None
    """Body shape: an npz or numbers."""
    precision: Literal["float32", "bf16"]
    """Of base and sparse network."""
    batch: Annotated[int, between(1, 100_000)]
    """Recordings at once."""
    format: Literal["npz", "bvh", "glb"] | list[Literal["npz", "bvh", "glb"]]
    """What is written; npz always is."""


class PrepareSettings(Command):
    """``scripts/prepare.py``."""

    shard: Annotated[str, Field(pattern=SHARD)] | None
    """Share of the corpus, as in 1/4."""
    report: bool
    """Whether to say what there is."""


COMMANDS: dict[str, type[Command]] = {
    "train": TrainSettings, "eval": EvalSettings, "generate": GenerateSettings, "prepare": PrepareSettings,
}  # fmt: skip
"""Name of the configuration in ``configs/`` -> what it takes."""
