"""Builds the task of a phase: its network with what the training split says of it, beside the trained ones it needs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import nn

from semtalk.body import BodyModel
from semtalk.data.store import Store, in_turn, sampled
from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.models.scorer import AlignmentScorer
from semtalk.motion.parts import batch_frames, part_channels
from semtalk.motion.skeleton import DOWNSAMPLE, PARTS, WINDOW
from semtalk.settings.commands import TrainSettings
from semtalk.settings.common import package_of
from semtalk.settings.trained import references
from semtalk.tasks.checkpoint import load_for_speakers, load_needed
from semtalk.tasks.codes import latent_statistics
from semtalk.tasks.phases import PHASES, build_network, phase_called, tokenizer_of
from semtalk.tasks.sizes import check_codes, check_features, load_weights
from semtalk.tasks.stage import StageTask
from semtalk.tasks.stamp import Facts, new_stamp

MIN_SCALE = 0.02
"""Channels are not stretched beyond 1 / this when they are standardised."""
MIN_MOVEMENT = 1e-3
"""The same of what a scorer sees move."""
MIN_DEVIATION = 1e-5
"""Below it a feature's channel counts as constant."""


def start_from(
    network: nn.Module, settings: TrainSettings, phase: str, speakers: list, trust: Sequence[str] = ()
) -> None:
    """Give a fresh network the weights that another run ended with, see :func:`load_for_speakers`.

    Raises:
        SemTalkError: That run has no such phase, or its network has other sizes.
    """
    init = settings.init
    if init is None:
        return
    trained, stamp = load_for_speakers(init, phase, speakers, trust)
    load_weights(network, trained.state_dict(), phase, settings, stamp.settings, f"init={init}")


def training_channels(store: Store, part: str) -> list[torch.Tensor]:
    """A part's channels (T, D) of the takes that stand for the training split."""
    return [part_channels(batch_frames(recording), PARTS[part]) for recording in in_turn(sampled(store.split("train")))]


