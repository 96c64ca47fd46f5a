"""Metrics against reference values, their sanity, and their independence of batching and processes."""

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from semtalk.metrics import functional as F
from semtalk.metrics.modules import BeatConsistency, FrechetGestureDistance, WeightedMean


def smooth_motion(frames: int = 300, seed: int = 0) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.random.default_rng(seed).normal(size=(frames, 55, 3)), 4, axis=0)


def clicks(frames: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = 0.001 * rng.normal(size=frames * 16000 // 30)
    for start in range(4000, len(wave) - 2000, 7000):
        wave[start : start + 800] += np.hanning(800) * rng.normal(size=800)
    return wave.astype(np.float32)


def test_frechet_by_hand():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(20000, 1))
    b = 3 + 2 * rng.normal(size=(20000, 1))
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert F.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_is_zero_for_itself_and_real_for_few_rows():
    a = np.random.default_rng(0).normal(size=(50, 240))
    assert F.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert F.frechet_distance(a[:20], a[20:]) > 0
    assert F.frechet_distance(a[:20], a[20:], eps="always") > 0
    with pytest.raises(ValueError, match="NaN"):
        F.frechet_distance(np.full((5, 3), np.nan), a[:5, :3])
    with pytest.raises(ValueError, match="features must be"):
        F.frechet_distance(a[:1], a)


def test_frechet_grows_with_noise():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(400, 12))
    values = [F.frechet_distance(a, a + scale * rng.normal(size=a.shape)) for scale in (0.1, 0.5, 2.0)]
    assert values == sorted(values)


def test_l1_diversity_by_hand():
    joints = np.zeros((4, 1, 3))
    joints[:2, 0, 0] = 1.0
    assert F.l1_diversity(joints) == (2.0, 4)
    assert F.l1_diversity(np.ones((9, 55, 3)))[0] == 0


def test_motion_beats_find_slow_moments():
    time = np.arange(240) / 30
    joints = np.zeros((240, 1, 3))
    joints[:, 0, 0] = time + np.sin(2 * np.pi * time) / 7
    slow = [30 * k + 15 for k in range(8)]
    for clean in (True, False):
        beats = F.motion_beats(joints, np.ones(1) * 0.05, mask_from_zero=clean, skip=0)[0]
        assert [min(abs(beat - s) for s in slow) <= 1 for beat in beats] == [True] * len(beats) and len(beats) >= 7
    cut = F.motion_beats(joints, np.ones(1) * 0.05, mask_from_zero=False, skip=60)[0]
    assert [int(beat) for beat in cut] == [15, 45, 75, 105]


def test_beat_consistency_by_hand():
    value = F.beat_consistency(np.array([1.0, 2.0]), [np.array([30]), np.array([])], joints=(0, 1))
    assert value == pytest.approx((1 + np.exp(-1 / (2 * 0.09))) / 2 / 2)
    assert F.beat_consistency(np.zeros(0), [np.array([30])], joints=(0,)) == 0


def test_wave_is_cut_with_its_untrimmed_end():
    wave = np.arange(16000 * 10)
    assert len(F.trim_wave(wave, frames=300)) == 6 * 16000
    assert len(F.trim_wave(wave, frames=270)) == 6 * 16000, "the audio is a second longer than the motion"
    assert len(F.trim_wave(wave, frames=210)) == 5 * 16000
    assert F.trim_wave(wave, frames=300)[0] == 32000


def test_face_metrics_by_hand():
    a, b = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))
    b[0] = 9.0
    b[1:] = 0.5
    assert F.face_mse(a, b) == pytest.approx((81 + 0.25 + 0.25) / 3)
    assert F.face_l1_position(a, b) == pytest.approx(0.5), "frame 0 does not count"
    assert F.face_velocity_difference(a, b) == pytest.approx(8.5 / 2)


def test_reference_values(real_data):
    """Numbers of the reference evaluators, for the inputs beside the real data."""
    golden = real_data.parent / "reference" / "golden" / "metrics.npz"
    if not golden.is_file():
        pytest.skip(f"{golden} is not there")
    g = np.load(golden)
    total, frames = F.l1_diversity(g["syn_pose"])
    assert total == pytest.approx(float(g["syn_l1div_sum"]), rel=1e-6)
    assert total / frames == pytest.approx(float(g["syn_l1div_avg"]), rel=1e-6)
    onsets = F.audio_onsets(F.trim_wave(g["syn_wave"], frames))
    assert np.allclose(onsets, g["syn_onsets"], atol=1e-9)
    for joints, beats, value in (
        (g["syn_pose"], "syn_beats", "syn_bc_clean"),
        (np.abs(g["syn_pose"] - g["syn_pose"].mean(axis=0)), "syn_beats_mut", "syn_bc_official_order"),
    ):
        found = F.motion_beats(joints.reshape(frames, 55, 3), np.ones(55))
        assert np.array_equal(np.concatenate(found), g[beats])
        assert F.beat_consistency(onsets, found) == pytest.approx(float(g[value]), abs=1e-9)
    assert F.face_mse(g["face_rec"], g["face_tar"]) == pytest.approx(float(g["mse_official"]), rel=1e-6)
    assert F.face_l1_position(g["face_rec"], g["face_tar"]) == pytest.approx(float(g["lvd_official"]), rel=1e-6)
    assert F.frechet_distance(g["lat_a"], g["lat_b"]) == pytest.approx(float(g["fid_full"]), rel=1e-6)
    assert F.frechet_distance(g["lat_a"][:100], g["lat_b"][:120]) == pytest.approx(float(g["fid_lowrank"]), rel=1e-6)


def test_modules_equal_functions_in_any_order():
    takes = [smooth_motion(seed=seed) for seed in range(3)]
    waves = [clicks(seed=seed) for seed in range(3)]
    forward, backward = BeatConsistency(np.ones(55)), BeatConsistency(np.ones(55))
    diversity = WeightedMean()
    for take, wave in zip(takes, waves, strict=True):
        forward.update(take, wave)
        total, frames = F.l1_diversity(take)
        diversity.update(total / frames, frames)
    for take, wave in reversed(list(zip(takes, waves, strict=True))):
        backward.update(take, wave)
    assert float(forward.compute()) == pytest.approx(float(backward.compute()), abs=1e-12)
    assert 0 < float(forward.compute()) < 1
    sums = [F.l1_diversity(take) for take in takes]
    assert float(diversity.compute()) == pytest.approx(sum(s for s, _ in sums) / sum(n for _, n in sums))


def _worker(rank: int, port: int, rows: torch.Tensor, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    metric = FrechetGestureDistance()
    metric.update(rows[rank::2, 0], rows[rank::2, 1])
    value = metric.compute()
    diversity, (total, frames) = WeightedMean(), F.l1_diversity(smooth_motion(seed=rank))
    diversity.update(total / frames, frames)
    torch.save((value, diversity.compute()), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_modules_in_two_processes(tmp_path):
    rows = torch.randn(60, 2, 8, dtype=torch.float64)
    mp.spawn(_worker, args=(29500 + np.random.default_rng().integers(2000), rows, str(tmp_path)), nprocs=2)
    alone = F.frechet_distance(rows[:, 0].numpy(), rows[:, 1].numpy())
    sums = [F.l1_diversity(smooth_motion(seed=seed)) for seed in range(2)]
    for rank in range(2):
        value, diversity = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert float(value) == pytest.approx(alone, rel=1e-9)
        assert float(diversity) == pytest.approx(sum(s for s, _ in sums) / sum(n for _, n in sums))
