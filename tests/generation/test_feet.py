"""Feet that slide while they stand are held, on motions that are made to slide; the rest of the body stays."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from semtalk.generation import feet
from semtalk.generation.feet import BLEND, FAR, correction, held, lock_feet, standing
from semtalk.metrics.functional import foot_skating
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FEET, HAND_JOINTS

FRAMES = 150
STANDS = slice(40, 110)


def smooth_noise(rng, shape, scale: float, sigma: float = 12.0) -> np.ndarray:
    noise = gaussian_filter1d(rng.normal(size=shape), sigma, axis=0)
    return scale * noise / noise.std()


def sliding(seed: int = 0, knee: float = 0.5) -> tuple[Motion, np.ndarray]:
    """A body that sways above bent knees, so that its feet slide; the right one is lifted at either end.

    Args:
        seed: Of the sway.
        knee: Radians by which the knees are bent.

    Returns:
        The motion, and contact (T, 4): the left foot always stands, the right one in :data:`STANDS`.
    """
    rng = np.random.default_rng(seed)
    poses = smooth_noise(rng, (FRAMES, 55, 3), 0.015).astype(np.float32)
    poses[:, [4, 5, 10, 11]] = 0
    poses[:, [4, 5], 0] = knee
    poses[:, [1, 2], 0] -= knee / 2
    poses[:, [7, 8], 0] -= knee / 2
    steps = np.ones(FRAMES)
    steps[STANDS] = 0
    poses[:, 5, 0] += 0.9 * gaussian_filter1d(steps, 4)
    trans = smooth_noise(rng, (FRAMES, 3), 0.01) * [1, 0.2, 1] + [0.5, 0.9, -0.3]
    contact = np.ones((FRAMES, 4), np.float32)
    contact[: STANDS.start, [1, 3]] = contact[STANDS.stop :, [1, 3]] = 0.2
    motion = Motion(poses, np.zeros((FRAMES, 100), np.float32), trans.astype(np.float32), np.zeros(300, np.float32))
    return motion, contact


def joints(body, motion: Motion) -> np.ndarray:
    values = (torch.from_numpy(value).double() for value in (motion.poses, motion.betas, motion.trans))
    return body.double().joints(*values).numpy()


@pytest.fixture(scope="module")
def precise():
    from semtalk.body import load_body

    return load_body(None).double()


def bend(places: np.ndarray) -> np.ndarray:
    """Radians (T, 2) by which the knees of joints (T, 55, 3) are bent."""
    thigh, shin = (places[:, one] - places[:, other] for one, other in (([4, 5], [1, 2]), ([7, 8], [4, 5])))
    cosine = (thigh * shin).sum(-1) / np.linalg.norm(thigh, axis=-1) / np.linalg.norm(shin, axis=-1)
    return np.arccos(np.clip(cosine, -1, 1))


@pytest.mark.parametrize("seed", range(3))
def test_a_foot_that_slides_while_it_stands_is_held_and_keeps_its_height(precise, seed):
    motion, contact = sliding(seed)
    was, now = joints(precise, motion), joints(precise, lock_feet(motion, precise, contact))
    for joint, stands in ((10, slice(None)), (11, STANDS)):
        slid = np.ptp(was[stands, joint][:, [0, 2]], axis=0).max()
        assert slid > 0.03 and np.ptp(now[stands, joint][:, [0, 2]], axis=0).max() < 1e-3
        middle = (was[stands, joint].max(axis=0) + was[stands, joint].min(axis=0)) / 2
        assert np.allclose(now[stands, joint][:, [0, 2]], middle[[0, 2]], atol=1e-3), "in the middle of its slide"
    assert np.abs(now[:, FEET, 1] - was[:, FEET, 1]).max() < 1e-3
    assert foot_skating(now[:, FEET]) < 0.1 * foot_skating(was[:, FEET])


def test_everything_but_the_legs_stays_bit_for_bit_and_so_do_hands(precise):
    motion, contact = sliding()
    locked = lock_feet(motion, precise, contact)
    legs = [1, 2, 4, 5, 7, 8]
    rest = np.setdiff1d(np.arange(55), legs)
    assert np.array_equal(locked.poses[:, rest], motion.poses[:, rest]) and locked.trans is motion.trans
    assert all((locked.poses[:, joint] != motion.poses[:, joint]).any() for joint in legs)
    hands = [20, 21, *HAND_JOINTS]
    assert np.array_equal(joints(precise, locked)[:, hands], joints(precise, motion)[:, hands])
    free = contact * 0
    assert np.array_equal(lock_feet(motion, precise, free).poses, motion.poses)
    far = slice(0, STANDS.start - BLEND)
    assert np.array_equal(locked.poses[far][:, [2, 5, 8]], motion.poses[far][:, [2, 5, 8]]), "as it was before its step"


@pytest.mark.parametrize("seed", range(3))
def test_it_is_led_there_and_away_without_a_jump_and_knees_do_not_flip(precise, seed):
    motion, contact = sliding(seed)
    was, now = joints(precise, motion), joints(precise, lock_feet(motion, precise, contact))
    near = [*range(STANDS.start - BLEND - 1, STANDS.start + 2), *range(STANDS.stop - 2, STANDS.stop + BLEND + 1)]
    for joint in (8, 11):
        speed, allowed = (np.linalg.norm(np.diff(places[:, joint], axis=0), axis=-1) for places in (now, was))
        assert speed[near].max() <= 2 * allowed[near].max()
    turned = np.abs(np.diff(bend(now), axis=0)).max()
    assert turned < 2 * np.abs(np.diff(bend(was), axis=0)).max() and bend(now).min() > 0.05
    front = now[:, [4, 5]] - (now[:, [1, 2]] + now[:, [7, 8]]) / 2
    assert front[..., 2].min() > 0, "knees point forward"


def test_a_leg_that_is_too_short_gives_way_softly(precise):
    motion, contact = sliding(knee=0.1)
    motion.trans[:, 2] += np.linspace(0, 0.25, FRAMES).astype(np.float32)
    locked = lock_feet(motion, precise, contact)
    was, now = joints(precise, motion), joints(precise, locked)
    assert np.isfinite(locked.poses).all() and bend(now)[:, 0].min() < 0.2, "the leg was stretched"
    length = np.linalg.norm(was[0, 4] - was[0, 1]) + np.linalg.norm(was[0, 7] - was[0, 4])
    assert np.linalg.norm(now[:, 7] - now[:, 1], axis=-1).max() < length
    assert np.ptp(now[:, 10][:, [0, 2]], axis=0).max() < 1e-3, "it is lifted, and does not slide"
    assert (now[:, 10, 1] - was[:, 10, 1]).max() > 0.005 and (now[:, 10, 1] - was[:, 10, 1]).min() > -1e-3
    assert np.abs(np.diff(now[:, [4, 7, 10]], n=2, axis=0)).max() < 0.01
    assert np.abs(np.diff(bend(now)[:, 0])).max() < 0.15


def test_a_knee_that_is_bent_the_wrong_way_is_not_snapped_back(precise):
    motion, contact = sliding()
    motion.poses[:, 4, 0] = -0.4  # at rest the knees are a little bent
    contact[:] = 0
    contact[60:70] = 1
    was, now = joints(precise, motion), joints(precise, lock_feet(motion, precise, contact))
    assert (was[:, 4, 2] < (was[:, 1, 2] + was[:, 7, 2]) / 2).all(), "it is bent the wrong way"
    change = np.linalg.norm(now[:, 4] - was[:, 4], axis=-1)
    assert np.abs(now[60:70, 10] - now[60, 10])[:, [0, 2]].max() < 0.01
    assert 0 < change[51] < 0.004 and np.abs(np.diff(change)).max() < 0.02, "what is corrected little moves it little"


def test_a_foot_that_slides_far_takes_a_step_and_is_lifted(precise):
    motion, contact = sliding()
    motion.trans[:, 0] += np.linspace(0, 0.7, FRAMES).astype(np.float32)
    was, now = joints(precise, motion), joints(precise, lock_feet(motion, precise, contact))
    speed = np.linalg.norm(np.diff(now[:, 10][:, [0, 2]], axis=0), axis=-1) * 30
    places = np.unique(now[:-1, 10][speed < 1e-3][:, 0].round(3))
    assert len(places) >= 2 and (speed < 1e-3).mean() > 0.6 and np.diff(places).min() > FAR
    assert np.abs(now[:, 10, 0] - was[:, 10, 0]).max() < 2 * FAR
    rise = now[:-1, 10, 1] - was[:-1, 10, 1]
    assert rise[speed > 0.5].min() > 0.015 and rise.max() <= feet.HIGHEST + 1e-3


def test_the_direction_is_held_where_the_whole_foot_stands_and_the_ball_where_it_turns_on_it(precise):
    motion, contact = sliding()
    motion.poses[:, 7, 1] = (0.3 * np.sin(np.linspace(0, 9, FRAMES))).astype(np.float32)

    def yaw(places: np.ndarray) -> np.ndarray:
        along = places[:, 10] - places[:, 7]
        return np.arctan2(along[:, 0], along[:, 2])

    assert np.ptp(yaw(joints(precise, motion))) > 0.4
    assert np.ptp(yaw(joints(precise, lock_feet(motion, precise, contact)))) < 1e-3
    contact[:, 0] = 0
    turning = joints(precise, lock_feet(motion, precise, contact))
    assert np.ptp(yaw(turning)) > 0.4 and np.ptp(turning[:, 10][:, [0, 2]], axis=0).max() < 1e-3


def test_without_predictions_slow_feet_stand(precise):
    motion, _ = sliding()
    now = joints(precise, lock_feet(motion, precise))
    assert np.ptp(now[:, 10][:, [0, 2]], axis=0).max() < 1e-3


def test_standing_by_hand():
    mask = np.zeros(30, bool)
    mask[[0, 1, 2, 3, 6, 7, 8, 9]] = True  # a gap of two is none
    mask[[15, 16, 17]] = True  # three frames are no stand
    mask[22:] = True
    assert standing(mask) == [(0, 10), (22, 30)]
    assert not standing(np.zeros(5, bool)) and standing(np.ones(5, bool)) == [(0, 5)]


def test_what_is_held_and_what_leads_to_it_by_hand():
    path = np.r_[np.zeros(10), 0.1, 0.2, np.zeros(3), np.full(15, 0.5)][:, None]
    assert np.allclose(held(path[:15], 0.15), 0.1)
    places = held(path, 0.15)[:, 0]
    assert np.allclose(places[:9], 0.1) and np.allclose(places[-9:], 0.5) and (np.diff(places) >= 0).all()
    stands = np.zeros(30, bool)
    stands[12:18] = True
    path = np.linspace(0, 0.29, 30)[:, None]
    moved, speed = correction(path, stands, 1.0)
    assert np.allclose((path + moved)[12:18], 0.145) and not speed.any()
    fall = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, BLEND) / BLEND)
    assert np.allclose(moved[18 : 18 + BLEND - 1, 0], -0.025 * fall)
    assert np.allclose(moved[11 : 12 - BLEND : -1, 0], 0.025 * fall)
    assert not moved[: 13 - BLEND].any() and not moved[17 + BLEND :].any()
