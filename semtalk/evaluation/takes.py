"""Generates the takes of a split, as the legacy protocol does: seeded with 4 true frames, 60 k + 4 frames long."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import torch
from torch import Tensor

from semtalk.data.recording import Corpus, SemanticInterval
from semtalk.data.store import StoredRecording
from semtalk.errors import SemTalkError
from semtalk.features.extract import SLOTS, stack_features
from semtalk.generation.rollout import MotionGenerator, Rollout
from semtalk.generation.seams import NEW_FRAMES, padded_frames
from semtalk.models.fusion import BETA
from semtalk.motion.parts import Frames, batch_frames
from semtalk.motion.rotation import matrix_to_6d, rotation_6d_to_matrix
from semtalk.motion.skeleton import DOWNSAMPLE, FPS, SEED_FRAMES, WINDOW


def legacy_frames(frames: int) -> int:
    """Frames that legacy keeps of a take: whole seconds, a multiple of 8, then 60 k + 4 (0 if too short)."""
    whole = frames // FPS * FPS
    windows = (whole - whole % 8 - SEED_FRAMES) // NEW_FRAMES
    return windows * NEW_FRAMES + SEED_FRAMES if windows > 0 else 0


def whole_frames(frames: int) -> int:
    """Frames of a take that make whole code steps (0 if it is shorter than a window)."""
    return frames // DOWNSAMPLE * DOWNSAMPLE if frames >= WINDOW else 0


def all_frames(frames: int) -> int:
    """Every frame of a take (0 if there is none behind the seed)."""
    return frames if frames > SEED_FRAMES else 0


@dataclass
class Take:
    """One recording and what was generated for it.

    Attributes:
        id: Its name.
        frames: T that is compared.
        betas: (300,) true body shape.
        wave: (S,) at 16 kHz, the whole sound of the recording, which may outlast its motion; or none.
        semantic: (T,) labelled semantic score, or none.
        rotation: Row -> (T, 55, 6): ``truth``, ``fused``, ``base``.
        expressions: Row -> (T, 100).
        trans: Row -> (T, 3) in metres.
        psi: (T/4,) semantic score that the motion was made by, or none.
        gate: (T/4,) semantic score that the trained gate gives, whatever the motion was made by; none without one.
        recording: The truth as prepared, or none for a file that belongs to no corpus.
        labels: Rows of its semantic annotation, beats too; or none.
    """

    id: str
    frames: int
    betas: Tensor
    wave: Tensor | None
    semantic: Tensor | None
    rotation: dict[str, Tensor] = field(default_factory=dict)
    expressions: dict[str, Tensor] = field(default_factory=dict)
    trans: dict[str, Tensor] = field(default_factory=dict)
    psi: Tensor | None = None
    gate: Tensor | None = None
    recording: StoredRecording | None = None
    labels: list[SemanticInterval] | None = None

    def add(self, row: str, rotation: Tensor, expressions: Tensor, trans: Tensor) -> None:
        """Give the take a row: (T, 55, 6), (T, 100) and (T, 3)."""
        self.rotation[row], self.expressions[row], self.trans[row] = rotation, expressions, trans

    def add_rollout(self, row: str, rollout: Rollout, index: int) -> None:
        """Give the take a row from a rollout, where it is the one of this index."""
        values = rollout.frames.rotation, rollout.frames.expressions, rollout.trans
        self.add(row, *(value[index, : self.frames].cpu() for value in values))

    @property
    def semantic_frames(self) -> Tensor:
        """(T,) whether a frame is inside a labelled semantic interval."""
        return self.semantic > 0

    @property
    def semantic_steps(self) -> Tensor:
        """(T/4,) whether the mean semantic score of a code step, of which the last may be cut short, is above 0."""
        return torch.stack([step.mean() for step in self.semantic.split(DOWNSAMPLE)]) > 0

    def samples(self, row: str) -> list[str]:
        """Rows that hold a row's samples: itself, then those that :meth:`sample_name` names."""
        return [row, *(name for name in self.rotation if name.startswith(f"{row}#"))]

    @staticmethod
    def sample_name(row: str, sample: int) -> str:
        """The row that holds a further sample of a row, from 1."""
        return f"{row}#{sample}"


