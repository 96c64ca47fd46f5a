"""The corpus that is made to measure large ones, and the picture of what was measured."""

import json
from collections import Counter

from benchmarks import scale_corpus as made
from benchmarks.scale_plot import draw, found
from semtalk.data.beat2 import emotion_of
from semtalk.data.sample.corpus import COLOURS


def test_the_corpus_has_the_takes_and_speakers_of_beat2():
    takes = [made.take_of(index) for index in range(made.TAKES)]
    assert len({identifier for _, identifier, _ in takes}) == 1600
    assert Counter(speaker for speaker, _, _ in takes) == dict.fromkeys(range(1, 26), 64)
    assert Counter(split for _, _, split in takes)["test"] == 265
    assert {emotion_of(identifier) for _, identifier, _ in takes} == set(COLOURS)
    assert {split for _, _, split in takes[:60]} == {"train", "val", "test"}, "an hour has all splits,"
    assert len({speaker for speaker, _, split in takes[:60] if split == "train"}) == 25, "and all speakers"
    voices = {made.speaker_of(speaker)[0].pitch for speaker in range(1, 26)}
    assert len(voices) == 25 and made.speaker_of(3) == made.speaker_of(3)


def test_a_picture_is_drawn_of_what_was_measured(tmp_path):
    keys = {"seconds": 1.0, "all": 0.5, "windows/s": 9.0}
    names = [
        "preparing", "evaluating", "planning", "opening", "start of base, cold", "start of base, warm",
        "start of rvqvae_upper, cold", "start of rvqvae_upper, warm", "reading, an epoch", "reading, cold",
        "reading, warm",
    ]  # fmt: skip
    runs = [{"hours": hours, **dict.fromkeys(names, keys)} for hours in (1.0, 3.0, 26.7)]
    del runs[-1]["evaluating"]
    assert found(runs, ("evaluating", "all")) == ([1.0, 3.0], [0.5, 0.5])
    (tmp_path / "scale.json").write_text(json.dumps(runs))
    draw(tmp_path / "scale.json", tmp_path / "scale.png")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")
