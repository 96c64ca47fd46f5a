"""From logits to codes: what is expected, what is sampled, and that both are the same wherever motion is made."""

import numpy as np
import pytest
import torch
from conftest import run_command
from tiny import TINY

from semtalk import SemTalk, SemTalkError
from semtalk.features.utterance import Utterance
from semtalk.generation.load import decoding_of
from semtalk.generation.reader import STEPS, CodeReader
from semtalk.generation.stream import SpeechStream
from semtalk.losses import code_loss, soft_targets
from semtalk.metrics.functional import sample_diversity
from semtalk.models.decoding import LIKELIEST, CoherentNoise, Decoding, Readout, expected_latent, sample_codes
from semtalk.models.fusion import fuse_codes, near_changes
from semtalk.models.layers import smooth_steps
from semtalk.models.predictor import Prediction
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose, trained
from semtalk.tasks.calibration import GAINS, Gain, Spread
from semtalk.tasks.phases import build_network


def test_expected_latent_by_hand():
    codebooks = torch.tensor([[[1.0, 0.0], [3.0, 4.0]], [[0.0, 2.0], [0.0, -2.0]]])
    logits = torch.log(torch.tensor([[[0.25, 0.75], [1.0, 1e-30]]]))
    assert torch.allclose(expected_latent(logits, codebooks), torch.tensor([[2.5, 5.0]]), atol=1e-6)


def test_readout_amplifies_about_the_mean():
    readout = Readout(2)
    readout.mean.copy_(torch.tensor([1.0, -1.0]))
    readout.gain.fill_(3.0)
    assert readout(torch.tensor([2.0, -1.5])).tolist() == [4.0, -2.5]
    assert readout(torch.tensor([2.0, -1.5]), gain=1.0).tolist() == [2.0, -1.5]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("coherence", [0.0, 0.9])
def test_samples_follow_the_distribution(temperature, coherence):
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    noise = CoherentNoise([f"take {i}" for i in range(400)], 0, 0, (1, 3), coherence).window(40)
    codes = sample_codes(logits, noise, temperature)
    shares = torch.bincount(codes.flatten(), minlength=3) / codes.numel()
    expected = (logits[0] / temperature).softmax(dim=-1)
    assert torch.allclose(shares, expected, atol=0.03), (shares, expected)


def test_coherence_holds_codes():
    logits = torch.zeros(1, 8)

    def kept(coherence: float) -> float:
        noise = CoherentNoise([str(i) for i in range(50)], 0, 0, (1, 8), coherence).window(40)
        codes = sample_codes(logits, noise, 1.0)
        return (codes[:, 1:] == codes[:, :-1]).float().mean().item()

    assert kept(0.0) < 0.2 < 0.45 < kept(0.9) < kept(0.99)


def test_noise_follows_from_name_seed_and_sample_alone():
    def windows(takes, seed=0, sample=0):
        noise = CoherentNoise(takes, seed, sample, (2, 5), 0.9)
        return [noise.window(STEPS) for _ in range(3)]

    together, alone = windows(["a", "b", "c"]), windows(["b"])
    assert all(torch.equal(one[1:2], other) for one, other in zip(together, alone, strict=True))
    for before, after in zip(alone, alone[1:], strict=False):
        assert torch.equal(before[:, -1], after[:, 0]), "windows share a step"
    chain = torch.cat([alone[0], *[window[:, 1:] for window in alone[1:]]], dim=1)[0]
    fresh = (chain[1:] - 0.9 * chain[:-1]) / (1 - 0.81) ** 0.5
    assert (
        abs(fresh.std() - 1) < 0.1 and abs(torch.corrcoef(torch.stack([fresh[1:, 0, 0], fresh[:-1, 0, 0]]))[0, 1]) < 0.4
    )
    for others in (windows(["a"]), windows(["b"], seed=1), windows(["b"], sample=1)):
        assert not torch.allclose(others[0], alone[0])


@pytest.fixture(scope="module")
def networks():
    config = compose("train", *TINY)
    torch.manual_seed(0)
    tokenizer = Tokenizer({part: build_network(f"rvqvae_{part}", config, 1) for part in PARTS})
    for part in PARTS:
        for level in tokenizer[part].quantizer.levels:
            level.codebook.normal_()
    return tokenizer, build_network("base", config, 1)


