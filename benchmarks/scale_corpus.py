"""A corpus as large as BEAT2, by the embedded corpus's writer: 25 speakers, takes of 60 s, in BEAT2's layout.

What is prepared from it is made for every take, linked or not.
"""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import torch

from semtalk.body import load_body
from semtalk.data.beat2 import FILES, FOLDER
from semtalk.data.sample.corpus import rest_joints_of, write_take
from semtalk.data.sample.gesture import Style
from semtalk.data.sample.voice import Voice

SPEAKERS = 25
TAKES = 1600
TEST_TAKES = 265
SECONDS = 60.0
NUMBERS = (*range(1, 49), *range(65, 81))
"""Take numbers of a speaker: of the emotions that the embedded corpus has."""
DIFFERENT = 400
"""Takes that are made; the rest have another name and their content, as links to the same files."""
SEED = 7


def speaker_of(speaker: int) -> tuple[Voice, Style]:
    """Voice and way of moving of a speaker, 1 and above."""
    rng = np.random.default_rng([SEED, speaker])
    voice = Voice(rng.uniform(100, 220), rng.uniform(0.9, 1.15))
    body = tuple(rng.normal(0, 0.5, 3).tolist())
    ranges = ((0.7, 1.3), (0.8, 1.4), (-0.1, 0.2), (0.1, 0.4), (0.02, 0.05))
    return voice, Style(*(rng.uniform(*between) for between in ranges), body)


def take_of(index: int) -> tuple[int, str, str]:
    """Speaker, name and split of a take, 0 and above; the first takes are of all speakers in turn."""
    speaker, number = index % SPEAKERS + 1, NUMBERS[index // SPEAKERS * 27 % len(NUMBERS)]
    test = (index + 1) * TEST_TAKES // TAKES > index * TEST_TAKES // TAKES
    split = "test" if test else "val" if index % 16 == 3 else "train"
    return speaker, f"{speaker}_made_0_{number}_{number}", split


def _write(given: tuple[Path, int]) -> None:
    torch.set_num_threads(1)  # of several processes
    folder, index = given
    speaker, identifier, _ = take_of(index)
    if (folder / FILES["semantics"][0] / f"{identifier}.txt").is_file():  # the last one written
        return
    voice, style = speaker_of(speaker)
    rng = np.random.default_rng([SEED, speaker, index])
    write_take(folder, identifier, voice, style, SECONDS, rest_joints_of(style, load_body(None)), rng)


def write_corpus(root: Path, takes: int, processes: int) -> None:
    """Have the first so many takes below ``root``; a smaller corpus that is there grows.

    Args:
        root: What ``data.root`` is to be.
        takes: How many.
        processes: That write them.
    """
    folder = root / FOLDER
    for inner, _ in FILES.values():
        (folder / inner).mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        made = [(folder, index) for index in range(min(takes, DIFFERENT))]
        for _ in pool.imap_unordered(_write, made, chunksize=4):
            pass
    for index in range(DIFFERENT, takes):
        for inner, suffix in FILES.values():
            link = folder / inner / f"{take_of(index)[1]}{suffix}"
            if not link.is_file():
                os.link(link.with_name(f"{take_of(index % DIFFERENT)[1]}{suffix}"), link)
    rows = [",".join(take_of(index)[1:]) for index in range(takes)]
    (folder / "train_test_split.csv").write_text("\n".join(["id,type", *rows]) + "\n", encoding="utf-8")
