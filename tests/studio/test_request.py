"""What the boxes of the studio hold, and the settings that say the same."""

from pathlib import Path

import numpy as np
import pytest
from tiny import voice

from semtalk.errors import SemTalkError
from semtalk.features.transcript import read_transcript
from semtalk.settings import compose
from semtalk.studio.request import (
    Request,
    asked_settings,
    in_milliseconds,
    listed,
    read_words,
    spelt,
    still_asked,
    write_words,
)

WAVE = voice(4.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", None), (" , \n", None), ("whole", ["whole"]), ("whole, no@1.2", ["whole", "no@1.2"]),
        ("whole,no\nso", ["whole", "no", "so"]), ("no@1,2nd", ["no@1,2nd"]), ("1,000@2.5, ten", ["1,000@2.5", "ten"]),
    ],
)  # fmt: skip
def test_words_stand_between_commas_and_a_comma_between_digits_is_theirs(text, words):
    assert listed(text) == words


def test_plain_text_is_spread_and_what_the_box_shows_then_is_read_as_the_same_words(tmp_path):
    words = read_words("we did not\nwalk, don't", WAVE)
    assert [word.text for word in words] == ["we", "did", "not", "walk", "don't"]
    assert read_words(spelt(words), WAVE) == words
    write_words(words, tmp_path / "talk.json")
    assert read_transcript(tmp_path / "talk.json", WAVE) == words, "as the command line reads them"
    assert read_words(" \n", WAVE) == []


def test_lines_have_times_all_or_none():
    (word,) = read_words(" 0.5 - 1 hello there ", WAVE)
    assert word == ("hello there", 0.5, 1.0)
    with pytest.raises(SemTalkError, match=r"^words: 'and here' has no times; write it as in 0.42-0.71 hello\.$"):
        read_words("0.5-1 hello\nand here", WAVE)
    with pytest.raises(SemTalkError, match="give 200000 at most"):
        read_words("word " * 50_000, WAVE)
    assert in_milliseconds([("a", 0.12345, 1.0)]) == [("a", 0.123, 1.0)]


def test_settings_say_what_is_asked_for():
    request = Request(
        Path("a.wav"), speaker=2, beta=0.25, samples=3, temperature=0.5, seed=7, emphasise="whole@1, no", calm="so"
    )
    settings = asked_settings(
        compose("generate"), request, Path("a.wav"), Path("a.json"), Path("s.csv"), [(Path("p@q.npz"), 1.5)]
    )
    assert (settings.audio, settings.transcript, settings.psi, settings.pose) == (
        "a.wav", "a.json", "s.csv", ["p@q.npz@1.5"],
    )  # fmt: skip
    assert (settings.speaker, settings.beta, settings.samples, settings.seed) == (2, 0.25, 3, 7)
    assert settings.emphasise == ["whole@1", "no"] and settings.calm == ["so"]
    assert settings.decoding.temperature == 0.5 and settings.decoding.body is None
    bare = asked_settings(compose("generate"), Request(Path("a.wav")), Path("a.wav"), None, None, [])
    assert bare.transcript == "none" and bare.pose is None and bare.beta == compose("generate").beta


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"beta": 2.0}, "beta=2.0: give a number from 0 to 1."),
        ({"samples": 0}, "samples=0: give a whole number from 1 to 1000."),
        ({"temperature": -1.0}, "decoding.temperature=-1.0: give a number"),
        ({"speaker": ["a"]}, "speaker="),
        ({"seed": -1}, "seed=-1: give"),
    ],
)
def test_a_value_that_its_key_does_not_take_is_told_as_on_the_command_line(wrong, says):
    with pytest.raises(SemTalkError) as error:
        asked_settings(compose("generate"), Request(Path("a.wav"), **wrong), Path("a.wav"), None, None, [])
    assert str(error.value).startswith(says)


TIMED = "0.500-0.900 We\n1.000-1.400 walk,\n2.000-2.400 we"


@pytest.mark.parametrize(
    ("asked", "text", "left"),
    [
        ("", TIMED, ""), ("we@0.70,  walk", TIMED, "we@0.70,  walk"), ("WE@2.2", TIMED, "WE@2.2"),
        ("talk@1.20, we@2.20", TIMED, "we@2.20"), ("walk@3.00", TIMED, ""), ("we@0.70", "", ""), ("walk", None, ""),
        ("walk@1.20, walk", "we did walk.", "walk"), ("@, a@b@1, walk", TIMED, "walk"),
    ],
)  # fmt: skip
def test_what_is_asked_of_words_goes_with_the_words(asked, text, left):
    assert still_asked(asked, text) == left


def test_the_wave_is_heard_where_it_is_loud():
    quiet = np.concatenate([np.zeros(32000, np.float32), 0.3 * np.ones(16000, np.float32)])
    assert read_words("late", quiet)[0].start > 1.5
