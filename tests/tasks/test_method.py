"""The training of base and sparse, term by term: losses by hand, the masks and passes that a network is given."""

import pytest
import torch
from tiny import tiny_settings, tiny_tokenizer, training_batch
from torch import nn

from semtalk.models.base_motion import BaseMotionPrediction
from semtalk.models.decoding import Decoding, Readout
from semtalk.models.masking import seed_mask
from semtalk.models.predictor import TRAINING_PASSES, Passes
from semtalk.models.sparse_motion import SparseMotionPrediction
from semtalk.motion.parts import batch_frames, motion_channels, split_parts
from semtalk.motion.skeleton import BODY_PARTS, PARTS
from semtalk.tasks.codes import BaseMotionTask, LatentStatistics, SparseMotionTask, latent_statistics

B, S, L, K, C = 3, 16, 6, 8, 16
PASSES = ["recipe.base.passes=3", "recipe.sparse.passes=3", "recipe.base.softness=0", "recipe.sparse.softness=0"]
CELLS = ["recipe.base.mask.hides=cells", "recipe.sparse.mask.hides=cells"]
"""So many cells are hidden one by one that their share is the ratio; whole joints are too few for that."""


class Stub(nn.Module):
    """Predicts fixed numbers, and remembers what it was given."""

    def __init__(self, parts=tuple(PARTS), seed: int = 0):
        super().__init__()
        g = torch.Generator().manual_seed(seed)

        def values(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(3, B, S, *shape, generator=g))

        self.logits = nn.ParameterDict({part: values(L, K) for part in parts})
        self.latents = nn.ParameterDict({part: values(L, C) for part in parts})
        self.rhythmic = nn.ParameterDict({part: values(C) for part in ("face", "hands")})
        self.speech = nn.ParameterDict({part: nn.Parameter(values(C)[0].data) for part in ("face", "hands")})
        self.gate = nn.Parameter(values(2)[0].data)
        self.readouts = nn.ModuleDict({part: Readout(C) for part in PARTS})
        self.calls: list[dict] = []

    def forward(self, batch, motion, masks, passes, speech=None):
        count = len(passes)
        self.calls.append(
            {"batch": batch, "motion": motion, "masks": masks, "passes": passes, "grad": torch.is_grad_enabled()}
        )
        logits, latents, rhythmic = (
            {part: value[:count] for part, value in table.items()}
            for table in (self.logits, self.latents, self.rhythmic)
        )
        if "face" not in self.logits:
            return SparseMotionPrediction(logits, latents, gate_logits=self.gate)
        return BaseMotionPrediction(logits, latents, rhythmic=rhythmic, speech=dict(self.speech))


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def batch():
    return training_batch(B)


def base_task(tokenizer, *overrides: str, progress: float = 0.3, **known) -> BaseMotionTask:
    recipe = tiny_settings(*PASSES, *overrides).recipe.base
    return BaseMotionTask(Stub(), recipe, tokenizer=tokenizer, progress=progress, **known).train()


def sparse_task(tokenizer, *overrides: str, progress: float = 0.3, **known) -> SparseMotionTask:
    recipe = tiny_settings(*PASSES, *overrides).recipe.sparse
    base = Stub(seed=1)
    task = SparseMotionTask(Stub(BODY_PARTS), recipe, tokenizer=tokenizer, base=base, progress=progress, **known)
    return task.train()


def true_codes(tokenizer, batch) -> tuple[dict, dict]:
    """Part -> indices (B, S, L), and their vectors (B, S, L, C), level by level with plain nearest neighbours."""
    codes, vectors = {}, {}
    for part, channels in split_parts(batch_frames(batch)).items():
        with torch.no_grad():
            left, chosen, found = tokenizer[part].encode_latent(channels), [], []
        for level in tokenizer[part].quantizer.levels:
            index = torch.cdist(left, level.codebook[None]).argmin(dim=-1)
            chosen.append(index), found.append(level.codebook[index])
            left = left - found[-1]
        codes[part], vectors[part] = torch.stack(chosen, dim=-1), torch.stack(found, dim=-2)
    return codes, vectors


def code_losses_by_hand(net, codes, vectors, weight) -> tuple[torch.Tensor, torch.Tensor]:
    """L_cls and L_rec: summed over three passes, averaged over parts, steps weighted."""
    classification, latent = [], []
    for part in net.logits:
        for run in range(3):
            chances = net.logits[part][run].log_softmax(dim=-1)
            picked = -chances.gather(-1, codes[part][..., None])[..., 0]
            cross = sum(picked[..., level] / (level + 1) for level in range(L))
            error = (net.latents[part][run] - vectors[part]).square().mean(dim=(-1, -2))
            classification.append((cross * weight).sum() / weight.sum())
            latent.append((error * weight).sum() / weight.sum())
    parts = len(net.logits)
    return torch.stack(classification).sum() / parts, torch.stack(latent).sum() / parts


