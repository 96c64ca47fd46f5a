"""The GENEA leaderboard's metrics against the formulas written as plain loops, and small numbers by hand."""

import math
import warnings

import numpy as np
import pytest
from scipy import linalg
from scipy.ndimage import gaussian_filter1d

from semtalk.data.recording import read_semantics
from semtalk.metrics import functional as F
from semtalk.metrics import genea

JOINTS = (3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)


def restless(frames: int, seed: int = 0) -> np.ndarray:
    """Joints (T, 55, 3) that move to and fro, some of them fast at first and slowly later."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter1d(rng.normal(size=(frames, 55, 3)), 4, axis=0)
    return noise * np.linspace(1, 0.05, frames)[:, None, None]


def speed_by_hand(joints: np.ndarray) -> list[list[float]]:
    frames, rows = len(joints), []
    for t in range(frames):
        before, after = max(t - 1, 0), min(t + 1, frames - 1)
        rows.append([math.dist(joints[after, j], joints[before, j]) / ((after - before) / 30) for j in range(55)])
    return rows


def beats_by_hand(joints: np.ndarray, mean_speed: np.ndarray) -> list[list[int]]:
    speed = [[value / mean_speed[j] for j, value in enumerate(row)] for row in speed_by_hand(joints)]
    cut, found = speed[60 : len(joints) - 60], []
    for j in range(55):
        minima = []
        for t in range(len(cut)):
            around = [cut[min(max(t + away, 0), len(cut) - 1)][j] for away in range(-7, 8) if away]
            if all(cut[t][j] < other for other in around) and speed[t][j] > 0.10:  # of the uncut speed, 60 early
                minima.append(t)
        found.append(minima)
    return found


def alignment_by_hand(onsets, beats) -> tuple[float, float]:
    def nearness(time: float, others: list[float]) -> float:
        return math.exp(-(min(abs(time - other) for other in others) ** 2) / (2 * 0.3**2))

    to_motion, to_sound = 0.0, 0.0
    for joint in JOINTS:
        times = [frame / 30 for frame in beats[joint]]
        if times:
            to_motion += sum(nearness(onset, times) for onset in onsets) / len(onsets)
            to_sound += sum(nearness(time, list(onsets)) for time in times) / len(times)
    return to_motion / 13, to_sound / 13


def clicks(seconds: float, *times: float) -> np.ndarray:
    wave = np.zeros(int(16000 * seconds), np.float32)
    for time in times:
        at = int(16000 * time)
        wave[at : at + 800] = np.sin(np.arange(800) / 3)
    return wave


def test_beat_alignment_is_that_of_the_formula_in_both_directions():
    joints, speed = restless(300), np.linspace(3.0, 9.0, 55)
    wave = clicks(11.0, 0.5, 2.8, 4.1, 5.3, 7.5, 9.0)
    (a2m, m2a), weight = genea.beat_alignment(joints, wave, speed)
    onsets = F.audio_onsets(wave[32000 : int((300 - 60) / 30 * 16000)])
    assert len(onsets) >= 3 and weight == 180
    beats = beats_by_hand(joints, speed)
    for other in ({"threshold": 0.10, "mask_from_zero": False}, {"threshold": 0.30}):
        found = F.motion_beats(joints, speed, **other)
        assert any(len(found[joint]) != len(beats[joint]) for joint in JOINTS), f"{other} makes a difference"
    assert (a2m, m2a) == pytest.approx(alignment_by_hand(onsets, beats), abs=1e-9)
    assert a2m != pytest.approx(m2a, abs=1e-3)


def test_beat_alignment_by_hand():
    beats = [np.array([], int)] * 55
    beats[3], beats[21] = np.array([30, 45]), np.array([60])
    onsets = np.array([1.0, 2.0])
    near = math.exp(-(0.5**2) / 0.18)
    a2m = (1 + near) / 2 + (math.exp(-1 / 0.18) + 1) / 2
    m2a = (1 + near) / 2 + 1
    assert genea.alignment(onsets, beats) == pytest.approx((a2m / 13, m2a / 13))
    beats[4] = np.array([30])
    assert genea.alignment(onsets, beats) == pytest.approx((a2m / 13, m2a / 13)), "no joint that counts"
    assert genea.alignment(np.zeros(0), beats) == (0, 0), "no onsets"
    assert genea.alignment(onsets, [np.array([], int)] * 55) == (0, 0), "no beats"


def test_recordings_without_anything_to_align_count_nothing():
    speed = np.ones(55)
    assert genea.beat_alignment(restless(100), clicks(4.0, 3.0), speed) == ((0, 0), 0)
    assert genea.beat_alignment(restless(150), clicks(1.0), speed) == ((0, 0), 30), "the sound ends too early"
    assert genea.beat_alignment(np.zeros((150, 55, 3)), clicks(5.0, 2.5), speed)[0] == (0, 0), "nothing moves"


def test_the_end_of_the_sound_is_counted_from_the_motion():
    wave = np.arange(16000 * 10)
    assert genea.heard_wave(wave, 300).tolist()[:: 16000 * 6 - 1] == [32000, 8 * 16000 - 1]
    assert genea.heard_wave(wave, 301)[-1] == int((301 - 60) / 30 * 16000) - 1
    assert genea.heard_wave(wave, 330)[-1] == 9 * 16000 - 1
    assert genea.heard_wave(wave, 900)[-1] == len(wave) - 1 and not len(genea.heard_wave(wave, 100))


def test_pose_diversity_is_the_sum_of_distances_to_the_mean_over_all_frames():
    files = [restless(40, 1), restless(70, 2)]
    total = 0.0
    for joints in files:
        for coordinate in joints.reshape(len(joints), 165).T:
            mean = sum(coordinate) / len(coordinate)
            total += sum(abs(value - mean) for value in coordinate)
    sums, frames = zip(*map(F.l1_diversity, files), strict=True)
    assert sum(sums) / sum(frames) == pytest.approx(total / 110)


SEMANTICS = """01_beat_align\t0.0\t0.5\t0.5\t0.1
06_metaphoric_h\t0.42\t0.71\t0.29\t0.9\tbig
05_metaphoric_l\t0.5\t1.0\t0.5\t0.4\tsmall
08_deictic\t2.0\t1.0\t-1.0\t1.0\tback
09_emblem\t1.01\t1.01\t0.0\t0.5\tnothing
07_iconic\t1.95\t9.0\t7.05\t0.7\tlate
"""


def test_semantic_weights_are_the_largest_of_the_labels_that_touch_a_frame(tmp_path):
    (tmp_path / "a.txt").write_text(SEMANTICS)
    found = genea.semantic_weights(read_semantics(tmp_path / "a.txt"), 64)
    wanted = [0.0] * 64
    for line in SEMANTICS.splitlines():
        start, end, _, weight = map(float, line.split("\t")[1:5])
        for frame in range(math.floor(30 * start), math.ceil(30 * end)):
            if end > start and frame < 64:
                wanted[frame] = max(wanted[frame], weight)
    assert found.tolist() == wanted
    assert [found[frame] for frame in (11, 12, 21, 22, 29, 30, 57, 58, 63)] == [0.1, 0.9, 0.9, 0.4, 0.4, 0, 0, 0.7, 0.7]


def test_semantic_recall_is_the_share_of_hits_by_weights_over_the_mean_weight():
    true, own = restless(50, 1), restless(60, 2) * 0.3
    weights = np.random.default_rng(0).uniform(size=55)
    total = 0.0
    for t in range(50):
        for joint in range(55):
            total += (math.dist(own[t, joint], true[t, joint]) < 0.1) * weights[t] / 0.1672
    value, frames = genea.semantic_recall(own, true, weights)
    assert value == pytest.approx(total / (50 * 55)) and frames == 50 and total
    perfect = genea.semantic_recall(true, true, np.full(50, 0.1672))
    assert perfect == (pytest.approx(1.0), 50)
    assert genea.semantic_recall(true + np.array([0.11, 0, 0]), true, np.ones(50)) == (0.0, 50)


def test_moments_of_recordings_add_up_to_those_of_all_rows():
    rng = np.random.default_rng(0)
    files = [rng.normal(size=(length, 165)) + 2 for length in (40, 90, 300)]
    found = sum(map(genea.pose_moments, files[1:]), genea.pose_moments(files[0]))
    rows = np.concatenate(files)
    assert found.count == 430 and np.allclose(found.mean, rows.mean(axis=0))
    assert np.allclose(found.covariance, np.cov(rows, rowvar=False), rtol=1e-9, atol=1e-9)
    folded = genea.pose_moments(files[0].reshape(-1, 55, 3))
    assert np.array_equal(folded.products, genea.pose_moments(files[0]).products)


def frechet_by_hand(a: np.ndarray, b: np.ndarray, eps: float) -> float:
    """With eps in the root alone."""
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    offset = eps * np.eye(a.shape[1])
    root = linalg.sqrtm((one + offset) @ (two + offset))
    root = root[0] if isinstance(root, tuple) else root
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one) + np.trace(two) - 2 * np.trace(root.real))


def test_distances_of_poses_and_of_their_differences():
    rng = np.random.default_rng(0)
    own, true = ([rng.normal(size=(length, 6)) * size for length in (300, 500)] for size in (0.5, 0.4))
    for moments, rows in (
        (genea.pose_moments, lambda poses: poses),
        (genea.motion_moments, lambda poses: np.diff(poses, axis=0)),  # none from one recording to the next
    ):
        summed = [moments(first) + moments(second) for first, second in (own, true)]
        wanted = frechet_by_hand(*(np.concatenate([rows(one) for one in files]) for files in (own, true)), eps=0.0)
        assert genea.frechet_of_moments(*summed) == pytest.approx(wanted, rel=1e-6)
    assert genea.motion_moments(own[0]).count == 299
    moved = genea.frechet_of_moments(genea.pose_moments(own[0] + 1), genea.pose_moments(own[0]))
    assert moved == pytest.approx(6, rel=1e-6), "six numbers that differ by 1"


def test_variances_over_time_and_over_samples_by_hand():
    poses = np.zeros((4, 165))
    poses[:, 0] = [0, 1, 2, 3]
    assert genea.temporal_variance(poses) == pytest.approx(1.25 / 165)
    samples = [np.zeros((3, 165)), np.zeros((2, 165)), np.zeros((4, 165))]
    samples[0][1, 5], samples[2][1, 5], samples[2][3, 7] = 3, 6, 100  # the last one lies behind the shortest
    assert genea.sample_variance(samples) == pytest.approx(6 / (2 * 165))
    assert genea.sample_variance([samples[0].reshape(3, 55, 3)] * 2) == 0
    with pytest.raises(ValueError, match="two or more, got 1"):
        genea.sample_variance(samples[:1])


def test_fgd_has_all_samples_on_one_side_and_the_script_the_first_alone():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(200, 4))
    samples = [rng.normal(size=(200, 4)) * 2**number + 3 * (1 + number) for number in range(3)]
    assert genea.fgd(true, samples) == pytest.approx(frechet_by_hand(np.concatenate(samples), true, 1e-6))
    others = np.concatenate([true, samples[1], samples[2]])
    assert genea.fgd_script(true, samples) == pytest.approx(frechet_by_hand(samples[0], others, 1e-6))
    assert genea.fgd(true, samples[:1]) == genea.fgd_script(true, samples[:1])
    assert genea.fgd(true, samples) != pytest.approx(genea.fgd_script(true, samples), rel=0.1)


def test_what_is_added_to_the_covariances_is_in_the_root_alone():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(50, 2)) * 1e-2, rng.normal(size=(60, 2)) * 2e-2
    found = genea.fgd(b, [a])
    assert found == pytest.approx(frechet_by_hand(a, b, 1e-6), rel=1e-6) and found > 0
    assert F.frechet_distance(a, b, "always") - found == pytest.approx(4e-6, rel=1e-6), "two traces of two"
    assert genea.fgd(a, [a]) == 0.0, "captured motion"
    latents = rng.normal(size=(1000, 240))
    given = F.frechet_distance(latents + 1, latents) - genea.fgd(latents, [latents + 1])
    assert given == pytest.approx(0.00048, rel=1e-3), "as docs/genea.md says"
    near = 1e-3 * latents
    assert F.frechet_distance(near * 1.01, near) > 0 == genea.fgd(near, [near * 1.01])


def test_one_pose_has_a_distance_without_a_warning():
    pose, true = np.ones((30, 165)), np.random.default_rng(0).normal(size=(30, 165))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = genea.frechet_of_moments(genea.pose_moments(pose), genea.pose_moments(true))
    covariance = np.cov(true, rowvar=False)
    assert found == pytest.approx(((1 - true.mean(axis=0)) ** 2).sum() + np.trace(covariance), rel=1e-3)


def test_a_mean_over_recordings_is_weighted():
    assert genea.weighted_mean(np.array([[1.0, 3.0], [5.0, 1.0], [9.0, 0.0]])) == 2.0


def test_intervals_are_percentiles_over_resampled_rows():
    rows = np.stack([np.arange(40.0), np.ones(40)], axis=1)
    low, high = genea.bootstrap_interval(genea.weighted_mean, rows, seed=3)
    rng = np.random.default_rng(3)
    means = sorted(np.mean([rows[int(index), 0] for index in rng.integers(40, size=40)]) for _ in range(1000))
    assert (low, high) == pytest.approx((np.percentile(means, 2.5), np.percentile(means, 97.5)))
    assert 14 < low < 19.5 < high < 25
    pairs = []
    genea.bootstrap_interval(lambda a, b: pairs.append((a, b)) or 0.0, rows, rows, resamples=5)
    assert len(pairs) == 5 and all(len(a) == len(b) == 40 and not np.array_equal(a, b) for a, b in pairs)


def test_the_nearest_to_captured_motion_is_first():
    values = {"near": 0.625, "higher": 0.75, "lower": 0.25, "far": 0.0, "none": math.nan}
    assert genea.ranks_by_closeness(values, 0.5) == {"near": 1, "higher": 2, "lower": 2, "far": 4}
    assert genea.ranks_by_closeness({"truth": 0.645}, 0.645) == {"truth": 1}
