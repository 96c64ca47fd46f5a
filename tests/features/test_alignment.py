"""What is said at a time stands in the rows of that time: frames, windows, and the store's tensors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import save_hubert

from semtalk.body import load_body
from semtalk.data.preparation import motion_tensors, semantic_scores
from semtalk.data.recording import Recording, SemanticInterval, frame_scores
from semtalk.data.windows import WindowDataset
from semtalk.features.extract import stack_features
from semtalk.features.hubert import Hubert
from semtalk.features.offline import HashedBag, HashedWords, LogMel, SpectralStatistics, hashed_vector
from semtalk.features.rhythm import Rhythm
from semtalk.features.utterance import Utterance, fit_wave, to_frames, window_starts
from semtalk.motion.io import Motion
from semtalk.motion.parts import foot_contact, rotation_from_poses
from semtalk.motion.skeleton import FEET
from semtalk.motion.speed import joint_speed

SILENCE = np.zeros(16000 * 6, np.float32)


def burst(second: float, seconds: float = 6.0) -> np.ndarray:
    """Silence with a burst of noise of a tenth of a second."""
    wave = 1e-5 * np.random.default_rng(0).standard_normal(int(16000 * seconds)).astype(np.float32)
    first = int(16000 * second)
    wave[first : first + 1600] += 0.5 * np.random.default_rng(1).standard_normal(1600).astype(np.float32)
    return wave


@pytest.mark.parametrize("rate", [50.0, 62.5, 31.25, 30.0, 68.90625])
def test_rows_of_any_rate_are_interpolated_at_thirty_frames_a_second(rate):
    ramp = np.arange(int(4 * rate))[:, None] / rate * np.array([1.0, -2.0])
    frames = to_frames(ramp, rate, 100)
    assert np.allclose(frames, np.arange(100)[:, None] / 30 * np.array([1.0, -2.0]), atol=1e-5), (
        "row i lies at i / rate"
    )
    held = to_frames(ramp, rate, 150)
    assert np.allclose(held[-20:], ramp[-1]) and np.allclose(to_frames(np.array([[3.0]]), rate, 5), 3.0)


def test_hubert_of_fifty_rows_a_second_comes_at_thirty(tmp_path, monkeypatch):
    encoder = Hubert(32, save_hubert(tmp_path))
    ramp = np.arange(199)[:, None] * np.ones(32)
    monkeypatch.setattr(encoder, "hidden_state", lambda wave: ramp)
    assert encoder.hop == 320 and encoder.rate == 50
    assert np.allclose(encoder(Utterance(SILENCE, [], 110))[:, 0], np.arange(110) * 5 / 3, atol=1e-4)


@pytest.mark.parametrize("encoder", [Rhythm(), LogMel(16)])
@pytest.mark.parametrize("second", [1.0, 4.5])
def test_a_burst_is_loudest_in_its_own_frames(encoder, second):
    loud = encoder(Utterance(burst(second), [], 180))[:, 0]
    assert abs(int(loud.argmax()) - (second + 0.05) * 30) <= 2


def test_rhythm_by_hand():
    wave = np.random.default_rng(0).standard_normal(16000 * 2).astype(np.float32)
    rows = Rhythm()(Utterance(wave, [], 60))
    padded = np.pad(wave, 512)
    blocks = [padded[512 * i : 512 * i + 1024] for i in range(1 + len(wave) // 512)]
    loudest = to_frames(np.array([[np.abs(block).max()] for block in blocks]), 16000 / 512, 60)
    energy = to_frames(np.array([[np.square(block).sum()] for block in blocks]), 16000 / 512, 60)
    assert np.allclose(rows[:, 0], loudest[:, 0], rtol=1e-5) and np.allclose(rows[:, 1], energy[:, 0], rtol=1e-4)
    onsets = Rhythm()(Utterance(burst(3.0), [], 180))[:, 2]
    assert 0 < onsets.max() <= 1 and abs(int(onsets.argmax()) - 90) <= 3 and not onsets[:80].any()


def test_words_stand_on_the_frames_on_which_they_are_spoken():
    words = [("one", 0.5, 1.0), ("two", 1.01, 1.5), ("short", 2.0, 2.001)]
    said = Utterance(SILENCE, words, 180)
    assert said.spoken() == [("one", slice(15, 30)), ("two", slice(30, 45)), ("short", slice(60, 61))]
    track = HashedWords(8)(said)
    for text, frames in said.spoken():
        assert np.allclose(track[frames], hashed_vector(text, 8))
    assert not track[:15].any() and not track[45:60].any() and not track[61:].any()


def test_words_of_a_span_are_those_that_overlap_it():
    said = Utterance(SILENCE, [("one", 0.5, 1.0), ("two", 1.0, 1.5), ("three", 3.0, 3.5)], 180)
    assert said.words_between(0.9, 1.2) == ["one", "two"] and said.words_between(1.0, 3.0) == ["two"]
    assert said.words_between(0.0, 9.0) == ["one", "two", "three"] and said.words_between(1.6, 2.0) == []


def test_window_features_are_of_the_64_frames_from_their_start():
    assert window_starts(180, 20).tolist() == [0, 20, 40, 60, 80, 100, 120, 140, 160]
    said = Utterance(burst(3.0), [("word", 3.0, 3.1)], 180)
    rows = HashedBag(8, 20)(said)
    has = [start / 30 < 3.1 and (start + 64) / 30 > 3.0 for start in window_starts(180, 20)]
    assert [bool(row.any()) for row in rows] == has and True in has and False in has
    tone = SpectralStatistics(8, 20)(said)
    loud = tone[:, 4:].max(axis=1) > 2 * tone[-1, 4:].max()
    assert loud.tolist() == has, "the deviation within the window tells of the burst"


def test_features_of_takes_are_padded_to_one_length():
    takes = [
        {"rhythm": torch.ones(n, 3), "hubert": torch.ones(n, 2).half(), "words": torch.ones(n, dtype=torch.long)}
        | {"sentence": torch.arange(float(rows))[:, None], "emotion": torch.arange(float(rows))[:, None]}
        for n, rows in ((70, 4), (90, 5))
    ]
    stacked = stack_features(takes, 80)
    assert stacked["rhythm"].shape == (2, 80, 3) and stacked["hubert"].dtype == torch.float32
    assert stacked["rhythm"][0, :70].all() and not stacked["rhythm"][0, 70:].any() and stacked["rhythm"][1].all()
    assert stacked["words"][0].tolist() == [1] * 70 + [0] * 10
    assert stacked["sentence"][..., 0].tolist() == [[0, 1, 2, 3, 3], [0, 1, 2, 3, 4]], "with their last row"


def test_waves_last_as_long_as_the_motion():
    assert len(fit_wave(np.ones(99), 4)) == 2134 and fit_wave(np.ones(99), 4)[99:].sum() == 0
    assert len(fit_wave(np.ones(9999), 4)) == 2134
    assert Utterance(np.zeros(16000, np.float32)).frames == 30 and Utterance(np.zeros(3, np.float32)).frames == 1


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    motion = Motion(
        (0.2 * rng.normal(size=(90, 55, 3))).astype(np.float32), rng.normal(size=(90, 100)).astype(np.float32),
        np.cumsum(0.02 * rng.normal(size=(90, 3)), axis=0).astype(np.float32), rng.normal(size=300).astype(np.float32),
    )  # fmt: skip
    motion.poses[:, :22] *= 0.01
    rows = [SemanticInterval("a", 1.0, 2.0, 0.7), SemanticInterval("b", 1.5, 2.5, 0.3)]
    return Recording("a", 1, "train", SILENCE, motion, [], rows)


def test_stored_motion_is_the_recordings(recording):
    body = load_body(None)
    kept, motion = motion_tensors(recording.motion, body), recording.motion
    poses, trans, betas = (torch.from_numpy(x) for x in (motion.poses, motion.trans, motion.betas))
    assert torch.equal(kept["rotation"], rotation_from_poses(poses)) and torch.equal(kept["trans"], trans)
    assert torch.equal(kept["betas"], betas) and torch.equal(kept["expressions"], torch.from_numpy(motion.expressions))
    assert torch.allclose(kept["root"][:-1, [0, 2]], trans.diff(dim=0)[:, [0, 2]] * 30)
    assert torch.equal(kept["root"][:, 1], trans[:, 1])
    feet = body.joints(poses, betas, trans)[:, list(FEET)]
    speed = joint_speed(body.joints(poses, betas, trans).numpy()).sum(axis=0)
    assert np.allclose(kept["speed"].numpy(), speed) and len(speed) == 55
    assert torch.equal(kept["contact"], foot_contact(feet)) and 0 < kept["contact"].mean() < 1
    scores = semantic_scores(recording).numpy()
    assert np.array_equal(scores, frame_scores(recording.semantics, 90).astype(np.float32))
    assert not scores[:30].any() and scores[45] == pytest.approx(0.7) and scores[70] == pytest.approx(0.3)
    assert not scores[76:].any()
    assert semantic_scores(replace(recording, semantics=None)).isnan().all(), "a take that nobody annotated"


def test_windows_hold_their_own_rows_of_everything(store):
    recordings = store.split("val")
    recordings[0] = replace(recordings[0], tensors={"semantic": torch.rand(recordings[0].frames)})
    windows = WindowDataset(store, recordings, stride=20)
    starts = list(range(0, recordings[0].frames - 64 + 1, 20))
    assert windows.index.tolist() == [[0, start] for start in starts]
    batch = windows.__getitems__(list(range(len(starts))))
    own = recordings[0]
    for index, start in enumerate(starts):
        for key in ("rotation", "expressions", "root", "trans", "contact", "rhythm", "hubert", "words"):
            assert torch.equal(batch[key][index], own[key][start : start + 64]), (key, start)
        for key in ("sentence", "emotion"):
            assert torch.equal(batch[key][index], own[key][start // 20]), (key, start)
        assert torch.allclose(batch["semantic"][index], own["semantic"][start : start + 64].view(16, 4).mean(dim=1))
        assert torch.equal(batch["betas"][index], own["betas"])
    assert len({tuple(row.tolist()) for row in batch["sentence"]}) > 1
