"""Segments of a study: read, drawn, cut from any method's folder, and heard with another segment's speech."""

import csv
import math
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from conftest import run_command

from semtalk.errors import SemTalkError
from semtalk.evaluation import stimuli
from semtalk.evaluation.stimuli import (
    Segment,
    cut_points,
    drawn_sample,
    fitted,
    mismatched,
    plan_stimuli,
    read_segments,
    still_face,
    write_stimuli,
)
from semtalk.motion.io import Motion, load_motion, save_motion

HEAD = "file_name,start_seconds,end_seconds,duration_seconds\n"
NAMES = ("1_ada_0_5_5", "1_ada_0_6_6", "2_ben_0_5_5")
ROWS = HEAD + "1_ada_0_5_5,0.5,1.5,1.0\n1_ada_0_6_6,1.0,2.4,1.4\n2_ben_0_5_5,0,0.3,0.3\n"


def moving(frames: int, seed: int) -> Motion:
    rng = np.random.default_rng(seed)
    poses, trans = 0.2 * rng.normal(size=(frames, 55, 3)), np.zeros((frames, 3))
    return Motion(poses, rng.normal(size=(frames, 100)), trans, np.zeros(300))


@pytest.fixture
def given(tmp_path) -> tuple[Path, str, str]:
    """A table, and folders of five samples of each take of 3 s and of their sound, whose samples say where they lie."""
    motions, audio = tmp_path / "motions", tmp_path / "audio"
    audio.mkdir()
    for number, name in enumerate(NAMES):
        for sample in range(1, 6):
            save_motion(motions / f"{name}_sample_{sample}.npz", moving(90, 10 * number + sample))
        wave = np.linspace(0.2 * number, 0.2 * number + 0.15, 48000)
        soundfile.write(audio / f"{name}.wav", wave, 16000, subtype="FLOAT")
    (tmp_path / "segments.csv").write_text(ROWS)
    return tmp_path / "segments.csv", str(motions), str(audio)


def test_frames_are_thirty_times_the_seconds_and_the_end_is_left_out(tmp_path):
    rows = (
        ("1_wayne_0_2_2", 9.467, 20.633, 11.167, 284, 619), ("12_zhao_0_103_103", 59.567, 69.0, 9.433, 1787, 2070),
        ("10_kieks_0_73_73", 8.333, 19.667, 11.333, 250, 590), ("9_miranda_0_95_95", 10.433, 22.133, 11.7, 313, 664),
    )  # fmt: skip
    (tmp_path / "s.csv").write_text(HEAD + "".join(f"{name},{a},{b},{c}\n" for name, a, b, c, *_ in rows) + "\n")
    found = read_segments(tmp_path / "s.csv")
    assert [segment[:3] for segment in found] == [(name, start, end) for name, *_, start, end in rows]
    assert [segment.row for segment in found] == [2, 3, 4, 5]
    assert found[2].code(2) == "10_kieks_0_73_73_sample_2_0250-0590" and found[2].speaker == "10_kieks"
    assert not stimuli.is_leaderboards(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text((tmp_path / "s.csv").read_text(), encoding="utf-8-sig")  # as a spreadsheet does
    assert read_segments(tmp_path / "s.csv") == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected the columns file_name,start_seconds"),
        ("id,start,end,duration\na,0,1,1\n", "expected the columns"),
        (HEAD, "there is no segment in it"),
        (HEAD + "1_a_0_1_1,0,1,1\n1_a_0_2_2,one,2,1\n", "row 3: expected a name and three numbers"),
        (HEAD + "1_a_0_1_1,0,1\n", "row 2: expected a name and three numbers, not '1_a_0_1_1,0,1'"),
        (HEAD + "1_a_0_1_1,2,1,-1\n", "row 2: 1_a_0_1_1 from 2 to 1 s is no segment"),
        (HEAD + "1_a_0_1_1,-1,1,2\n", "row 2: 1_a_0_1_1 from -1 to 1 s is no segment"),
        (HEAD + "1_a_0_1_1,0,nan,1\n", "row 2: 1_a_0_1_1 from 0 to nan s is no segment"),
        (HEAD + "1_a_0_1_1,0,inf,inf\n", "row 2: 1_a_0_1_1 from 0 to inf s is no segment"),
        (HEAD + "1_a_0_1_1,0,2,1\n", "row 2: 1_a_0_1_1 from 0 to 2 s does not last 1 s"),
        (HEAD + "1_a_0_1_1,0,2,2\n1_a_0_1_1,0,2,2\n", "row 3: the segment of row 2 again"),
    ],
)
def test_a_wrong_table_is_one_sentence_that_names_the_row(tmp_path, text, says):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(SemTalkError) as raised:
        read_segments(tmp_path / "s.csv")
    assert says in str(raised.value) and str(raised.value).startswith(f"{tmp_path}/s.csv")


