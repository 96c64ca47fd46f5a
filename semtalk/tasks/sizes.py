"""Whether trained weights fit a configuration, and the key of it that says why they do not."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from semtalk.errors import SemTalkError
from semtalk.features.extract import feature_dims
from semtalk.settings.inputs import Features
from semtalk.settings.networks import RVQVAEModel
from semtalk.settings.trained import Trained, trained
from semtalk.tasks.phases import PHASES, NetworkSettings, build_network

PREFIX = "network."
"""Before the names of a network's tensors in a checkpoint."""


def network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint's network by the names that they have in it."""
    state = checkpoint["state_dict"].items()
    return {name.removeprefix(PREFIX): value for name, value in state if name.startswith(PREFIX)}


def misfit(network: nn.Module, weights: Mapping[str, Tensor]) -> str | None:
    """Load weights; where they do not fit, a tensor of another shape, or one that is missing or unknown, is named."""
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        return difference(network.state_dict(), weights)
    return None


def difference(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str | None:
    """A tensor that weights have in another shape, lack, or have beside a network's own; none where all fit."""
    shapes = [name for name in own if name in weights and own[name].shape != weights[name].shape]
    if shapes:
        return f"{shapes[0]} is {tuple(weights[shapes[0]].shape)}, not {tuple(own[shapes[0]].shape)}"
    missing, unknown = [name for name in own if name not in weights], sorted(set(weights) - set(own))
    if missing or unknown:
        return f"{missing[0]} is missing" if missing else f"{unknown[0]} is unknown"
    return None


def check_before_building(phase: str, settings: NetworkSettings, speakers: int, weights: Mapping[str, Tensor]) -> None:
    """See that weights of unknown origin fit a configuration, before a network of its size takes any memory.

    Raises:
        SemTalkError: They do not.
    """
    with torch.device("meta"):
        own = build_network(phase, settings, speakers).state_dict()
    types = (
        f"{name} is of {weights[name].dtype}, not {own[name].dtype}"
        for name in own
        if name in weights and own[name].dtype != weights[name].dtype
    )
    if wrong := difference(own, weights) or next(types, None):
        raise SemTalkError(f"its weights do not fit the configuration beside them ({wrong}).")


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys, as the command line has them, and values of a configuration."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _with(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {**config, first: _with(config.get(first) or {}, rest, value) if rest else value}


def _shapes(phase: str, settings: NetworkSettings) -> dict[str, torch.Size]:
    with torch.device("meta"):
        network = build_network(phase, settings, speakers=1)
    return {name: value.shape for name, value in network.state_dict().items()}


def differing_keys(phase: str, wanted: NetworkSettings, was: Trained) -> list[str]:
    """Keys for which a phase's network has other weights than the trained one, as in ``model.network.width=16``.

    Args:
        phase: See :data:`semtalk.tasks.phases.PHASES`.
        wanted: What is asked for.
        was: What the trained network was built from.

    Returns:
        ``key=value`` as it was trained, with what is asked for instead.
    """
    before = was.plain()
    known = dict(flat(before))
    asked = dict(flat({"model": wanted.model.plain(), "features": wanted.features.plain()}))
    shapes, found = _shapes(phase, was), []
    for key in (key for key, value in asked.items() if known.get(key) != value):
        try:
            other = _shapes(phase, trained(_with(before, key, asked[key])))
        except (SemTalkError, ValueError, TypeError, RuntimeError, AssertionError):
            other = None  # this key alone makes no network
        if other != shapes:
            found.append(f"{key}={known.get(key)}, not {asked[key]}")
    return found


def load_weights(
    network: nn.Module, weights: Mapping[str, Tensor], phase: str, wanted: NetworkSettings, was: Trained, said: str
) -> None:
    """Give a network that the settings ask for trained weights.

    Args:
        network: With fresh ones.
        weights: Trained ones.
        phase: Whose they are.
        wanted: The settings.
        was: Those that the weights were trained with.
        said: What an error begins with: the key or the file that asks for the weights.

    Raises:
        SemTalkError: They do not fit; the key that differs is named.
    """
    wrong = misfit(network, weights)
    if wrong is None:
        return
    keys = differing_keys(phase, wanted, was)
    raise SemTalkError(
        f"{said}: its '{phase}' does not fit this configuration: it was trained with {'; '.join(keys) or wrong}; "
        "choose model and features as it was trained."
    )


def check_codes(networks: Mapping[str, nn.Module], wanted: RVQVAEModel, said: str) -> None:
    """See that trained RVQ-VAEs have the codes that the settings say.

    Raises:
        SemTalkError: One has others.
    """
    for phase, network in networks.items():
        if PHASES[phase].part:
            codes, latent = network.quantizer.levels[0].codebook.shape
            own = {"levels": len(network.quantizer.levels), "codes": codes, "latent": latent}
            for key, value in own.items():
                if getattr(wanted, key) != value:
                    raise SemTalkError(
                        f"{said}: its '{phase}' has {key}={value}; choose model.rvqvae as it was trained, "
                        f"not model.rvqvae.{key}={getattr(wanted, key)}."
                    )


def check_features(networks: Mapping[str, nn.Module], features: Features, said: str) -> None:
    """See that trained networks hear features of the sizes that the settings say.

    Raises:
        SemTalkError: One hears others.
    """
    dims = feature_dims(features)
    for phase, network in networks.items():
        for slot, layer in network.standard.items() if PHASES[phase].speech else ():
            if len(layer.mean) != dims[slot]:
                raise SemTalkError(
                    f"{said}: its '{phase}' was trained with features.slots.{slot}.dim={len(layer.mean)}, "
                    f"not {dims[slot]}; choose features as it was trained."
                )
