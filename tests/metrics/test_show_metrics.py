"""SHOW's metrics: an independent evaluation's numbers on the same random input, and what is known by hand."""

import numpy as np
import pytest

from semtalk.metrics import show as S
from semtalk.motion.skeleton import DIFFSHEG_JOINTS, TALKSHOW_JOINTS, pose_columns


@pytest.fixture(scope="module")
def drawn():
    """The input of the independent evaluation, drawn in its order."""
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(400, 5)), rng.normal(size=(300, 5)) * 1.3 + 0.2
    joints = np.cumsum(rng.normal(size=(120, 127, 3)) * 0.02, 0) + rng.normal(size=(127, 3))
    onsets = np.sort(rng.uniform(0, 4, 9))
    samples = np.stack([joints, joints + rng.normal(size=joints.shape) * 0.01])
    clips = rng.normal(size=(6, 88, 129))
    return {"a": a, "b": b, "joints": joints, "onsets": onsets, "samples": samples, "clips": clips}


def test_values_are_those_of_an_independent_evaluation(drawn):
    joints, samples = drawn["joints"], drawn["samples"]
    total, count = S.beat_consistency(joints, drawn["onsets"])
    found = {
        "frechet": S.frechet(drawn["a"], drawn["b"]), "bc": total / count, "variation": S.variation(samples),
        "body_lvd": S.body_lvd(joints, samples), "body_error": S.body_error(joints, samples),
        "pairs": S.pair_difference(drawn["clips"]), "pcm": S.near_share(drawn["clips"][1:], drawn["clips"][:-1]),
        **S.face_errors(joints, samples[1]),
    }  # fmt: skip
    expected = {
        "frechet": 0.8839261675635743, "bc": 0.6378325643242903, "variation": 0.0146512238513004,
        "body_lvd": 0.1302394394398332, "body_error": 1.0132939224643416, "pairs": 1.1301527700839293,
        "pcm": 0.0784883720930233, "jaw_l1": 0.0485849453658934, "landmark_l1": 0.8519102280143286,
        "l2": 0.900495173380222, "lvd": 0.6653226023832179,
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=0, abs=1e-9)


def test_equal_things_are_at_no_distance(drawn):
    joints, clips = drawn["joints"], drawn["clips"]
    assert S.frechet(drawn["a"], drawn["a"]) == pytest.approx(0, abs=1e-9)
    assert S.frechet(drawn["a"], drawn["a"] + 2) == pytest.approx(20, abs=1e-9)
    rows = np.random.default_rng(2).normal(size=(112, 8))
    assert S.frechet(rows, rows) == 0, "rounding makes it -7e-15, and no distance is below 0"
    assert S.body_lvd(joints, joints[None]) == S.body_error(joints, joints[None]) == 0
    assert set(S.face_errors(joints, joints).values()) == {0.0}
    assert S.near_share(clips, clips) == 1 and S.variation(np.stack([joints, joints])) == 0


def test_a_moved_face_is_wrong_by_its_points(drawn):
    moved = S.face_errors(drawn["joints"], drawn["joints"] + np.array([0.03, 0, 0.04]))
    assert moved["jaw_l1"] == pytest.approx(3 * 0.05) and moved["landmark_l1"] == pytest.approx(53 * 0.05)
    assert moved["l2"] == pytest.approx(56 * 0.05) and moved["lvd"] == pytest.approx(0, abs=1e-12)


def test_columns_are_the_evaluators_own():
    talkshow, diffsheg = pose_columns(TALKSHOW_JOINTS), pose_columns(DIFFSHEG_JOINTS)
    assert len(talkshow) == len(diffsheg) == 129
    assert set(talkshow) - set(diffsheg) == set(range(30, 36)), "the feet"
    assert set(diffsheg) - set(talkshow) == set(range(36, 42)), "neck and left collar"


def test_body_and_face_poses_hold_what_they_are_measured_by():
    poses = np.random.default_rng(0).normal(size=(2, 165))
    body, face, kept = S.body_pose(poses), S.face_pose(poses), pose_columns(DIFFSHEG_JOINTS)
    assert np.allclose(body[:, :3], (3.0747, -0.0158, -0.0152)) and (body[:, 66:75] == 0).all()
    assert np.array_equal(body[:, kept], poses[:, kept])
    assert np.array_equal(face[:, 66:69], poses[:, 66:69]) and (np.delete(face, range(66, 69), axis=1) == 0).all()


def test_a_still_body_has_no_beats_and_counts_nothing(drawn):
    still = np.repeat(drawn["joints"][:1], 120, axis=0)
    assert S.beat_consistency(still, drawn["onsets"]) == (0.0, 0)
    assert S.beat_consistency(drawn["joints"], []) == S.beat_consistency(drawn["joints"][:2], [1.0]) == (0.0, 0)
    assert np.isnan(S.pooled([(0.0, 0)])) and S.pooled([(1.0, 4), (2.0, 4)]) == pytest.approx(3 / 8)


def test_beats_are_least_changes_as_a_loop_finds_them(drawn):
    """Frame by frame, with the joints shifted first as the released text describes it."""
    joints, onsets = drawn["joints"], drawn["onsets"]
    shifted = joints.copy()
    shifted[:, 15:21] = joints[:, 16:22]
    bones = shifted[:, 15:21] - shifted[:, 13:19]
    angle = np.arccos(np.clip((bones[:, 2:] * bones[:, :-2]).sum(-1), -1, 1)) / np.pi
    change = np.concatenate([np.zeros((1, 4)), np.abs(angle[1:] - angle[:-1]) / S.ANGLE_CHANGE / 4])
    total = count = 0
    for channel in range(4):
        x = change[:, channel]
        beats = [
            t / 30
            for t in range(1, 119)
            if x[t] < x[t - 1] and x[t] < x[t + 1] and max(x[t - 1], x[t + 1]) - x[t] >= 0.01
        ]
        total += sum(np.exp(-min((onset - beat) ** 2 for beat in beats) / 0.02) for onset in onsets if beats)
        count += len(onsets) if beats else 0
    assert S.beat_consistency(joints, onsets) == pytest.approx((total, count))


def test_sound_is_cut_or_filled_to_the_motion():
    wave = np.arange(1, 40001, dtype=np.float32)
    assert len(S.heard(wave, 61)) == 16000 * 61 // 30 and np.array_equal(S.heard(wave, 30), wave[:16000])
    assert (S.heard(wave, 90)[40000:] == 0).all() and len(S.heard(wave, 90)) == 48000


def test_windows_lie_one_behind_the_other():
    assert S.windows(np.zeros((264, 2))).shape == (3, 88, 2) and S.windows(np.zeros((87, 2))).shape == (0, 88, 2)


def test_too_little_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        S.variation(np.zeros((1, 4, 127, 3)))
    with pytest.raises(ValueError, match="N, M >= 2"):
        S.frechet(np.zeros((1, 3)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="NaN"):
        S.frechet(np.full((3, 3), np.nan), np.zeros((4, 3)))
