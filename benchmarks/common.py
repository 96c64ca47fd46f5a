"""What the benchmarks share: the machine, alternating repetitions, and the files of results."""

import contextlib
import ctypes
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from semtalk.environment import processor
from semtalk.errors import SemTalkError
from semtalk.tasks.speed import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, keep_freed_memory, trainer_device

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAPER = (
    "model=paper", "features=paper", "recipe=paper", "model.network.residual_layers=3", "model.network.deaf_pass=body",
)  # fmt: skip
"""Overrides that give the paper's sizes, with code heads as deep as those of the authors' release."""
GIB = 2**30
console = Console()


def device() -> torch.device:
    """A GPU where there is one."""
    return trainer_device("auto")


def machine() -> dict[str, str | int]:
    """What was measured on."""
    facts = {
        "cpu": processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    if device().type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return facts | {"python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}


def default_memory() -> None:
    """Let the C library treat freed memory as it does by itself once it has seen large blocks."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(M_TRIM_THRESHOLD, 64 << 20)


@contextlib.contextmanager
def in_a_sentence() -> Iterator[None]:
    """Around what reads a user's ``KEY=VALUE``: what is to be mended is one sentence, and exit code 1."""
    try:
        yield
    except (SemTalkError, HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")


def seconds(function: Callable) -> float:
    """Of one call, its work on the GPU included."""
    began = time.perf_counter()
    function()
    if device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def alternate(plans: Mapping[str, Callable], repeats: int, warm: int = 1, keep: bool = True) -> dict[str, float]:
    """Median seconds of each plan; they take turns. With ``keep``, plans named ``fast`` keep freed memory."""
    times: dict[str, list[float]] = {name: [] for name in plans}
    for turn in range(warm + repeats):
        for name, function in plans.items():
            keep_freed_memory() if keep and name.startswith("fast") else default_memory()
            took = seconds(function)
            if turn >= warm:
                times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def show(title: str, rows: Mapping[str, object]) -> None:
    """Print numbers by name."""
    table = Table("", "", title=title, show_header=False)
    for name, value in rows.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    console.print(table)


def without_nan(value):
    """The same numbers, lists and mappings with None for what is not a number, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def append(path: Path, numbers: Mapping[str, object]) -> None:
    """Append numbers, with the machine, to a file of results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    runs.append({"machine": machine(), **without_nan(numbers)})
    path.write_text(json.dumps(runs, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def record(name: str, numbers: Mapping[str, object]) -> None:
    """Print numbers and append them, with the machine, to the results of a benchmark."""
    show(name, numbers)
    append(RESULTS / f"{name}.json", numbers)
