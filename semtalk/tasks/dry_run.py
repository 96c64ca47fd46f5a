"""What a training would do, without doing it: sizes of the data, cost of a step, time and memory, sources of inputs."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Column, Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from semtalk.body import BodyModel
from semtalk.catalogue import BEAT2_WINDOWS
from semtalk.data.recording import SPLITS, Corpus
from semtalk.errors import SemTalkError
from semtalk.features.extract import FRAME_SLOTS, SLOTS
from semtalk.features.needs import Need, needs_table
from semtalk.motion.parts import foot_contact, rotation_from_poses
from semtalk.motion.skeleton import FPS, WINDOW
from semtalk.settings.commands import TrainSettings
from semtalk.settings.inputs import Features
from semtalk.tasks.build import new_task
from semtalk.tasks.phases import PHASES, build_network
from semtalk.tasks.speed import resolve_plan, trainer_device
from semtalk.tasks.stage import StageTask

A100 = 312e12
"""Peak of an A100 in bf16, FLOP/s."""
UTILISATION = 0.3
"""Share of a device's matrix rate that training is taken to reach."""
SAMPLES = 2
"""Windows that a step is measured with."""
GIB = 2**30


def random_batch(
    features: Features, vocabulary: int | None, windows: int = SAMPLES, length: int = WINDOW
) -> dict[str, Tensor]:
    """A batch of :class:`WindowDataset` of so many windows of so many frames with random content."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return 0.3 * torch.randn(windows, *shape, generator=generator)

    batch = {slot: rand(*([length] if slot in FRAME_SLOTS else []), features.slots[slot].dim) for slot in SLOTS}
    if vocabulary:
        batch["words"] = torch.randint(0, vocabulary, (windows, length), generator=generator)
    feet = rand(length, 4, 3)
    return batch | {
        "rotation": rotation_from_poses(rand(length, 55, 3)), "expressions": rand(length, 100), "root": rand(length, 3),
        "trans": rand(length, 3), "contact": foot_contact(feet), "betas": rand(300),
        "speaker": torch.zeros(windows, dtype=torch.long), "semantic": rand(length // 4).abs(),
    }  # fmt: skip


def fresh_task(
    phase: str, settings: TrainSettings, speakers: int, body: BodyModel, progress: float | None = None
) -> StageTask:
    """The task of a phase with untrained networks, and where there is no trainer, at a share of the training."""
    needs = PHASES[phase].needs
    network, *needed = (build_network(name, settings, speakers) for name in (phase, *needs))
    return new_task(phase, settings, network, dict(zip(needs, needed, strict=True)), body=body, progress=progress)


def step_cost(phase: str, settings: TrainSettings, speakers: int, body: BodyModel) -> dict[str, float]:
    """Parameters of a phase, and FLOPs and bytes of activations of one window in a training step, measured."""
    task = fresh_task(phase, settings, speakers, body).eval()
    vocabulary = settings.model.sparse.vocabulary if PHASES[phase].speech else None
    batch = random_batch(settings.features, vocabulary, length=getattr(task.network, "window", WINDOW))
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in task.network.parameters()}
    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            total = task.total(task.losses(batch))
        total.backward()
    activations = sum(size for place, size in kept.items() if place not in weights)
    return {
        "parameters": sum(p.numel() for p in task.network.parameters()),
        "flops": counter.get_total_flops() / SAMPLES,
        "bytes": activations / SAMPLES,
    }


@dataclass(frozen=True)
class Cost:
    """What a phase costs.

    Attributes:
        parameters: Of its network.
        batch: Windows of a step.
        per_epoch: Steps of an epoch, or none where the corpus is not known.
        steps: Of the training, or none.
        flops: Of a step.
        memory: Of weights, gradients, Adam's moments and activations in float32, in bytes.
    """

    parameters: int
    batch: int
    per_epoch: int | None
    steps: int | None
    flops: float
    memory: float

    def hours(self, rate: float) -> float:
        """Of the training on a device of so many FLOP/s, :data:`UTILISATION` of which it is taken to reach."""
        return (self.steps or 0) * self.flops / (UTILISATION * rate) / 3600


def phase_cost(phase: str, settings: TrainSettings, windows: int | None, speakers: int, body: BodyModel) -> Cost:
    """What a phase costs with so many windows for training."""
    own = getattr(settings.recipe, PHASES[phase].recipe)
    cost = step_cost(phase, settings, speakers, body)
    batch = own.batch_size if windows is None else min(own.batch_size, max(windows, 1))
    per_epoch = None if windows is None else max(1, windows // batch)
    steps = own.steps if not own.epochs else per_epoch and own.epochs * per_epoch
    memory = 16 * cost["parameters"] + cost["bytes"] * batch
    return Cost(cost["parameters"], batch, per_epoch, steps, cost["flops"] * batch, memory)


LONG = 0.25
"""Seconds after which products need not be larger to be measured: a CPU can be a hundred times slower in bf16."""


def matrix_rate(device: torch.device, precision: str) -> float:
    """Measured FLOP/s of a square matrix product on a device: of a smaller one where that alone takes long."""
    kind = torch.bfloat16 if precision.startswith("bf16") else torch.float32
    largest = 8192 if device.type == "cuda" else 1536
    for size in (largest // 8, largest // 4, largest // 2, largest):
        a = torch.randn(size, size, device=device, dtype=kind)
        for repeats in (2, 8):  # the first round warms up
            began = time.perf_counter()
            for _ in range(repeats):
                b = a @ a
            b.sum().item()
        took = time.perf_counter() - began
        if took > LONG:
            break
    return 8 * 2 * size**3 / took


def count_windows(corpus: Corpus, stride: int) -> dict[str, dict[str, float]]:
    """For each split: takes, hours and windows by the headers of the sound files, and takes without one."""
    counts = {split: {"takes": 0, "hours": 0.0, "windows": 0, "missing": 0} for split in SPLITS}
    for entry in track(corpus.entries(), description="Reading headers", transient=True):
        seconds, cell = corpus.seconds(entry), counts[entry.split]
        if seconds is None:
            cell["missing"] += 1
            continue
        cell["takes"] += 1
        cell["hours"] += seconds / 3600
        cell["windows"] += max(0, (int(seconds * FPS) - WINDOW) // stride + 1)
    return counts


def expected_windows(settings: TrainSettings) -> int | None:
    """About how many windows an epoch has of a corpus that is not here; none where nothing is known of it."""
    data, known = settings.data, settings.recipe.stride == 20
    return BEAT2_WINDOWS.get(str(data.speakers)) if data.reader == "beat2" and known else None


def hours(took: float | None) -> str:
    """Hours without an exponent, or a question mark where they are not known."""
    if took is None:
        return "?"
    return "<0.01" if took < 0.005 else f"{took:.2f}" if took < 10 else f"{took:,.0f}"


def print_plan(
    settings: TrainSettings, phases: list[str], corpus: Corpus | SemTalkError, body: BodyModel, needs: list[Need]
) -> None:
    """Print takes and windows, what each phase costs, and what is needed: what is here, and what brings the rest.

    Args:
        settings: Of the training.
        phases: That it would go through.
        corpus: The reader, or why there is none.
        body: For position losses.
        needs: Of the settings.
    """
    console, recipe = Console(), settings.recipe
    windows, speakers = expected_windows(settings), 25
    if isinstance(corpus, SemTalkError):
        about = f"about {windows:,} windows for training are expected" if windows else "its windows are not known"
        console.print(escape(f"{corpus} Without the corpus, {about}."))
    else:
        counts = count_windows(corpus, recipe.stride)
        speakers = len({entry.speaker for entry in corpus.entries()})
        table = Table("split", "takes", "hours", f"windows (stride {recipe.stride})", "without sound", title="Data")
        for split, cell in counts.items():
            numbers = (cell["takes"], f"{cell['hours']:.2f}", cell["windows"], cell["missing"])
            table.add_row(split, *map(str, numbers))
        console.print(table)
        windows = counts["train"]["windows"]
    here = settings.trainer.model_copy(update={"accelerator": "auto"})
    rate = matrix_rate(trainer_device("auto"), resolve_plan(here, settings.speed)[0].precision)
    names = (
        "weights", "batch", "steps\nan epoch", "steps\nin all", "GFLOP\na step", "GiB", "hours\nhere", "hours\nA100",
    )  # fmt: skip
    columns = [Column("phase", no_wrap=True), *(Column(name, justify="right", no_wrap=True) for name in names)]
    title = f"Training (this device: {rate / 1e12:.2g} TFLOP/s)"
    table = Table(*columns, title=title, box=SIMPLE_HEAD, padding=0)  # fits on 80 columns
    for phase in track(phases, description="Measuring a step of each phase", transient=True):
        cost = phase_cost(phase, settings, windows, speakers, body)
        took = [hours(cost.hours(speed) if cost.steps else None) for speed in (rate, A100)]
        table.add_row(
            phase, f"{cost.parameters / 1e6:.2f} M", str(cost.batch), str(cost.per_epoch or "?"),
            str(cost.steps or f"{getattr(recipe, PHASES[phase].recipe).epochs} epochs"), f"{cost.flops / 1e9:.0f}",
            f"{cost.memory / GIB:.2f}", *took,
        )  # fmt: skip
    console.print(table)
    console.print(
        f"GFLOP and GiB are measured on {SAMPLES} windows in float32 and scaled to the batch; hours are at "
        f"{UTILISATION:.0%} of the device's matrix rate."
    )
    print(f"\n{needs_table(needs)}\n")
    run = Path(settings.runs_dir) / settings.run_name
    console.print(escape(f"Nothing was trained (dry_run=true); the run would be {run}."))
