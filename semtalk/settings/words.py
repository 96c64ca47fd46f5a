"""Words of the command line as Hydra's grammar wants them: paths as the shell hands them over are quoted for it."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from semtalk.errors import SemTalkError
from semtalk.settings.check import fields_of, models_of
from semtalk.settings.commands import COMMANDS
from semtalk.settings.common import AS_GIVEN, IS_PATH

WORD = re.compile(r"(\+{0,2})([\w.]+)=(.*)", re.DOTALL)
QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
ELEMENT = re.compile(rf"\s*(?:{QUOTED}|\[[^\[\]]*\])\s*(?=,|\Z)|[^,]*", re.DOTALL)
"""Of a list or a sweep: quoted, a list of its own, or anything up to a comma."""
LITERAL = {"path", "paths", "given", "givens"}
"""Kinds of text that is taken as the shell hands it over: paths and what is given, alone or in a list."""
LONGEST = 32
"""Commas that a name in a list may have, and one."""
NUMBER = re.compile(r"[+-]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[+-]?\d+)?|[+-]?(inf|nan)|true|false", re.IGNORECASE)
SWEEP = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")
SEEDED = ("train", "eval")
"""Commands whose seed is of the run itself."""
APART = {"name", "data", "model", "experiment", "stage", "parts", "dry_run"}
"""What runs may differ in without another suffix: what names them, and what is of one run's parts."""
SEARCHES = "hydra/sweeper="
"""Begins the word that names a sweeper which chooses values by itself."""


def for_hydra(name: str, words: Sequence[str]) -> list[str]:
    """Words of a command line with paths quoted, names that differ for runs of one command, and overrides side by side.

    A path is what a key holds whose type is :data:`semtalk.settings.common.PathText`; text of the type
    :data:`semtalk.settings.common.GivenText` is treated as one. Left as they are: null, what is
    quoted for Hydra, and with ``--multirun`` the commas and functions of a sweep. What exists is taken literally. Of
    other text what reads as a number is quoted.

    Args:
        name: One of :data:`COMMANDS`.
        words: As the shell hands them over.

    Raises:
        SemTalkError: A list has an empty element.
    """
    keys, sweeps = text_keys(COMMANDS[name]), not set(words).isdisjoint(MULTIRUN)
    left_out = optional_keys(COMMANDS[name])
    given = [_added(_quoted(word, keys, sweeps), left_out) for word in words]
    if name in SEEDED and sweeps:
        values = {match[2]: match[3] for word in given if (match := WORD.fullmatch(word))}
        given += _names_apart(name, values, any(word.startswith(SEARCHES) for word in words))
    return _side_by_side(given)


def without_options(words: Sequence[str]) -> list[str]:
    """Words of a command line without Hydra's options and their values, as ``--cfg job``."""
    from hydra._internal.utils import get_args_parser

    given, rest = get_args_parser().parse_known_args(words)
    return [*given.overrides, *(word for word in rest if not word.startswith("-"))]


def _side_by_side(words: list[str]) -> list[str]:
    """Words of a command line with no option between two overrides, where Hydra's parser gives up."""
    overrides, options = without_options(words), [*words]
    for word in overrides:
        options.remove(word)
    first = next((at for at, word in enumerate(words) if word in overrides), 0)
    return [*options[:first], *overrides, *options[first:]]


def seeds_swept(words: Sequence[str]) -> Sequence[str]:
    """Words of a command line with ``seeds=[0,1]`` as the sweep that it stands for.

    Raises:
        SemTalkError: It is no list of whole numbers, has one of them twice, or ``seed`` is given too.
    """
    at = next((number for number, word in enumerate(words) if word.startswith("seeds=")), None)
    if at is None or words[at] == "seeds=null":
        return words
    seeds = re.fullmatch(r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]", words[at].removeprefix("seeds="))
    others = [*words[:at], *words[at + 1 :]]
    if seeds is None:
        raise SemTalkError(f"{words[at]}: give a list of whole numbers, as in seeds=[0,1,2].")
    numbers = [int(seed) for seed in seeds[1].split(",")]
    if len({*numbers}) < len(numbers):
        raise SemTalkError(f"{words[at]}: give each seed once; a run of the same seed is the same run.")
    if any(word.lstrip("+").startswith(("seed=", "seeds=")) for word in others):
        raise SemTalkError(f"{words[at]}: give seed or seeds, and once.")
    if any(word.startswith(SEARCHES) for word in words):
        raise SemTalkError(f"{words[at]}: a search takes one seed, as in seed=0; train what it finds with several.")
    swept = ["seed=" + seeds[1].replace(" ", "")]
    if "," not in seeds[1]:
        swept.append("seed_in_name=true")
    return [*([] if set(words) & set(MULTIRUN) else ["--multirun"]), *others, *swept]


