"""What `python -m benchmarks scale` runs in processes of their own: ``python -m benchmarks.scale_probe NAME ...``."""

import json
import os
import sys
import time
from pathlib import Path

from semtalk.commands.train import train
from semtalk.data.datamodule import CorpusDataModule
from semtalk.data.open import open_corpus
from semtalk.settings import compose
from semtalk.tasks.stage import StageTask

GIB = 2**30


def resident(process: int | str = "self") -> dict[str, float]:
    """GiB of a process's memory: all that is resident, its own, and pages of files that are mapped."""
    names = {"VmRSS": "all", "RssAnon": "own", "RssFile": "files"}
    found = {}
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition(":")
        if key in names:
            found[names[key]] = int(rest.split()[0]) * 1024 / GIB
    return found


def first_batch(began: str, *words: str) -> dict[str, float]:
    """Seconds from a time to the end of a training's first batch, and what is resident then."""

    class FirstBatch(Exception):
        pass

    def end(*_) -> None:
        raise FirstBatch

    StageTask.on_train_batch_end = end
    try:
        train(compose("train", *words))
    except FirstBatch:
        return {"seconds": time.time() - float(began), **resident()}
    raise AssertionError("the training ended before its first batch")


def epoch(most: str, *words: str) -> dict[str, float]:
    """Shuffled windows a second of an epoch of training batches, at most so many, and the most that is resident."""
    settings = compose("train", *words)
    data = CorpusDataModule(
        open_corpus(settings.data), settings.features, settings.data.store, stride=settings.recipe.stride, batch_size=64
    )
    batches, peak, count = iter(data.train_dataloader()), resident(), 0
    began = time.perf_counter()
    for batch in batches:
        count += len(batch["speaker"])
        if count // 64 % 8 == 0:
            peak = {name: max(peak[name], value) for name, value in resident().items()}
        if count >= int(most):
            break
    took = time.perf_counter() - began
    return {"windows": count, "seconds": took, "windows/s": count / took, **peak}


def cold(folder: str) -> dict[str, float]:
    """Drop a store's files from the page cache."""
    size = 0
    for path in Path(folder).iterdir():
        file = os.open(path, os.O_RDONLY)
        size += os.fstat(file).st_size
        os.fsync(file)  # what is not written yet cannot be dropped
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
    return {"bytes": size}


if __name__ == "__main__":
    print(json.dumps({"first_batch": first_batch, "epoch": epoch, "cold": cold}[sys.argv[1]](*sys.argv[2:])))