def test_no_table_is_one_sentence(tmp_path):
    with pytest.raises(SemTalkError, match="no such file"):
        read_segments(tmp_path / "none.csv")


def test_mismatched_speech_is_another_segments_of_the_speaker_and_each_is_heard_once():
    many = [Segment(f"{speaker}_x_0_{take}_{take}", 0, 300, 0) for speaker in (1, 2) for take in range(5)]
    many.append(Segment("3_x_0_1_1", 0, 300, 0))
    seen = set()
    for seed in range(40):
        others = mismatched(many, seed)
        assert others == mismatched(many, seed) and set(others) == set(many[:10]) == set(others.values())
        assert all(a != b and a.speaker == b.speaker for a, b in others.items())
        seen.add(tuple(others[segment].recording for segment in many[:5]))
    assert len(seen) > 15, "44 derangements of five"
    assert mismatched(many[:2], 0) == {many[0]: many[1], many[1]: many[0]}


def test_the_sample_of_a_segment_follows_from_its_name_and_the_seed():
    segments = [Segment("1_x_0_1_1", start, start + 300, 0) for start in range(200)]
    drawn = [drawn_sample(segment, 0, 5) for segment in segments]
    assert set(drawn) == {1, 2, 3, 4, 5} and min(map(drawn.count, set(drawn))) > 20
    assert drawn == [drawn_sample(segment._replace(row=9), 0, 5) for segment in segments]
    assert drawn != [drawn_sample(segment, 1, 5) for segment in segments]


