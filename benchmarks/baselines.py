"""What a method must beat on speech: ridge regression from the same features, and the nearest training window."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.spatial.distance import cdist
from sklearn.linear_model import Ridge
from torch import Tensor

from semtalk.data.store import Store
from semtalk.evaluation.takes import Take
from semtalk.features.extract import full_precision
from semtalk.generation.rollout import NEW_FRAMES, orthonormal
from semtalk.motion.skeleton import JAW, NUM_JOINTS, SEED_FRAMES, WINDOW

SPEECH = ("rhythm", "hubert")
"""The stored frame features that the face hears."""
OFFSETS = np.arange(-6, 7, 2)
"""Frames around a frame that the regression sees."""
GRID = tuple(10.0**power for power in range(6))
JAW_COLUMNS = np.arange(6 * JAW, 6 * JAW + 6)
BODY_COLUMNS = np.setdiff1d(np.arange(6 * NUM_JOINTS), JAW_COLUMNS)


def speech(recording: Mapping[str, Tensor]) -> np.ndarray:
    """Speech features (T, D) of a recording."""
    return torch.cat([full_precision(recording[slot]) for slot in SPEECH], dim=-1).numpy()


class Standard:
    """Turns recordings into speech features (T, D) standardised by the training split."""

    def __init__(self, training: Sequence[Mapping[str, Tensor]]):
        rows = np.concatenate([speech(recording) for recording in training])
        self.mean, self.scale = rows.mean(axis=0), rows.std(axis=0).clip(min=1e-6)

    def __call__(self, recording: Mapping[str, Tensor]) -> np.ndarray:
        """The features of one recording."""
        return (speech(recording) - self.mean) / self.scale


def surroundings(features: np.ndarray) -> np.ndarray:
    """Each frame's features with those of the frames around it (T, 7 D); the ends are repeated."""
    index = (np.arange(len(features))[:, None] + OFFSETS).clip(0, len(features) - 1)
    return features[index].reshape(len(features), -1)


def fit_ridge(inputs: np.ndarray, targets: np.ndarray, val_inputs: np.ndarray, val_targets: np.ndarray) -> Ridge:
    """The regression (N, D) -> (N, C) whose regularisation of :data:`GRID` has the smallest squared error on val."""
    fitted = [Ridge(alpha=alpha).fit(inputs, targets) for alpha in GRID]
    return min(fitted, key=lambda ridge: float(np.square(ridge.predict(val_inputs) - val_targets).mean()))


def add_ridge(takes: list[Take], store: Store) -> None:
    """Give every take the row ``ridge``; jaw, expressions and body each have their own regularisation."""
    standard = Standard(store.split("train"))
    splits = {name: store.split(name) for name in ("train", "val")}
    inputs = {name: np.concatenate([surroundings(standard(r)) for r in split]) for name, split in splits.items()}
    motion = {
        key: {name: torch.cat([r[key].flatten(1) for r in split]).numpy() for name, split in splits.items()}
        for key in ("rotation", "expressions")
    }
    jaw, body, face = (
        fit_ridge(inputs["train"], motion[key]["train"][:, columns], inputs["val"], motion[key]["val"][:, columns])
        for key, columns in (("rotation", JAW_COLUMNS), ("rotation", BODY_COLUMNS), ("expressions", slice(None)))
    )
    for take in takes:
        heard = surroundings(standard(take.recording))[: take.frames]
        rotation = np.empty((take.frames, 6 * NUM_JOINTS), np.float32)
        rotation[:, JAW_COLUMNS], rotation[:, BODY_COLUMNS] = jaw.predict(heard), body.predict(heard)
        rotation = orthonormal(torch.from_numpy(rotation).unflatten(1, (NUM_JOINTS, 6))[None])[0]
        take.add("ridge", rotation, torch.from_numpy(face.predict(heard).astype(np.float32)), take.trans["mean"])


def nearest_windows(heard: np.ndarray, training: list[np.ndarray]) -> list[tuple[int, int]]:
    """For each window of 64 frames with 60 new ones, the training window with the nearest speech.

    Args:
        heard: (T, D) standardised features; the last window may be cut short.
        training: (T, D) of each training recording, any window of which may be chosen.

    Returns:
        Of each of the n windows the number of the recording and its first frame.
    """
    starts = range(0, len(heard) - SEED_FRAMES, NEW_FRAMES)
    best = [(np.inf, 0, 0)] * len(starts)
    for number, features in enumerate(training):
        places = len(features) - WINDOW + 1
        if places < 1:
            continue
        frames = cdist(features, heard, "sqeuclidean")
        for window, start in enumerate(starts):
            distance = sum(frames[k : k + places, start + k] for k in range(min(WINDOW, len(heard) - start)))
            place = int(distance.argmin())
            best[window] = min(best[window], (float(distance[place]), number, place))
    return [(number, place) for _, number, place in best]


def add_nearest(takes: list[Take], store: Store) -> None:
    """Give every take the row ``nearest``: the motion of the training windows that sound most alike."""
    recordings = store.split("train")
    standard = Standard(recordings)
    training = [standard(recording) for recording in recordings]
    for take in takes:
        found = nearest_windows(standard(take.recording)[: take.frames], training)
        places = [
            (recordings[number], slice(place + (SEED_FRAMES if index else 0), place + WINDOW))
            for index, (number, place) in enumerate(found)
        ]
        rotation, expressions = (
            torch.cat([recording[key][frames] for recording, frames in places])[: take.frames]
            for key in ("rotation", "expressions")
        )
        take.add("nearest", rotation, expressions, take.trans["mean"])
