"""Lips, feet and shaking, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from semtalk.evaluation.measure import evaluate_rows
from semtalk.evaluation.metrics import METRICS, TakeRow, metric_joints
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.takes import Take
from semtalk.metrics import bodies as B
from semtalk.metrics.modules import BeatConsistency
from semtalk.motion.parts import rotation_from_poses


def test_the_lips_error_is_the_largest_of_a_frame():
    true = np.zeros((3, 4, 3))
    own = true.copy()
    own[0, 1], own[0, 2] = (0.03, 0.0, 0.04), (0.01, 0.0, 0.0)
    own[2, 3, 1] = 0.02
    wanted = (0.05 + 0.0 + 0.02) / 3
    assert B.lip_vertex_error([(own, true)]) == pytest.approx(wanted)
    assert B.lip_vertex_error([(own[:1], true[:1]), (own[1:], true[1:])]) == pytest.approx(wanted), "in pieces"


def soles(*heights: tuple[float, float]) -> np.ndarray:
    found = np.zeros((len(heights), 2, 3))
    found[..., 1] = heights
    return found


def test_a_body_floats_by_its_lower_sole_above_the_ground():
    true = soles((0.1, 0.9), (0.9, 0.12), (0.11, 0.11))
    assert B.ground_height(true) == pytest.approx(0.11)
    own = soles((0.21, 0.16), (0.11, 0.5), (0.06, 0.3))
    assert B.floating(own, 0.11) == pytest.approx((0.05 + 0 + 0) / 3)
    assert B.penetration(own, 0.11) == pytest.approx((0 + 0 + 0.05) / 3)


def test_feet_slide_while_they_stand():
    own = soles((0.0, 0.0), (0.02, 0.0), (0.02, 0.5), (0.5, 0.02))
    own[:, 0, 0] = [0.0, 0.1, 0.3, 0.7]
    own[:, 1, 2] = [0.0, 0.2, 9.0, 9.1]
    assert B.foot_slide(own, 0.0, fps=10) == pytest.approx((1.0 + 2.0 + 2.0) / 3), "left twice, right once"
    own[:, :, 1] += 1
    assert B.foot_slide(own, 0.0) is None and B.foot_slide(own, 1.0, fps=10) == pytest.approx(5 / 3)


def test_jitter_is_what_a_cubic_through_half_a_second_leaves():
    time = np.arange(40)[:, None, None] / 30
    cubic = np.repeat(time**3 - time, 3, axis=2)
    assert B.jitter(cubic) == pytest.approx(0, abs=1e-12), "a cubic is not shaken"
    shaken = cubic + np.array([0.0, 0.01, 0.0]) * (-1.0) ** np.arange(40)[:, None, None]
    assert 0.008 < B.jitter(shaken) < 0.0101
    assert B.smoothed(cubic[:4]).shape == (4, 1, 3) and B.jitter(cubic[:1]) == 0


def take_row(body, poses: np.ndarray, wave=None, lift: float = 0.0, row: str = "fused") -> TakeRow:
    frames = len(poses)
    one = Take("a", frames, torch.zeros(300), wave, None)
    for name, own in (("truth", np.zeros_like(poses)), ("fused", poses)):
        trans = torch.tensor([0.0, 1.2 + (lift if name == "fused" else 0.0), 0.0]).expand(frames, 3)
        one.add(name, rotation_from_poses(torch.from_numpy(own).float()), torch.zeros(frames, 100), trans)
    return TakeRow(one, row, body, np.full(55, 0.01), find_protocol("corrected"))


def test_a_lifted_body_floats_by_as_much_and_a_sunk_one_is_in_the_ground(body):
    still = np.zeros((30, 55, 3))
    for lift, floats, sinks in ((0.07, 0.07, 0.0), (-0.05, 0.0, 0.05)):
        seen = take_row(body, still, lift=lift)
        assert METRICS["floating"].measure(seen) == pytest.approx(floats, abs=1e-6)
        assert METRICS["penetration"].measure(seen) == pytest.approx(sinks, abs=1e-6)
    assert METRICS["slide"].measure(take_row(body, still)) == 0
    assert METRICS["slide"].measure(take_row(body, still, lift=0.07)) is None


def test_lips_are_measured_where_the_body_has_them(body):
    opened = np.zeros((8, 55, 3))
    opened[:, 22, 0] = 0.2
    lips = body.face_vertices(torch.tensor([[0.2, 0, 0]]), torch.zeros(1, 100), torch.zeros(300))[0, body.lips]
    wanted = (lips - body.template[body.lips]).norm(dim=1).max()
    seen = take_row(body, opened)
    assert METRICS["lve"].measure(seen) == pytest.approx(float(wanted), rel=1e-5)
    assert METRICS["lve"].measure(replace(seen, body=torch.nn.Identity())) is None


def test_what_shakes_makes_no_beats_once_it_is_smoothed(body):
    """Noise as fine as a frame on a body that stands."""
    rng = np.random.default_rng(0)
    wave = torch.from_numpy(np.float32(rng.normal(size=20 * 16000) * (np.arange(20 * 16000) % 8000 < 400)))
    shaken = take_row(body, 0.02 * rng.normal(size=(600, 55, 3)), wave)
    plain, smooth = (METRICS[name].measure(shaken) for name in ("bc", "bc_smooth"))
    beat = BeatConsistency(np.full(55, 0.01), 0.30, False, False, False)
    beat.update(B.smoothed(metric_joints(body, shaken.take.rotation["fused"], torch.zeros(300))), wave.numpy())
    assert smooth == pytest.approx(float(beat.compute())) and smooth != plain
    slow = gaussian_filter1d(rng.normal(size=(600, 55, 3)), 8, axis=0)
    plain, smooth = (METRICS[name].measure(take_row(body, slow, wave)) for name in ("bc", "bc_smooth"))
    assert smooth == pytest.approx(plain, rel=0.05), "a smooth motion keeps its beats"
    assert METRICS["bc_smooth"].weight(shaken.take) == METRICS["bc"].weight(shaken.take) == 480
    assert METRICS["bc_smooth"].measure(take_row(body, slow)) is None


def test_the_truth_has_no_lip_error_and_stands(body):
    row = take_row(body, 0.1 * np.random.default_rng(1).normal(size=(64, 55, 3)), row="truth")
    chosen = {name: METRICS[name] for name in ("lve", "floating", "penetration", "slide", "jitter")}
    table = evaluate_rows([row.take], ("fused", "truth"), chosen, None, body, None).table
    assert max(table["truth"].values()) < 1e-9 and table["fused"]["jitter"] > 0
