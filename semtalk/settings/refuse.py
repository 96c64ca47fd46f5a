"""What of a command line is refused before Hydra reads it, which would tell it in lines of its own, or not at all."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

from pydantic import BaseModel

from semtalk.errors import SemTalkError
from semtalk.places import CONFIGS
from semtalk.settings.check import fields_of, models_of
from semtalk.settings.commands import COMMANDS, SET_ELSEWHERE
from semtalk.settings.words import without_options

OTHERS = ("--config-dir", "-cd", "--config-path", "-cp", "hydra.searchpath=")
"""Begin the words that name folders of configurations with options and keys of their own."""
OPTION = re.compile(r"[\w./]+")


def refuse(name: str, words: Sequence[str]) -> None:
    """See that words of a command line say which key they are for, and that there are such keys and options.

    Args:
        name: Of the command's configuration.
        words: As the shell hands them over.

    Raises:
        SemTalkError: One does not, or there is no such key, option or plugin.
    """
    overrides = without_options(words)
    _refuse_bare_words(name, overrides)
    _refuse_missing_plugins(overrides)
    _refuse_storage_without_folder(overrides)
    if not any(word.startswith(OTHERS) for word in words):
        for word in overrides:
            _refuse_unknown(name, word)


def _refuse_unknown(name: str, word: str) -> None:
    """See that the key of ``key=value`` is one, and that an option of a group is there."""
    key, _, value = word.removeprefix("~").partition("=")
    if key.startswith(("hydra.", "hydra/", "+")) or "@" in key:
        return  # of Hydra, or looked at when all is composed
    group = CONFIGS / key
    if group.is_dir():
        options = sorted(str(path.relative_to(group).with_suffix("")) for path in group.rglob("*.yaml"))
        admitted = {*options, "null"} if key == "experiment" else {*options}
        given = [one.strip() for one in value.strip("[]").split(",")]
        if any(OPTION.fullmatch(one) and one not in admitted for one in given):
            raise SemTalkError(f"{word}: choose one of {', '.join(options)}.")
    elif unknown := unknown_key(COMMANDS[name], key.split(".")):
        wrong, known = unknown
        if wrong[:-1] == ["trainer"] and wrong[-1] in SET_ELSEWHERE:
            raise SemTalkError(f"{key}: this is not set by trainer, but by {SET_ELSEWHERE[wrong[-1]]}.")
        near = get_close_matches(wrong[-1], known, n=1)
        said = f"did you mean {'.'.join([*wrong[:-1], *near])}?" if near else f"choose one of {', '.join(known)}."
        raise SemTalkError(f"{'.'.join(wrong)}: there is no such key; {said}")


def unknown_key(model: type[BaseModel], path: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Where a dotted key leaves the settings.

    Args:
        model: Of the settings.
        path: Words of the key.

    Returns:
        The key up to the word that is none, and the words that would be; none where every word is one.
    """
    models = [model]
    for at, word in enumerate(path):
        fields = {key: field for one in models for key, field in fields_of(one).items()}
        if word not in fields:
            return list(path[: at + 1]), [*fields]
        models = models_of(fields[word].annotation)
        if not models:
            break  # a value, or a mapping with keys of the user's
    return None


SUBMITIT, OPTUNA = ("submitit", "hydra-submitit-launcher"), ("optuna", 'hydra-optuna-sweeper "SQLAlchemy<2"')
PLUGINS = {
    "hydra/launcher": {
        "joblib": ("joblib", "hydra-joblib-launcher"), "slurm": SUBMITIT, "submitit_slurm": SUBMITIT,
        "submitit_local": SUBMITIT,
    },
    "hydra/sweeper": {"optuna": OPTUNA, "optuna_val": OPTUNA},
}  # fmt: skip
"""Group of Hydra, option -> the module that the option is of, and the package that brings it."""


def _refuse_missing_plugins(overrides: Iterable[str]) -> None:
    """See that the packages are here whose launcher or sweeper is wanted."""
    for override in overrides:
        group, _, value = override.partition("=")
        module, package = PLUGINS.get(group, {}).get(value, ("", ""))
        if module and find_spec(module) is None:
            raise SemTalkError(f"{override}: it is of a package that is not here; run `pip install {package}`.")


SQLITE = "hydra.sweeper.storage=sqlite:///"
"""Begins the word that names the file in which a search keeps its trials."""


def _refuse_storage_without_folder(overrides: Iterable[str]) -> None:
    """See that a search's file of trials can be made, which sqlite says in a traceback."""
    for override in overrides:
        folder = Path(override.removeprefix(SQLITE)).parent
        if override.startswith(SQLITE) and not folder.is_dir():
            raise SemTalkError(f"{override}: there is no folder {folder}; make it first.")


EXAMPLES = {"generate": "audio", "eval": "ckpt", "genea": "ckpt", "live": "audio", "study": "report", "studio": "ckpt"}
"""Command -> key that a word alone was most likely meant for."""


def _refuse_bare_words(name: str, overrides: Iterable[str]) -> None:
    """See that every word says which key it is for; ``~key`` takes one away."""
    for word in overrides:
        key = word.partition("=")[0].lstrip("+~")
        is_file = "/" in key and not key.startswith("hydra/") and not (CONFIGS / key).is_dir()
        if "=" not in word and not word.startswith("~") or is_file:
            known = (CONFIGS / "experiment" / f"{word}.yaml").is_file()
            key = "experiment" if known else EXAMPLES.get(name, "name")
            raise SemTalkError(f"{word or repr(word)}: give it as key=value, as in {quote(f'{key}={word}')}.")
