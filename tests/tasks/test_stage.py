"""What all phases share: weights, progress, seeds, learning rate, clip, and that the test split is never looked at."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_settings
from torch import nn

from semtalk import compose
from semtalk.body import load_body
from semtalk.data.datamodule import EpochSampler, MotionDataModule
from semtalk.data.store import Store, StoredRecording, mean_joint_speed, speed_of_joints
from semtalk.motion.parts import batch_frames, part_channels
from semtalk.motion.skeleton import PARTS
from semtalk.tasks import Facts, build_network, fit_phase, new_stamp
from semtalk.tasks.build import MIN_SCALE, channel_statistics, feature_statistics, make_task, training_channels
from semtalk.tasks.stage import StageTask


class Plain(StageTask):
    """Two losses of random numbers, and a figure."""

    phase = "fgd"

    def losses(self, batch):
        value = self.network.weight.sum() + torch.rand(())
        return {"rotation": value, "velocity": value.square()}

    def figures(self, batch):
        return {"degrees": torch.rand(())}


def plain(*overrides: str, **known) -> Plain:
    torch.manual_seed(0)
    return Plain(nn.Linear(3, 1), tiny_settings(*overrides).recipe.fgd, load_body(None), **known)


def trainer(step: int = 0, steps: int = 100, rank: int = 0, accumulate: int = 1, world: int = 2) -> SimpleNamespace:
    return SimpleNamespace(
        global_step=step,
        estimated_stepping_batches=steps,
        global_rank=rank,
        world_size=world,
        accumulate_grad_batches=accumulate,
        num_training_batches=5,
        val_dataloaders=SimpleNamespace(batch_size=10),
        precision="32-true",
    )


def test_each_loss_is_multiplied_by_the_weight_of_its_name():
    weights = ["recipe.fgd.losses.rotation=2.0", "recipe.fgd.losses.velocity=3.0", "recipe.fgd.losses.acceleration=5.0"]
    task = plain(*weights, weights={"own": 7.0})
    losses = {"velocity": torch.tensor(1.0), "own": torch.tensor(100.0), "rotation": torch.tensor(10.0)}
    assert task.total(losses).item() == 2 * 10 + 3 * 1 + 7 * 100


def test_progress_is_the_share_of_the_steps_that_are_done():
    task = plain()
    task.trainer = trainer(step=30, steps=120)
    assert task.progress == 0.25
    assert plain(progress=0.7).progress == 0.7


def test_randomness_of_a_step_follows_from_seed_step_and_process():
    def drawn(seed: int, step: int, rank: int) -> float:
        task = plain(seed=seed)
        task.trainer = trainer(step=step, rank=rank)
        torch.rand(17)
        task.on_train_batch_start(None, 0)
        return torch.rand(()).item()

    assert drawn(1, 5, 0) == drawn(1, 5, 0)
    assert len({drawn(1, 5, 0), drawn(2, 5, 0), drawn(1, 6, 0), drawn(1, 5, 1)}) == 4


def test_processes_draw_alike_what_a_step_has_in_common_and_their_own_else():
    def drawn(rank: int, batch: int = 0) -> tuple[float, float]:
        task = plain()
        task.trainer = trainer(step=5, rank=rank, accumulate=2)
        task.on_train_batch_start(None, batch)
        return torch.rand((), generator=task.alike).item(), torch.rand(()).item()

    every = [drawn(rank, batch) for rank in (0, 1) for batch in (0, 1)]
    assert len({alike for alike, _ in every}) == 1 and len({own for _, own in every}) == 4


def test_batches_of_a_validation_know_their_place_in_it(monkeypatch):
    seen, tasks = [], [plain(), plain()]
    monkeypatch.setattr(torch, "manual_seed", seen.append)
    for rank, index in ((0, 0), (1, 0), (0, 1), (1, 1)):
        task = tasks[rank]
        task.trainer = trainer(rank=rank)
        monkeypatch.setattr(task, "log", lambda *_, **__: None)
        task.validation_step({"speaker": torch.zeros(4)}, index)
        seen.append(task.first_window)
    assert seen == [0, 0, 1, 10, 2, 20, 3, 30], "seed and first window, as in one process"


def test_gradients_are_let_go_of_at_the_first_batch_of_a_step_alone():
    task = plain()
    task.trainer = trainer(accumulate=2)
    for index, kept in ((0, False), (1, True), (2, False)):
        task.network.weight.grad = torch.ones(1, 3)
        task.on_train_batch_start(None, index)
        assert (task.network.weight.grad is not None) == kept


def test_validation_is_the_same_each_time_and_leaves_training_as_it_was(monkeypatch):
    task, logged = plain(), []
    task.trainer = trainer()
    monkeypatch.setattr(task, "log", lambda name, value, **_: logged[-1].update({name: float(value)}))
    batch = {"speaker": torch.zeros(4)}
    torch.manual_seed(3)
    expected = torch.rand(())
    torch.manual_seed(3)
    for index in (0, 1, 0):
        logged.append({})
        task.validation_step(batch, index)
    assert torch.rand(()) == expected
    assert logged[0] == logged[2] != logged[1]
    assert set(logged[0]) == {"val/loss", "val/rotation", "val/velocity", "val/degrees"}
    total = sum(task.weights[name] * logged[0][f"val/{name}"] for name in ("rotation", "velocity"))
    assert logged[0]["val/loss"] == pytest.approx(total)


def test_a_training_step_gives_the_weighted_sum(monkeypatch):
    task, logged = plain(), {}
    monkeypatch.setattr(task, "log_dict", lambda values, **_: logged.update(values))
    monkeypatch.setattr(task, "log", lambda name, value, **_: logged.update({name: value}))
    task.trainer = trainer()
    loss = task.training_step({"speaker": torch.zeros(4)}, 0)
    assert loss.requires_grad and loss == logged["train/loss"]
    total = sum(task.weights[name] * logged[f"train/{name}"] for name in ("rotation", "velocity"))
    assert loss.item() == pytest.approx(total.item())


def test_the_last_step_of_an_epoch_is_the_mean_over_the_batches_that_are_left(monkeypatch):
    """Lightning divides by ``accumulate_grad_batches`` whatever there is."""
    task, logged = plain(), {}
    monkeypatch.setattr(task, "log_dict", lambda values, **_: None)
    monkeypatch.setattr(task, "log", lambda name, value, **_: logged.update({name: value}))
    for accumulate, weights in ((1, [1] * 5), (2, [1, 1, 1, 1, 2]), (3, [1, 1, 1, 1.5, 1.5]), (9, [1.8] * 5)):
        task.trainer = trainer(accumulate=accumulate)
        for batch, weight in enumerate(weights):
            loss = task.training_step({"speaker": torch.zeros(4)}, batch)
            assert loss.item() == pytest.approx(weight * logged["train/loss"].item()), (accumulate, batch)


def test_a_step_that_a_training_goes_on_within_is_the_mean_over_the_batches_that_it_still_has(monkeypatch):
    """Of other windows than before an epoch's place may lie between two steps."""
    task, logged = plain(), {}
    monkeypatch.setattr(task, "log_dict", lambda values, **_: None)
    monkeypatch.setattr(task, "log", lambda name, value, **_: logged.update({name: value}))
    task.trainer = trainer(accumulate=3)
    for batch, weight in ((1, 1.5), (2, 1.5), (3, 1.5), (4, 1.5), (0, 1)):
        task.on_train_batch_start(None, batch)
        loss = task.training_step({"speaker": torch.zeros(4)}, batch)
        assert loss.item() == pytest.approx(weight * logged["train/loss"].item()), batch


