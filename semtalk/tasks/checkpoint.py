"""Checkpoints: plain tensors and a plain configuration, loaded without unpickling anything else."""

import filecmp
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semtalk.errors import SemTalkError
from semtalk.files import atomic_write, write_checkpoint
from semtalk.log import LOG
from semtalk.models.tokenizer import Tokenizer
from semtalk.needs import refuse_run
from semtalk.places import WEIGHTS, called, checkpoint_path, no_checkpoint, runs_of_seeds
from semtalk.settings import refuse_untrusted
from semtalk.settings.commands import TrainSettings
from semtalk.settings.words import path_keys
from semtalk.tasks.phases import PHASES, RVQVAE_PHASES, build_network, tokenizer_of
from semtalk.tasks.published import one_line, published_checkpoint
from semtalk.tasks.sizes import check_before_building, misfit, network_weights
from semtalk.tasks.stamp import FORMAT, Stamp, digest

STAMP = {"format": int, "version": str, "phase": str, "config": dict, "meta": dict, "finished": bool, "beside": dict}
"""What the stamp of a checkpoint has, see :class:`semtalk.tasks.stamp.Stamp`."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LATER = {"finished": True, "beside": {}}
"""What earlier versions did not put there."""


def read_tensors(path: Path, kind: str) -> Any:
    """Tensors and plain values of a file that torch wrote, with nothing of it run.

    Args:
        path: Of the file.
        kind: What errors call it.

    Raises:
        SemTalkError: It may not be read, is empty or damaged, or holds anything else.
    """
    if path.stat().st_size == 0:
        raise SemTalkError(f"{path}: the file is empty, and no {kind}; copy it again, or make it anew.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise SemTalkError(f"{path}: it may not be read; give yourself the right to.") from error
    except Exception as error:  # what damaged bytes make of torch and pickle may be any
        raise SemTalkError(
            f"{path}: not a readable {kind}: it is cut short or damaged, or asks for code to be run, which was not "
            "done; copy it again, or make it anew."
        ) from error


def misshapen(checkpoint: Mapping[str, Any]) -> str | None:
    """What of a checkpoint is not as this code base writes it; none where all is."""
    stamped, state = LATER | checkpoint["semtalk"], checkpoint.get("state_dict")
    for key in {**STAMP, **stamped}:
        if key not in STAMP or not isinstance(stamped.get(key), STAMP[key]):
            return f"semtalk.{key}"
    if not isinstance(stamped["meta"].get("speakers"), list):
        return "semtalk.meta.speakers"
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        return "state_dict"
    return None


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """A tensor that holds NaN or infinite numbers; none where all are finite."""
    for name, value in weights.items():
        if value.dtype in FLOATS and value.numel() and not torch.stack(torch.aminmax(value.detach())).isfinite().all():
            return name
    return None


def load_checkpoint(path: Path, phase: str) -> dict[str, Any]:
    """Read a checkpoint of this code base, or a network of a published model in the form of one.

    Raises:
        SemTalkError: It is missing, damaged, of another program, of a newer format, or of another phase; or its weights
            are not finite.
    """
    if not path.is_file():
        raise SemTalkError(no_checkpoint(path, phase, PHASES[phase].stage))
    checkpoint = published_checkpoint(path, phase) if path.suffix == WEIGHTS else read_tensors(path, "checkpoint")
    stamped = checkpoint.get("semtalk") if isinstance(checkpoint, dict) else None
    if not isinstance(stamped, dict) or not isinstance(stamped.get("format"), int):
        raise SemTalkError(f"{path}: not a checkpoint of this code base; give one that `{called('train')}` wrote.")
    if stamped["format"] > FORMAT:
        raise SemTalkError(f"{path}: written by a newer version ({stamped.get('version')}); update semtalk.")
    if wrong := misshapen(checkpoint):
        raise SemTalkError(
            f"{path}: its {wrong} is not what a checkpoint has there, so it is damaged; copy it again, or train "
            f"'{phase}' anew."
        )
    if stamped["phase"] != phase:
        raise SemTalkError(f"{path}: a checkpoint of '{stamped['phase']}', but '{phase}' is wanted.")
    if name := not_finite(checkpoint["state_dict"]):
        raise SemTalkError(
            f"{path}: its {one_line(name)} holds NaN or infinite numbers, so it is damaged, or its training ran away; "
            f"copy it again, or train '{phase}' anew."
        )
    return checkpoint


def read_stamp(run_dir: str | Path, phase: str, which: str = "best") -> Stamp:
    """What the checkpoint of a phase says of itself.

    Raises:
        SemTalkError: See :func:`load_checkpoint`.
    """
    return Stamp.read(load_checkpoint(checkpoint_path(run_dir, phase, which), phase))


def load_network(
    run_dir: str | Path, phase: str, which: str = "best", trust: Sequence[str] = ()
) -> tuple[nn.Module, Stamp]:
    """Load the trained network of a phase, in evaluation mode, with its stamp.

    Args:
        run_dir: Folder of the run.
        phase: One of :data:`PHASES`.
        which: ``best``, ``last``, or one that ``keep_every`` kept on the way, as ``epoch_0010``.
        trust: Packages beside semtalk whose classes the run may name.

    Raises:
        SemTalkError: See :func:`load_checkpoint`; the run names a class of a package that is not trusted; or the
            weights do not fit the configuration beside them.
    """
    path = checkpoint_path(run_dir, phase, which)
    checkpoint = load_checkpoint(path, phase)
    stamp, weights = Stamp.read(checkpoint), network_weights(checkpoint)
    try:
        settings = stamp.settings
        if PHASES[phase].speech:  # the others name nothing that is imported
            refuse_untrusted(settings, trust)
        if path.suffix == WEIGHTS:
            check_before_building(phase, settings, len(stamp.facts.speakers), weights)
        network = build_network(phase, settings, len(stamp.facts.speakers))
    except SemTalkError as error:
        raise SemTalkError(f"{path}: {error}") from error
    if wrong := misfit(network, weights):
        raise SemTalkError(
            f"{path}: its weights do not fit the configuration that it holds ({wrong}): one of them was changed, or a "
            f"class that the configuration names; train '{phase}' anew."
        )
    if not stamp.finished and which in ("best", "last"):
        LOG.warning(f"{path}: its training is not finished; the same command with resume=true goes on with it.")
    return network.eval(), stamp


def check_together(run_dir: str | Path, networks: Mapping[str, nn.Module], stamps: Mapping[str, Stamp]) -> None:
    """See that networks were trained beside those that they are used with.

    Args:
        run_dir: Folder of the run.
        networks: Phase -> network that is used.
        stamps: Phase -> its stamp; that of an earlier version says nothing.

    Raises:
        SemTalkError: One was trained beside another network.
    """
    needed = {name for stamp in stamps.values() for name in stamp.beside} & set(networks)
    prints = {name: digest(networks[name].state_dict()) for name in needed}
    for phase, stamp in stamps.items():
        check_beside(str(run_dir), phase, stamp, prints)


def check_beside(said: str, phase: str, stamp: Stamp, prints: Mapping[str, str]) -> None:
    """See that a network was trained beside those that are there.

    Args:
        said: Begins the error.
        phase: Of the network.
        stamp: Of the network.
        prints: Phase -> :func:`digest` of the network that is there.

    Raises:
        SemTalkError: It was trained beside another one.
    """
    for name, wanted in stamp.beside.items():
        if prints.get(name, wanted) != wanted:
            raise SemTalkError(
                f"{said}: its '{phase}' was trained beside another '{name}' than the one that is there now; "
                f"train it again: `{called('train')} stage={PHASES[phase].stage}` and the run's other arguments."
            )


def load_for_speakers(
    run_dir: str | Path, phase: str, speakers: list, trust: Sequence[str] = ()
) -> tuple[nn.Module, Stamp]:
    """The trained network of a phase for other speakers: those it knows keep their embedding, new ones get the mean.

    Raises:
        SemTalkError: See :func:`load_network`.
    """
    network, stamp = load_network(run_dir, phase, trust=trust)
    known = stamp.facts.speakers
    if speakers == known or not PHASES[phase].speech:
        return network, stamp
    other, state = build_network(phase, stamp.settings, len(speakers)), network.state_dict()
    with torch.device("meta"):
        more = build_network(phase, stamp.settings, len(known) + 1).state_dict()
    for name in (name for name, rows in state.items() if rows.shape != more[name].shape):  # a row for each speaker
        rows, mean = state[name], state[name].mean(dim=0)
        state[name] = torch.stack([rows[known.index(one)] if one in known else mean for one in speakers])
    other.load_state_dict(state)
    return other.eval(), stamp


def load_needed(
    phase: str, run_dir: Path, init: str | None, speakers: list, trust: Sequence[str] = ()
) -> dict[str, nn.Module]:
    """Trained networks that a phase needs, of its run, or of the run that it started from.

    Raises:
        SemTalkError: See :func:`load_network`; the training of one is not finished; or they do not belong together.
    """
    folders = {
        name: run_dir if init is None or checkpoint_path(run_dir, name).is_file() else init
        for name in PHASES[phase].needs
    }
    loaded = {name: load_for_speakers(folder, name, speakers, trust) for name, folder in folders.items()}
    for name, (_, stamp) in loaded.items():
        if not stamp.finished:
            where = checkpoint_path(folders[name], name)
            raise SemTalkError(
                f"{where}: the training of '{name}' is not finished, and '{phase}' needs it; go on with "
                f"`{called('train')} stage={PHASES[name].stage} resume=true` and the run's other arguments."
            )
    networks = {name: network for name, (network, _) in loaded.items()}
    check_together(run_dir, networks, {name: stamp for name, (_, stamp) in loaded.items()})
    return networks


def share_checkpoints(source: str | Path, run_dir: Path, phases: Sequence[str], key: str) -> None:
    """Give a run the trained networks of another one.

    Raises:
        SemTalkError: The other run lacks one of them, or this one has others.
    """
    refuse_run(key, source, phases)
    for phase in phases:
        own, other = checkpoint_path(run_dir, phase), checkpoint_path(source, phase)
        published = load_checkpoint(other, phase) if other.suffix == WEIGHTS else None
        if own.is_file():
            same = filecmp.cmp(own, other, shallow=False)
            if published:
                weights = (network_weights(one) for one in (load_checkpoint(own, phase), published))
                same = len(set(map(digest, weights))) == 1
            if same:
                continue
            raise SemTalkError(f"{key}={source}: {run_dir} has a '{phase}' of its own; give the run another name.")
        if published:
            write_checkpoint(own, published)
        else:
            atomic_write(own, lambda temporary, other=other: shutil.copyfile(other, temporary))


def phases_to_train(phases: Sequence[str], run_dir: Path, embedder: str | None) -> list[str]:
    """Phases of a stage, without an FGD embedder that is taken over or is the authors' own: none is trained over it.

    Args:
        phases: Of the stage.
        run_dir: Folder of the run.
        embedder: Run whose embedder is taken over, or none.

    Raises:
        SemTalkError: Nothing else is to be trained.
    """
    if "fgd" not in phases or not (embedder or _is_released(run_dir)):
        return list(phases)
    path = checkpoint_path(run_dir, "fgd")
    said = f"embedder={embedder} is taken over" if embedder else f"{path} is the authors' released embedder"
    if len(phases) == 1:
        raise SemTalkError(f"{said}, and stage=fgd would write over it; train one in a run of another name.")
    LOG.info(f"{said}: no embedder is trained.")
    return [phase for phase in phases if phase != "fgd"]


def refuse_parts(phases: Sequence[str], run_dir: Path) -> None:
    """See that phases which need the RVQ-VAEs of all parts have them, before those of some parts are trained.

    Raises:
        SemTalkError: One is neither trained nor there.
    """
    trained = [phase for phase in phases if phase in RVQVAE_PHASES]
    for phase in phases:
        lacking = [
            need for need in PHASES[phase].needs if need not in phases and not checkpoint_path(run_dir, need).is_file()
        ]
        if trained and lacking:
            raise SemTalkError(
                f"parts: {phase} needs {', '.join(lacking)}, which the stage does not train with these parts and "
                f"{run_dir} does not have; choose stage=rvqvae, or leave parts out."
            )


def embedder_of_seeds(runs_dir: Path, name: str, data: Mapping[str, Any]) -> str | None:
    """The first of the runs of several seeds that has an FGD embedder: all take it, so that their FGD compares.

    Args:
        runs_dir: Folder of the runs, which are called ``NAME_seedN``.
        name: Of the runs, without the seed.
        data: Of a run's configuration; the embedder is of the same, wherever it lay then.
    """
    places = path_keys(TrainSettings)

    def wherever(data: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in data.items() if f"data.{key}" not in places}

    for folder in runs_of_seeds(runs_dir, name):
        if checkpoint_path(folder, "fgd").is_file():
            of = read_stamp(folder, "fgd").config.get("data") or {}
            if wherever(of) == wherever(data):
                return str(folder)
    return None


def _is_released(run_dir: Path) -> bool:
    """Whether a run holds the released embedder; one that cannot be read is none."""
    try:
        return read_stamp(run_dir, "fgd").facts.released is not None
    except SemTalkError:
        return False


def load_codecs(run_dir: str | Path) -> dict[str, nn.Module]:
    """Phase -> RVQ-VAE, of the four trained ones of a run."""
    return {phase: load_network(run_dir, phase)[0] for phase in RVQVAE_PHASES}


def load_tokenizer(run_dir: str | Path) -> Tokenizer:
    """The four trained RVQ-VAEs of a run."""
    return tokenizer_of(load_codecs(run_dir))
