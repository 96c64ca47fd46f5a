"""Motion for any length of speech: windows of 64 frames with 60 new ones, each seeded by the one before it.

The whole code sequence is decoded once at the end, so that seams between windows are inside the decoder's view.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from semtalk.errors import SemTalkError
from semtalk.features.extract import FRAME_SLOTS, WINDOW_SLOTS
from semtalk.generation.edit import Context, Edits
from semtalk.generation.reader import STEPS, CodeReader
from semtalk.generation.seams import NEW_FRAMES, PIECE, join_windows, orthonormal, smooth_seams, window_count
from semtalk.models.base_motion import BaseMotionNetwork
from semtalk.models.decoding import LIKELIEST, Decoding
from semtalk.models.fusion import BETA, active_steps, semantic_score
from semtalk.models.masking import seed_mask
from semtalk.models.packed import PackedWeights
from semtalk.models.predictor import Passes, SpeechFeatures
from semtalk.models.sparse_motion import SparseMotionNetwork
from semtalk.models.tokenizer import Codes, Tokenizer
from semtalk.models.translation import TranslationNetwork
from semtalk.motion.io import Motion
from semtalk.motion.parts import (
    Frames,
    merge_parts,
    motion_channels,
    part_channels,
    poses_from_rotation,
    translation_from_root,
)
from semtalk.motion.skeleton import BODY_PARTS, PARTS, SEED_FRAMES, WINDOW
from semtalk.settings import choose

SEEN_WINDOWS = 2
"""Windows that the seed of the next one is decoded from; more than the decoder sees."""
WINDOWS_AT_ONCE = 32
"""Windows of all takes whose speech is encoded at once; it does not depend on the motion before."""
NETWORKS = ("base", "sparse")
SCALED = "_scaled"
"""At the end of a gate's name: its score scales the semantic features too, instead of the learned one."""


@dataclass
class Rollout:
    """Generated motion of a batch of takes; what lies behind the last window of a shorter take is no motion of it.

    Attributes:
        frames: (B, T, ...) decoded.
        trans: (B, T, 3) translation in metres.
        psi: (B, T/4) semantic score of each code step.
        codes: Part -> (B, T/4, L).
    """

    frames: Frames
    trans: Tensor
    psi: Tensor
    codes: Codes

    def motion(self, take: int, frames: int, betas: np.ndarray) -> Motion:
        """One take as a motion of ``frames`` frames."""
        chosen = self.frames.map(lambda value: value[take, :frames])
        return Motion(
            poses=torch.cat([poses_from_rotation(piece).cpu() for piece in chosen.rotation.split(PIECE)]).numpy(),
            expressions=chosen.expressions.cpu().numpy(),
            trans=self.trans[take, :frames].cpu().numpy(),
            betas=np.asarray(betas, np.float32),
        )


