"""A stream in short hops: windows end where the sound does, what was given stays, and what is new passes into it."""

import numpy as np
import pytest
import torch
from conftest import run_command
from test_edit import asked_of
from tiny import speech_of_takes, speech_of_window, tiny_generator, voice

from semtalk import SemTalk
from semtalk.errors import SemTalkError
from semtalk.generation import hops
from semtalk.generation.hops import HopStream, passed
from semtalk.generation.stream import SpeechStream
from semtalk.models.decoding import CoherentNoise, Decoding
from semtalk.motion.parts import Frames
from semtalk.motion.skeleton import PARTS

FRAMES = 244
SPEAKER = torch.tensor([0])


@pytest.fixture(scope="module")
def generator():
    return tiny_generator()


def given_by(stream: HopStream, frames: int = FRAMES) -> list[tuple[Frames, torch.Tensor]]:
    """Pieces that a stream gives for the speech of a take; features of what was not heard yet are zeros."""
    speech, pieces = speech_of_takes(1, frames + 64), []
    while stream.until <= frames:
        window = speech_of_window(speech, stream.first)
        for slot in ("rhythm", "hubert", "words"):
            window[slot] = window[slot].clone()
            window[slot][:, stream.until - stream.first :] = 0
        pieces.append(stream.push(window))
    return [*pieces, stream.finish()]


