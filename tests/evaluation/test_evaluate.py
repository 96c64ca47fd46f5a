"""Evaluation: folders of any method's files, protocols, published rows, comparison of runs, sanity of every metric."""

import csv
import json
import resource
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from semtalk.data.beat2 import BEAT2Corpus
from semtalk.data.preparation import prepare
from semtalk.data.sample import SampleCorpus
from semtalk.data.store import StoredRecording
from semtalk.errors import SemTalkError
from semtalk.evaluation.comparison import compare, resampled
from semtalk.evaluation.evaluate import evaluate_folder, evaluate_run
from semtalk.evaluation.files import plain_name, read_files
from semtalk.evaluation.gate import gate_report
from semtalk.evaluation.known_answers import seam_ratio
from semtalk.evaluation.measure import evaluate_rows, thin_rows
from semtalk.evaluation.metrics import MAIN, Metric, chosen_metrics, metric_joints
from semtalk.evaluation.protocol import PROTOCOLS
from semtalk.evaluation.published_rows import comparable, published_rows
from semtalk.evaluation.report import Lines, metrics_table, notes, print_comparison, result_page
from semtalk.evaluation.result import Measured, Result
from semtalk.evaluation.takes import Take, TakeMaker, add_sound
from semtalk.features.extract import FRAME_SLOTS, WINDOW_SLOTS
from semtalk.features.utterance import fit_wave
from semtalk.generation.load import load_generator
from semtalk.metrics import functional as F
from semtalk.models.decoding import Decoding
from semtalk.models.embedder import MotionEmbedder
from semtalk.motion.io import Motion, load_motion, save_motion
from semtalk.motion.parts import rotation_from_poses
from semtalk.motion.rotation import axis_angle_to_6d
from semtalk.settings import compose

MEAN_SPEED = np.full(55, 0.3)


def gesture(frames: int = 364, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    poses = gaussian_filter1d(rng.normal(size=(frames, 55, 3)), 5, axis=0).astype(np.float32)
    trans = 0.02 * gaussian_filter1d(rng.normal(size=(frames, 3)), 20, axis=0) + [0, 1.2, 0]
    expressions = gaussian_filter1d(rng.normal(size=(frames, 100)), 4, axis=0)
    return Motion(
        poses, expressions.astype(np.float32), trans.astype(np.float32), rng.normal(size=300).astype(np.float32)
    )


def speech_of(motion: Motion, body, shift: float = 0.0) -> np.ndarray:
    """A click wherever the wrists slow down: beats that BC must find."""
    joints = body.joints(*(torch.from_numpy(a) for a in (motion.poses, motion.betas, motion.trans))).numpy()
    beats = F.motion_beats(joints, MEAN_SPEED, skip=0, mask_from_zero=False)[21]
    wave = 1e-4 * np.random.default_rng(0).normal(size=len(motion) * 16000 // 30)
    for beat in beats:
        start = int((beat / 30 + shift) * 16000)
        piece = np.hanning(600) * np.random.default_rng(1).normal(size=600)
        wave[start : start + 600] += piece[: max(0, len(wave) - start)][:600]
    return wave.astype(np.float32)


def take_of(truth: Motion, own: Motion, wave: np.ndarray | None = None, name: str = "a") -> Take:
    rows = {"method": own, "truth": truth}
    return Take(
        name, len(truth), torch.from_numpy(truth.betas), None if wave is None else torch.from_numpy(wave), None,
        {row: rotation_from_poses(torch.from_numpy(m.poses)) for row, m in rows.items()},
        {row: torch.from_numpy(m.expressions) for row, m in rows.items()},
        {row: torch.from_numpy(m.trans) for row, m in rows.items()},
    )  # fmt: skip


def changed(motion: Motion, **changes) -> Motion:
    return Motion(**({key: getattr(motion, key) for key in ("poses", "expressions", "trans", "betas")} | changes))


def measure(body, truth, own, wave=None, metrics="main", **options):
    torch.manual_seed(0)
    takes, chosen = [take_of(truth, own, wave)], chosen_metrics(metrics)
    return evaluate_rows(takes, ("method", "truth"), chosen, MotionEmbedder().eval(), body, MEAN_SPEED, **options).table


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_truth_against_itself_is_perfect(body, protocol):
    truth = gesture()
    row = measure(body, truth, truth, speech_of(truth, body), protocol=protocol, metrics="extended")["method"]
    assert row["fgd"] == pytest.approx(0, abs=1e-6) and row["mse"] == row["lvd"] == 0
    assert 0 < row["bc"] <= 1 and row["div"] > 1 and row["jerk"] > 0


def test_fgd_grows_with_noise_and_shuffling(body):
    truth, rng = gesture(), np.random.default_rng(1)
    noise = rng.normal(size=truth.poses.shape).astype(np.float32)
    values = [
        measure(body, truth, changed(truth, poses=truth.poses + scale * noise))["method"]["fgd"]
        for scale in (0.02, 0.1, 0.4)
    ]
    shuffled = measure(body, truth, changed(truth, poses=truth.poses[rng.permutation(len(truth))]))["method"]["fgd"]
    assert 1e-6 < values[0] < values[1] < values[2] and shuffled > values[0]


def test_bc_falls_when_the_audio_is_late(body):
    truth = gesture(frames=600)
    on_time, late = (
        measure(body, truth, truth, speech_of(truth, body, shift), protocol="corrected")["method"]["bc"]
        for shift in (0.0, 0.5)
    )
    assert late < on_time


def test_a_still_pose_has_no_diversity_and_no_beats(body):
    truth = gesture()
    still = changed(truth, poses=np.repeat(truth.poses[:1], len(truth), axis=0))
    row = measure(body, truth, still, speech_of(truth, body))["method"]
    assert row["div"] == pytest.approx(0, abs=1e-3) and row["bc"] == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"poses": lambda m: np.rad2deg(m.poses)}, "seem to be degrees"),
        ({"trans": lambda m: 100 * m.trans}, "centimetres"),
    ],
)
def test_other_units_are_noticed(tmp_path, changes, says):
    motion = gesture()
    save_motion(tmp_path / "a.npz", changed(motion, **{key: change(motion) for key, change in changes.items()}))
    with pytest.raises(SemTalkError, match=says):
        load_motion(tmp_path / "a.npz")


