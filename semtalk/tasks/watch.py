"""Videos of what networks generate while they train: files of the run, and what tensorboard and wandb show."""

import io
from collections.abc import Callable
from pathlib import Path

import av
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from semtalk.motion.skeleton import FPS, SAMPLE_RATE
from semtalk.viz.video import Scene, write_video

FOLDER = "videos"
"""Of a phase's folder; holds ``step_0000450.mp4`` and a contact sheet beside it for each validation."""
TAG = "val/video"
EVERY = 3
"""Frames of a video to one of the animation that tensorboard shows, which is half as wide."""


def watch(trainer: pl.Trainer, seconds: float) -> Callable[[Scene], None]:
    """What shows a scene of a validation: writes the video, and hands it to the loggers that show some.

    Args:
        trainer: In validation.
        seconds: Of the video.
    """

    def show(scene: Scene) -> None:
        step = trainer.global_step
        path = Path(trainer.default_root_dir) / FOLDER / f"step_{step:07}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_video(scene, path, seconds, processes=1, quiet=True)  # the training's own progress bar is on the screen
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_video(TAG, [str(path)], step=step, format=["mp4"])
            elif isinstance(logger, TensorBoardLogger):
                _add_animation(logger.experiment, path, step)
                sound = scene.wave[: int(seconds * SAMPLE_RATE)]
                logger.experiment.add_audio(f"{TAG}_sound", sound[None], step, sample_rate=SAMPLE_RATE)

    return show


def _add_animation(writer, path: Path, step: int) -> None:
    """Have tensorboard show a video as an animated picture, as ``add_video`` does with a moviepy of before 2."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    with av.open(str(path.absolute())) as video:
        width, height = video.streams.video[0].width // 2, video.streams.video[0].height // 2
        frames = [frame.to_image(width=width, height=height) for frame in video.decode(video=0)][::EVERY]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], loop=0, duration=1000 * EVERY // FPS)
    picture = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=data.getvalue())
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=TAG, image=picture)]), step)
