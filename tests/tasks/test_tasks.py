"""Training: what gets a gradient, resuming, selection of parts, and processes."""

import pytest
import torch

from semtalk.body import load_body
from semtalk.data.datamodule import MotionDataModule
from semtalk.data.windows import MOTION_KEYS, WindowDataset
from semtalk.errors import SemTalkError
from semtalk.motion.parts import batch_frames, part_channels, poses_from_rotation
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose
from semtalk.tasks.build import new_task
from semtalk.tasks.checkpoint import load_checkpoint, load_network
from semtalk.tasks.fit import fit_phase
from semtalk.tasks.motion import shifted
from semtalk.tasks.phases import build_network
from semtalk.tasks.stamp import Facts, new_stamp

TINY = [
    "model.network.width=16", "model.network.face_layers=1", "model.network.audio_layers=1", "model.rvqvae.width=16",
    "model.rvqvae.latent=16", "model.rvqvae.codes=8", "recipe.validations=100",
]  # fmt: skip


def make(phase: str, store, *overrides: str, **networks):
    settings = compose("train", *TINY, *overrides)
    torch.manual_seed(0)
    network = build_network(phase, settings, len(store.speakers))
    return new_task(phase, settings, network, networks, body=load_body(None), progress=0.5).train()


@pytest.fixture(scope="module")
def rvqvaes():
    settings = compose("train", *TINY)
    torch.manual_seed(0)
    return {f"rvqvae_{part}": build_network(f"rvqvae_{part}", settings, 1) for part in PARTS}


@pytest.fixture(scope="module")
def batch(store):
    return WindowDataset(store, store.split("train"), 20).__getitems__([0, 9, 20, 30])


def test_no_gradient_into_base_in_the_sparse_phase(store, batch, rvqvaes):
    base = build_network("base", compose("train", *TINY), len(store.speakers))
    calls = []
    base.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    task = make("sparse", store, **rvqvaes, base=base)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    task.total(task.losses(batch)).backward()
    assert all(parameter.grad is None for parameter in base.parameters())
    assert calls == [False], "base runs once, without gradient"
    assert not base.training
    assert all(torch.equal(before[name], value) for name, value in base.state_dict().items())
    assert not any(name.startswith(("_base", "base.")) for name in task.state_dict())
    task.weights["fusion"] = 0.0
    task.losses(batch)
    assert len(calls) == 1, "without the fusion loss base does not run at all"


def test_fusion_loss_moves_the_gate(store, batch, rvqvaes):
    base = build_network("base", compose("train", *TINY), len(store.speakers))
    task = make("sparse", store, **rvqvaes, base=base)
    task.losses(batch)["fusion"].backward()
    assert task.network.semantics.gate.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("passes", [1, 3])
def test_gate_loss_counts_once_for_each_pass(store, batch, rvqvaes, passes):
    from semtalk.losses import gate_loss

    base = build_network("base", compose("train", *TINY), len(store.speakers))
    task = make("sparse", store, f"recipe.sparse.passes={passes}", **rvqvaes, base=base).eval()
    losses = task.losses(batch)
    logits = task.network.encode_speech(batch).gate_logits
    assert losses["gate"].item() == pytest.approx(passes * gate_loss(logits, batch["semantic"]).item(), rel=1e-5)


def test_sparse_losses_follow_the_semantic_score(store, batch, rvqvaes):
    base = build_network("base", compose("train", *TINY), len(store.speakers))
    task = make("sparse", store, "recipe.sparse.floor=0.0", **rvqvaes, base=base).eval()
    torch.manual_seed(0)
    one = task.losses(batch | {"semantic": torch.zeros(4, 16)})
    assert one["classification"] == 0 and one["latent"] == 0
    steps = torch.zeros(4, 16)
    steps[:, 3] = 0.7
    torch.manual_seed(0)
    assert task.losses(batch | {"semantic": steps})["classification"] > 0


def test_tokenizer_stays_frozen(store, batch, rvqvaes):
    task = make("base", store, **rvqvaes)
    tokenizer = task.tokenizer
    before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    losses = task.losses(batch)
    assert set(losses) == {"classification", "latent", "local", "global"}
    task.total(losses).backward()
    unused = [name for name, p in task.network.named_parameters() if p.grad is None]
    assert not unused, unused
    assert all(torch.equal(before[name], value) for name, value in tokenizer.state_dict().items())
    tokenizer.train()
    assert not any(module.training for module in tokenizer.modules())


