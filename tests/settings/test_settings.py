"""Settings: every key says what it takes, and refuses anything else in one sentence."""

import copy
import json
import math
import re
from typing import Annotated, get_args, get_origin

import pytest
from conftest import plain, run_program

from semtalk.errors import SemTalkError
from semtalk.settings import choose, page, settings_of
from semtalk.settings.check import fields_of, models_of
from semtalk.settings.commands import COMMANDS
from semtalk.settings.inputs import Slot

DATA = {"sample": (), "beat2": ("data=beat2", "data.root=DIR"), "show": ("data=show", "data.root=DIR")}


def fields(model, value: dict, path: tuple[str, ...] = ()):
    """(path, annotation, bounds) of every field that holds no further fields, along a configuration."""
    for key, field in fields_of(model).items():
        here = (*path, key)
        if key not in value:
            continue  # of a logger that is not chosen
        if isinstance(value[key], dict):
            fitting = (
                one for one in models_of(field.annotation) if one is Slot or set(value[key]) <= set(fields_of(one))
            )
            yield from fields(next(fitting), value[key], here)
        else:
            yield here, field.annotation, list(field.metadata)


def kinds(annotation, metadata) -> tuple[set, dict[str, float]]:
    """Plain types that a field takes, and its bounds."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return kinds(inner, [*more, *metadata])
    if get_args(annotation) and get_origin(annotation) is not list:
        words = {type(one) for one in get_args(annotation) if isinstance(one, str)}
        found = [kinds(one, metadata) for one in get_args(annotation) if not isinstance(one, str)]
        return words.union(*(types for types, _ in found)), {k: v for _, limits in found for k, v in limits.items()}
    limits = {}
    for item in (one for bound in metadata for one in getattr(bound, "metadata", [bound])):
        limits |= {name: getattr(item, name) for name in ("ge", "gt", "le", "lt") if hasattr(item, name)}
    return {get_origin(annotation) or annotation}, limits


def wrong_values(annotation, metadata) -> list:
    """Values that no field of that kind takes: other types, both sides of its range, no number, nothing, too much."""
    types, limits = kinds(annotation, metadata)
    number = types & {int, float}
    wrong = [math.nan, math.inf, -math.inf, {}, {"a": 1}, "", "no such word" * (str not in types), [[]], object()]
    if type(None) not in types:
        wrong.append(None)
    if not number:
        wrong += [10**400 * (bool not in types) or 2, 0.5]
    if number and bool not in types:
        wrong.append(True)
    if number == {int}:
        wrong.append(1.5)
    if number and limits:
        wrong += [limits.get("ge", limits.get("gt", 0)) - 1, limits.get("le", limits.get("lt", 0)) + 1, 10**400]
        wrong += [limits[name] for name in ("gt", "lt") if name in limits]
    return wrong


def changed(config: dict, path: tuple[str, ...], value) -> dict:
    config = copy.deepcopy(config)
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return config


@pytest.mark.parametrize(
    ("command", "data"), [*((command, "sample") for command in COMMANDS), ("train", "beat2"), ("train", "show")]
)
def test_every_key_refuses_what_it_does_not_take(command, data):
    config = plain(command, *DATA[data])
    settings_of(command, config)
    found = list(fields(COMMANDS[command], config))
    assert len(found) > 120
    for path, annotation, metadata in found:
        for value in wrong_values(annotation, metadata):
            with pytest.raises(SemTalkError) as error:
                settings_of(command, changed(config, path, value))
                pytest.fail(f"{'.'.join(path)}={value} was taken")
            said = str(error.value)
            assert said.startswith(".".join(path)) and said.endswith(".") and "\n" not in said, said


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_and_missing_keys_are_told(command):
    config = plain(command)
    with pytest.raises(SemTalkError, match=r"recipe\.fgd\.losses\.typo: there is no such key; choose one of rotation,"):
        settings_of(command, changed(config, ("recipe", "fgd", "losses", "typo"), 5.0))
    less = copy.deepcopy(config)
    del less["recipe"]["base"]["lr"]
    with pytest.raises(SemTalkError, match=r"recipe\.base\.lr: the key is missing"):
        settings_of(command, less)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("recipe.base.steps", None, "recipe.base: set steps or epochs"),
        ("recipe.stride", 7, "recipe.stride must be a multiple of features.stride"),
        ("model.network.heads", 7, "model: network.heads must divide network.width=64."),
        ("speed.grouped_parts", False, "speed: recompute=true needs grouped_parts=true."),
        ("data.reader", "mine", "data.reader=mine: choose one of sample, beat2, show"),
        ("recipe.rvqvae.schedule", "foo", "recipe.rvqvae.schedule=foo: choose one of constant, cosine."),
        ("trainer.devices", -3, "trainer.devices=-3: give a whole number from 1 to 4096"),
        ("parts", ["foot"], "parts.0=foot: "),
        ("parts", ["face", "face"], "parts: something stands twice."),
        ("trainer.devices", [0, 0], "trainer.devices: something stands twice."),
        ("stage.phases", ["base", "base"], "stage.phases: something stands twice."),
        ("trainer.max_time", "abc", "trainer.max_time=abc: give DD:HH:MM:SS, as in 00:08:00:00"),
        ("model.sparse.context", [], "model.sparse.context=[]: the list is empty; give a list"),
        ("model.base.chain", 2 * [{"part": "hands", "memory": ["face"]}], "model.base.chain: something stands twice."),
        ("name", "../x", "name=../x: give a name without slashes."),
        ("name", "..", "name=..: give a name without slashes."),
        (
            "model.base.chain",
            [{"part": "hands", "memory": []}],
            "model.base.chain.0.memory=[]: the list is empty; give a list",
        ),
        ("model.sparse.chain", [{"part": "upper", "memory": ["face"]}], "model.sparse: the sparse network has no face"),
    ],
)
def test_keys_that_exclude_each_other(path, value, message):
    config = changed(plain("train"), ("speed", "recompute"), path == "speed.grouped_parts")
    with pytest.raises(SemTalkError, match=re.escape(message)):
        settings_of("train", changed(config, tuple(path.split(".")), value))


@pytest.mark.parametrize("data", ["beat2", "show"])
def test_a_corpus_is_told_of_its_own_keys(data):
    config = plain("train", *DATA[data])
    with pytest.raises(SemTalkError, match="data.speakers=2: give all or a list, each "):
        settings_of("train", changed(config, ("data", "speakers"), 2))


def test_recordings_may_be_a_list():
    assert settings_of("generate", plain("generate", "audio=[a.wav,b.wav]")).audio == ["a.wav", "b.wav"]


def test_settings_are_typed_and_frozen():
    settings = settings_of("train", plain("train"))
    assert settings.recipe.base.mask.ratio == 0.4 and settings.recipe.base.losses.global_ == 0.1
    with pytest.raises(ValueError, match="frozen"):
        settings.recipe.base.lr = 1.0


def test_every_key_has_a_meaning():
    def meaningless(model):
        for name, field in model.model_fields.items():
            inner = models_of(field.annotation)
            key = field.alias or name
            if not inner and not page.meanings(model).get(key) and not model.__name__.endswith("Losses"):
                yield f"{model.__name__}.{name}"
            for one in inner:
                yield from meaningless(one)

    assert not {name for model in COMMANDS.values() for name in meaningless(model)}


def test_the_page_and_the_schemas_are_made_from_the_settings():
    again = "is out of date: run python -m semtalk.settings.page"
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), f"{page.PAGE} {again}"
    for path, text in page.schemas().items():
        made, written = json.loads(text), json.loads(path.read_text(encoding="utf-8"))
        properties = [
            {name: sorted(one["properties"]) for name, one in (schema["$defs"] | {"": schema}).items()}
            for schema in (made, written)
        ]
        assert properties[0] == properties[1], f"{path} {again}"


@pytest.mark.parametrize("name", page.HELP)
def test_help_is_made_from_the_settings(name):
    path = page.CONFIGS / "hydra" / "help" / f"{name}.yaml"
    assert path.read_text(encoding="utf-8") == page.help_of(name), f"{path}: run python -m semtalk.settings.page"


def test_arguments_of_callers_are_checked_by_the_same_words():
    choose("gate", "never")
    with pytest.raises(SemTalkError, match="gate=open: choose one of learned, always, never, random"):
        choose("gate", "open")


@pytest.mark.parametrize(
    ("command", "wrong"),
    [("train.py", "recipe.base.lr=nan"), ("eval.py", "beta=2"), ("generate.py", "batch=0")],
)
def test_a_wrong_value_is_one_sentence(tmp_path, command, wrong):
    places = [f"runs_dir={tmp_path}/runs", f"data_dir={tmp_path}/data"]
    result = run_program(command, wrong, *places, check=False)
    assert result.returncode == 1 and result.stderr.startswith(f"error: {wrong}: give ") and not result.stdout
    assert result.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
