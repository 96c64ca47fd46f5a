"""Keys that take one of a few words. Nothing heavy is imported here, so that a wrong word is told at once."""

from collections.abc import Mapping

from semtalk.errors import SemTalkError

CHOICES = {
    "trainer.accelerator": ("auto", "cpu", "gpu"),
    "trainer.precision": ("auto", "32-true", "bf16-mixed", "16-mixed"),
    "trainer.compile": (
        "auto", True, False, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs",
    ),
    "split": ("train", "val", "test"),
    "metrics": ("main", "extended"),
    "protocol": ("legacy", "evaltools", "corrected"),
    "gate": ("learned", "always", "never", "random"),
    "precision": ("float32", "bf16"),
    "decoding.face": (None, "likeliest", "expected", "coherent"),
    "decoding.body": (None, "likeliest", "expected", "coherent"),
    "decoding.sparse": (None, "likeliest", "coherent"),
}  # fmt: skip
"""Key -> its words."""
RANGES = {
    "decoding.temperature": (0.01, 100.0),
    "decoding.coherence": (0.0, 0.9999),
    "decoding.gain": (0.0, 100.0),
    "decoding.smoothing": (0, 100),
    "decoding.spread": (0.0, 100.0),
    "decoding.blend": (0, 15),
    "samples": (1, 1000),
}
"""Key -> the smallest and the largest number that it takes."""


def choose(key: str, value) -> None:
    """Check the word of a key.

    Raises:
        SemTalkError: It is none of :data:`CHOICES`.
    """
    if value not in CHOICES[key]:
        words = ", ".join(str(word).lower() for word in CHOICES[key])
        raise SemTalkError(f"{key}={value}: choose one of {words}.")


def in_range(key: str, value) -> None:
    """Check the number of a key.

    Raises:
        SemTalkError: It is no number between those of :data:`RANGES`, or not a whole one where they are.
    """
    low, high = RANGES[key]
    kinds = (int,) if isinstance(low, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "whole number" if kinds == (int,) else "number"
        raise SemTalkError(f"{key}={value}: give a {kind} from {low} to {high}.")


def check_choices(config: Mapping) -> None:
    """Check every key of a configuration that takes one of a few words, or a number of a range.

    Raises:
        SemTalkError: One has another value.
    """
    for key in (*CHOICES, *RANGES):
        group, _, name = key.rpartition(".")
        settings = config.get(group, {}) if group else config
        if name not in settings:
            continue
        if key in CHOICES:
            choose(key, settings[name])
        elif not (group and settings[name] is None):
            in_range(key, settings[name])
