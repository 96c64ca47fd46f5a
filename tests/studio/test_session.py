# ruff: noqa: F811 (fixtures)
"""What a session makes: the same as the command line, in files of its own, of which nothing is left."""

import pickle
import re
import shlex
import shutil
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile
from conftest import ROOT, run_program
from tiny import voice
from voices import TEXT, engine, hour, session, talk  # noqa: F401

from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.transcript import read_transcript
from semtalk.generation.asked import generate_asked
from semtalk.motion.io import Motion, load_motion, save_motion
from semtalk.settings import compose
from semtalk.studio import engine as engines
from semtalk.studio.engine import Engine
from semtalk.studio.request import Request, spelt
from semtalk.studio.session import MOST_TAKES, Session
from semtalk.studio.turns import Stopped


def still(path: Path, turn: float = 0.1) -> Path:
    poses = np.full((5, 55, 3), turn, np.float32)
    save_motion(path, Motion(poses, np.zeros((5, 100)), np.full((5, 3), 0.5), np.zeros(300)))
    return path


def test_the_command_line_of_a_take_gives_the_same_bytes(session, talk, tmp_path):
    """Of everything, in the folder that the zip unpacks to, in a process of its own."""
    pose = still(tmp_path / "wave, (1).npz")
    request = Request(
        talk, TEXT, samples=2, beta=0.4, seed=3, emphasise="whole", calm="walk", poses=[pose], pose_times="1.5",
        temperature=0.5,
    )  # fmt: skip
    take = session.take(session.generate(request))
    with zipfile.ZipFile(take.file(session.engine, "zip", 0)) as packed:
        packed.extractall(tmp_path)
    folder = tmp_path / "talk"
    files = {path.name: path.read_bytes() for path in (folder / "made").iterdir()}
    assert sorted(files) == sorted(
        f"talk_{sample}.{kind}" for sample in (0, 1) for kind in ("npz", "bvh", "glb", "csv")
    )
    assert files["talk_0.npz"] != files["talk_1.npz"] or session.engine.temperature is None
    shutil.rmtree(folder / "made")
    program, command, *words = shlex.split((folder / "command.txt").read_text())
    assert (program, command) == ("semtalk", "generate") and "'wave, (1).npz@1.5'" in " ".join(words)
    run_program("-m", "semtalk", command, *words, cwd=folder, PYTHONPATH=str(ROOT))
    again = {path.name: path.read_bytes() for path in (folder / "made").iterdir() if path.suffix != ".json"}
    assert again == files


@pytest.mark.parametrize("name", ["made", "Made", "made.wav", "COMMAND.txt", "words.txt", "talk.json", "talk_2.json"])
def test_no_name_of_a_voice_is_one_of_the_studios_own(session, talk, tmp_path, name):
    voice = Path(shutil.copyfile(talk, tmp_path / name))
    take = session.take(session.generate(Request(voice, TEXT, poses=[still(tmp_path / "a.npz")], pose_times="1")))
    with zipfile.ZipFile(take.file(session.engine, "zip", 0)) as packed:
        names = [path.casefold() for path in packed.namelist()]
        assert len(set(names)) == len(names), "each file has a name of its own"
        assert not {parent for path in names for parent in Path(path).parents} & {*map(Path, names)}
        packed.extractall(tmp_path / "unpacked")
    (folder,) = (tmp_path / "unpacked").iterdir()
    line = dict(word.split("=", 1) for word in shlex.split((folder / "command.txt").read_text())[2:])
    assert (folder / line["audio"]).read_bytes() == talk.read_bytes()
    assert [word.text for word in read_transcript(folder / line["transcript"], take.utterance.wave)] == TEXT.split()
    assert (folder / line["out"] / f"{Path(line['audio']).stem}.npz").is_file()


def test_a_word_that_matters_has_its_score_and_the_rest_stays(session, talk):
    plain = session.take(session.generate(Request(talk, TEXT)))
    spoken = spelt(plain.utterance.words)
    take = session.take(session.generate(Request(talk, spoken, emphasise="whole", calm="walk", beside="unedited")))
    before, scene = plain.scene(0), take.scene(0)
    said = {word["text"]: word for word in scene["words"]}
    assert said["whole"]["asked"] == "emphasised" and said["walk"]["asked"] == "calm" and said["we"]["asked"] == ""
    changed = {step for step, (was, now) in enumerate(zip(before["psi"], scene["psi"], strict=True)) if was != now}
    for text, score in (("whole", 1), ("walk", 0)):
        steps = {step for step in range(30) if said[text]["start"] - 0.13 < step * scene["step"] < said[text]["end"]}
        assert any(scene["psi"][step] == score for step in steps)
        changed -= steps
    assert not changed and scene["titles"] == ["as it was", "generated"]
    left, right = take.figures(0)
    assert np.array_equal(left.poses, plain.samples[0].motion.poses)
    assert scene["sparse"] == [score > scene["beta"] for score in scene["psi"]]
    assert (scene["seconds"], scene["beta"], scene["poses"], scene["semantic"]) == (4.0, 0.5, [], True)