def prediction_of(tokenizer, takes: int) -> Prediction:
    shape = tokenizer.codebooks("face").shape
    draw = torch.Generator().manual_seed(1)
    logits = {part: 3 * torch.randn(1, takes, STEPS, *shape[:2], generator=draw) for part in PARTS}
    return Prediction(logits, {})


def test_each_part_is_read_off_its_own_way(networks):
    tokenizer, base = networks
    prediction = prediction_of(tokenizer, 2)
    reader = CodeReader(tokenizer, base, Decoding("expected", "coherent"), ["a", "b"])
    noise = reader.draw()
    assert set(noise) == set(PARTS) - {"face"}
    codes, likeliest = reader.read(prediction, noise), prediction.codes()
    latent = expected_latent(prediction.logits["face"][0], tokenizer.codebooks("face"))
    assert torch.equal(codes["face"], tokenizer["face"].quantizer(latent)[1])
    assert not torch.equal(codes["face"], likeliest["face"])
    for part in ("upper", "hands", "lower"):
        assert torch.equal(codes[part], sample_codes(prediction.logits[part][0], noise[part], 1.0))
        assert not torch.equal(codes[part], likeliest[part])
    assert not torch.equal(noise["upper"], noise["hands"])
    plain = CodeReader(tokenizer, base, LIKELIEST, ["a", "b"])
    assert plain.draw() == {} and all(torch.equal(plain.read(prediction, {})[p], likeliest[p]) for p in PARTS)
    louder = CodeReader(tokenizer, base, Decoding("expected", gain=2.0), ["a", "b"]).read(prediction, {})["face"]
    assert torch.equal(louder, tokenizer["face"].quantizer(2 * latent)[1])


@pytest.mark.parametrize("body", ["likeliest", "coherent"])
@pytest.mark.parametrize("sparse", ["likeliest", "coherent"])
def test_sparse_codes_are_read_off_their_own_way(networks, body, sparse):
    tokenizer, base = networks
    prediction = prediction_of(tokenizer, 2)
    del prediction.logits["face"]
    reader = CodeReader(tokenizer, base, Decoding("likeliest", body, sparse=sparse), ["a", "b"])
    noise = reader.draw()
    assert set(noise) == (set(prediction.logits) if "coherent" in (body, sparse) else set())
    for network, way in (("base", body), ("sparse", sparse)):
        codes = reader.read(prediction, noise, network=network)
        for part, logits in prediction.logits.items():
            sampled = way == "coherent" and sample_codes(logits[0], noise[part], 1.0)
            assert torch.equal(codes[part], prediction.codes()[part] if way == "likeliest" else sampled)


def test_steps_near_a_change():
    active = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1, 1]]).bool()
    assert near_changes(active, 1).int().tolist() == [[0, 0, 1, 1, 0, 0, 1, 1], [0] * 8]
    assert near_changes(active, 2).int().tolist() == [[0, 1, 1, 1, 1, 1, 1, 1], [0] * 8]
    assert near_changes(active, 99)[0].all() and not near_changes(active, 0).any()


def test_networks_give_way_to_each_other_gently(networks):
    """Near a change the latents come nearer to each other; all other steps, and the face, stay as they are."""
    tokenizer, base = networks
    own, prediction = prediction_of(tokenizer, 8).codes(), prediction_of(tokenizer, 8)
    other = {part: prediction.codes()[part].flip(0) for part in PARTS if part != "face"}
    psi = torch.zeros(8, STEPS)
    psi[:, 5:9] = 1.0
    hard, gentle = (
        CodeReader(tokenizer, base, Decoding(blend=blend), list("abcdefgh")).fuse(dict(own), other, psi, 0.5)
        for blend in (0, 2)
    )
    assert all(torch.equal(codes, fuse_codes(own, other, psi, 0.5)[part]) for part, codes in hard.items())
    assert torch.equal(gentle["face"], own["face"])
    far = ~near_changes(psi > 0.5, 2)[0]
    for part in other:
        assert torch.equal(gentle[part][:, far], hard[part][:, far])
        latents = [tokenizer[part].quantizer.decode(codes[part]).sum(dim=-2) for codes in (hard, gentle)]
        jump, blended = ((latent[:, 5] - latent[:, 4]).norm(dim=-1).mean() for latent in latents)
        assert blended < 0.8 * jump, part


