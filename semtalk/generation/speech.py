"""Motion for voice recordings that belong to no corpus: one, many at once, or hours of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semtalk.body import BodyModel, load_body
from semtalk.data.store import full_precision
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.emotion import EMOTIONS
from semtalk.features.extract import FRAME_SLOTS, WINDOW_SLOTS, build_encoders, count_lines, encode
from semtalk.features.pretrained import pick_device
from semtalk.features.transcript import clean, read_transcript
from semtalk.features.utterance import Utterance, fit_wave
from semtalk.generation.load import load_generator
from semtalk.generation.rollout import Generator, padded_frames
from semtalk.generation.writers import write_motion
from semtalk.motion.io import Motion, load_motion
from semtalk.motion.parts import Frames, foot_contact, root_from_translation, rotation_from_poses
from semtalk.motion.skeleton import FEET, FPS, NUM_BETAS, SAMPLE_RATE, SEED_FRAMES
from semtalk.settings import choose

FRAMES_AT_ONCE = 150_000
"""Frames of all takes of a batch: what bounds the memory of long recordings."""


@dataclass
class Speech:
    """A recording to be turned into motion.

    Attributes:
        name: What its files and messages are called.
        wave: (S,) mono at 16 kHz.
        words: (text, start s, end s).
    """

    name: str
    wave: np.ndarray
    words: list = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Frames of motion that it asks for, 1 at least."""
        return max(1, len(self.wave) * FPS // SAMPLE_RATE)


@dataclass
class Generated:
    """Motion for one recording.

    Attributes:
        motion: 30 frames a second.
        psi: (T/4,) semantic score of each code step.
        wave: (S,) the recording at 16 kHz.
        body: For formats that hold a skeleton.
        sample: Number of the sample.
        words: (text, start s, end s) that it was made with.
    """

    motion: Motion
    psi: np.ndarray
    wave: np.ndarray
    body: BodyModel
    sample: int = 0
    words: list = field(default_factory=list)

    def save(self, path: str | Path) -> Path:
        """Write ``.npz`` (for BEAT2's Blender add-on), ``.bvh`` or ``.glb``, and return the path."""
        write_motion(Path(path), self.motion, self.body)
        return Path(path)


def stack_features(takes: Sequence[Mapping[str, Tensor]], frames: int) -> dict[str, Tensor]:
    """Features of several takes, padded to ``frames`` frames with zeros (window features with their last row)."""

    def fit(value: Tensor, rows: int, repeat: bool) -> Tensor:
        value = full_precision(value[:rows])
        missing = rows - len(value)
        filler = value[-1:].expand(missing, -1) if repeat else value.new_zeros(missing, *value.shape[1:])
        return torch.cat([value, filler])

    features = {slot: torch.stack([fit(take[slot], frames, False) for take in takes]) for slot in FRAME_SLOTS}
    for slot in WINDOW_SLOTS:
        rows = max(len(take[slot]) for take in takes)
        features[slot] = torch.stack([fit(take[slot], rows, True) for take in takes])
    return features


def read_betas(betas: str | Path | Sequence[float] | None) -> np.ndarray:
    """Body shape (300,) from an npz with ``betas``, from up to 300 numbers, or the mean shape for none."""
    shape = np.zeros(NUM_BETAS, np.float32)
    if betas is None:
        return shape
    if isinstance(betas, str | Path):
        betas = load_motion(betas).betas
    if len(betas) > NUM_BETAS or not np.isfinite(np.asarray(betas, np.float32)).all():
        raise SemTalkError(f"betas: {len(betas)} values; give an npz, or up to {NUM_BETAS} finite numbers.")
    shape[: len(betas)] = betas
    return shape


class SemTalk:
    """A trained run that turns voices into motion.

    ``SemTalk.from_pretrained("runs/NAME")("voice.wav").save("out.npz")``
    """

    def __init__(self, generator: Generator, config: dict, meta: dict, body: BodyModel, device: torch.device):
        self.generator = generator.to(device)
        self.features = config["features"]
        self.speakers: list[int] = meta["speakers"]
        self.body = body
        self.device = device
        self.encoders = build_encoders(self.features)

    @classmethod
    def from_pretrained(
        cls,
        run_dir: str | Path,
        generation: str = "auto",
        device: str = "auto",
        body: BodyModel | None = None,
        precision: str = "float32",
        decoding: Mapping | None = None,
    ) -> "SemTalk":
        """Load a run.

        Args:
            run_dir: A run folder: ``runs/NAME``, or converted released weights.
            generation: ``default``, ``release``, or ``auto``: what the networks were trained for.
            device: ``cuda``, ``cpu`` or ``auto``.
            body: For skeletons; the stand-in by default.
            precision: Of base and sparse network: ``float32``, or ``bf16`` (see :meth:`Generator.in_bf16`).
            decoding: What to read codes off otherwise than the run's recipe says, see
                :class:`semtalk.models.decoding.Decoding`.

        Raises:
            SemTalkError: A checkpoint or an encoder's model is missing, or there is no such precision.
        """
        choose("precision", precision)
        generator, stamped = load_generator(run_dir, generation, decoding)
        generator = generator.in_bf16() if precision == "bf16" else generator
        return cls(generator, stamped["config"], stamped["meta"], body or load_body(None), pick_device(device))

    def __call__(self, audio: str | Path | np.ndarray, transcript: str | Path | list | None = None, **options):
        """Turn one recording into motion.

        Args:
            audio: A sound file, or a wave (S,) at 16 kHz.
            transcript: A transcript file, words (text, start s, end s), or none.
            options: See :meth:`generate`.

        Returns:
            :class:`Generated`.
        """
        wave = audio if isinstance(audio, np.ndarray) else load_audio(audio)
        words = read_transcript(transcript, wave) if isinstance(transcript, str | Path) else transcript or []
        name = "audio" if isinstance(audio, np.ndarray) else str(audio)
        return self.generate([Speech(name, np.asarray(wave, np.float32), list(words))], **options)[0]

    def generate(
        self,
        speeches: Sequence[Speech],
        speaker: int | None = None,
        emotion: str | None = None,
        motion: str | Path | Motion | None = None,
        betas: str | Path | Sequence[float] | None = None,
        beta: float = 0.5,
        gate: str = "learned",
        batch: int = 16,
        samples: int = 1,
        seed: int = 0,
        progress: Callable = lambda windows: windows,
    ) -> list[Generated]:
        """Turn recordings into motion, those of like length together.

        Args:
            speeches: What is said.
            speaker: A speaker number that the run knows; its first by default.
            emotion: Label, where the run reads labels; ``neutral`` by default.
            motion: Its first 4 frames begin each take; a standing person by default.
            betas: Body shape: an npz, numbers, or none for the shape of ``motion`` or the mean.
            beta: Threshold of the semantic score.
            gate: See :meth:`Generator.rollout`.
            batch: Takes at once.
            samples: Motions of each recording; they differ where codes are sampled.
            seed: Of all randomness; that of a take follows from its name, the seed and the sample's number alone.
            progress: Wraps the iteration over windows.

        Returns:
            Recording after recording, each with its samples in order.

        Raises:
            SemTalkError: The speaker or the emotion is unknown, or a file is bad.
        """
        index = self.speaker_index(speaker)
        begin = None
        if motion is not None:
            motion = motion if isinstance(motion, Motion) else load_motion(motion)
            begin = self._seed(motion)
        shape = motion.betas if motion is not None and betas is None else read_betas(betas)
        results: dict[tuple[int, int], Generated] = {}
        for group in self._groups(speeches, batch):
            chosen = [speeches[index] for index in group]
            features = [self._encode(speech, self._emotion(emotion)) for speech in chosen]
            frames = max(padded_frames(speech.frames) for speech in chosen)
            stacked = {name: value.to(self.device) for name, value in stack_features(features, frames).items()}
            for sample in range(samples):
                rollout = self.generator.rollout(
                    stacked,
                    torch.full((len(group),), index, device=self.device),
                    self.features["stride"], beta=beta, gate=gate, progress=progress,
                    seed=begin and tuple(value.expand(len(group), *value.shape[1:]) for value in begin),
                    reader=self.generator.reader([speech.name for speech in chosen], seed=seed, sample=sample),
                )  # fmt: skip
                for take, (number, speech) in enumerate(zip(group, chosen, strict=True)):
                    psi = rollout.psi[take, : -(-speech.frames // 4)].cpu().numpy()
                    motion_of = rollout.motion(take, speech.frames, shape)
                    results[number, sample] = Generated(motion_of, psi, speech.wave, self.body, sample, speech.words)
        return [results[key] for key in sorted(results)]

    def scores(self, speech: Speech, emotion: str | None = None) -> Tensor:
        """Semantic score (S,) of every code step of a recording, padded to whole windows."""
        features = self._encode(speech, self._emotion(emotion)).items()
        return self.generator.scores({name: v[None].to(self.device) for name, v in features}, self.features["stride"])[
            0
        ]

    def speaker_index(self, speaker: int | None) -> int:
        """Index of a speaker number; of the run's first speaker for none."""
        if speaker is not None and speaker not in self.speakers:
            raise SemTalkError(f"speaker={speaker}: the run knows the speakers {self.speakers}.")
        return 0 if speaker is None else self.speakers.index(speaker)

    def counts(self) -> list[str]:
        """What the encoders counted so far: unknown words, sentences that were cut."""
        return count_lines(self.encoders)

    def _groups(self, speeches: Sequence[Speech], batch: int) -> list[list[int]]:
        groups: list[list[int]] = []
        for index in sorted(range(len(speeches)), key=lambda index: -speeches[index].frames):
            longest = speeches[groups[-1][0]].frames if groups else 0
            room = groups and len(groups[-1]) < batch and (len(groups[-1]) + 1) * longest <= FRAMES_AT_ONCE
            groups[-1].append(index) if room else groups.append([index])
        return groups

    def _emotion(self, emotion: str | None) -> str:
        slot = self.features["slots"]["emotion"]["encoder"]
        if emotion is not None and slot != "emotion_label":
            raise SemTalkError(f"emotion={emotion}: this run reads no emotion labels (features.slots.emotion: {slot}).")
        if emotion is not None and emotion not in EMOTIONS:
            raise SemTalkError(f"emotion={emotion}: choose one of {', '.join(EMOTIONS)}.")
        return emotion or "neutral"

    def _encode(self, speech: Speech, emotion: str) -> dict[str, Tensor]:
        """Features of a recording, its end padded with silence to whole windows."""
        total = padded_frames(speech.frames)
        utterance = Utterance(fit_wave(speech.wave, total), clean(speech.words), total, emotion)
        return {slot: torch.from_numpy(encode(encoder, slot, utterance)) for slot, encoder in self.encoders.items()}

    def _seed(self, motion: Motion) -> tuple[Tensor, Tensor]:
        if len(motion) < SEED_FRAMES:
            raise SemTalkError(f"motion: {len(motion)} frames; a seed needs {SEED_FRAMES}.")
        poses, trans, betas = (torch.from_numpy(a[None]) for a in (motion.poses, motion.trans, motion.betas))
        contact = foot_contact(self.body.joints(poses, betas, trans)[:, :, list(FEET)])
        expressions = torch.from_numpy(motion.expressions[None])
        frames = Frames(rotation_from_poses(poses), expressions, root_from_translation(trans), contact)
        head = frames.map(lambda value: value[:, :SEED_FRAMES].to(self.device))
        place = trans[:, :SEED_FRAMES].to(self.device)
        return self.generator.channels(head, place), place[:, 0]
