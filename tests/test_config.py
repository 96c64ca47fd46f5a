"""Configurations, the layout of imports, and what the command line answers."""

import ast
import re
import time
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, composed, run_command

from semtalk.errors import SemTalkError
from semtalk.features.extract import build_encoders, feature_dims
from semtalk.settings import settings_of
from semtalk.tasks.fit import epochs_of
from semtalk.tasks.phases import PHASES, build_network

GROUPS = sorted(path for path in (ROOT / "configs").glob("*/*.yaml") if path.parent.name not in ("hydra", "experiment"))
FOLDER = ROOT / "configs" / "experiment"
EXPERIMENTS = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.yaml"))
LAYERS = [
    {"errors"}, {"settings"}, {"unpickle"}, {"motion"}, {"body"}, {"features"}, {"data", "models", "losses", "metrics"},
    {"tasks"}, {"generation", "viz", "release"}, {"evaluation"}, {"corpora"}, {"run"},
]  # fmt: skip
"""Each layer may import itself and the layers before it."""


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_composes(path):
    for name in ("train", "eval", "generate"):
        if (ROOT / "configs" / f"{name}.yaml").read_text().count(path.parent.name) or path.parent.name in (
            "data", "features", "model", "trainer",
        ):  # fmt: skip
            config = composed(name, f"{path.parent.name}={path.stem}")
            assert config[path.parent.name]
            settings_of(name, config)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment):
    evaluated_only = "tag:" in (FOLDER / f"{experiment}.yaml").read_text()
    for name in ("eval",) if evaluated_only else ("train", "eval", "generate"):
        assert settings_of(name, composed(name, f"experiment={experiment}")).name
    if evaluated_only:
        with pytest.raises(SemTalkError, match="there is no such key"):
            settings_of("train", composed("train", f"experiment={experiment}"))


@pytest.mark.parametrize("model", ["small", "paper"])
def test_every_model_builds(model):
    config = composed("train", f"model={model}")
    for phase in PHASES:
        network = build_network(phase, config, speakers=3)
        assert sum(p.numel() for p in network.parameters()) > 0
    widths = {"small": 64, "paper": 768}
    assert network.body.audio[0].out_features == widths[model]


@pytest.mark.parametrize("trainer", ["auto", "cpu", "debug"])
def test_every_trainer_and_logger_builds(trainer, tmp_path):
    import pytorch_lightning as pl

    from semtalk.tasks.fit import make_logger
    from semtalk.tasks.speed import resolve_plan

    plan = resolve_plan(composed("train", f"trainer={trainer}")["trainer"])
    arguments = {key: plan[key] for key in ("accelerator", "devices", "strategy", "precision")}
    assert pl.Trainer(**arguments, default_root_dir=tmp_path, logger=False)
    for logger in ("csv", "tensorboard"):
        assert make_logger(composed("train", f"logger={logger}"), tmp_path)


def test_sizes_come_from_the_feature_configuration():
    config = composed("train", "features.slots.hubert.dim=20", "features.slots.words.dim=30")
    assert feature_dims(config["features"])["hubert"] == 20
    sparse = build_network("sparse", config, speakers=1)
    assert sparse.semantics.words.in_features == 30
    assert sparse.semantics.hubert.layers[0].in_channels == 20
    assert set(build_encoders(config["features"])) == set(config["features"]["slots"])


def test_recipes_give_every_phase_a_length():
    for recipe in ("small", "paper", "strong"):
        config = composed("train", f"recipe={recipe}")["recipe"]
        for phase in ("rvqvae", "translation", "fgd", "base", "sparse"):
            assert epochs_of(config[phase], batches=10) > 0
    assert epochs_of({"steps": 25, "epochs": None}, batches=10) == 3
    assert epochs_of({"steps": 25, "epochs": 7}, batches=10) == 7


