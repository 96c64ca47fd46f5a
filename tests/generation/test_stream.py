"""Streaming: the same motion as at once, in pieces, with a stated delay."""

import numpy as np
import pytest
import torch
from tiny import voice

from semtalk import SemTalk
from semtalk.features.utterance import Utterance
from semtalk.generation.seams import NEW_FRAMES, join_windows
from semtalk.generation.stream import EXACT_LOOKAHEAD, SpeechStream, WindowStream
from semtalk.motion.skeleton import PARTS


@pytest.fixture(scope="module")
def model(smoke):
    return SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")


def varied():
    """Codes that differ from step to step and follow from what is heard; a short training gives one code."""

    def window(speech, speaker, seed, beta, gate, reader, before, psi=None):
        draw = torch.Generator().manual_seed(int(100 * speech["base"].body.abs().sum()))
        codes = {name: torch.randint(0, 64, (1, 16, 6), generator=draw) for name in PARTS}
        return codes, torch.rand(1, 16, generator=draw)

    return window


@pytest.mark.parametrize(("windows", "real"), [(1, True), (3, True), (9, False)])
def test_windows_one_by_one_equal_the_rollout(model, windows, real, monkeypatch):
    if not real:
        monkeypatch.setattr(model.generator, "window", varied())
    frames = 60 * windows + 4
    speech = Utterance(voice(frames / 30 - 0.01), name="a")
    features = {slot: value[None] for slot, value in model._encode(speech, "neutral").items()}
    whole = model.generator.rollout(features, torch.tensor([0]), stride=20)
    stream = WindowStream(model.generator, torch.tensor([0]))
    pieces = [
        stream.push(model.generator.features_of(features, first, 20)) for first in range(0, frames - 4, NEW_FRAMES)
    ]
    if not real:
        assert len({whole.codes["upper"][0, step, 0].item() for step in range(100)}) > 20
        assert sum(piece[1].shape[1] for piece in pieces) == 4 * (stream.steps - EXACT_LOOKAHEAD)
    pieces.append(stream.finish())
    rotation = torch.cat([piece[0].rotation for piece in pieces], dim=1)
    trans = torch.cat([piece[1] for piece in pieces], dim=1)
    assert rotation.shape == whole.frames.rotation.shape
    assert (rotation - whole.frames.rotation).abs().max() < 1e-5
    assert (trans - whole.trans).abs().max() < 1e-4


@pytest.mark.parametrize("lookahead", [0, EXACT_LOOKAHEAD])
def test_sound_in_pieces_of_any_length(model, lookahead):
    wave = voice(9.3)
    runs = []
    for size in (3000, 17777, len(wave)):
        stream = SpeechStream(model, lookahead=lookahead)
        motions, late = [], []
        for first in range(0, len(wave), size):
            motions.append(stream.push(wave[first : first + size]))
            heard = min(first + size, len(wave)) / 16000
            late.append(heard - sum(map(len, motions)) / 30)
        assert max(late) <= stream.delay + size / 16000 and len(stream.wave) <= 16000 * 25
        motions.append(stream.finish())
        runs.append(np.concatenate([motion.poses for motion in motions]))
        assert len(runs[-1]) == len(wave) * 30 // 16000
    assert np.abs(runs[0] - runs[1]).max() < 1e-4 and np.abs(runs[0] - runs[2]).max() < 1e-4
    assert SpeechStream(model, lookahead=0).delay == pytest.approx(64 / 30)


def test_a_voice_in_pieces_with_exact_look_ahead_is_the_whole(model, monkeypatch):
    """Of the same features; those of a stream differ, as its encoders hear nothing later than a window's end."""
    monkeypatch.setattr(model.generator, "window", varied())
    wave, stream = voice(16.3), SpeechStream(model, lookahead=EXACT_LOOKAHEAD)
    whole = model.generate([Utterance(wave, name="0")], foot_lock=False)[0]
    features = {slot: value[None] for slot, value in model._encode(Utterance(wave), "neutral").items()}
    monkeypatch.setattr(
        stream, "_features", lambda: model.generator.features_of(features, stream.stream.first, model.features.stride)
    )
    pieces = [stream.push(wave[first : first + 4000]) for first in range(0, len(wave), 4000)]
    assert sum(map(len, pieces)) > 200, "frames come before the end"
    pieces.append(stream.finish())
    for key in ("poses", "expressions", "trans"):
        given, wanted = np.concatenate([getattr(piece, key) for piece in pieces]), getattr(whole.motion, key)
        assert given.shape == wanted.shape and np.abs(given - wanted).max() < 1e-4, key
    codes = join_windows(stream.stream.windows)
    assert all(np.array_equal(codes[part][0, : len(own)], own) for part, own in whole.codes.items())


def test_short_sound_gives_its_frames(model):
    stream = SpeechStream(model)
    assert not len(stream.push(voice(0.3)))
    assert len(stream.finish()) == 9


def test_words_reach_the_stream(model):
    calls = []
    encoder = model.encoders["words"]
    model.encoders["words"] = lambda utterance: calls.append(list(utterance.words)) or encoder(utterance)
    try:
        stream = SpeechStream(model, context_seconds=4.0)
        stream.push(voice(12.0), words=[("early", 0.5, 1.0), ("late", 9.0, 9.5)])
        stream.finish()
    finally:
        model.encoders["words"] = encoder
    assert calls[0][0] == ("early", 0.5, 1.0) and all(word[0] != "early" for word in calls[-1])
    later = next(words for words in calls if words and words[0][0] == "late" and len(words) == 1)
    assert later[0][1] < 9.0, "times are counted from the context's beginning"
