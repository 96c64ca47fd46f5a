"""The gates of ablations: which steps take sparse codes, and what scales the features that those are read off."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tiny import TINY

from semtalk.errors import SemTalkError
from semtalk.generation.rollout import MotionGenerator
from semtalk.models.fusion import semantic_score
from semtalk.models.layers import step_repeat
from semtalk.models.predictor import SpeechFeatures
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose
from semtalk.tasks.phases import build_network

TAKES, FRAMES = 3, 124


@pytest.fixture
def parts():
    """A generator with fresh networks, and the speech and the speakers of three takes of two windows."""
    torch.manual_seed(0)
    config = compose("train", *TINY)
    tokenizer = Tokenizer({part: build_network(f"rvqvae_{part}", config, 2) for part in PARTS})
    networks = (build_network(name, config, 2) for name in ("translation", "base", "sparse"))
    generator = MotionGenerator(tokenizer, *networks)
    features = {name: torch.randn(TAKES, FRAMES, dim) for name, dim in {"rhythm": 3, "hubert": 48, "words": 64}.items()}
    features |= {"sentence": torch.randn(TAKES, FRAMES // 20, 64), "emotion": torch.randn(TAKES, FRAMES // 20, 32)}
    return generator, features, torch.arange(TAKES) % 2


def read_off(parts, monkeypatch, gate: str):
    """The scores of a rollout, and for each window's sparse network what its semantic features were scaled by."""
    generator, features, speaker = parts
    given, forward = [], generator.sparse.forward
    monkeypatch.setattr(generator.sparse, "forward", lambda *inputs: given.append(inputs[-1]) or forward(*inputs))
    psi = generator.rollout(features, speaker, 20, beta=0.0, gate=gate).psi
    assert all(torch.equal(speech.semantic, speech.emphasis * step_repeat(speech.psi[..., None])) for speech in given)
    monkeypatch.undo()
    return psi, given


@pytest.mark.parametrize("gate", ["learned", "always", "random"])
def test_features_are_scaled_by_the_learned_score_whatever_chooses(parts, monkeypatch, gate):
    psi, given = read_off(parts, monkeypatch, gate)
    assert len(given) == 2
    for speech in given:
        assert torch.equal(speech.psi, semantic_score(speech.gate_logits))
    if gate != "learned":
        assert not torch.allclose(given[0].psi, psi[:, :16], atol=1e-3), "another score chose the steps"


@pytest.mark.parametrize("gate", ["always", "random"])
def test_a_scaled_gate_scales_the_features_by_the_score_that_chooses(parts, monkeypatch, gate):
    chosen, _ = read_off(parts, monkeypatch, gate)
    psi, given = read_off(parts, monkeypatch, f"{gate}_scaled")
    assert torch.equal(psi, chosen), "the steps are those of the other reading"
    assert torch.equal(given[0].psi, psi[:, :16]) and torch.equal(given[1].psi[:, 1:], psi[:, 16:])
    assert (psi == 1).all() == (gate == "always")


def test_never_reads_no_sparse_code(parts, monkeypatch):
    psi, given = read_off(parts, monkeypatch, "never")
    assert not psi.any() and not given


def test_the_scale_changes_what_the_sparse_network_says(parts):
    generator, features, speaker = parts
    window = {slot: value[:, 0] if value.shape[1] < 64 else value[:, :64] for slot, value in features.items()}
    speech = generator.encode_speech(window)["sparse"]
    reader = generator.reader(["a", "b", "c"])
    seed, _ = generator.neutral_seed(TAKES)
    both = {"base": generator.encode_speech(window)["base"], "sparse": speech}
    said = []
    hook = generator.sparse.register_forward_hook(lambda *given: said.append(given[-1].latents["hands"]))
    for gate in ("always", "always_scaled"):
        generator.window(both, speaker, seed, 0.5, gate, reader)
    hook.remove()
    assert not torch.allclose(*said, atol=1e-4)


def test_a_network_of_ones_own_that_no_score_scales_is_refused(parts, monkeypatch):
    @dataclass
    class Own(SpeechFeatures):
        gate_logits: torch.Tensor

    generator, features, speaker = parts
    encode = generator.sparse.encode_speech
    monkeypatch.setattr(generator.sparse, "encode_speech", lambda batch: Own(encode(batch).gate_logits))
    with pytest.raises(SemTalkError, match="gate=always_scaled: the run's own sparse network"):
        generator.rollout(features, speaker, 20, gate="always_scaled")


def test_every_reading_has_an_ablation():
    folder = Path(__file__).resolve().parents[2] / "configs" / "experiment" / "ablation"
    settings = [compose("eval", f"experiment=ablation/{path.stem}") for path in folder.glob("*.yaml")]
    gates = {own.gate: own.tag for own in settings if own.gate != "learned"}
    assert set(gates) == {"always", "never", "random", "always_scaled", "random_scaled"}
    assert len(set(gates.values())) == len(gates), "each result has a folder of its own"
