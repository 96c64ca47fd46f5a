"""Speed-ups: each gives what the plain way gives, and can be switched off."""

import inspect
from importlib import import_module
from unittest import mock

import pytest
import torch
from tiny import TINY, tiny_batch
from torch.nn import functional as F

from benchmarks import literal
from benchmarks.__main__ import MODULES
from semtalk import environment
from semtalk.data.windows import WindowDataset
from semtalk.errors import SemTalkError
from semtalk.features.pretrained import pick_device
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.seams import join_windows
from semtalk.models.decoding import Decoding
from semtalk.models.dropout import Dropout
from semtalk.models.grouped import ByPart, linear
from semtalk.models.predictor import TRAINING_PASSES
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose
from semtalk.tasks import speed
from semtalk.tasks.phases import build_network
from semtalk.tasks.speed import apply_speed, keep_freed_memory, phase_precision, resolve_plan


def plan(name: str, *overrides: str):
    """Trainer and speed, resolved."""
    settings = compose("train", f"speed={name}", "trainer=cpu", *overrides)
    return resolve_plan(settings.trainer, settings.speed)


def network(phase: str, name: str, *overrides: str):
    torch.manual_seed(0)
    net = build_network(phase, compose("train", *TINY, *overrides), speakers=2)
    apply_speed(net, plan(name)[1])
    return net


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_parts_together_equal_parts_one_by_one(phase):
    nets = [network(phase, name).eval() for name in ("fast", "plain")]
    switches = [{m.grouped for m in net.modules() if isinstance(m, ByPart)} for net in nets]
    assert switches == [{True}, {False}]
    features, motion, masks = tiny_batch()
    predictions = [net(features, motion, masks, TRAINING_PASSES) for net in nets]
    for part, logits in predictions[0].logits.items():
        assert torch.allclose(logits, predictions[1].logits[part], atol=1e-5), part
        assert torch.allclose(predictions[0].latents[part], predictions[1].latents[part], atol=1e-5), part
    for prediction in predictions:
        sum(value.square().mean() for value in prediction.logits.values()).backward()
    for (name, one), other in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        if one.grad is not None:
            assert torch.allclose(one.grad, other.grad, atol=1e-5, rtol=1e-4), name


def test_grouped_parts_are_saved_part_by_part():
    net = network("base", "fast")
    state = net.state_dict()
    assert "heads.hands.first.0.weight" in state and not any(".network." in name for name in state)
    state["heads.hands.first.0.bias"] = torch.full_like(state["heads.hands.first.0.bias"], 7.0)
    net.load_state_dict(state)
    stacked = net.heads.network.first[0].bias
    assert [bool((row == 7).all()) for row in stacked] == [part == "hands" for part in net.heads.parts]
    del state["heads.hands.first.0.bias"]
    with pytest.raises(RuntimeError, match="Missing key"):
        net.load_state_dict(state)


@pytest.mark.parametrize("half", [False, True])
def test_gradients_of_stacked_weights_lie_as_the_weights_do(half):
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in ((2, 3, 5, 8), (2, 6, 8), (2, 6)))
    gradients = []
    for product in (linear, lambda *given: torch.stack([F.linear(*each) for each in zip(*given, strict=True)])):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = product(x, weight, bias)
        assert out.dtype == (torch.bfloat16 if half else torch.float32)
        gradients.append(torch.autograd.grad(out.float().square().sum(), (x, weight, bias)))
    assert gradients[0][1].is_contiguous(), "else it is copied to lie so"
    for one, other in zip(*gradients, strict=True):
        assert one.dtype == torch.float32 and torch.allclose(one, other, rtol=0.03 if half else 1e-4, atol=0.5 * half)


@pytest.mark.parametrize("kind", ["forward", "relu", "add"])
def test_packed_dropout(kind):
    torch.manual_seed(0)
    dropout = Dropout(0.3).train()
    x = torch.randn(1001, 33, requires_grad=True)
    y = {"forward": dropout.forward, "relu": dropout.relu, "add": lambda x: dropout.add(torch.zeros(()), x)}[kind](x)
    full = F.relu(x) if kind == "relu" else x
    kept = (y != 0) & (full != 0)
    assert (full != 0).sum() * 0.69 < kept.sum() < (full != 0).sum() * 0.71
    assert torch.allclose(y[kept], full[kept] / 0.7)
    y.sum().backward()
    assert torch.allclose(x.grad, kept / 0.7)


