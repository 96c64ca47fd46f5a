"""What goes to ``pl.Trainer``: all of it, and steps that are counted exactly."""

import csv
import inspect

import pytest
import pytorch_lightning as pl
import torch
from tiny import TINY

from semtalk import SemTalkError, compose
from semtalk.body import load_body
from semtalk.data.datamodule import MotionDataModule
from semtalk.settings.commands import OF_THE_STRATEGY, SET_ELSEWHERE, Trainer
from semtalk.tasks import Facts, build_network, fit_phase, new_stamp
from semtalk.tasks.build import new_task
from semtalk.tasks.checkpoint import load_checkpoint, load_for_speakers, share_checkpoints
from semtalk.tasks.fit import length_of, make_trainer
from semtalk.tasks.keep import Keeper


def fit(folder, store, *overrides):
    settings = compose(
        "train", *TINY, "trainer=cpu", "recipe.rvqvae.batch_size=8", "recipe.validations=100", *overrides
    )
    return fit_phase("rvqvae_upper", settings, MotionDataModule(store), folder, Facts(store.speakers), load_body(None))


def keeper(folder) -> Keeper:
    return Keeper(folder, "val/loss", {}, minutes=10.0)


def test_every_argument_of_lightning_is_a_key_or_set_elsewhere():
    arguments = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    assert not arguments - set(Trainer.model_fields) - set(SET_ELSEWHERE)
    assert not set(Trainer.model_fields) & set(SET_ELSEWHERE)
    assert set(Trainer.model_fields) - arguments == OF_THE_STRATEGY


def test_given_keys_reach_the_trainer(tmp_path):
    given = ["+trainer.limit_train_batches=1", "+trainer.accumulate_grad_batches=4", "+trainer.detect_anomaly=true"]
    settings = compose("train", *TINY, *given, "trainer.precision=32-true")
    task = new_task("fgd", settings, build_network("fgd", settings, 1), {})
    trainer = make_trainer(settings, task, tmp_path, length_of(settings.recipe.fgd, 10), keeper(tmp_path))
    assert (trainer.limit_train_batches, trainer.accumulate_grad_batches) == (1, 4)


def test_unknown_keys_are_refused():
    with pytest.raises(SemTalkError, match="trainer.limit_trian_batches: there is no such key"):
        compose("train", "+trainer.limit_trian_batches=1")


@pytest.mark.parametrize("steps", [1, 7, 12])
def test_steps_are_optimiser_steps_exactly(tmp_path, store, steps):
    """An epoch has 6 steps; the last validation is at the end."""
    row = fit(tmp_path, store, f"recipe.rvqvae.steps={steps}")
    assert row["steps"] == steps
    assert load_checkpoint(tmp_path / "rvqvae_upper" / "last.ckpt", "rvqvae_upper")["global_step"] == steps
    with (tmp_path / "rvqvae_upper" / "metrics.csv").open(newline="") as file:
        rows = [int(row["step"]) for row in csv.DictReader(file) if row["val/loss"]]
    assert rows[-1] == steps - 1 and len(rows) == -(-steps // 6)


def test_a_longer_training_goes_on_to_its_last_step(tmp_path, store):
    assert [fit(tmp_path, store, f"recipe.rvqvae.steps={steps}", "resume=true")["steps"] for steps in (2, 9, 9)] == [
        2,
        9,
        9,
    ]


def test_gradients_are_accumulated(tmp_path, store):
    assert fit(tmp_path, store, "recipe.rvqvae.steps=3", "+trainer.accumulate_grad_batches=2")["steps"] == 3


def test_the_schedule_is_the_recipes():
    settings = compose("train", "recipe.fgd.lr=0.5", "recipe.fgd.lr_floor=0.1", "recipe.fgd.betas=[0.5,0.6]")
    task = new_task("fgd", settings, build_network("fgd", settings, 1), {})
    task.trainer = type("T", (), {"estimated_stepping_batches": 100})()
    found = task.configure_optimizers()
    optimizer, rate = found["optimizer"], found["lr_scheduler"]["scheduler"].lr_lambdas[0]
    assert optimizer.param_groups[0]["betas"] == (0.5, 0.6)
    assert rate(0) == pytest.approx(1 / 5) and rate(100) == pytest.approx(0.1) and rate(50) == pytest.approx(0.55)


def test_a_resume_that_would_mix_up_parameters_is_refused(tmp_path, store):
    from semtalk.tasks.fit import resumable

    settings = compose("train", *TINY)
    checkpoint = {"state_dict": {}}
    new_stamp("base", settings.plain(), Facts([1])).write(checkpoint)
    checkpoint["semtalk"]["format"] = 1
    torch.save(checkpoint, tmp_path / "last.ckpt")
    with pytest.raises(SemTalkError, match="counts parameters in another order.*init=RUN"):
        resumable(tmp_path / "last.ckpt", "base")


def test_new_speakers_begin_as_the_mean(tmp_path):
    settings = compose("train", *TINY)
    network = build_network("base", settings, 2)
    checkpoint = {"state_dict": {f"network.{name}": value for name, value in network.state_dict().items()}}
    new_stamp("base", settings.plain(), Facts([7, 8])).write(checkpoint)
    (tmp_path / "base").mkdir()
    torch.save(checkpoint, tmp_path / "base" / "best.ckpt")
    own = load_for_speakers(tmp_path, "base", [7, 8, 9])[0].face.speaker.weight
    rows = network.face.speaker.weight
    assert torch.equal(own[:2], rows) and torch.allclose(own[2], rows.mean(dim=0))
    assert torch.equal(load_for_speakers(tmp_path, "base", [8, 7])[0].face.speaker.weight, rows.flip(0))


@pytest.mark.parametrize("limit", ["limit_train_batches=1", "limit_train_batches=0.4", "overfit_batches=2"])
def test_steps_are_exact_under_limits(tmp_path, store, limit):
    assert fit(tmp_path, store, "recipe.rvqvae.steps=5", f"+trainer.{limit}")["steps"] == 5


def test_a_training_that_never_validates_says_so(tmp_path, store):
    with pytest.raises(SemTalkError, match="ended before a validation"):
        fit(tmp_path, store, "recipe.rvqvae.steps=5", "+trainer.max_time=00:00:00:00")


def test_shared_checkpoints_never_replace_a_runs_own(tmp_path, store):
    for name in ("one", "two"):
        fit(tmp_path / name, store, "recipe.rvqvae.steps=1", f"seed={len(name) + (name == 'two')}")
    with pytest.raises(SemTalkError, match="has a 'rvqvae_upper' of its own; give the run another name"):
        share_checkpoints(tmp_path / "one", tmp_path / "two", ["rvqvae_upper"], "tokenizer")
    with pytest.raises(SemTalkError, match="tokenizer=.*there is no checkpoint of 'rvqvae_upper' in it"):
        share_checkpoints(tmp_path / "none", tmp_path / "two", ["rvqvae_upper"], "tokenizer")
    share_checkpoints(tmp_path / "one", tmp_path / "three", ["rvqvae_upper"], "tokenizer")
    share_checkpoints(tmp_path / "one", tmp_path / "three", ["rvqvae_upper"], "tokenizer")
    files = [(tmp_path / name / "rvqvae_upper" / "best.ckpt").read_bytes() for name in ("one", "three")]
    assert files[0] == files[1]
