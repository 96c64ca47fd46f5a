"""Rest in silence, the last pose, no travel and held feet: what is done to generated motion last."""

import json
import shlex
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command, run_program
from tiny import voice

from semtalk import SemTalk
from semtalk.errors import SemTalkError
from semtalk.features.utterance import Utterance
from semtalk.generation import finish
from semtalk.generation.edit import BODY_JOINTS
from semtalk.generation.feet import lock_feet
from semtalk.generation.finish import ENDING, TO_REST, TO_SPEAK, Finish, eased, ended, rest_weights
from semtalk.generation.wishes import read_wishes
from semtalk.motion.io import Motion, in_place, load_motion, save_motion
from semtalk.motion.parts import poses_from_rotation
from semtalk.motion.rotation import axis_angle_to_matrix, geodesic_distance
from semtalk.motion.skeleton import HAND_JOINTS, JAW, UPPER_JOINTS


def moving(frames: int = 90, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    poses = (0.2 * rng.normal(size=(frames, 55, 3))).astype(np.float32)
    trans = np.cumsum(0.01 * rng.normal(size=(frames, 3)), axis=0).astype(np.float32)
    return Motion(poses, rng.normal(size=(frames, 100)).astype(np.float32), trans, np.zeros(300, np.float32))


def angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return geodesic_distance(*(axis_angle_to_matrix(torch.tensor(a).double()) for a in (one, other))).numpy()


def spoken(*parts: tuple[float, float]) -> np.ndarray:
    """Noise of some seconds and loudness, one after another."""
    rng = np.random.default_rng(0)
    return np.concatenate([level * rng.normal(size=int(16000 * seconds)) for seconds, level in parts]).astype(
        np.float32
    )


def test_a_figure_rests_in_long_silence_alone():
    wave = spoken((2, 0.1), (4, 0.001), (2, 0.1), (1, 0.0), (1, 0.1))  # the last pause is too short
    weights = rest_weights(wave, 300, 3.0)
    assert not weights[:60].any() and not weights[180:].any()
    assert (weights[60 + TO_REST - 1 : 180 - TO_SPEAK] == 1).all()
    assert (np.diff(weights[60 : 60 + TO_REST]) > 0).all() and (np.diff(weights[180 - TO_SPEAK : 180]) < 0).all()
    assert np.abs(np.diff(weights)).max() < 0.12
    assert not rest_weights(wave, 300, 4.5).any()
    click = wave.copy()
    click[64000:65000] = 0.3
    assert np.array_equal(rest_weights(click, 300, 3.0), weights), "a click is no speech"
    click[64000:68000] = 0.3
    assert not rest_weights(click, 300, 3.0).any()


def test_silence_at_either_end_needs_no_way_there():
    weights = rest_weights(spoken((3, 0.0), (2, 0.1), (3, 0.0)), 240, 2.0)
    assert (weights[: 90 - TO_SPEAK] == 1).all() and not weights[90:150].any()
    assert (weights[150 + TO_REST - 1 :] == 1).all()
    assert (rest_weights(np.zeros(32000, np.float32), 60, 1.0) == 1).all(), "a silent recording is rest"


def test_joints_are_turned_by_their_share_and_others_stay():
    poses, pose = moving(5).poses, moving(1, seed=1).poses[0]
    weights = np.array([0.0, 0.25, 0.5, 1.0, 0.0])
    new = eased(poses, pose, weights, [3, 20])
    others = np.setdiff1d(np.arange(55), [3, 20])
    assert np.array_equal(new[:, others], poses[:, others]) and np.array_equal(new[[0, 4]], poses[[0, 4]])
    for frame in (1, 2, 3):
        whole, left = angle(poses[frame, [3, 20]], pose[[3, 20]]), angle(new[frame, [3, 20]], pose[[3, 20]])
        assert np.allclose(left, (1 - weights[frame]) * whole, atol=1e-3) and (whole > 0.1).all()
    assert eased(poses, pose, weights * 0, [3]) is poses


def test_at_rest_trunk_and_hands_are_as_they_began_and_the_rest_goes_on(body):
    motion, begins = moving(), moving(1, seed=1).poses[0]
    wave, contact = spoken((0.5, 0.1), (2.5, 0.0)), np.zeros((90, 4))
    resting = Finish(rest=2.0)(motion, contact, begins, wave, body)
    arms = [*UPPER_JOINTS, *HAND_JOINTS]
    others = np.setdiff1d(np.arange(55), arms)
    assert angle(resting.poses[60:, arms], np.broadcast_to(begins[arms], (30, len(arms), 3))).max() < 1e-3
    assert np.array_equal(resting.poses[:15], motion.poses[:15])
    assert np.array_equal(resting.poses[:, others], motion.poses[:, others]) and resting.trans is motion.trans
    assert np.array_equal(resting.expressions, motion.expressions)
    assert Finish()(motion, contact, begins, wave, body).poses.tolist() == motion.poses.tolist()


def test_the_last_frame_has_the_pose_and_the_height_of_the_end():
    motion, end = moving(), moving(1, seed=1)
    new = ended(motion, end)
    assert angle(new.poses[-1, BODY_JOINTS], end.poses[0, BODY_JOINTS]).max() < 1e-3
    assert new.trans[-1, 1] == pytest.approx(end.trans[0, 1]) and np.array_equal(
        new.trans[:, ::2], motion.trans[:, ::2]
    )
    assert np.array_equal(new.poses[:-ENDING], motion.poses[:-ENDING])
    assert np.array_equal(new.trans[:-ENDING], motion.trans[:-ENDING])
    assert JAW not in BODY_JOINTS and np.array_equal(new.poses[:, JAW], motion.poses[:, JAW]), "the face goes on"
    left = angle(new.poses[-ENDING:, BODY_JOINTS], end.poses[:1, BODY_JOINTS]).mean(axis=1)
    assert left[0] > 0.9 * left[:3].max() and left[-2] < 0.1 * left[0]
    assert angle(ended(motion[:3], end).poses[-1, BODY_JOINTS], end.poses[0, BODY_JOINTS]).max() < 1e-3


def test_feet_are_held_where_the_figure_stays_and_before_the_last_pose(body):
    motion, end, begins = moving(), moving(1, seed=1), np.zeros((55, 3), np.float32)
    motion.poses[:] = 0.2 * motion.poses + 0.1
    contact, wave = np.ones((90, 4)), spoken((3, 0.1))
    new = Finish(in_place=True, end=end)(motion, contact, begins, wave, body)
    wanted = ended(lock_feet(in_place(motion), body, contact), end)
    assert np.array_equal(new.poses, wanted.poses) and np.array_equal(new.trans, wanted.trans)
    assert not np.array_equal(wanted.poses, ended(in_place(lock_feet(motion, body, contact)), end).poses)
    plain = Finish(foot_lock=False)(motion, contact, begins, wave, body)
    assert np.array_equal(plain.poses, motion.poses)


def file_of(path, frames: int = 1, seed: int = 1):
    save_motion(path, moving(frames, seed))
    return path


def test_every_recording_is_led_to_the_first_pose_of_the_end(tmp_path):
    path, speeches = file_of(tmp_path / "e.npz", 5), [Utterance(voice(seconds), name="a") for seconds in (2.0, 3.1)]
    wishes = read_wishes(speeches, end=path)
    assert [sorted(wish.poses) for wish in wishes] == [[14], [23]]
    for wish in wishes:
        (pose,) = wish.poses.values()
        assert len(pose) == 1 and np.array_equal(pose.poses, load_motion(path).poses[:1]) and not wish.sets_psi
    with pytest.raises(SemTalkError, match="pose, end: two poses are less than 12 frames apart"):
        read_wishes(speeches[:1], pose=f"{path}@1.8", end=path)
    assert sorted(read_wishes(speeches[:1], pose=f"{path}@1.4", end=path)[0].poses) == [10, 14]


def test_an_end_that_is_none_is_one_sentence_before_anything_is_loaded(smoke, tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(1.0), 16000)
    np.savez(tmp_path / "small.npz", poses=np.zeros((1, 66)), expressions=np.zeros((1, 100)), trans=np.zeros((1, 3)),
             betas=np.zeros(300))  # fmt: skip
    for name, says in (("none.npz", "none.npz: no such motion file"), ("small.npz", "poses has shape (1, 66)"),
                       ("a.wav", "a.wav")):  # fmt: skip
        words = [f"audio={tmp_path}/a.wav", f"end={tmp_path}/{name}", "ckpt=/nowhere"]
        said = run_command("generate.py", *words, check=False)
        assert said.returncode == 1 and says in said.stderr and "nowhere" not in said.stderr
    for words, says in ((["rest=0.5"], "rest=0.5: give a number from 1"), (["foot_lock=2"], "foot_lock=2: give true")):
        assert says in run_command("generate.py", *words, check=False).stderr
    model = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")
    for options, says in (({"end": 5}, "end: int; give an npz"), ({"rest": 0}, "rest=0"), ({"foot_lock": 1}, "foot_l")):
        with pytest.raises(SemTalkError, match=says):
            model(voice(0.5), **options)
    file_of(tmp_path / "a.npz")
    same = [f"audio={tmp_path}/a.wav", f"end={tmp_path}/a.npz", f"out={tmp_path}"]
    assert "would be overwritten" in run_command("generate.py", *same, check=False).stderr


def of_a_command(smoke, tmp_path) -> tuple[np.ndarray, list[str], list[str]]:
    """A voice that falls silent, the words of its command, and those that have it end in a pose and rest."""
    wave, end = spoken((1.5, 0.1), (3, 0.0)), file_of(tmp_path / "end.npz")
    soundfile.write(tmp_path / "talk.wav", wave, 16000, subtype="FLOAT")
    words = [f"audio={tmp_path}/talk.wav", "transcript=none", "video=false", *smoke[1]]
    return wave, words, [f"end={end}", "rest=2", "in_place=true"]


def test_the_line_that_is_kept_gives_the_same_bytes(smoke, tmp_path):
    _, words, asked = of_a_command(smoke, tmp_path)
    run_command("generate.py", *words, *asked, f"out={tmp_path}/a")
    done = (tmp_path / "a" / "talk.npz").read_bytes()
    line = json.loads((tmp_path / "a" / "environment.json").read_text())["command"]
    (tmp_path / "a" / "talk.npz").unlink()
    run_program(*shlex.split(line)[1:])
    assert (tmp_path / "a" / "talk.npz").read_bytes() == done, line


def test_the_command_finishes_as_python_does_and_codes_stay(smoke, tmp_path, monkeypatch):
    def planted(motion: Motion, body, contact: np.ndarray) -> Motion:
        assert contact.shape == (len(motion), 4)
        poses = motion.poses.copy()
        poses[:, 4] += 0.5
        return replace(motion, poses=poses)

    monkeypatch.setattr(finish, "lock_feet", planted)  # whether feet stand is up to a training
    wave, words, asked = of_a_command(smoke, tmp_path)
    end = tmp_path / "end.npz"
    run_command("generate.py", *words, *asked, f"out={tmp_path}/a")
    run_command("generate.py", *words, "foot_lock=false", f"out={tmp_path}/plain")
    model, speech = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke"), [Utterance(wave, name="talk")]
    (same,), (plain,), (held,) = (
        model.generate(speech, **options)
        for options in ({"end": end, "rest": 2, "in_place": True}, {"foot_lock": False}, {})
    )
    finished = load_motion(tmp_path / "a" / "talk.npz")
    assert np.array_equal(same.motion.poses, finished.poses) and np.array_equal(same.motion.trans, finished.trans)
    assert np.array_equal(plain.motion.poses, load_motion(tmp_path / "plain" / "talk.npz").poses)
    assert angle(finished.poses[-1, BODY_JOINTS], load_motion(end).poses[0, BODY_JOINTS]).max() < 1e-3
    assert all(np.array_equal(held.codes[part], plain.codes[part]) for part in plain.codes)
    legs = np.flatnonzero((held.motion.poses != plain.motion.poses).any(axis=(0, 2)))
    assert legs.tolist() == [4]
    begins = model.generator.neutral_seed(1)[0][0, 0, :330].view(55, 6)
    wanted = poses_from_rotation(begins).numpy()[[16, 17]]
    assert angle(finished.poses[100, [16, 17]], wanted).max() < 1e-3, "it rests as it began"
