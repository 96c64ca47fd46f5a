"""How the embedded corpus moves: a base motion locked to the syllables, and one gesture for each keyword.

Everything but a slow tremor of about half a degree follows from the script, the speaker and the emotion.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from semtalk.data.sample.script import VOWELS, Phrase
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FPS, JAW, JOINT_NAMES, NUM_BETAS, NUM_EXPRESSIONS, NUM_JOINTS

J = {name: index for index, name in enumerate(JOINT_NAMES)}
FINGERS = ("index", "middle", "ring", "pinky")
MIRROR = np.array([1.0, -1.0, -1.0])
"""An axis-angle of the left side becomes the right side's when y and z change sign."""

STROKE_SIDES = {"a": (0.0, 1.0), "o": (0.2, 1.0), "e": (1.0, 0.0), "i": (1.0, 0.2), "u": (1.0, 1.0), "y": (0.7, 0.7)}
"""Share of a stroke that the left and the right arm take, by the vowel of the stressed syllable."""
JAW_OPENING = {"a": 1.0, "o": 0.7, "e": 0.6, "u": 0.35, "y": 0.3, "i": 0.25}


@dataclass(frozen=True)
class Style:
    """A speaker's way of standing and moving."""

    size: float
    elbow: float
    spread: float
    curl: float
    sway: float
    betas: tuple[float, ...]


@dataclass(frozen=True)
class Mood:
    """How an emotion colours the motion."""

    size: float = 1.0
    head: float = 0.0
    smile: float = 0.0


def _arm(shoulder, elbow, wrist=(0.0, 0.0, 0.0)) -> dict[str, tuple]:
    return {"shoulder": shoulder, "elbow": elbow, "wrist": wrist}


GESTURES: dict[str, dict] = {
    "bye": {"right": _arm((0.0, 0.1, -0.5), (0.0, -1.9, 0.0)), "curl": (0.3, 0.0), "wave": ("elbow", (0.0, 0.0, 0.45))},
    "no": {"left": _arm((0.0, -0.6, -0.9), (0.0, -1.2, 0.0)), "right": _arm((0.0, -0.6, -0.9), (0.0, -1.2, 0.0)),
           "curl": (0.0, 0.0), "wave": ("shoulder", (0.0, 0.45, 0.0))},
    "two": {"right": _arm((0.0, -0.3, -1.0), (0.0, -2.1, 0.0)), "curl": (0.3, 1.3), "straight": ("index", "middle")},
    "here": {"right": _arm((-0.4, -0.9, -0.8), (0.0, -0.2, 0.0)), "curl": (0.3, 1.3), "straight": ("index",)},
    "whole": {"left": _arm((0.0, -0.2, -0.2), (0.0, -0.5, 0.0)), "right": _arm((0.0, -0.2, -0.2), (0.0, -0.5, 0.0)),
              "curl": (0.05, 0.05)},
    "eye": {"left": _arm((0.0, -0.9, -0.9), (0.0, -2.2, 0.0)), "curl": (1.3, 0.4), "straight": ("index",)},
}  # fmt: skip
"""Keyword -> arm targets (axis-angle of the left side; the right is mirrored), finger curls (left, right), fingers that
stay straight, and an oscillation."""


def _set(poses: np.ndarray, side: str, joint: str, value: np.ndarray) -> None:
    poses[:, J[f"{side}_{joint}"]] = value if side == "left" else value * MIRROR


def _curl(amount: np.ndarray | float, finger: str) -> np.ndarray:
    amount = np.asarray(amount, float)
    axis = np.array([0.0, 0.6, -0.3]) if finger == "thumb" else np.array([0.0, 0.0, -1.0])
    return amount[..., None] * axis


def _pulses(times: np.ndarray, phrases: list[Phrase], width: float, value) -> np.ndarray:
    """Sum of Gaussian bumps (T,) at the syllables; ``value(syllable)`` is the height."""
    track = np.zeros(len(times))
    for phrase in phrases:
        for word in phrase.words:
            for syllable in word.syllables:
                height = value(syllable)
                if height:
                    track += height * np.exp(-0.5 * ((times - syllable.center) / width) ** 2)
    return track


def _phrase_swing(times: np.ndarray, phrases: list[Phrase]) -> np.ndarray:
    """A swing (T,) that starts anew with each phrase and rests in the pauses."""
    swing = np.zeros(len(times))
    for phrase in phrases:
        since, until = times - phrase.start, phrase.end + 0.3 - times
        fade = np.clip(since / 0.3, 0, 1) * np.clip(until / 0.3, 0, 1)
        swing += fade * np.sin(2 * np.pi * 0.45 * since)
    return gaussian_filter1d(swing, 3)


def _gesture_pose(rest: np.ndarray, times: np.ndarray, gesture: dict, start: float) -> np.ndarray:
    """Target pose (T, 55, 3) of one keyword's gesture; joints that it leaves alone keep ``rest``."""
    target = rest.copy()
    oscillation = np.sin(2 * np.pi * 2.5 * (times - start))[:, None]
    for side, curl in zip(("left", "right"), gesture["curl"], strict=True):
        if side not in gesture:
            continue
        for joint, value in gesture[side].items():
            value = np.broadcast_to(np.asarray(value), (len(times), 3))
            if gesture.get("wave", ("",))[0] == joint:
                value = value + oscillation * np.asarray(gesture["wave"][1])
            _set(target, side, joint, value)
        for finger in (*FINGERS, "thumb"):
            bent = 0.05 if finger in gesture.get("straight", ()) else curl
            for knuckle in (1, 2, 3):
                _set(target, side, f"{finger}{knuckle}", _curl(np.full(len(times), bent - 0.3), finger))
    return target


