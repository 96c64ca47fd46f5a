"""Scores that are set and poses that are held, by hand on tiny networks: what follows, and what stays."""

import numpy as np
import pytest
import torch
from tiny import speech_of_takes, speech_of_window, tiny_generator

from semtalk.generation.edit import BODY_JOINTS, Edits, HeldPose, led_back, widened
from semtalk.generation.reader import REACH
from semtalk.models.decoding import Decoding
from semtalk.models.fusion import semantic_score
from semtalk.models.masking import seed_mask
from semtalk.models.predictor import Passes
from semtalk.motion.io import Motion
from semtalk.motion.parts import Frames, root_from_translation, rotation_from_poses
from semtalk.motion.skeleton import BODY_PARTS, PARTS

SPEAKERS = torch.tensor([0, 1])


@pytest.fixture(scope="module")
def generator():
    generator = tiny_generator()
    for parameter in generator.sparse.semantics.emphasis.parameters():
        parameter.mul_(8)  # so that codes follow the scale of the semantic features
    return generator


def edits(steps: int = 46, poses=({}, {}), **scores: float) -> Edits:
    """Of two takes; ``s20=1.0`` sets the score of the first one's step 20."""
    psi = torch.full((2, steps), torch.nan)
    for step, score in scores.items():
        psi[0, int(step[1:])] = score
    return Edits(psi, poses)


def other_steps(one: dict, other: dict, take: int = 0) -> set[int]:
    """Steps whose codes of any part differ."""
    return {int(step) for part in PARTS for step in (one[part][take] != other[part][take]).any(dim=-1).nonzero()[:, 0]}


def asked_of(network, call) -> tuple[list, object]:
    """Inputs that a network gets during a call, and what the call gives."""
    inputs: list = []
    hook = network.register_forward_pre_hook(lambda _, given: inputs.append(given))
    result = call()
    hook.remove()
    return inputs, result


@pytest.mark.parametrize("gate", ["never", "always"])
def test_steps_take_the_codes_that_follow_their_score_and_all_others_stay(generator, gate):
    given = speech_of_takes()
    plain = generator.rollout(given, SPEAKERS, 20, gate=gate)
    edited = generator.rollout(given, SPEAKERS, 20, gate=gate, edits=edits(s20=0.55, s21=0.6, s22=0.4))
    heard = speech_of_window(given, 60) | {"speaker": SPEAKERS}
    first = {part: codes[:, :16] for part, codes in plain.codes.items()}
    seed = generator.next_seed([first], generator.neutral_seed(2)[1])
    call = (torch.cat([seed, torch.zeros(2, 60, 337)], dim=1), seed_mask().expand(1, 2, -1, -1), Passes())
    speech = generator.sparse.encode_speech(heard)
    score = semantic_score(speech.gate_logits)
    score[0, 5:8] = torch.tensor([0.55, 0.6, 0.4])
    base, own = generator.base(heard, *call).codes(), generator.sparse(heard, *call).codes()
    sparse = generator.sparse(heard, *call, speech.scaled_by(score)).codes()
    for part in PARTS:
        wanted = plain.codes[part].clone()
        if part != "face":
            wanted[0, 20:23] = torch.cat([sparse[part][0, 5:7], base[part][0, 7:8]])
        assert torch.equal(edited.codes[part], wanted), part
    differ = [(sparse[part] != own[part])[0].any(dim=-1) for part in BODY_PARTS]
    assert any(steps[5:7].any() for steps in differ), "nothing follows the score"
    assert any(steps[8:].any() for steps in differ), "nothing but the edited steps would change"
    assert other_steps(edited.codes, plain.codes) <= {20, 21, 22}
    assert edited.psi[0, 20:23].tolist() == pytest.approx([0.55, 0.6, 0.4])
    for one, other in ((edited.frames.rotation, plain.frames.rotation), (edited.trans, plain.trans)):
        assert torch.equal(one[1], other[1]), "the other take has no edit"
    assert not torch.equal(edited.frames.rotation[0], plain.frames.rotation[0])


@pytest.mark.parametrize("decoding", [Decoding(), Decoding("likeliest", "coherent", sparse="coherent", coherence=0.5)])
def test_calm_steps_take_the_codes_of_base_by_the_same_random_numbers(generator, decoding):
    given = speech_of_takes()

    def rollout(gate, **options):
        return generator.rollout(given, SPEAKERS, 20, gate=gate, reader=generator.reader("ab", decoding), **options)

    plain, base = rollout("always"), rollout("never")
    edited = rollout("always", edits=edits(s3=0.0, s4=0.0, s15=0.0))
    for part in PARTS:
        wanted = plain.codes[part].clone()
        wanted[0, [3, 4, 15]] = base.codes[part][0, [3, 4, 15]]
        assert torch.equal(edited.codes[part], wanted), part
    assert other_steps(edited.codes, plain.codes) == {3, 4, 15}