def test_scores_that_were_downloaded_are_taken_back(session, talk):
    plain = session.take(session.generate(Request(talk, TEXT)))
    scores = plain.file(session.engine, "psi", 0)
    back = session.take(session.generate(Request(talk, TEXT, psi=scores)))
    assert (
        np.array_equal(back.samples[0].motion.poses, plain.samples[0].motion.poses) and "psi=talk_psi.csv" in back.line
    )
    lines = scores.read_text().splitlines()
    scores.write_text("\n".join([*lines[:11], *["1.0"] * 5, *lines[16:]]))
    edited = session.take(session.generate(Request(talk, TEXT, psi=scores)))
    assert edited.scene(0)["psi"][10:15] == [1.0] * 5 and edited.scene(0)["psi"][15:] == plain.scene(0)["psi"][15:]


def test_base_another_run_or_a_file_stands_beside(engine, smoke, talk, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "other", engine.model)
    monkeypatch.setattr(engine, "settings", compose("studio", "beside=runs/mine"))
    session = Session(engine, tmp_path / "session")
    base = session.take(session.generate(Request(talk, TEXT, beside="base", samples=2)))
    (alone,) = engine.model.generate([base.utterance], gate="never")
    assert np.array_equal(base.figures(0)[0].poses, alone.motion.poses) and len(base.beside) == 2
    run = session.take(session.generate(Request(talk, TEXT, beside="run", emphasise="whole")))
    assert np.array_equal(run.figures(0)[0].poses, base.samples[0].motion.poses), "nothing matters there"
    assert run.titles() == ["mine", "generated"]
    truth = still(tmp_path / "truth.npz")
    truth = truth.rename(tmp_path / "beside_1.glb")  # as the studio calls what it shows
    file = session.take(session.generate(Request(talk, TEXT, beside="file", truth=truth, samples=2)))
    assert file.file(engine, "glb", 1, 0).read_bytes().startswith(b"glTF")
    assert all(np.array_equal(file.figures(sample)[0].poses, load_motion(truth).poses) for sample in (0, 1))
    assert file.titles()[0] == "motion file" and file.file(engine, "glb", 1, 0).name == "beside_1.glb"
    (tmp_path / "bad.npz").write_bytes(b"no motion")
    for beside, truth, says in (
        ("file", None, "choose the motion file"), ("file", tmp_path / "bad.npz", "^bad.npz: not a readable npz"),
        ("nobody", None, "beside=nobody: choose one of"),
    ):  # fmt: skip
        with mock.patch.object(engine, "make") as make, pytest.raises(SemTalkError, match=says):
            session.generate(Request(talk, TEXT, beside=beside, truth=truth))
        assert not make.called, "nobody waits for what cannot be shown"
    monkeypatch.setattr(engine, "other", None)
    with pytest.raises(SemTalkError, match="start the studio with beside=RUN"):
        session.generate(Request(talk, TEXT, beside="run"))


def test_each_request_holds_the_networks_alone_and_says_how_far_it_is(session, talk):
    asked, shares = [], []

    def watched(*given):
        asked.append(len(session.engine.turns.here))
        return generate_asked(*given)

    with mock.patch.object(engines, "generate_asked", watched):
        session.generate(Request(talk, TEXT, samples=2, beside="unedited"), lambda share, doing: shares.append(share))
    assert asked == [1, 1] and not session.engine.turns.here
    assert shares == sorted(shares) and shares[0] == 0 and 0.8 < shares[-3] < 0.97 == shares[-2] and shares[-1] == 1
    assert 0.5 in shares, "half of the work are the motions beside"


