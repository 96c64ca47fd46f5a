"""Small numbers worked out by hand: beats, speeds, what counts, and how takes are weighted."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from semtalk.body import load_body
from semtalk.data.store import speed_of_joints
from semtalk.evaluation.gate import gate_report
from semtalk.evaluation.measure import evaluate_rows
from semtalk.evaluation.metrics import CHUNK, MAIN, METRICS, Metric, TakeRow, face_pairs, metric_joints
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.samples import add_samples, diversity_of_takes, mean_diversity
from semtalk.evaluation.takes import Take, legacy_frames, whole_frames
from semtalk.generation.label import intervals
from semtalk.metrics import functional as F
from semtalk.models.embedder import MotionEmbedder
from semtalk.motion.parts import batch_frames, merge_parts, poses_from_rotation, rotation_error, rotation_from_poses
from semtalk.motion.skeleton import EYES, PARTS
from semtalk.motion.speed import joint_speed


def still_and_moving(frames: int = 100, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    poses = gaussian_filter1d(rng.normal(size=(frames, 55, 3)), 3, axis=0)
    trans = np.cumsum(0.01 * rng.normal(size=(frames, 3)), axis=0)
    return {
        "rotation": rotation_from_poses(torch.from_numpy(poses).float()),
        "expressions": torch.from_numpy(rng.normal(size=(frames, 100))).float(),
        "trans": torch.from_numpy(trans).float(),
        "betas": torch.from_numpy(rng.normal(size=300)).float(),
    }  # fmt: skip


def take(name: str = "a", frames: int = 100, seed: int = 0, semantic=None, gate=None) -> Take:
    true, own = still_and_moving(frames, seed), still_and_moving(frames, seed + 10)
    made = Take(name, frames, true["betas"], None, semantic, gate=gate)
    for row, motion in (("truth", true), ("fused", own)):
        made.add(row, motion["rotation"], motion["expressions"], motion["trans"])
    return made


def test_speed_is_of_central_differences():
    place = np.zeros((5, 1, 3))
    place[:, 0, 1] = [0, 1, 4, 9, 16]
    assert joint_speed(place)[:, 0].tolist() == pytest.approx([30, 60, 120, 180, 210])
    assert joint_speed(place, fps=10)[1, 0] == pytest.approx(20)


def test_the_speed_that_beats_are_measured_by_is_the_mean_over_frames_with_translation():
    body, takes = load_body(None), [still_and_moving(40, 1), still_and_moving(80, 2)]
    rows = []
    for one in takes:
        joints = body.joints(poses_from_rotation(one["rotation"]), one["betas"], one["trans"]).double().numpy()
        rows.append(np.linalg.norm(np.gradient(joints, 1 / 30, axis=0), axis=-1))
    assert np.allclose(speed_of_joints(takes, body), np.concatenate(rows).mean(axis=0), rtol=1e-6)


def slow_at(*frames: int, length: int = 200, depths: tuple[float, ...] = (0.6, 0.6)) -> np.ndarray:
    """One joint of even speed 1 m/s that loses up to some of it around some frames."""
    speed = np.ones(length)
    for frame, depth in zip(frames, depths, strict=True):
        for away in range(-3, 5):
            speed[frame + away] = min(speed[frame + away], 1 - depth + 0.15 * abs(away - 0.25))
    joints = np.zeros((length, 1, 3))
    joints[:, 0, 0] = np.cumsum(speed) / 30
    return joints


def test_beats_are_the_slowest_of_seven_frames_on_either_side():
    def beats(*frames: int, **options) -> list[int]:
        return (F.motion_beats(slow_at(*frames, **options), np.ones(1), mask_from_zero=False)[0] + 60).tolist()

    found = beats(80, 100)
    assert len(found) == 2 and all(abs(beat - wanted) <= 1 for beat, wanted in zip(found, (80, 100), strict=True))
    assert beats(80, 86, depths=(0.6, 0.4)) == found[:1], "the weaker of two that are near is none"
    assert F.BEAT_ORDER == 7 and F.BEAT_SKIP == 60 and F.BEAT_SIGMA == 0.3


def test_only_beats_above_the_threshold_count():
    joints = slow_at(80, 110)
    for mean, threshold, count in ((1.0, 0.3, 2), (1.0, 0.6, 0), (2.0, 0.3, 0), (2.0, 0.1, 2)):
        assert len(F.motion_beats(joints, np.array([mean]), threshold=threshold, mask_from_zero=False)[0]) == count
    assert F.BEAT_THRESHOLD == {"legacy": 0.30, "evaltools": 0.10}


def test_legacy_looks_the_threshold_up_at_the_frame_counted_from_the_cut():
    joints = np.concatenate([np.zeros((60, 1, 3)), slow_at(40, 70, length=140)])
    assert len(F.motion_beats(joints, np.ones(1), mask_from_zero=False)[0]) == 2
    assert len(F.motion_beats(joints, np.ones(1), mask_from_zero=True)[0]) == 1, "at frames 0 to 59 it stands still"


def test_precision_recall_and_f1_by_hand():
    predicted, true = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    assert F.precision_recall_f1(predicted, true) == pytest.approx({"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5})
    assert set(F.precision_recall_f1(np.zeros(3, bool), np.zeros(3, bool)).values()) == {0.0}


def test_the_gate_is_right_where_the_mean_score_of_a_step_is_above_zero():
    semantic = torch.zeros(16)
    semantic[3], semantic[8:12] = 0.4, 0.9
    one = take(frames=16, semantic=semantic, gate=torch.tensor([0.7, 0.9, 0.4, 0.1]))
    silent = take("b", frames=16, gate=torch.ones(4))
    assert one.semantic_steps.tolist() == [True, False, True, False]
    assert gate_report([one, silent], 0.5) == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5})
    assert gate_report([one], 0.3) == pytest.approx({"precision": 2 / 3, "recall": 1.0, "f1": 0.8})
    assert gate_report([silent, take("c", frames=16, semantic=semantic)], 0.5) == {}, "no label, or no gate"


def test_semantic_recall_by_hand():
    true, own = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    own[0, 0, 0], own[1, :, 1] = 0.2, 0.05
    scores = np.array([0.9, 0.3])
    assert F.semantic_recall(own, true, scores) == pytest.approx((0.5 * 0.9 + 1.0 * 0.3) / 1.2)
    assert F.semantic_recall(own, true, np.array([np.nan, 1.0])) == pytest.approx(1.0)


class Mean(MotionEmbedder):
    """An embedder whose features are the mean pose of every 16 frames."""

    def embed(self, rotation):
        self.seen = rotation
        return rotation.unflatten(1, (-1, 16)).mean(dim=2)


def test_fgd_rows_are_of_whole_thirty_twos():
    rotation, embedder = torch.randn(120, 55, 6), Mean()
    rows = embedder.rows(rotation, torch.zeros(120, 100))["fgd"]
    assert torch.equal(embedder.seen, rotation[:96].flatten(1)[None]) and rows.shape == (6, 330)


def test_a_corpus_is_the_mean_of_its_takes_weighted_by_frames(monkeypatch):
    takes = [take("a", 100, 1), take("b", 64, 2), take("c", 70, 3)]
    values = {"a": 1.0, "b": 4.0, "c": None}
    metrics = {
        "own": Metric("own", lambda seen: values[seen.take.id]),
        "div": Metric("DIV", lambda seen: F.l1_diversity(seen.joints)[0] / seen.take.frames),
        "fgd": METRICS["fgd"],
    }
    body, embedder = load_body(None), Mean()
    measured = evaluate_rows(takes, ("fused", "truth"), metrics, embedder, body, np.ones(55))
    table = measured.table["fused"]
    assert table["own"] == pytest.approx((100 * 1 + 64 * 4) / 164)
    joints = [metric_joints(body, one.rotation["fused"], one.betas) for one in takes]
    assert table["div"] == pytest.approx(sum(F.l1_diversity(j)[0] for j in joints) / 234)
    rows = [
        np.concatenate([embedder.rows(t.rotation[row], t.expressions[row])["fgd"] for t in takes])
        for row in ("fused", "truth")
    ]
    assert table["fgd"] == pytest.approx(F.frechet_distance(*rows), rel=1e-6)
    assert measured.table["truth"]["fgd"] == pytest.approx(0, abs=1e-6)


def test_joints_of_metrics_have_the_true_shape_and_no_translation():
    body, one = load_body(None), take()
    poses = poses_from_rotation(one.rotation["fused"])
    wanted = body.joints(poses, one.betas).double().numpy()
    assert np.allclose(metric_joints(body, one.rotation["fused"], one.betas), wanted)
    rested = metric_joints(body, one.rotation["fused"], one.betas, still_root=True)
    poses[:, [0, 22]] = 0
    assert np.allclose(rested, body.joints(poses, one.betas).double().numpy(), atol=1e-6)


def test_faces_are_compared_in_pieces_in_order():
    body, one = load_body(None), take(frames=CHUNK + 30)
    pieces = list(face_pairs(body, one, "fused"))
    assert [len(a) for a, _ in pieces] == [CHUNK, 30]
    for index, row in enumerate(("fused", "truth")):
        jaw = poses_from_rotation(one.rotation[row])[:, 22]
        whole = body.face_vertices(jaw, one.expressions[row], one.betas).numpy()
        assert np.allclose(np.concatenate([piece[index] for piece in pieces]), whole, atol=1e-6)


def test_frames_that_count_by_hand():
    for frames in (0, 29, 30, 63, 64, 89, 90, 300, 465, 1000):
        seconds = frames // 30 * 30
        windows = (seconds - seconds % 8 - 4) // 60
        assert legacy_frames(frames) == (60 * windows + 4 if windows > 0 else 0)
        assert whole_frames(frames) == (frames // 4 * 4 if frames >= 64 else 0)


def test_samples_are_compared_with_each_other(monkeypatch):
    takes, body = [take("a", 64, 1), take("b", 100, 2)], load_body(None)
    others = {1: still_and_moving(100, 5)["rotation"], 2: still_and_moving(100, 6)["rotation"]}

    class Maker:
        def rollout(self, recordings, sample):
            rotation = torch.stack([others[sample]] * 2)
            frames = type("F", (), {"rotation": rotation, "expressions": torch.zeros(2, 100, 100)})
            return type("R", (), {"frames": frames, "trans": torch.zeros(2, 100, 3)})

    total = 0.0
    for one in takes:
        rows = [one.rotation["fused"], *(value[: one.frames] for value in others.values())]
        joints = np.stack([metric_joints(body, row, one.betas) for row in rows])
        total += one.frames * F.sample_diversity(joints)
    frames = [one.frames for one in takes]
    assert mean_diversity(diversity_of_takes(takes, "fused", body), frames) is None, "there is one sample"
    add_samples(takes, 3, Maker())
    assert mean_diversity(diversity_of_takes(takes, "fused", body), frames) == pytest.approx(total / 164)


def test_gates_become_intervals_with_their_mean_score():
    psi = torch.tensor([0.1, 0.6, 0.8, 0.2, 0.9])
    rows = intervals(psi, 0.5)
    assert [(row.start, row.score) for row in rows] == [(pytest.approx(4 / 30), pytest.approx(0.7)), (pytest.approx(16 / 30), pytest.approx(0.9))]  # fmt: skip  # noqa: E501
    assert [row.end * 30 for row in rows] == [pytest.approx(11.5), pytest.approx(19.5)]


def test_frames_of_parts_and_degrees():
    motion = still_and_moving(8)
    poses = poses_from_rotation(motion["rotation"])
    assert not poses[:, list(EYES)].any() and poses[:, 0].any()
    frames = batch_frames(motion | {"root": torch.ones(8, 3), "contact": torch.zeros(8, 4)})
    assert (
        (frames.root == 1).all()
        and (frames.contact == 0).all()
        and torch.equal(frames.expressions, motion["expressions"])
    )
    only = merge_parts({"upper": torch.randn(8, 78)})
    assert torch.equal(only.rotation[:, 0], torch.tensor([[1.0, 0, 0, 0, 1, 0]]).expand(8, -1)) and not only.root.any()
    turned = rotation_from_poses(torch.tensor([[[0.0, 0.0, torch.pi / 6]]]).expand(8, 13, -1)).flatten(1)
    rest = rotation_from_poses(torch.zeros(8, 13, 3)).flatten(1)
    assert torch.allclose(rotation_error(turned, rest, PARTS["upper"]), torch.full((8, 13), 30.0), atol=1e-3)


def test_takes_are_weighted_by_what_each_metric_sees_of_them():
    semantic = torch.zeros(100)
    semantic[:10] = 0.5
    one = take(frames=100, semantic=semantic)
    weights = {name: metric.weight(one) for name, metric in METRICS.items()}
    assert (
        weights.pop("bc") == weights.pop("bc_smooth") == 0
        and weights.pop("srgr") == 5.0
        and set(weights.values()) == {100.0}
    )
    assert METRICS["bc"].weight(take(frames=364)) == 244
    scales = {name: metric.scale for name, metric in METRICS.items()}
    assert {name: scales[name] for name in MAIN} == {"fgd": 1e-1, "bc": 1e-1, "div": 1.0, "mse": 1e-8, "lvd": 1e-5}


def test_semantic_recall_is_of_joints_from_the_root():
    semantic, body = torch.ones(100), load_body(None)
    one = take(semantic=semantic)
    rules = find_protocol("legacy")
    moved = Take("a", 100, one.betas, None, semantic)
    for row, away in (("truth", 0.0), ("fused", 5.0)):
        moved.add(row, one.rotation["truth"], one.expressions["truth"], one.trans["truth"] + away)
    assert METRICS["srgr"].measure(TakeRow(moved, "fused", body, None, rules)) == 1.0
    own, true = (TakeRow(one, row, body, None, rules).world for row in ("fused", "truth"))
    wanted = F.semantic_recall(own - own[:, :1], true - true[:, :1], semantic.numpy())
    assert METRICS["srgr"].measure(TakeRow(one, "fused", body, None, rules)) == pytest.approx(wanted)
    assert METRICS["srgr"].measure(TakeRow(take(), "fused", body, None, rules)) is None
