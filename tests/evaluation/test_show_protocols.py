"""SHOW's protocols over takes: every number as plain formulas give it, and what is left out is said."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from semtalk.body import load_body
from semtalk.errors import SemTalkError
from semtalk.evaluation.embedding import embedder_of
from semtalk.evaluation.evaluate import evaluate_folder
from semtalk.evaluation.files import read_files
from semtalk.evaluation.measure import evaluate_rows
from semtalk.evaluation.metrics import chosen_metrics
from semtalk.evaluation.report import notes
from semtalk.evaluation.suites import DIFFSHEG, TALKSHOW
from semtalk.evaluation.takes import Take
from semtalk.metrics import functional as F
from semtalk.metrics import show as S
from semtalk.models.extractors import DiffSHEGExtractor, TalkSHOWExtractor
from semtalk.motion.io import Motion, save_motion
from semtalk.motion.parts import poses_from_rotation, rotation_from_poses
from semtalk.motion.skeleton import DIFFSHEG_JOINTS, TALKSHOW_JOINTS, pose_columns
from semtalk.settings import compose

LENGTHS = (61, 90, 300, 181)
"""Frames of clips, of which the first is too short for a training window, and none is whole code steps but one."""


def drawn(frames: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    poses = 0.4 * gaussian_filter1d(rng.normal(size=(frames, 55, 3)), 2, axis=0)
    faces = gaussian_filter1d(rng.normal(size=(frames, 100)), 2, axis=0)
    return rotation_from_poses(torch.from_numpy(poses).float()), torch.from_numpy(faces).float(), torch.zeros(frames, 3)


@pytest.fixture(scope="module")
def takes():
    """Clips with two samples of a method."""
    made = []
    for number, frames in enumerate(LENGTHS):
        rng = np.random.default_rng(number)
        wave = torch.from_numpy(rng.normal(size=16000 * frames // 30 + 8000).astype(np.float32))
        wave[:: 16000 // 3] += 30.0
        take = Take(str(number), frames, torch.zeros(300), wave, None)
        for row, seed in (("truth", 10), ("method", 20), (Take.sample_name("method", 1), 30)):
            take.add(row, *drawn(frames, number + seed))
        made.append(take)
    return made


class Points(type(load_body(None))):
    """The stand-in with 127 points: its joints, and vertices of its face."""

    def points(self, poses, expressions, betas):
        joints = self.joints(poses, betas)
        return torch.cat([joints, self.face_vertices(poses[:, 22], expressions, betas)[:, :72]], dim=1)


def poses_of(take: Take, row: str) -> np.ndarray:
    return poses_from_rotation(take.rotation[row].double()).flatten(1).numpy()


def table(takes, embedder, protocol, body=None):
    measured = evaluate_rows(
        takes, ("method", "truth"), chosen_metrics("main", protocol), embedder, body or load_body(None), None, protocol
    )
    return measured


def test_talkshows_table_by_plain_formulas(takes):
    torch.manual_seed(0)
    body, extractor = Points(), TalkSHOWExtractor().eval()
    measured = table(takes, extractor, "talkshow", body)
    found = measured.table["method"]

    def encoded(take, row):
        values = torch.from_numpy(poses_of(take, row)[:, pose_columns(TALKSHOW_JOINTS)]).float()
        with torch.no_grad():
            return extractor.encoder(values.T[None])[0].T.numpy()

    rows = ("method", "method#1")
    own = np.concatenate([encoded(take, row) for take in takes for row in rows])
    true = np.concatenate([encoded(take, "truth") for take in takes])
    assert found["released2_fgd"] == pytest.approx(S.frechet(own, true), rel=1e-5)
    assert np.isnan(found["paper16_fgd"]) and np.isnan(found["paper16_bc"]), "there are two samples, not 16"

    def sitting(take, row):
        pose = torch.from_numpy(S.body_pose(poses_of(take, row))).unflatten(1, (55, 3))
        return body.joints(pose, take.betas.double()).numpy(), body.points(
            pose.float(), torch.zeros(take.frames, 100), take.betas
        ).double().numpy()

    totals, lvd, error, variation = [], [], [], []
    for take in takes:
        (first, first_points), (second, second_points) = (sitting(take, row) for row in rows)
        true_joints, true_points = sitting(take, "truth")
        onsets = F.audio_onsets(S.heard(take.wave.numpy(), take.frames))
        totals.append(S.beat_consistency(first, onsets))  # of sample 0 alone
        assert S.beat_consistency(second, onsets) != totals[-1]
        lvd.append(S.body_lvd(true_joints, np.stack([first, second])))
        error.append(S.body_error(true_points, np.stack([first_points, second_points])))
        variation.append(S.variation(np.stack([first_points, second_points])))
    assert len(set(totals)) > 1, "there are beats"
    assert found["released2_bc"] == pytest.approx(S.pooled(totals), rel=1e-9)
    assert found["body_lvd"] == pytest.approx(np.mean(lvd), rel=1e-9)
    assert found["body_error"] == pytest.approx(np.mean(error), rel=1e-5)
    assert found["released2_variation"] == pytest.approx(np.mean(variation), rel=1e-4)
    faces = []
    for take in takes:
        both = [
            body.points(
                torch.from_numpy(S.face_pose(poses_of(take, row))).float().unflatten(1, (55, 3)), take.expressions[row],
                take.betas,
            ).double().numpy()
            for row in ("truth", "method")
        ]  # fmt: skip
        faces.append(S.face_errors(*both))
    for name, key in (("jaw_l1", "jaw_l1"), ("landmark_l1", "landmark_l1"), ("face_l2", "l2"), ("face_lvd", "lvd")):
        assert found[name] == pytest.approx(np.mean([face[key] for face in faces]), rel=1e-4), name
    truth = measured.table["truth"]
    assert truth["released2_fgd"] == pytest.approx(0, abs=1e-6) and truth["body_lvd"] == truth["face_l2"] == 0


def test_a_single_sample_is_given_each_time_and_does_not_vary(takes):
    torch.manual_seed(0)
    body, extractor = Points(), TalkSHOWExtractor().eval()
    alone = []
    for take in takes:
        one = Take(take.id, take.frames, take.betas, take.wave, None)
        for row in ("truth", "method"):
            one.add(row, take.rotation[row], take.expressions[row], take.trans[row])
        alone.append(one)
    found = table(alone, extractor, "talkshow", body).table["method"]
    assert found["released2_variation"] == found["paper16_variation"] == 0
    assert found["released2_bc"] == found["paper16_bc"] > 0
    assert found["released2_fgd"] == pytest.approx(found["paper16_fgd"], rel=0.01)
    assert found["released2_fgd"] != found["paper16_fgd"], "rows that are there twice or 16 times: N - 1"


def test_a_body_without_such_points_leaves_out_what_needs_them(takes):
    found = table(takes, None, "talkshow").table["method"]
    missing = {name for name, value in found.items() if np.isnan(value)}
    assert missing == set(TALKSHOW) - {"released2_bc", "body_lvd"}


def test_diffshegs_table_by_plain_formulas(takes):
    torch.manual_seed(0)
    extractor = DiffSHEGExtractor(widths=(36, 12, 6)).eval()
    extractor.set_statistics(torch.linspace(-0.1, 0.1, 232), torch.linspace(0.2, 0.6, 232))
    measured = table(takes, extractor, "diffsheg")
    found, clips = measured.table["method"], {}
    for row in ("method", "truth"):
        values = []
        for take in takes:
            pose = poses_of(take, row)
            raw = np.concatenate(
                [pose[:, pose_columns(DIFFSHEG_JOINTS)], pose[:, 66:69], take.expressions[row].numpy()], axis=1
            )
            values.append(S.windows((raw - np.linspace(-0.1, 0.1, 232)) / np.linspace(0.2, 0.6, 232)))
        assert [len(one) for one in values] == [0, 1, 3, 2]
        clips[row] = np.concatenate(values)
    assert found["diffsheg_pcm"] == pytest.approx(S.near_share(clips["method"][..., :129], clips["truth"][..., :129]))
    assert 0 < found["diffsheg_pcm"] < 1 and measured.table["truth"]["diffsheg_pcm"] == 1
    for name, part in (("diffsheg_diversity", slice(129)), ("diffsheg_face_diversity", slice(129, None))):
        assert found[name] == pytest.approx(S.pair_difference(clips["method"][..., part]), rel=1e-5)
    beats = [
        S.beat_consistency(
            load_body(None).joints(
                torch.from_numpy(S.body_pose(poses_of(take, "method"))).unflatten(1, (55, 3)), take.betas.double()
            ).numpy(),
            F.audio_onsets(take.wave.numpy()),
        )
        for take in takes
    ]  # fmt: skip
    assert found["diffsheg_ba"] == pytest.approx(S.pooled(beats[:]), rel=1e-9), (
        "of the first sample, by the whole sound"
    )
    assert np.isnan(found["diffsheg_fgd"]), "six windows are too few for a covariance of 300"
    assert set(found) == set(DIFFSHEG)
    features = measured.features["diffsheg_fmd"]["method"]
    assert [rows.shape for rows in features] == [(0, 300), (1, 300), (3, 300), (2, 300)]
    with torch.no_grad():
        wanted = extractor.encoders["fmd"](torch.from_numpy(clips["method"]).float()).numpy()
    assert np.allclose(np.concatenate(features), wanted, atol=1e-4)
    assert "diffsheg_diversity" not in measured.features, "whole windows are not written"


def test_rows_enough_for_a_covariance_give_a_distance():
    """64 rows have no covariance of full rank in 64 dimensions; 65 have one."""
    rng = np.random.default_rng(0)
    for name, width in (("released2_fgd", 64), ("diffsheg_fgd", 300)):
        metric = {**TALKSHOW, **DIFFSHEG}[name]
        rows = rng.normal(size=(width + 1, width))
        assert metric.over_takes([rows], [rows], None) == pytest.approx(0, abs=1e-6)
        assert np.isnan(metric.over_takes([rows[1:]], [rows], None))


def write(folder, name: str, frames: int, seed: int):
    rotation, faces, trans = drawn(frames, seed)
    poses = poses_from_rotation(rotation).numpy()
    save_motion(folder / f"{name}.npz", Motion(poses, faces.numpy(), trans.numpy(), np.zeros(300, np.float32)))


def test_a_folder_holds_samples_of_each_take(tmp_path):
    own, true = tmp_path / "own", tmp_path / "true"
    for number in range(2):
        write(true, f"a{number}", 90, number)
        for sample in (1, 2):
            write(own, f"a{number}_sample_{sample}", 90 - sample, 10 * number + sample)
    words = (f"motions={own}", f"truth={true}", "protocol=talkshow")
    settings = compose("eval", *words)
    files = read_files(settings)
    assert files.samples == 2 and files.frames == [88, 88]
    result, measured = evaluate_folder(settings, files, Points())
    assert result.takes == 2 and result.samples["count"] == 2 and result.samples["diversity"] > 0
    assert result.metrics["method"]["released2_variation"] > 0 and set(result.metrics["method"]) == set(TALKSHOW)
    assert result.embedder["sha256"] == "" and "FGD is left out" in result.embedder["source"]
    assert sum("do not compare what is measured on them" in line for line in notes(result)) == 1
    (own / "a1_sample_2.npz").unlink()
    with pytest.raises(SemTalkError, match="a0 has 2 samples and a1 has 1; give as many of each take"):
        read_files(settings)
    write(true, "a0_sample_1", 90, 5)
    write(own, "a1_sample_2", 90, 5)
    with pytest.raises(SemTalkError, match="truth=.*(the truth has one|would both be|give as many)"):
        read_files(settings)


def test_an_embedder_of_another_architecture_is_refused_where_it_is_asked_for(smoke):
    folder, _ = smoke
    run = folder / "runs" / "smoke"
    network, said = embedder_of(run, "legacy")
    assert network is not None and said["network"] == "emage"
    with pytest.raises(
        SemTalkError, match="protocol=talkshow measures with talkshow's network, and that of .* emage's"
    ):
        embedder_of(run, "talkshow")
    network, said = embedder_of(run, "talkshow", asked=False)
    assert network is None and said["source"].startswith("none: protocol=talkshow measures with")
