"""From a composed configuration to settings, or to one sentence that says what is wrong with it."""

from collections.abc import Iterable, Mapping
from numbers import Number
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from semtalk.errors import SemTalkError
from semtalk.settings.commands import COMMANDS, Command
from semtalk.settings.common import IS_PATH, PATTERNS, REFERENCE

M = TypeVar("M", bound=BaseModel)
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def settings_of(name: str, config: Mapping[str, Any]) -> Command:
    """Settings of a command from its composed configuration.

    Args:
        name: One of :data:`COMMANDS`.
        config: Plain, resolved.

    Raises:
        SemTalkError: A key is missing, unknown, or has a value that it does not take; the sentence says which.
    """
    return validated(COMMANDS[name], config)


def validated(model: type[M], config: Mapping[str, Any]) -> M:
    """A plain mapping as settings.

    Raises:
        SemTalkError: As :func:`settings_of`.
    """
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        raise SemTalkError(_sentence(model, config, error.errors())) from None


def _sentence(model: type[BaseModel], config: Mapping[str, Any], errors: list) -> str:
    """One sentence about the first key that is wrong."""
    keys, field, holder, value = _walk(model, config, errors[0]["loc"])
    same = (one for one in errors if one["type"] == "value_error" and _walk(model, config, one["loc"])[0] == keys)
    first = next(same, errors[0])  # of a union's variants, the one that says more than its type
    key = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = ", ".join(fields_of(holder))
        return f"{key}: there is no such key; choose one of {known}."
    if first["type"] == "missing":
        return f"{'.'.join((*keys, str(first['loc'][-1])))}: the key is missing."
    if first["type"] == "union_tag_invalid":
        expected = first["ctx"]["expected_tags"].replace("'", "").replace("own", PATTERNS[REFERENCE])
        return f"{key}.reader={first['ctx']['tag']}: choose one of {expected}."
    if first["type"] == "union_tag_not_found":
        said = "the key is missing" if "reader" not in value else "give a word, as in reader: sample"
        return f"{key}.reader: {said}."
    if first["type"] == "value_error":
        said = str(first["ctx"]["error"])
        return f"{key}: {said}" if key else said
    empty = "the list is empty; " if value == [] else ""
    return f"{key}={_shown(value)}: {empty}{_wish(field)}."


def choose(key: str, value: Any) -> None:
    """Check a value that a caller gives in the place of a key of a command.

    Raises:
        SemTalkError: It is none that the key takes.
    """
    field = next(model.model_fields[key] for model in COMMANDS.values() if key in model.model_fields)
    annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    plain = value.item() if isinstance(value, Number) and hasattr(value, "item") else value  # numpy's numbers
    try:
        TypeAdapter(annotation, config=STRICT).validate_python(plain)
    except ValidationError as error:
        said = next((str(one["ctx"]["error"]) for one in error.errors() if one["type"] == "value_error"), None)
        sentence = f"{key}={_shown(value)}: {_wish(annotation)}." if said is None else f"{key}: {said}"
        raise SemTalkError(sentence) from None


def _wish(annotation: Any) -> str:
    said = described(annotation)
    return f"{'choose' if said.startswith('one of') else 'give'} {said}"


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Key in the configuration -> field."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Models that a field can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in models_of(one)]


def words_of(model: type[BaseModel]) -> set[str]:
    """Words by which a union knows its variant: those of ``reader``."""
    return set(get_args(model.model_fields["reader"].annotation)) if "reader" in model.model_fields else set()


def _walk(model: type[BaseModel], config: Any, path: tuple[int | str, ...]) -> tuple[list[str], Any, Any, Any]:
    """Follow an error's path through model and configuration, past the names of a union's variants.

    Returns:
        The keys, the annotation of the last one's field with its bounds, the model that holds the last key, its value.
    """
    keys: list[str] = []
    annotation: Any = model
    holder, value = model, config
    tags = set(path)
    for step in path:
        inside = step in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(step, int)
        if not inside:
            continue
        value = value[step]
        keys.append(str(step))
        if isinstance(step, str) and (models := models_of(annotation)):
            holder = next((one for one in models if tags & words_of(one)), models[0])
            field = fields_of(holder).get(step)
            annotation = field and (
                Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            )
    return keys, annotation, holder, value


def _shown(value: Any) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    words = {NoneType: "null", bool: str(value).lower()}
    return words.get(type(value), str(value))


def described(annotation: Any, bounds: Iterable[Any] = ()) -> str:
    """What a field takes, in words: ``a whole number from 1 to 8``, ``one of a, b``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    bounds = tuple(bounds)
    if origin is Annotated:
        return described(arguments[0], (*arguments[1:], *bounds))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(str(word) for word in arguments)
    if origin in (Union, UnionType):
        said = [described(one) for one in arguments]
        return " or ".join(sorted(said, key=lambda one: one.startswith("a list")))  # whose elements it ends with
    if origin is list:
        return f"a list, each {described(arguments[0])}"
    if origin is dict and arguments[1] is not Any:
        return f"values that are each {described(arguments[1])}"
    if annotation in (int, float):
        return ("a whole number" if annotation is int else "a number") + _range(bounds)
    if annotation is str:
        if IS_PATH in bounds:
            return "a path"
        patterns = (getattr(one, "pattern", None) for one in _flat(bounds))
        return next((PATTERNS[one] for one in patterns if one in PATTERNS), "text")
    return {bool: "true or false", NoneType: "null"}.get(annotation, "a group of keys")


def _flat(bounds: Iterable[Any]) -> list[Any]:
    return [one for item in bounds for one in getattr(item, "metadata", [item])]


def _range(bounds: Iterable[Any]) -> str:
    limits: dict[str, float] = {}
    for one in _flat(bounds):
        limits |= {name: getattr(one, name) for name in ("ge", "gt", "le", "lt") if hasattr(one, name)}
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    return "".join(f" {word} {limits[name]:.10g}" for name, word in words.items() if name in limits)