def info_nce_by_hand(motion, speech) -> torch.Tensor:
    """Eq. 4 with tau 0.1 and the softmax over the speech side: rows (N, C)."""
    motion, speech = (x / x.norm(dim=-1, keepdim=True) for x in (motion, speech))
    return -(motion @ speech.T / 0.1).log_softmax(dim=-1).diagonal().mean()


def test_every_term_of_base_by_hand(tokenizer, batch):
    weights = {"classification": 2.0, "latent": 3.0, "local": 5.0, "global": 7.0}
    task = base_task(tokenizer, *(f"recipe.base.losses.{name}={value}" for name, value in weights.items()))
    net, losses = task.network, task.losses(batch)
    cross, error = code_losses_by_hand(net, *true_codes(tokenizer, batch), torch.ones(B, S))
    heard = [(net.rhythmic[part][run], net.speech[part]) for part in ("face", "hands") for run in (0, 2)]
    local = sum(
        torch.stack([info_nce_by_hand(m, s) for m, s in zip(motion, speech, strict=True)]).mean()
        for motion, speech in heard
    )
    pooled = sum(info_nce_by_hand(motion.mean(dim=1), speech.mean(dim=1)) for motion, speech in heard)
    expected = {"classification": cross, "latent": error, "local": local, "global": pooled}
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-4), name
    total = sum(weights[name] * value for name, value in expected.items())
    assert task.total(losses).item() == pytest.approx(total.item(), rel=1e-4)


def test_every_term_of_sparse_by_hand(tokenizer, batch):
    weights = {"classification": 2.0, "latent": 3.0, "gate": 5.0, "fusion": 7.0}
    own = [f"recipe.sparse.losses.{name}={value}" for name, value in weights.items()]
    task = sparse_task(tokenizer, *own, "recipe.sparse.floor=0.25")
    net, base, losses = task.network, task._base.network, task.losses(batch)
    codes, vectors = true_codes(tokenizer, batch)
    cross, error = code_losses_by_hand(net, codes, vectors, 0.25 + 0.75 * batch["semantic"])
    label = (batch["semantic"] > 0).long()
    assert 0 < label.float().mean() < 1
    gate = -3 * net.gate.log_softmax(dim=-1).gather(-1, label[..., None]).mean()
    psi = net.gate.softmax(dim=-1)[..., 1, None, None]
    fused = [psi * net.latents[part][0] + (1 - psi) * base.latents[part][0] for part in BODY_PARTS]
    fusion = sum((f - vectors[part]).square().mean() for f, part in zip(fused, BODY_PARTS, strict=True)) / 3
    expected = {"classification": cross, "latent": error, "gate": gate, "fusion": fusion}
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-4), name
    total = sum(weights[name] * value for name, value in expected.items())
    assert task.total(losses).item() == pytest.approx(total.item(), rel=1e-4)


def test_passes_of_training_are_seed_then_random_without_and_with_audio():
    assert Passes(mask=(0, 1, 1), audio=(True, False, True)) == TRAINING_PASSES
    assert Passes() == Passes(mask=(0,), audio=(True,)), "that of generation"


@pytest.mark.parametrize("make", [base_task, sparse_task])
def test_a_network_in_training_is_given_the_seed_mask_and_a_random_one(tokenizer, batch, make):
    task = make(tokenizer, *CELLS, progress=0.3)
    task.losses(batch)
    call = task.network.calls[0]
    assert call["passes"] == TRAINING_PASSES and call["masks"].shape == (2, B, 64, 337)
    assert torch.equal(call["masks"][0], seed_mask().expand(B, -1, -1)), "the first: all but four frames are hidden"
    assert call["masks"][1].mean() == pytest.approx(0.2, abs=0.03), "the second: 0.4 halfway through the warm-up"
    assert not torch.equal(call["masks"][1][0], call["masks"][1][1]), "drawn for each window"
    assert torch.equal(call["motion"], motion_channels(batch_frames(batch), batch["trans"]))
    assert call["batch"] is batch


