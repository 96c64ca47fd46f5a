"""Training steps at the paper's sizes: time, FLOP/s, memory and kernel launches, against the literal plan.

``python -m benchmarks.training PHASE PLAN BATCH`` prints the peak memory of a process that does nothing else.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import GIB, PAPER, ROOT, alternate, default_memory, device, record
from benchmarks.literal import PassByPass
from semtalk.body import load_body
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose
from semtalk.tasks import dry_run
from semtalk.tasks.phases import build_network
from semtalk.tasks.speed import apply_speed, keep_freed_memory, phase_precision, resolve_plan

SPEAKERS = 25
REPEATS = 5
PLAIN = ("speed=plain", "trainer.precision=32-true")
PLANS = {"fast": (), "lean": ("speed.recompute=true",), "plain": PLAIN, "literal": PLAIN}
"""Name -> what is set for it; the literal plan also runs pass by pass."""


class Step:
    """One optimiser step after another on random windows."""

    def __init__(self, phase: str, name: str, batch: int, compiled: bool = True, seed: int = 0, sizes=PAPER):
        """Set up a phase.

        Args:
            phase: As in training.
            name: One of :data:`PLANS`.
            batch: Windows.
            compiled: Whether the fast plan may compile.
            seed: Of weights.
            sizes: Overrides that choose the model.
        """
        torch.manual_seed(seed)
        settings = compose("train", *sizes, *PLANS[name], *(() if compiled else ("speed.compile=false",)))
        trainer, speed = resolve_plan(settings.trainer, settings.speed)
        settings = settings.model_copy(update={"speed": speed})
        self.task = dry_run.fresh_task(phase, settings, SPEAKERS, load_body(None), progress=0.5).to(device()).train()
        apply_speed(self.task.network, speed)
        windows = dry_run.random_batch(settings.features, None, batch)
        self.batch = {key: value.to(device()) for key, value in windows.items()}
        self.precision = phase_precision(trainer.precision, self.task.mixed)
        self.optimiser = self.task.configure_optimizers()
        if name == "literal" and phase in ("base", "sparse"):
            base = self.task._base.on(device()) if phase == "sparse" else None
            if base is not None:
                apply_speed(base, speed)
            self.task.network = PassByPass(self.task.network, base).train()

    def gradients(self) -> torch.Tensor:
        """Forward and backward; returns the loss."""
        self.optimiser.zero_grad(set_to_none=True)
        mixed = self.precision == "bf16-mixed"
        with torch.autocast(device().type, torch.bfloat16, enabled=mixed):
            loss = self.task.total(self.task.losses(self.batch))
        loss.backward()
        return loss.detach()

    def __call__(self) -> torch.Tensor:
        """Take a step; returns the loss before it."""
        loss = self.gradients()
        self.task.clip_gradients()
        self.optimiser.step()
        return loss

    def flops(self) -> int:
        """Of forward and backward."""
        with FlopCounterMode(display=False) as counter:
            self.gradients()
        return counter.get_total_flops()

    def launches(self) -> int:
        """Operations of forward and backward that are no mere views: kernels of an eager GPU."""
        with Launches() as counter:
            self.gradients()
        return counter.count


class Launches(TorchDispatchMode):
    """Counts operations that compute something."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        view = any(value.alias_info is not None and not value.alias_info.is_write for value in function._schema.returns)
        self.count += not view and "empty" not in function.name()
        return function(*arguments, **(keywords or {}))


def peak_memory(phase: str, name: str, batch: int) -> float:
    """GiB that a fresh process takes at most while it trains: of the GPU where there is one."""
    command = [sys.executable, "-m", "benchmarks.training", phase, name, str(batch)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _print_peak(phase: str, name: str, batch: int) -> None:
    if name != "literal":
        keep_freed_memory()
    step = Step(phase, name, batch)
    for _ in range(3):
        step()
    if device().type == "cuda":
        print(torch.cuda.max_memory_allocated() / GIB)
        return
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / GIB)


