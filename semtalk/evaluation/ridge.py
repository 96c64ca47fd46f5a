"""What a method must beat: a linear map from the same speech, ridge regression from a frame's surroundings."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.linalg import solve
from torch import Tensor

from semtalk.data.store import MOTION, Store, StoredRecording, in_turn
from semtalk.evaluation.takes import Take
from semtalk.features.extract import full_precision
from semtalk.files import atomic_write
from semtalk.generation.seams import orthonormal
from semtalk.motion.skeleton import JAW, NUM_EXPRESSIONS, NUM_JOINTS

SPEECH = ("rhythm", "hubert")
"""The stored frame features that the face hears."""
OFFSETS = np.arange(-6, 7, 2)
"""Frames around a frame that the regression sees."""
GRID = tuple(10.0**power for power in range(6))
"""Regularisations that are tried on val."""
MOST_FRAMES = 100_000
"""Of a split that is fitted or chosen by; of a longer one every k-th frame."""
JAW_COLUMNS = np.arange(6 * JAW, 6 * JAW + 6)
BODY_COLUMNS = np.setdiff1d(np.arange(6 * NUM_JOINTS), JAW_COLUMNS)
FACE_COLUMNS = np.arange(6 * NUM_JOINTS, 6 * NUM_JOINTS + NUM_EXPRESSIONS)
GROUPS = (JAW_COLUMNS, BODY_COLUMNS, FACE_COLUMNS)
"""Channels of rotations and expressions that have a regularisation of their own."""


def speech(recording: Mapping[str, Tensor]) -> np.ndarray:
    """Speech features (T, D) of a recording."""
    return torch.cat([full_precision(recording[slot]) for slot in SPEECH], dim=-1).numpy()


def surroundings(features: np.ndarray) -> np.ndarray:
    """Each frame's features with those of the frames around it (T, 7 D); the ends are repeated."""
    index = (np.arange(len(features))[:, None] + OFFSETS).clip(0, len(features) - 1)
    return features[index].reshape(len(features), -1)


@dataclass
class Standard:
    """Turns recordings into speech features (T, D) standardised by the training split.

    Attributes:
        mean: (D,).
        scale: (D,) deviation.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, training: Sequence[Mapping[str, Tensor]]) -> "Standard":
        """By the frames of some recordings."""
        count, total, squares = 0, 0.0, 0.0
        for rows in (speech(recording).astype(np.float64) for recording in in_turn(training)):
            count, total, squares = count + len(rows), total + rows.sum(axis=0), squares + np.square(rows).sum(axis=0)
        mean = total / count
        return cls(mean, np.sqrt((squares / count - mean**2).clip(min=0)).clip(min=1e-6))

    def __call__(self, recording: Mapping[str, Tensor]) -> np.ndarray:
        """The features of one recording."""
        return (speech(recording) - self.mean) / self.scale


def _pieces(split: Sequence[StoredRecording], standard: Standard) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs (t, 7 D) and channels (t, 430) of each recording, of every k-th frame where a split is long."""
    every = -(-sum(recording.frames for recording in split) // MOST_FRAMES)
    for recording in in_turn(split):
        channels = np.concatenate([recording["rotation"].flatten(1), recording["expressions"]], axis=1)
        yield surroundings(standard(recording))[::every], channels[::every].astype(np.float64)


@dataclass
class SpeechRidge:
    """Linear maps from a frame's surrounding speech to its rotations and expressions.

    Attributes:
        standard: Of the features.
        weights: (7 D, 430).
        offset: (430,).
    """

    standard: Standard
    weights: np.ndarray
    offset: np.ndarray

    @classmethod
    def fit(cls, store: Store) -> "SpeechRidge":
        """Fit to the training split; each group of channels has the regularisation that is best on val."""
        training, val = store.split("train"), store.split("val")
        standard = Standard.of(training)
        count, sums, gram, cross = 0, [0.0, 0.0], 0.0, 0.0
        for inputs, channels in _pieces(training, standard):
            count, sums = count + len(inputs), [sums[0] + inputs.sum(axis=0), sums[1] + channels.sum(axis=0)]
            gram, cross = gram + inputs.T @ inputs, cross + inputs.T @ channels
        inputs, channels = (total / count for total in sums)
        gram, cross = gram - count * np.outer(inputs, inputs), cross - count * np.outer(inputs, channels)
        fitted = [solve(gram + alpha * np.eye(len(gram)), cross, assume_a="pos") for alpha in GRID]
        errors = np.zeros((len(GRID), len(channels)))
        for heard, true in _pieces(val, standard):
            for index, weights in enumerate(fitted):
                errors[index] += np.square((heard - inputs) @ weights + channels - true).sum(axis=0)
        weights = np.empty_like(cross)
        for columns in GROUPS:
            weights[:, columns] = fitted[int(errors[:, columns].sum(axis=1).argmin())][:, columns]
        return cls(standard, weights, channels - inputs @ weights)

    @classmethod
    def of(cls, store: Store) -> "SpeechRidge":
        """Fitted to a store; kept beside it until its takes or features change."""
        keys = [
            [recording.id, *(recording.info["origins"][name] for name in (MOTION, *SPEECH))]
            for recording in (*store.split("train"), *store.split("val"))
        ]
        key = hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]
        path = Path(store.folder) / f"ridge_{key}.npz"
        if not path.is_file():
            fitted = cls.fit(store)
            arrays = {
                "mean": fitted.standard.mean, "scale": fitted.standard.scale, "weights": fitted.weights,
                "offset": fitted.offset,
            }  # fmt: skip
            for stale in path.parent.glob("ridge_*.npz"):
                stale.unlink()
            atomic_write(path, lambda temporary: np.savez(temporary, **arrays))
            return fitted
        with np.load(path, allow_pickle=False) as file:
            return cls(Standard(file["mean"], file["scale"]), file["weights"], file["offset"])

    def predict(self, recording: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Rotations (T, 55, 6) and expressions (T, 100) of a recording."""
        channels = surroundings(self.standard(recording)) @ self.weights + self.offset
        rotation, expressions = np.split(channels.astype(np.float32), [6 * NUM_JOINTS], axis=1)
        rotation = orthonormal(torch.from_numpy(rotation).unflatten(1, (NUM_JOINTS, 6))[None])[0]
        return rotation, torch.from_numpy(expressions)


def add_ridge(takes: list[Take], store: Store) -> None:
    """Give every take the row ``ridge``, which stands where the truth's mean is."""
    ridge = SpeechRidge.of(store)
    for take in takes:
        rotation, expressions = (value[: take.frames] for value in ridge.predict(take.recording))
        trans = take.trans["truth"].mean(dim=0).expand(take.frames, 3)
        take.add("ridge", rotation, expressions, trans)
