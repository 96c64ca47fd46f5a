"""Jobs of a cluster go on by themselves after a warning; searches make a figure of validation small."""

import csv
import json
import math
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from cluster import Cluster
from conftest import ROOT, plain, run_command, run_program
from omegaconf import OmegaConf

from semtalk import run, slurm
from semtalk.commands.train import _objective
from semtalk.errors import DivergedError, SemTalkError
from semtalk.settings import compose
from semtalk.settings.refuse import refuse

STEPS = 60
TRAINING = [
    "experiment=smoke", "stage=fgd", f"recipe.fgd.steps={STEPS}", "recipe.fgd.batch_size=8", "name=job",
    "trainer.precision=32-true",
]  # fmt: skip


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    found = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("PATH", found.path)
    return found


def warned_once(cluster, run_dir, number, job=1):
    """Warn a job as soon as it trains, and wait for its end; returns what its processes said."""
    cluster.wait((run_dir / "fgd" / ".begun").exists)
    cluster.warn(number, job)
    cluster.wait((cluster.job(job) / "code").exists)
    return (cluster.job(job) / "out.txt").read_text()


def whole(run_dir) -> None:
    """See that a run that was cut in two is whole."""
    checkpoint = torch.load(run_dir / "fgd" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == STEPS
    with (run_dir / "fgd" / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row.get("train/loss")]
    assert steps == sorted(set(steps)) and len(steps) == STEPS // 10


def test_a_job_that_sbatch_started_goes_on_after_its_warning(cluster, smoke, tmp_path):
    script = tmp_path / "train.sbatch"
    text = (ROOT / "scripts" / "train.sbatch").read_text()
    script.write_text(text.replace("srun python train.py", f"srun {sys.executable} {ROOT}/train.py"))
    words = [*TRAINING, f"runs_dir={tmp_path}/runs", f"data_dir={smoke[0]}/data"]
    said = subprocess.run(["sbatch", str(script), *words], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout == "Submitted batch job 1\n"
    said = warned_once(cluster, tmp_path / "runs" / "job", signal.SIGUSR1)
    assert "SLURM has job 1 in its queue again" in said and (cluster.job() / "code").read_text() == "0", said
    whole(tmp_path / "runs" / "job")
    assert not list((tmp_path / "runs" / "job" / "fgd").glob("hpc_ckpt*"))


@pytest.mark.slow
def test_a_job_of_the_launcher_goes_on_after_its_warning(cluster, tmp_path):
    words = ["-m", "hydra/launcher=slurm", *TRAINING, f"runs_dir={tmp_path}/runs", f"data_dir={tmp_path}/data"]
    process = subprocess.Popen([sys.executable, "train.py", *words], cwd=ROOT)
    said = warned_once(cluster, tmp_path / "runs" / "job", signal.SIGUSR2)
    assert process.wait(60) == 0, said
    whole(tmp_path / "runs" / "job")


def test_slurm_that_takes_no_job_back_is_said(cluster, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    (cluster.home / "bin" / "scontrol").write_text("#!/bin/sh\necho 'requeue is disabled' >&2\nexit 1\n")
    slurm._requeue(signal.SIGUSR1, None)
    assert "SLURM does not take job 7 back (requeue is disabled)" in capsys.readouterr().err
    (cluster.home / "bin" / "scontrol").unlink()
    slurm._requeue(signal.SIGUSR1, None)
    assert "SLURM does not take job 7 back ([Errno 2] No such file" in capsys.readouterr().err


def test_the_first_process_of_a_job_speaks_for_all(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    cluster.job(7).mkdir()
    monkeypatch.setenv("SLURM_PROCID", "1")
    slurm._requeue(signal.SIGUSR1, None)
    assert not (cluster.job(7) / "again").exists()
    monkeypatch.setenv("SLURM_PROCID", "0")
    slurm._requeue(signal.SIGUSR1, None)
    assert (cluster.job(7) / "again").exists()
    cluster.home.joinpath("8_3.job").mkdir()
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "8")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    slurm._requeue(signal.SIGUSR1, None)
    assert (cluster.home / "8_3.job" / "again").exists()


def test_handlers_are_for_jobs_alone_and_leave_those_there_are(monkeypatch):
    before = {number: signal.getsignal(number) for number in slurm.WARNINGS}
    try:
        slurm.go_back_when_warned()
        assert {number: signal.getsignal(number) for number in slurm.WARNINGS} == before
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        for number in slurm.WARNINGS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # as submitit's own
        slurm.go_back_when_warned()
        assert signal.getsignal(signal.SIGUSR1) is slurm._requeue
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.slow
def test_a_search_makes_a_figure_of_validation_small(smoke, tmp_path):
    words = ["experiment=smoke", "stage=fgd", "recipe.fgd.steps=2", "trainer.precision=32-true"]
    storage = f"sqlite:///{tmp_path}/runs/search.db"
    (tmp_path / "runs").mkdir()
    words += ["objective=degrees", f"runs_dir={tmp_path}/runs", f"data_dir={smoke[0]}/data",
              "recipe.fgd.lr=tag(log,interval(1e-5,1e-2))", f"hydra.sweeper.storage={storage}"]  # fmt: skip
    search = ["train.py", "-m", "hydra/sweeper=optuna_val", "hydra.sweeper.study_name=first", *words]
    run_program(*search, "name=job", "hydra.sweeper.n_trials=2")
    found = OmegaConf.load(tmp_path / "runs" / "optimization_results.yaml")
    numbers = {}
    for number in range(2):
        folder = tmp_path / "runs" / f"job_{number}" / "fgd"
        kept = torch.load(folder / "best.ckpt", weights_only=True)["callbacks"]["Keeper"]["numbers"]
        numbers[OmegaConf.load(folder / "config.yaml").recipe.fgd.lr] = kept["degrees"]
    assert len(numbers) == 2, "another value each"
    assert found.best_params["recipe.fgd.lr"] == min(numbers, key=numbers.get)
    assert found.best_value == pytest.approx(min(numbers.values()))
    run_program(*search, "name=more", "hydra.sweeper.n_trials=1", "hydra.sweeper.sampler.seed=1")
    import optuna

    trials = optuna.load_study(study_name="first", storage=storage).trials
    assert [trial.value for trial in trials[:2]] == pytest.approx([*numbers.values()])
    assert len({trial.params["recipe.fgd.lr"] for trial in trials}) == len(trials) == 3


def test_trials_of_a_search_are_kept_in_a_file(tmp_path):
    storage = f"sqlite:///{tmp_path}/new/search.db"
    words = ["-m", "hydra/sweeper=optuna_val", f"hydra.sweeper.storage={storage}"]
    with pytest.raises(SemTalkError, match=f"there is no folder {tmp_path}/new; make it first"):
        refuse("train", words)
    (tmp_path / "new").mkdir()
    refuse("train", words)
    import optuna

    for count in (2, 3):
        study = optuna.create_study(storage=storage, study_name="first", load_if_exists=True)
        study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=count)
    assert len(study.trials) == 5


def test_an_objective_is_the_smaller_the_better():
    row = {"phase": "base", "select": "jaw_r", "validation": {"jaw_r": 0.6, "loss": 2.0}}
    assert _objective(None, row) == -0.6 and _objective("loss", row) == 2.0
    with pytest.raises(SemTalkError, match="objective=fgd: the validation of base has none; choose one of jaw_r, loss"):
        _objective("fgd", row)


def test_a_training_that_diverges_ends_no_search(monkeypatch, capsys):
    def diverge(settings):
        raise DivergedError("base, step 3: the loss is nan")

    config = OmegaConf.create(plain("train"))
    with pytest.raises(SystemExit, match="error: base, step 3"):
        run.command(diverge, "train", config)
    monkeypatch.setattr(run, "_is_searched", lambda: True)
    assert math.isnan(run.command(diverge, "train", config))
    assert "error: base, step 3" in capsys.readouterr().err


def test_a_launcher_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(sys.modules["semtalk.settings.refuse"], "find_spec", lambda name: None)
    for word, package in (("hydra/launcher=slurm", "hydra-submitit-launcher"),
                          ("hydra/sweeper=optuna_val", 'hydra-optuna-sweeper "SQLAlchemy<2"'),
                          ("hydra/launcher=joblib", "hydra-joblib-launcher")):  # fmt: skip
        with pytest.raises(SemTalkError, match=f"{word}: it is of a package .* `pip install {package}`"):
            refuse("train", ["-m", word])
    refuse("train", ["hydra/launcher=basic", "name=slurm"])


def test_seeds_are_measured_with_one_embedder_however_they_were_trained(smoke, tmp_path):
    folder, words = smoke
    for seed in (0, 2, 10):
        shutil.copytree(folder / "runs" / "smoke", tmp_path / f"many_seed{seed}")
    words = [*words, f"runs_dir={tmp_path}", "name=many", "seed_in_name=true"]
    for seed in (10, 2):
        assert run.shared_embedder(compose("eval", *words, f"seed={seed}")) == f"{tmp_path}/many_seed0"
    assert run.shared_embedder(compose("eval", *words[:-1], "seed=2")) is None
    run_command("eval.py", *words, "seed=2", "video=false")
    found = json.loads((tmp_path / "many_seed2" / "eval" / "test" / "metrics.json").read_text())
    assert found["config"]["embedder"] == f"{tmp_path}/many_seed0"
    shutil.rmtree(tmp_path / "many_seed0" / "fgd")
    assert run.shared_embedder(compose("eval", *words, "seed=10")) == f"{tmp_path}/many_seed2", "2 comes before 10"
