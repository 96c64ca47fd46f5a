"""The networks hear: features are standardised, speech reaches its own frame, the checkpoint that hears is kept."""

import csv

import pytest
import torch
from tiny import TINY, tiny_batch

from semtalk.body import load_body
from semtalk.data.datamodule import MotionDataModule
from semtalk.data.windows import WindowDataset
from semtalk.models.layers import LocalPath, Standardise
from semtalk.models.predictor import Passes
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose
from semtalk.tasks.build import feature_statistics, make_task, set_feature_statistics
from semtalk.tasks.checkpoint import load_checkpoint
from semtalk.tasks.codes import BaseMotionTask, LatentStatistics, latent_statistics
from semtalk.tasks.fit import fit_phase
from semtalk.tasks.phases import build_network
from semtalk.tasks.stamp import Facts

SLOTS = {"base": {"hubert", "rhythm"}, "sparse": {"hubert", "words", "sentence", "emotion"}}


def network(phase: str, *overrides: str):
    torch.manual_seed(0)
    return build_network(phase, compose("train", *TINY, *overrides), speakers=2).eval()


def logits(net, batch) -> torch.Tensor:
    features, motion, masks = batch
    prediction = net(features, motion, masks[:1], Passes())
    return torch.cat([value.flatten() for value in prediction.logits.values()])


class ScaledStore:
    """A store whose features have other units in every channel."""

    def __init__(self, store, slots):
        draw = torch.Generator().manual_seed(1)
        self.units = {slot: 10 ** torch.randn(store.recordings[0][slot].shape[-1], generator=draw) for slot in slots}
        self.store = store

    def scaled(self, features: dict) -> dict:
        return {key: value * self.units[key] if key in self.units else value for key, value in features.items()}

    def split(self, name: str) -> list[dict]:
        return [self.scaled({slot: recording[slot] for slot in self.units}) for recording in self.store.split(name)]


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_units_of_features_do_not_matter(store, phase):
    """A track of squares, like energy, is as loud as one of amplitudes only in the units of the training split."""
    other, features = ScaledStore(store, SLOTS[phase]), tiny_batch()
    one, two = network(phase), network(phase)
    assert set(one.standard) == SLOTS[phase]
    set_feature_statistics(one, store)
    set_feature_statistics(two, other)
    expected = logits(one, features)
    assert torch.allclose(logits(two, (other.scaled(features[0]), *features[1:])), expected, atol=2e-3)
    assert not torch.allclose(logits(network(phase), features), expected, atol=2e-3), "the statistics are used"


def test_feature_statistics_are_those_of_the_training_split(store):
    rows = torch.cat([recording["rhythm"] for recording in store.split("train")]).double()
    mean, scale = feature_statistics(store, "rhythm")
    assert torch.allclose(mean, rows.mean(dim=0)) and torch.allclose(scale, rows.std(dim=0, correction=0))

    class Still:
        def split(self, name):
            return [{"hubert": torch.full((9, 2), 5.0)}]

    assert feature_statistics(Still(), "hubert")[1].tolist() == [1.0, 1.0], "a constant channel is not blown up"


@pytest.mark.parametrize(("model", "standard"), [("small", True), ("paper", True), ("release", False)])
def test_the_release_hears_features_as_they_are(store, model, standard):
    assert compose("train", f"model={model}").model.standardise == standard
    net = build_network("base", compose("train", "model=release", *TINY), speakers=2)
    assert net.face.local is None and net.body.local is None
    assert all(not layer.mean.any() and (layer.scale == 1).all() for layer in net.standard.values())


def test_strong_is_the_papers_sizes_and_what_hears():
    def parameters(model: str, phase: str) -> dict[str, torch.Size]:
        with torch.device("meta"):
            depth = "model.network.residual_layers=1"  # the paper's five layers for five codes; strong has more
            net = build_network(phase, compose("train", f"model={model}", f"recipe={model}", depth), speakers=2)
        return {name: value.shape for name, value in net.named_parameters()}

    for phase, added in {"base": ".local", "rvqvae_upper": ".linear."}.items():
        paper, strong = parameters("paper", phase), parameters("strong", phase)
        assert paper.items() <= strong.items()
        assert all(added in f".{name}" for name in strong.keys() - paper.keys()) and len(strong) > len(paper)


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_earlier_checkpoints_load_as_the_identity(store, phase):
    net, features = network(phase), tiny_batch()
    before = logits(net, features)
    early = {name: value for name, value in net.state_dict().items() if "standard." not in name}
    early = {name: value for name, value in early.items() if not name.startswith("readouts.")}
    assert len(early) < len(net.state_dict())
    set_feature_statistics(net, store)
    assert not torch.allclose(logits(net, features), before)
    net.load_state_dict(early)
    assert torch.equal(logits(net, features), before)
    with pytest.raises(RuntimeError, match="Missing key"):
        net.load_state_dict({name: value for name, value in early.items() if "speaker" not in name})


def test_noise_is_added_in_training_alone():
    layer, x = Standardise(3, noise=0.5), torch.randn(20000, 3)
    layer.set_statistics(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 10.0, 100.0]))
    clean = (x - layer.mean) / layer.scale
    assert torch.allclose(layer.eval()(x), clean)
    added = layer.train()(x) - clean
    assert torch.allclose(added.std(dim=0), torch.full((3,), 0.5), atol=0.02), "in deviations of the feature"


