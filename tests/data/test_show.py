"""SHOW, on synthetic files of its exact schema."""

import json
import pickle

import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT, run_command
from show_corpus import sequence, write_sequence

from semtalk.data.preparation import prepare
from semtalk.data.recording import Entry
from semtalk.data.show import SHOWCorpus
from semtalk.data.show_pickle import read_show_pickle, upright
from semtalk.data.show_split import read_split_file, split_note
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.audio import load_audio
from semtalk.motion.rotation import axis_angle_to_matrix
from semtalk.settings import compose


@pytest.fixture
def show(tmp_path):
    root = tmp_path / "SHOW root"
    for speaker in ("oliver", "seth"):
        for video in range(3):
            write_sequence(root / speaker / f"A video, part {video}" / f"clip-{video}", 10.0, video)
    write_sequence(root / "oliver" / "A video, part 0" / "too short", 2.0)
    return root


@pytest.fixture(scope="module")
def smplx_folder(tmp_path_factory, body):
    """A synthetic SMPL-X file whose hand components are known."""
    folder = tmp_path_factory.mktemp("body")
    (folder / "smplx").mkdir()
    rng = np.random.default_rng(0)
    components = {f"hands_components{side}": 1.3074 * np.linalg.qr(rng.normal(size=(45, 45)))[0] for side in "lr"}
    np.savez(folder / "smplx" / "SMPLX_NEUTRAL_2020.npz", joint2num=np.array({"a": 1}, dtype=object), **components)
    return folder, components


def corpus_of(root, tmp_path, **options) -> SHOWCorpus:
    return SHOWCorpus(str(root), **{"words": "none", "hands": "mean", "made": str(tmp_path / "made")} | options)


def test_a_sequence_is_read_without_torch_or_running_code(tmp_path, show):
    (path,) = show.glob("oliver/*part 1/*/*.pkl")
    assert b"torch._utils" in path.read_bytes()
    arrays = read_show_pickle(path)
    assert arrays["expression"].shape == (300, 100) and "losses_to_log" not in arrays

    class Evil:
        def __reduce__(self):
            return (__import__("os").system, (f"touch {tmp_path}/ran",))

    path.write_bytes(pickle.dumps(sequence(300) | {"width": Evil()}, protocol=2))
    with pytest.raises(SemTalkError, match="system, which is refused"):
        read_show_pickle(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"jaw_pose": None}, "lacks the arrays jaw_pose"),
        (
            {"body_pose_axis": np.zeros((300, 60), np.float32)},
            r"shape \(300, 60\); 300 frames of 63 numbers",
        ),
        ({"leye_pose": np.zeros((299, 3), np.float32)}, r"leye_pose has shape \(299, 3\); 300 frames of 3 numbers"),
        ({"betas": np.zeros((1, 16), np.float32)}, r"betas has shape \(1, 16\); 10 or 300 numbers"),
        ({"betas": np.zeros((299, 300), np.float32)}, r"betas has shape \(299, 300\); 10 or 300 numbers"),
        ({"betas": np.arange(90_000, dtype=np.float32).reshape(300, 300)}, "betas changes from frame to frame"),
        ({"betas": np.full(10, np.inf)}, "betas holds NaN or infinite"),
        ({"expression": np.full((300, 100), "x")}, "lacks the arrays expression"),
        ({"transl": np.full((300, 3), np.nan, np.float32)}, "transl holds NaN"),
    ],
)
def test_bad_sequences_are_one_sentence(tmp_path, changed, says):
    write_sequence(tmp_path / "seq", 10.0, **changed)
    with pytest.raises(SemTalkError, match=says):
        read_show_pickle(tmp_path / "seq" / "seq.pkl")