class Whole(torch.nn.Module):
    """An RVQ-VAE whose motion is its latent, not quantised."""

    def quantizer(self, latent):
        return latent, None, None

    def decode_latent(self, latent):
        return latent.repeat(1, 1, 20)[..., : PARTS["face"].width]


def test_the_gain_gives_the_amplitude_that_is_asked_for(networks):
    """Where every expected latent is half of what the truth was made of, the gain is two."""
    draw = torch.Generator().manual_seed(2)
    true = torch.randn(4, STEPS, 16, generator=draw)
    calibration, share = Gain("face", networks[0], Readout(16)), 0.5 * true / 100
    calibration.rvqvae, calibration.codebooks = Whole(), torch.cat([torch.eye(16), -torch.eye(16)])[None] * 100
    positive, negative = share.clamp(min=0), (-share).clamp(min=0)
    rest = (1 - positive.sum(-1, keepdim=True) - negative.sum(-1, keepdim=True)) / 32
    logits = torch.log(torch.cat([positive + rest, negative + rest], dim=-1))[..., None, :]
    assert torch.allclose(expected_latent(logits, calibration.codebooks), 0.5 * true, atol=1e-3)
    calibration.update(logits[:2], Whole().decode_latent(true[:2]))
    calibration.update(logits[2:], Whole().decode_latent(true[2:]))
    assert torch.allclose(calibration.amplitudes(), GAINS.double() / 2, atol=1e-3)
    assert calibration.find(1.0) == pytest.approx(2.0, abs=0.01)
    assert calibration.find(0.8) == pytest.approx(1.6, abs=0.01)
    assert calibration.find(0.3) == GAINS[0] and calibration.find(9.0) == GAINS[-1]


def test_samples_are_spread_as_the_training_split_is(networks):
    """Whatever the validation takes do: the factor makes up for what smoothing and the network's caution take away."""
    tokenizer, decoding = networks[0], Decoding("likeliest", "coherent", smoothing=3)
    prediction, readout = prediction_of(tokenizer, 6).logits["hands"][0], Readout(16)
    readout.mean.fill_(0.5)
    spread = Spread("hands", tokenizer, readout, decoding, variance=torch.tensor(40.0))
    spread.update(prediction[:2], torch.zeros(2, 64, 180), 0)
    spread.update(prediction[2:], torch.zeros(4, 64, 180), 2)
    noise = CoherentNoise([str(index) for index in range(6)], 0, 0, (6, 8), 0.9).window(STEPS)
    latent = tokenizer["hands"].quantizer.decode(sample_codes(prediction, noise, 1.0)).sum(dim=-2)
    reached = (smooth_steps(latent, 3) - 0.5).square().sum(dim=-1).mean()
    assert spread.find(0.9) == pytest.approx(0.9 * (40 / reached.item()) ** 0.5, rel=1e-4)
    assert GAINS[0] < spread.find(0.9) < GAINS[-1] and spread.find(1e-3) == GAINS[0] and spread.find(99.0) == GAINS[-1]


def test_smoothed_and_spread_samples(networks):
    tokenizer, base = networks
    prediction = prediction_of(tokenizer, 2)
    raw, smooth = (
        CodeReader(tokenizer, base, Decoding("likeliest", "coherent", **more), ["a", "b"])
        for more in ({}, {"smoothing": 2, "spread": 1.5})
    )
    codes, own = raw.read(prediction, raw.draw())["hands"], smooth.read(prediction, smooth.draw())["hands"]
    quantizer = tokenizer["hands"].quantizer
    latent = quantizer.decode(codes).sum(dim=-2)
    for _ in range(2):
        held = torch.cat([latent[:, :1], latent, latent[:, -1:]], dim=1)
        latent = 0.25 * held[:, :-2] + 0.5 * latent + 0.25 * held[:, 2:]
    assert torch.equal(own, quantizer(1.5 * latent)[1]) and not torch.equal(own, codes)