def test_later_windows_are_seeded_by_the_motion_without_edits_and_only_edited_ones_are_read_again(generator):
    given = speech_of_takes(frames=244)
    asked, plain = asked_of(generator.base, lambda: generator.rollout(given, SPEAKERS, 20, gate="never"))
    again, edited = asked_of(
        generator.base,
        lambda: generator.rollout(given, SPEAKERS, 20, gate="never", edits=edits(61, s15=1.0, s16=0.0, s40=1.0)),
    )
    motions = [inputs[1] for inputs in asked]
    order = [0, 0, 1, 2, 2, 3]  # step 15 is the first window's own, and the second one's seed; 16 is 0 already
    assert len(again) == len(order)
    assert all(torch.equal(inputs[1], motions[index]) for inputs, index in zip(again, order, strict=True))
    assert other_steps(edited.codes, plain.codes) == {15, 40}


def test_steps_beside_an_edit_are_blended_with_it(generator):
    given = speech_of_takes()

    def rollout(**options):
        return generator.rollout(
            given, SPEAKERS, 20, gate="never", reader=generator.reader("ab", Decoding(blend=1)), **options
        )

    changed = other_steps(rollout(edits=edits(s20=1.0, s21=1.0)).codes, rollout().codes)
    assert changed == {19, 20, 21, 22}
    assert widened(torch.tensor([[0, 0, 0, 1, 0, 0, 0]]).bool(), 2)[0].nonzero()[:, 0].tolist() == [1, 2, 3, 4, 5]


def test_scores_that_are_as_they_were_change_nothing(generator):
    given = speech_of_takes()
    plain = generator.rollout(given, SPEAKERS, 20)
    asked, edited = asked_of(
        generator.base, lambda: generator.rollout(given, SPEAKERS, 20, edits=Edits(plain.psi.clone(), [{}, {}]))
    )
    assert len(asked) == 3 and torch.equal(edited.psi, plain.psi)
    assert torch.equal(edited.frames.rotation, plain.frames.rotation) and torch.equal(edited.trans, plain.trans)


def test_frames_beyond_the_decoders_reach_stay_bit_for_bit_and_the_body_is_led_back(generator):
    given = speech_of_takes(frames=544)  # nine windows
    scores = {f"s{step}": 1.0 for step in range(64, 69)}
    plain = generator.rollout(given, SPEAKERS, 20, gate="never")
    edited = generator.rollout(given, SPEAKERS, 20, gate="never", edits=edits(136, **scores))
    before, after = slice(0, (64 - REACH) * 4), slice((69 + REACH) * 4, None)
    for stays in (before, after):
        for name in ("rotation", "expressions", "contact"):
            one, other = getattr(edited.frames, name)[0, stays], getattr(plain.frames, name)[0, stays]
            assert torch.equal(one, other), name
        assert torch.equal(edited.trans[0, stays], plain.trans[0, stays])
    inside = slice(64 * 4, 69 * 4)
    assert not torch.equal(edited.trans[0, inside], plain.trans[0, inside])


def test_frames_are_those_of_the_edited_codes(generator):
    given, start = speech_of_takes(frames=544), torch.zeros(1, 3)
    scores = {f"s{step}": 1.0 for step in range(70, 75)}
    edited = generator.rollout(given, SPEAKERS, 20, gate="never", edits=edits(136, **scores))
    codes = {part: value[:1] for part, value in edited.codes.items()}
    frames, _ = generator.decode(codes, start, tuple(range(16, 136, 15)))
    assert torch.allclose(edited.frames.rotation[:1], frames.rotation, atol=1e-4)
    assert torch.allclose(edited.frames.contact[:1], frames.contact, atol=1e-4)


def test_leading_back_by_hand():
    was, new = torch.zeros(8, 3), torch.zeros(8, 3)
    was[:, 0], new[:, 0] = torch.arange(8.0), torch.arange(8.0) * 2 + 5
    new[:, 1] = 7.0
    reached = torch.tensor([0, 0, 1, 1, 1, 1, 0, 0]).bool()
    led = led_back(was, new, reached)
    assert led[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7], "twice the way in four frames, and as much back"
    assert led[:, 1].tolist() == [0, 0, 7, 7, 7, 7, 0, 0], "height is of the pose"
    reached[6:] = True
    assert led_back(was, new, reached)[:, 0].tolist() == [0, 1, 2, 4, 6, 8, 10, 12], "at the end nothing follows"


def pose(draw: int = 0) -> Motion:
    rng = np.random.default_rng(draw)
    poses = 0.4 * rng.normal(size=(1, 55, 3)).astype(np.float32)
    return Motion(poses, np.zeros((1, 100), np.float32), np.array([[3.0, 0.9, 3.0]], np.float32), np.zeros(300))