@pytest.mark.parametrize("make", [base_task, sparse_task])
@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.15, 0.1), (0.6, 0.4), (0.9, 0.4)])
def test_the_random_mask_grows_with_the_training(tokenizer, batch, make, progress, share):
    own = [f"recipe.{name}.mask.{key}" for name in ("base", "sparse") for key in ("ratio=0.4", "warmup=0.6")]
    task = make(tokenizer, *CELLS, *own, progress=progress)
    task.losses(batch)
    assert task.network.calls[0]["masks"][1].mean() == pytest.approx(share, abs=0.03)


def test_validation_hides_as_much_as_the_end_of_training(tokenizer, batch):
    task = base_task(tokenizer, *CELLS, progress=0.0).eval()
    task.losses(batch)
    assert task.network.calls[0]["masks"][1].mean() == pytest.approx(0.4, abs=0.03)


def test_one_pass_is_the_seed_pass(tokenizer, batch):
    task = base_task(tokenizer, "recipe.base.passes=1")
    task.losses(batch)
    (call,) = task.network.calls
    assert call["passes"] == Passes((0,), (True,)) and torch.equal(call["masks"], seed_mask().expand(1, B, -1, -1))


def test_base_is_asked_for_the_seed_pass_with_audio_and_without_gradient(tokenizer, batch):
    task = sparse_task(tokenizer)
    task.total(task.losses(batch)).backward()
    base = task._base.network
    (call,) = base.calls
    assert call["passes"] == Passes((0,), (True,)) and not call["grad"] and not base.training
    assert torch.equal(call["masks"], seed_mask().expand(1, B, -1, -1)) and call["batch"] is batch
    assert torch.equal(call["motion"], task.network.calls[0]["motion"])
    assert all(value.grad is None for value in base.parameters())


def test_every_output_of_base_gets_a_gradient_from_every_pass_that_it_is_compared_in(tokenizer, batch):
    task = base_task(tokenizer)
    task.total(task.losses(batch)).backward()
    net = task.network
    for table in (net.logits, net.latents):
        assert all((value.grad.flatten(1).abs().sum(dim=1) > 0).all() for value in table.values())
    for value in net.rhythmic.values():
        assert (value.grad.flatten(1).abs().sum(dim=1) > 0).tolist() == [True, False, True], "not without audio"
    assert all(value.grad.abs().sum() > 0 for value in net.speech.values())
    assert all(value.grad is None for value in tokenizer.parameters())


def test_the_fusion_loss_reaches_latents_and_gate_of_the_seed_pass(tokenizer, batch):
    task = sparse_task(tokenizer)
    task.losses(batch)["fusion"].backward()
    net = task.network
    assert net.gate.grad.abs().sum() > 0 and all(value.grad is None for value in net.logits.values())
    for value in net.latents.values():
        assert (value.grad.flatten(1).abs().sum(dim=1) > 0).tolist() == [True, False, False]


def test_meaningless_steps_weigh_the_floor(tokenizer, batch):
    still = batch | {"semantic": torch.zeros(B, S)}
    task = sparse_task(tokenizer, "recipe.sparse.floor=0.25")
    one = task.losses(still)["classification"]
    cross, _ = code_losses_by_hand(task.network, *true_codes(tokenizer, batch), torch.ones(B, S))
    assert one.item() == pytest.approx(cross.item(), rel=1e-4), "where all weigh the same, none is left out"


def test_codes_of_training_are_those_of_whole_level_by_level_search(tokenizer, batch):
    codes, vectors = true_codes(tokenizer, batch)
    targets = base_task(tokenizer).targets(batch)
    for part in PARTS:
        assert torch.equal(targets.codes[part], codes[part]) and targets.classes[part] is targets.codes[part]
        assert torch.allclose(targets.vectors[part], vectors[part])
        with torch.no_grad():
            latent = tokenizer[part].encode_latent(split_parts(batch_frames(batch))[part])
        assert torch.allclose(targets.latents[part], latent)
        assert not targets.vectors[part].requires_grad and not targets.latents[part].requires_grad


def test_soft_targets_follow_each_levels_own_residual_codebook_and_spread(tokenizer, batch):
    statistics = LatentStatistics.unit(tokenizer)
    statistics.spread = {part: torch.arange(1.0, L + 1) for part in PARTS}
    task = base_task(tokenizer, "recipe.base.softness=0.5", statistics=statistics)
    codes, vectors = true_codes(tokenizer, batch)
    classes = task.targets(batch).classes
    for part in PARTS:
        with torch.no_grad():
            left = tokenizer[part].encode_latent(split_parts(batch_frames(batch))[part])
        for level, book in enumerate(tokenizer.codebooks(part)):
            wanted = (-torch.cdist(left, book[None]).square() / (0.5 * (level + 1))).softmax(dim=-1)
            assert torch.allclose(classes[part][..., level, :], wanted, atol=1e-4), (part, level)
            left = left - vectors[part][..., level, :]


