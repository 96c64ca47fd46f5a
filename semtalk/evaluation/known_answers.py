"""What the embedded corpus lets one check because its truth is known: gate, fusion, use of audio, reconstruction."""

import math

import torch
from torch import Tensor

from semtalk.data.store import StoredRecording
from semtalk.evaluation.hearing import other_sounds
from semtalk.evaluation.takes import Take, TakeMaker, true_frames
from semtalk.generation.rollout import NEW_FRAMES, MotionGenerator
from semtalk.metrics import functional as F
from semtalk.models.fusion import active_steps
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
    changes = [angle(rotation[1:], rotation[:-1]).mean(dim=-1) for rotation in rotations]
    seams = [change[WINDOW - 1 :: NEW_FRAMES] for change in changes]
    return (torch.cat(seams).mean() / torch.cat(changes).median()).item()


def reconstruction_error(generator: MotionGenerator, recordings: list[StoredRecording], part: str) -> float:
    """Mean angle in degrees between the true and the reconstructed rotations of one part."""
    errors = []
    for recording in recordings:
        frames = slice(0, recording.frames // 4 * 4)
        channels = part_channels(true_frames(recording, frames), PARTS[part])
        with torch.no_grad():
            errors.append(rotation_error(generator.tokenizer[part](channels)[0], channels, PARTS[part]).flatten())
    return torch.cat(errors).mean().item()


def codes_used(generator: MotionGenerator, recordings: list[StoredRecording]) -> dict[str, float]:
    """Share of the level-0 codes of each part that the recordings use."""
    used: dict[str, set[int]] = {part: set() for part in PARTS}
    for recording in recordings:
        whole: Frames = true_frames(recording, slice(0, recording.frames // 4 * 4))
        for part, codes in generator.tokenizer.encode(whole).items():
            used[part] |= set(codes[..., 0].flatten().tolist())
    sizes = {part: len(generator.tokenizer[part].quantizer.levels[0].codebook) for part in PARTS}
    return {f"codes_used_{part}": len(used[part]) / sizes[part] for part in PARTS}


def known_answers(maker: TakeMaker, takes: list[Take], training: list[StoredRecording]) -> dict[str, float]:
    """Compute every number of :data:`GOALS`.

    Args:
        maker: What made the takes.
        takes: With the rows ``fused``, ``base`` and ``truth``.
        training: The training split.
    """
    generator = maker.generator
    errors = {
        row: [angle(t.rotation[row], t.rotation["truth"]).mean(dim=-1) for t in takes] for row in ("fused", "base")
    }
    joined = {row: torch.cat(values) for row, values in errors.items()}
    inside = torch.cat([take.semantic_frames for take in takes])
    recordings = [take.recording for take in takes]
    swapped = maker.rollout(recordings, speech=other_sounds(recordings)).frames.rotation
    foreign = [
        angle(swapped[index, : take.frames], take.rotation["truth"]).mean(dim=-1) for index, take in enumerate(takes)
    ]
    gate = F.precision_recall_f1(
        active_steps(torch.cat([t.gate for t in takes]), maker.beta).numpy(),
        torch.cat([t.semantic_steps for t in takes]).numpy(),
    )
    return {
        "gate_f1": gate["f1"],
        "inside_ratio": (joined["fused"][inside].mean() / joined["base"][inside].mean()).item(),
        "outside_ratio": (joined["fused"][~inside].mean() / joined["base"][~inside].mean()).item(),
        "own_audio_ratio": (joined["fused"].mean() / torch.cat(foreign).mean()).item(),
        "seam_ratio": seam_ratio([take.rotation["fused"] for take in takes]),
        "reconstruction_upper": reconstruction_error(generator, recordings, "upper"),
        "reconstruction_hands": reconstruction_error(generator, recordings, "hands"),
        **codes_used(generator, training),
        "error_inside_fused": joined["fused"][inside].mean().item(),
        "error_inside_base": joined["base"][inside].mean().item(),
        "error_outside_fused": joined["fused"][~inside].mean().item(),
        "error_outside_base": joined["base"][~inside].mean().item(),
        "error_other_audio": torch.cat(foreign).mean().item(),
    }
