"""Edits of generated motion: semantic scores that are set, and poses that are held; what they do not touch stays.

A take is generated as without edits. A window that owns a step whose score is set is then read once more, seeded as it
was, and its codes are taken at those steps (and at those within ``decoding.blend`` of them, where one network gives way
to the other). The windows after it are seeded by the motion without edits, so their codes stay.

A pose is a seed in the middle. The 16 steps around it are read as one window that knows the motion at both of its ends
and the pose between them; the body's codes of its inner steps are taken, and those of the pose itself where it is held.
At the take's end nothing follows that the window would have to know. The face goes on with the voice.

All codes are then decoded. A frame depends on the 30 code steps on either side of it: frames that are further away from
every changed step are those without edits, bit for bit, and the body is led back to where it then stood.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from semtalk.generation.reader import REACH, STEPS, CodeReader
from semtalk.generation.wishes import HELD, Wishes
from semtalk.models.fusion import semantic_score
from semtalk.models.predictor import SpeechFeatures
from semtalk.models.tokenizer import Codes, Tokenizer
from semtalk.motion.io import Motion
from semtalk.motion.parts import Frames, rotation_from_poses
from semtalk.motion.skeleton import BODY_PARTS, DOWNSAMPLE, MOTION_CHANNELS, NUM_JOINTS, PARTS, WINDOW

if TYPE_CHECKING:
    from semtalk.generation.rollout import MotionGenerator, Rollout

SMOOTHED = range(-2, 2)
"""Steps beside a seam whose latents are smoothed there."""
BODY_JOINTS = [joint for part in BODY_PARTS for joint in PARTS[part].joints]


@dataclass
class HeldPose:
    """A pose of the body.

    Attributes:
        rotation: (55, 6) of which the body's joints are held.
        height: Of the translation, in metres; where the body stands stays as it was.
        codes: Part of the body -> (L,) codes of a body that stays in the pose.
    """

    rotation: Tensor
    height: Tensor
    codes: Codes

    @classmethod
    def of(cls, motion: Motion, tokenizer: Tokenizer, device: torch.device) -> "HeldPose":
        """The pose of a motion of one frame."""
        rotation = rotation_from_poses(torch.from_numpy(motion.poses)).to(device).expand(1, WINDOW, NUM_JOINTS, 6)
        height = torch.from_numpy(motion.trans)[0, 1].to(device)
        root = torch.zeros(1, WINDOW, 3, device=device)
        root[..., 1] = height
        expressions, contact = (torch.full((1, WINDOW, n), v, device=device) for n, v in ((100, 0.0), (4, 1.0)))
        codes = tokenizer.encode(Frames(rotation, expressions, root, contact))
        return cls(rotation[0, 0], height, {part: codes[part][0, STEPS // 2] for part in BODY_PARTS})


@dataclass
class Context:
    """What a rollout was made with, see :meth:`semtalk.generation.rollout.MotionGenerator.rollout`."""

    generator: "MotionGenerator"
    features: Mapping[str, Tensor]
    speaker: Tensor
    stride: int
    beta: float
    gate: str
    start: Tensor
    reader: CodeReader


@dataclass
class Edits:
    """What is made otherwise in B takes.

    Attributes:
        psi: (B, S) semantic score of the steps where it is set, NaN elsewhere.
        poses: For each take: code step -> the pose that is held in it and beside it, see :data:`HELD`.
    """

    psi: Tensor
    poses: Sequence[Mapping[int, HeldPose]]

    @classmethod
    def of(cls, wishes: Sequence[Wishes], frames: int, tokenizer: Tokenizer, device: torch.device) -> "Edits":
        """What is asked of takes that are padded to ``frames``."""
        steps = frames // DOWNSAMPLE
        rows = [wish.psi[:steps] for wish in wishes]
        psi = np.stack([np.pad(row, (0, steps - len(row)), constant_values=np.nan) for row in rows])
        poses = [{step: HeldPose.of(pose, tokenizer, device) for step, pose in wish.poses.items()} for wish in wishes]
        return cls(torch.from_numpy(psi).to(device), poses)

    def window(
        self, index: int, speech: Mapping[str, SpeechFeatures], remake: Callable, blend: int, codes: Codes, psi: Tensor
    ) -> tuple[Codes, Tensor]:
        """Codes (B, S, L) and score (B, S) of a window with the scores that are set.

        Args:
            index: Of the window.
            speech: Of the window.
            remake: Gives codes and score of the window, seeded as it was, from ``speech`` and ``psi``.
            blend: Steps on either side of an edited one that may change with it.
            codes: (B, S, L) as they were.
            psi: (B, S) as it was.
        """
        asked = self.psi[:, index * (STEPS - 1) :][:, :STEPS]
        edited = ~asked.isnan() & (asked != psi)
        psi = torch.where(asked.isnan(), psi, asked)
        own = edited.clone()
        own[:, : 1 if index else 0] = False  # the first step is the last one of the window before
        if not own.any():
            return codes, psi
        remade, _ = remake(scaled(speech, torch.where(edited, asked, torch.nan)), psi=psi)
        taken = widened(own, blend)[..., None]
        return {part: torch.where(taken, remade[part], was) for part, was in codes.items()}, psi

    def apply(self, rollout: "Rollout", codes: Codes, windows: Sequence[int], context: Context) -> "Rollout":
        """A rollout with poses and other codes; frames that these do not reach stay as they are.

        Args:
            rollout: As it was, with the score that is set.
            codes: Part -> (B, S, L) with the scores that are set.
            windows: How many each take has.
            context: Of the rollout.
        """
        changed = torch.stack([(codes[part] != was).any(dim=-1) for part, was in rollout.codes.items()]).any(dim=0)
        codes = {part: value.clone() for part, value in codes.items()}
        for take, count in enumerate(windows):
            steps = count * (STEPS - 1) + 1
            centres = self.poses[take]
            held = {c + near: pose for c, pose in centres.items() for near in HELD if 0 <= c + near < steps}
            edited = EditedTake(
                context, take, {part: value[take : take + 1, :steps] for part, value in codes.items()},
                rollout.psi[take : take + 1, :steps], self.psi[take : take + 1, :steps], held,
                set(range(STEPS, steps, STEPS - 1)), changed[take, :steps],
            )  # fmt: skip
            for centre in sorted(centres):
                edited.hold(centre, rollout.trans[take])
            if edited.changed.any():
                edited.decode_into(rollout)
            for part, value in edited.codes.items():
                codes[part][take, :steps] = value[0]
        rollout.codes = codes
        return rollout


@dataclass
class EditedTake:
    """One take while it is edited.

    Attributes:
        context: Of the rollout.
        take: Its number in it.
        codes: Part -> (1, S, L).
        psi: (1, S) semantic score.
        asked: (1, S) score that is set, NaN elsewhere.
        poses: Code step -> pose that is held in it.
        seams: First steps of windows, where latents are smoothed.
        changed: (S,) whether a step's latent is another one than without edits.
    """

    context: Context
    take: int
    codes: Codes
    psi: Tensor
    asked: Tensor
    poses: Mapping[int, HeldPose]
    seams: set[int]
    changed: Tensor

    def hold(self, step: int, trans: Tensor) -> None:
        """Hold the pose of a step, and lead to it and from it.

        Args:
            step: Of the pose.
            trans: (T, 3) where the body stands without edits.
        """
        generator, take = self.context.generator, slice(self.take, self.take + 1)
        total = self.codes["face"].shape[1]
        first = min(max(step - STEPS // 2, 0), total - STEPS)
        steps = slice(first, first + STEPS)
        held = {other: pose for other, pose in self.poses.items() if first <= other < first + STEPS}
        known = {first, *held} | ({first + STEPS - 1} if first + STEPS < total else set())
        motion, mask = self._known(first, held, known, trans)
        features = {slot: value[take] for slot, value in self.context.features.items()}
        speech = generator.encode_speech(generator.features_of(features, first * DOWNSAMPLE, self.context.stride))
        before = {part: value[:, max(0, first - STEPS + 1) : first + 1] for part, value in self.codes.items()}
        read, _ = generator.between(
            scaled(speech, self.asked[:, steps]), self.context.speaker[take], motion, mask, self.context.beta,
            self.context.gate, self.context.reader.apart(self.take, f"pose {step}"), before if first else None,
            self.psi[:, steps],
        )  # fmt: skip
        free = [other for other in range(first, first + STEPS) if other not in known]
        for part in BODY_PARTS:
            self.codes[part][:, free] = read[part][:, [other - first for other in free]]
            for other, pose in held.items():
                self.codes[part][:, other] = pose.codes[part]
        self._mark(first, total)

    def _known(self, first: int, held: Mapping[int, HeldPose], known: set[int], trans: Tensor) -> tuple[Tensor, Tensor]:
        """Channels (1, 64, 337) of the window that begins at a step, and a mask (1, 1, 64, 337), 0 where known."""
        begin, end = max(0, first - REACH), first + STEPS + REACH
        codes = {part: value[:, begin:end] for part, value in self.codes.items()}
        seams = tuple(seam - begin for seam in sorted(self.seams) if begin < seam < end)
        frames, places = self.context.generator.decode(codes, trans[None, begin * DOWNSAMPLE], seams)
        window = slice((first - begin) * DOWNSAMPLE, (first - begin) * DOWNSAMPLE + WINDOW)
        frames, places = frames.map(lambda value: value[:, window].clone()), places[:, window].clone()
        mask = torch.ones(1, 1, WINDOW, MOTION_CHANNELS, device=places.device)
        for step in known:
            rows = slice((step - first) * DOWNSAMPLE, (step - first + 1) * DOWNSAMPLE)
            mask[:, :, rows] = 0
            if step in held:
                frames.rotation[:, rows, BODY_JOINTS] = held[step].rotation[BODY_JOINTS]
                frames.contact[:, rows] = 1
                places[:, rows, 1] = held[step].height
        return self.context.generator.channels(frames, places), mask

    def _mark(self, first: int, total: int) -> None:
        """Note what the window that begins at a step changed: its inner seams are gone, its ends are new ones."""
        last = first + STEPS - 1
        self.seams = {seam for seam in self.seams if not first < seam <= last}
        self.seams |= {first + 1} | ({last} if last + 1 < total else set())
        for held in self.poses:  # a pose is not smoothed away
            self.seams -= {held - near for near in SMOOTHED}
        self.changed[max(0, first + 1 + SMOOTHED[0]) : last + SMOOTHED[-1] + 1] = True

    def decode_into(self, rollout: "Rollout") -> None:
        """Put the frames that a changed step reaches into the rollout."""
        start = self.context.start[self.take : self.take + 1]
        frames, trans = self.context.generator.decode(self.codes, start, tuple(sorted(self.seams)))
        reached = widened(self.changed[None], REACH)[0].repeat_interleave(DOWNSAMPLE)
        for name in (field.name for field in fields(Frames)):
            value = getattr(rollout.frames, name)[self.take, : len(reached)]
            value[reached] = getattr(frames, name)[0, reached]
        place = rollout.trans[self.take, : len(reached)]
        place[:] = led_back(place, trans[0], reached)


def scaled(speech: Mapping[str, SpeechFeatures], asked: Tensor) -> Mapping[str, SpeechFeatures]:
    """Speech whose semantic features are scaled by the scores (B, S) that are set, and by the gate's where NaN is.

    A sparse network of one's own without ``scaled_by`` has no such features, and is left as it is.
    """
    sparse = speech.get("sparse")
    if sparse is None or not hasattr(sparse, "scaled_by"):
        return speech
    return {**speech, "sparse": sparse.scaled_by(torch.where(asked.isnan(), semantic_score(sparse.gate_logits), asked))}


def widened(steps: Tensor, reach: int) -> Tensor:
    """Steps (B, S) within ``reach`` of those that are marked."""
    wide = steps.clone()
    for distance in range(1, min(reach, steps.shape[1] - 1) + 1):
        wide[:, distance:] |= steps[:, :-distance]
        wide[:, :-distance] |= steps[:, distance:]
    return wide


def led_back(was: Tensor, new: Tensor, reached: Tensor) -> Tensor:
    """Translation (T, 3) that is ``was`` outside ``reached`` (T,), and moves as ``new`` inside.

    Every stretch begins where the body was; what x and z miss at its end is spread evenly over it.
    """
    place, level = was.clone(), was.new_tensor([1.0, 0.0, 1.0])
    edges = torch.diff(torch.nn.functional.pad(reached.int(), (1, 1))).nonzero()[:, 0].tolist()
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        moved = new[first:last] + (was[first] - new[first]) * level
        if last < len(was):
            missed = (was[last] - was[first] - (new[last] - new[first])) * level
            moved = moved + missed * (torch.arange(last - first, device=was.device) / (last - first))[:, None]
        place[first:last] = moved
    return place