def test_motion_is_counted_as_the_rollout_will_count_it(tokenizer, batch):
    own, world = base_task(tokenizer).motion(batch), base_task(tokenizer, world=True).motion(batch)
    assert not own[:, 0, 330:333][:, [0, 2]].any() and torch.equal(own[..., 331], batch["trans"][..., 1])
    assert torch.equal(world[..., 330:333], batch["trans"])


def test_statistics_of_latents_are_of_the_unquantised_ones(tokenizer):
    takes = [{key: value[0] for key, value in training_batch(1, seed).items()} for seed in (3, 4)]
    found = latent_statistics(tokenizer, takes)
    for part in PARTS:
        latents = []
        for take in takes:
            with torch.no_grad():
                channels = split_parts(batch_frames({key: value[None] for key, value in take.items()}))[part]
                latents.append(tokenizer[part].encode_latent(channels)[0])
        latents = torch.cat(latents)
        assert torch.allclose(found.mean[part], latents.mean(dim=0), atol=1e-5)
        assert torch.allclose(found.variance[part], latents.var(dim=0).sum(), rtol=1e-4)


def test_figures_of_base_are_those_of_the_seed_pass_as_at_generation(tokenizer, batch):
    task = base_task(tokenizer).eval()
    codes, vectors = true_codes(tokenizer, batch)
    figures = task.figures(batch)
    (call,) = task.network.calls
    assert call["passes"] == Passes() and torch.equal(call["masks"], seed_mask().expand(1, B, -1, -1))
    for part in PARTS:
        right = (task.network.logits[part][0].argmax(dim=-1) == codes[part])[..., 0].float().mean()
        assert figures[f"accuracy_{part}"].item() == pytest.approx(right.item())
        books = tokenizer.codebooks(part)
        expected = sum(task.network.logits[part][0, :, :, i].softmax(dim=-1) @ books[i] for i in range(L))
        with torch.no_grad():
            latent = tokenizer[part].encode_latent(split_parts(batch_frames(batch))[part])
        error = (expected - latent).square().sum(dim=-1).mean()
        assert figures[f"unexplained_{part}"].item() == pytest.approx(error.item(), rel=1e-4), "a variance of 1"


def test_figures_of_sparse_are_the_gates_share_of_right_steps(tokenizer, batch):
    task = sparse_task(tokenizer).eval()
    figures = task.figures(batch)
    psi = task.network.gate.softmax(dim=-1)[..., 1]
    right = ((psi > 0.5) == (batch["semantic"] > 0)).float().mean()
    assert figures["gate_accuracy"].item() == pytest.approx(right.item())
    assert {"accuracy_upper", "accuracy_hands", "accuracy_lower"} < set(figures)


def test_a_validation_ends_with_the_gain_that_the_recipe_asks_for(tokenizer, batch, monkeypatch):
    amplitudes = [f"recipe.base.amplitude.{part}={0.5 + 0.1 * i}" for i, part in enumerate(PARTS)]
    task = base_task(tokenizer, *amplitudes, decoding=Decoding("expected", "coherent")).eval()
    logged = {}
    monkeypatch.setattr(task, "log", lambda name, value, sync_dist: logged.update({name: value}))
    task.on_validation_epoch_start()
    assert set(task.calibrations) == set(PARTS)
    task.figures(batch)
    task.on_validation_epoch_end()
    for index, part in enumerate(PARTS):
        wanted = task.calibrations[part].find(0.5 + 0.1 * index)
        assert task.network.readouts[part].gain.item() == pytest.approx(wanted) == logged[f"val/gain_{part}"]
    own = base_task(tokenizer, decoding=Decoding()).eval()
    own.on_validation_epoch_start()
    assert own.calibrations == {}, "nothing is looked for where codes are the likeliest"


def test_base_is_chosen_by_what_its_face_leaves_unexplained(tokenizer, batch):
    task = base_task(tokenizer).eval()
    assert task.monitor.removeprefix("val/") == "unexplained_face" in task.figures(batch)


def test_the_unexplained_share_is_of_the_parts_variance(tokenizer, batch):
    statistics = LatentStatistics.unit(tokenizer)
    shares = []
    for variance in (1.0, 4.0):
        statistics.variance["hands"] = torch.tensor(variance)
        shares.append(base_task(tokenizer, statistics=statistics).figures(batch)["unexplained_hands"].item())
    assert shares[1] == pytest.approx(shares[0] / 4)
