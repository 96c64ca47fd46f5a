"""A take that is rolled out in short hops: every few frames of sound a window that ends there, blended into the last.

Each window holds the 64 frames of sound before its end, begins with 4 frames that were given, and is read as any other
one; of its codes those are taken whose frames were not given yet. At a take's beginning, where so much was not heard,
the window begins with the take, and silence follows what was heard.

The last steps of a window have little sound behind them, and the decoder has nothing behind them. So ``lookahead``
steps are held back; the next window reads them anew, and what they decode to passes from the old to the new within
them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from semtalk.generation.reader import REACH, STEPS, CodeReader
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.seams import orthonormal
from semtalk.models.fusion import BETA
from semtalk.models.packed import PackedWeights
from semtalk.models.tokenizer import Codes
from semtalk.motion.parts import Frames, translation_from_root
from semtalk.motion.skeleton import DOWNSAMPLE, FPS, MOTION_CHANNELS, SEED_FRAMES, WINDOW

KEPT = REACH + STEPS
"""Code steps whose codes and frames are kept: what decoder, seeds and smoothing still need."""


class HopStream:
    """Rolls out one take hop by hop; see the module."""

    def __init__(
        self,
        generator: MotionGenerator,
        speaker: Tensor,
        hop: int,
        beta: float = BETA,
        lookahead: int = 2,
        reader: CodeReader | None = None,
    ):
        """Begin a take, standing.

        Args:
            generator: Trained networks.
            speaker: (1,) index.
            hop: Frames from the end of a window to that of the next: a multiple of 4 that leaves, with the
                look-ahead's, 4 frames of a window for its seed.
            beta: Threshold of the semantic score.
            lookahead: Code steps that must follow a step before its frames are given.
            reader: See :meth:`MotionGenerator.reader`; by default that of :meth:`MotionGenerator.rollout` for one take.
        """
        self.generator, self.speaker, self.hop, self.beta = generator, speaker, hop, beta
        self.lookahead = lookahead
        self.packed = PackedWeights.of(generator)
        self.reader = reader or generator.reader(["0"])
        self.channels, self.start = generator.neutral_seed(1)
        self.heard = self.given = self.begun = 0
        self.codes: Codes = {}
        self.frames: Frames | None = None
        self.places = self.start[:, None, :][:, :0]
        self.held: Frames | None = None

    @property
    def until(self) -> int:
        """Frames of sound that the next window needs."""
        return self.heard + self.hop

    @property
    def first(self) -> int:
        """Frame that the next window begins with."""
        return max(0, self.until - WINDOW)

    @property
    def read(self) -> int:
        """Frames that there are codes for."""
        return self.heard

    @property
    def wait(self) -> int:
        """Frames of sound that may follow a frame before it is given, at most."""
        return self.hop + self.lookahead * DOWNSAMPLE

    @torch.no_grad()
    def push(self, features: Mapping[str, Tensor]) -> tuple[Frames, Tensor]:
        """Add the features of the next window; returns the new frames (1, t, ...) and translation (1, t, 3), t >= 0."""
        first, last = self.first // DOWNSAMPLE, self.until // DOWNSAMPLE
        seed = self.channels if first == 0 else self._seed(first)
        before = {part: codes[:, max(0, first - STEPS + 1 - self.begun) : first + 1 - self.begun]
                  for part, codes in self.codes.items()}  # fmt: skip
        motion = torch.cat([seed, seed.new_zeros(1, WINDOW - SEED_FRAMES, MOTION_CHANNELS)], dim=1)
        mask = motion.new_ones(1, *motion.shape)
        mask[:, :, :SEED_FRAMES] = 0
        self.reader.step = first
        with self.packed.used():
            codes, _ = self.generator.between(
                self.generator.encode_speech(features), self.speaker, motion, mask, self.beta, "learned", self.reader,
                before if first else None,
            )  # fmt: skip
        self.heard = self.until
        new = {part: value[:, self.given - first : last - first] for part, value in codes.items()}
        kept = {part: value[:, : self.given - self.begun] for part, value in self.codes.items()}
        self.codes = {part: torch.cat([kept[part], value], dim=1) if kept else value for part, value in new.items()}
        return self._give(last - self.lookahead)

    @torch.no_grad()
    def finish(self) -> tuple[Frames, Tensor]:
        """The frames that were still held back."""
        return self._give(self.heard // DOWNSAMPLE)

    def _seed(self, first: int) -> Tensor:
        """Channels (1, 4, 337) of the given frames of a step."""
        rows = slice((first - self.begun) * DOWNSAMPLE, (first - self.begun) * DOWNSAMPLE + SEED_FRAMES)
        return self.generator.seed_channels(self.frames.map(lambda value: value[:, rows]), self.places[:, rows])

    def _give(self, until: int) -> tuple[Frames, Tensor]:
        """Decode the steps that were not given yet, and give those up to ``until``."""
        with self.packed.used():
            decoded, _ = self.generator.decode(self.codes, self.start)
        new = decoded.map(lambda value: value[:, (self.given - self.begun) * DOWNSAMPLE :])
        new = new if self.held is None else passed(self.held, new)
        count = max(0, until - self.given) * DOWNSAMPLE
        out, self.held = new.map(lambda value: value[:, :count]), new.map(lambda value: value[:, count:])
        start = self.start if self.frames is None else self._next_place()
        places = translation_from_root(out.root, start) if count else self.places[:, :0]
        self.frames = out if self.frames is None else Frames(
            *(torch.cat([getattr(self.frames, name), getattr(out, name)], dim=1) for name in vars(out))
        )  # fmt: skip
        self.places = torch.cat([self.places, places], dim=1)
        self.given = max(self.given, until)
        self._forget()
        return out, places

    def _next_place(self) -> Tensor:
        """Translation (1, 3) of the frame that follows those that were given, as far as x and z go."""
        if not self.places.shape[1]:
            return self.start
        return self.places[:, -1] + self.frames.root[:, -1] / FPS * self.start.new_tensor([1.0, 0.0, 1.0])

    def _forget(self) -> None:
        """Let go of what no later window needs."""
        surplus = max(0, self.given - KEPT - self.begun)
        self.begun += surplus
        self.codes = {part: codes[:, surplus:] for part, codes in self.codes.items()}
        self.frames = self.frames.map(lambda value: value[:, surplus * DOWNSAMPLE :])
        self.places = self.places[:, surplus * DOWNSAMPLE :]


def passed(held: Frames, new: Frames) -> Frames:
    """Frames (1, T, ...) that pass from those that were held back (1, t, ...) to the new ones."""
    count = min(held.rotation.shape[1], new.rotation.shape[1])
    share = (torch.arange(1, count + 1, device=new.rotation.device) / (count + 1)).to(new.rotation.dtype)

    def one(name: str) -> Tensor:
        old, value = getattr(held, name)[:, :count], getattr(new, name)
        weight = share.view(1, count, *[1] * (value.ndim - 2))
        mixed = old + (value[:, :count] - old) * weight
        return torch.cat([orthonormal(mixed) if name == "rotation" and count else mixed, value[:, count:]], dim=1)

    return Frames(*(one(name) for name in vars(new)))