def test_what_is_asked_of_one_request_is_not_asked_of_the_next(session, talk):
    if session.engine.temperature is None:
        pytest.skip("the run draws no samples")
    own = session.take(session.generate(Request(talk, TEXT)))
    session.generate(Request(talk, TEXT, temperature=2.0))
    again = session.take(session.generate(Request(talk, TEXT, temperature=session.engine.temperature)))
    assert np.array_equal(own.samples[0].motion.poses, again.samples[0].motion.poses)
    assert "temperature" not in again.line


def test_an_hour_is_refused_with_its_reason(session, hour):
    with pytest.raises(SemTalkError) as error:
        session.generate(Request(hour))
    assert str(error.value) == ("hour.wav: more than 20 s of sound, the most that is taken; give a shorter recording.")


class Touches:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def bad_requests(folder: Path, talk: Path, canary: Path):
    """Fifty and more uploads that are not what they should be."""
    random, wav = np.random.default_rng(0), talk.read_bytes()
    objects = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (30,), }".ljust(128)
    objects += pickle.dumps(Touches(canary))

    def noise(size: int) -> bytes:
        return random.bytes(size).replace(b"\xff", b"\0")  # with which no frame of mp3 begins

    def file(name: str, content: bytes | str) -> Path:
        path = folder / f"{len(list(folder.iterdir()))}_{name}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    sounds = [b"", b"R", b"RIFF", wav[:30], wav[:44], wav[: len(wav) // 2], b"<html>no</html>", b"\0" * 5000]
    sounds += [pickle.dumps(Touches(canary)), *(begin + noise(2000) for begin in (b"ID3", b"OggS", b"fLaC"))]
    sounds += [noise(int(size)) for size in random.integers(1, 4000, 8)]
    for number, content in enumerate(sounds):
        kind = ("wav", "mp3", "m4a", "webm", "flac")[number % 5]
        yield Request(file(f"voice.{kind}", content))
    yield Request(None)
    yield Request(folder / "not_there.wav")
    yield Request(folder)
    for text in ("0.5-1 a\nb", "9-10 late", "2-1 backwards", "1e9-2 a\n0-1 b", "0-3 long\n1-1.5 over", "x" * 300_000):
        yield Request(talk, text)
    for words in ("nothing", "we@x", "we@99", "we@-1", "@", "@@@@", "we, we", "a" * 1000):
        yield Request(talk, TEXT, emphasise=words, calm="we")
    for name, content in (
        ("a.csv", "0.1\n2"), ("a.csv", "nan\n" * 30), ("a.csv", b"\xff\xfe\0"), ("a.csv", ""), ("a.txt", "1"),
        ("a.npy", b"\x93NUMPY" + noise(90)), ("a.npy", pickle.dumps(Touches(canary))),
        ("a.npy", objects),
    ):  # fmt: skip
        yield Request(talk, TEXT, psi=file(name, content))
    poses = [file("a.npz", content) for content in (b"", b"PK\3\4" + noise(50), pickle.dumps(Touches(canary)))]
    with zipfile.ZipFile(folder / "objects.npz", "w") as packed:
        packed.writestr("poses.npy", objects)
    for pose in [*poses, folder / "objects.npz"]:
        yield Request(talk, TEXT, poses=[pose], pose_times="1")
        yield Request(talk, TEXT, beside="file", truth=pose)
    for times in ("", "1, 2", "x", "99", "nan", "inf"):
        yield Request(talk, TEXT, poses=[still(folder / "good.npz")], pose_times=times)
    for wrong in ({"speaker": 99}, {"speaker": "nobody"}, {"beta": float("nan")}, {"samples": 10**9}, {"seed": -1}):
        yield Request(talk, TEXT, **wrong)