def test_samples_are_smoothed_across_the_seam(networks):
    """With the window before, the first steps after the seam come nearer to it, and the later ones stay."""
    tokenizer, base = networks
    prediction, smoothing = prediction_of(tokenizer, 8), 2
    reader = CodeReader(
        tokenizer, base, Decoding("coherent", "coherent", smoothing=smoothing), [str(i) for i in range(8)]
    )
    noise = reader.draw()
    before = {part: codes.flip(0) for part, codes in prediction.codes().items()}
    apart, joined = reader.read(prediction, noise), reader.read(prediction, noise, before)
    assert all(codes.shape == apart[part].shape for part, codes in joined.items())
    for part in PARTS:
        latent = [tokenizer[part].quantizer.decode(codes[part]).sum(dim=-2) for codes in (before, apart, joined)]
        last = latent[0][:, -1]
        jump, spread = ((own[:, 1] - last).norm(dim=-1).mean() for own in latent[1:])
        assert spread < 0.9 * jump, part
        assert torch.equal(joined[part][:, smoothing + 1 :], apart[part][:, smoothing + 1 :])


def test_soft_targets_by_hand():
    codebooks = torch.tensor([[[0.0], [1.0], [3.0]]])
    targets = soft_targets(torch.tensor([[1.0]]), codebooks, torch.tensor([2.0]), tau=1.0)
    weights = np.exp([-0.5, 0.0, -2.0])
    assert torch.allclose(targets, torch.tensor(weights / weights.sum(), dtype=torch.float32)[None])
    sharp = soft_targets(torch.tensor([[1.0]]), codebooks, torch.tensor([2.0]), tau=1e-4)
    assert torch.allclose(sharp, torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-6)


def test_code_loss_of_soft_targets():
    draw = torch.Generator().manual_seed(0)
    logits, codes = torch.randn(2, 3, 4, 5, 7, generator=draw), torch.randint(0, 7, (3, 4, 5), generator=draw)
    hard = code_loss(logits, codes)
    assert torch.allclose(code_loss(logits, torch.nn.functional.one_hot(codes, 7).float()), hard, atol=1e-5)
    even = torch.full((3, 4, 5, 7), 1 / 7)
    by_hand = (-logits.log_softmax(-1).mean(-1) / torch.arange(1, 6)).sum(-1).mean()
    assert torch.allclose(code_loss(logits, even), by_hand, atol=1e-5)


def test_sample_diversity_by_hand():
    joints = np.zeros((3, 5, 2, 3))
    joints[1, :, 0, 0] = 1.0
    joints[2, :, 1, 2] = -3.0
    assert sample_diversity(joints) == pytest.approx((1 + 3 + 4) / 3)


def default(*overrides: str):
    return compose("train", *overrides).recipe.decoding


def test_runs_say_how_they_are_read_off():
    earlier = compose("train").plain()
    del earlier["recipe"]
    assert decoding_of(trained(earlier).recipe.decoding) == LIKELIEST, "runs of earlier versions"
    assert decoding_of(default()) == Decoding("expected", "coherent", 0.7, 0.95, smoothing=3, blend=2)
    assert decoding_of(default("recipe=paper")) == LIKELIEST
    wanted = {"face": None, "body": "likeliest", "temperature": 0.5, "coherence": None, "gain": 1.5, "spread": 2.0}
    assert decoding_of(default(), wanted) == Decoding("expected", "likeliest", 0.5, 0.95, 1.5, 3, 2.0, blend=2)


@pytest.mark.parametrize(
    ("wanted", "message"), [({"face": "coherent"}, "decoding.spread=NUMBER"), ({"body": "expected"}, "decoding.gain=")]
)
def test_factors_are_not_taken_for_one_another(wanted, message):
    with pytest.raises(SemTalkError, match=message):
        decoding_of(default(), wanted)
    given = {**wanted, "gain": 1.0, "spread": 1.0}
    assert decoding_of(default(), given).gain == 1.0
    assert decoding_of(default("recipe=paper"), wanted), "a factor of 1 where training looked for none"


