"""What a training keeps, whatever ends it: checkpoints, curves, and the status that a stop ends with."""

import csv
import itertools
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT, run_command
from tiny import TINY

from semtalk import SemTalk, SemTalkError, compose
from semtalk.body import load_body
from semtalk.data.datamodule import EpochSampler, MotionDataModule
from semtalk.slurm import WARNINGS, go_back_when_warned
from semtalk.tasks import Facts, fit_phase
from semtalk.tasks.build import make_task
from semtalk.tasks.checkpoint import load_needed, load_network, read_stamp
from semtalk.tasks.keep import BEGUN, AtomicIO, Keeper, Stopped
from semtalk.tasks.motion import RVQVAETask

PHASE = "rvqvae_upper"
STEPS = 15
"""Of the trainings here, whose epochs have six."""


def fit(folder, store, *overrides):
    recipe = [f"recipe.rvqvae.steps={STEPS}", "recipe.rvqvae.batch_size=8", "recipe.validations=2"]
    plan = ["trainer=cpu", "trainer.precision=32-true", "+trainer.enable_progress_bar=false", *recipe]
    settings = compose("train", *TINY, *plan, "+trainer.log_every_n_steps=1", *overrides)
    data = MotionDataModule(store, seed=settings.seed)
    return fit_phase(PHASE, settings, data, folder, Facts(store.speakers), load_body(None))


def kept(folder, which: str = "last") -> dict:
    return torch.load(folder / PHASE / f"{which}.ckpt", weights_only=True)


def same(folder, other) -> None:
    """Weights, optimiser and curves of two runs are equal bit by bit."""
    for which in ("last", "best"):
        one, two = kept(folder, which), kept(other, which)
        assert one["global_step"] == two["global_step"]
        judged = [checkpoint["callbacks"]["Keeper"] | {"seconds": None} for checkpoint in (one, two)]
        assert judged[0] == judged[1]
        for name, value in one["state_dict"].items():
            assert torch.equal(value, two["state_dict"][name]), name
        moments = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (one, two)]
        assert all(torch.equal(moments[0][key]["exp_avg"], moments[1][key]["exp_avg"]) for key in moments[0])
    rows = [list(csv.DictReader((run / PHASE / "metrics.csv").open())) for run in (folder, other)]
    assert rows[0] == rows[1] and [row["step"] for row in rows[0]].count("3") == 1


def at_step(monkeypatch, step: int, act) -> None:
    """Have something happen in the middle of a training step, once."""
    losses, done = RVQVAETask.losses, []

    def then(task, batch):
        if task.training and task.global_step == step and not done:
            done.append(step)
            act()
        return losses(task, batch)

    monkeypatch.setattr(RVQVAETask, "losses", then)


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    fit(folder, store)
    return folder


@pytest.mark.parametrize(("figure", "best"), [("rising", 6), ("jaw_r", STEPS)], ids=["the_lowest", "the_highest"])
def test_every_epoch_leaves_a_last_checkpoint_and_the_table_speaks_of_the_best(
    tmp_path, store, monkeypatch, figure, best
):
    monkeypatch.setattr(RVQVAETask, "monitor", f"val/{figure}")
    monkeypatch.setattr(RVQVAETask, "figures", lambda task, _: {figure: torch.tensor(float(task.global_step))})
    row = fit(tmp_path, store)
    assert kept(tmp_path)["global_step"] == STEPS and kept(tmp_path, "best")["global_step"] == best
    assert (row["steps"], row["best_step"], row["validation"][figure]) == (STEPS, best, best)


def test_figures_that_are_good_when_high_choose_the_highest(tmp_path, store, monkeypatch):
    monkeypatch.setattr(RVQVAETask, "monitor", "val/jaw_r")
    monkeypatch.setattr(RVQVAETask, "figures", lambda task, _: {"jaw_r": torch.tensor(-abs(task.global_step - 12.0))})
    row = fit(tmp_path, store)
    assert row["best_step"] == 12 and row["validation"]["jaw_r"] == 0.0


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)], ids=lambda one: str(one)
)
def test_a_signal_ends_the_step_and_resuming_goes_on_as_if_nothing_had_been(
    tmp_path, store, monkeypatch, undisturbed, number, status
):
    before = signal.getsignal(number)
    at_step(monkeypatch, 8, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Stopped) as stopped:
        fit(tmp_path, store)
    assert stopped.value.code == status and signal.getsignal(number) == before
    assert kept(tmp_path)["global_step"] == 9, "the step in which the signal came is done"
    assert not read_stamp(tmp_path, PHASE).finished
    fit(tmp_path, store, "resume=true")
    assert read_stamp(tmp_path, PHASE).finished
    same(tmp_path, undisturbed)


