"""Builds networks from a plain configuration and the facts about the data that it was trained on."""

from collections.abc import Mapping

from torch import nn

from semtalk.errors import SemTalkError
from semtalk.features.extract import feature_dims
from semtalk.models.base import BaseNetwork
from semtalk.models.branches import Sizes
from semtalk.models.embedder import MotionEmbedder
from semtalk.models.rvqvae import RVQVAE
from semtalk.models.sparse import SparseNetwork
from semtalk.models.translation import TranslationNetwork
from semtalk.motion.skeleton import PARTS

RVQVAE_PHASES = tuple(f"rvqvae_{part}" for part in PARTS)
PHASES = (*RVQVAE_PHASES, "translation", "fgd", "base", "sparse")
"""Everything that is trained, each with one checkpoint folder of this name."""


def network_sizes(model: Mapping) -> Sizes:
    """Sizes of base and sparse networks; codes and latents are those of the RVQ-VAEs."""
    rvqvae = model["rvqvae"]
    return Sizes(**model["network"], latent=rvqvae["latent"], levels=rvqvae["levels"], codes=rvqvae["codes"])


def build_network(phase: str, config: Mapping, speakers: int) -> nn.Module:
    """Build the network of a phase with fresh weights.

    Args:
        phase: One of :data:`PHASES`.
        config: Plain configuration with ``model`` and ``features``.
        speakers: Number of speakers of the training corpus.

    Raises:
        SemTalkError: The configuration lacks a setting, or has one that this version does not know.
    """
    try:
        return _build(phase, config["model"], config, speakers)
    except (TypeError, KeyError) as error:
        raise SemTalkError(
            f"model={config['model'].get('name')}: its settings do not fit '{phase}': {error}."
        ) from error


def _build(phase: str, model: Mapping, config: Mapping, speakers: int) -> nn.Module:
    if phase in RVQVAE_PHASES:
        return RVQVAE(PARTS[phase.removeprefix("rvqvae_")].width, **model["rvqvae"])
    if phase == "translation":
        return TranslationNetwork(**model["translation"])
    if phase == "fgd":
        return MotionEmbedder()
    dims = feature_dims(config["features"])
    noise = config["features"].get("noise", 0.0)
    shared = {"sizes": network_sizes(model), "hubert": dims["hubert"], "speakers": speakers, "noise": noise}
    if phase == "base":
        return BaseNetwork(**shared, rhythm=dims["rhythm"], **model["base"])
    if phase == "sparse":
        options = dict(model["sparse"])
        context = {name: dims[name] for name in options.pop("context")}
        return SparseNetwork(**shared, words=dims["words"], context=context, **options)
    raise SemTalkError(f"phase '{phase}' does not exist: choose one of {', '.join(PHASES)}.")
