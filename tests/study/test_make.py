"""A study is made of folders of motion by the command: names, segments, videos, attention checks."""

import itertools
import json
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from conftest import run_command

from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.motion.io import Motion, save_motion
from semtalk.study.make import cut_takes, named_systems, with_spoken
from semtalk.study.plan import Study
from semtalk.study.questions import ANSWERS

NAMES = ("1_ada_0_5_5", "1_ada_0_6_6")


def moving(frames: int, seed: int) -> Motion:
    poses = np.random.default_rng(seed).normal(0, 0.1, (frames, 55, 3)).astype(np.float32)
    return Motion(
        poses, np.zeros((frames, 100), np.float32), np.zeros((frames, 3), np.float32), np.zeros(300, np.float32)
    )


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    for number, (system, name) in enumerate(itertools.product(("ours", "base", "captured"), NAMES)):
        save_motion(folder / system / f"{name}.npz", moving(7, number))
    (folder / "audio").mkdir()
    for number, name in enumerate(NAMES):
        wave = 0.1 * np.random.default_rng(number).normal(size=7 * 16000 // 30 + 200)
        soundfile.write(folder / "audio" / f"{name}.wav", wave, 16000)
    return folder


def words(given: Path, out: Path) -> list[str]:
    return [
        f"methods=[{given}/ours,{given}/base]", f"truth={given}/captured", f"audio={given}/audio", f"out={out}",
        "serve=false", "pages=4", "checks=1",
    ]  # fmt: skip


def pictures(path: Path) -> tuple[np.ndarray, bool]:
    with av.open(str(path)) as file:
        heard = bool(file.streams.audio)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]).astype(int), heard


@pytest.fixture(scope="module")
def study(given, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "study"
    said = run_command("scripts/study.py", *words(given, out)).stdout
    assert f"2 segments of ours, base, truth; {6 + 6 + 6 + 4} videos." in said
    return out


def test_the_command_makes_every_video_that_raters_are_shown(study):
    plan = Study.read(study)
    assert plan.ready and plan.systems == ("ours", "base", "truth") and len(plan.mismatched) == 2
    assert all((study / video).is_file() for video in plan.videos())
    own, heard = pictures(study / "stimuli" / "ours" / "muted" / f"{plan.codes[0]}.mp4")
    other, _ = pictures(study / "stimuli" / "base" / "muted" / f"{plan.codes[0]}.mp4")
    assert len(own) == 7 and not heard and np.abs(own - other).mean() > 0.1, "of another system's motion"


def test_an_attention_check_says_in_the_video_what_to_answer_after_a_while(study):
    for check in Study.read(study).checks:
        with_words = next(video for video in (check.left, check.right) if "_Text_" in video)
        shown, heard = pictures(study / with_words)
        assert heard != check.silent and len(shown) == 7
        box = shown[:, 150:300, 400:1000]
        grey = np.abs(box - box[0]).mean((1, 2, 3))
        assert grey[1] < 5 and grey[2:].min() > 10, "it appears at a third of the video"
        reference = next(video for video in (check.left, check.right) if "_Reference" in video)
        whole = [path.read_bytes() for path in study.glob("stimuli/*/m*ed/*.mp4")]
        assert (study / reference).read_bytes() in whole


@pytest.fixture
def voices(tmp_path) -> Path:
    """Recordings that say an answer: 0.1 s of a loud tone, another for each."""
    folder = tmp_path / "voices"
    folder.mkdir()
    for number, name in enumerate(ANSWERS, start=1):
        tone = 0.9 * np.sin(np.arange(1600) * 2 * np.pi * 300 * number / 16000)
        soundfile.write(folder / f"{name}.wav", tone, 16000)
    return folder


def test_half_the_checks_with_sound_are_spoken_where_their_recordings_are_given(given, voices, tmp_path):
    run_command("scripts/study.py", *words(given, tmp_path / "study"), "checks=2", f"spoken={voices}")
    checks = Study.read(tmp_path / "study").checks
    named = [next(video for video in (one.left, one.right) if "_Reference" not in video) for one in checks]
    kinds = [name.removesuffix(".mp4").rsplit("_", 2)[1:] for name in named]
    assert kinds == [["Text", "Muted"], ["Text", "Muted"], ["Text", "Unmuted"], ["Audio", "Unmuted"]]
    shown, heard = pictures(tmp_path / "study" / named[3])
    assert heard and any(
        np.array_equal(shown, pictures(path)[0]) for path in (tmp_path / "study" / "stimuli").glob("*/muted/*.mp4")
    ), "nothing is written in it"
    wave = load_audio(tmp_path / "study" / named[3])
    number = list(ANSWERS).index(checks[3].expected) + 1
    spoken = np.abs(np.fft.rfft(wave[1400:2600], 16000))
    assert abs(int(spoken.argmax()) - 300 * number) < 20, "the answer that is expected"


def test_what_is_spoken_begins_at_a_third_of_the_speech_and_ends_within_it():
    sound, said = np.ones(90), np.full(30, 2.0)
    assert with_spoken(sound, said).tolist() == [1] * 30 + [2] * 30 + [0] * 30
    assert with_spoken(sound, np.full(80, 2.0)).tolist() == [1] * 10 + [2] * 80


def test_recordings_of_answers_that_are_missing_or_too_long_are_one_sentence(given, voices, tmp_path):
    arguments = words(given, tmp_path / "study")

    def said(*more: str) -> str:
        return run_command("scripts/study.py", *arguments, *more, check=False).stderr

    assert f"spoken={tmp_path}/none: there is no such folder" in said(f"spoken={tmp_path}/none")
    soundfile.write(voices / "TheyAreEqual.wav", 0.1 * np.ones(16000), 16000)
    assert "spoken: TheyAreEqual has 1.0 s, and the shortest segment 0.2 s" in said(f"spoken={voices}")
    (voices / "TheyAreEqual.wav").unlink()
    assert "there is no recording TheyAreEqual; each answer needs one" in said(f"spoken={voices}")
    assert not (tmp_path / "study" / "study.json").exists()


def test_a_study_that_is_spoken_is_another_one(given, voices, study):
    said = run_command("scripts/study.py", *words(given, study), f"spoken={voices}", check=False)
    assert said.returncode == 1 and "another study is here" in said.stderr


def test_the_same_command_goes_on_and_another_study_is_not_put_over_it(study, given):
    times = {path: path.stat().st_mtime_ns for path in study.rglob("*.mp4")}
    run_command("scripts/study.py", *words(given, study))
    plan = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps(plan | {"ready": False}))
    run_command("scripts/study.py", *words(given, study))
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*.mp4")} == times and Study.read(study).ready
    tables = {path: path.read_bytes() for path in study.glob("*.csv")}
    for other in (["pages=5"], ["seed=1"], ["questions=[realism]"], ["seconds=0.2", "clips=1", "questions=[realism]"]):
        said = run_command("scripts/study.py", *words(given, study), *other, check=False)
        assert said.returncode == 1 and "another study is here" in said.stderr
    assert json.loads((study / "study.json").read_text()) == plan
    assert {path: path.read_bytes() for path in study.glob("*.csv")} == tables, "what its videos are of"


