"""Settings without the command line: the same ``configs/``, composed with the same overrides."""

from collections.abc import Iterable

from semtalk.errors import SemTalkError
from semtalk.places import CONFIGS
from semtalk.settings.check import settings_of
from semtalk.settings.commands import Command
from semtalk.settings.words import for_hydra


def refuse_null_groups(overrides: Iterable[str]) -> None:
    """See that no group of options is set to null, for which Hydra has no sentence.

    Args:
        overrides: As on the command line.

    Raises:
        SemTalkError: One is.
    """
    for override in overrides:
        group, _, value = override.partition("=")
        if value == "null" and (CONFIGS / group).is_dir():
            options = ", ".join(sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")))
            raise SemTalkError(f"{override}: choose one of {options}.")


def compose(name: str = "train", *overrides: str) -> Command:
    """Settings of a command, as ``compose("train", "experiment=smoke", "seed=1")``.

    Args:
        name: ``train``, ``eval``, ``generate`` or ``prepare``.
        overrides: As on the command line; paths are not quoted.

    Raises:
        SemTalkError: A key has a value that it does not take.
        hydra.errors.HydraException: There is no such option or key.
    """
    import hydra
    from omegaconf import OmegaConf

    refuse_null_groups(overrides)
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = hydra.compose(name, overrides=for_hydra(name, overrides))
        return settings_of(name, OmegaConf.to_container(composed, resolve=True, throw_on_missing=True))
