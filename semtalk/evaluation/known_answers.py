"""What the embedded corpus lets one check because its truth is known: gate, fusion, use of audio, reconstruction."""

import math

import torch
from torch import Tensor

from semtalk.data.store import StoredRecording, in_turn
from semtalk.evaluation.gate import gate_numbers
from semtalk.evaluation.hearing import other_sounds
from semtalk.evaluation.takes import Take, TakeMaker, true_frames
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.seams import NEW_FRAMES
from semtalk.motion.parts import Frames, part_channels, rotation_error
from semtalk.motion.rotation import geodesic_distance, rotation_6d_to_matrix
from semtalk.motion.skeleton import HAND_JOINTS, PARTS, UPPER_JOINTS, WINDOW

GESTURING = [*UPPER_JOINTS, *HAND_JOINTS]

GOALS = {
    "gate_f1": ("semantic gate, F1 per code step on held-out takes", ">=", 0.85),
    "inside_ratio": ("inside labelled frames: rotation error fused / base only", "<=", 0.70),
    "outside_ratio": ("outside labelled frames: rotation error fused / base only", "<=", 1.05),
    "own_audio_ratio": ("rotation error, own audio / another take's audio", "<=", 0.85),
    "seam_ratio": ("change of pose at window seams / median change of a frame", "<=", 1.5),
    "reconstruction_upper": ("RVQ-VAE, held-out rotation error of upper, degrees", "<=", 3.0),
    "reconstruction_hands": ("RVQ-VAE, held-out rotation error of hands, degrees", "<=", 3.0),
    "codes_used_face": ("codes used on the training split, level 0 of face", ">=", 0.30),
    "codes_used_upper": ("codes used on the training split, level 0 of upper", ">=", 0.30),
    "codes_used_hands": ("codes used on the training split, level 0 of hands", ">=", 0.30),
    "codes_used_lower": ("codes used on the training split, level 0 of lower", ">=", 0.30),
}
"""Name -> what it is, which side of the goal is good, the goal."""


def reached(name: str, value: float) -> bool:
    """Whether a value reaches its goal."""
    _, side, goal = GOALS[name]
    return value >= goal if side == ">=" else value <= goal


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle in degrees (T, J) between rotations (T, J, 6) of the gesturing joints, upper body and hands."""
    matrices = (rotation_6d_to_matrix(rotation[:, GESTURING]) for rotation in (a, b))
    return geodesic_distance(*matrices) * (180 / math.pi)


def seam_ratio(rotations: list[Tensor]) -> float:
    """Mean angle by which poses (T, 55, 6) change into the first frame of a window, over the median of all changes."""
    return ratio_at_seams([pose_changes(rotation) for rotation in rotations])


def pose_changes(rotation: Tensor) -> Tensor:
    """Mean angle in degrees (T - 1,) by which the gesturing joints of poses (T, 55, 6) turn from frame to frame."""
    return angle(rotation[1:], rotation[:-1]).mean(dim=-1)


def ratio_at_seams(changes: list[Tensor]) -> float:
    """See :func:`seam_ratio`, of the changes of each take."""
    seams = [change[WINDOW - 1 :: NEW_FRAMES] for change in changes]
    return (torch.cat(seams).mean() / torch.cat(changes).median()).item()


def reconstruction_error(generator: MotionGenerator, recordings: list[StoredRecording], part: str) -> float:
    """Mean angle in degrees between the true and the reconstructed rotations of one part."""
    errors = []
    for recording in in_turn(recordings):
        frames = slice(0, recording.frames // 4 * 4)
        channels = part_channels(true_frames(recording, frames), PARTS[part])
        with torch.no_grad():
            errors.append(rotation_error(generator.tokenizer[part](channels)[0], channels, PARTS[part]).flatten())
    return torch.cat(errors).mean().item()


def codes_used(generator: MotionGenerator, recordings: list[StoredRecording]) -> dict[str, float]:
    """Share of the level-0 codes of each part that the recordings use."""
    used: dict[str, set[int]] = {part: set() for part in PARTS}
    for recording in in_turn(recordings):
        whole: Frames = true_frames(recording, slice(0, recording.frames // 4 * 4))
        for part, codes in generator.tokenizer.encode(whole).items():
            used[part] |= set(codes[..., 0].flatten().tolist())
    sizes = {part: len(generator.tokenizer[part].quantizer.levels[0].codebook) for part in PARTS}
    return {f"codes_used_{part}": len(used[part]) / sizes[part] for part in PARTS}


class KnownAnswers:
    """Every number of :data:`GOALS`, of takes that come some at a time; of a frame a few numbers are kept."""

    def __init__(self):
        self.errors: dict[str, list[Tensor]] = {"fused": [], "base": [], "foreign": []}
        self.inside: list[Tensor] = []
        self.gates: list[tuple[Tensor, Tensor]] = []
        self.changes: list[Tensor] = []

    def add(self, takes: list[Take], others: list[StoredRecording], maker: TakeMaker) -> None:
        """Take more into it, with rows ``fused``, ``base``, ``truth``; ``others`` are whose sound each gets instead."""
        swapped = maker.rollout([take.recording for take in takes], speech=others).frames.rotation
        for index, take in enumerate(takes):
            rows = {"fused": take.rotation["fused"], "base": take.rotation["base"]}
            for name, own in (rows | {"foreign": swapped[index, : take.frames].cpu()}).items():
                self.errors[name].append(angle(own, take.rotation["truth"]).mean(dim=-1))
            self.inside.append(take.semantic_frames)
            self.gates.append((take.gate, take.semantic_steps))
            self.changes.append(pose_changes(take.rotation["fused"]))

    def numbers(
        self, maker: TakeMaker, recordings: list[StoredRecording], training: list[StoredRecording]
    ) -> dict[str, float]:
        """The numbers of the takes, with those of their recordings and of the training split."""
        generator, inside = maker.generator, torch.cat(self.inside)
        joined = {row: torch.cat(values) for row, values in self.errors.items()}
        return {
            "gate_f1": gate_numbers(self.gates, maker.beta)["f1"],
            "inside_ratio": (joined["fused"][inside].mean() / joined["base"][inside].mean()).item(),
            "outside_ratio": (joined["fused"][~inside].mean() / joined["base"][~inside].mean()).item(),
            "own_audio_ratio": (joined["fused"].mean() / joined["foreign"].mean()).item(),
            "seam_ratio": ratio_at_seams(self.changes),
            "reconstruction_upper": reconstruction_error(generator, recordings, "upper"),
            "reconstruction_hands": reconstruction_error(generator, recordings, "hands"),
            **codes_used(generator, training),
            "error_inside_fused": joined["fused"][inside].mean().item(),
            "error_inside_base": joined["base"][inside].mean().item(),
            "error_outside_fused": joined["fused"][~inside].mean().item(),
            "error_outside_base": joined["base"][~inside].mean().item(),
            "error_other_audio": joined["foreign"].mean().item(),
        }


def known_answers(maker: TakeMaker, takes: list[Take], training: list[StoredRecording]) -> dict[str, float]:
    """Compute every number of :data:`GOALS`.

    Args:
        maker: What made the takes.
        takes: With the rows ``fused``, ``base`` and ``truth``.
        training: The training split.
    """
    found, recordings = KnownAnswers(), [take.recording for take in takes]
    found.add(takes, other_sounds(recordings), maker)
    return found.numbers(maker, recordings, training)
