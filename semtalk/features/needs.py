"""What the encoders of a setting need: packages, models and files; found without importing any of them."""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from semtalk.catalogue import REPOSITORY, WHEELS, Thing, model_on_hub
from semtalk.features.packages import PACKAGES
from semtalk.features.pretrained import cached_model
from semtalk.settings.inputs import ENCODERS, Features


class Need(NamedTuple):
    """Something that settings need.

    Attributes:
        purpose: What for: a slot, the corpus, the body.
        thing: What it is.
        here: Whether this machine has it.
        how: What brings it.
        place: Where it is, or the key that names it.
    """

    purpose: str
    thing: Thing
    here: bool
    how: str
    place: str = ""


READERS = {"emotion2vec": "funasr", "fasttext": "gensim", "glove": "pyarrow", "whisper": "ctranslate2"}
"""Encoder -> the package that it reads its model by; the last two, a model that is a package itself."""


def package_need(purpose: str, name: str, module: str | None = None) -> Need:
    """A package, by the module that is imported of it."""
    thing, module = WHEELS[name], module or name.replace("-", "_")
    here = sys.modules[module] is not None if module in sys.modules else find_spec(module) is not None
    return Need(purpose, thing, here, thing.command, "installed")


def model_need(purpose: str, key: str, name: str) -> Need:
    """A model by the name that a key gives it: a package, a folder, or a repository of the hub."""
    if name in PACKAGES:
        return package_need(purpose, name, PACKAGES[name].module)
    if Path(name).exists():
        return Need(purpose, Thing(name), True, "", name)
    if not REPOSITORY.fullmatch(name):
        return Need(purpose, Thing(name), False, f"{key} names a folder that does not exist")
    thing = model_on_hub(name)
    folder = cached_model(name)
    whole = folder is not None and all(any(folder.glob(pattern)) for pattern in thing.files)
    return Need(purpose, thing, whole, thing.command, str(folder) if whole else key)


def slot_needs(features: Features, slot: str) -> list[Need]:
    """What the encoder of a slot needs; one of a package of one's own says so itself.

    Args:
        features: Of the settings.
        slot: Of the features.
    """
    chosen, key = features.slots[slot], f"features.slots.{slot}"
    own = ENCODERS[chosen.encoder][1] if chosen.encoder in ENCODERS else ()
    needs = []
    reader = READERS.get(chosen.encoder)
    if reader and (chosen.encoder in ("emotion2vec", "fasttext") or chosen.model in PACKAGES):
        needs.append(package_need(slot, reader))
    if "path" in own and (chosen.path or not chosen.model):
        file = Path(chosen.path or "")
        how = f"{key}.path names a file that does not exist" if chosen.path else f"give it by {key}.path=FILE"
        needs.append(Need(slot, Thing(chosen.path or f"a file for {key}.path"), file.is_file(), how, str(file)))
    elif "model" in own and chosen.model:
        needs.append(model_need(slot, f"{key}.model", chosen.model))
    return needs


def needs_table(needs: Sequence[Need]) -> str:
    """A row for each need, with its size and licence, and below it what brings it, or where it is."""
    cells = [("what", "size", "licence")]
    cells += [(f"{need.purpose}: {need.thing.name}", need.thing.size, need.thing.licence) for need in needs]
    wide = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in cells]
    below = [f"    {'here: ' + need.place if need.here else need.how}" for need in needs]
    return "\n".join([lines[0], *(line for pair in zip(lines[1:], below, strict=True) for line in pair)])