@pytest.mark.parametrize(
    ("wanted", "message"), [({"face": "foo"}, "face=foo: choose one of"), ({"typo": 1}, "typo: there is no such key")]
)
def test_only_what_there_is_can_be_wanted(wanted, message):
    with pytest.raises(SemTalkError, match=message):
        decoding_of(default(), wanted)


@pytest.fixture(scope="module")
def model(smoke):
    return SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")


def speeches(*names: str) -> list[Utterance]:
    from tiny import voice

    return [Utterance(voice(5.0 + 0.1 * index), name=name) for index, name in enumerate(names)]


def test_samples_are_reproducible_and_do_not_depend_on_the_batch(model):
    assert model.generator.decoding == Decoding("expected", "coherent", 0.7, 0.95, smoothing=3, blend=2)
    two = speeches("one", "two")
    together = model.generate(two, samples=2)
    assert [result.sample for result in together] == [0, 1, 0, 1]
    alone = model.generate(two[1:], samples=1)[0]
    assert np.allclose(together[2].motion.poses, alone.motion.poses, atol=1e-4)
    assert not np.allclose(together[2].motion.poses, together[3].motion.poses, atol=1e-2)
    again = model.generate(two, samples=2)
    assert all(np.array_equal(a.motion.poses, b.motion.poses) for a, b in zip(together, again, strict=True))
    other = model.generate(two[1:], seed=1)[0]
    assert not np.allclose(other.motion.poses, alone.motion.poses, atol=1e-2)


def test_every_window_is_read_with_the_one_before(model, monkeypatch):
    given, read = [], CodeReader.read

    def recorded(reader, prediction, noise, before=None, network="base"):
        codes = read(reader, prediction, noise, before, network)
        given.append((before, codes))
        return codes

    monkeypatch.setattr(CodeReader, "read", recorded)
    (speech,) = speeches("a take")
    stream = SpeechStream(model, context_seconds=1000.0, name="a take", beta=1.0)
    for make in (lambda: model.generate([speech], beta=1.0), lambda: (stream.push(speech.wave), stream.finish())):
        given.clear()
        make()
        assert len(given) == 3 and given[0][0] is None
        for (_, codes), (before, _) in zip(given, given[1:], strict=False):
            assert all(torch.equal(codes[part], before[part]) for part in PARTS)


def test_a_window_reads_base_and_where_it_passes_the_gate_sparse(model, monkeypatch):
    networks, read = [], CodeReader.read

    def recorded(reader, prediction, noise, before=None, network="base"):
        networks.append((network, "face" in prediction.logits))
        return read(reader, prediction, noise, before, network)

    monkeypatch.setattr(CodeReader, "read", recorded)
    for beta, wanted in ((1.0, [("base", True)]), (0.0, [("base", True), ("sparse", False)])):
        networks.clear()
        model.generate(speeches("a take"), beta=beta)
        assert networks == wanted * 3


def test_a_stream_samples_as_the_whole_does(model):
    (speech,) = speeches("a take")
    whole = model.generate([speech], seed=3, samples=2, foot_lock=False)[1].motion
    stream = SpeechStream(model, context_seconds=1000.0, name="a take", seed=3, sample=1)
    pieces = [stream.push(speech.wave), stream.finish()]
    poses = np.concatenate([piece.poses for piece in pieces])
    assert poses.shape == whole.poses.shape
    assert np.abs(poses[:60] - whole.poses[:60]).max() < 0.05


def test_samples_on_the_command_line(smoke, tmp_path):
    import soundfile

    folder, arguments = smoke
    soundfile.write(tmp_path / "me.wav", speeches("me")[0].wave, 16000)
    given = [f"audio={tmp_path}/me.wav", "transcript=none", "video=false", f"out={tmp_path}/out"]
    run_command("generate.py", *given, "samples=2", "decoding.temperature=0.8", *arguments)
    poses = [np.load(tmp_path / "out" / f"me_{sample}.npz")["poses"] for sample in (0, 1)]
    assert not np.allclose(*poses, atol=1e-2)
    run = folder / "runs" / "smoke"
    loaded = SemTalk.from_pretrained(run, decoding={"temperature": 0.8})
    assert loaded.generator.decoding == Decoding("expected", "coherent", 0.8, 0.95, smoothing=3, blend=2)
