"""Words and their times against forced alignment of real takes: ``python -m benchmarks transcripts``.

Needs ``SEMTALK_REAL_DATA``; the takes are those of its ``beat2_two_takes``.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import console, record
from semtalk.features.audio import load_audio
from semtalk.features.recognise import WHISPER, Recogniser
from semtalk.features.transcript import Word, read_textgrid
from semtalk.motion.skeleton import SAMPLE_RATE


def align(said: Sequence[str], heard: Sequence[str]) -> tuple[int, list[tuple[int, int]]]:
    """Fewest words to replace, add and drop, and the places (said, heard) of the words that agree."""
    cost = np.zeros((len(said) + 1, len(heard) + 1), int)
    cost[:, 0], cost[0] = np.arange(len(said) + 1), np.arange(len(heard) + 1)
    for i, word in enumerate(said):
        for j, other in enumerate(heard):
            cost[i + 1, j + 1] = min(cost[i, j] + (word != other), cost[i, j + 1] + 1, cost[i + 1, j] + 1)
    i, j, pairs = len(said), len(heard), []
    while i and j:
        wrong = said[i - 1] != heard[j - 1]
        if cost[i, j] == cost[i - 1, j - 1] + wrong:
            i, j = i - 1, j - 1
            pairs += [] if wrong else [(i, j)]
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return int(cost[-1, -1]), pairs


def compare(said: Sequence[Word], heard: Sequence[Word]) -> tuple[int, list[float]]:
    """Wrong words, and by how many seconds the starts of the right ones are off."""
    wrong, pairs = align([word.text.lower() for word in said], [word.text.lower() for word in heard])
    return wrong, [abs(said[i].start - heard[j].start) for i, j in pairs]


def transcripts() -> None:
    """Word error rate and errors of word starts of the package's Whisper."""
    if "SEMTALK_REAL_DATA" not in os.environ:
        console.print("transcripts: set SEMTALK_REAL_DATA to the folder of real takes.")
        return
    root = Path(os.environ["SEMTALK_REAL_DATA"]) / "beat2_two_takes" / "beat_english_v2.0.0"
    recognise = Recogniser(WHISPER, "en")
    words = wrong = sound = took = 0
    starts: list[float] = []
    for path in sorted((root / "textgrid").glob("*.TextGrid")):
        said, wave = read_textgrid(path), load_audio(root / "wave16k" / f"{path.stem}.wav")
        began = time.perf_counter()
        heard = recognise(wave)
        took += time.perf_counter() - began
        errors, off = compare(said, heard)
        words, wrong, sound = words + len(said), wrong + errors, sound + len(wave) / SAMPLE_RATE
        starts += off
    record("transcripts", {
        "model": WHISPER, "takes_s": sound, "words": words, "word_error_rate": wrong / words,
        "start_error_median_s": float(np.median(starts)), "start_error_90_s": float(np.quantile(starts, 0.9)),
        "seconds_per_second": took / sound,
    })  # fmt: skip
