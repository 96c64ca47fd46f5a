"""What ``scripts/export_genea.py`` takes."""

from typing import Literal

from pydantic import model_validator

from semtalk.settings.commands.base import Command, OfARun, Rollout
from semtalk.settings.common import PathText


class GeneaSettings(Command, OfARun, Rollout):
    """``scripts/export_genea.py``."""

    out: PathText | None
    """Folder of what is written."""
    begin: Literal["mean", "take"]
    """What takes begin with, of training data alone: the mean pose, or 4 frames of their speaker's first training take.

    A test take's own start must not be given to a method.
    """
    check: PathText | None
    """Folder of motion files to look through; with ``ckpt``, the training lists of that run too."""
    segments: PathText | None
    """Csv of segments to cut: file_name,start_seconds,end_seconds,duration_seconds."""
    motions: PathText | None
    """Folder of any method's motion files, for ``segments``."""
    audio: PathText | None
    """Folder of the recordings, for ``segments``."""

    @model_validator(mode="after")
    def one_at_a_time(self) -> "GeneaSettings":
        """A folder is written, looked through, or cut; segments are cut from motion and sound."""
        if self.check is not None and self.segments is not None:
            raise ValueError("check and segments: give one of them.")
        for key in ("motions", "audio"):
            if (getattr(self, key) is None) != (self.segments is None):
                raise ValueError(f"{key} and segments go together, as in segments=FILE.csv motions=DIR audio=DIR.")
        return self