def test_packed_dropout_can_be_switched_off():
    dropout, x = Dropout(0.5).train(), torch.ones(4, 8)
    dropout.packed = False
    torch.manual_seed(3)
    own = dropout(x)
    torch.manual_seed(3)
    assert torch.equal(own, F.dropout(x, 0.5))
    assert torch.equal(dropout.eval()(x), x) and torch.equal(dropout.add(x, x), 2 * x)


def test_plans():
    trainer, fast = plan("fast")
    assert trainer.precision in ("32-true", "bf16-mixed") and fast.compile is False, "a CPU gains nothing by it"
    _, plain = plan("plain")
    assert not any(value is True for value in dict(plain).values())
    assert plan("fast", "speed.compile=true")[1].compile == "default"
    assert not plan("fast", "trainer.precision=16-mixed")[1].fused_adam
    if not torch.cuda.is_available():
        with pytest.raises(SemTalkError, match="there is no GPU"):
            resolve_plan(*(getattr(compose("train", "trainer=gpu"), name) for name in ("trainer", "speed")))
    assert phase_precision("bf16-mixed", mixed=False) == "32-true" == phase_precision("32-true", mixed=True)
    assert keep_freed_memory() in (True, False)


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_recomputed_activations_give_the_same_gradients(phase):
    gradients, features = [], tiny_batch()
    for recompute in (False, True):
        net = network(phase, "fast").train()
        apply_speed(net, plan("fast", f"speed.recompute={recompute}")[1])
        torch.manual_seed(5)
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.nbytes) or t, lambda t: t):
            prediction = net(*features, TRAINING_PASSES)
            loss = sum(value.square().mean() for value in prediction.logits.values())
        loss.backward()
        gradients.append([p.grad for p in net.parameters()] + [sum(kept)])
    assert gradients[1].pop() < 0.5 * gradients[0].pop()
    for one, other in zip(*gradients, strict=True):
        assert (one is None and other is None) or torch.allclose(one, other, atol=1e-6)
    with pytest.raises(SemTalkError, match="recompute=true needs"):
        plan("plain", "speed.recompute=true")


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_networks_compile_as_one_graph(phase):
    few = [f"model.network.{name}_layers=1" for name in ("face", "audio", "local")]
    net = network(phase, "fast", "model.rvqvae.levels=2", *few)
    features, motion, masks = tiny_batch()
    expected = net.eval()(features, motion, masks, TRAINING_PASSES)
    whole = torch.compile(net, backend="eager", fullgraph=True)
    prediction = whole(features, motion, masks, TRAINING_PASSES)
    for part, logits in expected.logits.items():
        assert torch.allclose(prediction.logits[part], logits, atol=1e-5)


