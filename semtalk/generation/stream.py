"""Motion while the voice is still speaking: audio in as it comes, frames out with a stated delay."""

from collections.abc import Mapping
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from semtalk.errors import SemTalkError
from semtalk.features.extract import FRAME_SLOTS, encode
from semtalk.features.transcript import clean
from semtalk.features.utterance import Utterance, check_words, fit_wave, mono
from semtalk.generation.hops import HopStream
from semtalk.generation.reader import REACH, STEPS, CodeReader
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.seams import NEW_FRAMES, join_windows
from semtalk.generation.speech import SemTalk
from semtalk.models.fusion import BETA
from semtalk.models.packed import PackedWeights
from semtalk.models.tokenizer import Codes
from semtalk.motion.io import Motion
from semtalk.motion.parts import Frames, poses_from_rotation
from semtalk.motion.skeleton import DOWNSAMPLE, FPS, NUM_BETAS, SAMPLE_RATE, WINDOW
from semtalk.settings import choose
from semtalk.settings.commands import no_room

EXACT_LOOKAHEAD = REACH
"""Code steps that must follow for frames that nothing later changes."""


class WindowStream:
    """Rolls out one take window by window; frames come as soon as later windows cannot change them.

    With the default look-ahead the frames are those of :meth:`MotionGenerator.rollout` for the same windows. With a
    shorter one they come sooner, and the last steps of a window are decoded without what follows.
    """

    def __init__(
        self,
        generator: MotionGenerator,
        speaker: Tensor,
        beta: float = BETA,
        gate: str = "learned",
        lookahead: int = EXACT_LOOKAHEAD,
        seed: tuple[Tensor, Tensor] | None = None,
        reader: CodeReader | None = None,
    ):
        """Begin a take.

        Args:
            generator: Trained networks.
            speaker: (1,) index.
            beta: Threshold of the semantic score.
            gate: See :meth:`MotionGenerator.rollout`.
            lookahead: Code steps that must follow a step before its frames are given.
            seed: (1, 4, 337) channels and start position (1, 3); the neutral seed by default.
            reader: See :meth:`MotionGenerator.reader`; by default that of :meth:`MotionGenerator.rollout` for one take.
        """
        self.generator = generator
        self.packed = PackedWeights.of(generator)
        self.reader = reader or generator.reader(["0"])
        self.speaker = speaker
        self.beta, self.gate, self.lookahead = beta, gate, lookahead
        self.channels, self.start = generator.neutral_seed(1) if seed is None else seed
        self.windows: list[Codes] = []
        self.places: Tensor | None = None
        self.given = 0

    @torch.no_grad()
    def push(self, features: Mapping[str, Tensor]) -> tuple[Frames, Tensor]:
        """Add the features of the next window; returns the new frames (1, t, ...) and translation (1, t, 3), t >= 0."""
        before = self.windows[-1] if self.windows else None
        with self.packed.used():
            speech = self.generator.encode_speech(features)
            codes, _ = self.generator.window(
                speech, self.speaker, self.channels, self.beta, self.gate, self.reader, before
            )
            self.windows.append(codes)
            self.channels = self.generator.next_seed(self.windows, self.start)
        return self._give(self.steps - self.lookahead)

    def finish(self) -> tuple[Frames, Tensor]:
        """The frames that were still held back."""
        return self._give(self.steps)

    @property
    def steps(self) -> int:
        """Code steps so far."""
        return STEPS + (len(self.windows) - 1) * (STEPS - 1) if self.windows else 0

    @property
    def first(self) -> int:
        """Frame that the next window begins with."""
        return len(self.windows) * NEW_FRAMES

    @property
    def until(self) -> int:
        """Frames of sound that the next window needs."""
        return self.first + WINDOW

    @property
    def read(self) -> int:
        """Frames that there are codes for."""
        return self.steps * DOWNSAMPLE

    @property
    def wait(self) -> int:
        """Frames of sound that may follow a frame before it is given, at most."""
        return WINDOW + self.lookahead * DOWNSAMPLE

    @torch.no_grad()
    def _give(self, until: int) -> tuple[Frames, Tensor]:
        """Decode steps up to ``until`` that were not given yet, with as much context as their frames depend on."""
        first = max(0, self.given - EXACT_LOOKAHEAD)
        codes = {name: value[:, first:] for name, value in join_windows(self.windows).items()}
        seams = [seam - first for seam in range(STEPS, self.steps, STEPS - 1) if seam > first + 1]
        start = self.start if first == 0 else self.places[:, first * DOWNSAMPLE]
        with self.packed.used():
            frames, trans = self.generator.decode(codes, start, tuple(seams))
        new = slice((self.given - first) * DOWNSAMPLE, max(until - first, self.given - first) * DOWNSAMPLE)
        given = trans[:, new]
        self.places = given if self.places is None else torch.cat([self.places, given], dim=1)
        self.given = max(self.given, until)
        return frames.map(lambda value: value[:, new]), given


