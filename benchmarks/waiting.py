"""Whole trainings on a CPU, alone and beside another program that computes: how threads wait, before and now.

The first plan is GNU's OpenMP as it comes, the second is what the commands choose; both are run in turns, each a
process from start to end, on all cores of the machine. Seconds of the CPU tell what is wasted, also where the machine
has other work.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.common import ROOT, record
from semtalk.threads import SAYS, SPINS

PLANS = {"before": {SPINS: "300000"}, "now": {}}
"""Name -> environment; the first is the library's own default."""
PHASES = {"translation": 66, "base": 20}
"""Phase -> steps, at the small size that is the default."""
REPEATS = 3
NEIGHBOUR = """
import torch
layers = torch.nn.Sequential(*(torch.nn.Conv1d(64, 64, 3, padding=1) for _ in range(8)))
x = torch.randn(32, 64, 64)
while True:
    layers(x).square().mean().backward()
"""
"""Another program: small layers forward and back without end, with OpenMP as it comes."""


def surroundings(plan: str) -> dict[str, str]:
    """Environment of a process under a plan, with all cores for its team."""
    left = {name: value for name, value in os.environ.items() if name not in (*SAYS, "OMP_NUM_THREADS")}
    return left | PLANS[plan]


@contextlib.contextmanager
def neighbour(present: bool) -> Iterator[None]:
    """Another program beside what is measured, where it is wanted."""
    if not present:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", NEIGHBOUR], env=surroundings("before")) as process:
        try:
            time.sleep(5)
            yield
        finally:
            process.kill()


def measured(command: list[str], plan: str) -> tuple[float, float]:
    """Seconds on the clock and of the CPU that a program takes from start to end."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, cwd=ROOT, env=surroundings(plan), check=True, capture_output=True)
    took, after = time.perf_counter() - began, os.times()
    spent = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return took, spent


def training(folder: str, phase: str, steps: int) -> list[str]:
    """A command that trains one phase for some steps, after those before it."""
    sizes = [
        f"recipe.{name}.steps={1 if name != phase else steps}" for name in ("rvqvae", "translation", "fgd", "base")
    ]
    return [
        sys.executable, "train.py", f"stage.phases=[{phase}]", f"runs_dir={folder}/runs", f"data_dir={folder}/data",
        "trainer=cpu", "recipe.validations=1", "recipe.rollout_seconds=0", *sizes,
    ]  # fmt: skip


def waiting() -> None:
    """Training of translation and base, whole process, alone and beside another program, before and now."""
    numbers: dict[str, float] = {"load before (1 minute)": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        for phase in ("rvqvae", *PHASES):
            measured(training(folder, phase, 1), "now")
        for phase, steps in PHASES.items():
            for beside in (False, True):
                times: dict[str, list[tuple[float, float]]] = {plan: [] for plan in PLANS}
                with neighbour(beside):
                    for plan in [*PLANS] * REPEATS:
                        times[plan].append(measured(training(folder, phase, steps), plan))
                        print(f"{phase}, {plan}, beside another: {beside}", *times[plan][-1], file=sys.stderr)
                where = "beside another" if beside else "alone"
                for plan, taken in times.items():
                    wall, spent = (statistics.median(values) for values in zip(*taken, strict=True))
                    name = f"{phase}, {steps} steps, {where}, {plan}"
                    numbers |= {f"seconds, {name}": wall, f"seconds of the CPU, {name}": spent}
    record("waiting", numbers)
