"""Configurations, the layout of imports, and what the command line answers."""

import re
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT, run_command, run_program

from semtalk.errors import SemTalkError
from semtalk.features.extract import SLOTS, build_encoders, feature_dims
from semtalk.models.fusion import BETA
from semtalk.motion.skeleton import PARTS
from semtalk.places import checkpoint_path
from semtalk.settings import compose
from semtalk.settings.commands import MOTION_PHASES
from semtalk.tasks.build import new_task
from semtalk.tasks.fit import length_of, make_trainer
from semtalk.tasks.keep import Keeper
from semtalk.tasks.phases import PHASES, build_network, phases_of

GROUPS = sorted(path for path in (ROOT / "configs").glob("*/*.yaml") if path.parent.name not in ("hydra", "experiment"))
FOLDER = ROOT / "configs" / "experiment"
EXPERIMENTS = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.yaml"))
LAYERS = [
    {"errors", "lazy", "log", "places", "threads"}, {"catalogue", "arrays", "processes", "slurm"}, {"settings"},
    {"swap"}, {"files"}, {"environment", "claim", "gltf"}, {"motion"}, {"body"}, {"face", "features"},
    {"avatar", "data", "models", "losses", "metrics", "viz"}, {"needs"}, {"fetch"},
    {"tasks"}, {"generation", "release"}, {"evaluation", "live"}, {"studio", "study"}, {"run", "runs"}, {"commands"},
    {"__main__"},
]  # fmt: skip
"""Each layer may import itself and the layers before it."""


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_composes(path):
    group = path.parent.name
    for name in ("train", "eval", "generate"):
        placed = f"{group}@_global_" if group in ("rollout", "evaluation") and name != "train" else group
        listed = "".join((ROOT / "configs" / file).read_text() for file in (f"{name}.yaml", "common.yaml"))
        if f"- {placed}:" in listed:
            assert compose(name, f"{placed}={path.stem}").name


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(experiment):
    evaluated_only = "tag:" in (FOLDER / f"{experiment}.yaml").read_text()
    for name in ("eval",) if evaluated_only else ("train", "eval", "generate"):
        assert compose(name, f"experiment={experiment}").name
    if evaluated_only:
        with pytest.raises(SemTalkError, match="there is no such key"):
            compose("train", f"experiment={experiment}")


@pytest.mark.parametrize("model", ["small", "paper"])
def test_every_model_builds(model):
    settings = compose("train", f"model={model}")
    networks = {}
    for phase in PHASES:
        with torch.device("meta"):
            networks[phase] = build_network(phase, settings, speakers=3)
        assert sum(p.numel() for p in networks[phase].parameters()) > 0
    widths = {"small": 64, "paper": 768}
    assert networks["sparse"].body.audio[0].out_features == widths[model]


@pytest.mark.parametrize("trainer", ["auto", "cpu"])
@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_every_trainer_and_logger_builds(trainer, logger, tmp_path, store):
    settings = compose("train", f"trainer={trainer}", f"logger={logger}", "trainer.precision=32-true")
    task = new_task("fgd", settings, build_network("fgd", settings, 1), {})
    keeper = Keeper(tmp_path, task.monitor, settings.plain(), minutes=10.0)
    assert make_trainer(settings, task, tmp_path, length_of(settings.recipe.fgd, 10), keeper).max_steps == 250


def test_sizes_come_from_the_feature_configuration():
    settings = compose("train", "features.slots.hubert.dim=20", "features.slots.words.dim=30")
    assert feature_dims(settings.features)["hubert"] == 20
    sparse = build_network("sparse", settings, speakers=1)
    assert sparse.semantics.words.in_features == 30
    assert sparse.semantics.hubert.layers[0].in_channels == 20
    assert set(build_encoders(settings.features)) == set(SLOTS)


def test_the_threshold_is_the_papers_everywhere():
    assert {compose(name).beta for name in ("eval", "generate", "live")} == {BETA} == {compose("train").evaluation.beta}


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
    modules = run_program("-c", program).stdout.split()
    assert "torch" in modules and not any("lightning" in module for module in modules)


def test_every_phase_comes_after_those_that_it_needs():
    names = list(PHASES)
    for name, phase in PHASES.items():
        assert phase.name == name and all(names.index(needed) < names.index(name) for needed in phase.needs)
        assert phase.task_class.__name__.endswith("Task")
        assert getattr(compose("train").recipe, phase.recipe).batch_size > 0
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