def test_stimuli_are_cut_from_their_files(given, tmp_path):
    table, motions, audio = given
    planned = plan_stimuli(table, motions, audio, seed=0, samples=5)
    write_stimuli(planned, tmp_path / "out", video=False)
    first, second, alone = planned
    assert first.other == second.segment and second.other == first.segment and alone.other is None
    for stimulus, (start, end) in zip(planned, ((15, 45), (30, 72), (0, 9)), strict=True):
        sample = drawn_sample(stimulus.segment, 0, 5)
        assert stimulus.code == f"{stimulus.segment.recording}_sample_{sample}_{start:04d}-{end:04d}"
        whole = load_motion(f"{motions}/{stimulus.segment.recording}_sample_{sample}.npz")
        motion = load_motion(tmp_path / "out" / "motion" / f"{stimulus.code}.npz")
        assert len(motion) == end - start and not motion.expressions.any() and not motion.poses[:, 22:25].any()
        kept = [joint for joint in range(55) if joint not in (22, 23, 24)]
        assert np.array_equal(motion.poses[:, kept], whole.poses[start:end, kept])
        wave, _ = soundfile.read(f"{audio}/{stimulus.segment.recording}.wav")
        own, rate = soundfile.read(tmp_path / "out" / "matched" / f"{stimulus.code}.wav")
        assert rate == 16000 and np.allclose(own, wave[start * 16000 // 30 : end * 16000 // 30], atol=1e-4)
    heard, _ = soundfile.read(tmp_path / "out" / "mismatched" / f"{first.code}.wav")
    wave, _ = soundfile.read(f"{audio}/1_ada_0_6_6.wav")
    assert len(heard) == 16000 and np.allclose(heard, wave[16000:32000], atol=1e-4), "cut to the motion's length"
    heard, _ = soundfile.read(tmp_path / "out" / "mismatched" / f"{second.code}.wav")
    wave, _ = soundfile.read(f"{audio}/1_ada_0_5_5.wav")
    assert len(heard) == 22400 and np.allclose(heard[:16000], wave[8000:24000], atol=1e-4)
    assert not heard[16000:].any(), "followed by silence"
    assert not (tmp_path / "out" / "mismatched" / f"{alone.code}.wav").exists()
    with (tmp_path / "out" / "stimuli.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["input_code"] for row in rows] == [stimulus.code for stimulus in planned]
    assert [row["mismatched_speech_of"] for row in rows] == [second.code, first.code, ""]


def test_all_systems_show_the_same_sample_and_one_without_numbers_its_only_one(given, tmp_path):
    table, motions, audio = given
    for name in NAMES:
        save_motion(tmp_path / "captured" / f"{name}.npz", moving(90, 0))
    codes = [
        [one.code for one in plan_stimuli(table, folder, audio, 7, 5)] for folder in (motions, f"{tmp_path}/captured")
    ]
    assert codes[0] == codes[1]


def test_a_segment_beyond_its_recording_is_one_sentence_that_names_file_and_row(given, tmp_path):
    table, motions, audio = given
    table.write_text(HEAD + "1_ada_0_5_5,0.5,1.5,1.0\n1_ada_0_6_6,1.0,3.1,2.1\n")
    with pytest.raises(SemTalkError, match=rf"^{table}, row 3: 1_ada_0_6_6 ends at 3.10 s, and \S+npz at 3.00 s\.$"):
        plan_stimuli(table, motions, audio, 0, 5)
    table.write_text(ROWS)
    soundfile.write(f"{audio}/1_ada_0_6_6.wav", np.zeros(20000), 16000)
    with pytest.raises(SemTalkError, match=rf"^{table}, row 3: 1_ada_0_6_6 ends at 2.40 s, and \S+wav at 1.25 s\.$"):
        plan_stimuli(table, motions, audio, 0, 5)


def test_a_segment_without_motion_or_sound_is_one_sentence(given):
    table, motions, audio = given
    Path(audio, "2_ben_0_5_5.wav").unlink()
    with pytest.raises(SemTalkError, match=f"row 4: 2_ben_0_5_5 has no sound file in audio={audio}"):
        plan_stimuli(table, motions, audio, 0, 5)
    for path in Path(motions).glob("1_ada_0_6_6*"):
        path.unlink()
    with pytest.raises(
        SemTalkError, match=r"row 3: 1_ada_0_6_6 has neither 1_ada_0_6_6_sample_\d.npz nor 1_ada_0_6_6.npz"
    ):
        plan_stimuli(table, motions, audio, 0, 5)


def test_speech_is_cut_at_the_frames_of_the_motion_and_made_to_fit():
    assert cut_points(Segment("a", 284, 619, 2)) == slice(284 * 16000 // 30, 619 * 16000 // 30)
    assert fitted(np.arange(5.0), 3).tolist() == [0, 1, 2] and fitted(np.ones(2), 4).tolist() == [1, 1, 0, 0]


def test_the_still_face_leaves_the_motion_itself_alone():
    motion = moving(5, 1)
    before = motion.poses.copy()
    still = still_face(motion)
    assert np.array_equal(motion.poses, before) and motion.expressions.any() and not still.expressions.any()


def streams(path: Path) -> tuple[np.ndarray, float]:
    """Pictures of a video, and seconds of its sound."""
    with av.open(str(path)) as file:
        shown = file.streams.video[0]
        assert (shown.width, shown.height, shown.average_rate) == (1440, 1080, 30) and shown.codec.name == "h264"
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    with av.open(str(path)) as file:
        samples = sum(frame.samples for frame in file.decode(audio=0)) if file.streams.audio else 0
    return pictures, samples / 16000


def test_videos_show_the_same_pictures_silent_and_with_both_sounds(given, tmp_path):
    table, motions, audio = given
    words = [f"segments={table}", f"motions={motions}", f"audio={audio}", f"out={tmp_path}/out", "video_seconds=0.1"]
    said = run_command("scripts/export_genea.py", *words).stdout
    assert "3 segments; another table than the leaderboard's" in said and "No mismatched speech for 2_ben" in said
    found = {
        kind: {p.stem for p in (tmp_path / "out" / kind).glob("*.mp4")} for kind in ("muted", "matched", "mismatched")
    }
    assert len(found["muted"]) == 3 and found["muted"] == found["matched"] > found["mismatched"]
    for code in sorted(found["mismatched"])[:1]:
        muted, no_sound = streams(tmp_path / "out" / "muted" / f"{code}.mp4")
        assert len(muted) == 3 and no_sound == 0
        assert math.isclose(muted.shape[1] / muted.shape[2], 3 / 4) and muted.std() > 5, "there is a figure"
        for kind in ("matched", "mismatched"):
            pictures, sound = streams(tmp_path / "out" / kind / f"{code}.mp4")
            assert np.array_equal(pictures, muted) and 0.1 <= sound < 0.3
    shutil.rmtree(tmp_path / "out")
    run_command("scripts/export_genea.py", *words[:3], "video=false")
    assert not list(Path(motions, "stimuli").rglob("*.mp4")) and len(list(Path(motions, "stimuli").rglob("*.npz"))) == 3