@pytest.mark.parametrize("part", list(PARTS))
def test_every_reconstruction_loss_has_a_weight_and_a_gradient(store, batch, part):
    task = make(f"rvqvae_{part}", store)
    task.weights = dict.fromkeys(task.weights, 1.0)
    losses = task.losses(batch)
    assert {"rotation", "velocity", "acceleration", "commitment", "position"} <= set(losses)
    assert ("expressions" in losses) == (part == "face")
    assert ({"contact", "translation", "skating"} <= set(losses)) == (part == "lower")
    task.total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in task.network.parameters())


@pytest.mark.parametrize("part", ["upper", "hands"])
def test_position_losses_are_of_the_joints_that_are_measured(store, batch, part):
    """With SMPL-X's mean hand, which the fingers' joints are elsewhere without."""
    task, body = make(f"rvqvae_{part}", store), load_body(None)
    target = part_channels(batch_frames(batch), PARTS[part])
    prediction = target + 0.1 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    own = batch["rotation"].clone()
    own[:, :, list(PARTS[part].joints)] = prediction.unflatten(-1, (-1, 6))
    joints = [body.joints(poses_from_rotation(rotation), batch["betas"]) for rotation in (own, batch["rotation"])]
    loss = task._position_losses(batch, prediction, target)["position"]
    assert loss.item() == pytest.approx((joints[0] - joints[1]).abs().mean().item(), rel=1e-4)


def fit(folder, store, *overrides, phase="rvqvae_upper"):
    settings = compose("train", *TINY, "recipe.rvqvae.batch_size=8", "trainer=cpu", *overrides)
    data = MotionDataModule(store, settings.recipe.stride, seed=settings.seed)
    return fit_phase(phase, settings, data, folder, Facts(store.speakers), load_body(None))


def losses_of(folder, phase="rvqvae_upper") -> dict[int, float]:
    import csv

    with (folder / phase / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["val/loss"]]
    return {int(row["step"]): float(row["val/loss"]) for row in rows}


def test_shifted_windows_are_four_frames_shorter(batch):
    starts = set()
    torch.manual_seed(0)
    for _ in range(40):
        own = shifted(batch)
        where = [s for s in range(5) if torch.equal(own["rotation"], batch["rotation"][:, s : s + 60])]
        assert all(torch.equal(own[key], batch[key][:, where[0] : where[0] + 60]) for key in MOTION_KEYS)
        starts.add(where[0])
    assert starts == {0, 1, 2, 3}


def test_shifting_is_for_training_alone(store, batch):
    task = make("rvqvae_face", store)
    lengths = []
    forward = task.network.forward
    task.network.forward = lambda target, levels: lengths.append(target.shape[1]) or forward(target, levels)
    task.losses(batch)
    task.eval().losses(batch)
    still = make("rvqvae_face", store, "recipe.rvqvae.shift=false")
    still.network.forward = lambda target, levels: lengths.append(target.shape[1]) or forward(target, levels)
    still.losses(batch)
    assert lengths == [60, 64, 64]


def test_resume_goes_on_along_the_same_curve(tmp_path, store):
    schedule = ["recipe.rvqvae.schedule=constant"]
    fit(tmp_path / "whole", store, "recipe.rvqvae.epochs=4", *schedule)
    fit(tmp_path / "halves", store, "recipe.rvqvae.epochs=2", *schedule)
    fit(tmp_path / "halves", store, "recipe.rvqvae.epochs=4", "resume=true", *schedule)
    whole, halves = losses_of(tmp_path / "whole"), losses_of(tmp_path / "halves")
    assert len(whole) == 4 and halves == pytest.approx(whole, abs=1e-6)
    ends = [load_network(tmp_path / name, "rvqvae_upper", "last")[0].state_dict() for name in ("whole", "halves")]
    for name, value in ends[0].items():
        assert torch.allclose(value.float(), ends[1][name].float(), atol=1e-6), name


def test_either_plan_resumes_the_other(tmp_path, store):
    schedule = ["recipe.rvqvae.schedule=constant", "trainer.precision=32-true"]
    for folder, first, second in (("a", "fast", "plain"), ("b", "plain", "fast")):
        fit(tmp_path / folder, store, "recipe.rvqvae.epochs=1", f"speed={first}", *schedule)
        resumed = ["recipe.rvqvae.epochs=2", f"speed={second}", "resume=true"]
        fit(tmp_path / folder, store, *resumed, *schedule)
        last = load_checkpoint(tmp_path / folder / "rvqvae_upper" / "last.ckpt", "rvqvae_upper")
        assert last["optimizer_states"][0]["param_groups"][0]["fused"] is (second == "fast")
    assert losses_of(tmp_path / "a") == pytest.approx(losses_of(tmp_path / "b"), rel=1e-4)


