"""protocol=genea over takes: every number as plain formulas give it."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from semtalk.body import load_body
from semtalk.evaluation.measure import evaluate_rows, missing_values
from semtalk.evaluation.metrics import chosen_metrics, metric_joints
from semtalk.evaluation.suites import GENEA
from semtalk.evaluation.takes import Take
from semtalk.metrics import functional as F
from semtalk.metrics import genea as G
from semtalk.models.embedder import MotionEmbedder
from semtalk.motion.parts import poses_from_rotation, rotation_from_poses

ROWS = ("method", "method#1", "method#2")
SPEED = np.full(55, 0.3)


@pytest.fixture(scope="module")
def takes():
    made = []
    for number, frames in enumerate((301, 250)):
        rng = np.random.default_rng(number)
        wave = torch.from_numpy(rng.normal(size=16000 * 11).astype(np.float32))
        wave[::5000] += 30.0
        labels = [
            ("deictic_h", 1.0, 3.5, 0.8, "that"),
            ("iconic_m", 3.0, 5.0, 0.5, "round"),
            ("beat", 6.0, 7.0, 0.1, ""),
        ]
        take = Take(str(number), frames, torch.zeros(300), wave, torch.ones(frames))
        take.labels = labels
        for seed, row in enumerate(("truth", *ROWS)):
            noise = np.random.default_rng(10 * number + (0 if row == "truth" else seed))
            poses = 0.3 * gaussian_filter1d(noise.normal(size=(frames, 55, 3)), 4, axis=0)
            rotation = rotation_from_poses(torch.from_numpy(poses).float())
            take.add(row, rotation, torch.zeros(frames, 100), torch.zeros(frames, 3))
        made.append(take)
    return made


def test_geneas_table_by_plain_formulas(takes):
    torch.manual_seed(0)
    body, embedder = load_body(None), MotionEmbedder().eval()
    chosen = chosen_metrics("main", "genea")
    measured = evaluate_rows(takes, ("method", "truth"), chosen, embedder, body, SPEED, "genea")
    found = measured.table["method"]
    assert list(found) == list(GENEA)

    def latents(row):
        with torch.no_grad():
            return np.concatenate(
                [
                    embedder.embed(take.rotation[row][: len(take.rotation[row]) // 32 * 32].flatten(1)[None])[0]
                    for take in takes
                ]
            )

    samples, true = [latents(row) for row in ROWS], latents("truth")
    assert found["genea_fgd"] == pytest.approx(G.fgd(true, [np.concatenate(samples)]), rel=1e-4)
    assert found["genea_fgd_script"] == pytest.approx(G.fgd_script(true, samples), rel=1e-4)
    assert found["genea_fgd_script"] != pytest.approx(found["genea_fgd"], rel=1e-3)

    def joints(take, row):
        return metric_joints(body, take.rotation[row], take.betas, still_root=True)

    def poses(take, row):
        return poses_from_rotation(take.rotation[row].double()).flatten(1).numpy()

    aligned = [(*G.beat_alignment(joints(take, row), take.wave.numpy(), SPEED),) for take in takes for row in ROWS]
    weights = np.array([weight for _, weight in aligned])
    for name in ("a2m", "m2a"):
        values = np.array([getattr(both, name) for both, _ in aligned])
        assert found[f"genea_{name}"] == pytest.approx((values * weights).sum() / weights.sum(), rel=1e-9), name
        assert 0 < found[f"genea_{name}"] < 1
    recalls = [
        G.semantic_recall(
            joints(take, row), joints(take, "truth"), G.semantic_weights(take.labels, take.frames)
        )
        for take in takes
        for row in ROWS
    ]  # fmt: skip
    assert found["genea_srgr"] == pytest.approx(sum(v * w for v, w in recalls) / sum(w for _, w in recalls))
    spread = [F.l1_diversity(joints(take, row)) for take in takes for row in ROWS]
    assert found["genea_div"] == pytest.approx(sum(v for v, _ in spread) / sum(n for _, n in spread))
    assert found["genea_div_sample"] == pytest.approx(
        np.mean([G.sample_variance([poses(take, row) for row in ROWS]) for take in takes])
    )
    assert found["genea_div_k"] == pytest.approx(
        np.mean([G.temporal_variance(poses(take, row)) for take in takes for row in ROWS])
    )
    own = np.concatenate([poses(take, row) for take in takes for row in ROWS])
    real = np.concatenate([poses(take, "truth") for take in takes])
    assert found["genea_fd_g"] == pytest.approx(F.frechet_distance(own, real), rel=1e-6)
    own = np.concatenate([np.diff(poses(take, row), axis=0) for take in takes for row in ROWS])
    real = np.concatenate([np.diff(poses(take, "truth"), axis=0) for take in takes])
    assert found["genea_fd_k"] == pytest.approx(F.frechet_distance(own, real), rel=1e-6)
    truth = measured.table["truth"]
    assert truth["genea_fgd"] == pytest.approx(truth["genea_fgd_script"]) and np.isnan(truth["genea_div_sample"])
    assert set(measured.features) == {"genea_fgd"}, "what adds up otherwise than as rows is not written"
    assert missing_values(measured, chosen) == [], "the method has samples, if not the truth"


def test_what_is_not_there_is_left_out(takes):
    bare = Take("bare", 300, torch.zeros(300), None, None)
    for row in ("truth", "method"):
        bare.add(row, takes[0].rotation[row][:300], torch.zeros(300, 100), torch.zeros(300, 3))
    chosen = chosen_metrics("main", "genea")
    measured = evaluate_rows([bare], ("method", "truth"), chosen, None, load_body(None), None, "genea")
    assert missing_values(measured, chosen) == [
        "no take has what BA a2m, BA m2a, SRGR, DIV sample would be measured on, or the body has not"
    ]
    found = measured.table["method"]
    missing = {name for name, value in found.items() if np.isnan(value)}
    assert missing == {
        "genea_fgd", "genea_fgd_script", "genea_a2m", "genea_m2a", "genea_srgr", "genea_div_sample",
    }  # fmt: skip


def test_takes_of_a_run_begin_with_the_mean_pose(smoke, body):
    """What the leaderboard asks for: nothing of a test recording's motion."""
    from semtalk.evaluation.protocol import find_protocol
    from semtalk.evaluation.takes import TakeMaker
    from semtalk.generation.load import load_generator

    folder, _ = smoke
    run = load_generator(folder / "runs" / "smoke")
    rules = find_protocol("genea")
    maker = TakeMaker(run.generator, run.facts.speakers, 20, counted=rules.counted, true_seed=rules.true_seed)
    channels, start = maker.seed_of(None)
    wanted = run.generator.neutral_seed(1)
    assert torch.equal(channels, wanted[0]) and torch.equal(start, wanted[1])
    assert find_protocol("talkshow").true_seed and find_protocol("legacy").true_seed
