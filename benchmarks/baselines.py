"""What a method must beat on speech beside a linear map: the motion of the training windows that sound most alike."""

import numpy as np
import torch
from scipy.spatial.distance import cdist

from semtalk.data.store import Store
from semtalk.evaluation.ridge import Standard
from semtalk.evaluation.takes import Take
from semtalk.generation.seams import NEW_FRAMES
from semtalk.motion.skeleton import SEED_FRAMES, WINDOW


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
    standard = Standard.of(recordings)
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
