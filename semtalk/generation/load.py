"""Puts the trained networks of a run together."""

from collections.abc import Mapping
from pathlib import Path

from semtalk.errors import SemTalkError
from semtalk.generation.release import ReleaseGenerator
from semtalk.generation.rollout import Generator
from semtalk.models.decoding import FACTORS, Decoding
from semtalk.tasks.checkpoint import load_network, load_tokenizer

ROLLOUTS = {"default": Generator, "release": ReleaseGenerator}
IN_RUN = "run:"
"""Begins the path of a file that lies in the run's own folder."""


def located(features: Mapping, folder: Path) -> dict:
    """Feature configuration with the files of the run's folder where they are now."""
    slots = {
        slot: {
            key: str(folder / value.removeprefix(IN_RUN)) if str(value).startswith(IN_RUN) else value
            for key, value in options.items()
        }
        for slot, options in features["slots"].items()
    }
    return {**features, "slots": slots}


def decoding_of(config: Mapping, wanted: Mapping | None = None) -> Decoding:
    """How codes are read off: as the run's recipe says, else the likeliest; but for wanted keys that are set.

    Raises:
        SemTalkError: What is wanted needs a factor that the run's training did not look for.
    """
    trained = config.get("recipe", {}).get("decoding", {})
    decoding = Decoding(**{**trained, **{key: value for key, value in (wanted or {}).items() if value is not None}})
    for key in ("face", "body"):
        found, factor = FACTORS.get(trained.get(key)), FACTORS.get(getattr(decoding, key))
        if found and factor and found != factor and getattr(decoding, factor) is None:
            raise SemTalkError(
                f"decoding.{key}={getattr(decoding, key)}: the run found a {found} for its {key}, but no {factor}; "
                f"give decoding.{factor}=NUMBER too (1 leaves what is read off as it is)."
            )
    return decoding


def load_generator(
    run_dir: str | Path, generation: str = "auto", decoding: Mapping | None = None
) -> tuple[Generator, dict]:
    """The trained networks of a run, and the stamp of its sparse network (config, meta).

    Args:
        run_dir: Folder of the run.
        generation: ``default``, ``release``, or ``auto``: what the run's networks were trained for.
        decoding: What to read codes off otherwise than the run's recipe says, see :class:`Decoding`.

    Raises:
        SemTalkError: A checkpoint is missing, or there is no such rollout.
    """
    if generation not in ("auto", *ROLLOUTS):
        raise SemTalkError(f"generation={generation}: choose one of auto, {', '.join(ROLLOUTS)}.")
    base, _ = load_network(run_dir, "base")
    sparse, stamped = load_network(run_dir, "sparse")
    translation, _ = load_network(run_dir, "translation")
    if generation == "auto":
        generation = stamped["meta"].get("generation", "default")
    features = located(stamped["config"]["features"], Path(run_dir))
    stamped = {**stamped, "config": {**stamped["config"], "features": features}}
    networks = (load_tokenizer(Path(run_dir)), translation, base, sparse)
    return ROLLOUTS[generation](*networks, decoding_of(stamped["config"], decoding)), stamped