def test_a_training_that_cannot_start_loses_nothing(tmp_path, store):
    fit(tmp_path, store, "recipe.rvqvae.epochs=1")
    folder = tmp_path / "rvqvae_upper"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {"best.ckpt", "last.ckpt", "metrics.csv", "config.yaml"} <= set(before)
    for wrong, says in (("devices=-3", "devices"), ("strategy=nothing", "strategy"), ("precision=fp8", "choose one")):
        with pytest.raises(SemTalkError, match=says):
            fit(tmp_path, store, "recipe.rvqvae.epochs=1", f"trainer.{wrong}")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("phase", ["rvqvae_face", "rvqvae_lower", "translation", "fgd"])
def test_half_precision_trains(tmp_path, store, phase):
    weights = [f"recipe.{name}.epochs=1" for name in ("rvqvae", "translation", "fgd")]
    weights += ["recipe.rvqvae.losses.position=1.0", "recipe.rvqvae.losses.skating=0.1", "trainer.precision=bf16-mixed"]
    if phase == "translation":
        fit(tmp_path, store, "recipe.rvqvae.epochs=1", phase="rvqvae_lower")
    row = fit(tmp_path, store, *weights, "recipe.translation.losses.skating=0.1", phase=phase)
    assert all(value == value for value in row["validation"].values())
    network, _ = load_network(tmp_path, phase)
    assert all(value.dtype != torch.bfloat16 for value in network.state_dict().values())


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_half_precision_losses_agree(store, batch, rvqvaes, phase):
    base = build_network("base", compose("train", *TINY), len(store.speakers))
    task = make(phase, store, **rvqvaes, base=base)
    values = []
    for half in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            values.append(task.total(task.losses(batch)))
        values[-1].backward()
    assert values[1].item() == pytest.approx(values[0].item(), rel=0.02)


def test_checkpoint_holds_its_configuration(tmp_path, store):
    fit(tmp_path, store, "recipe.rvqvae.epochs=1")
    network, stamp = load_network(tmp_path, "rvqvae_upper")
    assert stamp.config["model"]["rvqvae"]["codes"] == 8 and stamp.facts.speakers == store.speakers
    assert stamp.settings.model == compose("train", *TINY).model
    assert network.mean.abs().max() > 0, "statistics are part of it"
    assert (tmp_path / "rvqvae_upper" / "config.yaml").is_file()


def test_bad_checkpoints_are_named(tmp_path, store):
    path = tmp_path / "base" / "best.ckpt"
    with pytest.raises(SemTalkError, match="python train.py stage=semtalk"):
        load_network(tmp_path, "base")
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 cut in half")
    with pytest.raises(SemTalkError, match="not a readable checkpoint"):
        load_network(tmp_path, "base")
    checkpoint: dict = {"state_dict": {}}
    torch.save(checkpoint, path)
    with pytest.raises(SemTalkError, match="not a checkpoint of this code base"):
        load_network(tmp_path, "base")
    config = compose("train", *TINY).plain()
    new_stamp("sparse", config, Facts([1])).write(checkpoint)
    torch.save(checkpoint, path)
    with pytest.raises(SemTalkError, match="a checkpoint of 'sparse'"):
        load_network(tmp_path, "base")
    new_stamp("base", config, Facts([1])).write(checkpoint)
    torch.save(checkpoint, path)
    with pytest.raises(SemTalkError, match=r"do not fit the configuration that it holds \(\S+ is missing\)") as error:
        load_network(tmp_path, "base")
    assert "\n" not in str(error.value)
    del checkpoint["semtalk"]["config"]["model"]["base"]["project"]
    torch.save(checkpoint, path)
    with pytest.raises(SemTalkError, match="model.base.project: the key is missing"):
        load_network(tmp_path, "base")
    checkpoint["semtalk"]["format"] = 99
    torch.save(checkpoint, path)
    with pytest.raises(SemTalkError, match="newer version"):
        load_network(tmp_path, "base")


def test_a_checkpoint_cannot_run_code(tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    path = tmp_path / "base" / "best.ckpt"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(SemTalkError):
        load_network(tmp_path, "base")
    assert not (tmp_path / "ran").exists()
