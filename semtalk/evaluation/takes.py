"""Generates the takes of a split, as the legacy protocol does: seeded with 4 true frames, 60 k + 4 frames long."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from semtalk.data.store import StoredRecording
from semtalk.errors import SemTalkError
from semtalk.features.extract import SLOTS
from semtalk.generation.rollout import NEW_FRAMES, Generator, Rollout, padded_frames
from semtalk.generation.speech import stack_features
from semtalk.motion.parts import Frames
from semtalk.motion.rotation import matrix_to_6d, rotation_6d_to_matrix
from semtalk.motion.skeleton import DOWNSAMPLE, FPS, SEED_FRAMES, WINDOW
from semtalk.tasks.motion import batch_frames


def legacy_frames(frames: int) -> int:
    """Frames that legacy keeps of a take: whole seconds, a multiple of 8, then 60 k + 4 (0 if too short)."""
    whole = frames // FPS * FPS
    windows = (whole - whole % 8 - SEED_FRAMES) // NEW_FRAMES
    return windows * NEW_FRAMES + SEED_FRAMES if windows > 0 else 0


def whole_frames(frames: int) -> int:
    """Frames of a take that make whole code steps (0 if it is shorter than a window)."""
    return frames // DOWNSAMPLE * DOWNSAMPLE if frames >= WINDOW else 0


@dataclass
class Take:
    """One recording and what was generated for it.

    Attributes:
        id: Its name.
        frames: T that is compared.
        betas: (300,) true body shape.
        wave: (S,) at 16 kHz, or none.
        semantic: (T,) labelled semantic score, or none.
        rotation: Row -> (T, 55, 6): ``truth``, ``fused``, ``base``.
        expressions: Row -> (T, 100).
        trans: Row -> (T, 3) in metres.
        psi: (T/4,) predicted semantic score, or none.
        recording: The truth as prepared, or none for a file that belongs to no corpus.
    """

    id: str
    frames: int
    betas: Tensor
    wave: Tensor | None
    semantic: Tensor | None
    rotation: dict[str, Tensor]
    expressions: dict[str, Tensor]
    trans: dict[str, Tensor]
    psi: Tensor | None = None
    recording: StoredRecording | None = None

    @property
    def semantic_frames(self) -> Tensor:
        """(T,) whether a frame is inside a labelled semantic interval."""
        return self.semantic > 0

    @property
    def semantic_steps(self) -> Tensor:
        """(T/4,) whether the mean semantic score of a code step is above 0."""
        return self.semantic.unflatten(0, (-1, DOWNSAMPLE)).mean(dim=-1) > 0


def true_frames(recording: StoredRecording, frames: slice) -> Frames:
    """Frames of the truth as a batch of one."""
    return batch_frames(recording).map(lambda value: value[frames][None])


def true_seed(generator: Generator, recording: StoredRecording) -> tuple[Tensor, Tensor]:
    """First 4 frames of the truth as seed channels (1, 4, 337) and start position (1, 3)."""
    head = slice(0, SEED_FRAMES)
    trans = recording["trans"][head][None]
    return generator.channels(true_frames(recording, head), trans), trans[:, 0]


def rollout_takes(
    generator: Generator,
    recordings: list[StoredRecording],
    speakers: list[int],
    stride: int,
    beta: float,
    gate: str,
    heard: list[StoredRecording] | None = None,
    progress: Callable = lambda windows: windows,
    seed: int = 0,
    sample: int = 0,
    counted: Callable[[int], int] = legacy_frames,
) -> tuple[Rollout, list[int]]:
    """Generate several takes at once; returns the rollout and the frames that count of each take.

    Args:
        generator: Trained networks.
        recordings: Whose truth seeds the takes.
        speakers: The corpus numbers that the networks know, in order.
        stride: Frames between rows of window features.
        beta: Threshold of the semantic score.
        gate: How sparse steps are chosen, see :meth:`Generator.rollout`.
        heard: Recordings whose speech is given instead of the takes' own.
        progress: Wraps the iteration over windows.
        seed: Of all randomness.
        sample: Number of the sample.
        counted: Frames of a take -> those that count.
    """
    lengths = [counted(recording.frames) for recording in recordings]
    device = next(generator.parameters()).device
    features = stack_features(heard or recordings, padded_frames(max(lengths)))
    seeds = [true_seed(generator, recording) for recording in recordings]
    rollout = generator.rollout(
        {slot: features[slot].to(device) for slot in SLOTS},
        torch.tensor([speakers.index(recording.info["speaker"]) for recording in recordings], device=device),
        stride,
        beta=beta,
        gate=gate,
        seed=tuple(torch.cat(values).to(device) for values in zip(*seeds, strict=True)),
        progress=progress,
        reader=generator.reader([recording.id for recording in recordings], seed=seed, sample=sample),
    )
    return rollout, lengths


def generate_takes(
    generator: Generator,
    recordings: list[StoredRecording],
    meta: Mapping,
    stride: int,
    beta: float,
    gate: str,
    progress: Callable,
    seed: int = 0,
    counted: Callable[[int], int] = legacy_frames,
) -> tuple[list[Take], list[str]]:
    """Generate every recording with and without the sparse network.

    Returns:
        The takes, and the ids of recordings that are too short to be evaluated.

    Raises:
        SemTalkError: No recording is long enough, or one is of a speaker that the networks do not know.
    """
    speakers = meta["speakers"]
    unknown = {r.info["speaker"] for r in recordings} - set(speakers)
    if unknown:
        raise SemTalkError(f"speakers {sorted(unknown)} were not trained on; the run knows {speakers}.")
    short = [r.id for r in recordings if not counted(r.frames)]
    recordings = [r for r in recordings if counted(r.frames)]
    if not recordings:
        raise SemTalkError("no recording of this split is long enough to be evaluated (64 frames in whole seconds).")
    rollouts = {}
    for name, chosen in (("fused", gate), ("base", "never")):
        rollouts[name], lengths = rollout_takes(
            generator, recordings, speakers, stride, beta, chosen, progress=progress, seed=seed, counted=counted
        )  # fmt: skip
    takes = []
    for index, (recording, frames) in enumerate(zip(recordings, lengths, strict=True)):
        psi = rollouts["fused"].psi[index, : frames // DOWNSAMPLE].cpu()
        semantic = recording["semantic"][:frames]
        semantic = None if semantic.isnan().any() else semantic
        take = Take(
            recording.id, frames, recording["betas"], recording["wave"], semantic, {}, {}, {}, psi, recording
        )  # fmt: skip
        take.rotation["truth"] = recording["rotation"][:frames]
        take.expressions["truth"] = recording["expressions"][:frames]
        take.trans["truth"] = recording["trans"][:frames]
        for name, rollout in rollouts.items():
            take.rotation[name] = rollout.frames.rotation[index, :frames].cpu()
            take.expressions[name] = rollout.frames.expressions[index, :frames].cpu()
            take.trans[name] = rollout.trans[index, :frames].cpu()
        takes.append(take)
    return takes, short


def most_gestured(takes: list[Take], seconds: float | None) -> Take:
    """The take with the most frames of labelled gestures in its first seconds: the one worth looking at."""
    frames = None if seconds is None else int(seconds * FPS)
    return max(takes, key=lambda take: 0 if take.semantic is None else int(take.semantic_frames[:frames].sum()))


def add_mean_pose(takes: list[Take], training: Sequence[Mapping[str, Tensor]]) -> None:
    """Give every take the row ``mean``: the mean pose and face of the training split, the floor of every metric."""
    rotation = torch.cat([recording["rotation"] for recording in training]).mean(dim=0)
    rotation = matrix_to_6d(rotation_6d_to_matrix(rotation))
    expressions = torch.cat([recording["expressions"] for recording in training]).mean(dim=0)
    for take in takes:
        take.rotation["mean"] = rotation.expand(take.frames, -1, -1)
        take.expressions["mean"] = expressions.expand(take.frames, -1)
        take.trans["mean"] = take.trans["truth"].mean(dim=0).expand(take.frames, -1)