class SpeechStream:
    """Takes audio in pieces of any length and gives motion.

    Features of a window come from the sound up to its end and at most ``context_seconds`` before it: encoders that
    normalise over a whole recording normalise over that.
    """

    def __init__(
        self,
        model: SemTalk,
        speaker: int | str | None = None,
        emotion: str | None = None,
        beta: float = BETA,
        lookahead: int = EXACT_LOOKAHEAD,
        context_seconds: float = 20.0,
        name: str = "0",
        seed: int = 0,
        sample: int = 0,
        hop: int | None = None,
    ):
        """Begin a take.

        Args:
            model: A loaded run.
            speaker: One that the run knows, by number or name; its first by default.
            emotion: Label, where the run reads labels.
            beta: Threshold of the semantic score.
            lookahead: See :class:`WindowStream`; 0 is soonest. With a hop it has to be small.
            context_seconds: Sound before a window that its features may depend on.
            name: Of the take; with ``seed`` and ``sample`` it decides what is random, as in :meth:`SemTalk.generate`.
            seed: Of all randomness.
            sample: Number of the sample.
            hop: Frames from one window to the next, a multiple of 4: see :mod:`semtalk.generation.hops`. None for
                those of a whole recording, which are 60 apart.

        Raises:
            SemTalkError: An option is none that there is, or the hop leaves no room for the look-ahead.
        """
        for key, value in {"speaker": speaker, "beta": beta, "seed": seed, "hop": hop}.items():
            choose(key, value)
        if isinstance(lookahead, bool) or not isinstance(lookahead, Integral) or lookahead < 0:
            raise SemTalkError(f"lookahead={lookahead!r}: give a whole number of code steps from 0.")
        if hop is not None and (wrong := no_room(hop, lookahead)):
            raise SemTalkError(wrong)
        self.model = model
        index = torch.tensor([model.speaker_index(speaker)], device=model.device)
        options = {
            "beta": beta, "lookahead": lookahead, "reader": model.generator.reader([name], seed=seed, sample=sample),
        }  # fmt: skip
        if hop is None:
            self.stream: WindowStream | HopStream = WindowStream(model.generator, index, **options)
        else:
            self.stream = HopStream(model.generator, index, hop, **options)
        self.emotion = model._emotion(emotion)
        self.context = int(context_seconds * FPS) // NEW_FRAMES * NEW_FRAMES
        self.wave = np.zeros(0, np.float32)
        self.words: list[tuple[str, float, float]] = []
        self.dropped = 0
        self.given = 0

    @property
    def delay(self) -> float:
        """Seconds by which a frame may come after its sound, at most, computation aside."""
        return self.stream.wait / FPS

    def push(self, wave: np.ndarray, words: list[tuple[str, float, float]] = ()) -> Motion:
        """Add sound (S,) at 16 kHz, and words whose seconds count from the take's beginning; returns the new frames."""
        words = check_words(words, "words")
        self.wave = np.concatenate([self.wave, mono(wave)])
        self.words += clean(words)
        pieces = []
        while self._heard >= self.stream.until:
            pieces.append(self.stream.push(self._features()))
        return self._motion(pieces)

    def finish(self) -> Motion:
        """The rest of the frames, the last window filled up with silence; as many in all as the sound asks for."""
        total = self._heard
        pieces = []
        while self.stream.read < max(1, total):
            pieces.append(self.stream.push(self._features()))
        pieces.append(self.stream.finish())
        motion = self._motion(pieces)
        surplus = self.given - max(1, total)
        return motion[: len(motion) - surplus] if surplus > 0 else motion

    @property
    def _heard(self) -> int:
        return (self.dropped + len(self.wave)) * FPS // SAMPLE_RATE

    def _features(self) -> dict[str, Tensor]:
        """Features of the next window; forgets the sound that none will need again."""
        first, until = self.stream.first, self.stream.until
        begin = max(0, first - self.context) // NEW_FRAMES * NEW_FRAMES
        keep = begin * SAMPLE_RATE // FPS
        self.wave, self.dropped = self.wave[keep - self.dropped :], keep
        frames, heard = first + WINDOW - begin, until * SAMPLE_RATE // FPS - keep
        shift = begin / FPS
        words = [(text, start - shift, end - shift) for text, start, end in self.words if end > shift]
        utterance = Utterance(
            fit_wave(self.wave[:heard], frames), [(t, max(a, 0.0), b) for t, a, b in words], frames, self.emotion
        )
        features = {}
        for slot, encoder in self.model.encoders.items():
            value = torch.from_numpy(encode(encoder, self.model.features, slot, utterance))
            at = first - begin
            features[slot] = value[at : at + WINDOW] if slot in FRAME_SLOTS else value[at // self.model.features.stride]
        return {slot: value[None].to(self.model.device) for slot, value in features.items()}

    def _motion(self, pieces: list[tuple[Frames, Tensor]]) -> Motion:
        empty = np.zeros((0, 55, 3), np.float32), np.zeros((0, 100), np.float32), np.zeros((0, 3), np.float32)
        rows = [empty] + [
            (poses_from_rotation(f.rotation)[0].cpu().numpy(), f.expressions[0].cpu().numpy(), trans[0].cpu().numpy())
            for f, trans in pieces
        ]
        poses, expressions, trans = (np.concatenate(part) for part in zip(*rows, strict=True))
        self.given += len(poses)
        return Motion(poses, expressions, trans, np.zeros(NUM_BETAS, np.float32))
