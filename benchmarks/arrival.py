"""The same run offline and live, and feet with and without their lock, on the test split that the run belongs to.

``python -m benchmarks hops ckpt=RUN`` and ``python -m benchmarks feet ckpt=RUN``; where the run is not of the embedded
corpus, Hydra's ``data=`` and ``data.root=`` say where its takes are.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import in_a_sentence, record
from semtalk.data.open import open_corpus
from semtalk.data.recording import Recording
from semtalk.errors import SemTalkError
from semtalk.evaluation.known_answers import angle
from semtalk.features.utterance import Utterance
from semtalk.generation.feet import lock_feet
from semtalk.generation.seams import join_windows
from semtalk.generation.speech import SemTalk
from semtalk.generation.stream import SpeechStream
from semtalk.live.sound import pieces_of
from semtalk.metrics.bodies import SOLES, foot_slide, ground_height
from semtalk.metrics.functional import foot_skating
from semtalk.models.tokenizer import Codes
from semtalk.motion.io import Motion
from semtalk.motion.parts import rotation_from_poses
from semtalk.motion.skeleton import FEET, HAND_JOINTS, SAMPLE_RATE
from semtalk.settings import compose

CKPT = "ckpt="
LIVE = ((None, 30), (None, 0), (20, 0), (16, 1), (12, 2), (8, 3), (12, 0), (8, 1))
"""Hop in frames, and look-ahead in code steps."""
HANDS = (20, 21, *HAND_JOINTS)


@dataclass
class Made:
    """What was made of a take.

    Attributes:
        motion: T frames.
        codes: Part -> (S, L).
        delay: Seconds by which a frame may come after its sound.
    """

    motion: Motion
    codes: dict[str, np.ndarray]
    delay: float


def test_takes(words: tuple[str, ...]) -> tuple[SemTalk, list[Recording]]:
    """A run, and the test takes of its corpus.

    Raises:
        SemTalkError: It is not named, or there are none.
    """
    folders = [Path(word.removeprefix(CKPT)) for word in words if word.startswith(CKPT)]
    if len(folders) != 1:
        raise SemTalkError("give a trained run, as in ckpt=runs/sample_small.")
    (folder,) = folders
    corpus = open_corpus(compose("train", *(word for word in words if not word.startswith(CKPT))).data)
    takes = [corpus.read(entry) for entry in corpus.entries() if entry.split == "test"]
    if not takes:
        raise SemTalkError(f"data={corpus.name}: there are no test takes.")
    return SemTalk.from_pretrained(folder), takes


def offline(model: SemTalk, take: Recording) -> Made:
    """A take at once, its feet left alone."""
    speech = [Utterance(take.wave, take.words, name=take.id)]
    (result,) = model.generate(speech, take.speaker, foot_lock=False)
    return Made(result.motion, result.codes, 0.0)


def noted(stream: SpeechStream) -> list[Codes]:
    """Codes of the steps that a stream gives, once it has given them."""
    codes: list[Codes] = []
    give = stream.stream._give

    def giving(until: int):
        first = stream.stream.given
        held = stream.stream.codes if hasattr(stream.stream, "codes") else join_windows(stream.stream.windows)
        steps = slice(*(step - getattr(stream.stream, "begun", 0) for step in (first, max(first, until))))
        codes.append({part: value[:, steps] for part, value in held.items()})
        return give(until)

    stream.stream._give = giving
    return codes


def live(hop: int | None, lookahead: int) -> Callable[[SemTalk, Recording], Made]:
    """A take a tenth of a second at a time."""

    def make(model: SemTalk, take: Recording) -> Made:
        stream = SpeechStream(model, take.speaker, lookahead=lookahead, name=take.id, hop=hop)
        given = noted(stream)
        pieces = [stream.push(piece, [] if number else take.words) for number, piece in enumerate(pieces_of(take.wave))]
        pieces.append(stream.finish())
        arrays = [
            np.concatenate([getattr(piece, key) for piece in pieces]) for key in ("poses", "expressions", "trans")
        ]
        codes = {part: torch.cat([one[part] for one in given], dim=1)[0].numpy() for part in given[0]}
        return Made(Motion(*arrays, take.motion.betas), codes, stream.delay)

    return make


def apart(one: Motion, other: Motion) -> np.ndarray:
    """Mean angle in degrees (T,) between the gesturing joints of two motions, as far as both go."""
    frames = min(len(one), len(other))
    rotations = (rotation_from_poses(torch.from_numpy(motion.poses[:frames])) for motion in (one, other))
    return angle(*rotations).mean(dim=-1).numpy()


def hops(*words: str) -> None:
    """Rotation error, codes, delay and computing of the same run offline and live."""
    with in_a_sentence():
        model, takes = test_takes(words)
    torch.set_num_threads(1)
    seconds = sum(len(take.wave) for take in takes) / SAMPLE_RATE
    whole: list[Made] = []
    offline(model, takes[0])
    for hop, lookahead in ((None, None), *LIVE):
        make = offline if lookahead is None else live(hop, lookahead)
        began = time.process_time()
        made = [make(model, take) for take in takes]
        took = time.process_time() - began
        whole = whole or made
        errors = np.concatenate([apart(one.motion, take.motion) for one, take in zip(made, takes, strict=True)])
        differ = np.concatenate([apart(one.motion, other.motion) for one, other in zip(made, whole, strict=True)])
        changes = np.concatenate([apart(one.motion[1:], one.motion[:-1]) for one in made])
        unlike = np.concatenate([
            (one.codes[part][: len(codes)] != codes[: len(one.codes[part])]).ravel()
            for one, other in zip(made, whole, strict=True) for part, codes in other.codes.items()
        ])  # fmt: skip
        record("hops", {
            "run": model.folder.name, "takes": len(takes),
            "seconds": seconds, "way": "offline" if lookahead is None else "live", "hop": hop, "lookahead": lookahead,
            "delay s": round(made[0].delay, 3), "rotation error degrees": float(errors.mean()),
            "from offline degrees": float(differ.mean()), "codes that differ": float(unlike.mean()),
            "99% of changes below degrees": float(np.quantile(changes, 0.99)),
            "largest change degrees": float(changes.max()), "CPU seconds a second": took / seconds,
        })  # fmt: skip


def feet(*words: str) -> None:
    """Skating of a run's feet, left alone and held; how far hands move by it; and the truth's."""
    with in_a_sentence():
        model, takes = test_takes(words)

    def places(motion: Motion) -> np.ndarray:
        values = (torch.from_numpy(np.asarray(a)) for a in (motion.poses, motion.betas, motion.trans))
        return model.body.joints(*values).numpy()

    rows: dict[str, list] = {key: [] for key in ("free", "held", "truth")}
    hands, took, frames = [], 0.0, 0
    for take in takes:
        speech, options = [Utterance(take.wave, take.words, name=take.id)], {"betas": take.motion.betas}
        (free,), (held,) = (model.generate(speech, take.speaker, foot_lock=lock, **options) for lock in (False, True))
        began = time.process_time()
        lock_feet(free.motion, model.body)
        took, frames = took + time.process_time() - began, frames + len(free.motion)
        true = places(take.motion)
        ground = ground_height(true[:, list(SOLES)])
        joints = {"free": places(free.motion), "held": places(held.motion), "truth": true}
        hands.append(np.abs(joints["free"][:, HANDS] - joints["held"][:, HANDS]).max())
        for name, value in joints.items():
            rows[name].append((foot_skating(value[:, list(FEET)]), foot_slide(value[:, list(SOLES)], ground)))
    numbers: dict[str, object] = {"run": model.folder.name}
    for name, values in rows.items():
        slides = [slide for _, slide in values if slide is not None]
        numbers[f"{name}: skating m/s"] = float(np.mean([skating for skating, _ in values]))
        numbers[f"{name}: foot slide m/s"] = float(np.mean(slides)) if slides else None
    record("feet", {
        **numbers, "takes": len(takes), "hands moved m": float(max(hands)), "CPU seconds a second": 30 * took / frames,
    })  # fmt: skip