def test_windows_on_a_device_are_the_same(store):
    datasets = [WindowDataset(store, store.split("train"), 20) for _ in range(2)]
    datasets[1].to(torch.device("cpu"))
    assert datasets[0].nbytes == sum(tensor.nbytes for tensor in datasets[1].tensors.values())
    for one, other in zip(*(dataset.__getitems__([0, 9, 20]).values() for dataset in datasets), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_the_literal_plan_predicts_the_same(phase):
    net, features_of = network(phase, "fast").eval(), tiny_batch()
    plain = literal.PassByPass(network(phase, "plain").eval())
    together, alone = net(*features_of, TRAINING_PASSES), plain(*features_of, TRAINING_PASSES)
    for part, logits in together.logits.items():
        assert torch.allclose(logits, alone.logits[part], atol=1e-5), part


def test_every_benchmark_is_there():
    for module, names in MODULES.items():
        assert all(callable(getattr(import_module(f"benchmarks.{module}"), name)) for name in names)


def rollout_parts(takes: int = 3, frames: int = 184):
    torch.manual_seed(0)
    config = compose("train", *TINY)
    tokenizer = Tokenizer({part: build_network(f"rvqvae_{part}", config, 2) for part in PARTS})
    for part in PARTS:
        for level in tokenizer[part].quantizer.levels:
            level.codebook.normal_()
    networks = (build_network(phase, config, 2) for phase in ("translation", "base", "sparse"))
    generator = MotionGenerator(tokenizer, *networks)
    widths = {"rhythm": 3, "hubert": 48, "words": 64}
    features = {name: torch.randn(takes, frames, width) for name, width in widths.items()}
    features |= {"sentence": torch.randn(takes, frames // 20, 64), "emotion": torch.randn(takes, frames // 20, 32)}
    return generator, features, torch.arange(takes) % 2


@torch.no_grad()
def test_generation_leaves_out_only_what_is_not_used(monkeypatch):
    generator, features, speaker = rollout_parts()
    scores = generator.scores(features, 20)
    assert scores.std() > 1e-3
    beta = scores.amax(dim=1).sort().values[:2].mean().item()  # one take stays below it, others do not
    windows, psi = literal.rollout(generator, features, speaker, 20, beta)
    ran: list[int] = []
    forward = generator.sparse.forward
    monkeypatch.setattr(
        generator.sparse, "forward", lambda batch, *rest: ran.append(len(batch["speaker"])) or forward(batch, *rest)
    )
    rollout = generator.rollout(features, speaker, 20, beta=beta)
    expected = join_windows(windows)
    assert all(torch.equal(rollout.codes[part], expected[part]) for part in PARTS)
    assert torch.allclose(rollout.psi[:, :16], psi[0], atol=1e-5) and torch.allclose(rollout.psi, scores, atol=1e-5)
    assert 0 < sum(ran) < 9, "sparse runs for some takes and windows, not for all"
    ran.clear()
    generator.rollout(features, speaker, 20, gate="never")
    assert not ran
    generator.rollout(features, speaker, 20, gate="always")
    assert ran == [3, 3, 3]


@torch.no_grad()
@pytest.mark.parametrize("windows", [1, 2, 4])
def test_the_next_seed_is_decoded_from_what_it_depends_on_alone(windows):
    generator, _, speaker = rollout_parts()
    for part in PARTS:
        for weight in generator.tokenizer[part].decoder.parameters():
            weight.mul_(2)  # so that far rows count
    for weight in generator.translation.parameters():
        weight.mul_(2)
    codes = [{part: torch.randint(0, 4, (len(speaker), 16, 2)) for part in PARTS} for _ in range(windows)]
    start = torch.zeros(len(speaker), 3)
    frames, trans = generator.decode(join_windows(codes), start)
    expected = generator.channels(frames.map(lambda value: value[:, -4:]), trans[:, -4:])
    assert torch.allclose(generator.next_seed(codes, start), expected, atol=2e-5 * max(1.0, float(trans.abs().max())))


@torch.no_grad()
def test_generation_in_bf16():
    generator, features, speaker = rollout_parts(frames=64)
    full = generator.rollout(features, speaker, 20)
    half = generator.in_bf16().rollout(features, speaker, 20)
    sampled = generator.rollout(features, speaker, 20, reader=generator.reader("abc", Decoding("expected", "coherent")))
    assert sampled.frames.rotation.dtype == torch.float32
    assert generator.base.heads.network.first[0].weight.dtype == torch.bfloat16
    assert half.trans.dtype == half.frames.rotation.dtype == half.psi.dtype == torch.float32
    assert (half.psi - full.psi).abs().max() < 0.02
    same = torch.stack([(half.codes[part] == full.codes[part])[..., 0].float().mean() for part in PARTS])
    assert same.mean() > 0.8


def test_a_device_that_is_not_there_is_one_sentence():
    with pytest.raises(SemTalkError, match="device=tpu: there is none here"):
        pick_device("tpu")


@pytest.mark.parametrize(
    ("vendor", "flags", "precision"),
    [
        ("AuthenticAMD", "fpu avx512f avx512_bf16", "bf16-mixed"),
        ("AuthenticAMD", "fpu avx512f", "32-true"),
        ("GenuineIntel", "fpu avx512f avx512_bf16 amx_tile amx_bf16", "bf16-mixed"),
        ("GenuineIntel", "fpu avx512f avx512_bf16", "32-true"),
        ("GenuineIntel", "fpu avx512f amx_tile amx_int8", "32-true"),
        (None, None, "32-true"),
    ],
)
def test_bf16_is_taken_by_cpus_that_are_faster_in_it(monkeypatch, tmp_path, vendor, flags, precision):
    file = tmp_path / "cpuinfo"
    if flags is not None:
        file.write_text(f"vendor_id\t: {vendor}\nmodel name\t: Some CPU: one\nflags\t\t: {flags}\nbugs\t\t: amx_bf16\n")
    monkeypatch.setattr(environment, "CPUINFO", file)
    monkeypatch.setattr(speed, "fast_in_bf16", inspect.unwrap(speed.fast_in_bf16))
    multiplies = mock.Mock(return_value=True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", multiplies)
    assert plan("fast")[0].precision == precision
    assert flags is None or environment.processor() == "Some CPU: one"
    multiplies.return_value = False
    assert plan("fast")[0].precision == "32-true", "oneDNN is kept from using them"
