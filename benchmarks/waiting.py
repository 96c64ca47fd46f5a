"""Training steps on a CPU, alone and beside another program that computes: how threads wait, before and now.

The first plan is GNU's OpenMP as it comes, the second is what the commands choose, both on all cores of the machine;
the third is the second on one thread. Each measurement is a process from its start to its end, and the plans take
turns. Seconds of the CPU tell what is wasted, also where the machine has other work.

``python -m benchmarks.waiting PHASE STEPS`` trains and does nothing else.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.common import ROOT, record
from semtalk.threads import SPINS, wait_briefly

STEPS = {"translation": 66, "base": 20}
"""Phase -> steps at the small size, batches of 16 windows."""
REPEATS = 3
NEIGHBOUR = """
import torch
layers = torch.nn.Sequential(*(torch.nn.Conv1d(64, 64, 3, padding=1) for _ in range(8)))
x = torch.randn(32, 64, 64)
while True:
    layers(x).square().mean().backward()
"""
"""Another program: small layers forward and back without end, with OpenMP as it comes."""


def plans() -> dict[str, dict[str, str]]:
    """Name -> environment of a process."""
    unset = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", SPINS)
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    now = dict(clean)
    wait_briefly(now)
    return {"before": clean, "now": now, "now, one thread": now | {"OMP_NUM_THREADS": "1"}}


@contextlib.contextmanager
def neighbour(present: bool) -> Iterator[None]:
    """Another program beside what is measured, where it is wanted."""
    if not present:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", NEIGHBOUR], env=plans()["before"]) as process:
        try:
            time.sleep(5)
            yield
        finally:
            process.kill()


def measured(phase: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds on the clock and of the CPU that the steps of a phase take, from the start of the process to its end."""
    command = [sys.executable, "-m", "benchmarks.waiting", phase, str(STEPS[phase])]
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    took, after = time.perf_counter() - began, os.times()
    return took, after.children_user + after.children_system - before.children_user - before.children_system


def waiting() -> None:
    """Steps of translation and base, whole process, alone and beside another program, before and now."""
    numbers: dict[str, float] = {"load of the machine when it began": os.getloadavg()[0]}
    for phase, steps in STEPS.items():
        for beside in (False, True):
            times: dict[str, list[tuple[float, float]]] = {plan: [] for plan in plans()}
            with neighbour(beside):
                for plan, environment in [*plans().items()] * REPEATS:
                    times[plan].append(measured(phase, environment))
            for plan, taken in times.items():
                wall, spent = (statistics.median(values) for values in zip(*taken, strict=True))
                name = f"{phase}, {steps} steps, {'beside another' if beside else 'alone'}, {plan}"
                numbers |= {f"seconds, {name}": wall, f"seconds of the CPU, {name}": spent}
    record("waiting", numbers)


def _train(phase: str, steps: int) -> None:
    from benchmarks.training import Step

    step = Step(phase, "fast", 16, sizes=("model=small", f"recipe.{phase}.schedule=constant"))
    for _ in range(steps):
        step()


if __name__ == "__main__":
    _train(sys.argv[1], int(sys.argv[2]))