class MotionGenerator(nn.Module):
    """The trained networks of a run, ready to generate.

    The methods before :meth:`rollout` are what
    :class:`semtalk.generation.release.ReleaseMotionGenerator` does otherwise.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        translation: TranslationNetwork,
        base: BaseMotionNetwork,
        sparse: SparseMotionNetwork | None = None,
        decoding: Decoding = LIKELIEST,
    ):
        """Put the networks together.

        Args:
            tokenizer: Of the codes.
            translation: Where the body goes.
            base: Rhythm-aligned codes.
            sparse: Semantic codes and score; without one base alone makes the motion, and psi is 0.
            decoding: How codes are read off where nothing else is asked for.
        """
        super().__init__()
        self.decoding = decoding
        self.tokenizer = tokenizer
        self.translation = translation
        self.base = base
        self.sparse = sparse
        self.requires_grad_(False).eval()

    def neutral_seed(self, batch: int) -> tuple[Tensor, Tensor]:
        """Seed of a take without any known motion: the mean pose of the training corpus, standing still.

        Returns:
            (B, 4, 337) channels and the start position (B, 3) in metres, at the origin.
        """
        frames = merge_parts({name: self.tokenizer[name].mean.expand(batch, SEED_FRAMES, -1) for name in PARTS})
        frames.rotation = orthonormal(frames.rotation)
        height = frames.root[..., 1]
        trans = torch.stack([torch.zeros_like(height), height, torch.zeros_like(height)], dim=-1)
        frames.contact = torch.ones_like(frames.contact)
        return self.channels(frames, trans), trans[:, 0]

    def channels(self, frames: Frames, trans: Tensor) -> Tensor:
        """Channels (B, T, 337) of a known part of a window."""
        return motion_channels(frames, trans)

    def seed_channels(self, frames: Frames, trans: Tensor) -> Tensor:
        """Channels (B, 4, 337) of generated frames that a window begins with."""
        return self.channels(frames, trans)

    def next_seed(self, windows: list[Codes], start: Tensor) -> Tensor:
        """Seed (B, 4, 337) of the next window: the last frames of the windows so far, each (B, 16, L)."""
        recent = join_windows(windows[-SEEN_WINDOWS:])
        frames, trans = self.decode(recent, start, last=SEED_FRAMES + self.translation.reach)
        last = frames.map(lambda value: value[:, -SEED_FRAMES:])
        return self.seed_channels(last, trans[:, -SEED_FRAMES:])

    def decode(
        self, codes: Codes, start: Tensor, seams: tuple[int, ...] = (), last: int | None = None
    ) -> tuple[Frames, Tensor]:
        """Frames and translation (B, 4S, 3) of codes.

        Args:
            codes: Part -> (B, S, L) indices.
            start: (B, 3) where x and z start, in metres.
            seams: First steps of windows, where latents of the body are smoothed, see :func:`smooth_seams`; the face
                follows the sound, which goes on.
            last: Give that many frames at the end alone; translation then begins with them.
        """
        latents = self.tokenizer.latents(codes)
        latents |= {name: smooth_seams(latents[name], seams) for name in BODY_PARTS}
        frames = self.tokenizer.decode(latents, last)
        frames.rotation = orthonormal(frames.rotation)
        frames.root, frames.contact = self.translation.root(part_channels(frames, PARTS["lower"]))
        return frames, translation_from_root(frames.root, start)

    def decode_takes(self, codes: Codes, start: Tensor, windows: Sequence[int]) -> tuple[Frames, Tensor]:
        """Frames and translation (B, 4S, 3) of takes, each decoded from its own windows alone; zeros follow its end.

        A frame depends on the steps after it, so the windows that only a longer take of the batch has must not be seen.

        Args:
            codes: Part -> (B, S, L) indices.
            start: (B, 3) where x and z start, in metres.
            windows: How many each take has; S is of the most.
        """
        groups = {count: [take for take, own in enumerate(windows) if own == count] for count in set(windows)}
        decoded: list[tuple[Frames, Tensor]] = []
        for count, takes in groups.items():
            steps = count * (STEPS - 1) + 1
            own = {part: index[takes, :steps] for part, index in codes.items()}
            decoded.append(self.decode(own, start[takes], tuple(range(STEPS, steps, STEPS - 1))))

        def together(values: list[Tensor]) -> Tensor:
            length = max(value.shape[1] for value in values)
            whole = values[0].new_zeros(len(windows), length, *values[0].shape[2:])
            for takes, value in zip(groups.values(), values, strict=True):
                whole[takes, : value.shape[1]] = value
            return whole

        frames = {f.name: together([getattr(own, f.name) for own, _ in decoded]) for f in fields(Frames)}
        return Frames(**frames), together([trans for _, trans in decoded])

    @property
    def dtype(self) -> torch.dtype:
        """That base and sparse network compute in."""
        return next(self.base.parameters()).dtype

    def in_bf16(self) -> "MotionGenerator":
        """Let base and sparse network compute in bf16; codes that are about as likely as others may change."""
        self.base.bfloat16()
        if self.sparse is not None:
            self.sparse.bfloat16()
        return self

    @torch.no_grad()
    def encode_speech(
        self, features: Mapping[str, Tensor], networks: Sequence[str] = NETWORKS
    ) -> dict[str, SpeechFeatures]:
        """What base and sparse network, or one of them, make of the speech of B windows."""
        networks = [name for name in networks if getattr(self, name) is not None]
        batch = {name: value.to(self.dtype) if value.is_floating_point() else value for name, value in features.items()}
        return {name: getattr(self, name).encode_speech(batch) for name in networks}

    def reader(
        self, takes: Sequence[str], decoding: Decoding | None = None, seed: int = 0, sample: int = 0
    ) -> CodeReader:
        """What reads the codes of takes off, as ``decoding`` says or as the run was made for."""
        return CodeReader(self.tokenizer, self.base, decoding or self.decoding, takes, seed, sample)

    def window(
        self, speech: Mapping[str, SpeechFeatures], speaker: Tensor, seed: Tensor, beta: float, gate: str,
        reader: CodeReader, before: Codes | None = None, psi: Tensor | None = None,
    ) -> tuple[Codes, Tensor]:  # fmt: skip
        """Codes (B, S, L) and semantic score (B, S) of one window; sparse runs for takes that have a step above beta.

        Args:
            speech: What :meth:`encode_speech` gave for the window.
            speaker: (B,) indices.
            seed: (B, 4, 337) channels.
            beta: Threshold of the semantic score.
            gate: See :meth:`rollout`.
            reader: Of the takes' codes.
            before: Codes (B, S, L) of the window before, where there is one.
            psi: (B, S) semantic score to go by instead of the gate's.
        """
        motion = torch.cat([seed, seed.new_zeros(len(seed), NEW_FRAMES, seed.shape[-1])], dim=1)
        mask = seed_mask(seed.device).expand(1, *motion.shape)
        return self.between(speech, speaker, motion, mask, beta, gate, reader, before, psi)

    def between(
        self, speech: Mapping[str, SpeechFeatures], speaker: Tensor, motion: Tensor, mask: Tensor, beta: float,
        gate: str, reader: CodeReader, before: Codes | None = None, psi: Tensor | None = None,
    ) -> tuple[Codes, Tensor]:  # fmt: skip
        """As :meth:`window`, between frames of ``motion`` (B, 64, 337): known where ``mask`` (1, B, 64, 337) is 0."""
        motion, mask = motion.to(self.dtype), mask.to(self.dtype)
        noise = reader.draw()
        base = reader.read(self.base({"speaker": speaker}, motion, mask, Passes(), speech["base"]), noise, before)
        psi = self._scores(speech, gate, reader, motion) if psi is None else psi
        if self.sparse is None:
            return base, torch.zeros_like(psi)
        rows = active_steps(psi, beta).any(dim=1).nonzero()[:, 0]
        if not len(rows):
            return base, psi
        chosen = speech["sparse"].rows(rows)
        if gate.endswith(SCALED):
            if not hasattr(chosen, "scaled_by"):
                raise SemTalkError(f"gate={gate}: the run's own sparse network has no features that a score scales.")
            chosen = chosen.scaled_by(psi[rows])
        sparse = self.sparse({"speaker": speaker[rows]}, motion[rows], mask[:, rows], Passes(), chosen)
        noise = {part: value[rows.cpu()] for part, value in noise.items()}
        known = {part: codes[rows] for part, codes in before.items()} if before else None
        sparse = reader.read(sparse, noise, known, network="sparse")
        sparse = {part: base[part].index_copy(0, rows, codes) for part, codes in sparse.items()}
        return reader.fuse(base, sparse, psi, beta), psi

    def _scores(self, speech: Mapping[str, SpeechFeatures], gate: str, reader: CodeReader, motion: Tensor) -> Tensor:
        """Semantic score (B, S) of a window: the gate's own, or an ablation's."""
        chosen = gate.removesuffix(SCALED)
        if chosen == "random":
            return reader.draw_gate().to(motion.device)
        if chosen == "learned" and self.sparse is not None:
            return semantic_score(speech["sparse"].gate_logits)
        return torch.full((len(motion), STEPS), float(chosen == "always"), device=motion.device)

    @torch.no_grad()
    def scores(self, features: Mapping[str, Tensor], stride: int) -> Tensor:
        """Semantic score (B, T/4) of every code step of the rollout's windows; no motion is needed for it.

        Raises:
            SemTalkError: There is no sparse network, so there is no score.
        """
        if self.sparse is None:
            raise SemTalkError("the run has no sparse network, which the semantic score is of.")
        windows = self.speech_of_windows(features, stride, ("sparse",))
        psi = [semantic_score(window["sparse"].gate_logits) for window in windows]
        return torch.cat([scores[:, 1 if index else 0 :] for index, scores in enumerate(psi)], dim=1)

    def speech_of_windows(
        self, features: Mapping[str, Tensor], stride: int, networks: Sequence[str] = NETWORKS
    ) -> Iterator[dict[str, SpeechFeatures]]:
        """The speech of one window of all takes after another, encoded many at a time."""
        batch, total = features["rhythm"].shape[:2]
        firsts = range(0, total - SEED_FRAMES, NEW_FRAMES)
        at_once = max(1, WINDOWS_AT_ONCE // batch)
        for begin in range(0, len(firsts), at_once):
            pieces = [self.features_of(features, first, stride) for first in firsts[begin : begin + at_once]]
            stacked = {slot: torch.cat([piece[slot] for piece in pieces]) for slot in pieces[0]}
            speech = self.encode_speech(stacked, networks)
            for index in range(len(pieces)):
                rows = slice(index * batch, (index + 1) * batch)
                yield {name: part.rows(rows) for name, part in speech.items()}

    @staticmethod
    def features_of(features: Mapping[str, Tensor], first: int, stride: int) -> dict[str, Tensor]:
        """Features of the window that begins at a frame; the last row of window features holds for what follows it."""
        window = {slot: features[slot][:, first : first + WINDOW] for slot in FRAME_SLOTS}
        return window | {slot: features[slot][:, : first // stride + 1][:, -1] for slot in WINDOW_SLOTS}

    @torch.no_grad()
    def rollout(
        self, features: Mapping[str, Tensor], speaker: Tensor, stride: int, beta: float = BETA, gate: str = "learned",
        seed: tuple[Tensor, Tensor] | None = None, progress: Callable = lambda windows: windows,
        reader: CodeReader | None = None, psi: Tensor | None = None, takes: Sequence[int] | None = None,
        edits: Edits | None = None,
    ) -> Rollout:  # fmt: skip
        """Generate motion for a batch of takes.

        Args:
            features: ``rhythm``, ``hubert``, ``words`` (B, 60 n + 4, d); ``sentence``, ``emotion`` (B, W, d).
            speaker: (B,) indices.
            stride: Frames between the rows of the window features.
            beta: Threshold of the semantic score.
            gate: ``learned``; or, for ablations, ``always``, ``never`` or ``random`` sparse steps, where the sparse
                network's features are still scaled by the learned score; ``always_scaled`` and ``random_scaled`` put
                the ablation's score in its place there too.
            seed: (B, 4, 337) channels and start position (B, 3); the neutral seed by default.
            progress: Wraps the iteration over windows.
            reader: See :meth:`reader`; by default one for takes that are called by their numbers.
            psi: (B, 15 n + 1) semantic score to go by instead of the gate's.
            takes: Frames of each take, where some end before the longest: a take's motion is the same as alone.
            edits: What is made otherwise once the takes are as without them; see :mod:`semtalk.generation.edit`.

        Raises:
            SemTalkError: There is no such gate, or the sparse network is one of one's own that no score scales.
        """
        choose("gate", gate)
        with PackedWeights.of(self).used():
            channels, start = self.neutral_seed(len(speaker)) if seed is None else seed
            reader = reader or self.reader([str(index) for index in range(len(speaker))])
            windows: list[Codes] = []
            edited: list[Codes] = []
            scores = []
            speeches = self.speech_of_windows(features, stride)
            for index in progress(range(window_count(features["rhythm"].shape[1]))):
                before = windows[-1] if windows else None
                steps = slice(index * (STEPS - 1), index * (STEPS - 1) + STEPS)
                given = None if psi is None else psi[:, steps]
                speech, again = next(speeches), reader.again() if edits else reader
                codes, score = self.window(speech, speaker, channels, beta, gate, reader, before, given)
                windows.append(codes)
                if edits:
                    seeded = {"speaker": speaker, "seed": channels, "beta": beta, "gate": gate, "before": before}
                    remake = partial(self.window, **seeded, reader=again)
                    codes, score = edits.window(index, speech, remake, reader.decoding.blend, codes, score)
                edited.append(codes)
                scores.append(score[:, 1 if index else 0 :])
                channels = self.next_seed(windows, start)
            codes = join_windows(windows)
            counts = [len(windows)] * len(speaker) if takes is None else [window_count(frames) for frames in takes]
            frames, trans = self.decode_takes(codes, start, counts)
            rollout = Rollout(frames, trans, torch.cat(scores, dim=1), codes)
            if edits is None:
                return rollout
            context = Context(self, features, speaker, stride, beta, gate, start, reader)
            return edits.apply(rollout, join_windows(edited), counts, context)