def test_local_path_by_hand():
    torch.manual_seed(0)
    path = LocalPath(4, 6, layers=2, dropout=0.3).eval()
    speech, known = torch.randn(2, 9, 4), torch.randn(2, 9, 6)
    x = path.enter(speech) + known
    for layer in path.layers:
        x = x + torch.nn.functional.gelu(layer(x.transpose(1, 2)).transpose(1, 2))
    assert torch.allclose(path(speech, known), x)
    changed = speech.clone()
    changed[:, 4] += 1.0
    moved = (path(changed, known) - path(speech, known)).abs().sum(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [False, False, True, True, True, True, True, False, False], "each layer reaches one frame"


@pytest.mark.parametrize("branch", ["face", "body"])
def test_speech_reaches_its_own_frame_without_attention(branch):
    """With attention deaf, what is said at a time still moves the codes of that time, and those far away stay."""
    net = network("base")
    part = getattr(net, branch)
    attention = part.attention if branch == "face" else part.audio_attention
    for layer in attention.layers:
        layer.multihead_attn.out_proj.weight.data.zero_()
    halved = []
    part.halve.register_forward_hook(lambda module, inputs, output: halved.append(output))
    (features, motion, masks), first = tiny_batch(), 40
    changed = {**features, "rhythm": features["rhythm"].clone()}
    changed["rhythm"][:, first : first + 4] += 3.0
    for batch in (features, changed):
        logits(net, (batch, motion, masks))
    moved = (halved[1] - halved[0]).abs().sum(dim=(0, 2)) > 1e-5
    assert moved[20:22].all() and not moved[:17].any() and not moved[25:].any()
    early = network("base", "model.network.local_layers=0")
    assert getattr(early, branch).local is None


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    tokenizer = Tokenizer({part: build_network(f"rvqvae_{part}", compose("train", *TINY), 1) for part in PARTS})
    for part in PARTS:
        for level in tokenizer[part].quantizer.levels:
            level.codebook.normal_(std=0.1)
    return tokenizer


def test_latent_statistics_by_hand(store, tokenizer):
    (recording, *_) = store.split("val")
    found = latent_statistics(tokenizer, [recording])
    from semtalk.evaluation.takes import true_frames
    from semtalk.motion.parts import part_channels

    frames = true_frames(recording, slice(0, recording.frames // 4 * 4))
    with torch.no_grad():
        latent = tokenizer["hands"].encode_latent(part_channels(frames, PARTS["hands"]))[0]
    assert torch.allclose(found.mean["hands"], latent.mean(dim=0), atol=1e-5)
    assert torch.allclose(found.variance["hands"], latent.var(dim=0).sum(), rtol=1e-4)
    for level, book in enumerate(tokenizer.codebooks("hands")):
        nearest = torch.cdist(latent[None], book[None])[0].min(dim=-1)
        assert torch.allclose(found.spread["hands"][level], nearest.values.square().mean(), rtol=1e-3, atol=1e-6)
        latent = latent - book[nearest.indices]


def base_task(store, tokenizer) -> BaseMotionTask:
    settings = compose("train", *TINY)
    net = build_network("base", settings, len(store.speakers))
    statistics = latent_statistics(tokenizer, store.split("train"))
    return BaseMotionTask(net, settings.recipe.base, tokenizer=tokenizer, statistics=statistics).eval()


def test_unexplained_share_by_hand(store, tokenizer):
    """Where the right codes are certain, what quantising them loses is left unexplained."""
    task = base_task(store, tokenizer)
    windows = WindowDataset(store, store.split("train"), 20)
    targets = task.targets(windows.__getitems__(list(range(len(windows)))))
    hard = {part: torch.nn.functional.one_hot(code, 8).float() * 200 for part, code in targets.codes.items()}
    for part, latent in targets.latents.items():
        share = task.unexplained(hard[part], targets, part)
        quantised = targets.vectors[part].sum(dim=-2)
        error = (quantised - latent).square().sum(dim=-1).mean()
        assert torch.allclose(share, error / task.statistics.variance[part], rtol=1e-3)
    assert LatentStatistics.unit(tokenizer).spread["face"].shape == (6,)
    assert all(torch.allclose(value.sum(dim=-1), torch.ones(())) for value in targets.classes.values())


def test_the_best_checkpoint_of_base_is_the_one_that_hears(smoke, store, tmp_path):
    folder = smoke[0] / "runs" / "smoke"
    settings = compose(
        "train", "experiment=smoke", f"runs_dir={smoke[0]}/runs", f"data_dir={smoke[0]}/data", "recipe.validations=9",
        "recipe.base.steps=9", "trainer.accelerator=cpu",
    )  # fmt: skip
    run = tmp_path / "run"
    run.mkdir()
    for part in PARTS:
        (run / f"rvqvae_{part}").symlink_to(folder / f"rvqvae_{part}")
    facts, data = Facts(store.speakers), MotionDataModule(store)
    task = make_task("base", settings, store, run, facts, load_body(None))
    assert task.monitor == "val/unexplained_face"
    assert all(layer.scale.min() > 0 and (layer.scale != 1).any() for layer in task.network.standard.values())
    assert all(readout.mean.abs().sum() > 0 for readout in task.network.readouts.values())
    fit_phase("base", settings, data, run, facts, load_body(None))
    with (run / "base" / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val/unexplained_face"]]
    assert len(rows) > 2
    kept = load_checkpoint(run / "base" / "best.ckpt", "base")
    best = min(rows, key=lambda row: float(row["val/unexplained_face"]))
    assert kept["global_step"] == int(best["step"]) + 1
    gain = kept["state_dict"]["network.readouts.face.gain"].item()
    assert gain == pytest.approx(float(best["val/gain_face"]), rel=1e-5)
