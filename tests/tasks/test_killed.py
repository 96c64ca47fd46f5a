"""A run that is killed again and again ends as one that nobody touched."""

import csv
import os
import random
import subprocess
import sys

import pytest
import torch
from conftest import ROOT
from killer import KINDS

from semtalk.settings.commands import CHAIN

KILLS = 24
"""Of which each kind has its share; the rest is chance, from a seed that is printed."""


def train(*arguments: str, kill: tuple[str, int] | None = None) -> int:
    """Exit status of all stages in a process of its own."""
    script = ["train.py"] if kill is None else ["tests/tasks/killer.py", kill[0], str(kill[1])]
    plan = ["stage=all", "experiment=smoke", "trainer=cpu", "trainer.precision=32-true", "+trainer.log_every_n_steps=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *script, *plan, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode


def differences(run, other) -> list[str]:
    """Where two runs are not equal bit by bit."""
    found = []
    for phase in CHAIN:
        for which in ("best", "last"):
            one, two = (torch.load(one / phase / f"{which}.ckpt", weights_only=True) for one in (run, other))
            found += [
                f"{phase} {which} {name}"
                for name, value in one["state_dict"].items()
                if not torch.equal(value, two["state_dict"][name])
            ]
            if one["global_step"] != two["global_step"] or one["semtalk"]["finished"] != (which == "best"):
                found.append(f"{phase} {which} is of step {one['global_step']}, not {two['global_step']}")
        rows, true = (list(csv.DictReader((one / phase / "metrics.csv").open())) for one in (run, other))
        if rows != true:
            found.append(f"{phase}: {len(rows)} rows, not {len(true)}, or others")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", [int(os.environ.get("SEMTALK_KILL_SEED", "0"))])
def test_a_run_that_is_killed_at_any_moment_ends_as_if_it_had_not_been(tmp_path, seed):
    chance = random.Random(seed)
    places = [f"runs_dir={tmp_path}/runs", f"data_dir={tmp_path}/data", "checkpoint_minutes=1e-9"]
    assert train(*places, "name=whole") == 0
    kills, number = [], 0
    while len(kills) < KILLS:
        number += 1
        name = f"name=killed{number}"
        while True:
            kind = KINDS[len(kills) % len(KINDS)]
            moment = (kind, chance.randint(40, 160) if kind == "time" else chance.randint(1, 9))
            ended = train(*places, name, "resume=true", kill=moment if len(kills) < KILLS else None)
            if ended == 0:
                break
            assert ended == -9, f"after {kills}, {moment} ended with {ended}"
            kills.append(moment)
            print(number, *moment, flush=True)
        assert not differences(tmp_path / "runs" / f"killed{number}", tmp_path / "runs" / "whole")