def test_protocols_differ_where_they_say(body):
    truth, own = gesture(), gesture(seed=1)
    wave = np.concatenate([speech_of(own, body), np.zeros(16000, np.float32)])  # the sound lasts a second longer
    tables = {name: measure(body, truth, own, wave, protocol=name)["method"] for name in PROTOCOLS}
    joints = metric_joints(body, rotation_from_poses(torch.from_numpy(own.poses)), torch.from_numpy(truth.betas))
    still = own.poses.copy()
    still[:, [0, 22]] = 0
    rested = metric_joints(body, rotation_from_poses(torch.from_numpy(still)), torch.from_numpy(truth.betas))

    def bc(joints, threshold, overwrite, from_zero, end):
        joints = np.abs(joints - joints.mean(axis=0)) if overwrite else joints
        sound = wave[: int(16000 / 30 * len(own))]
        sound = sound[32000 : (len(wave) if end else len(sound)) - 32000]
        beats = F.motion_beats(joints, MEAN_SPEED, threshold=threshold, mask_from_zero=from_zero)
        return F.beat_consistency(F.audio_onsets(sound), beats)

    assert tables["legacy"]["bc"] == pytest.approx(bc(joints, 0.3, True, True, True))
    assert tables["evaltools"]["bc"] == pytest.approx(bc(rested, 0.1, False, True, True))
    assert tables["corrected"]["bc"] == pytest.approx(bc(joints, 0.3, False, False, False))
    assert tables["legacy"]["div"] == pytest.approx(F.l1_diversity(joints)[0] / len(own))
    assert tables["evaltools"]["div"] == pytest.approx(F.l1_diversity(rested)[0] / len(own))
    assert tables["legacy"]["lvd"] > tables["corrected"]["lvd"] == tables["evaltools"]["lvd"]
    assert tables["legacy"]["mse"] == tables["corrected"]["mse"]
    with pytest.raises(SemTalkError, match="choose one of legacy, evaltools, corrected, talkshow, diffsheg, genea"):
        measure(body, truth, own, protocol="other")