@pytest.mark.parametrize("step", [0, 3, 6, 7, 12, 14])
def test_what_breaks_a_step_costs_no_more_than_what_was_not_kept(tmp_path, store, monkeypatch, undisturbed, step):
    def fail():
        raise RuntimeError("broken")

    at_step(monkeypatch, step, fail)
    with pytest.raises(RuntimeError, match="broken"):
        fit(tmp_path, store, "checkpoint_minutes=1e-9")
    if step:
        assert kept(tmp_path)["global_step"] == step
    assert (tmp_path / PHASE / BEGUN).exists() == (step == 0), "a resume begins again only where nothing was kept"
    fit(tmp_path, store, "resume=true")
    same(tmp_path, undisturbed)


def test_a_run_that_is_stopped_many_times_is_still_the_same(tmp_path, store, monkeypatch, undisturbed):
    for step in (1, 2, 8, 13):
        with monkeypatch.context() as patch:
            at_step(patch, step, lambda: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(Stopped):
                fit(tmp_path, store, "resume=true")
    fit(tmp_path, store, "resume=true")
    same(tmp_path, undisturbed)


def test_rows_whose_checkpoint_was_never_written_are_written_once(tmp_path, store, monkeypatch, undisturbed):
    save = AtomicIO.save_checkpoint

    def fail(io, checkpoint, *rest, **options):
        if checkpoint["global_step"] == 12:
            raise RuntimeError("full")
        save(io, checkpoint, *rest, **options)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="full"):
        patch.setattr(AtomicIO, "save_checkpoint", fail)
        fit(tmp_path, store)
    fit(tmp_path, store, "resume=true")
    same(tmp_path, undisturbed)


def test_what_an_earlier_training_left_is_not_gone_on_with(tmp_path, store, monkeypatch):
    """The new one was killed before it wrote a checkpoint: the same command begins it again."""
    fit(tmp_path / "new", store, "seed=1")
    fit(tmp_path / "run", store)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        at_step(patch, 2, lambda: 1 / 0)
        fit(tmp_path / "run", store, "seed=1")
    assert read_stamp(tmp_path / "run", PHASE).config["seed"] == 0, "until there is a new one"
    fit(tmp_path / "run", store, "seed=1", "resume=true")
    same(tmp_path / "run", tmp_path / "new")


def test_a_signal_after_the_last_step_starts_no_other_phase(tmp_path, store, monkeypatch, undisturbed):
    monkeypatch.setattr(RVQVAETask, "on_train_end", lambda task: os.kill(os.getpid(), signal.SIGTERM), raising=False)
    with pytest.raises(Stopped) as stopped:
        fit(tmp_path, store)
    assert stopped.value.code == 143 and read_stamp(tmp_path, PHASE).finished
    same(tmp_path, undisturbed)


def test_accumulated_gradients_are_never_cut_in_two(tmp_path, store, monkeypatch):
    more = ["+trainer.accumulate_grad_batches=2", "recipe.rvqvae.steps=7"]
    fit(tmp_path / "whole", store, *more)
    at_step(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped):
        fit(tmp_path / "cut", store, *more)
    fit(tmp_path / "cut", store, *more, "resume=true")
    assert all(
        torch.equal(value, kept(tmp_path / "cut")["state_dict"][name])
        for name, value in kept(tmp_path / "whole")["state_dict"].items()
    )


def test_the_windows_of_an_epoch_are_the_same_where_it_is_resumed():
    whole, rest = EpochSampler(20, 0), EpochSampler(20, 0)
    whole.set_epoch(3)
    rest.set_epoch(3, skip=8)
    assert list(whole)[8:] == list(rest)
    rest.set_epoch(3)
    assert list(whole)[8:] == list(rest), "Lightning says again which epoch it is"
    whole.set_epoch(4), rest.set_epoch(4)
    assert list(whole) == list(rest)


