"""The command line that gives the same result."""

import re
from collections.abc import Iterator
from shlex import quote
from typing import Any

from semtalk.places import called
from semtalk.settings.check import settings_of
from semtalk.settings.commands import GenerateSettings
from semtalk.settings.common import Settings
from semtalk.settings.compose import compose
from semtalk.settings.words import NUMBER, literal

LEFT_OUT = {"ckpt", "data", "model", "recipe", "name", "suffix", "seed_in_name", "strict", "data_dir"}
"""Keys that the motion of a loaded run does not depend on, and the run itself."""
PLAIN = re.compile(r"[\w./@-]+")
"""Text that Hydra needs no quotes around, where it is no number."""


def generate_line(settings: GenerateSettings, ckpt: str, program: str | None = None) -> str:
    """The call of ``generate.py`` with every key that is not as in ``configs/``.

    Args:
        settings: Of the generation.
        ckpt: Folder or repository of the run.
        program: How ``generate.py`` is called; from the current folder by default.
    """
    own, common = (dict(_leaves(one)) for one in (settings, as_written()))
    words = [f"ckpt={_value(ckpt)}"]
    for key, value in own.items():
        if key not in common:
            words.append(f"++{key}={_value(value)}")
        elif common[key] != value:
            words.append(f"{key}={_value(value)}")
    return " ".join([program or called("generate"), *map(quote, words)])


def as_written() -> GenerateSettings:
    """What ``configs/generate.yaml`` says; within a command Hydra is at work already."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    if not GlobalHydra.instance().is_initialized():
        return compose("generate")
    return settings_of("generate", OmegaConf.to_container(hydra.compose("generate"), resolve=True))


def _leaves(settings: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key -> value of what is set."""
    for name, value in vars(settings).items():
        key = prefix + (type(settings).model_fields[name].alias or name)
        if isinstance(value, Settings):
            if key not in LEFT_OUT:
                yield from _leaves(value, f"{key}.")
        elif key not in LEFT_OUT and (prefix == "" or name in settings.model_fields_set):
            yield key, value


def _value(value: Any) -> str:
    """A value in Hydra's own grammar."""
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and not NUMBER.fullmatch(value) and value != "null" else literal(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
