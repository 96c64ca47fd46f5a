"""SHOW, on synthetic files of its exact schema."""

import json
import pickle
import sys

import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT, run_command

from semtalk.data.preparation import prepare
from semtalk.data.recording import Entry
from semtalk.data.show import SHOWCorpus, read_show_pickle, read_split_file, upright
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.audio import load_audio
from semtalk.motion.rotation import axis_angle_to_matrix
from semtalk.settings import compose


class FakeCudaTensor:
    """What a CUDA tensor leaves in a plain pickle: a call of torch's own rebuilding function."""

    def __reduce__(self):
        return _module("torch._utils")._rebuild_tensor_v2, (_storage(), 0, (1,), (1,), False, {})


def _module(name):
    return sys.modules[name]


def _storage():
    return b"bytes of a storage"


def sequence(frames: int, seed: int = 0) -> dict:
    """One sequence: turned to the camera (about pi round x, its sign flipping), 12 hand components, CUDA losses."""
    rng = np.random.default_rng(seed)

    def walk(*shape, scale=0.02):
        return np.cumsum(rng.normal(scale=scale, size=(frames, *shape)), axis=0).astype(np.float32)

    orient = np.tile(np.float32([np.pi - 0.1, 0.02, 0.01]), (frames, 1)) + 0.1 * walk(3)
    angle = np.linalg.norm(orient, axis=1, keepdims=True)
    flip = np.where(np.arange(frames)[:, None] % 7 == 3, (angle - 2 * np.pi) / angle, 1)
    return {
        "expression": walk(100), "jaw_pose": 0.1 + 0 * walk(3), "betas": rng.normal(size=(1, 300)).astype(np.float32),
        "global_orient": (orient * flip).astype(np.float32)[:, None], "body_pose_axis": walk(63),
        "left_hand_pose": walk(12), "right_hand_pose": walk(12), "leye_pose": walk(3), "reye_pose": walk(3),
        "transl": walk(3) + np.float32([0.1, 0.4, 12.0]), "pose_embedding": walk(32),
        "camera_transl": np.zeros(3, np.float32), "focal_length": np.float32(5000.0),
        "mica_head_transl": np.zeros((1, 3), np.float32), "width": 1280, "height": 720, "center": np.zeros(2),
        "batch_size": frames, "losses_to_log": {"total": FakeCudaTensor()},
    }  # fmt: skip


def write_sequence(folder, seconds: float, seed: int = 0, **changed):
    folder.mkdir(parents=True)
    frames = round(30 * seconds)
    content = sequence(frames, seed) | changed
    (folder / f"{folder.name}.pkl").write_bytes(pickle.dumps(content, protocol=2))
    wave = 0.1 * np.random.default_rng(seed).normal(size=(int(22000 * seconds), 2))
    soundfile.write(folder / f"{folder.name}.wav", wave, 22000)


@pytest.fixture
def show(tmp_path):
    root = tmp_path / "SHOW root"
    for speaker in ("oliver", "seth"):
        for video in range(3):
            write_sequence(root / speaker / f"A video, part {video}" / f"clip-{video}", 10.0, video)
    write_sequence(root / "oliver" / "A video, part 0" / "too short", 4.0)
    return root


@pytest.fixture(scope="module")
def smplx_folder(tmp_path_factory, body):
    """A synthetic SMPL-X file whose hand components are known."""
    folder = tmp_path_factory.mktemp("body")
    (folder / "smplx").mkdir()
    rng = np.random.default_rng(0)
    components = {f"hands_components{side}": np.linalg.qr(rng.normal(size=(45, 45)))[0] for side in "lr"}
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
        ({"body_pose_axis": np.zeros((300, 60), np.float32)}, r"body_pose_axis has shape \(300, 60\)"),
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
    arrays = read_show_pickle(corpus._paths[entry.id].with_suffix(".pkl"))
    before = axis_angle_to_matrix(torch.from_numpy(arrays["global_orient"][:, 0]))
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
    motion, arrays = corpus.read(entry).motion, read_show_pickle(corpus._paths[entry.id].with_suffix(".pkl"))
    expected = np.zeros(45)
    for number in range(12):
        expected += arrays["right_hand_pose"][17, number] * components["hands_componentsr"][number]
    assert np.allclose(motion.poses[17, 40:55].reshape(-1), expected, atol=1e-5)
    assert not corpus.notes
    with pytest.raises(SemTalkError, match="set body.path.*or data.hands=mean"):
        corpus_of(show, tmp_path, hands="smplx")
    mean = corpus_of(show, tmp_path)
    assert not mean.read(entry).motion.poses[:, 25:].any() and "mean hands" in mean.notes[0]


def test_splits_by_video_by_folder_and_by_file(show, tmp_path):
    entries = corpus_of(show, tmp_path).entries()
    assert len(entries) == 6 and {entry.split for entry in entries} == {"train", "val", "test"}
    assert all("too-short" not in entry.id and " " not in entry.id for entry in entries)
    by_video = {entry.id: entry.split for entry in entries}
    assert by_video == {entry.id: entry.split for entry in corpus_of(show, tmp_path).entries()}
    write_sequence(show / "conan" / "v" / "val" / "clip-9", 10.0)
    assert Entry("conan_v_clip-9", 1, "val") in corpus_of(show, tmp_path).entries()
    nested = {"oliver": {"train": {"v": ["clip-0"]}, "test": ["x/clip-1.pkl"]}, "clip-2": "val"}
    for name in ("split.json", "split.pkl"):
        path = tmp_path / name
        path.write_bytes(json.dumps(nested).encode() if name.endswith("json") else pickle.dumps(nested))
        assert read_split_file(path) == {"clip-0": "train", "clip-1": "test", "clip-2": "val"}
    listed = corpus_of(show, tmp_path, split_file=str(path)).entries()
    assert {entry.id[-6:]: entry.split for entry in listed if "seth" in entry.id} == {
        "clip-0": "train",
        "clip-1": "test",
        "clip-2": "val",
    }


def test_transcripts_are_made_once_and_kept(show, tmp_path):
    corpus = corpus_of(show, tmp_path, words="whisper")
    entry = corpus.entries()[0]
    path = corpus._paths[entry.id].with_suffix(".wav")
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
    beside = corpus._paths[one].with_suffix(".srt")
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