def test_the_last_good_network_stays_until_a_new_one_is_written(tmp_path, store, monkeypatch):
    fit(tmp_path, store)
    folder = tmp_path / PHASE
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    losses = RVQVAETask.losses

    def nan_in_the_second_step(task, batch):
        found = losses(task, batch)
        return found | {"rotation": found["rotation"] * (math.nan if task.global_step else 1.0)}

    monkeypatch.setattr(RVQVAETask, "losses", nan_in_the_second_step)
    with pytest.raises(SemTalkError, match="rvqvae_upper, step 2: the loss 'rotation' is nan.*the training stops"):
        fit(tmp_path, store, "seed=1")
    now = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert now.pop(BEGUN) == b"" and now == before


def test_a_loss_of_an_earlier_batch_of_the_step_is_named(tmp_path, store, monkeypatch):
    losses, calls = RVQVAETask.losses, itertools.count()

    def nan_in_the_first_batch(task, batch):
        found = losses(task, batch)
        return found | {"rotation": found["rotation"] * (math.nan if next(calls) == 0 else 1.0)}

    monkeypatch.setattr(RVQVAETask, "losses", nan_in_the_first_batch)
    with pytest.raises(SemTalkError, match="step 1: the loss 'rotation' is nan"):
        fit(tmp_path, store, "+trainer.accumulate_grad_batches=2")


def test_a_gradient_that_is_not_finite_changes_no_weight(tmp_path, store, monkeypatch):
    weights = []

    def hook(task, *rest, **options):
        weights.append({name: value.clone() for name, value in task.network.named_parameters()})
        next(task.network.parameters()).grad.fill_(math.inf)
        return clip(task, *rest, **options)

    clip = RVQVAETask.configure_gradient_clipping
    monkeypatch.setattr(RVQVAETask, "configure_gradient_clipping", hook)
    seen = []
    refuse = RVQVAETask._refuse
    monkeypatch.setattr(RVQVAETask, "_refuse", lambda task, norm: (seen.append(task.network), refuse(task, norm)))
    with pytest.raises(SemTalkError, match=r"step 1: the norm of the gradients is inf"):
        fit(tmp_path, store)
    assert all(torch.equal(value, weights[0][name]) for name, value in seen[0].named_parameters())


def test_a_validation_that_is_not_finite_chooses_nothing(tmp_path, store, monkeypatch):
    monkeypatch.setattr(RVQVAETask, "monitor", "val/nothing")
    monkeypatch.setattr(RVQVAETask, "figures", lambda *_: {"nothing": torch.tensor(math.nan)})
    with pytest.raises(SemTalkError, match="val/nothing is nan after step 6"):
        fit(tmp_path, store)
    assert not (tmp_path / PHASE / "best.ckpt").exists()


def test_checkpoints_are_kept_for_good_where_that_is_wished(tmp_path, store):
    fit(tmp_path, store, "keep_every=2")
    names = sorted(path.stem for path in (tmp_path / PHASE).glob("*.ckpt"))
    assert names == ["best", "epoch_0002", "last"]
    assert kept(tmp_path, "epoch_0002")["global_step"] == 12
    fit(tmp_path, store, "seed=1")
    assert not (tmp_path / PHASE / "epoch_0002.ckpt").exists(), "it is of an earlier training"