def test_fifty_bad_uploads_are_answered_in_a_sentence_and_leave_nothing(session, talk, tmp_path):
    (tmp_path / "given").mkdir()
    canary, count = tmp_path / "run", 0
    pickle.loads(pickle.dumps(Touches(canary)))
    canary.unlink()  # a pickle that is read would leave it
    for request in bad_requests(tmp_path / "given", talk, canary):
        with pytest.raises(SemTalkError) as error:
            session.generate(request)
        said = str(error.value)
        assert said.strip() and str(session.folder) not in said and len(said) < 1500, said
        assert not re.search(r"\b[a-z_.]+=", said), f"there are no keys in the page: {said}"
        files = [request.audio, request.psi, request.truth, *request.poses]
        named = set(re.findall(r"[\w-]+\.(?:wav|mp3|m4a|webm|flac|json|txt|csv|npy|npz)\b", said))
        assert named <= {file.name for file in files if file}, f"the user gave no such file: {said}"
        count += 1
    assert count >= 50 and not canary.exists(), "no pickle is run"
    assert not session.takes and not list(session.folder.iterdir())
    assert len(session.take(session.generate(Request(talk, TEXT))).samples[0].motion) == 120


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"words": "9-10 late"}, "Words: 'late' begins at 9.00 s, but the sound ends at 4.00 s; give the words"),
        ({"words": "2-1 backwards"}, "Words: 'backwards' runs from 2.0 to 1.0 s; mend its times."),
        ({"words": "0-3 long\n1-1.5 over"}, "Words: 'over' begins at 1.00 s, but 'long' ends at 3.00 s."),
        ({"words": "", "emphasise": "we"},
         "Words that matter more: we: the words of talk are unknown; write them into the box of words."),
        ({"calm": "wie"}, "Words that matter less: wie: talk has no such word; the nearest are we, "),
        ({"calm": "we", "emphasise": "we"}, "Words that matter more, Words that matter less: both are asked of 'we'"),
        ({"poses": 1, "pose_times": "9"}, "Poses to hold: 9 s is not within talk, which lasts 4.00 s."),
        ({"psi": "0.1\n2"}, "Semantic scores: edited.csv: 2 scores; the recording has 30 code steps and 120 frames."),
        ({"beta": 2.0}, "Threshold beta: 2.0: give a number from 0 to 1."),
        ({"temperature": -1.0}, "Temperature of samples: -1.0: give a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_of_the_boxes_of_the_page(session, talk, tmp_path, asked, says):
    if "poses" in asked:
        asked = asked | {"poses": [still(tmp_path / "wave.npz")]}
    if "psi" in asked:
        (tmp_path / "edited.csv").write_text(asked["psi"])
        asked = asked | {"psi": tmp_path / "edited.csv"}
    with pytest.raises(SemTalkError) as error:
        session.generate(Request(talk, **({"words": TEXT} | asked)))
    assert str(error.value).startswith(says)


def test_transcripts_and_what_whisper_hears_come_into_the_box(session, talk, tmp_path):
    (tmp_path / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nhello there\n")
    assert spelt(session.words_of(talk, tmp_path / "talk.srt")).splitlines()[0].startswith("0.000-1.0")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for wrong in ("deep.json", "talk.TextGrid"):
        with pytest.raises(SemTalkError, match=f"^{wrong}: "):
            session.words_of(talk, tmp_path / wrong)
    with mock.patch.object(session.engine, "_recogniser", lambda wave: [("heard", 0.0, len(wave) / 16000)]):
        assert session.engine.hears() is None
        assert session.heard(talk, lambda share, doing: None) == [("heard", 0.0, 4.0)]
        with pytest.raises(Stopped):
            session.heard(talk, lambda share, doing: session.stop("hearing"))
    with mock.patch.object(engines, "Recogniser", side_effect=MissingModelError("whisper: not here")):
        assert session.engine.hears() in (None, "whisper: not here")


def test_only_the_last_takes_are_kept_and_in_the_end_nothing(session, talk):
    short = session.folder.parent / "short.wav"
    soundfile.write(short, voice(0.5), 16000)
    numbers = [session.generate(Request(short)) for _ in range(MOST_TAKES + 1)]
    with pytest.raises(SemTalkError, match="it is not there any more"):
        session.take(numbers[0])
    assert sorted(path.name for path in session.folder.iterdir()) == sorted(map(str, numbers[1:]))
    for kind, says in (("exe", "there is no such file"), ("../npz", "there is no such file")):
        with pytest.raises(SemTalkError, match=says):
            session.take(numbers[-1]).file(session.engine, kind, 0)
    for given in (("npz", 1), ("npz", -1), ("glb", 0, 1)):
        with pytest.raises(SemTalkError, match="there are 1"):
            session.take(numbers[-1]).file(session.engine, *given)
    session.end()
    assert not session.folder.exists()


def test_the_studio_starts_with_what_generate_would(smoke):
    engine = Engine(compose("studio", "seed=5", "trust=[json]"), str(smoke[0] / "runs" / "smoke"))
    assert engine.base.seed == 5 and engine.base.trust == ["json"] and Path(engine.ckpt).is_absolute()
    assert engine.semantic and engine.base.beta == compose("generate").beta
    with pytest.raises(MissingModelError, match="whisper=not/there: "):
        Engine(compose("studio", "whisper=not/there"), str(smoke[0] / "runs" / "smoke"))
