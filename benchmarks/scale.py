"""A corpus of 1 to 27 hours: preparing, starting, loading, planning and evaluating, and how each grows.

``python -m benchmarks scale folder=DIR hours=1,3,9,27 evaluated=265``; the corpus and its store take 0.7 GB an hour and
stay there; of a larger one that is there the first takes are listed. ``evaluated`` is how many takes of the test split
are evaluated at most: none of a larger one.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.common import GIB, RESULTS, ROOT, record
from benchmarks.scale_corpus import SECONDS, SPEAKERS, TAKES, TEST_TAKES, take_of, write_corpus
from benchmarks.scale_plot import draw
from benchmarks.scale_probe import cold, resident
from benchmarks.start import untrained_run

FREE = 8 * GIB
"""Bytes of the disk that stay free."""
EPOCH = 200_000
"""Windows that are loaded at most: an epoch of 27 hours has 112,000."""
COLD = 4_000
"""Windows that are read with a cold cache."""


def watched(
    command: Sequence[str], kill_when: Callable[[], bool] = lambda: False, **environment: str
) -> dict[str, float]:
    """Run a Python program to its end: seconds, its CPU's seconds, and the most that was resident, in GiB.

    Args:
        command: Arguments of Python.
        kill_when: The program is killed once it gives true.
        environment: Variables of the program beside those of this one.
    """
    began, peak = time.perf_counter(), {}
    with open(os.devnull, "w") as nothing:
        child = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=nothing, stderr=subprocess.PIPE, env=os.environ | environment
        )
    killed = False
    while (gone := os.wait4(child.pid, os.WNOHANG))[0] == 0:
        with contextlib.suppress(OSError):  # it ended meanwhile
            peak = {name: max(peak.get(name, 0.0), value) for name, value in resident(child.pid).items()} or peak
        if not killed and kill_when():
            child.send_signal(signal.SIGKILL)
            killed = True
        time.sleep(0.05)
    _, status, usage = gone
    said = child.stderr.read().decode()
    child.returncode = status
    if status and not killed:
        sys.exit(f"{' '.join(command)}\n{said[-3000:]}")
    took = time.perf_counter() - began
    return {"seconds": took, "CPU seconds": usage.ru_utime + usage.ru_stime, **peak}


def probe(*arguments: str) -> dict[str, float]:
    """What a function of :mod:`benchmarks.scale_probe` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale_probe", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{arguments}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def size_of(folder: Path, takes: int) -> float:
    """GB of the files of the first so many takes below a folder, links as if they were files of their own."""
    names = {take_of(index)[1] for index in range(takes)}
    return sum(path.stat().st_size for path in folder.rglob("*") if path.name.partition(".")[0] in names) / 1e9


def ready(store: Path) -> int:
    """Recordings of a store that are whole, by their last file."""
    return len(list(store.glob("*.emotion.safetensors")))


def prepared(words: Sequence[str]) -> dict[str, float]:
    """Prepare in as many shares as there are cores, at once; the most of each of them, and the CPU's seconds of all."""
    count = os.cpu_count()
    with ThreadPoolExecutor(count) as pool:
        commands = [["scripts/prepare.py", *words, f"shard={share}/{count}"] for share in range(1, count + 1)]
        shares = list(pool.map(lambda command: watched(command, OMP_NUM_THREADS="1"), commands))
    together = {name: max(share[name] for share in shares) for name in shares[0]}
    return together | {"CPU seconds": sum(share["CPU seconds"] for share in shares), "processes": count}


def killed_and_restarted(words: Sequence[str], folder: Path) -> dict[str, float]:
    """What a preparation that is killed loses: files that were made before, and are made again."""
    store = folder / "killed"
    arguments = ["scripts/prepare.py", *words, f"data.store={store}"]
    inner = store / "beat2_offline"
    watched(arguments, kill_when=lambda: ready(inner) >= 20)
    before = {path.name: path.stat().st_ino for path in inner.glob("[!.]*.safetensors")}
    left = len(list(inner.glob(".*")))
    again = watched(arguments)
    lost = sum((inner / name).stat().st_ino != inode for name, inode in before.items())
    shutil.rmtree(store)
    return {"files before": len(before), "files made again": lost, "half files": left, "then seconds": again["seconds"]}


def start(folder: Path, words: Sequence[str], phase: str) -> dict[str, float]:
    """First batch of the training of a phase, beside untrained networks of the small size."""
    run, tried = folder / "runs" / "scale", folder / "runs" / "tried"
    if not run.is_dir():
        untrained_run(run, SPEAKERS)
    shutil.rmtree(tried, ignore_errors=True)
    shutil.copytree(run, tried)
    given = [*words, f"runs_dir={folder}/runs", "name=tried", f"stage.phases=[{phase}]"]
    return probe("first_batch", str(time.time()), *given)


def scale(*words: str) -> None:
    """Grow a corpus to each of the sizes, and measure."""
    given = dict(word.split("=", 1) for word in words)
    folder = Path(given.pop("folder", ROOT / "data" / "scale")).resolve()
    sizes = [float(size) for size in given.pop("hours", "1,3,9,27").split(",")]
    most = int(given.pop("evaluated", TEST_TAKES))
    if given:
        sys.exit(f"scale takes folder=DIR, hours=1,3 and evaluated=100; there is no {next(iter(given))}.")
    corpus, store = folder / "corpus", folder / "store" / "beat2_offline"
    data = ["data=beat2", f"data.root={corpus}", "data.speakers=all", f"data_dir={folder}"]
    for hours in sizes:
        takes = min(TAKES, round(hours * 3600 / SECONDS))
        if shutil.disk_usage(folder.parent).free < FREE + takes / 60 * 0.8e9:
            sys.exit(f"{folder}: too little room for {hours} hours, which take 0.8 GB each.")
        began = time.perf_counter()
        write_corpus(corpus, takes, os.cpu_count())
        wrote, there = time.perf_counter() - began, ready(store) if store.is_dir() else 0
        numbers = {
            "hours": takes * SECONDS / 3600, "takes": takes, "speakers": len({take_of(i)[0] for i in range(takes)}),
            "seconds of writing": wrote, "corpus, GB": size_of(corpus, takes),
        }  # fmt: skip
        if not store.is_dir():
            numbers["killed"] = killed_and_restarted(data, folder)
        if takes > there:
            numbers["preparing"] = prepared(data)
            numbers["hours prepared an hour"] = (takes - there) * SECONDS / numbers["preparing"]["seconds"]
        numbers["opening"] = watched(["scripts/prepare.py", *data])
        numbers["store, GB"] = size_of(store, takes)
        for state in ("cold", "warm"):
            for phase in ("rvqvae_upper", "base"):
                if state == "cold":
                    cold(str(store))
                numbers[f"start of {phase}, {state}"] = start(folder, data, phase)
        cold(str(store))
        numbers["reading, cold"] = probe("epoch", str(COLD), *data)
        numbers["reading, an epoch"] = probe("epoch", str(EPOCH), *data)
        numbers["reading, warm"] = probe("epoch", str(COLD), *data)
        numbers["planning"] = watched(["train.py", *data, f"runs_dir={folder}/runs", "dry_run=true"])
        numbers["test takes"] = sum(take_of(index)[2] == "test" for index in range(takes))
        if numbers["test takes"] <= most:
            run = [*data, f"ckpt={folder}/runs/scale", f"out={folder}/eval", "video=false"]
            numbers["evaluating"] = watched(["eval.py", *run])
        record("scale", numbers)
        draw(RESULTS / "scale.json", ROOT / "docs" / "scale.png")
