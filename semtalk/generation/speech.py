"""Motion for voice recordings that belong to no corpus: one, many at once, or hours of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semtalk.body import BodyModel, load_body
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.emotion import EMOTIONS
from semtalk.features.extract import build_encoders, count_lines, encode, stack_features
from semtalk.features.pretrained import pick_device
from semtalk.features.transcript import clean, read_transcript, refuse_late
from semtalk.features.utterance import Utterance, fit_wave, mono, refuse_short
from semtalk.files import refuse_unwritable
from semtalk.generation.edit import Edits
from semtalk.generation.finish import Finish
from semtalk.generation.generated import Generated
from semtalk.generation.hub import located_model
from semtalk.generation.inputs import check_mappings, check_options, given_path, read_betas, read_seed
from semtalk.generation.load import Files, load_generator, networks_of
from semtalk.generation.publish import EVALUATION, push_run, save_run
from semtalk.generation.rollout import MotionGenerator, Rollout
from semtalk.generation.seams import padded_frames
from semtalk.generation.wishes import Asked, Pose, Scores, read_end, read_wishes
from semtalk.models.fusion import BETA
from semtalk.motion.io import Motion
from semtalk.motion.parts import Frames, foot_contact, poses_from_rotation, root_from_translation, rotation_from_poses
from semtalk.motion.skeleton import DOWNSAMPLE, FEET, NUM_JOINTS, SEED_FRAMES
from semtalk.settings.inputs import Features

FRAMES_AT_ONCE = 150_000
"""Frames of all takes of a batch: what bounds the memory of long recordings."""


class SemTalk:
    """A trained run that turns voices into motion.

    ``SemTalk.from_pretrained("runs/NAME")("voice.wav").save("out.npz")``
    """

    def __init__(
        self, generator: MotionGenerator, features: Features, speakers: list, body: BodyModel, device: torch.device,
        folder: Path | None = None, corpus: str | None = None,
    ):  # fmt: skip
        self.generator = generator.to(device)
        self.features = features
        self.speakers = speakers
        self.body = body
        self.device = device
        self.folder = folder
        self.corpus = corpus
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
        trust: Sequence[str] = (),
        revision: str | None = None,
        files: Files | None = None,
    ) -> "SemTalk":
        """Load a run, or a published model.

        Args:
            run_dir: A folder: ``runs/NAME``, converted released weights, or what :meth:`save_pretrained` wrote; or a
                repository of the hub, as in ``org/name``.
            generation: ``default``, ``release``, or ``auto``: what the networks were trained for.
            device: ``cuda``, ``cpu`` or ``auto``.
            body: For skeletons; the stand-in by default.
            precision: Of base and sparse network: ``float32``, or ``bf16`` (see :meth:`MotionGenerator.in_bf16`).
            decoding: What to read codes off otherwise than the run's recipe says, see
                :class:`semtalk.models.decoding.Decoding`.
            trust: Packages beside semtalk whose classes the run may name; their code is run.
            revision: Of a repository: branch, tag or commit.
            files: Slot of the features -> its file or folder, where a published model does not have it.

        Raises:
            SemTalkError: A checkpoint or an encoder's model is missing, or there is no such precision, repository or
                revision.
        """
        given_path("run_dir", run_dir)
        check_options({"precision": precision, "trust": trust, "revision": revision})
        check_mappings(decoding, files)
        folder = located_model(run_dir, revision)
        run = load_generator(folder, generation, decoding, trust, files)
        generator = run.generator.in_bf16() if precision == "bf16" else run.generator
        speakers, body = run.facts.speakers, body or load_body(None)
        return cls(generator, run.features, speakers, body, pick_device(device), folder, run.corpus)

    def save_pretrained(
        self, folder: str | Path, data_licence: str | None = None, evaluation: str | Path = EVALUATION
    ) -> Path:
        """Write the run as a model for others: safetensors, json and a card (docs/publishing.md).

        Args:
            folder: To write to.
            data_licence: Licence of the data; what the run says of it by default.
            evaluation: Whose results the card shows: a folder in ``RUN/eval``, or any that ``eval.py`` wrote.

        Returns:
            The folder.

        Raises:
            SemTalkError: The networks were changed since they were loaded, the folder is that of a run, or it cannot
                be written to.
        """
        target = given_path("folder", folder)
        given_path("evaluation", evaluation)
        refuse_unwritable(target)
        save_run(self._run_folder(), target, target.name, networks_of(self.generator), data_licence, evaluation)
        return target

    def push_to_hub(
        self,
        name: str,
        data_licence: str | None = None,
        evaluation: str | Path = EVALUATION,
        message: str = "A SemTalk model",
        revision: str | None = None,
        private: bool | None = None,
    ) -> str:
        """Send the run to the Hugging Face hub, as :meth:`save_pretrained` writes it.

        Args:
            name: Of the repository, as in ``org/name``; it is made where there is none.
            data_licence: As in :meth:`save_pretrained`.
            evaluation: As in :meth:`save_pretrained`.
            message: Of the commit.
            revision: Branch; made where there is none.
            private: Whether a new repository is.

        Returns:
            Address of the commit.

        Raises:
            SemTalkError: The run lacks the licence of its data, metrics or their protocol; or the hub does not take it.
        """
        given_path("name", name)
        networks = networks_of(self.generator)
        return push_run(self._run_folder(), name, networks, data_licence, evaluation, message, revision, private)

    def _run_folder(self) -> Path:
        if self.folder is None:
            raise SemTalkError("this model was not loaded from a run; SemTalk.from_pretrained(RUN) loads one.")
        return self.folder

    def __call__(
        self, audio: str | Path | np.ndarray, transcript: str | Path | list | None = None, **options: Any
    ) -> Generated:
        """Turn one recording into motion.

        Args:
            audio: A sound file, or a wave at 16 kHz: (S,), or channels, of floats, int16 or int32.
            transcript: A transcript file, words (text, start s, end s), or none.
            options: See :meth:`generate`; ``psi`` is one row of scores, or a file.

        Returns:
            Motion, score and codes.
        """
        is_file = isinstance(audio, str | Path)
        wave, name = (load_audio(audio), Path(audio).stem) if is_file else (mono(audio), "audio")
        refuse_short(wave, str(audio) if is_file else name)
        words = read_transcript(transcript, wave) if isinstance(transcript, str | Path) else transcript
        utterance = Utterance(wave, [] if words is None else words, name=name)
        refuse_late(clean(utterance.words), wave, name)
        if not isinstance(options.get("psi"), str | Path | None):
            options["psi"] = [options["psi"]]
        return self.generate([utterance], **options)[0]

    def generate(
        self,
        utterances: Sequence[Utterance],
        speaker: int | str | None = None,
        emotion: str | None = None,
        motion: str | Path | Motion | None = None,
        betas: str | Path | Sequence[float] | None = None,
        beta: float = BETA,
        gate: str = "learned",
        batch: int = 16,
        samples: int = 1,
        seed: int = 0,
        emphasise: str | Sequence[Asked] | None = None,
        calm: str | Sequence[Asked] | None = None,
        psi: Scores | None = None,
        pose: str | Sequence[Pose] | None = None,
        end: str | Path | Motion | None = None,
        rest: float | None = None,
        in_place: bool = False,
        foot_lock: bool = True,
        progress: Callable = lambda windows: windows,
    ) -> list[Generated]:
        """Turn recordings into motion, those of like length together.

        Args:
            utterances: What is said.
            speaker: One that the run knows, by number or name; its first by default.
            emotion: Label, where the run reads labels; ``neutral`` by default.
            motion: Its first 4 frames begin each take; a standing person by default.
            betas: Body shape: an npz, numbers, or none for the shape of ``motion`` or the mean.
            beta: Threshold of the semantic score.
            gate: See :meth:`MotionGenerator.rollout`.
            batch: Takes at once.
            samples: Motions of each recording; they differ where codes are sampled.
            seed: Of all randomness; that of a take follows from its name, the seed and the sample's number alone.
            emphasise: Words whose semantic score is 1, as ``word`` or ``word@seconds``. What is asked for by this and
                by what follows is made when the motion is as it is without: see :mod:`semtalk.generation.edit` for
                what stays.
            calm: Words whose semantic score is 0.
            psi: For each recording the semantic score (S,), such as an edited :attr:`Generated.psi`; or a file, see
                :func:`semtalk.generation.wishes.read_scores`.
            pose: Poses to hold, as ``FILE.npz@seconds`` or (file or motion, seconds); of the frame in its middle.
            end: File or motion in whose first pose each take ends; where the body stands stays.
            rest: Seconds of silence from which trunk and arms rest in the pose that the take begins with.
            in_place: Whether figures stay over where they begin.
            foot_lock: Whether feet that stand are held. This and the three before change the motion once it is
                decoded, see :mod:`semtalk.generation.finish`.
            progress: Wraps the iteration over windows.

        Returns:
            Recording after recording, each with its samples in order.

        Raises:
            SemTalkError: An option is none that there is, a file is bad, what is asked for cannot be, see
                :func:`semtalk.generation.wishes.read_wishes`, or a score is set and the run has no sparse network.
        """
        check_options(
            {"speaker": speaker, "beta": beta, "gate": gate, "batch": batch, "samples": samples, "seed": seed}
            | {"rest": rest, "in_place": in_place, "foot_lock": foot_lock}
        )
        wishes = read_wishes(utterances, emphasise, calm, psi, pose, end)
        finish = Finish(rest, in_place, foot_lock, read_end(end))
        if wishes and self.generator.sparse is None and any(wish.sets_psi for wish in wishes):
            raise SemTalkError("emphasise, calm, psi: the run has no sparse network, which the semantic score is of.")
        index = self.speaker_index(speaker)
        begin = None
        if motion is not None:
            motion = read_seed(motion)
            begin = self._seed(motion)
        shape = motion.betas if motion is not None and betas is None else read_betas(betas)
        results: dict[tuple[int, int], Generated] = {}
        for group in self._groups(utterances, batch):
            chosen = [utterances[index] for index in group]
            features = [self._encode(utterance, self._emotion(emotion)) for utterance in chosen]
            frames = max(padded_frames(utterance.frames) for utterance in chosen)
            stacked = {name: value.to(self.device) for name, value in stack_features(features, frames).items()}
            edits = wishes and Edits.of(
                [wishes[number] for number in group], frames, self.generator.tokenizer, self.device
            )
            for sample in range(samples):
                rollout = self.generator.rollout(
                    stacked,
                    torch.full((len(group),), index, device=self.device),
                    self.features.stride, beta=beta, gate=gate, progress=progress, edits=edits,
                    seed=begin and tuple(value.expand(len(group), *value.shape[1:]) for value in begin),
                    reader=self.generator.reader([utterance.name for utterance in chosen], seed=seed, sample=sample),
                    takes=[utterance.frames for utterance in chosen],
                )  # fmt: skip
                for take, (number, utterance) in enumerate(zip(group, chosen, strict=True)):
                    results[number, sample] = self._generated(rollout, take, utterance, shape, sample, finish, begin)
        return [results[key] for key in sorted(results)]

    def scores(self, utterance: Utterance, emotion: str | None = None) -> Tensor:
        """Semantic score (S,) of every code step of a recording, padded to whole windows."""
        features = self._encode(utterance, self._emotion(emotion)).items()
        stacked = {name: value[None].to(self.device) for name, value in features}
        return self.generator.scores(stacked, self.features.stride)[0]

    def speaker_index(self, speaker: int | str | None) -> int:
        """Index of a speaker; of the run's first one for none."""
        if speaker is not None and speaker not in self.speakers:
            raise SemTalkError(f"speaker={speaker}: the run knows the speakers {self.speakers}.")
        return 0 if speaker is None else self.speakers.index(speaker)

    def counts(self) -> list[str]:
        """What the encoders counted so far: unknown words, sentences that were cut."""
        return count_lines(self.encoders)

    def _groups(self, utterances: Sequence[Utterance], batch: int) -> list[list[int]]:
        groups: list[list[int]] = []
        for index in sorted(range(len(utterances)), key=lambda index: -utterances[index].frames):
            longest = utterances[groups[-1][0]].frames if groups else 0
            room = groups and len(groups[-1]) < batch and (len(groups[-1]) + 1) * longest <= FRAMES_AT_ONCE
            groups[-1].append(index) if room else groups.append([index])
        return groups

    def _emotion(self, emotion: str | None) -> str:
        slot = self.features.slots.emotion.encoder
        if emotion is not None and slot != "emotion_label":
            raise SemTalkError(f"emotion={emotion}: this run reads no emotion labels (features.slots.emotion: {slot}).")
        if emotion is not None and emotion not in EMOTIONS:
            raise SemTalkError(f"emotion={emotion}: choose one of {', '.join(EMOTIONS)}.")
        return emotion or "neutral"

    def _generated(
        self, rollout: Rollout, take: int, utterance: Utterance, shape: np.ndarray, sample: int, finish: Finish,
        begin: tuple[Tensor, Tensor] | None,
    ) -> Generated:  # fmt: skip
        """One take of a rollout, cut to what was said, and finished."""
        steps = -(-utterance.frames // DOWNSAMPLE)
        codes = {part: index[take : take + 1, :steps] for part, index in rollout.codes.items()}
        latents = self.generator.tokenizer.latents(codes)
        channels, _ = begin or self.generator.neutral_seed(1)
        begins = poses_from_rotation(channels[0, 0, : 6 * NUM_JOINTS].view(NUM_JOINTS, 6)).cpu().numpy()
        contact = rollout.frames.contact[take, : utterance.frames].cpu().numpy()
        motion = rollout.motion(take, utterance.frames, shape)
        return Generated(
            finish(motion, contact, begins, utterance.wave, self.body), rollout.psi[take, :steps].cpu().numpy(),
            {part: index[0].cpu().numpy() for part, index in codes.items()},
            {part: latent[0].cpu().numpy() for part, latent in latents.items()},
            utterance, self.body, sample, self.corpus,
        )  # fmt: skip

    def _encode(self, utterance: Utterance, emotion: str) -> dict[str, Tensor]:
        """Features of a recording, its end padded with silence to whole windows."""
        total = padded_frames(utterance.frames)
        padded = Utterance(fit_wave(utterance.wave, total), clean(utterance.words), total, emotion)
        return {
            slot: torch.from_numpy(encode(encoder, self.features, slot, padded))
            for slot, encoder in self.encoders.items()
        }

    def _seed(self, motion: Motion) -> tuple[Tensor, Tensor]:
        poses, trans, betas = (torch.from_numpy(a[None]) for a in (motion.poses, motion.trans, motion.betas))
        contact = foot_contact(self.body.joints(poses, betas, trans)[:, :, list(FEET)])
        expressions = torch.from_numpy(motion.expressions[None])
        frames = Frames(rotation_from_poses(poses), expressions, root_from_translation(trans), contact)
        head = frames.map(lambda value: value[:, :SEED_FRAMES].to(self.device))
        place = trans[:, :SEED_FRAMES].to(self.device)
        return self.generator.channels(head, place), place[:, 0]
