"""The protocols behind published tables, and one with their quirks mended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from semtalk.evaluation.takes import all_frames, legacy_frames, whole_frames
from semtalk.settings import choose


@dataclass(frozen=True)
class Protocol:
    """What differs between evaluators; docs/metrics.md says what each is worth.

    Attributes:
        eps: See :func:`semtalk.metrics.functional.frechet_distance`.
        beat_threshold: Relative speed that a beat's joint must have.
        overwrite: BC reads joints that DIV has overwritten with their distance to the sequence mean.
        mask_from_zero: The beats' speed is looked up 60 frames too early.
        untrimmed_end: The cut at the audio's end is counted from the audio's own length, not from the motion's.
        lvd: ``position`` or ``velocity`` differences.
        still_root: DIV and BC with global orientation and jaw at rest.
        counted: Frames of a take -> those that count.
        embedder: Whose network FGD's features are of, see ``model.embedder``.
        suite: Name of its own metrics, or none for those of BEAT2's tables (:mod:`semtalk.evaluation.suites`).
        true_seed: Whether a run's takes begin with the first frames of their truth; else with its mean pose.
        said: What every report of it has to say.
    """

    eps: Literal["legacy", "always"]
    beat_threshold: float
    overwrite: bool
    mask_from_zero: bool
    untrimmed_end: bool
    lvd: Literal["position", "velocity"]
    still_root: bool
    counted: Callable[[int], int]
    embedder: Literal["emage", "talkshow", "diffsheg"] = "emage"
    suite: str | None = None
    true_seed: bool = True
    said: str = ""


TALKSHOW = (
    "all frames of whole clips; FGD of the axis-angle of joints 3, 6, 9, 10, 11, 14 to 21 and both hands (neck, left "
    "collar are out, feet are in); samples 0 and 1 are released2's, whose BC is of "
    "sample 0, and 0 to 15 paper16's; a single sample is given each time, and its Variation is 0 by definition; the "
    "first 4 true frames begin every clip of a run"
)
DIFFSHEG = (
    "windows of 88 frames one behind the other, what is left of a clip is dropped; gesture is the axis-angle of joints "
    "3, 6, 9, 12 to 21 and both hands; as reconstructed: the evaluator itself is not public"
)
GENEA = (
    "whole recordings, each sample counting as one; a run's takes begin with the mean pose of its training split; "
    "which direction the leaderboard shows as BA is not known"
)
CORRECTED = Protocol("legacy", 0.30, False, False, False, "velocity", False, whole_frames)
PROTOCOLS = {
    "legacy": Protocol("legacy", 0.30, True, True, True, "position", False, legacy_frames),
    "evaltools": Protocol("always", 0.10, False, True, True, "velocity", True, legacy_frames),
    "corrected": CORRECTED,
    "talkshow": replace(CORRECTED, counted=all_frames, embedder="talkshow", suite="talkshow", said=TALKSHOW),
    "diffsheg": replace(CORRECTED, counted=all_frames, embedder="diffsheg", suite="diffsheg", said=DIFFSHEG),
    "genea": replace(CORRECTED, counted=all_frames, still_root=True, suite="genea", true_seed=False, said=GENEA),
}


def find_protocol(name: str) -> Protocol:
    """A protocol by its name; raises SemTalkError when there is none."""
    choose("protocol", name)
    return PROTOCOLS[name]