def test_a_constant_rate_is_adam_alone():
    task = plain("recipe.fgd.schedule=constant", "recipe.fgd.lr=0.003", "recipe.fgd.betas=[0.5,0.6]")
    task.network.bias.requires_grad_(False)
    optimizer = task.configure_optimizers()
    (group,) = optimizer.param_groups
    assert type(optimizer) is torch.optim.Adam and group["lr"] == 0.003 and group["betas"] == (0.5, 0.6)
    assert len(group["params"]) == 1, "what is frozen is not trained"


@pytest.mark.parametrize(("steps", "warmup", "reached"), [(1000, 10, 10), (100, 50, 5), (10, 50, 1)])
def test_the_rate_rises_evenly_and_falls_along_a_cosine_to_its_floor(steps, warmup, reached):
    task = plain("recipe.fgd.schedule=cosine", f"recipe.fgd.warmup={warmup}", "recipe.fgd.lr_floor=0.1")
    task.trainer = trainer(steps=steps)
    found = task.configure_optimizers()["lr_scheduler"]
    (rate,) = found["scheduler"].lr_lambdas
    assert found["interval"] == "step"
    for step in range(steps + 2):
        angle = torch.pi * min(1.0, step / steps)
        cosine = 0.1 + 0.9 * 0.5 * (1 + torch.cos(torch.tensor(angle)).item())
        assert rate(step) == pytest.approx(min(1.0, (step + 1) / reached) * cosine, abs=1e-6), step
    assert rate(steps) == rate(steps + 1) == pytest.approx(0.1)


