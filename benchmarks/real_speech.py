"""What a default training hears of real speech: ``python -m benchmarks real_speech [OPTION=VALUE ...] [OVERRIDES]``.

Trains every stage for each seed as ``train.py stage=all`` does, and evaluates the split beside ridge regression, the
nearest training window, the mean pose and the truth. Without ``data=``, the corpus is BEAT2-shaped and lies in
``data.root``, by default ``beat2_two_takes`` in ``SEMTALK_REAL_DATA``. Options, beside Hydra's overrides of train.py:

- ``seeds=3``: trainings, seeds 0, 1, ...
- ``runs_dir=DIR``: keeps the runs (a temporary folder otherwise); ``reuse=true`` skips phases that the same
  configuration has finished there, so that a second call only evaluates.
- ``split=test``, ``out=benchmarks/results/real_speech.json``, ``picture=docs/real_speech_CORPUS_FEATURES.png``;
  with another ``out`` the picture lies beside it.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.baselines import add_nearest
from benchmarks.common import RESULTS, ROOT, append, in_a_sentence
from benchmarks.speech_report import draw_curves, mean_of, print_numbers, print_targets, reached_targets
from semtalk.body import load_body
from semtalk.commands.train import train
from semtalk.data.open import open_corpus, open_store
from semtalk.data.store import mean_joint_speed
from semtalk.errors import SemTalkError
from semtalk.evaluation.evaluate import embedder_of, evaluate_run
from semtalk.evaluation.hearing import OTHER, hearing_table
from semtalk.evaluation.measure import evaluate_rows
from semtalk.evaluation.metrics import chosen_metrics
from semtalk.evaluation.ridge import add_ridge
from semtalk.evaluation.takes import Take
from semtalk.files import atomic_write
from semtalk.places import checkpoint_path
from semtalk.run import run_dir
from semtalk.settings import compose
from semtalk.settings.commands import Evaluation, Stage, TrainSettings
from semtalk.tasks.speed import trainer_device

PROTOCOL = "corrected"
ADDED = ("ridge", "nearest", OTHER)
"""Rows beside those of every evaluation."""
SHARES = {"expressions_mse": "expressions_share", "upper_error": "upper_share", "hands_error": "hands_share"}
"""Error -> its share of the mean pose's."""


@dataclass
class Options:
    """What the command asks for; see the module."""

    overrides: tuple[str, ...] = ()
    seeds: int = 3
    reuse: bool = False
    split: str = "test"
    runs_dir: str | None = None
    out: Path = RESULTS / "real_speech.json"
    picture: Path | None = None

    @property
    def recorded(self) -> list[str]:
        """Overrides that a result states: all but where the corpus lies here."""
        return [word for word in self.overrides if not word.startswith("data.root=")]

    def drawn(self, name: str) -> Path:
        """Where curves of that name go: among the docs only where the results go among those that the docs show."""
        folder = ROOT / "docs" if self.out == type(self).out else self.out.parent
        return self.picture or folder / name

    @classmethod
    def of(cls, words: tuple[str, ...]) -> "Options":
        """Take the options out of words ``KEY=VALUE``; what is left overrides the configuration.

        Raises:
            SemTalkError: A value is wrong, or there is no corpus.
        """
        own = ("seeds", "reuse", "split", "runs_dir", "out", "picture")
        given = dict(word.split("=", 1) for word in words if word.split("=", 1)[0] in own)
        rest = tuple(word for word in words if word.split("=", 1)[0] not in own)
        if not given.get("seeds", "3").isdigit() or given.get("seeds") == "0":
            raise SemTalkError(f"seeds={given['seeds']}: give the number of trainings, as in seeds=3.")
        if given.get("reuse", "false") not in ("true", "false"):
            raise SemTalkError(f"reuse={given['reuse']}: choose true or false.")
        values = {key: Path(value) if key in ("out", "picture") else value for key, value in given.items()}
        values |= {"seeds": int(given.get("seeds", 3)), "reuse": given.get("reuse") == "true"}
        return cls(overrides=with_corpus(rest), **values)


