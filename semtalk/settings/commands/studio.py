"""What ``scripts/studio.py`` takes."""

from typing import Annotated

from semtalk.settings.commands.base import Command, OfARun
from semtalk.settings.common import PathText, Text, between


class StudioSettings(Command, OfARun):
    """``scripts/studio.py``."""

    beside: PathText | None
    """Another run, whose motion may stand beside that of the first; null for none."""
    whisper: PathText
    """The Whisper model that hears words."""
    language: Text | None
    """Language of the speech; null to detect it."""
    longest: Annotated[float, between(1.0, 36_000.0)]
    """Seconds of a recording that is taken; longer ones are refused."""
    port: Annotated[int, between(0, 65535)]
    """Port of the page, on this machine alone; 0 for any that is free."""