@pytest.mark.parametrize(("clip", "norm"), [("0.5", 0.5), ("100.0", 20.0), ("null", 20.0)])
def test_the_norm_of_all_gradients_is_clipped(clip, norm):
    task = plain(f"recipe.fgd.clip={clip}")
    task.network.weight.grad, task.network.bias.grad = torch.tensor([[12.0, 0.0, 0.0]]), torch.tensor([16.0])
    task.trainer, task._terms = trainer(), {}
    task.configure_gradient_clipping(None)
    own = torch.cat([task.network.weight.grad.flatten(), task.network.bias.grad]).norm()
    assert own.item() == pytest.approx(norm, rel=1e-4)


class Takes:
    """Some takes for each split, which notes what is asked for."""

    def __init__(self):
        self.asked: list[str] = []
        self.speakers = [1]

    def split(self, name: str) -> list[dict]:
        self.asked.append(name)
        g = torch.Generator().manual_seed(len(name))
        scale = {"train": 3.0, "val": 5.0, "test": 7.0}[name]
        keys = {"rotation": (55, 6), "expressions": (100,), "root": (3,), "contact": (4,), "hubert": (8,)}
        return [
            {key: scale + scale * torch.randn(frames, *shape, generator=g) for key, shape in keys.items()}
            for frames in (90, 40)
        ]


@pytest.mark.parametrize("part", PARTS)
def test_channels_are_standardised_by_the_training_split(part):
    takes = Takes()
    mean, scale = channel_statistics(takes, part)
    assert set(takes.asked) == {"train"} and len(training_channels(takes, part)) == 2
    rows = torch.cat([part_channels(batch_frames(take), PARTS[part]) for take in Takes().split("train")])
    assert torch.allclose(mean, rows.mean(dim=0)) and torch.allclose(scale, rows.std(dim=0))

    class Still(Takes):
        def split(self, name):
            return [{key: 0 * value + 2 for key, value in take.items()} for take in super().split(name)]

    mean, scale = channel_statistics(Still(), part)
    assert (mean == 2).all() and (scale == MIN_SCALE).all(), "channels that stand still are not blown up"


