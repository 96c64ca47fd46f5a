"""Which figure of a validation chooses the checkpoint that serves generation best.

``python -m benchmarks select_base [OPTION=VALUE ...] [OVERRIDES]`` keeps the checkpoint of every validation of a
training, generates the test takes with each, and shows what the one that each figure chooses on val gives there.
Options are those of :mod:`benchmarks.real_speech`; ``select_sparse`` does so for the sparse network of the same runs.
"""

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import torch
from rich.table import Table

from benchmarks.common import append, console, in_a_sentence
from benchmarks.real_speech import Options, seed_settings, train_phases
from semtalk.body import load_body
from semtalk.data.datamodule import CorpusDataModule
from semtalk.data.open import open_corpus, open_store
from semtalk.data.store import mean_joint_speed
from semtalk.evaluation.judge import Judge, chosen_takes
from semtalk.files import checkpoint_facts
from semtalk.run import run_dir
from semtalk.settings.commands import Stage, TrainSettings
from semtalk.tasks.checkpoint import load_network, load_tokenizer
from semtalk.tasks.fit import length_of
from semtalk.tasks.keep import RISING

SHOWN = {
    "base": ("jaw_r", "jaw_amplitude", "expressions_r", "own_other", "upper_error", "div_share", "fgd"),
    "sparse": ("gate_f1", "gate_share", "expressions_r", "upper_error", "div_share", "fgd"),
}
"""Phase -> numbers of the test takes that tables show."""
LAST = "the last"
ALL = 1e9
"""Seconds of takes that are judged: more than any split has."""


def figures(settings: TrainSettings, phase: str) -> tuple[str, ...]:
    """What ``recipe.PHASE.select`` may be."""
    return get_args(type(getattr(settings.recipe, phase)).model_fields["select"].annotation)


def validated_every(settings: TrainSettings, phase: str) -> int:
    """Epochs between validations of a phase."""
    recipe = getattr(settings.recipe, phase)
    data = CorpusDataModule(
        open_corpus(settings.data), settings.features, settings.data.store, stride=settings.recipe.stride,
        batch_size=recipe.batch_size,
    )  # fmt: skip
    return max(1, length_of(recipe, len(data.train_dataloader()))["max_epochs"] // settings.recipe.validations)


def validations(folder: Path) -> dict[int, dict[str, float]]:
    """Step -> figures of the validation after it, of a phase's curves."""
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["val/loss"]]
    named = [
        {name[4:]: float(value) for name, value in row.items() if name.startswith("val/") and value} for row in rows
    ]
    return {int(row["step"]) + 1: figures for row, figures in zip(rows, named, strict=True)}


def chosen_step(found: Mapping[int, Mapping[str, float]], figure: str) -> int:
    """Step of the validation that is the best in a figure, the first of equals."""
    sign = -1 if f"val/{figure}" in RISING else 1
    return min(found, key=lambda step: (sign * found[step][figure], step))


def judged_steps(settings: TrainSettings, phase: str, split: str) -> dict[int, dict[str, float]]:
    """Step -> numbers of a split's takes that the checkpoint kept there generates."""
    folder, body = run_dir(settings), load_body(settings.body.path, settings.body.model)
    corpus = open_corpus(settings.data)
    store = open_store(settings, corpus, body)
    base, stamp = load_network(folder, "base")
    settings = settings.model_copy(update={"recipe": settings.recipe.model_copy(update={"rollout_seconds": ALL})})
    judge = Judge(settings, folder, store, stamp.facts, body, mean_joint_speed(store, corpus, body)[0])
    judge.recordings = chosen_takes(store.split(split), ALL)
    tokenizer, found = load_tokenizer(folder), {}
    for path in sorted((folder / phase).glob("epoch_*.ckpt")):
        network = load_network(folder, phase, path.stem)[0]
        networks = (network, None) if phase == "base" else (base, network)
        found[checkpoint_facts(path)["global_step"]] = judge(tokenizer, *networks, torch.device("cpu"))
    return found


def selection(phase: str, words: tuple[str, ...]) -> None:
    """Train, judge every checkpoint of a phase on the split, and compare what figures of val choose."""
    options = Options.of(words)
    with tempfile.TemporaryDirectory() as temporary:
        runs = Path(options.runs_dir or temporary).resolve()
        for seed in range(options.seeds):
            settings = seed_settings(options, runs, seed)
            phases = settings.stage.phases
            before = settings.stage.model_copy(update={"phases": phases[: phases.index(phase)]})
            train_phases(settings.model_copy(update={"stage": before}), options.reuse)
            kept = settings.model_copy(
                update={
                    "stage": Stage(name=phase, phases=[phase]),
                    "keep_every": validated_every(settings, phase),
                }
            )
            train_phases(kept, options.reuse)
            on_val = validations(run_dir(settings) / phase)
            generated = judged_steps(settings, phase, options.split)
            on_val = {step: values for step, values in on_val.items() if step in generated}
            steps = {figure: chosen_step(on_val, figure) for figure in figures(settings, phase)} | {
                LAST: max(generated)
            }
            facts = {"phase": phase, "corpus": settings.data.name, "split": options.split, "seed": seed}
            _print(steps, generated, facts)
            append(
                options.out.with_name("selection.json"),
                {**facts, "overrides": options.recorded, "chosen": steps, "val": on_val, options.split: generated},
            )


def _print(steps: Mapping[str, int], generated: Mapping[int, Mapping[str, float]], facts: Mapping[str, object]) -> None:
    shown = SHOWN[facts["phase"]]
    table = Table("chosen by", "step", *shown, title=", ".join(f"{key} {value}" for key, value in facts.items()))
    for figure, step in steps.items():
        table.add_row(figure, str(step), *(f"{generated[step].get(name, float('nan')):.3f}" for name in shown))
    console.print(table)


@in_a_sentence()
def select_base(*words: str) -> None:
    """The base network's checkpoints."""
    selection("base", words)


@in_a_sentence()
def select_sparse(*words: str) -> None:
    """The sparse network's checkpoints."""
    selection("sparse", words)
