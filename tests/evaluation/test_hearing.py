"""What is heard: known answers of every number, and the second table of an extended evaluation."""

import json

import numpy as np
import pytest
import torch
from conftest import run_command
from scipy.ndimage import gaussian_filter1d

from semtalk.evaluation.hearing import HEARD, hearing, hearing_table, other_sounds
from semtalk.evaluation.takes import Take, add_mean_pose
from semtalk.features.extract import SLOTS
from semtalk.metrics import hearing as H
from semtalk.motion.parts import rotation_from_poses
from semtalk.motion.skeleton import HAND_JOINTS, JAW


def signals(lengths=(200, 130), width: int = 3, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [gaussian_filter1d(rng.normal(size=(length, width)), 2, axis=0) for length in lengths]


def take_of(own: dict, true: dict, betas) -> Take:
    """A take with the rows ``fused`` and ``truth`` of axis-angle poses and expressions."""
    rows = {"fused": own, "truth": true}
    return Take(
        "a", len(true["poses"]), betas, None, None,
        {row: rotation_from_poses(value["poses"]) for row, value in rows.items()},
        {row: value["expressions"] for row, value in rows.items()},
        {row: torch.zeros(len(true["poses"]), 3) for row in rows},
    )  # fmt: skip


def motion(frames: int = 160, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    smooth = (gaussian_filter1d(rng.normal(size=(frames, *shape)), 3, axis=0) for shape in ((55, 3), (100,)))
    return dict(zip(("poses", "expressions"), (torch.from_numpy(s).float() for s in smooth), strict=True))


def test_the_truth_is_heard_whole():
    true = signals()
    assert H.correlation(true, true) == pytest.approx(1) and H.amplitude_ratio(true, true) == pytest.approx(1)
    one = [take[:, 0] for take in true]
    assert H.best_lag(one, one) == 0 and H.squared_error(true, true) == 0


def test_amplitude_and_offset_are_told_apart():
    true = signals()
    own = [0.5 * take + offset for take, offset in zip(true, (3.0, -1.0), strict=True)]
    assert H.amplitude_ratio(own, true) == pytest.approx(0.5) and H.correlation(own, true) == pytest.approx(1)
    assert H.correlation([-take for take in true], true) == pytest.approx(-1)
    assert H.squared_error([take + 2 for take in true], true) == pytest.approx(4)
    assert H.squared_error([take - 2 for take in true], true) == pytest.approx(4)


@pytest.mark.parametrize("lag", [-15, -4, 0, 7, 15])
def test_a_shifted_signal_gives_its_lag(lag):
    true = [take[:, 0] for take in signals()]
    assert H.best_lag([np.roll(take, lag) for take in true], true) == lag
    short = [*true, true[0][:9]]
    assert H.best_lag([np.roll(take, lag) for take in short], short) == lag


def test_a_constant_signal_has_no_correlation_and_no_lag():
    true = [take[:, 0] for take in signals()]
    still = [np.full_like(take, 0.3) for take in true]
    assert np.isnan(H.correlation(still, true)) and np.isnan(H.best_lag(still, true))
    assert H.amplitude_ratio(still, true) == pytest.approx(0)


def test_what_varies_most_and_angles_and_speeds_by_hand():
    true = [take * [1.0, 5.0, 2.0] + [100, 0, 0] for take in signals()]
    assert H.most_varying(true, 2).tolist() == [1, 2]
    turn = np.deg2rad(30)
    about_x = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    assert H.geodesic_degrees(about_x, np.eye(3)) == pytest.approx(30)
    assert H.geodesic_degrees(np.diag([1.0, -1, -1]), np.eye(3)) == pytest.approx(180)
    assert H.jaw_opening(np.array([[turn, 0.5, 0.1]])) == pytest.approx([30])
    time = np.arange(20) / 30
    falling = np.zeros((20, 2, 3))
    falling[:, :, 1] = -(time**2)[:, None]
    assert H.mean_acceleration([falling]) == pytest.approx(2)
    assert H.mean_speed([falling]) == pytest.approx(time[-1])


def test_a_row_equal_to_the_truth(body):
    takes = [take_of(motion(seed=seed), motion(seed=seed), torch.zeros(300)) for seed in range(2)]
    numbers = hearing(takes, "fused", body)
    for name, value in numbers.items():
        ends = name.endswith(("error", "mse", "lag"))
        assert value == pytest.approx(0 if ends else 1, abs=1e-3), name
    assert set(numbers) == set(HEARD) - {"own_other", "div_share", "bc_share"}


def test_each_number_sees_its_own_part_of_the_body(body):
    true, own = motion(), motion()
    own["poses"][:, JAW] *= 0.5
    own["poses"][:, list(HAND_JOINTS)] = own["poses"][:1, list(HAND_JOINTS)]
    own["expressions"] = own["expressions"].roll(3, dims=0) * 2
    numbers = hearing([take_of(own, true, torch.zeros(300))], "fused", body)
    assert numbers["jaw_amplitude"] == pytest.approx(0.5, abs=1e-3) and numbers["jaw_r"] == pytest.approx(1, abs=1e-3)
    assert numbers["speed_hands"] == pytest.approx(0, abs=1e-3) and numbers["hands_error"] > 1
    assert numbers["speed_upper"] == pytest.approx(1, abs=1e-3) and numbers["upper_error"] < 0.1
    assert numbers["expressions_amplitude"] == pytest.approx(2, abs=1e-3) and numbers["expressions_r"] < 0.8


def test_own_and_other_sound_and_shares(body):
    take = take_of(motion(seed=1), motion(), torch.zeros(300))
    add_mean_pose([take], [{"rotation": take.rotation["truth"], "expressions": take.expressions["truth"]}])
    measured = {"fused": {"div": 3.0, "bc": 0.2}, "truth": {"div": 4.0, "bc": 0.0}}
    table = hearing_table([take], measured, body, {"fused": "mean"})
    fused = table["fused"]
    assert set(table) == {"fused", "truth", "mean"} and fused["div_share"] == 0.75 and np.isnan(fused["bc_share"])
    assert fused["own_other"] == pytest.approx(fused["jaw_error"] / table["mean"]["jaw_error"])
    assert np.isnan(table["mean"]["jaw_r"]) and table["mean"]["jaw_amplitude"] == pytest.approx(0, abs=1e-3)


def test_another_sound_differs_also_where_there_is_one_take(store):
    recordings = store.split("train")
    assert all(other.id != own.id for own, other in zip(recordings, other_sounds(recordings), strict=True))
    (alone,) = other_sounds(recordings[:1])
    for slot in SLOTS:
        assert alone[slot].shape == recordings[0][slot].shape
    assert not torch.equal(alone["hubert"], recordings[0]["hubert"])


def test_an_extended_evaluation_says_what_is_heard(smoke):
    folder, arguments = smoke
    said = run_command("eval.py", *arguments, "metrics=extended", "video=false", "tag=heard").stdout
    output = folder / "runs" / "smoke" / "eval" / "test_heard"
    heard = json.loads((output / "metrics.json").read_text())["hearing"]
    assert set(heard) == {"fused", "base", "truth", "mean", "other"} and set(heard["fused"]) == set(HEARD)
    assert heard["truth"]["jaw_r"] == pytest.approx(1) and heard["truth"]["bc_share"] == 1
    for text in ("What is heard", HEARD["own_other"]):
        assert text in said
    assert HEARD["jaw_r"] in (output / "metrics.md").read_text()
