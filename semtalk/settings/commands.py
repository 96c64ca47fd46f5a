"""What the commands take: one frozen tree for each file in ``configs/``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.common import (
    DURATION,
    MAX_SEED,
    SHARD,
    SUFFIX,
    TARGET,
    GivenText,
    Name,
    Numbers,
    Part,
    PathText,
    Reference,
    Settings,
    Text,
    between,
    distinct,
)
from semtalk.settings.inputs import Data, Features
from semtalk.settings.networks import Model
from semtalk.settings.recipes import Recipe, WantedDecoding

Batches = Annotated[int, between(1, 1_000_000_000)] | Annotated[float, Field(gt=0.0, le=1.0)]
"""A number of batches, or a share of them."""


PhaseName = Literal[
    "rvqvae_face", "rvqvae_upper", "rvqvae_hands", "rvqvae_lower", "translation", "fgd", "base", "sparse",
    "alignment",
]  # fmt: skip
"""What is trained, in its order; see :data:`semtalk.tasks.phases.PHASES`."""
PHASE_NAMES: tuple[str, ...] = get_args(PhaseName)
CHAIN = tuple(name for name in PHASE_NAMES if name != "alignment")
"""What stage=all trains; the scorer of alignment judges any method, and is trained by itself."""
JUDGES = ("fgd", "alignment")
"""What measures motion, and has no part in making it."""
MOTION_PHASES = PHASE_NAMES[: PHASE_NAMES.index("fgd")]
"""What turns codes into motion, and can be taken over from another run."""


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


class Body(Settings):
    """The body that measures motion."""

    model: Literal["auto"] | Reference
    """auto: SMPL-X where ``path`` is set, else the stand-in; or a body of an installed package (docs/extending.md)."""
    path: PathText | None
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
        list[Literal["rvqvae", PhaseName]],
        Field(min_length=1), AfterValidator(distinct),
    ]  # fmt: skip
    """In their order."""


Words = GivenText | Annotated[list[GivenText], Field(min_length=1)]
"""Spoken words."""
Beta = Annotated[float, between(0.0, 1.0)]
Samples = Annotated[int, between(1, 1000)]


def one_of_the_shares(shard: str) -> str:
    """A shard i/n with 1 <= i <= n.

    Raises:
        ValueError: It is none.
    """
    first, count = map(int, shard.split("/"))
    if not 1 <= first <= count:
        raise ValueError("give i/n with i from 1 to n, as in shard=2/8.")
    return shard


Seconds = Annotated[float, Field(gt=0.0, le=1e6)]


def run_name(config: Mapping[str, Any]) -> str:
    """Name of the folder of a run, from its plain configuration, which an earlier version may have written."""
    name = config["name"] + (config.get("suffix") or "")
    return f"{name}_seed{config['seed']}" if config.get("seed_in_name") else name


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


View = Literal["body", "face", "both"]


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


class EvalSettings(Command, Seeded, Evaluation):
    """``eval.py``."""

    logger: Logger
    ckpt: PathText | None
    """Folder of the run, or a published model: its folder, or org/name of the hub; null for runs_dir/name."""
    revision: Text | None
    """Branch, tag or commit of a model of the hub; null for its main branch."""
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


Format = Literal["npz", "bvh", "glb", "fbx", "arkit"]


class GenerateSettings(Command, Rollout):
    """``generate.py``."""

    ckpt: PathText | None
    """Folder of the run, or a published model: its folder, or org/name of the hub; null for runs_dir/name."""
    revision: Text | None
    """Branch, tag or commit of a model of the hub; null for its main branch."""
    out: PathText | None
    """Folder of the results."""
    audio: PathText | Annotated[list[PathText], Field(min_length=1)] | None
    """A recording, a folder of them, or a list."""
    transcript: PathText
    """A file or folder of transcripts; auto, or none."""
    whisper: PathText
    """The Whisper model that hears words."""
    language: Text | None
    """Language of the speech; null to detect it."""
    speaker: int | Text | None
    """A speaker of the training corpus, by its own number or name; null for the first."""
    emotion: Text | None
    """Emotion label, where the run reads labels."""
    motion: PathText | None
    """Motion file whose first 4 frames begin each take."""
    betas: PathText | Annotated[list[float], Field(min_length=1)] | None
    """Body shape: an npz or numbers."""
    emphasise: Words | None
    """Words of the transcript whose semantic score is 1, as word or word@seconds; the rest of the motion stays."""
    calm: Words | None
    """Words whose semantic score is 0, as in ``emphasise``."""
    psi: PathText | None
    """Semantic scores from 0 to 1, one for each code step or frame: a csv of one number a line, or an npy."""
    pose: PathText | Annotated[list[PathText], Field(min_length=1)] | None
    """Poses to hold, as FILE.npz@seconds: the body of the frame in the middle of a motion file."""
    precision: Literal["float32", "bf16"]
    """Of base and sparse network; bf16 is faster on GPUs and on CPUs with units for it, and some codes change."""
    batch: Annotated[int, between(1, 100_000)]
    """Recordings at once."""
    format: Format | Annotated[list[Format], Field(min_length=1), AfterValidator(distinct)]
    """What is written; npz always is. arkit is the face's 52 weights as a csv of Live Link Face, fbx needs Blender."""
    bvh: Literal["smplx", "vrm", "mixamo"]
    """Whose names joints of format=bvh have."""
    avatar: PathText | None
    """A rigged character (.glb, .vrm, or .fbx by Blender) that is written too, moving as NAME_avatar."""
    avatar_map: PathText | None
    """A yaml of names of the character's bones that are not known, as in ``leftUpperArm: arm_l``."""
    in_place: bool
    """Whether figures stay over where they begin, for engines that move them."""
    foot_lock: bool
    """Whether feet that stand are held where they stand, by bending the legs."""
    rest: Annotated[float, between(1.0, 1e6)] | None
    """Seconds of silence from which trunk and arms rest in the pose that the take begins with; null for never."""
    end: PathText | None
    """Motion file in whose first pose each take ends; where the body stands stays."""
    arkit_fps: Literal[30, 60]
    """Rows a second of format=arkit."""
    arkit_matrix: PathText | None
    """File of a matrix from ARKit's weights to expressions; null for a fit to SMPL-X's face, or jaw and gaze alone."""
    arkit_order: Literal["alphabetical", "apple"]
    """Of the weights in ``arkit_matrix``."""
    view: View
    """What videos show; faces need the extra face, or SMPL-X's file."""

    @property
    def formats(self) -> list[str]:
        """What is written."""
        return [self.format] if isinstance(self.format, str) else self.format

    @model_validator(mode="after")
    def what_goes_with_what(self) -> "GenerateSettings":
        """A matrix is for faces, names of joints for one format, and names of bones for a character."""
        faces = self.video or self.avatar or {"arkit", "glb", "fbx"} & set(self.formats)
        if self.arkit_matrix is not None and not faces:
            raise ValueError("arkit_matrix is for faces: format=arkit, glb or fbx, an avatar, or a video.")
        if self.bvh != "smplx" and "bvh" not in self.formats:
            raise ValueError("bvh is for format=bvh, which is not among the formats.")
        if self.avatar_map is not None and self.avatar is None:
            raise ValueError("avatar_map is for avatar=FILE, which is not set.")
        return self


