"""The commands of the README, one after another, on a tiny corpus; and what they write."""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command, video_frames

from semtalk.body import load_body
from semtalk.data.datamodule import MotionDataModule
from semtalk.data.open import open_corpus, open_store
from semtalk.features.utterance import Utterance
from semtalk.generation.seams import padded_frames, window_count
from semtalk.generation.speech import SemTalk
from semtalk.motion.io import load_motion
from semtalk.settings import compose
from semtalk.settings.commands import CHAIN
from semtalk.tasks.build import make_task
from semtalk.tasks.checkpoint import load_network
from semtalk.tasks.stamp import Facts


@pytest.fixture(scope="module")
def evaluated(smoke):
    folder, arguments = smoke
    result = run_command("eval.py", *arguments, "video_seconds=1")
    return folder / "runs" / "smoke", result.stdout


def test_every_phase_left_its_checkpoints(smoke):
    run = smoke[0] / "runs" / "smoke"
    for phase in CHAIN:
        for name in ("best.ckpt", "last.ckpt", "metrics.csv", "config.yaml"):
            assert (run / phase / name).is_file(), f"{phase}/{name}"


def test_evaluation_prints_and_writes(evaluated):
    run, text = evaluated
    for word in ("SemTalk", "base only", "ground truth", "stand-in", "STAND-IN", "Known answers"):
        assert word in text
    result = json.loads((run / "eval" / "test" / "metrics.json").read_text())
    assert set(result["metrics"]) == {"fused", "base", "truth", "mean"}
    assert result["metrics"]["truth"] == pytest.approx(
        result["metrics"]["truth"] | {"fgd": 0, "mse": 0, "lvd": 0}, abs=1e-6
    )
    assert result["known_answers"]["seam_ratio"] > 0
    assert result["metrics"]["fused"]["fgd"] > 0 and result["stand_in"] and result["config"]["seed"] == 0
    assert "STAND-IN" in (run / "eval" / "test" / "metrics.md").read_text()
    rows = (run / "eval" / "test" / "per_take.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 * result["takes"]


def test_evaluation_writes_motion_and_video(evaluated):
    import av
    from PIL import Image

    folder = evaluated[0] / "eval" / "test"
    (video,) = folder.glob("*.mp4")
    motion = load_motion(video.with_suffix(".npz"))
    assert len(motion) == 184 and motion.betas[:3].any(), "8 s are cut to 60 k + 4 frames"
    with av.open(str(video)) as container:
        kinds = {stream.type: stream for stream in container.streams}
        assert kinds["video"].codec_context.name == "h264" and kinds["audio"].codec_context.name == "aac"
    assert video_frames(video) == 30
    picture = np.asarray(Image.open(video.with_suffix(".png")))
    assert picture.std() > 10 and picture.shape[2] == 3


def test_training_equals_evaluation(smoke):
    """The validation loss in the log is what the saved checkpoint gives."""
    folder, arguments = smoke
    settings = compose("train", *arguments)
    store = open_store(settings, open_corpus(settings.data), load_body(None))
    run = folder / "runs" / "smoke"
    task = make_task("rvqvae_hands", settings, store, run, Facts(store.speakers), load_body(None)).eval()
    task.network = load_network(run, "rvqvae_hands")[0]
    batches = list(MotionDataModule(store, 20, 16, 0).val_dataloader())
    total = sum(len(b["speaker"]) * task.total(task.losses(b)).item() for b in batches)
    logged = [
        float(row["val/loss"])
        for row in csv.DictReader((run / "rvqvae_hands" / "metrics.csv").open())
        if row["val/loss"]
    ]
    assert total / sum(len(b["speaker"]) for b in batches) == pytest.approx(min(logged), rel=5e-3)


def test_generate_from_a_recording(smoke, tmp_path):
    folder, arguments = smoke
    wave = np.random.default_rng(0).normal(size=int(44100 * 2.5)) * 0.1
    soundfile.write(tmp_path / "my voice.wav", wave, 44100)
    shutil.rmtree(folder / "data")
    result = run_command("generate.py", f"audio={tmp_path}/my voice.wav", *arguments, f"out={tmp_path}", "video=false")
    motion = load_motion(tmp_path / "my voice.npz")
    assert len(motion) == 75 and "0 words were heard" in result.stdout, "no corpus is needed"
    bad = run_command("generate.py", f"audio={tmp_path}/my voice.wav", *arguments, "speaker=9", check=False)
    assert bad.returncode == 1 and "the run knows the speakers" in bad.stderr


@pytest.mark.parametrize("frames", [1, 4, 63, 64, 65, 124, 125, 200, 1800])
def test_any_length_keeps_its_tail(smoke, frames):
    model = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")
    assert padded_frames(frames) >= frames and (window_count(frames) - 1) * 60 + 4 < max(frames, 5)
    rng = np.random.default_rng(0)
    wave = (0.1 * rng.normal(size=-(-frames * 16000 // 30))).astype(np.float32)
    features = {slot: value[None] for slot, value in model._encode(Utterance(wave, name="a"), "neutral").items()}
    rollout = model.generator.rollout(features, torch.tensor([0]), stride=20)
    motion = rollout.motion(0, frames, np.zeros(300))
    assert len(motion) == frames == len(model(wave).motion)
    assert rollout.psi.shape[1] * 4 == padded_frames(frames) == rollout.codes["face"].shape[1] * 4
    assert np.isfinite(motion.poses).all() and np.isfinite(motion.trans).all()


def test_codes_are_decoded_once_and_seeds_are_used(smoke):
    model = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")
    generator, speaker = model.generator, torch.tensor([0])
    wave = (0.1 * np.random.default_rng(0).normal(size=16000 * 8)).astype(np.float32)
    features = {slot: value[None] for slot, value in model._encode(Utterance(wave, name="a"), "neutral").items()}
    rollout = generator.rollout(features, speaker, stride=20)
    frames, _ = generator.decode(rollout.codes, torch.zeros(1, 3), seams=(16, 31, 46))
    assert torch.allclose(frames.rotation, rollout.frames.rotation)
    start = generator.neutral_seed(1)
    assert start[0].shape == (1, 4, 337) and start[1][0, 0] == 0 and start[1][0, 1] > 1
    assert torch.allclose(rollout.trans[:, 0, [0, 2]], torch.zeros(1, 2))


def test_every_stage_resumes(smoke):
    folder, arguments = smoke
    shutil.copytree(folder / "runs" / "smoke", folder / "runs" / "resumed")
    lengthened = ("translation", "fgd", "sparse")  # base and sparse go on beside the networks they began with alone
    longer = [f"recipe.{phase}.steps=14" for phase in lengthened]
    run_command("train.py", "stage=all", *arguments, "name=resumed", "resume=true", "recipe.rollout_seconds=0", *longer)
    for path in sorted((folder / "runs" / "smoke").glob("*/last.ckpt")):
        before, after = (
            torch.load(folder / "runs" / name / path.parent.name / "last.ckpt", weights_only=True)["global_step"]
            for name in ("smoke", "resumed")
        )
        if path.parent.name not in lengthened:
            assert before == after, path.parent.name
            continue
        assert before < after, path.parent.name
        rows = list(csv.DictReader((folder / "runs" / "resumed" / path.parent.name / "metrics.csv").open()))
        assert int(rows[0]["step"]) < before <= int(rows[-1]["step"]) + 1, "one curve in one file"


def test_wandb_gets_the_table_and_the_video(evaluated, smoke):
    run, _ = evaluated
    run_command("eval.py", *smoke[1], "video_seconds=0.5", "logger=wandb", WANDB_MODE="offline")
    (files,) = run.glob("eval/test/wandb/offline-run-*/files")
    assert list(files.rglob("*.table.json")) and list(files.rglob("*.mp4"))


def test_tensorboard_is_a_logger_and_shows_what_base_generates(smoke):
    folder, arguments = smoke
    said = run_command(
        "train.py", "stage=base", *arguments, "name=logged", f"tokenizer={folder}/runs/smoke", "logger=tensorboard",
        "rollout_video=0.2", "recipe.base.steps=1",
    )  # fmt: skip
    assert "base hears less than it could: the jaw's correlation is" in said.stdout + said.stderr, "after one step"
    base = folder / "runs" / "logged" / "base"
    assert video_frames(base / "videos" / "step_0000001.mp4") == 6
    (events,) = base.glob("events.*")
    assert b"GIF89a" in events.read_bytes()