def names_in_source() -> set[str]:
    """Attributes, parameters and short strings of the package: what a configuration key can be read by."""
    found: set[str] = set()
    for path in (ROOT / "semtalk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 40:
                found.add(node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def keys_of(config, skip=("hydra", "defaults")) -> set[str]:
    if isinstance(config, dict):
        inner = [keys_of(value) for key, value in config.items() if key not in skip]
        return {key for key in config if isinstance(key, str) and key not in skip}.union(*inner)
    if isinstance(config, list):
        return set().union(*(keys_of(item) for item in config), set())
    return set()


def test_every_key_is_read():
    paths = list((ROOT / "configs").rglob("*.yaml"))
    interpolated = {key for path in paths for key in re.findall(r"\$\{(?:\w+\.)*(\w+)\}", path.read_text())}
    known = names_in_source() | interpolated
    for path in paths:
        if "help" in path.parts:
            continue
        unread = keys_of(yaml.safe_load(path.read_text()) or {}) - known
        assert not unread, f"{path.relative_to(ROOT)}: nothing reads {sorted(unread)}"


def test_an_unread_key_would_be_found():
    assert "a_key_that_nothing_reads" not in names_in_source()


def test_imports_point_one_way():
    order = {name: level for level, names in enumerate(LAYERS) for name in names}
    for path in (ROOT / "semtalk").rglob("*.py"):
        own = path.relative_to(ROOT / "semtalk").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for module in re.findall(r"^\s*(?:from|import) semtalk\.(\w+)", path.read_text(), flags=re.M):
            assert order[module] <= order[own], f"{path.relative_to(ROOT)} imports semtalk.{module}"
            peers = order[module] == order[own] and module != own
            assert not peers or own == "evaluation", f"{path.relative_to(ROOT)} imports its neighbour semtalk.{module}"


def test_generating_imports_no_training():
    program = "import sys, semtalk.generation.speech, semtalk.generation.stream; print(*sys.modules)"
    modules = run_command("-c", program).stdout.split()
    assert "torch" in modules and not any("lightning" in module for module in modules)


def test_every_phase_comes_after_those_that_it_needs():
    names = list(PHASES)
    for name, phase in PHASES.items():
        assert phase.name == name and all(names.index(needed) < names.index(name) for needed in phase.needs)
        module, task = phase.task.split(":")
        assert hasattr(import_module(module), task)
        recipe = composed("train")["recipe"][phase.recipe]
        assert {"steps", "batch_size", "losses"} <= set(recipe)
        assert (ROOT / "configs" / "stage" / f"{phase.stage}.yaml").is_file()


@pytest.mark.parametrize("folder", ["models", "losses.py", "metrics", "data", "motion"])
def test_networks_and_data_know_no_framework(folder):
    path = ROOT / "semtalk" / folder
    files = [path] if path.is_file() else list(path.rglob("*.py"))
    for file in files:
        text = file.read_text()
        assert "hydra" not in text and "omegaconf" not in text, file
        if folder != "data":
            assert "lightning" not in text.replace("no Lightning", ""), file
        assert ".cuda()" not in text, file


@pytest.mark.parametrize("script", ["train.py", "eval.py", "generate.py"])
def test_help_is_quick_and_says_what_matters(script):
    began = time.monotonic()
    text = run_command(script, "--help").stdout
    assert time.monotonic() - began < 10, "a loaded machine is slow, but help must not import torch"
    for word in ("python", "data: ", "sample", "name=NAME", "body.path"):
        if script == "generate.py" and word == "body.path":
            continue
        assert word in text
    modules = run_command("-X", "importtime", script, "--help").stderr
    assert "torch" not in modules and "lightning" not in modules


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train.py", "data=beat2"], "data.root is not set"),
        (["train.py", "parts=[head]"], "parts.0=head: give a list, each one of face, upper, hands, lower"),
        (["train.py", "stage=nothing"], "Could not find 'stage/nothing'"),
        (["train.py", "experiment=beat3", "dry_run=true"], "Could not find 'experiment/beat3'"),
        (["train.py", "modle=small"], "modle"),
        (["eval.py", "runs_dir=/nowhere"], "train.py stage=rvqvae"),
        (["train.py", "trainer.precision=fp8"], "trainer.precision=fp8: choose one of auto, 32-true"),
        (["train.py", "trainer.compile=fast"], "trainer.compile=fast: choose one of auto, default"),
        (["eval.py", "gate=open"], "choose one of learned, always, never, random"),
        (["generate.py", "audio=/nowhere.wav", "precision=int8"], "choose one of float32, bf16"),
        (["eval.py", "split=all"], "choose one of train, val, test"),
        (["eval.py", "protocol=mine"], "choose one of legacy, evaltools, corrected"),
        (["eval.py", "motions=/nowhere", "truth=/nowhere"], "there is no such folder"),
        (["eval.py", "compare=[runs/one]"], "two runs or more"),
        (["scripts/prepare.py", "shard=3/2"], "give i/n"),
        (["scripts/label_semantics.py", "data=show"], "ckpt is not set"),
        (["train.py", "data=show", "data.root=/nowhere"], "is this a SHOW folder"),
        (["train.py", "init=/nowhere"], "there is no checkpoint here"),
        (["generate.py"], "audio is not set"),
        (["generate.py", "audio=/nowhere.wav"], "/nowhere.wav: no such sound file"),
    ],
)
def test_errors_are_one_sentence(arguments, says):
    result = run_command(*arguments, check=False)
    assert result.returncode != 0 and says in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


def test_generate_names_the_command_that_makes_a_checkpoint(tmp_path):
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    result = run_command("generate.py", f"audio={tmp_path}/a.wav", f"runs_dir={tmp_path}", check=False)
    assert result.returncode == 1 and "python train.py stage=semtalk" in result.stderr


def test_files_stay_small():
    for path in (ROOT / "semtalk").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, f"{path.relative_to(ROOT)} is over 300 lines"


def test_readme_names_only_what_exists():
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / path).exists(), path
    for script in set(re.findall(r"python (\w+\.py)", text)):
        assert (ROOT / script).is_file(), script
    for group, option in set(re.findall(r"\b(stage|data|model|features|recipe|trainer|logger|experiment)=(\w+)", text)):
        if option not in ("beat2", "show", "paper") or (group, option) in {("data", "beat2"), ("model", "paper")}:
            assert (Path(ROOT) / "configs" / group / f"{option}.yaml").is_file(), f"{group}={option}"