def test_takes_stand_upright_without_jumps(show, tmp_path, body):
    corpus = corpus_of(show, tmp_path)
    entry = corpus.entries()[0]
    motion = corpus.read(entry).motion
    joints = body.joints(*(torch.from_numpy(a) for a in (motion.poses, motion.betas, motion.trans))).numpy()
    assert (joints[:, 15, 1] > joints[:, 0, 1] + 0.3).all(), "heads are above hips"
    assert 0.6 < joints[:, 0, 1].mean() < 1.3 and np.abs(joints[0, 0, [0, 2]]).max() < 1e-5
    turns = axis_angle_to_matrix(torch.from_numpy(motion.poses[:, 0]))
    assert (turns[1:] - turns[:-1]).abs().max() < 0.1, "the flips of the axis-angle are gone"
    arrays = read_show_pickle(corpus._clips[entry.id].path.with_suffix(".pkl"))
    before = axis_angle_to_matrix(torch.from_numpy(arrays["global_orient"]))
    assert torch.allclose(torch.diag(torch.tensor([1.0, -1, -1])) @ before, turns, atol=1e-5)
    rest = body.rest_joints(torch.from_numpy(motion.betas)).numpy()
    orient, trans = upright(arrays, rest[0], rest[[7, 8, 10, 11], 1].min())
    moved = np.diff(trans, axis=0)  # the camera sees the same movement, upside down
    assert np.allclose(moved, np.diff(arrays["transl"], axis=0) * [1, -1, -1], atol=1e-5)


def test_hand_components_become_joints(show, tmp_path, smplx_folder, body, monkeypatch):
    folder, components = smplx_folder
    monkeypatch.setattr("semtalk.data.show.load_body", lambda path: body)
    corpus = corpus_of(show, tmp_path, hands="smplx", smplx_path=str(folder))
    entry = corpus.entries()[0]
    motion, arrays = corpus.read(entry).motion, read_show_pickle(corpus._clips[entry.id].path.with_suffix(".pkl"))
    expected = np.zeros(45)
    for number in range(12):
        expected += arrays["right_hand_pose"][17, number] * components["hands_componentsr"][number]
    assert np.allclose(motion.poses[17, 40:55].reshape(-1), expected, atol=1e-5)
    assert corpus.notes == [split_note(corpus.split_name)]
    with pytest.raises(SemTalkError, match="set body.path.*or data.hands=mean"):
        corpus_of(show, tmp_path, hands="smplx")
    mean = corpus_of(show, tmp_path)
    assert not mean.read(entry).motion.poses[:, 25:].any() and "mean hands" in mean.notes[1]


def test_splits_by_video_by_folder_and_by_file(show, tmp_path):
    entries = corpus_of(show, tmp_path).entries()
    assert len(entries) == 6 and {entry.split for entry in entries} == {"train", "val", "test"}
    assert all("too-short" not in entry.id and " " not in entry.id for entry in entries)
    by_video = {entry.id: entry.split for entry in entries}
    assert by_video == {entry.id: entry.split for entry in corpus_of(show, tmp_path).entries()}
    write_sequence(show / "conan" / "v" / "val" / "clip-9", 10.0)  # what lies in no folder of a split is in none
    assert corpus_of(show, tmp_path).entries() == [Entry("conan_v_clip-9", "conan", "val")]
    nested = {"oliver": {"train": {"v": ["clip-0"]}, "test": ["x/clip-1.pkl"]}, "clip-2": "val"}
    for name in ("split.json", "split.pkl"):
        path = tmp_path / name
        path.write_bytes(json.dumps(nested).encode() if name.endswith("json") else pickle.dumps(nested))
        assert read_split_file(path).splits == {"clip-0": "train", "clip-1": "test", "clip-2": "val"}
    listed = corpus_of(show, tmp_path, split_file=str(path)).entries()
    assert {entry.id[-6:]: entry.split for entry in listed if "seth" in entry.id} == {
        "clip-0": "train",
        "clip-1": "test",
        "clip-2": "val",
    }


def test_transcripts_are_made_once_and_kept(show, tmp_path):
    corpus = corpus_of(show, tmp_path, words="whisper")
    entry = corpus.entries()[0]
    path = corpus._clips[entry.id].path.with_suffix(".wav")
    spoken = load_audio(ROOT / "examples" / "spoken.flac")
    soundfile.write(path, np.pad(spoken, (0, 160000 - len(spoken))), 16000)
    words = corpus.read(entry).words
    assert {"whole", "here", "two", "bye"} < {word.text.lower() for word in words}
    kept = tmp_path / "made" / "words" / f"{entry.id}.json"
    assert json.loads(kept.read_text())[0]["word"] == words[0].text
    kept.write_text(json.dumps([{"text": " Mended!", "start": 0.5, "end": 1.0}]))
    assert corpus.read(entry).words == [("Mended", 0.5, 1.0)]
    missing = corpus_of(show, tmp_path, words="whisper", whisper="small.en")
    with pytest.raises(MissingModelError, match="data.whisper=small.en: the model is not in the Hugging Face cache"):
        prepare(missing, compose().features, missing.body, tmp_path / "store")  # not one after another quarantined