def true_frames(recording: StoredRecording, frames: slice) -> Frames:
    """Frames of the truth as a batch of one."""
    return batch_frames(recording).map(lambda value: value[frames][None])


@dataclass(frozen=True)
class TakeMaker:
    """Generates takes as an evaluation wants them.

    Attributes:
        generator: Trained networks.
        speakers: The corpus numbers that the networks know, in order.
        stride: Frames between rows of window features.
        beta: Threshold of the semantic score.
        gate: How sparse steps are chosen, see :meth:`MotionGenerator.rollout`.
        seed: Of all randomness.
        counted: Frames of a take -> those that count.
        true_seed: Whether takes begin with the first frames of their truth; else with the generator's mean pose.
    """

    generator: MotionGenerator
    speakers: list
    stride: int
    beta: float = BETA
    gate: str = "learned"
    seed: int = 0
    counted: Callable[[int], int] = legacy_frames
    true_seed: bool = True

    def seed_of(self, recording: StoredRecording) -> tuple[Tensor, Tensor]:
        """What a take begins with: seed channels (1, 4, 337) and start position (1, 3)."""
        if not self.true_seed:
            return self.generator.neutral_seed(1)
        head = slice(0, SEED_FRAMES)
        trans = recording["trans"][head][None]
        return self.generator.channels(true_frames(recording, head), trans), trans[:, 0]

    def features(
        self, recordings: list[StoredRecording], speech: list[StoredRecording] | None = None
    ) -> dict[str, Tensor]:
        """Features (B, T, ...) of the speech of takes, or of other recordings' speech, for as long as they are."""
        device = next(self.generator.parameters()).device
        longest = max(self.counted(recording.frames) for recording in recordings)
        stacked = stack_features(speech or recordings, padded_frames(longest))
        return {slot: stacked[slot].to(device) for slot in SLOTS}

    def gate_scores(self, recordings: list[StoredRecording], fused: Rollout) -> Tensor | None:
        """Semantic score (B, S) of the trained gate, by which ``fused`` was made or not; none without a gate."""
        if self.generator.sparse is None:
            return None
        return fused.psi if self.gate == "learned" else self.generator.scores(self.features(recordings), self.stride)

    def rollout(
        self,
        recordings: list[StoredRecording],
        speech: list[StoredRecording] | None = None,
        gate: str | None = None,
        sample: int = 0,
        progress: Callable = lambda windows: windows,
    ) -> Rollout:
        """Generate several takes at once, seeded by their truth.

        Args:
            recordings: The takes.
            speech: Recordings whose speech is given instead of the takes' own.
            gate: Instead of :attr:`gate`.
            sample: Number of the sample.
            progress: Wraps the iteration over windows.
        """
        device = next(self.generator.parameters()).device
        features = self.features(recordings, speech)
        seeds = [self.seed_of(recording) for recording in recordings]
        return self.generator.rollout(
            features,
            torch.tensor([self.speakers.index(recording.info["speaker"]) for recording in recordings], device=device),
            self.stride,
            beta=self.beta,
            gate=gate or self.gate,
            seed=tuple(torch.cat(values).to(device) for values in zip(*seeds, strict=True)),
            progress=progress,
            reader=self.generator.reader([recording.id for recording in recordings], seed=self.seed, sample=sample),
            takes=[self.counted(recording.frames) for recording in recordings],
        )

    def long_enough(self, recordings: list[StoredRecording]) -> tuple[list[StoredRecording], list[str]]:
        """Recordings that can be evaluated, and the ids of those that are too short.

        Raises:
            SemTalkError: No recording is long enough, or one is of a speaker that the networks do not know.
        """
        unknown = {r.info["speaker"] for r in recordings} - set(self.speakers)
        if unknown:
            raise SemTalkError(f"speakers {sorted(unknown)} were not trained on; the run knows {self.speakers}.")
        chosen = [r for r in recordings if self.counted(r.frames)]
        if not chosen:
            least = next(frames for frames in count(1) if self.counted(frames))
            raise SemTalkError(f"no recording of this split is long enough to be evaluated: {least} frames or more.")
        return chosen, [r.id for r in recordings if not self.counted(r.frames)]

    def takes(
        self, recordings: list[StoredRecording], progress: Callable = lambda windows: windows, base: bool = True
    ) -> tuple[list[Take], list[str]]:
        """Generate every recording with and without the sparse network: the rows ``fused`` and ``base``.

        Args:
            recordings: What is said.
            progress: Wraps the iteration over windows.
            base: Whether there is the row ``base``.

        Returns:
            The takes, and the ids of recordings that are too short to be evaluated.

        Raises:
            SemTalkError: No recording is long enough, or one is of a speaker that the networks do not know.
        """
        recordings, short = self.long_enough(recordings)
        rollouts = {"fused": self.rollout(recordings, progress=progress)}
        if base:
            rollouts["base"] = self.rollout(recordings, gate="never", progress=progress)
        gate = self.gate_scores(recordings, rollouts["fused"])
        takes = []
        for index, recording in enumerate(recordings):
            frames = self.counted(recording.frames)
            semantic = recording["semantic"][:frames]
            steps = slice(-(-frames // DOWNSAMPLE))
            take = Take(
                recording.id, frames, recording["betas"], None, None if semantic.isnan().any() else semantic,
                psi=rollouts["fused"].psi[index, steps].cpu(), gate=None if gate is None else gate[index, steps].cpu(),
                recording=recording,
            )  # fmt: skip
            truth = recording["rotation"], recording["expressions"], recording["trans"]
            take.add("truth", *(value[:frames] for value in truth))
            for name, rollout in rollouts.items():
                take.add_rollout(name, rollout, index)
            takes.append(take)
        return takes, short


class Shown:
    """The take that is worth looking at, of takes that come some at a time; the others are not kept."""

    def __init__(self, seconds: float | None):
        """Look at the first seconds of each, or at all of it."""
        self.seconds = seconds
        self.take: Take | None = None

    def __call__(self, takes: list[Take]) -> None:
        """See more takes."""
        self.take = most_gestured([*([self.take] if self.take else []), *takes], self.seconds)


def most_gestured(takes: list[Take], seconds: float | None) -> Take:
    """The take with the most frames of labelled gestures in its first seconds: the one worth looking at."""
    frames = None if seconds is None else int(seconds * FPS)
    return max(takes, key=lambda take: 0 if take.semantic is None else int(take.semantic_frames[:frames].sum()))


def add_sound(takes: list[Take], corpus: Corpus) -> None:
    """Give every take the whole sound of its recording, and all its labels; a store holds less of both."""
    entries = {entry.id: entry for entry in corpus.entries()}
    for take in takes:
        read = corpus.read(entries[take.id])
        take.wave, take.labels = torch.from_numpy(read.wave), read.semantics


def mean_frame(training: Iterable[Mapping[str, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean pose (55, 6) and face (100,) of takes."""
    rotations, faces = zip(*((recording["rotation"], recording["expressions"]) for recording in training), strict=True)
    rotation = matrix_to_6d(rotation_6d_to_matrix(torch.cat(rotations).mean(dim=0)))
    return rotation, torch.cat(faces).mean(dim=0)


def add_still(takes: list[Take], frame: tuple[Tensor, Tensor]) -> None:
    """Give every take the row ``mean``: one pose (55, 6) and face (100,) that stand where the truth is on the mean."""
    for take in takes:
        values = (*frame, take.trans["truth"].mean(dim=0))
        take.add("mean", *(value.expand(take.frames, *value.shape) for value in values))


def add_mean_pose(takes: list[Take], training: Sequence[Mapping[str, Tensor]]) -> None:
    """Give every take the row ``mean``: the mean pose and face of the training split, the floor of every metric."""
    add_still(takes, mean_frame(training))