def batch_size() -> int:
    """The paper's on a GPU, what a small CPU bears otherwise."""
    return 64 if device().type == "cuda" else 8


def _compare(phase: str, target: float) -> None:
    batch = batch_size()
    fast, literal = Step(phase, "fast", batch), Step(phase, "literal", batch)
    eager = fast if device().type == "cpu" else Step(phase, "fast", batch, compiled=False)
    count = {"fast": eager, "literal": literal}
    flops = {name: step.flops() for name, step in count.items()}
    launches = {name: step.launches() for name, step in count.items()}
    warm = 3 if device().type == "cuda" else 1
    times = alternate({"fast": fast, "literal": literal}, REPEATS, warm)
    plans = {"fast": fast, "literal": literal}
    rates = {name: dry_run.matrix_rate(device(), plan.precision) for name, plan in plans.items()}
    precision = fast.precision
    del fast, literal, eager, count
    if device().type == "cuda":
        torch.cuda.empty_cache()
    peaks = {name: peak_memory(phase, name, batch) for name in times}
    record(
        f"train_{phase}",
        {
            "batch": batch, "precision": precision,
            "seconds": times["fast"], "seconds, literal": times["literal"],
            "ratio": times["literal"] / times["fast"], "ratio wanted": target,
            "GFLOP": flops["fast"] / 1e9, "GFLOP, literal": flops["literal"] / 1e9,
            "TFLOP/s": flops["fast"] / times["fast"] / 1e12,
            "TFLOP/s, literal": flops["literal"] / times["literal"] / 1e12,
            "matrix TFLOP/s": rates["fast"] / 1e12, "matrix TFLOP/s, float32": rates["literal"] / 1e12,
            "share of the matrix rate": flops["fast"] / times["fast"] / rates["fast"],
            "share of the matrix rate, literal": flops["literal"] / times["literal"] / rates["literal"],
            "operations": launches["fast"], "operations, literal": launches["literal"],
            "peak GiB": peaks["fast"], "peak GiB, literal": peaks["literal"],
        },
    )  # fmt: skip


def train_base() -> None:
    """A step of the base network."""
    _compare("base", 2.5 if device().type == "cpu" else 5.0)


def train_sparse() -> None:
    """A step of the sparse network."""
    _compare("sparse", 3.0 if device().type == "cpu" else 5.0)


def train_rvqvae() -> None:
    """A step of all four RVQ-VAEs, against the literal plan's step of the hands alone."""
    batch = 64
    steps = {f"fast {part}": Step(f"rvqvae_{part}", "fast", batch) for part in PARTS}
    steps["literal"] = Step("rvqvae_hands", "literal", batch)
    flops = {name: step.flops() for name, step in steps.items()} if device().type == "cpu" else {}
    times = alternate(steps, 2 * REPEATS, 3)
    four = sum(value for name, value in times.items() if name != "literal")
    peaks = {name: peak_memory("rvqvae_hands", name, batch) for name in ("fast", "literal")}
    record(
        "train_rvqvae",
        {
            "batch": batch, "precision": steps["fast hands"].precision,
            **{f"seconds, {name}": value for name, value in times.items()}, "seconds, all four parts": four,
            "all four parts / hands of the literal plan": four / times["literal"], "wanted at most": 3.0,
            **{f"GFLOP, {name}": value / 1e9 for name, value in flops.items()},
            "peak GiB, hands": peaks["fast"], "peak GiB, hands, literal": peaks["literal"],
        },
    )  # fmt: skip