def held(generator, **poses: int) -> tuple[Edits, dict[int, HeldPose]]:
    own = {
        int(step[1:]): HeldPose.of(pose(draw), generator.tokenizer, torch.device("cpu")) for step, draw in poses.items()
    }
    return edits(61, poses=(own, {})), own


def test_a_pose_is_a_seed_in_the_middle(generator):
    """Two poses: the window around each knows its ends as they were, and every pose in it."""
    given = speech_of_takes(frames=244)
    asked, own = held(generator, s29=1, s34=2)
    plain = generator.rollout(given, SPEAKERS, 20)
    inputs, edited = asked_of(generator.base, lambda: generator.rollout(given, SPEAKERS, 20, edits=asked))
    assert len(inputs) == 4 + 2
    _, motion, mask, _, _ = inputs[4]
    known = {0, 7, 8, 9, 12, 13, 14, 15}  # of the window from step 21: its ends, and both poses
    for step in range(16):
        assert (mask[0, 0, 4 * step : 4 * step + 4] == (0 if step in known else 1)).all(), step
    turn = motion[0, :, :330].unflatten(-1, (55, 6))
    for step, centre in ((7, 29), (8, 29), (9, 29), (12, 34), (14, 34)):
        rows = turn[4 * step : 4 * step + 4, BODY_JOINTS]
        assert torch.allclose(rows, own[centre].rotation[BODY_JOINTS].expand_as(rows), atol=1e-6)
        assert torch.allclose(motion[0, 4 * step, 331], torch.tensor(0.9)) and (motion[0, 4 * step, 333:] == 1).all()
    for step in (0, 15):
        frame = 4 * (21 + step) + 1
        assert torch.allclose(turn[4 * step + 1], plain.frames.rotation[0, frame], atol=0.02), (
            "the ends are as they were"
        )
    for centre in own:
        for step in (centre - 1, centre, centre + 1):
            for part in BODY_PARTS:
                assert torch.equal(edited.codes[part][0, step], own[centre].codes[part]), (part, step)
    changed = other_steps(edited.codes, plain.codes)
    assert changed <= {*range(22, 36), *range(27, 41)} and len(changed) > 10
    assert torch.equal(edited.codes["face"], plain.codes["face"]), "the face goes on with the voice"
    assert torch.equal(edited.psi, plain.psi) and torch.equal(edited.trans[1], plain.trans[1])


@pytest.mark.parametrize("step", [1, 16, 30, 60])
def test_no_seam_is_smoothed_over_a_held_pose(generator, monkeypatch, step):
    given, decoded = speech_of_takes(frames=244), []
    asked, _ = held(generator, **{f"s{step}": 1})
    decode = generator.tokenizer.decode
    monkeypatch.setattr(
        generator.tokenizer, "decode", lambda given, last=None: decoded.append(given) or decode(given, last)
    )
    edited = generator.rollout(given, SPEAKERS, 20, edits=asked)
    for part, latents in generator.tokenizer.latents(edited.codes).items():
        near = slice(max(0, step - 1), step + 2)
        assert torch.equal(decoded[-1][part][0, near], latents[0, near]), part


def test_the_codes_of_a_pose_are_those_of_a_body_that_stays_in_it(generator):
    one, stays = HeldPose.of(pose(), generator.tokenizer, torch.device("cpu")), pose()
    rotation = rotation_from_poses(torch.from_numpy(stays.poses)).expand(1, 64, 55, 6)
    root = root_from_translation(torch.from_numpy(stays.trans).expand(1, 64, 3))
    codes = generator.tokenizer.encode(Frames(rotation, torch.zeros(1, 64, 100), root, torch.ones(1, 64, 4)))
    assert set(one.codes) == set(BODY_PARTS) and one.height == np.float32(0.9)
    assert all(torch.equal(one.codes[part], codes[part][0, 8]) for part in BODY_PARTS)


def test_poses_and_scores_together_and_at_both_ends(generator):
    given = speech_of_takes(frames=244)
    plain = generator.rollout(given, SPEAKERS, 20)
    asked, own = held(generator, s0=1, s60=2)
    asked.psi[0, 5] = 1.0 - (plain.psi[0, 5] > 0.5).float()
    inputs, edited = asked_of(generator.base, lambda: generator.rollout(given, SPEAKERS, 20, edits=asked))
    *_, first, last = inputs
    assert (first[2][0, 0, 60:] == 0).all() and (first[2][0, 0, 8:60] == 1).all(), "it leads to what follows"
    assert (last[2][0, 0, 4:56] == 1).all() and (last[2][0, 0, 56:] == 0).all() and (last[2][0, 0, :4] == 0).all()
    assert edited.psi[0, 5] == asked.psi[0, 5]
    for step, centre in ((0, 0), (1, 0), (59, 60), (60, 60)):
        assert torch.equal(edited.codes["hands"][0, step], own[centre].codes["hands"])
    assert not other_steps(edited.codes, plain.codes) & set(range(15, 46))