def channel_statistics(store: Store, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (D,) of a part's channels over the training split."""
    channels = torch.cat(training_channels(store, part))
    return channels.mean(dim=0), channels.std(dim=0).clamp(min=MIN_SCALE)


def value_statistics(network: nn.Module, store: Store) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (D,) of what a feature extractor sees of the training split."""
    takes = in_turn(sampled(store.split("train")))
    values = torch.cat([network.raw(recording["rotation"], recording["expressions"]) for recording in takes])
    return values.mean(dim=0), values.std(dim=0).clamp(min=MIN_SCALE)


def feature_statistics(store: Store, slot: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (d,) of a feature over the training split; a channel that never changes has deviation 1."""
    count, total, squares = 0, 0.0, 0.0
    for recording in in_turn(sampled(store.split("train"))):
        rows = recording[slot].double()
        count, total, squares = count + len(rows), total + rows.sum(dim=0), squares + rows.square().sum(dim=0)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean, torch.where(deviation > MIN_DEVIATION, deviation, torch.ones_like(deviation))


def movement_statistics(network: AlignmentScorer, store: Store) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Mean and deviation (d,) of what a scorer sees of the windows of the training split, of position and of change."""
    found: list[list[torch.Tensor]] = [[], []]
    long = [recording for recording in store.split("train") if recording.frames >= WINDOW]
    for recording in in_turn(sampled(long)):
        frames = recording.frames // WINDOW * WINDOW
        windows = recording["rotation"][:frames].unflatten(0, (-1, WINDOW))
        for kept, values in zip(found, network.movement(windows), strict=True):
            kept.append(values.flatten(0, 1))
    movements = (torch.cat(values) for values in found)
    return [(values.mean(dim=0), values.std(dim=0).clamp(min=MIN_MOVEMENT)) for values in movements]


def set_feature_statistics(network: nn.Module, store: Store) -> None:
    """Have a network of the method, or a scorer, standardise its features by the training split."""
    for slot, layer in network.standard.items():
        layer.set_statistics(*feature_statistics(store, slot))


def check_labels(store: Store) -> None:
    """See that takes of train have semantic labels, and say how many code steps have none.

    Raises:
        SemTalkError: No take has.
    """
    for split in ("train", "val"):
        takes = store.split(split)
        unlabelled = [recording for recording in takes if recording["semantic"].isnan().any()]
        if split == "train" and len(unlabelled) == len(takes):
            raise SemTalkError(
                f"none of the {len(takes)} takes of train, {takes[0].id} the first, has semantic labels, which sparse "
                "needs: its corpus's reader gives them, and for SHOW scripts/label_semantics.py makes them with a "
                "trained gate."
            )
        if unlabelled:
            steps, of = (sum(one.frames // DOWNSAMPLE for one in some) for some in (unlabelled, takes))
            LOG.info(
                f"{split}: {steps} of {of} code steps, those of {len(unlabelled)} of {len(takes)} takes, have no "
                "semantic labels; the gate loss leaves them out."
            )


def new_task(
    phase: str, settings: TrainSettings, network: nn.Module, needed: Mapping[str, nn.Module], **known: Any
) -> StageTask:
    """The task that trains a network.

    Args:
        phase: See :data:`semtalk.tasks.phases.PHASES`.
        settings: Of the training.
        network: Of the phase.
        needed: Phase -> the networks that it is trained beside, trained or fresh.
        known: What else the task takes: ``body``, ``stamp``, ``statistics``.
    """
    row = PHASES[phase]
    if row.speech:
        known["world"] = known["stamp"].facts.generation == "release" if "stamp" in known else False
    recipe = getattr(settings.recipe, row.recipe)
    known |= {"seed": settings.seed, "fused": settings.speed.fused_adam}
    return row.task_class(network, recipe, **row.given(needed, settings), **known)


def make_task(
    phase: str, settings: TrainSettings, store: Store, run_dir: str | Path, facts: Facts | None = None,
    body: BodyModel | None = None, judge: Callable[..., dict[str, float]] | None = None,
) -> StageTask:  # fmt: skip
    """The task of a phase: its network with what the training split says of it, and the trained ones that it needs.

    Args:
        phase: See :data:`semtalk.tasks.phases.PHASES`.
        settings: Of the training.
        store: The prepared corpus.
        run_dir: Folder that holds the earlier phases' checkpoints.
        facts: For the checkpoints; the store's speakers by default.
        body: For losses on positions; the stand-in by default.
        judge: Of what base and sparse generate in validation, see :class:`semtalk.evaluation.judge.Judge`.

    Raises:
        SemTalkError: An earlier phase has no checkpoint; or sparse is asked for and no take has semantic labels.
    """
    row, init, known = phase_called(phase), settings.init, {}
    facts, run_dir = facts or Facts(store.speakers), Path(run_dir)
    trust = [*settings.trust, *(package_of(word) for _, word in references(settings))]
    network = build_network(phase, settings, len(facts.speakers))
    start_from(network, settings, phase, facts.speakers, trust)
    needed = load_needed(phase, run_dir, init, facts.speakers, trust)
    check_codes(needed, settings.model.rvqvae, str(run_dir))
    check_features(needed, settings.features, str(run_dir))
    if row.labels:
        check_labels(store)
    if phase == "fgd" and hasattr(network, "set_statistics") and init is None:
        network.set_statistics(*value_statistics(network, store))
    if row.part and init is None:
        network.set_statistics(*channel_statistics(store, row.part))
        network.fit_linear(training_channels(store, row.part))
    if row.hears and init is None:
        set_feature_statistics(network, store)
        for standard, statistics in zip(network.moves, movement_statistics(network, store), strict=True):
            standard.set_statistics(*statistics)
    if row.speech:
        if settings.model.standardise and init is None:
            set_feature_statistics(network, store)
        takes = in_turn(track(sampled(store.split("train")), "Encoding motion", transient=True))
        known["statistics"] = latent_statistics(tokenizer_of(needed), takes)
        known |= {"judge": judge, "video_seconds": settings.rollout_video}
    if row.readouts:
        for part, readout in network.readouts.items():
            readout.mean.copy_(known["statistics"].mean[part])
    stamp = new_stamp(phase, settings.plain(), facts, needed)
    return new_task(phase, settings, network, needed, body=body, stamp=stamp, **known)