def _names_apart(name: str, values: Mapping[str, str], searches: bool) -> list[str]:
    """Words that keep the runs of a sweep in folders of their own, where nobody says what they are to be called.

    Args:
        name: Of the command.
        values: Key -> value of what is given.
        searches: Whether a sweeper chooses values that are not given.
    """
    if "${" in values.get("name", ""):
        return []
    swept = {key for key, value in values.items() if len(_elements(value)) > 1 or SWEEP.fullmatch(value)}
    given = []
    if "seed" in swept and "seed_in_name" not in values:
        given.append("seed_in_name=true")
    if name == "train" and (searches or swept - APART - {"seed"}) and "suffix" not in values:
        given.append("suffix=_${hydra:job.num}")
    return given


@cache
def text_keys(model: type[BaseModel], prefix: str = "") -> dict[str, set[str]]:
    """Keys that hold text -> what they take: :data:`LITERAL`, other ``text``, or a ``list``."""
    keys: dict[str, set[str]] = {}
    for name, field in fields_of(model).items():
        for inner in models_of(field.annotation):
            for key, kinds in text_keys(inner, f"{prefix}{name}.").items():
                keys[key] = keys.get(key, set()) | kinds
        kinds = _kinds(field.annotation, field.metadata)
        if kinds & {*LITERAL, "text"} and "other" not in kinds:
            keys[prefix + name] = kinds
    return keys


@cache
def optional_keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Keys that configurations may leave out, for which Hydra wants a plus before them."""
    keys = {prefix + name for name, field in fields_of(model).items() if not field.is_required()}
    for name, field in fields_of(model).items():
        keys = keys.union(*(optional_keys(inner, f"{prefix}{name}.") for inner in models_of(field.annotation)))
    return keys


def _added(word: str, left_out: set[str]) -> str:
    return f"++{word}" if word.partition("=")[0] in left_out else word


def path_keys(model: type[BaseModel]) -> dict[str, set[str]]:
    """Those of :func:`text_keys` that hold paths."""
    return {key: kinds for key, kinds in text_keys(model).items() if kinds & {"path", "paths"}}


def _kinds(annotation: Any, metadata: Iterable[Any] = ()) -> set[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(arguments[0], (*arguments[1:], *metadata))
    if origin in (Union, UnionType):
        return set().union(*map(_kinds, arguments))
    if origin is list:
        return {"list", *(f"{kind}s" for kind in _kinds(arguments[0]) & {"path", "given"})}
    if annotation is str:
        return {"path" if IS_PATH in metadata else "given" if AS_GIVEN in metadata else "text"}
    return {"other"} if annotation in (int, float, bool) else set()


def _quoted(word: str, keys: dict[str, set[str]], sweeps: bool) -> str:
    match = WORD.fullmatch(word)
    if match is None or match[2] not in keys:
        return word
    kinds = keys[match[2]]
    value = _value(match[3], kinds, sweeps) if kinds & LITERAL else _no_number(match[3], sweeps)
    return f"{match[1]}{match[2]}={value}"


def _no_number(value: str, sweeps: bool) -> str:
    """A text that Hydra would take for a number or a truth value, as in ``name=7``, quoted; any other as it is."""
    given = value.split(",") if sweeps else [value]
    return ",".join(literal(one) if NUMBER.fullmatch(one) else one for one in given)


def _value(value: str, kinds: set[str], sweeps: bool = False) -> str:
    if value.lower() in ("", "null"):
        return value
    if value == "???":  # which OmegaConf takes for a value that is missing, quoted or not
        return literal("./???")
    if os.path.lexists(value):
        return literal(value)
    if re.fullmatch(QUOTED, value, re.DOTALL):
        return value
    if "list" in kinds and value[0] == "[" and value[-1] == "]" and "],[" not in value:
        if not kinds & {"paths", "givens"}:
            return value
        elements = _elements(value[1:-1]) if value != "[]" else []
        if "" in elements:
            raise SemTalkError(f"{value}: the list has an empty element; take the comma beside it away.")
        return f"[{','.join(_value(element, {'path'}) for element in elements)}]"
    if sweeps and SWEEP.fullmatch(value):
        return value
    if sweeps and len(elements := _elements(value)) > 1:
        return ",".join(_value(element, kinds) for element in elements)
    return literal(value)


def _elements(text: str) -> list[str]:
    """Elements between commas; a comma belongs to a name where a file of the name that holds it exists."""
    pieces, at = [], 0
    while at <= len(text):
        piece = ELEMENT.match(text, at)[0]
        pieces.append(piece)
        at += len(piece) + 1
    elements = []
    while pieces:
        joined = ((count, ",".join(pieces[:count])) for count in range(min(len(pieces), LONGEST), 0, -1))
        spelt = ((count, form) for count, one in joined for form in (one, one.strip()))
        count, element = next((one for one in spelt if os.path.lexists(one[1])), (1, pieces[0].strip()))
        elements.append(element)
        pieces = pieces[count:]
    return elements


def literal(text: str) -> str:
    r"""A text that Hydra and OmegaConf give back as it is: quoted, its quotes and every ``${`` escaped.

    Backslashes count only before these, and are doubled there.
    """
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    text = re.sub(r"(\\*)(?:'|\Z)", lambda match: match[1] * 2 + "\\'" * match[0].endswith("'"), text)
    return f"'{text}'"