def gesture_weight(times: np.ndarray, start: float, end: float) -> np.ndarray:
    """Share (T,) of a gesture: smooth rise and fall of 0.25 s inside the interval."""
    ramp = np.clip(np.minimum(times - start, end - times) / 0.25, 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * ramp)


def _base_poses(times, phrases, style: Style, mood: Mood, tremor) -> np.ndarray:
    size = style.size * mood.size
    strength = _pulses(times, phrases, 0.09, lambda s: 0.35 + 0.65 * s.stress)
    nod = _pulses(times, phrases, 0.12, lambda s: s.stress)
    energy = gaussian_filter1d(strength, 8)
    swing = _phrase_swing(times, phrases)
    turn = _pulses(times, phrases, 0.15, lambda s: s.stress * (VOWELS.index(s.vowel) - 2.5) / 2.5)
    poses = np.zeros((len(times), NUM_JOINTS, 3))
    zero = np.zeros(len(times))

    for joint, share in (("spine1", 0.4), ("spine2", 0.35), ("spine3", 0.25)):
        poses[:, J[joint]] = np.stack([share * (0.10 * size * energy), share * 0.5 * size * swing, zero], axis=-1)
    poses[:, J["neck"]] = np.stack([0.05 * nod + 0.5 * mood.head, 0.10 * turn, 0.04 * swing], axis=-1)
    poses[:, J["head"]] = np.stack([0.14 * nod - 0.05 + 0.5 * mood.head, 0.14 * turn, 0.06 * swing], axis=-1)
    for index, side in enumerate(("left", "right")):
        stroke = size * _pulses(times, phrases, 0.13, lambda s, i=index: s.stress * STROKE_SIDES[s.vowel][i])
        lift = np.stack([zero, -0.25 * stroke - 0.15 * energy, -1.15 + style.spread + 0.35 * stroke], axis=-1)
        _set(poses, side, "collar", np.stack([zero, zero, 0.06 * stroke], axis=-1))
        _set(poses, side, "shoulder", lift)
        _set(poses, side, "elbow", np.stack([zero, -style.elbow - 0.65 * stroke, zero], axis=-1))
        _set(poses, side, "wrist", np.stack([0.25 * stroke, zero, 0.15 - 0.3 * stroke], axis=-1))
        for finger in (*FINGERS, "thumb"):
            for knuckle in (1, 2, 3):
                _set(poses, side, f"{finger}{knuckle}", _curl(style.curl - 0.45 * stroke, finger))
    upper = [J[name] for name in ("spine1", "neck", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow")]
    poses[:, upper] += tremor
    return poses


def _stand(poses: np.ndarray, rest_joints: np.ndarray, lean: np.ndarray) -> np.ndarray:
    """Lean the legs sideways by ``lean`` (T,) radians with both feet in place; returns the translation (T, 3)."""
    for side in ("left", "right"):
        poses[:, J[f"{side}_hip"], 2] = lean
        poses[:, J[f"{side}_ankle"], 2] = -lean
    leg = 0.5 * (rest_joints[J["left_ankle"]] - rest_joints[J["left_hip"]])
    leg = leg + 0.5 * (rest_joints[J["right_ankle"]] - rest_joints[J["right_hip"]])
    height = -rest_joints[[J["left_foot"], J["right_foot"]], 1].min() + 0.02
    return np.stack([leg[1] * np.sin(lean), height + leg[1] * (1 - np.cos(lean)), np.zeros_like(lean)], axis=-1)


def _expressions(times, phrases, mood: Mood) -> np.ndarray:
    """Face coefficients (T, 100): three modes for each vowel, energy, and the mood's smile."""
    tracks = np.zeros((len(times), NUM_EXPRESSIONS))
    for index, vowel in enumerate(VOWELS):
        pulse = _pulses(times, phrases, 0.07, lambda s, v=vowel: (s.vowel == v) * (0.6 + 0.4 * s.stress))
        for offset, size in enumerate((1.6, -1.0, 0.6)):
            tracks[:, (index + 6 * offset) % 18] += size * pulse
    tracks[:, 18] = 1.2 * _pulses(times, phrases, 0.2, lambda s: s.stress)
    tracks[:, 19] = 1.5 * mood.smile
    tracks[:, 20] = -1.0 * mood.smile
    return tracks


def animate(
    phrases: list[Phrase], seconds: float, style: Style, mood: Mood, rest_joints: np.ndarray, rng: np.random.Generator
) -> Motion:
    """Move to a script.

    Args:
        phrases: What is said.
        seconds: Length of the take.
        style: The speaker's.
        mood: The emotion's.
        rest_joints: (55, 3) joints of the speaker's body in metres, for standing on the floor.
        rng: Source of the tremor.
    """
    times = np.arange(round(seconds * FPS)) / FPS
    tremor = 0.08 * gaussian_filter1d(rng.standard_normal((len(times), 6, 3)), 12, axis=0)
    poses = _base_poses(times, phrases, style, mood, tremor)
    for phrase in phrases:
        for word in phrase.words:
            if word.is_keyword:
                start, end = word.gesture_interval
                weight = gesture_weight(times, start, end)[:, None, None]
                poses += weight * (_gesture_pose(poses, times, GESTURES[word.text], start) - poses)
    trans = _stand(poses, rest_joints, style.sway * _phrase_swing(times, phrases))
    opening = _pulses(times, phrases, 0.07, lambda s: JAW_OPENING[s.vowel] * (0.6 + 0.4 * s.stress))
    poses[:, JAW, 0] = 0.02 + 0.28 * opening
    betas = np.zeros(NUM_BETAS)
    betas[: len(style.betas)] = style.betas
    arrays = (poses, _expressions(times, phrases, mood), trans, betas)
    return Motion(*(array.astype(np.float32) for array in arrays))
