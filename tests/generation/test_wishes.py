"""What the user asks for: which word is meant, which scores, which pose, and one sentence where it cannot be."""

import json
import shlex

import numpy as np
import pytest
import soundfile
from conftest import run_command, run_program
from tiny import voice

from semtalk import SemTalk, compose
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.transcript import read_transcript
from semtalk.features.utterance import Utterance
from semtalk.generation.wishes import read_scores, read_wishes
from semtalk.motion.io import Motion, load_motion, save_motion

WORDS = [("No,", 0.1, 0.3), ("we", 0.4, 0.5), ("walked", 0.5, 0.9), ("the", 0.9, 1.0), ("whole", 1.0, 1.32),
         ("way", 1.4, 1.5), ("and", 1.5, 1.6), ("the", 1.6, 1.62), ("don't", 1.9, 3.0)]  # fmt: skip
SPEECH = Utterance(voice(2.0), WORDS, name="talk")
"""60 frames, 15 code steps of 2/15 s."""


def set_steps(**options) -> dict[int, float]:
    (wish,) = read_wishes([SPEECH], **options)
    return {int(step): float(wish.psi[step]) for step in np.flatnonzero(~np.isnan(wish.psi))}


def still(path, frames: int = 3, fill: float = 0.0) -> str:
    poses = np.zeros((frames, 55, 3), np.float32)
    poses[frames // 2] = 0.1
    save_motion(path, Motion(poses, np.zeros((frames, 100)), np.full((frames, 3), fill), np.zeros(300)))
    return str(path)


def test_words_set_the_score_of_the_steps_in_which_they_are_said():
    assert set_steps(emphasise="whole") == {7: 1.0, 8: 1.0, 9: 1.0}
    assert set_steps(emphasise=["WHOLE@1.1"], calm=["no"]) == {0: 0.0, 1: 0.0, 2: 0.0, 7: 1.0, 8: 1.0, 9: 1.0}
    assert set_steps(emphasise=["the@1.6"]) == {12: 1.0} and set_steps(calm=[("the", 0.95)]) == {6: 0.0, 7: 0.0}
    assert set_steps(emphasise=["don't"]) == {14: 1.0}, "the end of the word lies behind that of the sound"
    assert set_steps(emphasise=["the@0.9"], calm=["whole"]) == {6: 1.0, 7: 1.0, 8: 0.0, 9: 0.0}
    assert read_wishes([SPEECH, SPEECH]) is None and read_wishes([SPEECH], emphasise=[]) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"emphasise": ["hole"]}, "emphasise=hole: talk has no such word; the nearest are whole, "),
        ({"calm": "the"}, "calm=the: the word is said 2 times; say which, as in the@0.90, the@1.60"),
        ({"emphasise": ["whole@9"]}, "emphasise=whole@9: 9 s is not within talk, which lasts 2.00 s"),
        ({"emphasise": ["whole@-1"]}, "emphasise=whole@-1: -1 s is not within talk"),
        ({"emphasise": ["whole@nan"]}, "nan s is not within talk"),
        ({"emphasise": ["whole@0.2"]}, "emphasise=whole@0.2: the word is not said then, but at whole@1.00"),
        ({"emphasise": ["whole"], "calm": ["whole"]}, "emphasise, calm: both are asked of 'whole'"),
        ({"emphasise": 5}, "emphasise: 5 is no text with a time, as in whole@1.5"),
        ({"pose": [(5, 1.0)]}, r"pose: \(5, 1.0\) is no text with a time"),
        ({"pose": ["no.npz@1"]}, "no.npz: no such motion file"), ({"pose": "POSE@5"}, "pose: 5 s is not within talk"),
        ({"pose": ["POSE"]}, "give a motion file and seconds, as in pose=FILE.npz@1.5"),
        ({"pose": ["POSE@1", "POSE@1.3"]}, "pose: two poses are less than 12 frames apart"),
        ({"psi": "no.csv"}, "psi=no.csv: there is no such file"),
        ({"psi": "short.csv"}, "short.csv: 3 scores; the recording has 15 code steps and 60 frames"),
        ({"psi": "nan.csv"}, "nan.csv: there are NaN in it"), ({"psi": "words.csv"}, "give one number a line"),
        ({"psi": "big.npy"}, "big.npy: scores are numbers from 0 to 1"),
        ({"psi": "wide.npy"}, r"wide.npy: an array of shape \(15, 2\)"),
        ({"psi": "POSE"}, "pose.npz: give a .csv or an .npy"), ({"psi": "objects.npy"}, "not a readable npy of plain"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    still("pose.npz")
    (tmp_path / "short.csv").write_text("0\n1\n0\n")
    (tmp_path / "nan.csv").write_text("psi\n" + "0.5\n" * 14 + "nan\n")
    (tmp_path / "words.csv").write_text("psi\n" + "0.5\n" * 14 + "high\n")
    np.save("big.npy", np.full(15, 7.0))
    np.save("wide.npy", np.zeros((15, 2)))
    np.save("objects.npy", np.array([{}] * 15), allow_pickle=True)

    def named(value):
        if isinstance(value, list):
            return [named(one) for one in value]
        return value.replace("POSE", "pose.npz") if isinstance(value, str) else value

    with pytest.raises(SemTalkError, match=says):
        read_wishes([SPEECH], **{key: named(value) for key, value in options.items()})


def test_words_and_poses_are_of_one_recording_whose_words_are_known():
    with pytest.raises(SemTalkError, match="emphasise: for one recording; here are 2"):
        read_wishes([SPEECH, SPEECH], emphasise="whole")
    unknown = Utterance(voice(2.0), name="talk")
    with pytest.raises(SemTalkError, match="emphasise=whole: the words of talk are unknown; give transcript=FILE"):
        read_wishes([unknown], emphasise="whole")
    (wish,) = read_wishes([unknown], emphasise="whole", heard=False)
    assert not wish.sets_psi, "words that are still to be heard are looked for then"


def test_scores_of_files_are_of_steps_or_of_frames(tmp_path):
    steps, frames = np.linspace(0, 1, 15, dtype=np.float32), np.linspace(0, 1, 58, dtype=np.float32)
    np.save(tmp_path / "steps.npy", steps)
    (tmp_path / "steps.csv").write_text("psi\n" + "\n".join(map(repr, steps.tolist())))
    (tmp_path / "bare.csv").write_text("1e-3\n" * 15)
    assert np.allclose(read_scores(tmp_path / "bare.csv", 58), 1e-3), "a number is no heading"
    assert np.array_equal(read_scores(tmp_path / "steps.npy", 58), steps)
    assert np.array_equal(read_scores(tmp_path / "steps.csv", 58), steps)
    np.save(tmp_path / "frames.npy", frames)
    means = [frames[first : first + 4].mean() for first in range(0, 58, 4)]
    assert np.allclose(read_scores(tmp_path / "frames.npy", 58), means), "the last step has two frames"
    (wish,) = read_wishes([SPEECH], psi=tmp_path / "steps.npy", emphasise="whole")
    assert wish.psi[6] == steps[6] and (wish.psi[7:10] == 1).all(), "words stand above the file"


def test_a_pose_is_the_frame_in_the_middle_of_its_file(tmp_path):
    path = still(tmp_path / "a@b.npz", 3, 0.5)
    (wish,) = read_wishes([SPEECH], pose=[f"{path}@1.0", (load_motion(path)[1:2], 1.5)])
    assert sorted(wish.poses) == [7, 11] and not wish.sets_psi
    for pose in wish.poses.values():
        assert len(pose) == 1 and (pose.poses == np.float32(0.1)).all() and (pose.trans == 0.5).all()


def test_spoken_words_are_taken_from_the_command_line_as_they_are():
    settings = compose("generate", "emphasise=[don't@1.2,1984,no]", "calm=it's", "pose=[my file, (1).npz@2,b.npz@3]")
    assert settings.emphasise == ["don't@1.2", "1984", "no"] and settings.calm == "it's"
    assert settings.pose == ["my file", "(1).npz@2", "b.npz@3"]
    assert compose("generate", "emphasise=null").emphasise is None


def test_a_word_and_a_pose_on_the_command_line(smoke, tmp_path):
    """The same as from Python; the line that is kept gives the same bytes."""
    soundfile.write(tmp_path / "talk.wav", voice(4.0), 16000)
    (tmp_path / "talk.txt").write_text("we did not walk the whole way here")
    pose = still(tmp_path / "pose.npz")
    asked = ["emphasise=[whole]", "calm=[walk]", f"pose=[{pose}@1.0]"]
    words = [f"audio={tmp_path}/talk.wav", f"transcript={tmp_path}/talk.txt", "video=false", *smoke[1]]
    run_command("generate.py", *words, *asked, f"out={tmp_path}/a")
    run_command("generate.py", *words, f"out={tmp_path}/plain")
    edited, plain = ((tmp_path / out / "talk.npz").read_bytes() for out in ("a", "plain"))
    line = json.loads((tmp_path / "a" / "environment.json").read_text())["command"]
    (tmp_path / "a" / "talk.npz").unlink()
    run_program(*shlex.split(line)[1:])
    assert (tmp_path / "a" / "talk.npz").read_bytes() == edited != plain, line
    model, wave = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke"), load_audio(tmp_path / "talk.wav")
    spoken = Utterance(wave, read_transcript(tmp_path / "talk.txt", wave), name="talk")
    (result,) = model.generate([spoken], emphasise=["whole"], calm="walk", pose=[f"{pose}@1.0"])
    assert np.array_equal(result.motion.poses, load_motion(tmp_path / "a" / "talk.npz").poses)
    said = {
        text: slice(int(start * 7.5), max(int(start * 7.5) + 1, int(end * 7.5))) for text, start, end in spoken.words
    }
    assert (result.psi[said["whole"]] == 1).all() and (result.psi[said["walk"]] == 0).all()
    wrong = run_command("generate.py", *words, "emphasise=[hole]", check=False)
    assert wrong.stderr.startswith("error: emphasise=hole: talk has no such word; the nearest are whole")
    still(tmp_path / "talk.npz")
    given = run_command("generate.py", *words, f"pose={tmp_path}/talk.npz@1.0", f"out={tmp_path}", check=False)
    assert "talk.npz: a file that is given would be overwritten" in given.stderr
