"""Products with packed weights: those of torch's own layers, packed once, and let go of afterwards."""

import gc
import pickle
from copy import deepcopy

import pytest
import torch
from torch import nn

from semtalk.generation.hops import HopStream
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.stream import WindowStream
from semtalk.models import packed as module
from semtalk.models.grouped import ByPart, HalveTime, Linear
from semtalk.models.packed import Conv1d, PackedWeights, can_pack
from tests.tiny import speech_of_takes, tiny_generator

KINDS = pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=["float32", "bf16"])
LAYERS = {
    "linear": (lambda: Linear(24, 40), (2, 16, 24)),
    "without a bias": (lambda: Linear(24, 40, bias=False), (2, 16, 24)),
    "halving": (lambda: HalveTime(24, 40), (2, 16, 24)),
    "parts": (lambda: ByPart({"a": Linear(24, 40), "b": Linear(24, 40)}), (2, 3, 16, 24)),
    "convolution": (lambda: Conv1d(24, 40, 3, padding=1), (2, 24, 16)),
    "dilated": (lambda: Conv1d(24, 40, 3, padding=9, dilation=9), (1, 24, 16)),
    "with a stride": (lambda: Conv1d(24, 40, 8, stride=4, padding=2, bias=False), (1, 24, 16)),
}
NEVER = {
    "groups": (lambda: Conv1d(24, 40, 3, groups=4), (2, 24, 16)),
    "padded by name": (lambda: Conv1d(24, 40, 3, padding="same"), (2, 24, 16)),
    "padded with its edges": (lambda: Conv1d(24, 40, 3, padding=1, padding_mode="replicate"), (2, 24, 16)),
    "one alone": (lambda: Conv1d(24, 40, 3), (24, 16)),
}


@pytest.fixture
def generator() -> MotionGenerator:
    return tiny_generator()


@pytest.fixture
def met(monkeypatch) -> list:
    """Weights that were packed, of any size."""
    monkeypatch.setattr(module, "WORTH", 0)
    weights, pack = [], PackedWeights._packed

    def counted(self, weight, how):
        known = len(self.kept)
        found = pack(self, weight, how)
        weights.extend([weight] * (len(self.kept) - known))
        return found

    monkeypatch.setattr(PackedWeights, "_packed", counted)
    return weights


@KINDS
@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_packed_products_are_those_of_the_layer(name, kind, met):
    make, shape = LAYERS[name]
    torch.manual_seed(0)
    layer, x = make().to(kind).eval(), torch.randn(shape).to(kind)
    plain, packed = layer(x), PackedWeights.of(layer)
    for rows in (x, x[:, :, : x.shape[2] // 2] if x.dim() == 4 else x, x):
        with packed.used():
            found = layer(rows)
        assert found.dtype == kind
        assert torch.allclose(found.float(), layer(rows).float(), atol=1e-5 if kind == torch.float32 else 2e-2), name
    assert torch.equal(layer(x), plain)
    weights = 2 * (kind == torch.float32) if name == "parts" else 1
    assert len(met) == weights * can_pack(kind), "each weight is packed once"


@pytest.mark.parametrize("name", NEVER)
@torch.no_grad()
def test_convolutions_of_other_kinds_are_those_of_torch(name, met):
    make, shape = NEVER[name]
    layer, x = make(), torch.randn(shape)
    with PackedWeights.of(layer).used():
        assert torch.equal(layer(x), nn.Conv1d.forward(layer, x))
    assert not met


@torch.no_grad()
def test_a_transposed_weight_is_not_taken_for_the_weight_that_it_is_of():
    weight, x = torch.randn(8, 8), torch.randn(3, 8)
    packed = PackedWeights(nn.Identity())
    for each in (weight, weight.T, weight[:4]):
        assert torch.allclose(packed.linear(x, each, None), x @ each.T, atol=1e-5)


@torch.no_grad()
def test_small_weights_are_not_packed():
    """Their products would take longer."""
    small, large = Linear(255, 256), Linear(256, 256)
    packed = PackedWeights.of(small)
    with packed.used():
        small(torch.randn(2, 255)), large(torch.randn(2, 256))
    assert [weight is large.weight for weight, _, _ in packed.kept.values()] == [True] * can_pack(torch.float32)


def test_what_trains_is_not_packed(met):
    layer, x = Linear(4, 4), torch.randn(3, 4)
    with PackedWeights.of(layer).used():
        layer(x).sum().backward()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        with torch.no_grad():
            layer.double()(x.double())
    assert not met and layer.weight.grad is not None


def test_a_machine_without_such_products_has_those_of_torch(monkeypatch, met):
    monkeypatch.setattr(module.platform, "machine", lambda: "arm64")
    can_pack.cache_clear()
    layer, x = Linear(4, 4), torch.randn(3, 4)
    with torch.no_grad(), PackedWeights.of(layer).used():
        assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))
    can_pack.cache_clear()
    assert not met