def memory() -> None:
    """Peak memory of a base step over the batch."""
    if device().type == "cpu":
        sizes = {"fast": (8, 32, 64), "lean": (8, 32, 64), "literal": (8, 32)}
    else:
        sizes = dict.fromkeys(("fast", "lean", "literal"), (8, 32, 64, 256))
    peaks = {name: {batch: peak_memory("base", name, batch) for batch in batches} for name, batches in sizes.items()}
    numbers: dict[str, float] = {}
    for name, values in peaks.items():
        numbers |= {f"GiB, {name}, batch {batch}": value for batch, value in values.items()}
        low, high = min(values), max(values)
        numbers[f"GiB a window, {name}"] = (values[high] - values[low]) / (high - low)
    for name in ("fast", "lean"):
        for batch in sizes["literal"]:
            numbers[f"{name} / literal, batch {batch}"] = peaks[name][batch] / peaks["literal"][batch]
    network = build_network("base", compose("train", *PAPER), SPEAKERS)
    numbers["GiB of weights, gradients and Adam"] = 16 * sum(p.numel() for p in network.parameters()) / GIB
    record("memory", numbers)


def curves(steps: int = 300) -> None:
    """Losses of the base network over 300 steps under both plans: paper's sizes on a GPU, small ones on a CPU."""
    sizes = PAPER if device().type == "cuda" else ("model=small", "features=paper", "recipe=paper")
    losses = {}
    for name in ("fast", "literal"):
        step = Step("base", name, 16, sizes=sizes)
        values = []
        for index in range(steps):
            torch.manual_seed(index)
            values.append(step().item())
        losses[name] = values
    pairs = list(zip(losses["fast"], losses["literal"], strict=True))
    record(
        "curves",
        {
            "steps": steps,
            "model": sizes[0],
            **{f"{name}, step {i + 1}": values[i] for i in (0, 49, 149, steps - 1) for name, values in losses.items()},
            "largest difference of the mean of 20 steps": max(
                abs(sum(a - b for a, b in pairs[i : i + 20])) / sum(b for _, b in pairs[i : i + 20])
                for i in range(0, steps, 20)
            ),
        },
    )


def batches() -> None:
    """Seconds of a base step over the batch."""
    sizes = (2, 8, 32) if device().type == "cpu" else (8, 64, 256)
    times = {size: alternate({"fast": Step("base", "fast", size)}, 3, 3)["fast"] for size in sizes}
    numbers = {f"seconds, batch {size}": value for size, value in times.items()}
    numbers |= {f"milliseconds a window, batch {size}": 1000 * value / size for size, value in times.items()}
    lean = alternate({"fast": Step("base", "fast", sizes[1]), "fast, lean": Step("base", "lean", sizes[1])}, 3, 2)
    record("batches", numbers | {f"trainer.recompute / without, batch {sizes[1]}": lean["fast, lean"] / lean["fast"]})


KINDS = {
    "matrix products and convolutions": ("mm", "convolution", "conv2d", "matmul"),
    "attention and softmax": ("softmax", "scaled_dot"),
    "random numbers and dropout": ("random", "bernoulli", "dropout", "uniform"),
    "norms": ("norm",),
    "optimiser": ("adam", "addcdiv", "addcmul_", "lerp", "_foreach"),
    "copies and casts": ("copy", "cat", "stack", "index", "fill", "zero"),
}
"""What an operation is counted as, by its name; the first that fits."""


def profile() -> None:
    """Where the time of a base step goes under both plans."""
    from torch.autograd import profiler

    numbers: dict[str, float] = {}
    for name in ("literal", "fast"):
        keep_freed_memory() if name == "fast" else default_memory()
        step = Step("base", name, batch_size())
        for _ in range(3):
            step()
        with profiler.profile(use_device="cuda" if device().type == "cuda" else None) as profiled:
            step()
        times = dict.fromkeys([*KINDS, "everything else"], 0.0)
        for event in profiled.key_averages():
            spent = event.self_device_time_total if device().type == "cuda" else event.self_cpu_time_total
            fits = (kind for kind, words in KINDS.items() if any(word in event.key.lower() for word in words))
            times[next(fits, "everything else")] += spent / 1e6
        numbers |= {f"seconds, {name}: {kind}": value for kind, value in times.items()}
    record("profile", numbers)


if __name__ == "__main__":
    _print_peak(sys.argv[1], sys.argv[2], int(sys.argv[3]))