def test_features_are_standardised_by_the_frames_of_the_training_split():
    takes = Takes()
    mean, scale = feature_statistics(takes, "hubert")
    assert set(takes.asked) == {"train"}
    rows = torch.cat([take["hubert"] for take in Takes().split("train")]).double()
    assert torch.allclose(mean, rows.mean(dim=0)) and torch.allclose(scale, rows.std(dim=0, correction=0))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with untrained checkpoints of every phase."""
    folder, settings = tmp_path_factory.mktemp("run"), tiny_settings()
    for phase in [*(f"rvqvae_{part}" for part in PARTS), "translation", "fgd", "base"]:
        torch.manual_seed(0)
        network = build_network(phase, settings, 1)
        for level in getattr(network, "quantizer", nn.Module()).children():
            for codebook in level:
                codebook.codebook.normal_()
        checkpoint = {"state_dict": {f"network.{name}": value for name, value in network.state_dict().items()}}
        new_stamp(phase, settings.plain(), Facts([1])).write(checkpoint)
        (folder / phase).mkdir()
        torch.save(checkpoint, folder / phase / "best.ckpt")
    return folder


class Watched:
    """A store that notes which splits are asked for, and when."""

    def __init__(self, store):
        self.store, self.asked = store, []

    def __getattr__(self, name):
        return getattr(self.store, name)

    def split(self, name: str):
        self.asked.append(name)
        return self.store.split(name)


@pytest.mark.parametrize("phase", ["rvqvae_upper", "translation", "fgd", "base", "sparse"])
def test_what_a_network_begins_with_is_of_the_training_split_alone(run, store, phase):
    watched = Watched(store)
    settings = compose("train", *TINY, "recipe.validations=1")
    task = make_task(phase, settings, watched, run, Facts(store.speakers), load_body(None))
    assert set(watched.asked) <= ({"train", "val"} if phase == "sparse" else {"train"}), "val: that it has labels"
    if phase in ("base", "sparse"):
        from semtalk.tasks.codes import latent_statistics

        own = latent_statistics(task.tokenizer, store.split("train"))
        assert all(torch.equal(task.statistics.mean[part], own.mean[part]) for part in PARTS)
        for slot, layer in task.network.standard.items():
            mean, scale = feature_statistics(store, slot)
            assert torch.allclose(layer.mean.double(), mean) and torch.allclose(layer.scale.double(), scale)
    if phase == "base":
        assert all(torch.equal(task.network.readouts[part].mean, own.mean[part]) for part in PARTS)
    if phase == "rvqvae_upper":
        mean, scale = channel_statistics(store, "upper")
        assert torch.equal(task.network.mean, mean) and torch.equal(task.network.scale, scale)
        own = build_network(phase, settings, 1)
        own.set_statistics(mean, scale), own.fit_linear(training_channels(store, "upper"))
        for name, value in own.linear.state_dict().items():
            assert torch.equal(task.network.linear.state_dict()[name], value), "the training split's directions"


@pytest.mark.parametrize("phase", ["rvqvae_upper", "sparse"])
def test_training_and_the_choice_of_a_checkpoint_never_see_the_test_split(run, store, phase, tmp_path):
    import shutil

    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    watched = Watched(store)
    settings = compose(
        "train", *TINY, "trainer=cpu", "recipe.validations=1", *(f"recipe.{k}.steps=1" for k in ("rvqvae", "sparse"))
    )
    data = MotionDataModule(watched, settings.recipe.stride, seed=settings.seed)
    fit_phase(phase, settings, data, tmp_path, Facts(store.speakers), load_body(None))
    assert set(watched.asked) == {"train", "val"}


def test_windows_of_training_are_shuffled_and_those_of_validation_are_not(store):
    data = MotionDataModule(store, stride=20, batch_size=8, seed=4)
    train, val = data.train_dataloader(), data.val_dataloader()
    assert train.dataset.recordings == store.split("train") and val.dataset.recordings == store.split("val")
    assert list(val.sampler) == list(range(len(val.dataset)))
    assert list(train.sampler) != sorted(train.sampler) and train.drop_last and not val.drop_last
    orders = [list(EpochSampler(50, seed)) for seed in (4, 4, 5)]
    assert orders[0] == orders[1] != orders[2]


def test_splits_are_the_corpuss(tmp_path):
    recordings = [
        StoredRecording(tmp_path, {"id": str(i), "split": s}) for i, s in enumerate(("train", "val", "test", "val"))
    ]
    own = Store(tmp_path, recordings, [1], 20)
    assert [[r.id for r in own.split(name)] for name in ("train", "val", "test")] == [["0"], ["1", "3"], ["2"]]


def test_what_a_task_is_given_is_the_settings(run, store):
    settings = compose("train", *TINY, "seed=11", "speed.fused_adam=false", "recipe.decoding.face=coherent")
    task = make_task("base", settings, store, run, Facts(store.speakers), load_body(None))
    assert task.seed == 11 and task.fused is False and task.recipe is settings.recipe.base and not task.world
    assert (task.decoding.face, task.decoding.body) == ("coherent", settings.recipe.decoding.body)
    release = Facts(store.speakers, generation="release")
    assert make_task("base", settings, store, run, release, load_body(None)).world, "its motion is counted in the world"
    plain = compose("train", *TINY, "model.standardise=false")
    layers = make_task("base", plain, store, run, Facts(store.speakers), load_body(None)).network.standard.values()
    assert all((layer.scale == 1).all() and (layer.mean == 0).all() for layer in layers)


def test_the_speed_that_beats_are_measured_by_is_the_training_splits(store, tmp_path):
    class Own:
        def mean_joint_speed(self):
            return None

    own = Store(tmp_path, store.recordings, store.speakers, store.stride)
    speed, source = mean_joint_speed(own, Own(), load_body(None))
    assert np.allclose(speed, speed_of_joints(store.split("train"), load_body(None))) and "training split" in source
