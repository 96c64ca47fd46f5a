"""Settings without the command line: the same ``configs/``, composed with the same overrides."""

from semtalk.places import CONFIGS
from semtalk.settings.check import settings_of
from semtalk.settings.commands import Command
from semtalk.settings.refuse import refuse
from semtalk.settings.words import for_hydra


def compose(name: str = "train", *overrides: str) -> Command:
    """Settings of a command, as ``compose("train", "experiment=smoke", "seed=1")``.

    Args:
        name: ``train``, ``eval``, ``generate``, ``prepare``, ``genea``, ``live``, ``study`` or
            ``studio``.
        overrides: As on the command line; paths are not quoted.

    Raises:
        SemTalkError: A key has a value that it does not take.
        hydra.errors.HydraException: There is no such option or key.
    """
    import hydra
    from omegaconf import OmegaConf

    refuse(name, overrides)
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = hydra.compose(name, overrides=for_hydra(name, overrides))
        return settings_of(name, OmegaConf.to_container(composed, resolve=True, throw_on_missing=True))
