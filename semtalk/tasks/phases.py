"""What is trained, in the method's order: one row for each network.

A row says which network it is, what trains it, by which recipe, and which networks must be trained before. Training,
the dry run, checkpoints and generation read this table; a new network is a new row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from torch import nn

from semtalk.errors import SemTalkError
from semtalk.features.extract import feature_dims
from semtalk.models.base_motion import BaseMotionNetwork
from semtalk.models.decoding import Decoding
from semtalk.models.embedder import MotionEmbedder
from semtalk.models.extractors import DiffSHEGExtractor, TalkSHOWExtractor
from semtalk.models.predictor import Chain, Sizes
from semtalk.models.rvqvae import RVQVAE
from semtalk.models.scorer import HEARD, AlignmentScorer
from semtalk.models.sparse_motion import SparseMotionNetwork
from semtalk.models.tokenizer import Tokenizer
from semtalk.models.translation import TranslationNetwork
from semtalk.motion.skeleton import PARTS
from semtalk.settings.common import is_reference
from semtalk.settings.inputs import Features
from semtalk.settings.networks import Link, Model, PlacedNetwork
from semtalk.settings.recipes import Recipe
from semtalk.swap import named

Networks = Mapping[str, nn.Module]
"""Phase -> its network."""


class NetworkSettings(Protocol):
    """What networks are built from: the settings of a command, or of a trained run."""

    model: Model
    features: Features


class TrainingSettings(NetworkSettings, Protocol):
    """What tasks are built from beside networks: the settings of a training."""

    recipe: Recipe


@dataclass(frozen=True)
class Phase:
    """One network that is trained.

    Attributes:
        name: Of its folder in the run, and in its checkpoint.
        stage: The stage of the command line that makes it.
        recipe: Key of ``recipe``.
        network: Builds it with fresh weights from settings and the number of speakers.
        task: Its LightningModule, ``module:Name``; imported on use, so that generating imports no training.
        needs: Phases whose networks it is trained beside.
        given: What the task is given of those, and of the settings.
        speech: Whether it is trained on speech too, or on motion alone.
        labels: Whether takes need semantic labels.
        hears: Feature slots that it is trained on beside motion, where it is not trained on speech as base and sparse.
        readouts: Whether the network has readouts, which begin at the mean of the training split's latents.
        part: Of an RVQ-VAE.
    """

    name: str
    stage: str
    recipe: str
    network: Callable[[NetworkSettings, int], nn.Module]
    task: str
    needs: tuple[str, ...] = ()
    given: Callable[[Networks, TrainingSettings], dict[str, Any]] = lambda *_: {}
    speech: bool = False
    labels: bool = False
    hears: tuple[str, ...] = ()
    readouts: bool = False
    part: str | None = None

    @property
    def task_class(self) -> type:
        """The LightningModule that trains it."""
        module, name = self.task.split(":")
        return getattr(import_module(module), name)


def network_sizes(model: Model) -> Sizes:
    """Sizes of base and sparse networks; codes and latents are those of the RVQ-VAEs."""
    codes = model.rvqvae
    return Sizes(**dict(model.network), latent=codes.latent, levels=codes.levels, codes=codes.codes)


def _chain(links: list[Link]) -> Chain:
    return [(link.part, link.memory) for link in links]


NEEDED = {"base": ("standard", "encode_speech", "readouts"), "sparse": ("standard", "encode_speech")}
"""What a network of one's own has to have."""


def _placed(name: str, built_in: type, own: PlacedNetwork, **arguments) -> nn.Module:
    """The built-in network, or the one that the settings put in its place.

    Raises:
        SemTalkError: There is no such class, or it does not take the arguments.
    """
    if not is_reference(own.network):
        return built_in(**arguments)
    key = f"model.{name}.network"
    network = named(key, own.network)
    try:
        built = network(**arguments, **own.options)
    except TypeError as error:
        raise SemTalkError(f"{key}={own.network}: it does not take what it is given ({error}).") from error
    lacking = [part for part in NEEDED[name] if not hasattr(built, part)]
    if lacking or not isinstance(built, nn.Module):
        said = f"it has no {lacking[0]}" if lacking else "it is no nn.Module"
        raise SemTalkError(f"{key}={own.network}: {said}; semtalk.models.MotionNetwork says what is needed.")
    return built


def _base(settings: NetworkSettings, speakers: int) -> nn.Module:
    own, dims = settings.model.base, feature_dims(settings.features)
    return _placed(
        "base", BaseMotionNetwork, own,
        sizes=network_sizes(settings.model), hubert=dims["hubert"], rhythm=dims["rhythm"], speakers=speakers,
        chain=_chain(own.chain), project=own.project, noise=settings.features.noise,
    )  # fmt: skip