def test_frames_that_count():
    lengths = (63, 64, 339, 467)
    counted = {name: [rules.counted(frames) for frames in lengths] for name, rules in PROTOCOLS.items()}
    assert counted["legacy"] == counted["evaltools"] == [0, 0, 304, 424]
    assert counted["corrected"] == [0, 64, 336, 464]
    assert counted["talkshow"] == counted["diffsheg"] == list(lengths) and PROTOCOLS["talkshow"].counted(4) == 0


def test_metrics_in_pieces_equal_the_whole():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 101, 7, 3))
    for cuts in ([], [1], [50, 51], [100]):
        errors = F.face_errors(zip(np.split(a, cuts), np.split(b, cuts), strict=True))
        assert errors["mse"] == pytest.approx(F.face_mse(a, b), rel=1e-12)
        assert errors["position"] == pytest.approx(F.face_l1_position(a, b), rel=1e-12)
        assert errors["velocity"] == pytest.approx(F.face_velocity_difference(a, b), rel=1e-12)


def test_extended_metrics_by_hand():
    time = np.arange(31) / 30
    joints = np.zeros((31, 1, 3))
    joints[:, 0, 0] = 2 * time**3
    assert F.mean_jerk(joints) == pytest.approx(12)
    feet = np.zeros((31, 2, 3))
    feet[:, 0, 0], feet[:, 0, 1] = 0.5 * time, 0.2
    feet[:, 1, 1] = np.where(np.arange(31) < 10, 0.1, 1.0)
    feet[:, 1, 2] = 3 * time
    assert F.foot_skating(feet) == pytest.approx((20 * 0.5 + 10 * 3) / 30)
    true = np.zeros((4, 2, 3))
    own = true.copy()
    own[2:, 0] = 1.0
    assert F.semantic_recall(own, true, np.array([0, 0.5, 0.5, 0])) == pytest.approx(0.75)
    assert F.semantic_recall(own, true, np.array([0, 1.0, 0, 0])) == 1


