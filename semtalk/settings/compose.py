"""Settings without the command line: the same ``configs/``, composed with the same overrides."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from shlex import quote

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


SUBMITIT, OPTUNA = ("submitit", "hydra-submitit-launcher"), ("optuna", "hydra-optuna-sweeper")
PLUGINS = {
    "hydra/launcher": {
        "joblib": ("joblib", "hydra-joblib-launcher"), "slurm": SUBMITIT, "submitit_slurm": SUBMITIT,
        "submitit_local": SUBMITIT,
    },
    "hydra/sweeper": {"optuna": OPTUNA, "optuna_val": OPTUNA},
}  # fmt: skip
"""Group of Hydra, option -> the module that the option is of, and the package that brings it."""


def refuse_missing_plugins(overrides: Iterable[str]) -> None:
    """See that the packages are here whose launcher or sweeper is wanted.

    Args:
        overrides: As on the command line.

    Raises:
        SemTalkError: One is not.
    """
    for override in overrides:
        group, _, value = override.partition("=")
        module, package = PLUGINS.get(group, {}).get(value, ("", ""))
        if module and find_spec(module) is None:
            raise SemTalkError(f"{override}: it is of a package that is not here; run `pip install {package}`.")


EXAMPLES = {"generate": "audio", "eval": "ckpt", "genea": "ckpt", "live": "audio", "study": "report"}
"""Command -> key that a word alone was most likely meant for."""


def refuse_bare_words(name: str, overrides: Iterable[str]) -> None:
    """See that every word says which key it is for; ``~key`` takes one away.

    Args:
        name: Of the command's configuration.
        overrides: As on the command line, without Hydra's own options.

    Raises:
        SemTalkError: One does not.
    """
    for word in overrides:
        if "=" not in word and not word.startswith("~"):
            known = (CONFIGS / "experiment" / f"{word}.yaml").is_file()
            key = "experiment" if known else EXAMPLES.get(name, "name")
            raise SemTalkError(f"{word or repr(word)}: give it as key=value, as in {quote(f'{key}={word}')}.")


def without_options(words: Sequence[str]) -> list[str]:
    """Words of a command line without Hydra's options and their values, as ``--cfg job``."""
    from hydra._internal.utils import get_args_parser

    given, rest = get_args_parser().parse_known_args(words)
    return [*given.overrides, *(word for word in rest if not word.startswith("-"))]


def compose(name: str = "train", *overrides: str) -> Command:
    """Settings of a command, as ``compose("train", "experiment=smoke", "seed=1")``.

    Args:
        name: ``train``, ``eval``, ``generate``, ``prepare``, ``genea``, ``live`` or ``study``.
        overrides: As on the command line; paths are not quoted.

    Raises:
        SemTalkError: A key has a value that it does not take.
        hydra.errors.HydraException: There is no such option or key.
    """
    import hydra
    from omegaconf import OmegaConf

    refuse_bare_words(name, overrides)
    refuse_null_groups(overrides)
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = hydra.compose(name, overrides=for_hydra(name, overrides))
        return settings_of(name, OmegaConf.to_container(composed, resolve=True, throw_on_missing=True))