class PrepareSettings(Command):
    """``scripts/prepare.py``."""

    shard: Annotated[str, Field(pattern=SHARD), AfterValidator(one_of_the_shares)] | None
    """Share of the corpus, as in 1/4."""
    report: bool
    """Whether to say what there is."""


class GeneaSettings(Command, Rollout):
    """``scripts/export_genea.py``."""

    ckpt: PathText | None
    """Folder of the run, or a published model: its folder, or org/name of the hub; null for runs_dir/name."""
    revision: Text | None
    """Branch, tag or commit of a model of the hub; null for its main branch."""
    out: PathText | None
    """Folder of what is written."""
    begin: Literal["mean", "take"]
    """What takes begin with, of training data alone: the mean pose, or 4 frames of their speaker's first training take.

    A test take's own start must not be given to a method.
    """
    check: PathText | None
    """Folder of motion files to look through; with ``ckpt``, the training lists of that run too."""
    segments: PathText | None
    """Csv of segments to cut: file_name,start_seconds,end_seconds,duration_seconds."""
    motions: PathText | None
    """Folder of any method's motion files, for ``segments``."""
    audio: PathText | None
    """Folder of the recordings, for ``segments``."""

    @model_validator(mode="after")
    def one_at_a_time(self) -> "GeneaSettings":
        """A folder is written, looked through, or cut; segments are cut from motion and sound."""
        if self.check is not None and self.segments is not None:
            raise ValueError("check and segments: give one of them.")
        for key in ("motions", "audio"):
            if (getattr(self, key) is None) != (self.segments is None):
                raise ValueError(f"{key} and segments go together, as in segments=FILE.csv motions=DIR audio=DIR.")
        return self