def begun(recording: StoredRecording, frames: int) -> StoredRecording:
    """The first frames of a recording, as if the corpus had no more of it."""
    keys = ("rotation", "expressions", "trans", "root", "contact", "semantic", *FRAME_SLOTS)
    tensors = {key: recording[key][:frames] for key in keys}
    tensors |= {slot: recording[slot][: -(-frames // 20)] for slot in WINDOW_SLOTS}
    return StoredRecording(recording.folder, recording.info | {"frames": frames}, tensors)


@pytest.mark.parametrize("protocol", ["legacy", "corrected"])
def test_a_take_is_evaluated_the_same_alone_and_beside_any_other(store, smoke, protocol):
    """In double precision, so that no code hangs on how a batch is computed."""
    run = load_generator(smoke[0] / "runs" / "smoke")
    run.generator.decoding = Decoding()
    torch.manual_seed(0)
    for parameter in run.generator.base.parameters():  # a few steps of training give one code
        parameter.copy_(parameter + 0.3 * torch.randn_like(parameter))
    counted = PROTOCOLS[protocol].counted
    maker = TakeMaker(run.generator.double(), run.facts.speakers, run.features.stride, counted=counted)
    recordings = [
        begun(recording, frames) for recording, frames in zip(store.split("train"), (180, 130, 100, 92), strict=False)
    ]
    together, _ = maker.takes(recordings, list)
    for recording, take in zip(recordings, together, strict=True):
        ((alone,), _) = maker.takes([recording], list)
        for row in ("fused", "base"):
            for kind in ("rotation", "expressions", "trans"):
                own, same = getattr(take, kind)[row], getattr(alone, kind)[row]
                assert own.shape == same.shape and (own - same).abs().max() < 1e-6, (take.frames, row, kind)
        assert (take.psi - alone.psi).abs().max() < 1e-6


def write_folder(folder, body, seeds, prefix="", noise=0.0, extra=0):
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        motion = gesture(frames=244 + extra, seed=seed)
        motion.poses += noise * np.random.default_rng(seed + 9).normal(size=motion.poses.shape).astype(np.float32)
        save_motion(folder / f"{prefix}take {seed}.npz", motion)


def test_any_folder_is_evaluated_without_a_model(body, smoke, tmp_path):
    write_folder(tmp_path / "own", body, (1, 2, 3), "res_", noise=0.1)
    write_folder(tmp_path / "own", body, (1, 2, 3), "gt_")  # as evaluators write them: both in one folder
    write_folder(tmp_path / "true", body, (1, 2, 4), extra=10)
    (tmp_path / "sound").mkdir()
    for seed in (1, 2):
        soundfile.write(tmp_path / "sound" / f"take {seed}.wav", speech_of(gesture(seed=seed), body), 16000)
    assert plain_name(tmp_path / "res_2_scott_0_1_1_output.npz") == "2_scott_0_1_1"
    arguments = [f"motions={tmp_path}/own", f"truth={tmp_path}/true", f"audio={tmp_path}/sound", f"out={tmp_path}/out"]
    said = run_command("eval.py", *arguments, f"embedder={smoke[0]}/runs/smoke", "metrics=extended").stdout
    said = " ".join(said.split())
    assert "1 files of motions have no partner: take 3" in said and "1 files of truth have no partner: take 4" in said
    assert "2 of 2 pairs differ in length" in said and "mean pose" in said and "jerk" in said
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    row = result["metrics"]
    assert row["truth"]["fgd"] < row["method"]["fgd"] < row["mean"]["fgd"] and row["mean"]["bc"] == 0
    assert row["truth"]["mse"] == 0 and result["takes"] == 2 and result["embedder"]["sha256"]
    without = run_command("eval.py", *arguments[:2], f"out={tmp_path}/bare").stdout
    assert "FGD is left out" in " ".join(without.split()) and "BC is left out" in " ".join(without.split())
    both = run_command("eval.py", f"motions={tmp_path}/own", f"truth={tmp_path}/own", f"out={tmp_path}/both")
    assert "3 takes" in both.stdout, "gt_ and res_ in one folder"
    with pytest.raises(SemTalkError, match="no file name of one is in the other"):
        (tmp_path / "none").mkdir()
        save_motion(tmp_path / "none" / "x.npz", gesture(64))
        read_files(compose("eval", f"motions={tmp_path}/none", f"truth={tmp_path}/true"))


def test_the_samples_of_a_folder_are_compared_with_each_other(body, tmp_path):
    for number in range(3):  # as generate.py samples=3 names them
        (tmp_path / "own").mkdir(exist_ok=True)
        for name, seed in (("2_scott_0_1_1", 5), ("b", 7)):
            save_motion(tmp_path / "own" / f"{name}_{number}.npz", gesture(244, seed + 10 * number))
            (tmp_path / "true").mkdir(exist_ok=True)
            save_motion(tmp_path / "true" / f"{name}.npz", gesture(244, seed)[:200])
    arguments = [f"motions={tmp_path}/own", f"truth={tmp_path}/true"]
    said = run_command("eval.py", *arguments, "samples=3", "metrics=extended", f"out={tmp_path}/out").stdout
    result = json.loads((tmp_path / "out" / "metrics.json").read_text())
    wanted = []
    for seed in (5, 7):
        betas = torch.from_numpy(gesture(244, seed).betas)
        rotations = [rotation_from_poses(torch.from_numpy(gesture(244, seed + 10 * n).poses[:200])) for n in range(3)]
        wanted.append(F.sample_diversity(np.stack([metric_joints(body, rotation, betas) for rotation in rotations])))
    assert result["samples"] == {"count": 3, "diversity": pytest.approx(np.mean(wanted))}
    assert "diversity over 3 samples" in said and result["takes"] == 2
    assert result["hearing"]["method"]["jaw_r"] == pytest.approx(1), "the first sample is the truth's motion"
    assert {"jaw_amplitude", "jaw_lag"} <= set(result["hearing"]["method"])
    (tmp_path / "own" / "b_2.npz").unlink()
    wrong = run_command("eval.py", *arguments, "samples=3", check=False).stderr
    assert "samples=3 needs b_0.npz to b_2.npz, and of these there are 2; give every take as many" in wrong


class Outlasting(SampleCorpus):
    """Two takes whose sound goes on for a second after the motion, as BEAT2's does."""

    def entries(self):
        first = {entry.split: entry for entry in reversed(super().entries())}
        return [first["train"], first["test"]]

    def read(self, entry):
        recording = super().read(entry)
        return replace(recording, wave=np.concatenate([recording.wave, recording.wave[:16000]]))


def test_a_run_and_a_folder_hear_the_same_sound(body, smoke, tmp_path):
    corpus = Outlasting(str(tmp_path / "corpus"), seed=0, speakers=1, take_seconds=15.0)
    store = prepare(corpus, compose().features, body, tmp_path / "store")
    settings = compose("eval", f"ckpt={smoke[0]}/runs/smoke", f"embedder={smoke[0]}/runs/smoke")
    speed = (MEAN_SPEED, "a file")
    np.save(tmp_path / "speed.npy", MEAN_SPEED)
    takes: list[Take] = []
    own, _ = evaluate_run(
        settings, settings, smoke[0] / "runs" / "smoke", store, corpus, speed, body, torch.device("cpu"), takes.extend
    )
    (take,) = takes
    recording = corpus.read(corpus.entries()[1])
    assert 16000 / 30 * len(recording.motion) < len(recording.wave) - 15000
    for folder in ("motions", "truth", "audio"):
        (tmp_path / folder).mkdir()
    save_motion(tmp_path / "motions" / f"{take.id}.npz", recording.motion[: take.frames])
    save_motion(tmp_path / "truth" / f"{take.id}.npz", recording.motion)
    soundfile.write(tmp_path / "audio" / f"{take.id}.wav", recording.wave, 16000, subtype="FLOAT")
    folders = [f"{key}={tmp_path}/{key}" for key in ("motions", "truth", "audio")]
    given = compose("eval", *folders, f"mean_speed={tmp_path}/speed.npy")
    theirs, _ = evaluate_folder(given, read_files(given), body)
    assert own.metrics["truth"]["bc"] == pytest.approx(theirs.metrics["truth"]["bc"], rel=1e-9)
    assert theirs.metrics["method"]["bc"] == theirs.metrics["truth"]["bc"] > 0
    cut = evaluate_rows(
        [replace(take, wave=fit(recording))], ("truth",), chosen_metrics("main"), None, body, MEAN_SPEED
    )
    assert abs(cut.table["truth"]["bc"] - own.metrics["truth"]["bc"]) > 1e-3, "what outlasts the motion is heard"


def fit(recording) -> torch.Tensor:
    """The sound of a recording, cut to its motion."""
    return torch.from_numpy(fit_wave(recording.wave, len(recording.motion)))


def test_bc_of_a_real_take_is_the_references(real_data, body):
    """Sound that outlasts the motion by 0.6 s: the wave cut to the motion would give 0.60122."""
    corpus = BEAT2Corpus(str(real_data / "beat2"), speakers="all")
    recording = next(corpus.read(entry) for entry in corpus.entries() if entry.split == "test")
    take = take_of(recording.motion[:424], recording.motion[:424], name=recording.id)
    add_sound([take], corpus)
    found = evaluate_rows([take], ("truth",), chosen_metrics("main"), None, body, corpus.mean_joint_speed())
    assert found.table["truth"]["bc"] == pytest.approx(0.57236, abs=1e-4)


@pytest.mark.parametrize("gate", ["always", "never", "random"])
def test_the_gate_is_measured_whatever_stands_in_for_it(store, smoke, gate):
    run = load_generator(smoke[0] / "runs" / "smoke")
    takes = {}
    for name in ("learned", gate):
        maker = TakeMaker(run.generator, run.facts.speakers, run.features.stride, gate=name)
        takes[name], _ = maker.takes(store.split("test"), list)
    for learned, other in zip(takes["learned"], takes[gate], strict=True):
        assert torch.allclose(learned.gate, other.gate, atol=1e-5) and torch.equal(learned.gate, learned.psi)
        assert not torch.allclose(other.psi, other.gate, atol=1e-2), "the motion was made by something else"
    beta = float(torch.cat([take.gate for take in takes["learned"]]).median())
    assert gate_report(takes["learned"], beta) == gate_report(takes[gate], beta)


def test_a_resampled_fgd_is_that_of_its_draw():
    rng = np.random.default_rng(0)
    own, true = ([rng.normal(size=(9 + 3 * i, 4)) + i for i in range(3)] for _ in range(2))
    run = SimpleNamespace(result=SimpleNamespace(protocol="legacy"), features={"fgd": (own, true)})
    draws = rng.integers(0, 3, (30, 3))
    wanted = [
        F.frechet_distance(np.concatenate([own[i] for i in draw]), np.concatenate([true[i] for i in draw]))
        for draw in draws
    ]
    assert np.allclose(resampled(run, "fgd", draws), wanted)
    assert len({round(value, 6) for value in wanted}) > 3


def test_runs_are_compared_on_the_same_takes(body, tmp_path):
    write_folder(tmp_path / "true", body, range(6))
    for name, noise in (("better", 0.01), ("worse", 0.5), ("same", 0.01)):
        write_folder(tmp_path / name, body, range(6), noise=noise)
        run_command("eval.py", f"motions={tmp_path}/{name}", f"truth={tmp_path}/true", f"out={tmp_path}/{name}/eval",
                    "metrics=extended")  # fmt: skip
    paths = [f"{tmp_path}/{name}/eval" for name in ("better", "worse", "same")]
    said = run_command("eval.py", f"compare=[{','.join(paths)}]", f"out={tmp_path}/out").stdout
    comparison = json.loads((tmp_path / "out" / "compare.json").read_text())["runs"]
    assert comparison[paths[1]]["jerk"]["differs"] and comparison[paths[1]]["mse"]["differs"]
    assert not comparison[paths[2]]["jerk"]["differs"]
    for cells in comparison.values():
        for cell in cells.values():
            assert np.isnan(cell["value"]) or cell["low"] - 1e-9 <= cell["value"] <= cell["high"] + 1e-9
    assert "paired bootstrap" in said and "FGD is left out" in " ".join(said.split())
    write_folder(tmp_path / "fewer", body, range(3))
    run_command("eval.py", f"motions={tmp_path}/fewer", f"truth={tmp_path}/true", f"out={tmp_path}/fewer/eval")
    with pytest.raises(SemTalkError, match="not evaluated on the same takes"):
        compare([paths[0], f"{tmp_path}/fewer/eval"], "test")
    with pytest.raises(SemTalkError, match="two runs or more"):
        compare(paths[:1], "test")


def test_a_comparison_has_names_and_numbers_whole_on_80_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    names = ["runs/smoke_rvqvae_seed0", "runs/smoke_rvqvae_seed1"]
    values = {"fgd": 0.512345, "bc": 0.77, "div": 12.9, "mse": 6.153e-8, "lvd": 6.938e-5}
    cells = {name: {"value": v, "low": 0.98 * v, "high": 1.02 * v, "differs": True} for name, v in values.items()}
    told = {"split": "test", "takes": 15, "protocol": "legacy", "stand_in": True, "headings": {}, "scales": {}}
    print_comparison(told | {"notes": [], "runs": dict.fromkeys(names, cells)}, tmp_path)
    said = capsys.readouterr().out
    for text in (*names, "FGD x1e-1", "5.123", "5.021 to 5.226", "6.153", "6.03 to 6.276", "LVD x1e-5", "6.938"):
        assert f" {text} " in said, text
    assert (tmp_path / "compare.csv").read_text().splitlines()[0] == "metric,run,value,95% interval,differs"
    seeds = {"seeds": [0, 1], "deviation": 0.0123456, "range": [0.09223, 0.1113], "truth": 0.6, "rank": 1}
    of_seeds = {name: cell | seeds for name, cell in cells.items()}
    print_comparison(told | {"notes": [], "runs": {"runs/two": of_seeds}}, tmp_path / "seeds")
    said = capsys.readouterr().out
    for text in ("FGD x1e-1", "runs/two", "5.123", "5.021 to 5.226", "± 0.12", "0.9223", "1.113)"):
        assert f" {text} " in said, text
    assert r"\toprule" in (tmp_path / "compare.tex").read_text()
    with Image.open(tmp_path / "compare.png") as figure:
        assert figure.width > 900 and len(figure.convert("L").getcolors()) > 5
    page = (tmp_path / "compare.md").read_text()
    assert f"| MSE x1e-8 | {names[0]} | 6.153 | 6.03 to 6.276 | * |" in page


def test_published_rows_stand_only_beside_what_is_the_same():
    one = {"data": {"reader": "beat2", "speakers": [2]}}
    released = {"source": "released", "sha256": "0"}
    result = Result("run", "test", 1, "legacy", "SMPL-X", False, released, "", one, {})
    assert [row.method for row in comparable(result)] == ["SemTalk", "EMAGE", "TalkSHOW"]
    assert comparable(result)[0].raw()["mse"] == pytest.approx(6.153e-8)
    page = result_page(replace(result, metrics={"truth": {"fgd": 0.0, "mse": 0.0}}))
    assert "| SemTalk [published] | 4.278 | 6.153 |" in page and "published, EMAGE: " in page
    for change in (
        {"stand_in": True},
        {"split": "val"},
        {"embedder": {"source": "trained"}},
        {"protocol": "corrected"},
    ):
        assert comparable(replace(result, **change)) == []
    everyone = {"data": {"reader": "beat2", "speakers": "all"}}
    assert comparable(replace(result, config=everyone)) == []
    assert comparable(replace(result, config=everyone, protocol="genea")) == [], "which FGD those rows are is not known"
    later = comparable(replace(result, config=everyone, protocol="evaltools"))
    assert [row.method for row in later] == ["SemTalk, later release", "EchoMask, later release"]


def test_rows_too_few_for_a_covariance_are_said():
    found = Measured(features={"fgd": {"truth": [np.zeros((3, 4)), np.zeros((1, 4))]}})
    (said,) = thin_rows(found, chosen_metrics("main"))
    assert said.startswith("FGD: 4 rows of 4 numbers are too few for a covariance")
    found.features["fgd"]["truth"].append(np.zeros((1, 4)))
    assert thin_rows(found, chosen_metrics("main")) == []


def test_other_protocols_have_no_column_that_counts_as_beat2s():
    for protocol in ("talkshow", "diffsheg", "genea"):
        chosen = chosen_metrics(["extended"], protocol)
        assert not {"srgr", "bc_smooth", "bc", "fgd"} & set(chosen) and "jerk" in chosen
        assert len({metric.heading for metric in chosen.values()}) == len(chosen), "no two columns of one title"
    assert "srgr" in chosen_metrics("extended") and "bc_smooth" in chosen_metrics("extended", "corrected")


def test_every_published_row_says_what_it_is():
    rows = published_rows()
    assert len(rows) > 6 and len({(row.method, row.protocol) for row in rows}) == len(rows)
    for row in rows:
        assert row.source and row.values and row.scale.keys() >= row.values.keys(), row.method
        assert row.protocol is None or row.protocol in PROTOCOLS, row.method
        assert (None in row.scale.values()) <= (row.protocol is None), "what has no scale stands beside nothing"


def test_tables_say_how_far_a_value_lies_from_the_truth():
    metrics = {"fused": {"bc": 0.70, "div": 10.0, "mse": 2e-8}, "truth": {"bc": 0.65, "div": 12.0, "mse": 0.0}}
    result = Result("run", "test", 1, "legacy", "SMPL-X", True, {"source": "x", "sha256": ""}, "", {}, metrics)
    table = metrics_table(result)
    assert table.rows[0] == ["SemTalk", "7 (+0.5)", "10 (-2)", "2"] and table.rows[1][1:] == ["6.5", "12", "0"]
    assert any("how far a value lies from the ground truth's" in line for line in notes(result))
    assert table.csv().splitlines()[1] == "SemTalk,7,10,2"
    latex = Lines("a_b", ["", "x_1 & 5%"], [["r", "1"]]).latex().splitlines()
    assert latex[1:3] == [r"\begin{tabular}{lr}", r"\toprule"] and r" & x\_1 \& 5\% \\" in latex


def test_runs_with_other_protocols_and_the_stored_joint_speed(smoke):
    folder, arguments = smoke
    run_command("eval.py", *arguments, "protocol=evaltools", "metrics=extended", "video=false", "tag=tools")
    result = json.loads((folder / "runs" / "smoke" / "eval" / "test_tools" / "metrics.json").read_text())
    assert set(result["metrics"]) == {"fused", "base", "truth", "mean"} and result["protocol"] == "evaltools"
    assert {"precision", "recall", "f1"} == set(result["gate"]) and "srgr" in result["metrics"]["fused"]
    assert result["metrics"]["truth"]["srgr"] == 1 and result["mean_joint_speed"] == "computed from the training split"
    (kept,) = (folder / "data").rglob("mean_joint_speed.json")
    assert len(json.loads(kept.read_text())["speed"]) == 55
    rows = list(csv.DictReader((folder / "runs" / "smoke" / "eval" / "test_tools" / "per_take.csv").open()))
    assert len(rows) == 4 * result["takes"] and float(rows[0]["jerk"]) > 0


def test_memory_does_not_grow_with_the_length_of_a_take(body):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    truth = gesture(frames=3600)
    measure(body, truth, changed(truth, poses=truth.poses + 0.01), speech_of(truth, body))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20 < 1.0


def test_seam_ratio_by_hand():
    """A turn of one degree each frame, and of three into the first new frame of a window: the ratio is three."""
    turns = torch.ones(130)
    turns[[64, 124]] = 3.0
    poses = torch.zeros(130, 55, 3)
    poses[..., 2] = torch.deg2rad(turns.cumsum(dim=0))[:, None]
    assert seam_ratio([axis_angle_to_6d(poses)]) == pytest.approx(3.0, abs=0.05)


HALF = Metric("half", lambda seen: 0.5, scale=1e-3, weight=lambda take: 100.0 if take.id == "a" else 1.0)
FGD = Metric("mine", lambda seen: 1.0)
BROKEN = Metric("broken", lambda seen: 1 / 0)


def test_a_metric_of_ones_own_stands_in_every_table(body, tmp_path):
    chosen = chosen_metrics(["main", f"{__name__}:HALF"])
    assert list(chosen) == [*MAIN, "half"] and chosen["half"].heading == "half x1e-3"
    takes = [take_of(gesture(), gesture(seed=1), None, name) for name in ("a", "b")]
    measured = evaluate_rows(takes, ("method", "truth"), chosen, None, body, None)
    assert measured.table["method"]["half"] == 0.5
    assert [row["half weight"] for row in measured.per_take] == [100.0, 100.0, 1.0, 1.0]
    result = Result(
        "run", "test", 2, "legacy", "b", True, {"source": "", "sha256": ""}, "", {}, measured.table,
        {name: metric.heading for name, metric in chosen.items()}, {n: m.scale for n, m in chosen.items()},
    )  # fmt: skip
    assert "500" in result_page(result) and "half x1e-3" in result_page(result)


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        (["main", f"{__name__}:FGD"], "there is a metric called fgd already"),
        ([f"{__name__}:MAIN"], "it is no semtalk.evaluation.metrics.Metric"),
    ],
)
def test_other_metrics_are_refused(metrics, says):
    with pytest.raises(SemTalkError, match=says):
        chosen_metrics(metrics)


def test_a_metric_that_fails_is_named(body):
    take = take_of(gesture(), gesture(seed=1))
    with pytest.raises(SemTalkError, match="the metric broken fails on the row method of take a .ZeroDivisionError"):
        evaluate_rows([take], ("method",), chosen_metrics([f"{__name__}:BROKEN"]), None, body, None)