@pytest.mark.parametrize("words", [["train.py", "--help"], ["eval.py", "--cfg", "job"], ["-m", "semtalk", "runs"]])
def test_what_is_printed_ends_without_a_word_where_nobody_reads_on(tmp_path, words):
    words = [*words, *[f"runs_dir={tmp_path}"] * (words[-1] != "--help")]
    program = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    program.stdout.close()
    assert program.stderr.read() == ""
    assert program.wait() == -signal.SIGPIPE


@pytest.mark.parametrize("script", ["train.py", "eval.py", "generate.py"])
def test_help_is_quick_and_says_what_matters(script):
    began = time.monotonic()
    text = run_program(script, "--help").stdout
    assert time.monotonic() - began < 10, "a loaded machine is slow, but help must not import torch"
    for word in ("python", "data: ", "sample", "name=NAME", "body.path"):
        if script == "generate.py" and word == "body.path":
            continue
        assert word in text
    modules = run_program("-X", "importtime", script, "--help").stderr
    assert not any(name in modules for name in ("torch", "lightning", "pydantic"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train.py", "data=beat2"], "data.root is not set"),
        (["train.py", "parts=[head]"], "parts.0=head: give a list, each one of face, upper, hands, lower"),
        (["train.py", "stage=nothing"], "stage=nothing: choose one of alignment, all, base,"),
        (["train.py", "experiment=beat3", "dry_run=true"], "experiment=beat3: choose one of ablation/"),
        (["train.py", "modle=small"], "error: modle: there is no such key; did you mean model?"),
        (["eval.py", "runs_dir=/nowhere"], "train.py stage=rvqvae"),
        (["train.py", "trainer.precision=fp8"], "trainer.precision=fp8: choose one of auto, 32-true"),
        (["train.py", "speed.compile=fast"], "speed.compile=fast: choose one of auto, default"),
        (["train.py", "data=null"], "data=null: choose one of beat2, sample, show."),
        (["train.py", "+trainer.profiler=null", "recipe=null"], "recipe=null: choose one of paper, small, strong."),
        (["eval.py", "gate=open"], "choose one of learned, always, never, random"),
        (["generate.py", "audio=/nowhere.wav", "precision=int8"], "choose one of float32, bf16"),
        (["eval.py", "split=all"], "choose one of train, val, test"),
        (["eval.py", "protocol=mine"], "choose one of legacy, evaltools, corrected"),
        (["eval.py", "motions=/nowhere", "truth=/nowhere"], "there is no such folder"),
        (["eval.py", "compare=[runs/one]"], "two runs or more"),
        (["eval.py", "compare=[runs/one,runs/two]", "embedder=runs/one"], "compare reads what that measured"),
        (["scripts/prepare.py", "shard=3/2"], "give i/n"),
        (["scripts/label_semantics.py", "data=show"], "ckpt is not set"),
        (["train.py", "data=show", "data.root=/nowhere"], "is this a SHOW folder"),
        (["train.py", "init=/nowhere"], "error: init=/nowhere: there is no checkpoint here; give the folder of a run"),
        (
            ["train.py", "tokenizer=/no/run"],
            "error: tokenizer=/no/run: there is no checkpoint of 'rvqvae_face' in",
        ),
        (["train.py", "dry_run=true", "tokenizer=/no/run"], "in it; give the folder of a run that has one, as in tok"),
        (["train.py", "embedder=/no/run"], "error: embedder=/no/run: there is no checkpoint of 'fgd' in it; give the"),
        (["eval.py", "embedder=/no/run"], "as in embedder=runs/NAME, or leave embedder out."),
        (
            ["eval.py", "motions=/no", "truth=/no", "embedder=/no/run"],
            "error: embedder=/no/run: there is no checkpoint",
        ),
        (["generate.py"], "audio is not set"),
        (["generate.py", "my.wav"], "error: my.wav: give it as key=value, as in audio=my.wav."),
        (["generate.py", "seed=1", "my voice.wav"], "error: my voice.wav: give it as key=value, as in 'audio=my voice"),
        (["generate.py", "--config-dir", "configs", "my.wav"], "error: my.wav: give it as key=value"),
        (["eval.py", "-m", "runs/one"], "error: runs/one: give it as key=value, as in ckpt=runs/one."),
        (["train.py", "smoke"], "error: smoke: give it as key=value, as in experiment=smoke."),
        (["train.py", "+x", "seed=1"], "error: +x: give it as key=value, as in name=+x."),
        (["generate.py", "audio=/nowhere.wav"], "/nowhere.wav: no such sound file"),
    ],
)
def test_errors_are_one_sentence(arguments, says):
    result = run_command(*arguments, check=False)
    assert result.returncode == 1 and says in result.stderr and "Traceback" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train.py", "data=beat2"], "error: data.root is not set"),
        (["eval.py", "beta=2"], "error: beta=2: give a number from 0 to 1."),
        (["generate.py", "modle=small"], "error: modle: there is no such key; did you mean model?"),
        (["train.py", "model=null"], "error: model=null: choose one of paper, release, small, strong."),
    ],
)
def test_errors_are_told_from_end_to_end(arguments, says):
    result = run_program(*arguments, check=False)
    assert result.returncode == 1 and says in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("trainer.strategy=foo", "trainer: You selected an invalid strategy name"),
        ("body.model=torch.nn:Linear", "it is no class of semtalk.body.BodyModel"),
    ],
)
def test_nothing_is_prepared_for_a_training_that_cannot_be(tmp_path, wrong, says):
    result = run_command("train.py", wrong, f"data_dir={tmp_path}", f"runs_dir={tmp_path}", check=False)
    assert result.returncode == 1 and says in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["sample"], "the embedded corpus, and no store of it"


