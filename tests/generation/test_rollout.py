"""The rollout by plain loops: seeds, windows, the gate, seams, and where the body goes."""

import pytest
import torch
from tiny import speech_of_takes, speech_of_window, tiny_generator

from semtalk.evaluation.known_answers import known_answers
from semtalk.evaluation.takes import TakeMaker, add_mean_pose, most_gestured, true_frames
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.seams import join_windows, orthonormal, padded_frames, smooth_seams, window_count
from semtalk.models.decoding import Decoding
from semtalk.models.fusion import fuse_codes
from semtalk.models.layers import smooth_steps
from semtalk.models.masking import seed_mask
from semtalk.models.predictor import Passes
from semtalk.motion.parts import Frames, motion_channels, part_channels, translation_from_root
from semtalk.motion.rotation import matrix_to_6d, rotation_6d_to_matrix
from semtalk.motion.skeleton import BODY_PARTS, HAND_JOINTS, PARTS, UPPER_JOINTS
from semtalk.settings import compose

FRAMES = 184
"""Three windows."""


@pytest.fixture(scope="module")
def generator() -> MotionGenerator:
    return tiny_generator()


def seed(takes: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(2)
    rotation = matrix_to_6d(rotation_6d_to_matrix(torch.randn(takes, 4, 55, 6, generator=g)))
    rest = torch.randn(takes, 4, 7, generator=g)
    return torch.cat([rotation.flatten(-2), rest], dim=-1), torch.tensor([[1.0, 1.2, -2.0]]).repeat(takes, 1)


def test_the_rollout_by_hand(generator):
    """Each window is predicted from the last four frames of what is decoded so far; sparse where psi is above beta."""
    given, speaker, (channels, start) = speech_of_takes(), torch.tensor([0, 1]), seed()
    psi = torch.rand(2, 46, generator=torch.Generator().manual_seed(5))
    psi[0, 15:31] = 0.1  # a window without a gesture in the first take
    asked: list[tuple] = []
    hook = generator.base.register_forward_pre_hook(lambda _, inputs: asked.append(inputs))
    rollout = generator.rollout(given, speaker, 20, beta=0.6, seed=(channels, start), psi=psi)
    hook.remove()
    assert torch.equal(rollout.psi, psi) and len(asked) == 3
    done: dict[str, list] = {part: [] for part in PARTS}
    mask = seed_mask().expand(1, 2, -1, -1)
    for index, first in enumerate((0, 60, 120)):
        motion = torch.cat([channels, torch.zeros(2, 60, 337)], dim=1)
        heard = speech_of_window(given, first) | {"speaker": speaker}
        batch, seen, hidden, passes, speech = asked[index]
        assert torch.allclose(seen, motion, atol=1e-4) and torch.equal(hidden, mask) and passes == Passes()
        assert torch.equal(batch["speaker"], speaker)
        for name, value in generator.base.encode_speech(heard).__dict__.items():
            assert torch.allclose(getattr(speech, name), value, atol=1e-4), (index, name)
        codes = generator.base(heard, motion, mask, Passes()).codes()
        more = generator.sparse(heard, motion, mask, Passes()).codes()
        assert any(not torch.equal(codes[part], more[part]) for part in BODY_PARTS)
        fused = fuse_codes(codes, more, psi[:, 15 * index : 15 * index + 16], 0.6)
        for part in PARTS:
            done[part].append(fused[part][:, 1 if index else 0 :])
        so_far = {part: torch.cat(rows, dim=1) for part, rows in done.items()}
        frames, trans = generator.decode(so_far, start)
        channels = motion_channels(frames.map(lambda value: value[:, -4:]), trans[:, -4:])
    for part in PARTS:
        assert torch.equal(rollout.codes[part], torch.cat(done[part], dim=1)), part
    expected, trans = generator.decode(rollout.codes, start, seams=(16, 31))
    assert torch.equal(rollout.frames.rotation, expected.rotation) and torch.equal(rollout.trans, trans)
    assert rollout.frames.rotation.shape == (2, FRAMES, 55, 6)


def test_the_gate_chooses_the_steps(generator):
    given, speaker = speech_of_takes(), torch.tensor([0, 1])
    runs = {gate: generator.rollout(given, speaker, 20, gate=gate) for gate in ("learned", "always", "never", "random")}
    assert (runs["always"].psi == 1).all() and (runs["never"].psi == 0).all()
    assert 0.3 < runs["random"].psi.mean() < 0.7 and runs["random"].psi.std() > 0.2
    scores = generator.scores(given, 20)
    assert torch.allclose(runs["learned"].psi, scores, atol=1e-5) and scores.shape == (2, 46)
    assert 0 < (scores > 0.5).float().mean() < 1
    parts = [
        part for part in PARTS if not torch.equal(runs["always"].codes[part][:, :16], runs["never"].codes[part][:, :16])
    ]
    assert set(parts) == set(BODY_PARTS), "the face is base's alone"
    first = {name: generator.rollout(window_all(given), speaker, 20, gate=name) for name in ("always", "never")}
    own = generator.rollout(window_all(given), speaker, 20)
    active = own.psi > 0.5
    for part in BODY_PARTS:
        wanted = torch.where(active[..., None], first["always"].codes[part], first["never"].codes[part])
        assert torch.equal(own.codes[part], wanted)


def window_all(given: dict) -> dict:
    """The first window of features."""
    return {slot: value[:, :64] if slot in ("rhythm", "hubert", "words") else value for slot, value in given.items()}


def test_beta_is_the_papers_half(generator):
    import inspect

    assert inspect.signature(generator.rollout).parameters["beta"].default == 0.5
    assert compose("eval").beta == compose("generate").beta == 0.5


def test_decoding_by_hand(generator):
    codes = generator.rollout(speech_of_takes(), torch.tensor([0, 1]), 20).codes
    start = torch.tensor([[1.0, 9.0, -2.0], [0.0, 0.0, 0.0]])
    frames, trans = generator.decode(codes, start, seams=(16, 31))
    latents = generator.tokenizer.latents(codes)
    for latent in (latents[part] for part in PARTS if part != "face"):
        kept = latent.clone()
        for step in (14, 15, 16, 17, 29, 30, 31, 32):
            latent[:, step] = sum(w / 16 * kept[:, step + by] for by, w in enumerate((1, 4, 6, 4, 1), start=-2))
    own = generator.tokenizer.decode(latents)
    matrices = rotation_6d_to_matrix(own.rotation)
    assert torch.allclose(rotation_6d_to_matrix(frames.rotation), matrices, atol=1e-4)
    norms = frames.rotation.unflatten(-1, (2, 3)).norm(dim=-1)
    assert torch.allclose(norms, torch.ones_like(norms), atol=1e-5), "decoded rotations are true ones"
    own.rotation = matrix_to_6d(matrices)
    root, contact = generator.translation.root(part_channels(own, PARTS["lower"]))
    assert torch.allclose(frames.root, root, atol=1e-5) and torch.allclose(frames.contact, contact, atol=1e-5)
    assert torch.allclose(trans, translation_from_root(root, start), atol=1e-5)
    tail, _ = generator.decode(codes, start, last=40)
    whole, _ = generator.decode(codes, start)
    assert torch.allclose(tail.rotation, whole.rotation[:, -40:], atol=1e-4)


def test_windows_overlap_by_the_four_frames_of_their_seed():
    assert [window_count(frames) for frames in (1, 64, 65, 124, 125, 184)] == [1, 1, 2, 2, 3, 3]
    assert [padded_frames(frames) for frames in (1, 64, 65, 184)] == [64, 64, 124, 184]
    windows = [{part: torch.full((1, 16, 2), index) for part in PARTS} for index in range(3)]
    assert join_windows(windows)["upper"][0, :, 0].tolist() == [0] * 16 + [1] * 15 + [2] * 15


def test_seams_are_smoothed_on_both_sides():
    latents, weights = torch.randn(2, 12, 3), torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    smoothed = smooth_seams(latents, (6,))
    for step in range(12):
        wanted = latents[:, step]
        if step in (4, 5, 6, 7):
            wanted = (latents[:, step - 2 : step + 3] * weights[:, None]).sum(dim=1)
        assert torch.allclose(smoothed[:, step], wanted, atol=1e-6), step
    assert torch.equal(smooth_seams(latents, ()), latents)
    assert smooth_seams(latents[:, :6], (5,)).isfinite().all(), "a seam may be at the end"


def test_the_neutral_seed_is_the_mean_pose_at_the_origin(generator):
    for part in PARTS:
        rvqvae = generator.tokenizer[part]
        rvqvae.mean.copy_(torch.linspace(-1, 1, len(rvqvae.mean)))
    channels, start = generator.neutral_seed(2)
    lower = generator.tokenizer["lower"].mean
    assert channels.shape == (2, 4, 337) and start.tolist() == [[0.0, pytest.approx(lower[55].item()), 0.0]] * 2
    assert torch.allclose(channels[..., 330:333], start[:, None].expand(-1, 4, -1)) and (channels[..., 333:] == 1).all()
    hips = rotation_6d_to_matrix(lower[:6])
    assert torch.allclose(rotation_6d_to_matrix(channels[0, 0, :6]), hips, atol=1e-5)


def test_orthonormal_rotations_stay_as_they_are():
    rotation = matrix_to_6d(rotation_6d_to_matrix(torch.randn(2, 5, 55, 6)))
    assert torch.allclose(orthonormal(rotation), rotation, atol=1e-5)


def test_samples_of_a_window_are_seeded_by_name_seed_and_sample(generator):
    decoding = Decoding("likeliest", "coherent", coherence=0.5)
    given, speaker = speech_of_takes(), torch.tensor([0, 1])

    def codes(names, **options):
        return generator.rollout(given, speaker, 20, reader=generator.reader(names, decoding, **options)).codes["hands"]

    one = codes(["a", "b"])
    assert torch.equal(one, codes(["a", "b"], seed=0, sample=0))
    for other in (codes(["c", "d"]), codes(["a", "b"], seed=1), codes(["a", "b"], sample=1)):
        assert not torch.equal(one, other)
    assert generator.reader(["a"]).decoding is generator.decoding


def test_changes_between_networks_are_blended(generator):
    reader = generator.reader(["a", "b"], Decoding(blend=1))
    g = torch.Generator().manual_seed(0)
    base, sparse = ({p: torch.randint(0, 8, (2, 16, 6), generator=g) for p in parts} for parts in (PARTS, BODY_PARTS))
    psi = torch.zeros(2, 16)
    psi[:, 4:9] = 1.0
    hard, gentle = fuse_codes(base, sparse, psi, 0.5), reader.fuse(base, sparse, psi, 0.5)
    for part in BODY_PARTS:
        latent = smooth_steps(generator.tokenizer.latents({part: hard[part]})[part], 1)
        blended = generator.tokenizer[part].quantizer(latent)[1]
        for step in range(16):
            wanted = blended if step in (3, 4, 8, 9) else hard[part]
            assert torch.equal(gentle[part][:, step], wanted[:, step])


class Kept(dict):
    """A recording as a store gives it."""

    def __init__(self, name: str, frames: int, draw: int):
        g = torch.Generator().manual_seed(draw)
        trans = torch.randn(frames, 3, generator=g)
        shapes = {"rotation": (55, 6), "expressions": (100,), "root": (3,), "contact": (4,)}
        super().__init__({key: torch.randn(frames, *shape, generator=g) for key, shape in shapes.items()})
        self.update(
            {slot: value[0] for slot, value in speech_of_takes(1, frames).items()}, trans=trans, betas=torch.zeros(300)
        )
        self.update(
            semantic=(torch.rand(frames, generator=g) - 0.5).clamp(min=0), wave=torch.zeros(frames * 16000 // 30)
        )
        self.id, self.frames, self.info = name, frames, {"speaker": 7, "split": "test"}


def test_takes_are_seeded_by_their_truth_and_made_with_and_without_sparse(generator, monkeypatch):
    calls = []
    rollout = MotionGenerator.rollout

    def recorded(self, given, speaker, stride, **options):
        calls.append({"features": given, "speaker": speaker, "stride": stride, **options})
        return rollout(self, given, speaker, stride, **options)

    monkeypatch.setattr(MotionGenerator, "rollout", recorded)
    recordings = [Kept("a", 190, 1), Kept("b", 40, 2), Kept("c", 160, 3)]
    maker = TakeMaker(generator, [5, 7], 20, beta=0.3, seed=9)
    takes, short = maker.takes(recordings, lambda windows: windows)
    assert short == ["b"] and [take.id for take in takes] == ["a", "c"]
    assert {call["gate"] for call in calls} == {"learned", "never"}
    for call in calls:
        assert call["beta"] == 0.3 and set(call["speaker"].tolist()) == {1} and call["stride"] == 20
    for take, own in zip(takes, (recordings[0], recordings[2]), strict=True):
        head = Frames(*(own[key][None, :4] for key in ("rotation", "expressions", "root", "contact")))
        wanted = motion_channels(head, own["trans"][None, :4])
        given = torch.cat([call["seed"][0] for call in calls])
        assert any(torch.allclose(row, wanted[0]) for row in given)
        assert any(torch.equal(row, own["trans"][0]) for row in torch.cat([call["seed"][1] for call in calls]))
        assert take.frames == 124 and torch.equal(take.rotation["truth"], own["rotation"][:124])
        assert torch.equal(take.trans["truth"], own["trans"][:124]) and take.psi.shape == (31,)
        steps = own["semantic"][:124].view(31, 4).mean(dim=1) > 0
        assert torch.equal(take.semantic_steps, steps) and torch.equal(take.semantic_frames, own["semantic"][:124] > 0)
        assert take.rotation["fused"].shape == take.rotation["base"].shape == (124, 55, 6)
        assert not torch.equal(take.rotation["fused"], take.rotation["base"])
    add_mean_pose(takes, recordings[:2])
    mean = torch.cat([recording["expressions"] for recording in recordings[:2]]).mean(dim=0)
    assert torch.allclose(takes[0].expressions["mean"][5], mean)
    turn = rotation_6d_to_matrix(torch.cat([recording["rotation"] for recording in recordings[:2]]).mean(dim=0))
    assert torch.allclose(rotation_6d_to_matrix(takes[0].rotation["mean"][9]), turn, atol=1e-5)
    most = max(takes, key=lambda take: int((take.semantic[:60] > 0).sum()))
    assert most_gestured(takes, 2.0) is most


def test_known_answers_by_hand(generator):
    maker = TakeMaker(generator, [7], 20)
    recordings = [Kept("a", 190, 1), Kept("c", 160, 3)]
    takes, _ = maker.takes(recordings, lambda windows: windows)
    for one, recording in zip(takes, recordings, strict=True):
        one.recording = recording
    found = known_answers(maker, takes, recordings)
    joints = [*UPPER_JOINTS, *HAND_JOINTS]
    errors = {row: [] for row in ("fused", "base")}
    for one in takes:
        for row, rows in errors.items():
            own, true = (rotation_6d_to_matrix(one.rotation[name][:, joints]) for name in (row, "truth"))
            trace = (own.transpose(-1, -2) @ true).diagonal(dim1=-1, dim2=-2).sum(dim=-1)
            rows.append(torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).arccos()).mean(dim=-1))
    inside = torch.cat([one.semantic > 0 for one in takes])
    fused, base = (torch.cat(errors[row]) for row in ("fused", "base"))
    assert found["inside_ratio"] == pytest.approx((fused[inside].mean() / base[inside].mean()).item(), rel=1e-3)
    assert found["outside_ratio"] == pytest.approx((fused[~inside].mean() / base[~inside].mean()).item(), rel=1e-3)
    assert found["own_audio_ratio"] == pytest.approx(fused.mean().item() / found["error_other_audio"], rel=1e-3)
    psi, steps = (torch.cat(rows) for rows in zip(*((t.psi, t.semantic_steps) for t in takes), strict=True))
    hits, wrong = ((psi > 0.5) & steps).sum().item(), ((psi > 0.5) ^ steps).sum().item()
    assert found["gate_f1"] == pytest.approx(2 * hits / (2 * hits + wrong))
    codes = [
        generator.tokenizer.encode(true_frames(r, slice(0, r.frames // 4 * 4)))["face"][..., 0] for r in recordings
    ]
    used = len(torch.cat([code.flatten() for code in codes]).unique())
    assert found["codes_used_face"] == used / 8
