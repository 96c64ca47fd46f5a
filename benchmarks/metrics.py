"""Speed of the metrics against plain loops, and what quirks are worth: ``python -m benchmarks metrics``.

The loops are the formulas written down literally, one frame, joint and onset at a time. The quirks are measured on the
embedded corpus's test takes and, where ``SEMTALK_REAL_DATA`` is set, on a real take.
"""

import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from benchmarks.common import console, record
from semtalk.body import load_body
from semtalk.data.beat2 import BEAT2Corpus
from semtalk.data.open import open_corpus
from semtalk.metrics import functional as F
from semtalk.settings import compose

REPEATS = 5


def loop_diversity(joints: np.ndarray) -> float:
    """L1 diversity, one coordinate at a time."""
    frames, count, _ = joints.shape
    total = 0.0
    means = [[sum(joints[t, j, c] for t in range(frames)) / frames for c in range(3)] for j in range(count)]
    for t in range(frames):
        for j in range(count):
            for c in range(3):
                total += abs(joints[t, j, c] - means[j][c])
    return total / frames


def loop_beats(joints: np.ndarray, mean_speed: np.ndarray, threshold: float, skip: int, order: int) -> list[list[int]]:
    """Motion beats, one joint and frame at a time."""
    frames, count, _ = joints.shape
    beats = []
    for j in range(count):
        speed = []
        for t in range(frames):
            before, after = max(t - 1, 0), min(t + 1, frames - 1)
            step = (joints[after, j] - joints[before, j]) * 30 / (after - before)
            speed.append(float(np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)) / mean_speed[j])
        inner = speed[skip : frames - skip]
        found = []
        for t in range(len(inner)):
            near = [inner[min(max(t + d, 0), len(inner) - 1)] for d in range(-order, order + 1) if d]
            if all(inner[t] < value for value in near) and speed[t] > threshold:
                found.append(t)
        beats.append(found)
    return beats


def loop_consistency(onsets: np.ndarray, beats: list, joints: tuple[int, ...], sigma: float) -> float:
    """Beat consistency, one onset and beat at a time."""
    total = 0.0
    for j in joints:
        score = 0.0
        for onset in onsets:
            best = min((abs(onset - beat / 30) for beat in beats[j]), default=None)
            score += 0.0 if best is None else float(np.exp(-(best**2) / (2 * sigma**2)))
        total += score / len(onsets)
    return total / len(joints)


def loop_faces(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """MSE and legacy LVD, one frame and vertex at a time."""
    square = position = 0.0
    frames, count, _ = a.shape
    for t in range(frames):
        for v in range(count):
            for c in range(3):
                gap = float(a[t, v, c]) - float(b[t, v, c])
                square += gap * gap
                position += abs(gap) if t else 0.0
    return square / a.size, position / ((frames - 1) * count * 3)


def ours(joints, speed, onsets, faces) -> tuple:
    """The same numbers by the library."""
    total, frames = F.l1_diversity(joints)
    beats = F.motion_beats(joints, speed)
    errors = F.face_errors([faces])
    return total / frames, F.beat_consistency(onsets, beats), errors["mse"], errors["position"]


def loops(joints, speed, onsets, faces) -> tuple:
    """The same numbers by loops."""
    beats = loop_beats(joints, speed, F.BEAT_THRESHOLD["legacy"], F.BEAT_SKIP, F.BEAT_ORDER)
    return loop_diversity(joints), loop_consistency(onsets, beats, F.BEAT_JOINTS, F.BEAT_SIGMA), *loop_faces(*faces)


def timed(function, *arguments) -> tuple[float, tuple]:
    """Seconds of one call, and its result."""
    began = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - began, result


def measure_speed(frames: int = 300, vertices: int = 642) -> dict[str, float]:
    """Median seconds of library and loops in alternating repetitions, on the same numbers."""
    rng = np.random.default_rng(0)
    joints = np.cumsum(0.01 * rng.normal(size=(frames, 55, 3)), axis=0)
    faces = tuple(0.001 * rng.normal(size=(2, frames, vertices, 3)).astype(np.float32))
    arguments = (joints, np.full(55, 0.3), np.sort(rng.uniform(0, frames / 30 - 4, 40)), faces)
    times: dict[str, list[float]] = {"library": [], "loops": []}
    for _ in range(REPEATS):
        for name, function in (("library", ours), ("loops", loops)):
            seconds, values = timed(function, *arguments)
            times[name].append(seconds)
            if name == "library":
                own = values
    np.testing.assert_allclose(own, values, rtol=1e-6)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return medians | {"ratio": medians["loops"] / medians["library"], "frames": frames, "vertices": vertices}


def quirks(takes: list[tuple], speed: np.ndarray) -> dict[str, float]:
    """BC of true takes with each quirk alone, and all of them; (joints, wave) of each take."""
    variants = {
        "clean": (0.3, False, False, False), "overwritten joints": (0.3, True, False, False),
        "mask from frame 0": (0.3, False, True, False), "audio's end untrimmed": (0.3, False, False, True),
        "threshold 0.10": (0.1, False, False, False), "legacy (all three)": (0.3, True, True, True),
    }  # fmt: skip
    numbers = {}
    for name, (threshold, overwrite, from_zero, end) in variants.items():
        total = weight = 0.0
        for joints, wave in takes:
            read = np.abs(joints - joints.mean(axis=0)) if overwrite else joints
            beats = F.motion_beats(read, speed, threshold=threshold, mask_from_zero=from_zero)
            onsets = F.audio_onsets(F.trim_wave(wave, len(joints), untrimmed_end=end))
            total += F.beat_consistency(onsets, beats) * (len(joints) - 120)
            weight += len(joints) - 120
        numbers[name] = total / weight
    return numbers


def true_takes(corpus, split: str, body) -> list[tuple[np.ndarray, np.ndarray]]:
    """Joints without translation, and sound, of the takes of a split."""
    takes = []
    for entry in corpus.entries():
        if entry.split == split:
            recording = corpus.read(entry)
            motion = recording.motion
            joints = body.joints(torch.from_numpy(motion.poses), torch.from_numpy(motion.betas)).double().numpy()
            takes.append((joints, recording.wave))
    return takes


def metrics() -> None:
    """Print both tables and append the numbers to the results."""
    body = load_body(None)
    speed = measure_speed()
    console.print(
        f"DIV, BC, MSE and LVD of {speed['frames']} frames and {speed['vertices']} vertices: library "
        f"{1000 * speed['library']:.1f} ms, loops {1000 * speed['loops']:.0f} ms, {speed['ratio']:.0f} times"
    )
    corpora = {"embedded corpus": open_corpus(compose().data)}
    if "SEMTALK_REAL_DATA" in os.environ:
        corpora["real take"] = BEAT2Corpus(str(Path(os.environ["SEMTALK_REAL_DATA"]) / "beat2"))
    effects = {}
    for name, corpus in corpora.items():
        given = corpus.mean_joint_speed()
        if given is None:
            training = true_takes(corpus, "train", body)
            given = np.concatenate([F.joint_speed(joints) for joints, _ in training]).mean(axis=0)
        effects[name] = quirks(true_takes(corpus, "test", body), np.asarray(given))
    table = Table("BC of the ground truth", *effects)
    for variant in next(iter(effects.values())):
        table.add_row(variant, *(f"{numbers[variant]:.4f}" for numbers in effects.values()))
    console.print(table)
    record("metrics", {**speed, "bc_of_truth": effects})
