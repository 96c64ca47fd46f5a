"""What ``scripts/live.py`` takes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.commands.base import Arkit, Beta, Command, OfARun
from semtalk.settings.common import TARGET, PathText, Text, between
from semtalk.settings.recipes import WantedDecoding

MOST = 60
"""Frames of a window of 64 that follow its seed."""


def whole_steps(hop: int) -> int:
    """Frames that are whole code steps of 4.

    Raises:
        ValueError: They are not.
    """
    if hop % 4:
        raise ValueError(f"{hop} frames are no whole code steps; give a multiple of 4, as in hop=12.")
    return hop


def no_room(hop: int, lookahead: int) -> str | None:
    """What is wrong where a hop and a look-ahead do not fit into a window; none where they do."""
    held = 4 * lookahead
    if hop + held <= MOST:
        return None
    return (
        f"hop={hop}: with the {held} frames of lookahead={lookahead} it is more than the {MOST} of a window; give "
        "less of one."
    )


class LiveSettings(Command, OfARun, Arkit):
    """``scripts/live.py``."""

    audio: PathText | None
    """A recording, or microphone for what is spoken now, until Ctrl+C."""
    transcript: PathText | None
    """Its transcript; null for none."""
    target: Annotated[str, Field(pattern=TARGET)]
    """Where it is sent by VMC: the machine and the port of what listens."""
    speaker: int | None
    """A speaker number of the training corpus; null for the first."""
    emotion: Text | None
    """Emotion label, where the run reads labels."""
    beta: Beta
    """Threshold of the semantic score."""
    decoding: WantedDecoding
    generation: Literal["auto", "default", "release"]
    """The rollout; auto is what the networks were trained for."""
    lookahead: Annotated[int, between(0, 1000)]
    """Code steps that must follow a step before its frames are given; 30 gives the motion of a whole recording."""
    hop: Annotated[int, between(4, MOST), AfterValidator(whole_steps)] | None
    """Frames between windows, a multiple of 4: frames come (hop + 4 lookahead)/30 s after their sound; null for 60."""
    play: Literal["auto"] | bool
    """Whether the sound is played in step with the motion; auto is where sounddevice is installed."""
    face: Literal["arkit", "vrm", "none"]
    """Names of the face's weights: ARKit's 51 (PerfectSync), five vowels and the lids of VRM, or no face."""
    jaw: bool
    """Whether the jaw is sent as a bone too; the mouth opens by the face."""
    hips_height: Annotated[float, Field(gt=0.0, le=100.0)] | None
    """Metres from floor to hips of the figure that receives, so that its feet stand; null for the body's own."""
    bundle: bool
    """Whether messages are bundled; some receivers take no bundles."""

    @property
    def hears(self) -> bool:
        """Whether what is spoken now is heard, instead of a recording."""
        return self.audio == "microphone"

    @model_validator(mode="after")
    def what_is_for_recordings(self) -> "LiveSettings":
        """What is spoken now has no transcript, and is heard without being played."""
        if self.hears and self.transcript is not None:
            raise ValueError("transcript is for a recording, and audio=microphone is none.")
        if self.hears and self.play is True:
            raise ValueError("play=true is for a recording, and audio=microphone is none.")
        return self

    @model_validator(mode="after")
    def hops_fit(self) -> "LiveSettings":
        """Hop and look-ahead fit into a window."""
        if self.hop is not None and (wrong := no_room(self.hop, self.lookahead)):
            raise ValueError(wrong)
        return self
