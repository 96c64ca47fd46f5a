"""Videos of validations: what is written and what loggers are given."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import video_frames
from PIL import Image

from semtalk import SemTalkError, compose
from semtalk.motion.io import Motion
from semtalk.tasks.watch import EVERY, FOLDER, TAG, watch
from semtalk.viz.video import Scene

FRAMES = 9


@pytest.fixture
def scene():
    turning = np.zeros((12, 55, 3), np.float32)
    turning[:, 16, 2] = np.linspace(0, 1, 12)
    motion = Motion(turning, np.zeros((12, 100)), np.zeros((12, 3)), np.zeros(300))
    return Scene({"generated": motion}, 0.1 * np.sin(np.arange(6400)).astype(np.float32), None, 0.5)


def trainer_of(folder, *loggers):
    return SimpleNamespace(default_root_dir=str(folder), global_step=45, loggers=loggers)


def test_tensorboard_shows_an_animation_and_a_sound(scene, tmp_path):
    from pytorch_lightning.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="", version="")
    logger.log_metrics({"val/loss": 1.0}, 45)
    watch(trainer_of(tmp_path, logger), FRAMES / 30)(scene)
    logger.finalize("success")
    assert video_frames(tmp_path / FOLDER / "step_0000045.mp4") == FRAMES
    events = EventAccumulator(str(tmp_path)).Reload()
    (shown,) = events.Images(TAG)
    picture = Image.open(io.BytesIO(shown.encoded_image_string))
    assert shown.step == 45 and picture.n_frames == FRAMES // EVERY and picture.size == (shown.width, shown.height)
    first, last = (
        np.asarray((picture.seek(index), picture.convert("L"))[1], float) for index in (0, FRAMES // EVERY - 1)
    )
    assert np.abs(first - last).max() > 50
    (heard,) = events.Audio(f"{TAG}_sound")
    assert heard.sample_rate == 16000 and heard.length_frames == FRAMES * 16000 // 30


def test_wandb_is_given_the_file(scene, tmp_path, monkeypatch):
    from pytorch_lightning.loggers import WandbLogger

    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = WandbLogger(project="semtalk", save_dir=tmp_path)
    watch(trainer_of(tmp_path, logger), FRAMES / 30)(scene)
    logger.experiment.finish()
    (kept,) = tmp_path.glob("wandb/offline-run-*/files/media/videos/val/*.mp4")
    assert video_frames(kept) == FRAMES


def test_a_video_needs_generated_motion():
    assert compose("train").rollout_video == 0
    with pytest.raises(SemTalkError, match="rollout_video draws what validation generates; it needs recipe.rollout_"):
        compose("train", "rollout_video=2", "recipe.rollout_seconds=0")