def test_takes_are_cut_into_pieces_and_a_short_rest_is_left(given, tmp_path):
    for name, frames in (("1_ada_0_5_5", 100), ("2_ben_0_1_1", 75)):
        save_motion(tmp_path / "m" / f"{name}_sample_1.npz", moving(frames, 0))
        save_motion(tmp_path / "n" / f"{name}.npz", moving(frames + 9, 0))
        (tmp_path / "audio").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "audio" / f"{name}.wav", np.zeros(frames * 16000 // 30 + 1), 16000)
    save_motion(tmp_path / "n" / "3_cy_0_1_1.npz", moving(50, 0))
    systems = {"m": str(tmp_path / "m"), "n": str(tmp_path / "n")}
    table = cut_takes(systems, str(tmp_path / "audio"), 1.5, tmp_path / "s.csv")
    assert table.read_text().splitlines()[1:] == [
        "1_ada_0_5_5,0.000,1.500,1.500", "1_ada_0_5_5,1.500,3.000,1.500", "2_ben_0_1_1,0.000,1.500,1.500",
        "2_ben_0_1_1,1.500,2.500,1.000",
    ]  # fmt: skip
    with pytest.raises(SemTalkError, match="no take is in all of"):
        cut_takes(systems, str(given / "audio" / "1_ada_0_6_6.wav"), 1.5, tmp_path / "t.csv")


def test_systems_are_called_as_their_folders_and_further_up_where_two_are_alike():
    assert list(named_systems(["runs/A/generated", "runs/B/generated"], "/t")) == [
        "A-generated",
        "B-generated",
        "truth",
    ]
    assert named_systems(["x/my method"], None) == {"my-method": "x/my method"}


@pytest.mark.parametrize(
    ("others", "says"),
    [
        (["methods=null"], "methods and audio go together"),
        (["audio=null"], "methods and audio go together"),
        (["report=x"], "methods and report: give one of them"),
        (["questions=[beauty]"], "give a list, each one of realism, speech, mismatch, meaning"),
        (["questions=[realism,realism]"], "something stands twice"),
        (["pages=3"], "a rater needs one for each question"),
        (["checks=4"], "more than checks=4"),
        (["clips=1"], "questions=mismatch needs two segments of a speaker"),
        (["methods=[GIVEN/ours,GIVEN/ours]"], "a folder is given twice"),
        (["methods=[GIVEN/captured/../ours]", "truth=null"], "compares systems, and there is one"),
        (["methods=[GIVEN/ours,GIVEN/none]"], "error: methods="),
        (["methods=[GIVEN/none]"], "there is no such folder"),
        (["truth=GIVEN/none"], "error: truth="),
        (["audio=GIVEN/none"], "no such sound file"),
        (["segments=GIVEN/none.csv"], "no such file"),
        (["port=70000"], "port=70000: give a whole number from 0 to 65535"),
        (["methods=null", "audio=null"], "truth is for a new study"),
        (["methods=null", "audio=null", "truth=null", "serve=true"], "there is no study here"),
        (["methods=null", "audio=null", "truth=null", "export=GIVEN"], "there is no study here"),
    ],
)
def test_what_cannot_be_a_study_is_one_sentence(given, tmp_path, others, says):
    others = [word.replace("GIVEN", str(given)) for word in others]
    own = {word.partition("=")[0]: word for word in [*words(given, tmp_path / "out"), *others]}
    said = run_command("scripts/study.py", *own.values(), check=False)
    assert said.returncode == 1 and says in said.stderr, said.stderr
    assert not list(tmp_path.rglob("*.mp4"))
