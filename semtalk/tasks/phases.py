"""What is trained, in the method's order: one row for each network.

A row says which network it is, what trains it, by which recipe, and which networks must be trained before. Training,
the dry run, checkpoints and generation read this table; a new network is a new row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch import nn

from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.features.extract import feature_dims
from semtalk.models.base import BaseNetwork
from semtalk.models.branches import Sizes
from semtalk.models.embedder import MotionEmbedder
from semtalk.models.rvqvae import RVQVAE
from semtalk.models.sparse import SparseNetwork
from semtalk.models.tokenizer import Tokenizer
from semtalk.models.translation import TranslationNetwork
from semtalk.motion.skeleton import PARTS

if TYPE_CHECKING:
    from semtalk.tasks.stage import StageTask

Networks = Mapping[str, nn.Module]
"""Phase -> its network."""


@dataclass(frozen=True)
class Phase:
    """One network that is trained.

    Attributes:
        name: Of its folder in the run, and in its checkpoint.
        stage: The stage of the command line that makes it.
        recipe: Key of ``recipe``.
        network: Builds it with fresh weights from a plain configuration and the number of speakers.
        task: Its LightningModule, ``module:Name``; imported on use, so that generating imports no training.
        needs: Phases whose networks it is trained beside.
        given: What the task is given of those.
        speech: Whether it is trained on speech too, or on motion alone.
        part: Of an RVQ-VAE.
    """

    name: str
    stage: str
    recipe: str
    network: Callable[[Mapping, int], nn.Module]
    task: str
    needs: tuple[str, ...] = ()
    given: Callable[[Networks], dict[str, Any]] = lambda needed: {}
    speech: bool = False
    part: str | None = None

    def make_task(
        self, network: nn.Module, config: dict, meta: dict, body: BodyModel, needed: Networks, **known
    ) -> "StageTask":
        """The task that trains a network.

        Args:
            network: Of this phase.
            config: The full plain configuration.
            meta: Facts about data and method, see :class:`semtalk.tasks.stage.StageTask`.
            body: For losses on positions.
            needed: The networks of :attr:`needs`, trained or fresh.
            known: What else the task takes.
        """
        module, name = self.task.split(":")
        recipe = config["recipe"][self.recipe]
        return getattr(import_module(module), name)(network, config, recipe, meta, body, **self.given(needed), **known)


def network_sizes(model: Mapping) -> Sizes:
    """Sizes of base and sparse networks; codes and latents are those of the RVQ-VAEs."""
    rvqvae = model["rvqvae"]
    return Sizes(**model["network"], latent=rvqvae["latent"], levels=rvqvae["levels"], codes=rvqvae["codes"])


def _shared(config: Mapping, speakers: int) -> dict[str, Any]:
    """What base and sparse network both take."""
    features = config["features"]
    dim, noise = feature_dims(features)["hubert"], features.get("noise", 0.0)
    return {"sizes": network_sizes(config["model"]), "hubert": dim, "speakers": speakers, "noise": noise}


def _base(config: Mapping, speakers: int) -> nn.Module:
    rhythm = feature_dims(config["features"])["rhythm"]
    return BaseNetwork(**_shared(config, speakers), rhythm=rhythm, **config["model"]["base"])


def _sparse(config: Mapping, speakers: int) -> nn.Module:
    dims, options = feature_dims(config["features"]), dict(config["model"]["sparse"])
    context = {name: dims[name] for name in options.pop("context")}
    return SparseNetwork(**_shared(config, speakers), words=dims["words"], context=context, **options)


def _tokenizer(needed: Networks) -> Tokenizer:
    return Tokenizer({part: needed[f"rvqvae_{part}"] for part in PARTS})


def _rvqvae(part: str) -> Phase:
    return Phase(
        f"rvqvae_{part}", "rvqvae", "rvqvae", lambda config, _: RVQVAE(PARTS[part].width, **config["model"]["rvqvae"]),
        "semtalk.tasks.motion:RVQVAETask", given=lambda needed: {"part": part}, part=part,
    )  # fmt: skip


RVQVAE_PHASES = tuple(f"rvqvae_{part}" for part in PARTS)
PHASES = {
    phase.name: phase
    for phase in (
        *map(_rvqvae, PARTS),
        Phase(
            "translation", "rvqvae", "translation",
            lambda config, _: TranslationNetwork(**config["model"]["translation"]),
            "semtalk.tasks.motion:TranslationTask", ("rvqvae_lower",),
            lambda needed: {"rvqvae": needed["rvqvae_lower"]},
        ),
        Phase("fgd", "rvqvae", "fgd", lambda *_: MotionEmbedder(), "semtalk.tasks.motion:EmbedderTask"),
        Phase(
            "base", "semtalk", "base", _base, "semtalk.tasks.semtalk:BaseTask", RVQVAE_PHASES,
            lambda needed: {"tokenizer": _tokenizer(needed)}, speech=True,
        ),
        Phase(
            "sparse", "semtalk", "sparse", _sparse, "semtalk.tasks.semtalk:SparseTask", (*RVQVAE_PHASES, "base"),
            lambda needed: {"tokenizer": _tokenizer(needed), "base": needed["base"]}, speech=True,
        ),
    )
}  # fmt: skip
"""Name -> phase: everything that is trained, in its order."""


def build_network(phase: str, config: Mapping, speakers: int) -> nn.Module:
    """Build the network of a phase with fresh weights.

    Args:
        phase: One of :data:`PHASES`.
        config: Plain configuration with ``model`` and ``features``.
        speakers: Number of speakers of the training corpus.

    Raises:
        SemTalkError: There is no such phase; or the configuration lacks a setting, or has one that this version does
            not know.
    """
    if phase not in PHASES:
        raise SemTalkError(f"phase '{phase}' does not exist: choose one of {', '.join(PHASES)}.")
    try:
        return PHASES[phase].network(config, speakers)
    except (TypeError, KeyError) as error:
        raise SemTalkError(
            f"model={config['model'].get('name')}: its settings do not fit '{phase}': {error}."
        ) from error
