"""What a scorer of alignment says of truth, floors and a run: ``python -m benchmarks alignment [OPTION=VALUE ...]``.

Trains the scorer for each seed as ``train.py stage=alignment`` does, on the training split, and has it score takes of
another split: the truth, the mean pose, the truth rolled by half of a take, and with ``run=`` what that run generates.
Without ``data=``, the corpus is that of ``python -m benchmarks real_speech``. Options, beside Hydra's overrides:

- ``run=DIR``: a trained run of the same corpus and features, as ``train.py stage=all`` makes one.
- ``seeds=3``: scorers, seeds 0, 1, ...
- ``runs_dir=DIR``: keeps the scorers (a temporary folder otherwise).
- ``windows=2``: of 64 frames, in a segment.
- ``split=test``, ``out=benchmarks/results/alignment.json``.
"""

import math
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from benchmarks.common import RESULTS, append, console, in_a_sentence
from benchmarks.real_speech import with_corpus
from semtalk.body import load_body
from semtalk.commands.train import train
from semtalk.data.open import open_corpus, open_store
from semtalk.data.store import Store
from semtalk.errors import SemTalkError
from semtalk.evaluation.alignment import Alignment, Scorer
from semtalk.evaluation.report import ROW_NAMES
from semtalk.evaluation.takes import Take, TakeMaker, add_mean_pose, whole_frames
from semtalk.generation.load import load_generator
from semtalk.run import run_dir
from semtalk.settings import compose
from semtalk.tasks.speed import trainer_device

OPTIONS = {
    "run": None,
    "seeds": "3",
    "runs_dir": None,
    "windows": "2",
    "split": "test",
    "out": str(RESULTS / "alignment.json"),
}


def takes_of(store: Store, split: str, run: str | None, device: str) -> list[Take]:
    """Takes of a split with the rows ``truth`` and ``mean``, and of a run ``fused`` and ``base``."""
    recordings = store.split(split)
    if run is None:
        takes = []
        for recording in recordings:
            frames = whole_frames(recording.frames)
            semantic = recording["semantic"][:frames]
            labelled = None if semantic.isnan().any() else semantic
            take = Take(recording.id, frames, recording["betas"], None, labelled, recording=recording)
            take.add("truth", *(recording[key][:frames] for key in ("rotation", "expressions", "trans")))
            takes.append(take)
    else:
        loaded = load_generator(run)
        generator = loaded.generator.to(trainer_device(device))
        maker = TakeMaker(generator, loaded.facts.speakers, loaded.features.stride, counted=whole_frames)
        takes, _ = maker.takes(recordings)
    add_mean_pose(takes, store.split("train"))
    return takes


def summary(seeds: list[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Mean of every number of every row over seeds, and of the share its deviation."""
    found = {}
    for row, numbers in seeds[0].items():
        found[row] = {name: statistics.fmean(seed[row][name] for seed in seeds) for name in numbers}
        if len(seeds) > 1:
            found[row]["deviation"] = statistics.stdev(seed[row]["share"] for seed in seeds)
    return found


def print_summary(found: Mapping[str, Mapping[str, float]], title: str) -> None:
    """Print a line for each row."""
    names = ("share", "deviation", "low", "high", "recall_1", "recall_5")
    names = [name for name in names if not math.isnan(found["truth"].get(name, math.nan))]
    table = Table("", *names, title=title)
    for row, numbers in found.items():
        table.add_row(ROW_NAMES.get(row, row), *(f"{numbers[name]:.1%}" for name in names))
    console.print(table)


@in_a_sentence()
def alignment(*words: str) -> None:
    """Run the benchmark with words ``KEY=VALUE``."""
    given = dict(word.split("=", 1) for word in words if word.split("=", 1)[0] in OPTIONS)
    options = OPTIONS | given
    for key, what in (("seeds", "the number of scorers"), ("windows", "how many make a segment")):
        if not options[key].isdigit() or options[key] == "0":
            raise SemTalkError(f"{key}={options[key]}: give {what}, as in {key}={OPTIONS[key]}.")
    overrides = with_corpus(tuple(word for word in words if word.split("=", 1)[0] not in OPTIONS))
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(options["runs_dir"] or folder).resolve()
        places = (f"runs_dir={runs}", f"data_dir={runs / 'data'}", *overrides)
        trainings = [
            compose("train", "stage=alignment", f"seed={seed}", f"name=scorer_seed{seed}", *places)
            for seed in range(int(options["seeds"]))
        ]
        for settings in trainings:
            train(settings)
        corpus = open_corpus(settings.data)
        store = open_store(settings, corpus, load_body(settings.body.path, settings.body.model))
        takes = takes_of(store, options["split"], options["run"], settings.trainer.accelerator)
        rows, seeds = tuple(takes[0].rotation), []
        for settings in trainings:
            scorer, found = Scorer.load(run_dir(settings), int(options["windows"])), Alignment()
            for take in takes:
                found.add(take, take.recording.info["speaker"], scorer, rows)
            numbers = found.numbers(scorer)
            seeds.append(numbers["rows"])
    mean = summary(seeds)
    counts = {key: numbers[key] for key in ("segments", "seconds", "takes", "gestures", "chance") if key in numbers}
    recorded = [word for word in overrides if not word.startswith("data.root=")]
    print_summary(mean, f"{corpus.name}, {options['split']} split, {numbers['segments']} segments")
    facts = {"corpus": corpus.name, "overrides": recorded, "split": options["split"], **counts}
    append(Path(options["out"]), facts | {"seeds": seeds, "mean": mean})