def test_chosen_parts_are_trained_without_those_that_they_do_not_need(smoke, tmp_path):
    said = run_command(
        "train.py", *smoke[1], "parts=[hands]", f"runs_dir={tmp_path}", "recipe.rvqvae.steps=1", "recipe.fgd.steps=1",
        "seed=3", "seed_in_name=true",
    ).stdout  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "smoke_seed3").iterdir() if path.is_dir()) == [
        "fgd",
        "rvqvae_hands",
    ]
    assert "translation" not in said
    again = run_command(
        "train.py", *smoke[1], "parts=[hands]", f"runs_dir={tmp_path}", "recipe.rvqvae.steps=1", "recipe.fgd.steps=1",
        "seed=4", "seed_in_name=true",
    ).stdout  # fmt: skip
    assert f"embedder={tmp_path}/smoke_seed3 is taken over: no embedder is trained." in again
    first, second = (checkpoint_path(tmp_path / f"smoke_seed{seed}", "fgd").read_bytes() for seed in (3, 4))
    assert first == second, "FGD compares over seeds"
    again = run_command(
        "train.py", *smoke[1], "parts=[hands]", f"runs_dir={tmp_path}", "recipe.rvqvae.steps=1", "recipe.fgd.steps=1",
        "seed=4", "seed_in_name=true",
    ).stdout  # fmt: skip
    assert "no embedder is trained" in again, "as another process finds that trains with it, or the run when it goes on"
    assert checkpoint_path(tmp_path / "smoke_seed4", "fgd").read_bytes() == first
    assert phases_of(["rvqvae", "translation"], ["lower"]) == ["rvqvae_lower", "translation"]
    assert phases_of(["translation"], ["hands"]) == ["translation"], "asked for by itself"
    assert phases_of(["rvqvae", "translation", "fgd"], PARTS) == [*MOTION_PHASES, "fgd"]


def test_some_parts_are_not_trained_for_a_stage_that_needs_all(smoke, tmp_path):
    places = [f"data_dir={tmp_path}/data", f"runs_dir={tmp_path}/runs"]
    said = run_command("train.py", *smoke[1], *places, "parts=[hands]", "stage=all", check=False)
    assert said.returncode == 1 and "parts: base needs rvqvae_face, rvqvae_upper, rvqvae_lower" in said.stderr
    assert not (tmp_path / "runs").exists(), "nothing is trained"


def test_sparse_is_not_trained_beside_a_base_that_lacks_its_speakers(smoke, tmp_path):
    places = [f"data_dir={tmp_path}/data", f"runs_dir={tmp_path}/runs", "data.speakers=3", "name=more"]
    result = run_command(
        "train.py", *smoke[1], *places, "stage=sparse", f"init={smoke[0]}/runs/smoke", check=False,
    )  # fmt: skip
    assert result.returncode == 1 and "its base network does not know the speakers" in result.stderr
    assert not list((tmp_path / "runs").rglob("sparse")), "nothing is trained"


def test_an_embedder_that_is_not_there_is_refused(smoke):
    said = run_command("eval.py", *smoke[1], "embedder=/does/not/exist", "video=false", check=False)
    assert said.returncode == 1 and "embedder=/does/not/exist: there is no checkpoint" in said.stderr


def test_generate_names_the_command_that_makes_a_checkpoint(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    result = run_command("generate.py", f"audio={tmp_path}/a.wav", f"runs_dir={tmp_path}", check=False)
    assert result.returncode == 1 and "python train.py stage=semtalk" in result.stderr


def test_files_of_tests_have_names_of_their_own():
    """They are imported by name alone, so that of two the first would be taken for both."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name, count in names.items() if count > 1] == []