def with_corpus(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Overrides that name a corpus: the real takes, where none is given."""
    if any(word.startswith("data=") for word in overrides):
        return overrides
    if not any(word.startswith("data.root=") for word in overrides):
        if "SEMTALK_REAL_DATA" not in os.environ:
            raise SemTalkError("set SEMTALK_REAL_DATA to the folder of beat2_two_takes/, or give data.root=DIR.")
        overrides = (f"data.root={Path(os.environ['SEMTALK_REAL_DATA']) / 'beat2_two_takes'}", *overrides)
    return ("data=beat2", *overrides)


def seed_settings(options: Options, runs: Path, seed: int, *changes: str) -> TrainSettings:
    """Settings of a seed's training, with further overrides; its run is named by features and seed."""
    places = (f"runs_dir={runs}", f"data_dir={runs / 'data'}")
    named = (f"seed={seed}", "name=${features.name}_seed${seed}")
    return compose("train", "stage=all", *places, *options.overrides, *named, *changes)


def train_phases(settings: TrainSettings, reuse: bool) -> None:
    """Train the phases one by one; with ``reuse``, those that the same settings have not finished."""
    folder, phases = run_dir(settings), settings.stage.phases
    made = settings.model_dump_json(exclude={"stage"})
    parts = [f"rvqvae_{part}" for part in settings.parts] if "rvqvae" in phases else []
    for phase in (*parts, *(phase for phase in phases if phase != "rvqvae")):
        mark = folder / phase / "finished.json"
        finished = mark.is_file() and mark.read_text(encoding="utf-8") == made
        if reuse and finished and checkpoint_path(folder, phase).is_file():
            print(f"{folder.name}: {phase} is finished.")
            continue
        reuse = False  # what comes after was trained on another network
        mark.unlink(missing_ok=True)
        train(settings.model_copy(update={"stage": Stage(name=phase, phases=[phase])}))
        atomic_write(mark, lambda temporary: temporary.write_text(made, encoding="utf-8"))


def evaluation_of(options: Options) -> Evaluation:
    """How trained runs are evaluated."""
    return compose("eval", "metrics=extended", f"protocol={PROTOCOL}", f"split={options.split}")


def evaluate_seed(settings: TrainSettings, evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Numbers of every row of a trained run."""
    folder, body = run_dir(settings), load_body(settings.body.path, settings.body.model)
    corpus = open_corpus(settings.data)
    store = open_store(settings, corpus, body)
    joint_speed = mean_joint_speed(store, corpus, body)
    device = trainer_device(settings.trainer.accelerator)
    takes: list[Take] = []
    _, measured = evaluate_run(
        settings, evaluation, folder, store, corpus, joint_speed, body, device, seen=takes.extend
    )
    add_ridge(takes, store)
    add_nearest(takes, store)
    embedder, _ = embedder_of(folder)
    speed, _ = joint_speed
    rows, metrics = (*ADDED, "truth"), chosen_metrics("main")
    added = evaluate_rows(takes, rows, metrics, embedder, body, speed, evaluation.protocol)
    table = measured.table | added.table
    numbers = hearing_table(takes, table, body, {"fused": OTHER})
    for row, values in numbers.items():
        values |= {name: table[row][name] for name in ("fgd", "div", "bc")}
        values |= {share: values[error] / numbers["mean"][error] for error, share in SHARES.items()}
    return numbers


def run_seeds(options: Options, runs: Path) -> None:
    """Train and evaluate every seed; print, draw and record."""
    trainings = [seed_settings(options, runs, seed) for seed in range(options.seeds)]
    evaluation = evaluation_of(options)
    seeds = []
    for settings in trainings:
        train_phases(settings, options.reuse)
        seeds.append(evaluate_seed(settings, evaluation))
    features, corpus = trainings[0].features.name, trainings[0].data.name
    body = load_body(trainings[0].body.path, trainings[0].body.model)
    facts = {
        "overrides": options.recorded, "features": features, "corpus": corpus, "split": options.split,
        "protocol": PROTOCOL, "body": body.name,
    }  # fmt: skip
    targets = reached_targets(mean_of(seeds), facts, options.out)
    title = f"{corpus}, {options.split} split, features {features}, mean of {options.seeds} seeds"
    print_numbers(seeds, title)
    print_targets(targets)
    append(options.out, {**facts, "seeds": seeds, "mean": mean_of(seeds), "targets": targets})
    picture = options.drawn(f"real_speech_{corpus}_{features}.png")
    draw_curves([run_dir(settings) / "base" / "metrics.csv" for settings in trainings], picture)
    print(f"{options.out}\n{picture}")


@in_a_sentence()
def real_speech(*words: str) -> None:
    """Run the benchmark with words ``KEY=VALUE``."""
    options = Options.of(words)
    with tempfile.TemporaryDirectory() as folder:
        run_seeds(options, Path(options.runs_dir or folder).resolve())