def _sparse(settings: NetworkSettings, speakers: int) -> nn.Module:
    own, dims = settings.model.sparse, feature_dims(settings.features)
    return _placed(
        "sparse", SparseMotionNetwork, own,
        sizes=network_sizes(settings.model), hubert=dims["hubert"], words=dims["words"], speakers=speakers,
        context={name: dims[name] for name in own.context}, chain=_chain(own.chain), vocabulary=own.vocabulary,
        noise=settings.features.noise,
    )  # fmt: skip


def _scorer(settings: NetworkSettings, _: int) -> nn.Module:
    dims = feature_dims(settings.features)
    return AlignmentScorer(dims["rhythm"], dims["hubert"], **dict(settings.model.alignment))


def decoding(recipe: Recipe) -> Decoding:
    """How codes will be read off, which base finds its factors for."""
    return Decoding(**dict(recipe.decoding))


def tokenizer_of(networks: Networks) -> Tokenizer:
    """The four RVQ-VAEs of some networks as one tokenizer."""
    return Tokenizer({part: networks[f"rvqvae_{part}"] for part in PARTS})


def _rvqvae(part: str) -> Phase:
    return Phase(
        f"rvqvae_{part}", "rvqvae", "rvqvae",
        lambda settings, _: RVQVAE(PARTS[part].width, **dict(settings.model.rvqvae)),
        "semtalk.tasks.motion:RVQVAETask", given=lambda *_: {"part": part}, part=part,
    )  # fmt: skip


EMBEDDERS = {"emage": MotionEmbedder, "talkshow": TalkSHOWExtractor, "diffsheg": DiffSHEGExtractor}
"""``model.embedder`` -> the network whose features FGD is of."""
RVQVAE_PHASES = tuple(f"rvqvae_{part}" for part in PARTS)
PHASES = {
    phase.name: phase
    for phase in (
        *map(_rvqvae, PARTS),
        Phase(
            "translation", "rvqvae", "translation",
            lambda settings, _: TranslationNetwork(**dict(settings.model.translation)),
            "semtalk.tasks.motion:TranslationTask", ("rvqvae_lower",),
            lambda needed, _: {"rvqvae": needed["rvqvae_lower"]},
        ),
        Phase(
            "fgd", "rvqvae", "fgd", lambda settings, _: EMBEDDERS[settings.model.embedder](),
            "semtalk.tasks.motion:EmbedderTask",
        ),
        Phase(
            "base", "semtalk", "base", _base, "semtalk.tasks.codes:BaseMotionTask", RVQVAE_PHASES,
            lambda needed, settings: {"tokenizer": tokenizer_of(needed), "decoding": decoding(settings.recipe)},
            speech=True, readouts=True,
        ),
        Phase(
            "sparse", "semtalk", "sparse", _sparse, "semtalk.tasks.codes:SparseMotionTask", (*RVQVAE_PHASES, "base"),
            lambda needed, _: {"tokenizer": tokenizer_of(needed), "base": needed["base"]}, speech=True, labels=True,
        ),
        Phase("alignment", "alignment", "alignment", _scorer, "semtalk.tasks.alignment:AlignmentTask", hears=HEARD),
    )
}  # fmt: skip
"""Name -> phase: everything that is trained, in its order."""


def phases_of(words: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Phases of a stage: a phase's own name, or ``rvqvae`` for those of the chosen parts.

    Beside ``rvqvae``, translation is trained with the lower body, whose RVQ-VAE it reads.
    """
    less = {"translation"} if "rvqvae" in words and "lower" not in parts else set()
    chosen = (
        name
        for word in words
        for name, phase in PHASES.items()
        if (word == name and name not in less) or (word == phase.recipe and phase.part in parts)
    )
    return list(dict.fromkeys(chosen))


def phase_called(name: str) -> Phase:
    """The phase of a name.

    Raises:
        SemTalkError: There is none.
    """
    if name not in PHASES:
        raise SemTalkError(f"phase '{name}' does not exist: choose one of {', '.join(PHASES)}.")
    return PHASES[name]


def build_network(phase: str, settings: NetworkSettings, speakers: int) -> nn.Module:
    """Build the network of a phase with fresh weights.

    Args:
        phase: One of :data:`PHASES`.
        settings: Of a command, or of a trained run: ``model`` and ``features``.
        speakers: Number of speakers of the training corpus.

    Raises:
        SemTalkError: There is no such phase; or a network of one's own cannot be built.
    """
    return phase_called(phase).network(settings, speakers)