def test_a_mended_transcript_and_new_labels_are_noticed_and_re_encode_nothing_else(show, tmp_path):
    corpus = corpus_of(show, tmp_path, words="whisper")
    for entry in corpus.entries():
        kept = corpus._words_path(entry.id)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([{"word": "hello", "start": 0.5, "end": 1.0}]))
    arguments = corpus, compose().features, corpus.body, tmp_path / "store"
    one = prepare(*arguments).recordings[0].id

    def written():
        before = {path: path.stat().st_ino for path in (tmp_path / "store").glob("*.safetensors")}
        store = prepare(*arguments)
        return {path.name for path in before if path.stat().st_ino != before[path]}, store.recordings[0]

    corpus._words_path(one).write_text(json.dumps([{"word": "goodbye", "start": 0.5, "end": 1.0}]))
    files, recording = written()
    assert files == {f"{one}.words.safetensors", f"{one}.sentence.safetensors"}
    assert recording.words == [("goodbye", 0.5, 1.0)] and recording["semantic"].isnan().all()
    labels = corpus._semantics_path(one)
    labels.parent.mkdir()
    for text, scores in (("", {0.0}), ("gate\t0.5\t1.0\t0.5\t0.5\n", {0.0, 0.5})):  # a gate may find nothing
        labels.write_text(text)
        files, recording = written()
        assert files == {f"{one}.semantic.safetensors"} and set(recording["semantic"].tolist()) == scores
    beside = corpus._clips[one].path.with_suffix(".srt")
    beside.write_text("1\n00:00:01,000 --> 00:00:02,000\nhey\n")
    files, recording = written()
    assert files == {f"{one}.words.safetensors", f"{one}.sentence.safetensors"} and recording.words[0][0] == "hey"


def test_show_is_prepared_and_labelled_from_the_command_line(show, smoke, tmp_path):
    data = ["data=show", f"data.root={show}", "data.hands=mean", "data.words=none", f"data_dir={tmp_path}/data"]
    write_sequence(show / "seth" / "bad" / "bad", 10.0, jaw_pose=None)
    said = run_command("scripts/prepare.py", *data, "report=true").stdout
    assert "6 of 7 recordings" in said and "mean hands" in said and "jaw_pose" in said
    said = run_command("scripts/label_semantics.py", f"ckpt={smoke[0]}/runs/smoke", "beta=0.4", *data).stdout
    assert "6 recordings labelled" in said
    corpus = corpus_of(show, tmp_path / "data", made=str(tmp_path / "data" / "show"))
    recordings = [corpus.read(entry) for entry in corpus.entries() if "bad" not in entry.id]
    assert all(recording.semantics is not None for recording in recordings)


def test_labels_are_the_gates_own(smoke, tmp_path):
    from semtalk import SemTalk
    from semtalk.data.recording import frame_scores, read_semantics
    from semtalk.features.utterance import Utterance
    from semtalk.generation.label import intervals, write_semantics

    model = SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")
    wave = (0.1 * np.random.default_rng(0).normal(size=16000 * 7)).astype(np.float32)
    assert np.allclose(model.scores(Utterance(wave, name="a"))[:53].cpu(), model(wave).psi, atol=1e-5)
    psi = torch.tensor([0.2, 0.7, 0.9, 0.1, 0.6])
    write_semantics(tmp_path / "a.txt", intervals(psi, 0.5))
    scores = frame_scores(read_semantics(tmp_path / "a.txt"), 20).reshape(5, 4)
    assert np.allclose(scores, np.repeat([[0], [0.8], [0.8], [0], [0.6]], 4, axis=1), atol=1e-3)
