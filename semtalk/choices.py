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
}  # fmt: skip
"""Key -> its words."""


def choose(key: str, value) -> None:
    """Check the word of a key.

    Raises:
        SemTalkError: It is none of :data:`CHOICES`.
    """
    if value not in CHOICES[key]:
        words = ", ".join(str(word).lower() for word in CHOICES[key])
        raise SemTalkError(f"{key}={value}: choose one of {words}.")


def check_choices(config: Mapping) -> None:
    """Check every key of a configuration that takes one of a few words.

    Raises:
        SemTalkError: One has another word.
    """
    for key in CHOICES:
        group, _, name = key.rpartition(".")
        settings = config.get(group, {}) if group else config
        if name in settings:
            choose(key, settings[name])