def test_a_rollout_packs_each_weight_once_and_knows_weights_that_were_changed_after_it(generator, met):
    given, speaker = speech_of_takes(), torch.tensor([0, 1])
    first = generator.rollout(given, speaker, 20, beta=0.0)
    addresses = [(weight.data_ptr(), weight.shape) for weight in met]
    assert len(set(addresses)) == len(addresses) and bool(addresses) == can_pack(torch.float32)
    for network in (generator.base, generator.sparse):
        for parameter in network.parameters():
            parameter.data.mul_(-0.5)  # which torch does not count as a change
    changed = generator.rollout(given, speaker, 20, beta=0.0)
    assert not torch.equal(changed.psi, first.psi)
    fresh = deepcopy(generator).rollout(given, speaker, 20, beta=0.0)
    assert torch.equal(fresh.psi, changed.psi)


@pytest.mark.parametrize("make", [WindowStream, lambda *given: HopStream(*given, hop=8)], ids=["windows", "hops"])
def test_streams_of_one_model_share_what_is_packed_and_the_last_one_lets_go_of_it(make, generator, met):
    given = {slot: value[:1] for slot, value in speech_of_takes().items()}
    window, speaker = generator.features_of(given, 0, 20), torch.tensor([0])
    streams = [make(generator, speaker) for _ in range(2)]
    streams[0].push(window)
    once, packed = len(met), {weight.data_ptr() for weight in met}
    for network in (generator.base, generator.tokenizer):
        assert can_pack(torch.float32) == bool(packed & {each.data_ptr() for each in network.parameters()})
    streams[1].push(window)
    streams[0].push(window)
    assert len(met) == once
    gc.collect()
    assert PackedWeights.of(generator) is streams[0].packed
    streams.clear()
    gc.collect()
    assert not PackedWeights.of(generator).kept


def test_a_stream_sees_weights_that_are_loaded_while_it_is_open_and_can_be_copied(generator, met):
    given = {slot: value[:1] for slot, value in speech_of_takes().items()}
    windows, speaker = [generator.features_of(given, first, 20) for first in (0, 60)], torch.tensor([0])
    stream = WindowStream(generator, speaker)
    stream.push(windows[0])
    copies = [deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    wanted = stream.push(windows[1])[0].rotation, stream.finish()[0].rotation
    for copy in copies:
        found = copy.push(windows[1])[0].rotation, copy.finish()[0].rotation
        assert all(map(torch.equal, found, wanted)) and copy.packed is PackedWeights.of(copy.generator)
    other = deepcopy(generator)
    for parameter in other.base.parameters():
        parameter.data.mul_(-0.5)
    generator.load_state_dict(other.state_dict())
    found, wanted = (one.rollout(given, speaker, 20, beta=0.0) for one in (generator, other))
    assert torch.equal(found.psi, wanted.psi) and torch.equal(found.frames.rotation, wanted.frames.rotation)
    assert stream.packed is PackedWeights.of(generator), "which was open all the time"
