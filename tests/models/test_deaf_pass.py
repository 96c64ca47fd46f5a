"""A pass without audio: what of the network hears the speech in it, and that nothing is computed twice for it."""

import pytest
import torch
from tiny import TINY, tiny_batch
from torch.utils.flop_counter import FlopCounterMode

from semtalk.models.predictor import TRAINING_PASSES, Passes
from semtalk.settings import compose
from semtalk.settings.trained import trained
from semtalk.tasks.phases import build_network

SPEECH = ("hubert", "rhythm", "words", "sentence", "emotion")


def network(phase: str, *overrides: str):
    torch.manual_seed(0)
    return build_network(phase, compose("train", *TINY, *overrides), speakers=2).eval()


def changed_outputs(net, passes: Passes) -> list[set[str]]:
    """For each pass the outputs that are others where the speech is another."""
    features, motion, masks = tiny_batch()
    other = features | {name: features[name].flip(0) + 0.5 for name in SPEECH}
    with torch.no_grad():
        one, two = (net(f, motion, masks, passes) for f in (features, other))
    names = [name for name in ("logits", "latents", "rhythmic") if hasattr(one, name)]
    return [
        {
            f"{name}.{part}"
            for name in names
            for part, value in getattr(one, name).items()
            if not torch.equal(value[index], getattr(two, name)[part][index])
        }
        for index in range(len(passes))
    ]


@pytest.mark.parametrize("local", [0, 1])
@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_nothing_of_a_pass_without_audio_hears_the_speech(phase, local):
    net = network(phase, "model.network.deaf_pass=all", f"model.network.local_layers={local}")
    heard = changed_outputs(net, TRAINING_PASSES)
    parts = {"base": 4, "sparse": 3}[phase]
    assert not heard[1], "the pass without audio"
    assert len(heard[0]) == len(heard[2]) == 2 * parts + 2 * (phase == "base"), "the others hear in every output"
    assert changed_outputs(net, Passes((0,), (False,))) == [set()], "alone too"


def test_the_releases_pass_without_audio_is_deaf_in_the_bodys_branch_alone():
    (heard,) = changed_outputs(network("base", "model.network.deaf_pass=body"), Passes((1,), (False,)))
    assert {"logits.face", "latents.face", "rhythmic.face", "logits.hands"} <= heard
    assert "rhythmic.hands" not in heard


def test_only_the_papers_preset_is_deaf_throughout():
    for name, deaf in (("paper", "all"), ("release", "body"), ("small", "body"), ("strong", "body")):
        assert compose("train", f"model={name}").model.network.deaf_pass == deaf
    config = compose("train", "model=paper").plain()
    del config["model"]["network"]["deaf_pass"]
    assert trained(config).model.network.deaf_pass == "body", "runs of before go on as they were"


@pytest.mark.parametrize("passes", [TRAINING_PASSES, Passes((1, 0, 1), (False, True, True))])
@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_deaf_passes_together_equal_passes_alone(phase, passes):
    net = network(phase, "model.network.deaf_pass=all")
    features, motion, masks = tiny_batch()
    with torch.no_grad():
        together = net(features, motion, masks, passes)
        for index, (mask, audio) in enumerate(zip(passes.mask, passes.audio, strict=True)):
            alone = net(features, motion, masks[[mask]], Passes((0,), (audio,)))
            for part in alone.logits:
                assert torch.allclose(alone.logits[part][0], together.logits[part][index], atol=1e-5), part
                assert torch.allclose(alone.latents[part][0], together.latents[part][index], atol=1e-5), part


@pytest.mark.parametrize("deaf", ["body", "all"])
@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_passes_that_hear_do_not_depend_on_what_deaf_ones_hear(phase, deaf):
    nets = [network(phase, f"model.network.deaf_pass={name}") for name in (deaf, "body")]
    features, motion, masks = tiny_batch()
    with torch.no_grad():
        one, other = (net(features, motion, masks, TRAINING_PASSES) for net in nets)
    for part, logits in one.logits.items():
        assert torch.allclose(logits[[0, 2]], other.logits[part][[0, 2]], atol=1e-5)
        assert torch.equal(logits[1], other.logits[part][1]) == (deaf == "body")


def test_code_heads_cost_no_more_for_a_deaf_pass():
    flops = {}
    for deaf in ("body", "all"):
        net = network("sparse", f"model.network.deaf_pass={deaf}")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(*tiny_batch(), TRAINING_PASSES)
        flops[deaf] = counter.get_flop_counts()["SparseMotionNetwork.heads"]
    # The keys and values of the shared zeros: one window's beside those of three.
    assert sum(flops["all"].values()) < 1.1 * sum(flops["body"].values())