def whole(pieces: list[tuple[Frames, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.cat([piece[0].rotation for piece in pieces], dim=1), torch.cat([piece[1] for piece in pieces], dim=1)


def unlike_codes(generator, monkeypatch) -> list[dict]:
    """Have every window say other codes, and note them."""
    said, draw = [], torch.Generator().manual_seed(0)

    def between(*_, **__):
        said.append({part: torch.randint(0, 8, (1, 16, 6), generator=draw) for part in PARTS})
        return said[-1], torch.zeros(1, 16)

    monkeypatch.setattr(generator, "between", between)
    return said


@pytest.mark.parametrize(("hop", "lookahead"), [(12, 2), (8, 3), (20, 0), (4, 14)])
def test_frames_come_once_and_as_soon_as_is_promised(generator, hop, lookahead):
    stream, given = HopStream(generator, SPEAKER, hop, lookahead=lookahead), 0
    pieces = given_by(stream, 124)
    for count, (frames, trans) in enumerate(pieces[:-1], start=1):
        given += trans.shape[1]
        assert frames.rotation.shape[1] == trans.shape[1] and given == max(0, hop * count - 4 * lookahead)
    assert stream.wait == hop + 4 * lookahead
    assert whole(pieces)[1].shape[1] == 124 // hop * hop


def test_a_window_ends_where_the_sound_does_and_begins_with_frames_that_were_given(generator):
    stream = HopStream(generator, SPEAKER, 12)
    inputs, pieces = asked_of(generator.base, lambda: given_by(stream))
    rotation, trans = whole(pieces)
    contact = torch.cat([piece[0].contact for piece in pieces], dim=1)
    assert len(inputs) == FRAMES // 12
    for count, (_, motion, mask, *_) in enumerate(inputs, start=1):
        first = max(0, 12 * count - 64)
        assert (mask[0, 0, :4] == 0).all() and (mask[0, 0, 4:] == 1).all() and (motion[0, 4:] == 0).all()
        if not first:
            assert torch.equal(motion[:, :4], generator.neutral_seed(1)[0])
            continue
        rows = slice(first, first + 4)
        seed = generator.channels(Frames(rotation[:, rows], None, None, contact[:, rows]), trans[:, rows])
        assert torch.allclose(motion[:, :4], seed, atol=1e-5), count


def test_codes_of_frames_that_were_given_stay_and_others_are_of_the_newest_window(generator, monkeypatch):
    said, stream = unlike_codes(generator, monkeypatch), HopStream(generator, SPEAKER, 12)
    given_by(stream, 96)  # eight windows of three new steps each, the last two of which are read again
    for part in PARTS:
        wanted = torch.cat([one[part][:, -5:-2] for one in said[5:]] + [said[-1][part][:, -2:]], dim=1)
        assert torch.equal(stream.codes[part][:, -len(wanted[0]) :], wanted), part


def test_the_motion_is_the_same_where_what_is_not_needed_is_forgotten(generator, monkeypatch):
    unlike_codes(generator, monkeypatch)
    stream = HopStream(generator, SPEAKER, 12)
    short = whole(given_by(stream, 600))
    assert stream.codes["face"].shape[1] <= hops.KEPT + 2 and stream.places.shape[1] <= 4 * hops.KEPT
    unlike_codes(generator, monkeypatch)
    monkeypatch.setattr(hops, "KEPT", 1000)
    long = whole(given_by(HopStream(generator, SPEAKER, 12), 600))
    for one, other in zip(short, long, strict=True):
        assert (one - other).abs().max() < 1e-4


def test_new_frames_pass_from_those_that_were_held_back(generator, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    old, new = (
        Frames(*(torch.rand(1, count, *shape, generator=draw) for shape in ((55, 6), (100,), (3,), (4,))))
        for count in (3, 6)
    )
    mixed = passed(old, new)
    for frame, share in enumerate((0.25, 0.5, 0.75)):
        for name in ("expressions", "root", "contact"):
            a, b, c = (getattr(frames, name)[:, frame] for frames in (old, new, mixed))
            assert torch.allclose(c, (1 - share) * a + share * b), name
    assert torch.equal(mixed.expressions[:, 3:], new.expressions[:, 3:])
    axes = mixed.rotation[:, :3].unflatten(-1, (2, 3))
    assert torch.allclose(axes.norm(dim=-1), torch.ones(()), atol=1e-5), "rotations stay rotations"
    unlike_codes(generator, monkeypatch)
    jumps = []
    for lookahead in (0, 2):
        rotation, _ = whole(given_by(HopStream(generator, SPEAKER, 12, lookahead=lookahead)))
        change = (rotation[0, 1:] - rotation[0, :-1]).norm(dim=-1).mean(dim=-1)
        jumps.append(change[12 - 4 * lookahead - 1 :: 12].mean() / change.mean())
    assert jumps[1] < 0.6 * jumps[0], jumps


def test_the_way_goes_on_from_piece_to_piece(generator):
    pieces = given_by(HopStream(generator, SPEAKER, 12))
    root, (_, trans) = torch.cat([piece[0].root for piece in pieces], dim=1), whole(pieces)
    assert torch.allclose(trans[0, 1:, [0, 2]] - trans[0, :-1, [0, 2]], root[0, :-1, [0, 2]] / 30, atol=1e-5)
    assert torch.equal(trans[..., 1], root[..., 1]) and (trans[0, 0, [0, 2]] == 0).all()


def test_a_step_has_its_random_numbers_whichever_window_reads_it(generator):
    plain, hopping = (CoherentNoise(["a"], 0, 0, (2, 3), 0.9) for _ in range(2))
    steps = torch.cat([plain.window(16), plain.window(16)[:, 1:]], dim=1)
    for first in (0, 0, 3, 6, 15):
        assert torch.equal(hopping.since(first, 16), steps[:, first : first + 16]), first
    assert len(hopping.kept) == 16, "what lies behind is forgotten"
    reader, drawn = generator.reader(["a"], Decoding(body="coherent")), []
    draw = reader.draw
    reader.draw = lambda: drawn.append((reader.step, draw())) or drawn[-1][1]
    given_by(HopStream(generator, SPEAKER, 12, reader=reader), 96)
    noise = CoherentNoise(["hands of a"], 0, 0, generator.tokenizer.codebooks("hands").shape[:2], 0.9)
    steps = torch.cat([noise.window(16), noise.window(16)[:, 1:]], dim=1)
    assert [first for first, _ in drawn] == [0, 0, 0, 0, 0, 2, 5, 8]
    assert all(torch.equal(one["hands"], steps[:, first : first + 16]) for first, one in drawn)


@pytest.fixture(scope="module")
def model(smoke):
    return SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")


def spoken(model, wave, size, **options):
    stream = SpeechStream(model, **{"hop": 12, "lookahead": 2} | options)
    motions, late = [], []
    for first in range(0, len(wave), size):
        motions.append(stream.push(wave[first : first + size]))
        late.append(min(first + size, len(wave)) / 16000 - sum(map(len, motions)) / 30)
    assert max(late) <= stream.delay + size / 16000
    before_the_end = sum(map(len, motions))
    motions.append(stream.finish())
    return np.concatenate([motion.poses for motion in motions]), before_the_end, stream


def test_sound_in_pieces_of_any_length_gives_the_same_motion_within_the_stated_delay(model):
    wave = voice(5.3)
    runs = [spoken(model, wave, size) for size in (1600, 3333, len(wave))]
    for poses, _, stream in runs:
        assert len(poses) == len(wave) * 30 // 16000 and stream.delay == pytest.approx(20 / 30)
        assert np.abs(poses - runs[0][0]).max() < 1e-4
    assert len(spoken(model, voice(0.3), 4800)[0]) == 9


def test_a_window_hears_what_was_said_before_its_end_and_nothing_later(model, monkeypatch):
    def heard(pieces: list[np.ndarray]) -> list[torch.Tensor]:
        stream, windows = SpeechStream(model, hop=12, lookahead=2), []
        monkeypatch.setattr(
            stream.stream, "push", lambda given, push=stream.stream.push: windows.append(given) or push(given)
        )
        for piece in pieces:
            stream.push(piece)
        return [window["hubert"] for window in windows]

    one, other = voice(4.0), voice(4.0)
    other[32000:] = voice(2.0, seed=5)
    bit_by_bit, at_once, otherwise = heard([one[:32000], one[32000:]]), heard([one]), heard([other])
    assert len(at_once) == len(bit_by_bit) == 10
    for number, (a, b, c) in enumerate(zip(bit_by_bit, at_once, otherwise, strict=True)):
        assert torch.equal(a, b) and torch.equal(a, c) == (number < 5), number
        assert a[:, 12 * number + 14 :].std(dim=1).max() < 1e-3 if number < 4 else True, "silence follows"
        assert a[:, max(0, min(12 * number, 48)) :][:, :12].std() > 0.1


def test_hops_that_do_not_fit_are_one_sentence(model):
    for options, says in (
        ({"hop": 14}, "14 frames are no whole code steps; give a multiple of 4"), ({"hop": 64}, "from 4 to 60"),
        ({"hop": 12}, "hop=12: with the 120 frames of lookahead=30 it is more than the 60 of a window"),
        ({"hop": "a"}, "hop=a: give a whole number"), ({"hop": True}, "hop=true: give a whole number"),
    ):  # fmt: skip
        with pytest.raises(SemTalkError, match=says):
            SpeechStream(model, **options)
    for words, says in ((["hop=15"], "no whole code steps"), (["hop=40", "lookahead=6"], "more than the 60")):
        said = run_command("scripts/live.py", "audio=/nowhere.wav", *words, check=False)
        assert said.returncode == 1 and says in said.stderr and "nowhere" not in said.stderr


def test_the_command_hops_as_it_is_told(smoke, tmp_path, monkeypatch):
    import soundfile

    asked = {}

    def stream(model, *given, **options):
        asked.update(options)
        raise SemTalkError("stop")

    monkeypatch.setattr("semtalk.generation.stream.SpeechStream", stream)
    soundfile.write(tmp_path / "a.wav", voice(1.0), 16000)
    words = [*smoke[1], f"audio={tmp_path}/a.wav", "play=false"]
    assert run_command("scripts/live.py", *words, "hop=12", "lookahead=2", check=False).stderr.endswith("stop")
    assert asked["hop"] == 12
