"""Puts the trained networks of a run together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from semtalk.errors import SemTalkError
from semtalk.features.extract import SLOTS
from semtalk.generation.release import ReleaseMotionGenerator
from semtalk.generation.rollout import MotionGenerator
from semtalk.log import LOG
from semtalk.models.decoding import FACTORS, Decoding
from semtalk.motion.skeleton import PARTS
from semtalk.places import called, checkpoint_path
from semtalk.settings import recipes, validated
from semtalk.settings.inputs import Features, Slot
from semtalk.tasks.checkpoint import check_together, load_codecs, load_network
from semtalk.tasks.phases import tokenizer_of
from semtalk.tasks.published import GIVEN, IN_RUN
from semtalk.tasks.sizes import check_codes, check_features
from semtalk.tasks.stamp import Facts

ROLLOUTS = {"default": MotionGenerator, "release": ReleaseMotionGenerator}
Files = Mapping[str, str | Path]
"""Slot -> the file or folder of its model, for features whose files are not published."""


@dataclass(frozen=True)
class Run:
    """A trained run, ready to generate.

    Attributes:
        generator: Its networks.
        features: What they hear and read, with the files of the run's folder where they are now.
        facts: Of its data and method.
        corpus: Reader of the corpus that it was trained on, where it is said.
    """

    generator: MotionGenerator
    features: Features
    facts: Facts
    corpus: str | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Phase -> its network."""
        return networks_of(self.generator)


def networks_of(generator: MotionGenerator) -> dict[str, nn.Module]:
    """Phase -> its network, of those that generate."""
    found = {f"rvqvae_{part}": generator.tokenizer[part] for part in PARTS}
    found |= {name: getattr(generator, name) for name in ("translation", "base", "sparse")}
    return {name: network for name, network in found.items() if network is not None}


def files_of(features: Features) -> dict[str, str]:
    """Slot -> the file or folder that a configuration names for it."""
    slots = {name: features.slots[name] for name in SLOTS}
    return {name: value for name, slot in slots.items() if (value := slot.path or slot.model)}


def located(features: Features, folder: Path, files: Files | None = None) -> Features:
    """Features with the files of the run's folder where they are now, and with those that were given.

    Args:
        features: Of the run.
        folder: Of the run.
        files: Those that a published model does not have.

    Raises:
        SemTalkError: One of these is not given.
    """
    files = files or {}

    def where(name: str, key: str, value: str) -> str:
        if value.startswith(IN_RUN):
            return str(folder / value.removeprefix(IN_RUN))
        if name not in files:
            wanted = value.removeprefix(GIVEN)
            raise SemTalkError(
                f"{folder}: its features need '{wanted}', no part of it; give features.slots.{name}.{key}=FILE "
                f'with the run\'s features={features.name}, in Python files={{"{name}": FILE}}.'
            )
        return str(files[name])

    def slot(name: str, one: Slot) -> Slot:
        named = {key: getattr(one, key) or "" for key in ("path", "model")}
        found = {key: where(name, key, value) for key, value in named.items() if value.startswith((IN_RUN, GIVEN))}
        return one.model_copy(update=found)

    slots = {name: slot(name, features.slots[name]) for name in SLOTS}
    return features.model_copy(update={"slots": features.slots.model_copy(update=slots)})


def decoding_of(trained: recipes.Decoding, wanted: Mapping | None = None) -> Decoding:
    """How codes are read off: as the run's recipe says, but for wanted keys that are set.

    Raises:
        SemTalkError: There is no such key or value; or what is wanted needs a factor that the run's training did not
            look for.
    """
    unset = dict.fromkeys(recipes.WantedDecoding.model_fields)
    asked = validated(recipes.WantedDecoding, unset | dict(wanted or {}))
    chosen = {key: value for key, value in dict(asked).items() if value is not None}
    decoding = Decoding(**{**dict(trained), **chosen})
    for key in ("face", "body"):
        found, factor = FACTORS.get(getattr(trained, key)), FACTORS.get(getattr(decoding, key))
        if found and factor and found != factor and getattr(decoding, factor) is None:
            raise SemTalkError(
                f"decoding.{key}={getattr(decoding, key)}: the run found a {found} for its {key}, but no {factor}; "
                f"give decoding.{factor}=NUMBER too (1 leaves what is read off as it is)."
            )
    return decoding


def load_generator(
    run_dir: str | Path, generation: str = "auto", decoding: Mapping | None = None, trust: Sequence[str] = (),
    files: Files | None = None,
) -> Run:  # fmt: skip
    """Load the trained networks of a run; without a sparse network base alone makes the motion.

    Args:
        run_dir: Folder of the run.
        generation: ``default``, ``release``, or ``auto``: what the run's networks were trained for.
        decoding: What to read codes off otherwise than the run's recipe says, see :class:`Decoding`.
        trust: Packages beside semtalk whose classes the run may name.
        files: See :func:`located`.

    Raises:
        SemTalkError: A checkpoint is missing, there is no such rollout, or the networks do not belong together.
    """
    if generation not in ("auto", *ROLLOUTS):
        raise SemTalkError(f"generation={generation}: choose one of auto, {', '.join(ROLLOUTS)}.")
    networks = {phase: load_network(run_dir, phase, trust=trust) for phase in ("base", "translation")}
    codecs, said = load_codecs(run_dir), str(run_dir)
    check_codes(codecs, networks["base"][1].settings.model.rvqvae, said)
    if checkpoint_path(run_dir, "sparse").is_file():
        networks["sparse"] = load_network(run_dir, "sparse", trust=trust)
        wanted = networks["sparse"][1].settings
        check_codes(codecs, wanted.model.rvqvae, said)
        check_features({"base": networks["base"][0]}, wanted.features, said)
    else:
        LOG.warning(
            f"{run_dir} has no sparse network: base alone makes the motion ({called('train')} stage=sparse trains one)."
        )
    stamps = {phase: stamp for phase, (_, stamp) in networks.items()}
    trained = codecs | {phase: network for phase, (network, _) in networks.items()}
    check_together(run_dir, trained, stamps)
    stamp = stamps.get("sparse", stamps["base"])
    if generation == "auto":
        generation = stamp.facts.generation
    settings = stamp.settings
    generator = ROLLOUTS[generation](
        tokenizer_of(trained), trained["translation"], trained["base"], trained.get("sparse"),
        decoding_of(settings.recipe.decoding, decoding),
    )  # fmt: skip
    data = stamp.config.get("data") or {}
    corpus = data.get("reader", data.get("name"))  # a published model says the name alone
    return Run(generator, located(settings.features, Path(run_dir), files), stamp.facts, corpus)