def test_half_a_checkpoint_is_never_seen(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicIO().save_checkpoint({"a": 1}, path)

    def half(checkpoint, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        AtomicIO().save_checkpoint({"a": 2}, path)
    assert torch.load(path, weights_only=True) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_as_one_and_leaves_the_checkpoint_before(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicIO().save_checkpoint({"a": 1}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            AtomicIO().save_checkpoint({"a": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.load(path, weights_only=True) == {"a": 1} and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A job of SLURM whose ``scontrol`` writes down what it is told; returns where."""
    said = tmp_path / "scontrol.txt"
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    for name, value in {"NTASKS": 1, "JOB_ID": 77, "PROCID": 0, "LOCALID": 0, "NODEID": 0, "JOB_NAME": "train"}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    before = {number: signal.getsignal(number) for number in WARNINGS}
    go_back_when_warned()
    yield said
    for number, handler in before.items():
        signal.signal(number, handler)


def test_slurm_starts_a_job_again_that_goes_on(tmp_path, store, monkeypatch, undisturbed, slurm):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_step(patch, 8, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        at_step(patch, 10, lambda: os.kill(os.getpid(), signal.SIGTERM))
        at_step(patch, 12, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Stopped) as stopped:
            fit(run, store)
    assert stopped.value.code == 130, "SLURM's own SIGTERM ends nothing: a job that is over does not go back"
    assert slurm.read_text() == "requeue 77\n"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    fit(run, store)
    same(run, undisturbed)
    assert not list((run / PHASE).glob("hpc_ckpt_*"))


def test_a_warning_after_the_last_step_has_the_job_go_back_and_the_training_go_on(tmp_path, store, monkeypatch, slurm):
    finish = Keeper.finish

    def warned(self, trainer):
        self.asked = signal.SIGUSR1
        finish(self, trainer)

    monkeypatch.setattr(Keeper, "finish", warned)
    fit(tmp_path / "run", store)
    assert slurm.read_text() == "requeue 77\n"


def test_children_end_with_a_parent_that_was_killed():
    child = "from semtalk.tasks.keep import end_with_parent; end_with_parent(); print('up', flush=True); input()"
    parent = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', sys.argv[1]], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True); p.stdout.readline(); print(p.pid, flush=True); "
        "time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    number = int(process.stdout.readline())
    process.kill()
    process.wait()
    for _ in range(600):
        try:
            os.kill(number, 0)
            with open(f"/proc/{number}/stat") as file:
                if file.read().split()[2] == "Z":
                    break
        except OSError:
            break
        time.sleep(0.1)
    else:
        os.kill(number, signal.SIGKILL)
        pytest.fail("the child outlives its parent by a minute")


def test_a_stopped_training_starts_no_other_phase_and_is_no_success(smoke, tmp_path):
    folders = [f"runs_dir={tmp_path}/runs", f"data_dir={smoke[0]}/data"]
    arguments = ["experiment=smoke", *folders, "recipe.rvqvae.steps=100000"]
    command = [sys.executable, "train.py", "stage=rvqvae", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = tmp_path / "runs" / "smoke" / "rvqvae_face" / "last.ckpt"
    while not last.is_file() and process.poll() is None:
        time.sleep(0.1)
    process.terminate()
    said, _ = process.communicate()
    assert process.returncode == 143, said
    assert "rvqvae_face is at step" in said and "the same command with resume=true goes on" in said
    assert [path.name for path in (tmp_path / "runs" / "smoke").iterdir()] == ["rvqvae_face"]


def changed(smoke, folder, phase: str, **stamp):
    """A copy of the trained run with other weights of a phase, or with another stamp."""
    run = folder / "run"
    shutil.copytree(smoke[0] / "runs" / "smoke", run)
    path = run / phase / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["semtalk"] |= stamp
    if not stamp:
        name = next(name for name, value in checkpoint["state_dict"].items() if value.is_floating_point())
        checkpoint["state_dict"][name] += 1
    torch.save(checkpoint, path)
    return run


BESIDE_ANOTHER = pytest.mark.parametrize(
    ("other", "says"),
    [
        ("rvqvae_hands", "its 'base' was trained beside another 'rvqvae_hands'.*stage=semtalk"),
        ("base", "its 'sparse' was trained beside another 'base'.*stage=semtalk"),
    ],
)


@BESIDE_ANOTHER
def test_a_training_goes_on_beside_the_networks_that_it_began_with(smoke, tmp_path, other, says):
    phase = says.split("'")[1]
    changed(smoke, tmp_path, other)
    said = run_command(
        "train.py", f"stage={phase}", *smoke[1], f"runs_dir={tmp_path}", "name=run", "resume=true",
        f"recipe.{phase}.steps=12", check=False,
    )  # fmt: skip
    assert said.returncode == 1 and re.search(says, said.stderr), said.stderr


@BESIDE_ANOTHER
def test_networks_that_do_not_belong_together_make_no_motion(smoke, tmp_path, other, says):
    run = changed(smoke, tmp_path, other)
    with pytest.raises(SemTalkError, match=says):
        SemTalk.from_pretrained(run)


def test_translation_belongs_to_its_legs(smoke, tmp_path):
    run = changed(smoke, tmp_path, "rvqvae_lower")
    stamps = {name: read_stamp(run, name).beside for name in ("translation", "base", "sparse")}
    assert set(stamps["translation"]) == {"rvqvae_lower"} and len(stamps["base"]) == 4 and len(stamps["sparse"]) == 5
    with pytest.raises(SemTalkError, match="trained beside another 'rvqvae_lower'"):
        SemTalk.from_pretrained(run)


def test_sparse_is_not_trained_on_what_does_not_belong_together(smoke, tmp_path, store):
    run = changed(smoke, tmp_path, "rvqvae_hands")
    settings = compose("train", *smoke[1])
    with pytest.raises(SemTalkError, match="its 'base' was trained beside another 'rvqvae_hands'"):
        make_task("sparse", settings, store, run)


def test_what_is_not_finished_is_not_built_on_and_said_where_it_is_used(smoke, tmp_path, store, caplog):
    run = changed(smoke, tmp_path, "rvqvae_hands", finished=False)
    says = "the training of 'rvqvae_hands' is not finished, and 'base' needs it.*resume=true"
    with pytest.raises(SemTalkError, match=says):
        load_needed("base", run, None, store.speakers)
    load_network(run, "rvqvae_hands")
    assert "its training is not finished" in caplog.text


FEWER, MORE = ["recipe.rvqvae.batch_size=8"], ["recipe.rvqvae.batch_size=16"]


@pytest.mark.parametrize(
    ("before", "stop", "after", "rest"),
    [(FEWER, 3, MORE, [1, 3, 3]), (MORE, 1, FEWER, [4, 6, 6]), (FEWER, 6, MORE, [3, 3]), (FEWER, 5, MORE, [0, 3, 3])],
    ids=["larger", "smaller", "between epochs", "none left"],
)
def test_a_resume_with_other_batches_has_what_its_epoch_did_not_and_ends_where_it_should(
    tmp_path, store, monkeypatch, before, stop, after, rest
):
    """Of batches of 8 an epoch has six, of 16 three, as another number of processes brings them; a rest goes."""
    seen, losses = [], RVQVAETask.losses
    length = [
        "recipe.rvqvae.schedule=cosine",
        "recipe.rvqvae.steps=null",
        f"recipe.rvqvae.epochs={len(rest) + (stop == 6)}",
    ]
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        at_step(patch, stop - 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
        fit(tmp_path, store, *before, *length)

    def look(task, batch):
        if task.training:
            seen.append((task.current_epoch, task.progress))
        return losses(task, batch)

    monkeypatch.setattr(RVQVAETask, "losses", look)
    row = fit(tmp_path, store, *after, *length, "resume=true")
    first = int(stop == 6)
    assert [sum(epoch == first + number for epoch, _ in seen) for number in range(len(rest))] == rest
    progress = [step / row["steps"] for step in range(stop, row["steps"])]
    assert [found for _, found in seen] == pytest.approx(progress), "along the schedule, to its end"


def test_a_resume_with_other_batches_takes_the_steps_that_are_asked_for(tmp_path, store, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        at_step(patch, 0, lambda: os.kill(os.getpid(), signal.SIGTERM))
        fit(tmp_path, store, *MORE, "recipe.rvqvae.steps=6")
    assert fit(tmp_path, store, *FEWER, "recipe.rvqvae.steps=6", "resume=true")["steps"] == 6


@pytest.mark.parametrize(("after", "said"), [([], "a step had 16 windows so far; it has 8 from here on"), (MORE, "")])
def test_a_resume_says_where_its_steps_have_other_windows(tmp_path, store, monkeypatch, caplog, after, said):
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        at_step(patch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        fit(tmp_path, store, "+trainer.accumulate_grad_batches=2")
    caplog.set_level("INFO", "semtalk")
    fit(tmp_path, store, *after, "resume=true", "recipe.rvqvae.steps=4")
    assert said in caplog.text and ("so far" in caplog.text) == bool(said)
