"""From the command to its answer, in processes of their own: a bad sound, and 3 s of sound turned into motion."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.common import ROOT, record
from semtalk.motion.skeleton import SAMPLE_RATE
from semtalk.places import checkpoint_path
from semtalk.settings import compose
from semtalk.tasks.phases import PHASES, build_network
from semtalk.tasks.sizes import PREFIX
from semtalk.tasks.stamp import Facts, new_stamp

SECONDS = 3
REPEATS = 5
ELSEWHERE = "torch._dynamo, librosa.onset, pytorch_lightning, torchmetrics, transformers"
"""What training and metrics import, and generating does not."""


def untrained_run(folder: Path, speakers: int = 1) -> Path:
    """A run of the small size whose networks have fresh weights, and know speakers 1, 2, and so on."""
    settings = compose("train")
    torch.manual_seed(0)
    for phase in PHASES:
        weights = build_network(phase, settings, speakers).state_dict()
        checkpoint = {"state_dict": {PREFIX + name: value for name, value in weights.items()}}
        new_stamp(phase, settings.plain(), Facts(list(range(1, speakers + 1)))).write(checkpoint)
        path = checkpoint_path(folder, phase)
        path.parent.mkdir(parents=True)
        torch.save(checkpoint, path)
    return folder


def spent(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds that pass, and seconds of CPU, in a Python process with some arguments."""
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=False)
    took, after = time.perf_counter() - began, os.times()
    return took, sum(after[2:4]) - sum(before[2:4])


def start() -> None:
    """A bad sound and 3 s of sound through ``generate.py``, beside ``import torch`` and beside further imports."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = untrained_run(folder / "run")
        noise = 0.1 * np.random.default_rng(0).standard_normal(SECONDS * SAMPLE_RATE)
        soundfile.write(folder / "noise.wav", noise, SAMPLE_RATE)
        (folder / "bad.wav").write_text("no sound")
        options = [f"ckpt={run}", f"out={folder}/out", "video=false", "transcript=none", f"audio={folder}/noise.wav"]
        whole = "import runpy, sys; sys.argv[0] = 'generate.py'; runpy.run_path('generate.py', run_name='__main__')"
        commands = {
            "import torch": ["-c", "import torch"],
            "bad sound": ["generate.py", f"audio={folder}/bad.wav"],
            "generate": ["generate.py", *options],
            "generate, imports first": ["-c", f"import {ELSEWHERE}; {whole}", *options],
        }
        times = {command: [] for command in commands}
        for _ in range(REPEATS):
            for command, arguments in commands.items():
                times[command].append(spent(arguments))
        if not (folder / "out" / "noise.npz").is_file():
            sys.exit("error: generate.py wrote no motion.")
    passed, used = (
        {name: statistics.median(pair[i] for pair in pairs) for name, pairs in times.items()} for i in range(2)
    )
    record(
        "start",
        {f"seconds, {name}": value for name, value in passed.items()}
        | {f"CPU seconds, {name}": value for name, value in used.items()}
        | {f"CPU, {name} over import torch": value / used["import torch"] for name, value in used.items()}
        | {"seconds wanted, bad sound": 1.5, "seconds wanted, generate": 6.0},
    )
