"""What a user gives is read before anything heavy is, and what is wrong with it is one sentence."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command, run_program
from tiny import voice

from semtalk import SemTalk, compose
from semtalk.commands.evaluate import evaluate
from semtalk.commands.generate import generate
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.utterance import Utterance, mono
from semtalk.generation.inputs import read_betas, read_seed
from semtalk.generation.stream import SpeechStream
from semtalk.motion.io import Motion, save_motion
from semtalk.settings import choose

PROGRAM = """
import sys
from semtalk import compose
from semtalk.commands.evaluate import evaluate
from semtalk.commands.generate import generate
from semtalk.commands.train import train
from semtalk.errors import SemTalkError
for word in sys.argv[1:]:
    name, *overrides = word.split("|")
    try:
        {"generate": generate, "eval": evaluate, "train": train}[name](compose(name, *overrides))
    except SemTalkError as error:
        print(error)
    assert not {"torch", "pytorch_lightning", "librosa", "transformers", "scipy"} & set(sys.modules), word
"""
WHOLE = {
    "command": "sys.argv[0] = 'generate.py'; runpy.run_path(sys.argv[0], run_name='__main__')",
    "python": "import semtalk; semtalk.SemTalk.from_pretrained(sys.argv[1][5:])(sys.argv[2][6:]).save(sys.argv[3])",
}
HEAVY = {
    "pytorch_lightning", "lightning", "torchmetrics", "transformers", "matplotlib", "pyvista", "vtk", "vtkmodules",
    "wandb", "librosa", "numba", "scipy", "pandas", "sklearn", "smplx",
}  # fmt: skip
"""What generation from offline features into npz has no need of, and takes seconds to import."""
COMPILER = set() if torch.__version__ < (2, 8) else {"torch._dynamo", "torch._inductor"}
"""The same; einops imports it with a torch that is older."""


def test_bad_input_is_told_before_torch_is_imported(tmp_path):
    good, short, odd = tmp_path / "good.wav", tmp_path / "short.npz", tmp_path / "odd.npz"
    said = tmp_path / "good.txt"
    soundfile.write(good, voice(0.5), 16000)
    (tmp_path / "bad.wav").write_text("no sound")
    (tmp_path / "bad.json").write_text("{}")
    said.write_text("well hello")
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    (tmp_path / "bad.npz").write_text("no motion")
    np.savez(
        short, poses=np.zeros((2, 165)), expressions=np.zeros((2, 100)), trans=np.zeros((2, 3)), betas=np.zeros(300)
    )
    np.savez(odd, poses=np.zeros((2, 165)))
    (tmp_path / "run" / "base").mkdir(parents=True)
    (tmp_path / "run" / "base" / "best.ckpt").touch()
    run = f"generate|audio={good}|ckpt={tmp_path}/run"
    wrong = {
        f"{run}|whisper={tmp_path}/none": f"whisper={tmp_path}/none: there is no such folder",
        f"{run}|whisper=no/model": "whisper=no/model: the model is neither a folder here nor in the Hugging Face cache",
        f"{run}|transcript=whisper|whisper={tmp_path}/run": "/run has no model.bin",
        f"train|init={tmp_path}|dry_run=true": "there is no checkpoint here; give the folder of a run",
        f"generate|audio={tmp_path}/bad.wav": "bad.wav: not a readable sound file",
        f"generate|audio={tmp_path}/none.wav": "none.wav: no such sound file",
        f"generate|audio={good}|transcript={tmp_path}/bad.json": "bad.json: neither a Whisper nor a WhisperX",
        f"generate|audio={good}|transcript={tmp_path}/none.json": "none.json: no such transcript",
        f"generate|audio={good}|motion={tmp_path}/bad.npz": "bad.npz: not a readable npz",
        f"generate|audio={good}|motion={short}": "motion: 2 frames; a seed needs 4",
        f"generate|audio={good}|betas={odd}": "odd.npz: not a readable npz of plain arrays (it lacks",
        f"generate|audio={good}|betas=[{','.join(['0.0'] * 301)}]": "betas: 301 values",
        f"generate|audio={good}|transcript={tmp_path}/bad.txt": "bad.txt: not a text in UTF-8; save it as that",
        f"generate|audio={good}|transcript={said}|emphasise=[hull]": "=hull: good has no such word",
        f"generate|audio={good}|transcript={said}|calm=[well@3]": "3 s is not within good, which",
        f"generate|audio={good}|psi={short}": "short.npz: give a .csv or an .npy",
        f"generate|audio={good}|pose=[{tmp_path}/none.npz@0.1]": "none.npz: no such motion file",
        f"eval|motions={tmp_path}/own|truth={tmp_path}/none": f"truth={tmp_path}/none: there is no such folder",
        f"eval|motions={tmp_path}/own|truth={tmp_path}/own": "own/a.npz: not a readable npz of plain arrays (it lacks",
        f"eval|motions={tmp_path}/true|truth={tmp_path}/true|mean_speed={odd}": "odd.npz: not a readable npy",
        f"eval|motions={tmp_path}/true|truth={tmp_path}/true|audio={tmp_path}": "bad.wav: not a readable sound file",
    }
    (tmp_path / "own").mkdir()
    (tmp_path / "true").mkdir()
    shutil.copy(odd, tmp_path / "own" / "a.npz")
    shutil.copy(short, tmp_path / "true" / "bad.npz")
    lines = run_program("-c", PROGRAM, *wrong).stdout.splitlines()
    assert len(lines) == len(wrong)
    for line, expected in zip(lines, wrong.values(), strict=True):
        assert expected in line


@pytest.mark.parametrize("word", ["ckpt={}/none", "runs_dir={}"])
def test_a_run_without_networks_is_told_before_torch_is_imported(tmp_path, word):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    words = [word.format(tmp_path), f"audio={tmp_path}/a.wav", "transcript=none", f"out={tmp_path}/out"]
    said = run_program("-X", "importtime", "generate.py", *words, check=False)
    modules = set(re.findall(r"\|\s*([\w.]+)$", said.stderr, re.M))
    assert said.returncode == 1 and "there is no checkpoint of 'base' here. Make it with" in said.stderr
    assert "semtalk.generation.wishes" in modules and "torch" not in modules and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"audio": "talk.mp4"}, []), ({"audio": "talk.png"}, []), ({"audio": "one.npz"}, ["video=false"]),
        ({"audio": "seed.wav", "motion": "seed_1.npz"}, ["samples=2"]),
        ({"audio": "a.glb"}, ["format=glb", "video=false"]),
        ({"audio": "seed.wav", "motion": "seed.npz"}, []), ({"audio": "seed.wav", "betas": "seed.npz"}, []),
        ({"audio": "a.wav", "transcript": "environment.json"}, []),
    ],
)  # fmt: skip
def test_what_is_given_is_not_overwritten(tmp_path, monkeypatch, given, options):
    monkeypatch.chdir(tmp_path)
    still = Motion(np.zeros((9, 55, 3)), np.zeros((9, 100)), np.zeros((9, 3)), np.zeros(300))
    save_motion("seed.npz", still)
    (tmp_path / "environment.json").write_text('[{"word": "x", "start": 0, "end": 1}]')
    soundfile.write("sound.wav", voice(0.5), 16000)
    shutil.copy("sound.wav", given["audio"])
    shutil.copy("seed.npz", "seed_1.npz")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    arguments = [f"{key}={value}" for key, value in given.items()]
    said = run_command("generate.py", *arguments, "out=.", *options, check=False).stderr
    assert "a file that is given would be overwritten with a result; give another out=DIR." in said
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    said = run_command("generate.py", *arguments, "out=other", *options, check=False).stderr
    assert "checkpoint" in said and "overwritten" not in said


@pytest.mark.parametrize(
    ("out", "wrong"),
    [
        ("a.wav", "a.wav is no folder"), ("a.wav/x/y", "a.wav is no folder"), ("gone", "gone is no folder"),
        ("new/" + "x" * 256, "a name in it is too long"), ("closed/new", "closed may not be written to"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_written_to_is_known_before_anything_is_worked_out(tmp_path, monkeypatch, out, wrong):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", voice(0.5), 16000)
    os.symlink("nowhere", "gone")
    os.mkdir("closed")
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed" and allowed(path, mode))  # of root
    said = f"^{re.escape(out)}: {wrong}; give another folder.$"
    for command, options in ((generate, ["audio=a.wav"]), (evaluate, ["compare=[a,b]"])):
        with pytest.raises(SemTalkError, match=said):
            command(compose(command.__name__.replace("evaluate", "eval"), *options, f"out={out}"))
    with pytest.raises(SemTalkError, match=said):
        SemTalk.__new__(SemTalk).save_pretrained(out)
    assert not os.path.exists("new")


@pytest.mark.parametrize("way", list(WHOLE))
def test_generating_imports_nothing_heavy_but_torch(smoke, tmp_path, way):
    soundfile.write(tmp_path / "a.wav", voice(1.0), 16000)
    program = f"import runpy, sys, torch; before = set(sys.modules); {WHOLE[way]}; print(*set(sys.modules) - before)"
    places = [f"ckpt={smoke[0]}/runs/smoke", f"audio={tmp_path}/a.wav"]
    options = [f"out={tmp_path}/out", "video=false", "transcript=none"] if way == "command" else [f"{tmp_path}/a.npz"]
    modules = set(run_program("-c", program, *places, *options).stdout.splitlines()[-1].split())
    assert "semtalk.generation.rollout" in modules and not (HEAVY | COMPILER) & modules


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


@pytest.mark.parametrize(("at", "byte"), [(20, 0xAA), (20, 0x11), (34, 0), (22, 0)])
def test_a_wav_with_a_header_that_cannot_be_is_one_sentence(tmp_path, at, byte):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[at] = byte
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(SemTalkError, match=r"a\.wav: .*\.$"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_that_was_written_to_a_pipe_is_read_whole(tmp_path, size):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = size.to_bytes(4, "little")
    (tmp_path / "b.wav").write_bytes(content)
    assert np.array_equal(load_audio(tmp_path / "b.wav"), load_audio(tmp_path / "a.wav"))
    (tmp_path / "c.wav").write_bytes(content[:40] + bytes(4) + b"LIST\4\0\0\0INFO")
    with pytest.raises(SemTalkError, match="c.wav: the sound file is empty"):
        load_audio(tmp_path / "c.wav")


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
    tensor = torch.from_numpy(wave).requires_grad_()
    assert np.array_equal(mono(tensor), wave)
    assert np.array_equal(mono(tensor.bfloat16()), tensor.detach().bfloat16().float())


@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (np.zeros((9, 100)), r"shape \(9, 100\); give \(samples,\)"),
        (np.zeros((2, 2, 9)), r"shape \(2, 2, 9\)"),
        ([[0.1, 0.2], [0.1]], "list; give an array of samples"),
        ((16000, np.zeros(100)), "tuple; give an array of samples"),
        (None, "samples of type object"),
        (b"RIFF", "samples of type"),
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


@pytest.mark.parametrize(
    "word", ["hello", ("hello", 1.0), ("hello", "a", "b"), None, (5, 0.0, 1.0), (None, 0, 1), (b"a", 0, 1)]
)
def test_words_that_are_none_are_refused(word):
    with pytest.raises(SemTalkError, match=r"is no \(text, start, end\) with seconds"):
        Utterance(voice(0.5), [word])


STILL = Motion(np.zeros((9, 55, 3)), np.zeros((9, 100)), np.zeros((9, 3)), np.zeros(300))


@pytest.mark.parametrize(
    "betas",
    [5, "no.npz", ["a"], np.zeros((2, 3)), [[1.0], [1.0, 2.0]], [0.0] * 301, [101.0], [1e30], [np.nan], [True], [1j]],
)
def test_body_shapes_that_are_none_are_refused(betas):
    with pytest.raises(SemTalkError, match=r"(betas: .*; give an npz, or up to 300 numbers|no such motion file)"):
        read_betas(betas)


@pytest.mark.parametrize(
    "motion",
    [5, np.zeros((9, 55, 3)), STILL[:2], STILL[:0], replace(STILL, betas=np.full(300, 1e30)),
     replace(STILL, poses=np.zeros((9, 165))), replace(STILL, trans=None)],
)  # fmt: skip
def test_seeds_that_are_none_are_refused(motion):
    with pytest.raises(SemTalkError, match="^motion: "):
        read_seed(motion)


def test_shapes_and_seeds_that_can_be_are_taken():
    assert read_betas([1, -100.0])[:3].tolist() == [1, -100, 0] and read_betas(None).shape == (300,)
    assert read_seed(STILL).poses.dtype == np.float32


@pytest.mark.parametrize("words", [5, "hello", np.array([["a", "0", "1"]]), None])
def test_what_is_no_list_of_words_is_refused(words):
    with pytest.raises(SemTalkError, match=r"audio: the words? .*\(text, start, end\) with seconds"):
        Utterance(voice(0.5), words)


def test_words_and_waves_of_many_kinds_are_taken():
    wave = (voice(0.5) * 2**15).astype(np.int16)
    assert np.array_equal(mono(wave.astype(">i2")), mono(wave)) and mono(voice(0.5).astype(">f8")).dtype == np.float32
    assert np.array_equal(mono(torch.from_numpy(wave)), mono(wave))
    assert mono(np.zeros((2, 0))).shape == mono(np.zeros((0, 0))).shape == (0,)
    words = Utterance(wave, np.array([["a", 0, 1]], object)).words
    assert [tuple(word) for word in words] == [("a", 0, 1)]


@pytest.mark.parametrize("frames", [-5, 10**9, 1.5, "9", True, None])
def test_frames_that_cannot_be_are_refused(frames):
    with pytest.raises(SemTalkError, match="audio: frames=.*; give a whole number from 0 to 2592000"):
        Utterance(voice(0.5), frames=frames)


WRONG = {
    "seed": [-1, "a", 1.5, None], "samples": [0, 1.5, "2", None], "beta": ["x", None, np.nan, 2], "gate": ["open", 5],
    "batch": [0, -1, "a"], "speaker": [True, 1.0], "trust": ["os", 5, [5]], "revision": [""], "precision": [[]],
}  # fmt: skip


@pytest.mark.parametrize("key", WRONG)
def test_options_from_python_are_checked_as_those_of_the_command_are(key):
    for value in WRONG[key]:
        with pytest.raises(SemTalkError, match=f"^{key}=.*: (give|choose) "):
            choose(key, value)
    for name, value in {"seed": np.int64(3), "beta": np.float32(0.5), "speaker": None, "batch": 5}.items():
        choose(name, value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"run_dir": None}, "run_dir=None: give a path"), ({"run_dir": 5}, "run_dir=5"),
        ({"run_dir": b"x"}, "run_dir=b"),
        ({"run_dir": ""}, "run_dir='': give a path"), ({"decoding": "x"}, "decoding='x': give a dict"),
        ({"files": {"nose": "a"}}, "files={'nose': 'a'}: give a dict of files for slots, which are rhythm"),
        ({"files": "a"}, "files='a'"), ({"trust": "os"}, "trust=os: give a list"),
        ({"revision": ""}, "revision=: give"),
        ({"run_dir": "a" * 300 + "/b"}, "/b: a name in it is too long; give another run_dir"),
    ],
)  # fmt: skip
def test_what_names_no_model_is_refused_before_it_is_loaded(options, says):
    with pytest.raises(SemTalkError, match=says):
        SemTalk.from_pretrained(**{"run_dir": "nowhere"} | options)


def test_calls_from_python_are_one_sentence(smoke, tmp_path):
    model = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")
    (tmp_path / "file").write_text("")
    result = model(voice(0.5))
    wrong = [
        *(lambda n=n: model(np.zeros(n)) for n in (0, 1, 100, (0, 0), (2, 0))),
        *(lambda wave=wave: model(wave) for wave in (None, b"x", (16000, voice(0.5)), 5)),
        *(lambda words=words: model(voice(0.5), words) for words in (5, np.array([["a", "0", "1"]]), [(5, 0, 1)])),
        lambda: model(voice(0.5), [("late", 2.6, 3.0)]),
        *(lambda key=key, value=value: model(voice(0.5), **{key: value})
          for key in ("seed", "samples", "beta", "gate", "batch", "speaker") for value in WRONG[key]),
        *(lambda value=value: SpeechStream(model, lookahead=value) for value in (-1, np.nan, "a", True)),
        *(lambda path=path: result.save(path) for path in (None, 5, tmp_path / "file" / "g.npz")),
        *(lambda path=path: model.save_pretrained(path) for path in (None, "", tmp_path / "file")),
        lambda: model.save_pretrained(tmp_path / "model", evaluation=5),
        lambda: model.push_to_hub(None),
    ]  # fmt: skip
    for call in wrong:
        with pytest.raises(SemTalkError):
            call()
    assert len(model(voice(0.5).tolist()).motion) == len(model(torch.from_numpy(voice(0.5))).motion) == 15


def test_the_python_interface_takes_what_people_have(smoke):
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