class StudySettings(Command):
    """``scripts/study.py``."""

    methods: Annotated[list[PathText], Field(min_length=1)] | None
    """Folders of motion files of the methods that are compared; null to go on with the study in ``out``."""
    truth: PathText | None
    """Folder of the true motion files, which are compared as a method is."""
    audio: PathText | None
    """Folder of the recordings, for ``methods``."""
    segments: PathText | None
    """Csv of segments: file_name,start_seconds,end_seconds,duration_seconds; null for whole takes, cut in pieces."""
    seconds: Annotated[float, between(0.2, 120.0)]
    """Seconds of a piece of a take, without ``segments``."""
    clips: Annotated[int, between(1, 100_000)] | None
    """At most so many segments are shown, drawn by the seed; null for all."""
    samples: Samples
    """Samples that a method may have of each take, as TAKE_sample_1.npz; one of them is drawn for each segment."""
    out: PathText
    """Folder of the study: its plan, videos and answers."""
    questions: Annotated[
        list[Literal["realism", "speech", "mismatch", "meaning"]], Field(min_length=1), AfterValidator(distinct)
    ]
    """What is asked; realism (silent) and mismatch (own speech or another's) are the studies of GENEA's leaderboard."""
    pages: Annotated[int, between(1, 1000)]
    """Comparisons of a rater, of all questions together."""
    checks: Annotated[int, between(0, 100)]
    """Attention checks of a rater, between them."""
    host: Text
    """Address that is listened on: this machine alone, or 0.0.0.0 for all who reach it; the page has no password."""
    port: Annotated[int, between(0, 65535)]
    """Port of the page; 0 for any that is free."""
    serve: bool
    """Whether the page is served; else the study is made and the command ends."""
    report: PathText | None
    """Study to report on: its folder; votes that HEMVIP2 exports (json), or the leaderboard releases (csv)."""
    export: PathText | None
    """Folder of a study to write for HEMVIP2."""
    raters: Annotated[int, between(1, 100_000)]
    """Lists of comparisons that ``export`` writes, one for each rater."""
    resamples: Annotated[int, between(100, 1_000_000)]
    """Of the raters, for the intervals of ``report``."""

    @model_validator(mode="after")
    def one_at_a_time(self) -> "StudySettings":
        """A study is made and served, reported on, or exported."""
        given = [key for key in ("methods", "report", "export") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: give one of them.")
        if (self.methods is None) != (self.audio is None):
            raise ValueError("methods and audio go together, as in methods=[A,B] audio=DIR.")
        for key in ("truth", "segments"):
            if getattr(self, key) is not None and self.methods is None:
                raise ValueError(f"{key} is for a new study, as in methods=[A,B] audio=DIR {key}=...")
        return self


MOST = 60
"""Frames of a window of 64 that follow its seed."""


def whole_steps(hop: int) -> int:
    """Frames that are whole code steps of 4.

    Raises:
        ValueError: They are not.
    """
    if hop % 4:
        raise ValueError(f"{hop} frames are no whole code steps; give a multiple of 4, as in hop=12.")
    return hop


def no_room(hop: int, lookahead: int) -> str | None:
    """What is wrong where a hop and a look-ahead do not fit into a window; none where they do."""
    held = 4 * lookahead
    if hop + held <= MOST:
        return None
    return (
        f"hop={hop}: with the {held} frames of lookahead={lookahead} it is more than the {MOST} of a window; give "
        "less of one."
    )


class LiveSettings(Command):
    """``scripts/live.py``."""

    ckpt: PathText | None
    """Folder of the run, or a published model: its folder, or org/name of the hub; null for runs_dir/name."""
    revision: Text | None
    """Branch, tag or commit of a model of the hub; null for its main branch."""
    audio: PathText | None
    """A recording."""
    transcript: PathText | None
    """Its transcript; null for none."""
    target: Annotated[str, Field(pattern=TARGET)]
    """Where it is sent by VMC: the machine and the port of what listens."""
    speaker: int | None
    """A speaker number of the training corpus; null for the first."""
    emotion: Text | None
    """Emotion label, where the run reads labels."""
    beta: Beta
    """Threshold of the semantic score."""
    decoding: WantedDecoding
    generation: Literal["auto", "default", "release"]
    """The rollout; auto is what the networks were trained for."""
    lookahead: Annotated[int, between(0, 1000)]
    """Code steps that must follow a step before its frames are given; 30 gives the motion of a whole recording."""
    hop: Annotated[int, between(4, MOST), AfterValidator(whole_steps)] | None
    """Frames between windows, a multiple of 4: frames come (hop + 4 lookahead)/30 s after their sound; null for 60."""
    play: Literal["auto"] | bool
    """Whether the sound is played in step with the motion; auto is where sounddevice is installed."""
    face: Literal["arkit", "vrm", "none"]
    """Names of the face's weights: ARKit's 51 (PerfectSync), five vowels and the lids of VRM, or no face."""
    arkit_matrix: PathText | None
    """File of a matrix from ARKit's weights to expressions; null for a fit to SMPL-X's face, or jaw and gaze alone."""
    arkit_order: Literal["alphabetical", "apple"]
    """Of the weights in ``arkit_matrix``."""
    jaw: bool
    """Whether the jaw is sent as a bone too; the mouth opens by the face."""
    hips_height: Annotated[float, Field(gt=0.0, le=100.0)] | None
    """Metres from floor to hips of the figure that receives, so that its feet stand; null for the body's own."""
    bundle: bool
    """Whether messages are bundled; some receivers take no bundles."""

    @model_validator(mode="after")
    def hops_fit(self) -> "LiveSettings":
        """Hop and look-ahead fit into a window."""
        if self.hop is not None and (wrong := no_room(self.hop, self.lookahead)):
            raise ValueError(wrong)
        return self


class StudioSettings(Command):
    """``scripts/studio.py``."""

    ckpt: PathText | None
    """Folder of the run, or a published model: its folder, or org/name of the hub; null for runs_dir/name."""
    revision: Text | None
    """Branch, tag or commit of a model of the hub; null for its main branch."""
    beside: PathText | None
    """Another run, whose motion may stand beside that of the first; null for none."""
    whisper: PathText
    """The Whisper model that hears words."""
    language: Text | None
    """Language of the speech; null to detect it."""
    longest: Annotated[float, between(1.0, 36_000.0)]
    """Seconds of a recording that is taken; longer ones are refused."""
    port: Annotated[int, between(0, 65535)]
    """Port of the page, on this machine alone; 0 for any that is free."""


COMMANDS: dict[str, type[Command]] = {
    "train": TrainSettings, "eval": EvalSettings, "generate": GenerateSettings, "prepare": PrepareSettings,
    "genea": GeneaSettings, "live": LiveSettings, "study": StudySettings, "studio": StudioSettings,
}  # fmt: skip
"""Name of the configuration in ``configs/`` -> what it takes."""
