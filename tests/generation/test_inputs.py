"""What a user gives is read before anything heavy is, and what is wrong with it is one sentence."""

import numpy as np
import pytest
import soundfile
from conftest import run_command, run_program
from tiny import voice

from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.utterance import Utterance, mono

PROGRAM = """
import sys
from semtalk import compose, run
from semtalk.errors import SemTalkError
for word in sys.argv[1:]:
    try:
        run.generate(compose("generate", *word.split("|")))
    except SemTalkError as error:
        print(error)
    assert not {"torch", "pytorch_lightning", "librosa", "transformers", "scipy"} & set(sys.modules), word
"""


def test_bad_input_is_told_before_torch_is_imported(tmp_path):
    good, short, odd = tmp_path / "good.wav", tmp_path / "short.npz", tmp_path / "odd.npz"
    soundfile.write(good, voice(0.5), 16000)
    (tmp_path / "bad.wav").write_text("no sound")
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "bad.npz").write_text("no motion")
    np.savez(
        short, poses=np.zeros((2, 165)), expressions=np.zeros((2, 100)), trans=np.zeros((2, 3)), betas=np.zeros(300)
    )
    np.savez(odd, poses=np.zeros((2, 165)))
    wrong = {
        f"audio={tmp_path}/bad.wav": "bad.wav: not a readable sound file",
        f"audio={tmp_path}/none.wav": "none.wav: no such sound file",
        f"audio={good}|transcript={tmp_path}/bad.json": "bad.json: neither a Whisper nor a WhisperX transcript",
        f"audio={good}|transcript={tmp_path}/none.json": "none.json: no such transcript",
        f"audio={good}|motion={tmp_path}/bad.npz": "bad.npz: not a readable npz",
        f"audio={good}|motion={short}": "motion: 2 frames; a seed needs 4",
        f"audio={good}|betas={odd}": "odd.npz: not a BEAT2 motion file",
        f"audio={good}|betas=[{','.join(['0.0'] * 301)}]": "betas: 301 values",
    }
    said = run_program("-c", PROGRAM, *wrong).stdout.splitlines()
    assert len(said) == len(wrong)
    for line, expected in zip(said, wrong.values(), strict=True):
        assert expected in line


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.full(1, 0.1), 16000, "6.3e-05 s of sound; a frame of motion alone takes 1/30 s"),
        (np.full(400, 0.1), 16000, "0.025 s of sound"),
        (np.full(600, 0.1), 1, "1 samples a second; speech has 1000 to 1000000, so its header is wrong"),
        (np.full(9000, 0.1), 2_000_000, "2000000 samples a second"),
        (np.full(9000, 1e30), 16000, r"samples reach 1e\+30, where full scale is 1; scale them"),
        (np.full(9000, 1e300), 16000, "the sound holds NaN or infinite"),
        (np.full(9000, 32000.0), 22050, r"samples reach 3\.\d+e\+04"),
    ],
)
def test_sound_that_cannot_be_a_voice_is_refused(tmp_path, samples, rate, says):
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="DOUBLE")
    with pytest.raises(SemTalkError, match=rf"a\.wav: {says}"):
        load_audio(tmp_path / "a.wav")


def test_the_shortest_and_the_slowest_sound_are_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(1.0)[:534], 16000)
    soundfile.write(tmp_path / "b.wav", voice(1.0)[:1000], 1000)
    assert len(load_audio(tmp_path / "a.wav")) == 534
    assert len(load_audio(tmp_path / "b.wav")) == 16000


def test_a_bad_sound_goes_before_a_missing_run(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    said = run_command("generate.py", f"audio={tmp_path}/a.wav", f"runs_dir={tmp_path}", check=False).stderr
    assert "a.wav: not a readable sound file" in said and "checkpoint" not in said


def test_waves_of_any_kind_become_one(tmp_path):
    wave = voice(0.5).astype(np.float32)
    assert mono(wave) is wave
    other = 0.5 * voice(0.5, seed=1)
    mixed = (wave + other) / 2
    for stereo in (np.stack([wave, other]), np.stack([wave, other], axis=1)):
        assert np.allclose(mono(stereo), mixed, atol=1e-7)
        assert Utterance(stereo).frames == 15
    eight = np.stack([wave] * 8)
    assert np.allclose(mono(eight), wave, atol=1e-6)
    for kind, scale in ((np.int16, 2**15), (np.int32, 2**31)):
        whole = np.round(wave.astype(np.float64) * scale).astype(kind)
        scaled = mono(np.stack([whole, whole]))
        assert scaled.dtype == np.float32 and np.allclose(scaled, wave, atol=1 / 2**14)
        assert mono(np.array([np.iinfo(kind).min], kind))[0] == -1.0
    assert mono(wave.astype(np.float64)).dtype == np.float32


@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (np.zeros((9, 100)), r"shape \(9, 100\); give \(samples,\)"),
        (np.zeros((2, 2, 9)), r"shape \(2, 2, 9\)"),
        (np.zeros(100, bool), "samples of type bool"),
        (np.zeros(100, np.uint8), "samples of type uint8; give floats with full scale 1, int16 or int32"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        (np.array([0.0, -np.inf]), "NaN or infinite"),
        (np.array([0.0, -101.0]), "samples reach 101"),
    ],
)
def test_waves_that_are_none_are_refused(wave, says):
    for take in (mono, Utterance):
        with pytest.raises(SemTalkError, match=says):
            take(wave)


@pytest.mark.parametrize(
    "word", [("hello", 2.0, 1.0), ("hello", -1.0, 1.0), ("hello", 0.0, np.nan), ("hello", np.inf, np.inf)]
)
def test_words_with_times_that_cannot_be_are_refused(word):
    with pytest.raises(SemTalkError, match="speech: 'hello' runs from .* to .* s; mend its times"):
        Utterance(voice(0.5), [("well", 0.0, 0.0), word], name="speech")


@pytest.mark.parametrize("word", ["hello", ("hello", 1.0), ("hello", "a", "b"), None])
def test_words_that_are_none_are_refused(word):
    with pytest.raises(SemTalkError, match=r"is no \(text, start, end\) with seconds"):
        Utterance(voice(0.5), [word])


def test_the_python_interface_takes_what_people_have(smoke):
    from semtalk.generation.speech import SemTalk
    from semtalk.generation.stream import SpeechStream

    model = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")
    wave = (voice(2.0) * 2**15).astype(np.int16)
    plain = model(wave / np.float32(2**15)).motion
    assert np.array_equal(model(np.stack([wave, wave])).motion.poses, plain.poses)
    stream = SpeechStream(model)
    with pytest.raises(SemTalkError, match="'b' runs from 2"):
        stream.push(wave, [("b", 2.0, 1.0)])
    with pytest.raises(SemTalkError, match="NaN"):
        stream.push(np.full(10, np.nan))
    stream.push(np.stack([wave[:9000], wave[:9000]]))
    assert np.array_equal(stream.wave, wave[:9000] / np.float32(2**15)) and len(stream.words) == 0
