"""Settings of a trained run, from the plain configuration that its checkpoints keep."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from semtalk.errors import SemTalkError
from semtalk.settings.check import validated
from semtalk.settings.common import Settings, is_reference, package_of
from semtalk.settings.inputs import Features
from semtalk.settings.networks import Model
from semtalk.settings.recipes import Decoding

EARLIER = {
    "features.noise": 0.0, "features.stored": "float32", "model.standardise": False, "model.embedder": "emage",
    "model.rvqvae.linear": 0, "model.rvqvae.noise": 0.0, "model.rvqvae.smoothing": 0,
    "model.network.local_layers": 0, "model.network.local_dropout": 0.0,
    "model.network.deaf_pass": "body",
    "model.base.network": "base_motion", "model.sparse.network": "sparse_motion",
    "model.alignment.parts": ["upper", "hands", "lower"], "model.alignment.width": 32, "model.alignment.blocks": 2,
    "model.alignment.latent": 32, "model.alignment.dropout": 0.4, "model.alignment.noise": 0.5,
    "recipe.decoding.face": "likeliest", "recipe.decoding.body": "likeliest", "recipe.decoding.sparse": "likeliest",
    "recipe.decoding.blend": 0, "recipe.decoding.temperature": 1.0, "recipe.decoding.coherence": 0.9,
    "recipe.decoding.smoothing": 0,
}  # fmt: skip
"""Key that runs of earlier versions lack -> the value that means what they did."""


class TrainedRecipe(Settings):
    """What generation needs of a run's recipe."""

    model_config = ConfigDict(extra="ignore")

    decoding: Decoding


class Trained(Settings):
    """What a checkpoint's configuration says of its networks."""

    model_config = ConfigDict(extra="ignore")

    model: Model
    features: Features
    recipe: TrainedRecipe


def trained(config: Mapping[str, Any]) -> Trained:
    """Settings of the networks of a checkpoint.

    Raises:
        SemTalkError: A key has a value that this version does not know.
    """
    return validated(Trained, _filled(config))


def _filled(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the keys of :data:`EARLIER` that it lacks."""
    filled = {key: dict(config.get(key) or {}) for key in ("model", "features", "recipe")}
    for key, value in EARLIER.items():
        *groups, last = key.split(".")
        inner = filled
        for group in groups:
            inner[group] = inner = dict(inner.get(group) or {})
        inner.setdefault(last, value)
    return filled


def references(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Key and word of everything in a tree of settings that names a class of a package."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from references(value, f"{prefix}{name}.")
        elif name in ("network", "encoder", "reader") and is_reference(value):
            yield prefix + name, value


def refuse_untrusted(settings: Trained, trust: Sequence[str] = ()) -> None:
    """See that a loaded run names no class of a package that is not trusted; nothing of it has been imported yet.

    Raises:
        SemTalkError: It does.
    """
    for key, word in references(settings):
        package = package_of(word)
        if package != "semtalk" and package not in trust:
            raise SemTalkError(
                f"{key}={word} would run code of the package {package}; if you trust it, say trust=[{package}]."
            )
