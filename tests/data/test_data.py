"""Readers, the embedded corpus, the store, windows and the sampler."""

import contextlib
import json
import multiprocessing
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch

from semtalk.body import load_body
from semtalk.data.beat2 import FOLDER, BEAT2Corpus, emotion_of
from semtalk.data.datamodule import EpochSampler, MotionDataModule, dealt_batches
from semtalk.data.preparation import prepare
from semtalk.data.recording import SemanticInterval, frame_scores, read_semantics
from semtalk.data.sample import SampleCorpus
from semtalk.data.sample import corpus as sample_module
from semtalk.data.sample.script import HOMOPHONES, pronunciation, write_script
from semtalk.data.windows import WindowDataset
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio
from semtalk.features.extract import SLOTS
from semtalk.features.transcript import read_textgrid
from semtalk.motion.parts import foot_contact
from semtalk.motion.skeleton import FEET
from semtalk.settings import compose


@pytest.fixture
def copied(corpus, tmp_path):
    """A copy of the corpus that a test may spoil."""
    shutil.copytree(corpus.root, tmp_path / "copy" / FOLDER)
    return tmp_path / "copy"


def test_emotion_comes_from_the_take_number():
    assert emotion_of("2_scott_0_1_1") == emotion_of("2_scott_0_64_64") == "neutral"
    assert emotion_of("2_scott_0_65_65") == "happiness" and emotion_of("2_scott_2_118_118") == "disgust"
    assert emotion_of("2_scott_1_73_73") == "neutral", "conversations are neutral"


def test_sample_is_deterministic(corpus, tmp_path):
    again = SampleCorpus(str(tmp_path / "again"), seed=3, speakers=1, take_seconds=6.0)
    for path in sorted(corpus.root.rglob("*")):
        if path.is_file() and path.suffix in (".wav", ".txt", ".TextGrid", ".csv"):
            assert path.read_bytes() == (again.root / path.relative_to(corpus.root)).read_bytes(), path
    for entry in corpus.entries():
        assert np.array_equal(corpus.read(entry).motion.poses, again.read(entry).motion.poses)


def test_one_of_several_processes_writes_the_sample(tmp_path, monkeypatch):
    both, written, write = threading.Barrier(2), [], sample_module.write_take
    monkeypatch.setattr(sample_module, "write_take", lambda *args: (written.append(args[1]), write(*args)))

    def load(*args):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1.0)  # for the other, which would write too
        return load_body(None)

    monkeypatch.setattr(sample_module, "load_body", load)
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(SampleCorpus, str(tmp_path / "new"), 0, 1, 5.0) for _ in range(2)]
    assert [len(one.result().entries()) for one in made] == [12, 12] and len(written) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_sample_default_size():
    data = compose().data
    assert data.speakers >= 3 and data.speakers * 12 * data.take_seconds >= 8 * 60


def test_sample_keywords_sound_like_other_words():
    for keyword, other in HOMOPHONES.items():
        assert keyword != other and len(pronunciation(keyword)) == 1
    rng = np.random.default_rng(0)
    words = [word for _ in range(20) for phrase in write_script(20.0, rng) for word in phrase.words]
    gestured = [word for word in words if word.is_keyword]
    assert {word.text for word in gestured} == set(HOMOPHONES)
    assert len([word for word in words if word.text in HOMOPHONES.values()]) > len(gestured)
    for word in gestured:
        start, end = word.gesture_interval
        assert 0.6 <= end - start <= 1.2
    assert {word.sound for word in words if word.text in HOMOPHONES.values()} == set(HOMOPHONES)


def test_sample_stands_on_the_floor(corpus, body):
    motion = corpus.read(corpus.entries()[0]).motion
    joints = body.joints(*(torch.from_numpy(a) for a in (motion.poses, motion.betas, motion.trans)))
    feet = joints[:, list(FEET)]
    assert feet[..., 2:, 1].min() > 0 and feet[:, 2:, 1].max() < 0.05
    assert foot_contact(feet).mean() == 1
    assert (joints[:, 15, 1] > 1.3).all(), "upright"


def test_beat2_reads_the_corpus(corpus):
    recording = corpus.read(corpus.entries()[0])
    assert recording.frames == 180 and len(recording.wave) == 6 * 16000 and recording.wave.dtype == np.float32
    assert recording.words and all(word.end > word.start for word in recording.words)
    assert recording.semantics[0].label == "01_beat_align"


def test_semantic_scores_first_row_wins_and_beats_are_zero():
    rows = [SemanticInterval("a", 0, 1, 0.5), SemanticInterval("b", 0.5, 2, 0.9), SemanticInterval("c", 2.5, 3, 0.1)]
    scores = frame_scores(rows, 90)
    assert scores[15] == 0.5 and scores[20] == 0.5 and scores[45] == pytest.approx(0.9)
    assert scores[65] == 0 and scores[80] == 0


def test_sem_rows_of_five_and_six_columns(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("01_beat_align\t0\t1\t1\t0.1\n06_iconic_m\t1\t2\t1\t0.6\ttwo words\n")
    assert [row.keyword for row in read_semantics(path)] == ["", "two words"]
    path.write_text("01_beat_align\t0\tx\t1\t0.1\n")
    with pytest.raises(SemTalkError, match=r"a.txt, line 1"):
        read_semantics(path)


def test_a_take_of_which_nothing_is_annotated_is_unlabelled(copied, body, tmp_path):
    names = [entry.id for entry in BEAT2Corpus(str(copied)).entries()]
    beats = "01_beat_align\t0\t6\t6\t0.1\n"
    for name, text in zip(names, ("", "\n \n", beats), strict=False):
        (copied / FOLDER / "sem" / f"{name}.txt").write_text(text)
    store = prepare(BEAT2Corpus(str(copied)), compose().features, body, tmp_path / "store")
    scores = [recording["semantic"] for recording in store.recordings]
    assert [bool(one.isnan().all()) for one in scores] == [True, True] + [False] * 10
    assert not scores[2].any(), "beats alone are annotated, and are no gestures"
    batch = WindowDataset(store, store.recordings[:3], 20, ("semantic",)).__getitems__([0, 6, 12])["semantic"]
    assert batch.isnan().all(dim=1).tolist() == [True, True, False]


@pytest.mark.parametrize("form", ["long_textgrid", "short_textgrid"])
def test_textgrid_forms(tmp_path, form):
    from praatio import textgrid

    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("words", [(0.5, 1.0, "hello"), (1.2, 1.5, "you")], 0, 2))
    grid.save(str(tmp_path / "a.TextGrid"), format=form, includeBlankSpaces=True)
    assert [word.text for word in read_textgrid(tmp_path / "a.TextGrid")] == ["hello", "you"]


def test_additional_recordings_are_trained_on_where_they_are_wanted(copied):
    path = copied / FOLDER / "train_test_split.csv"
    text = path.read_text()
    first = next(line for line in text.splitlines() if line.endswith(",val"))
    path.write_text(text.replace(first, first.replace(",val", ",additional")))
    name = first.split(",")[0]
    assert name not in [entry.id for entry in BEAT2Corpus(str(copied)).entries()]
    (own,) = [entry for entry in BEAT2Corpus(str(copied), additional=True).entries() if entry.id == name]
    assert own.split == "train"


def test_audio_is_resampled_and_mixed(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((44100, 2)), 44100)
    assert abs(len(load_audio(tmp_path / "a.wav")) - 16000) <= 1
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(SemTalkError, match="b.wav: not a readable sound"):
        load_audio(tmp_path / "b.wav")


@pytest.mark.parametrize(("root", "says"), [(None, "data.root is not set"), ("/nowhere", "is this a BEAT2 folder")])
def test_missing_corpus_is_named(root, says):
    with pytest.raises(SemTalkError, match=says):
        BEAT2Corpus(root)


def test_bad_recordings_are_quarantined(copied, body, tmp_path):
    names = [path.stem for path in sorted((copied / FOLDER / "wave16k").glob("*.wav"))]
    (copied / FOLDER / "wave16k" / f"{names[0]}.wav").write_bytes(b"")
    (copied / FOLDER / "sem" / f"{names[1]}.txt").unlink()
    store = prepare(BEAT2Corpus(str(copied)), compose().features, body, tmp_path / "store")
    listed = (tmp_path / "store" / "quarantine.csv").read_text()
    assert len(store.recordings) == 10 and names[0] in listed and names[1] in listed
    with pytest.raises(SemTalkError, match=names[0]):
        prepare(BEAT2Corpus(str(copied)), compose().features, body, tmp_path / "strict", strict=True)


def test_store_prepares_only_what_changed(copied, body, tmp_path):
    features = compose().features
    prepare(BEAT2Corpus(str(copied)), features, body, tmp_path / "store")

    def written() -> dict:
        paths = [path for path in (tmp_path / "store").iterdir() if path.name != "index.json"]
        return {path: path.stat().st_mtime_ns for path in paths}

    times = written()
    prepare(BEAT2Corpus(str(copied)), features, body, tmp_path / "store")
    assert times == written()
    features = compose("train", "features.slots.hubert.dim=24").features
    store = prepare(BEAT2Corpus(str(copied)), features, body, tmp_path / "store")
    changed = {path.name for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {f"{recording.id}.hubert.safetensors" for recording in store.recordings}
    assert store.recordings[0]["hubert"].shape == (180, 24)


def test_interrupted_preparation_resumes(copied, body, tmp_path, monkeypatch):
    from semtalk.data import preparation as module

    corpus, features = BEAT2Corpus(str(copied)), compose().features
    done = []

    def stop(encoder, features, slot, utterance, encode=module.encode):
        if len(done) == 3 * len(SLOTS) + 2:
            raise KeyboardInterrupt
        done.append(slot)
        return encode(encoder, features, slot, utterance)

    monkeypatch.setattr(module, "encode", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(corpus, features, body, tmp_path / "store")
    monkeypatch.undo()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*.safetensors")}
    assert not list((tmp_path / "store").glob(".*tmp*"))
    complete = json.loads(next((tmp_path / "store").glob("*.record.json")).read_text())["id"]
    store = prepare(corpus, features, body, tmp_path / "store")
    assert len(store.recordings) == 12
    for path, time in times.items():
        if path.name.startswith(f"{complete}."):
            assert path.stat().st_mtime_ns == time, "finished recordings are not prepared again"


def test_windows_are_views_of_the_recordings(store):
    dataset = WindowDataset(store, store.split("train"), stride=20)
    assert len(dataset) == 9 * ((180 - 64) // 20 + 1)
    batch = dataset.__getitems__([0, 1, 7])
    recording = store.split("train")[0]
    assert torch.equal(batch["rotation"][1], recording["rotation"][20:84])
    assert torch.equal(batch["sentence"][1], recording["sentence"][1])
    assert torch.allclose(batch["semantic"][1], recording["semantic"][20:84].view(16, 4).mean(-1))
    assert batch["speaker"].tolist() == [0, 0, 0]
    assert torch.equal(dataset[7]["hubert"], batch["hubert"][2])


def test_features_in_half_precision(corpus, store, body, tmp_path, monkeypatch):
    features = compose("train", "features.stored=float16").features
    half = prepare(corpus, features, body, tmp_path / "half")
    one = half.split("train")[0]
    assert one["hubert"].dtype == torch.float16 and one["rotation"].dtype == torch.float32
    batches = [WindowDataset(s, s.split("train"), 20).__getitems__([0, 5]) for s in (half, store)]
    assert batches[0]["hubert"].dtype == torch.float32
    assert torch.allclose(batches[0]["hubert"], batches[1]["hubert"], rtol=1e-3, atol=1e-3)
    monkeypatch.setattr("semtalk.data.preparation.encode", lambda *_: np.full((180, 3), 1e5, np.float32))
    with pytest.raises(SemTalkError, match="too large for float16; use features.stored=float32"):
        prepare(corpus, features, body, tmp_path / "large", strict=True)


def test_empty_split_is_said(copied, body, tmp_path):
    path = copied / FOLDER / "train_test_split.csv"
    path.write_text(path.read_text().replace(",val", ",test"))
    store = prepare(BEAT2Corpus(str(copied)), compose().features, body, tmp_path / "store")
    with pytest.raises(SemTalkError, match="split 'val' is empty"):
        store.split("val")


def test_sampler_deals_every_window_once():
    training = [EpochSampler(103, seed=1, rank=rank, world=4) for rank in range(4)]
    dealt = [list(sampler) for sampler in training]
    assert {len(share) for share in dealt} == {25} and len(set(sum(dealt, []))) == 100
    training[0].set_epoch(1)
    assert list(training[0]) != dealt[0]
    assert dealt[0] == list(EpochSampler(103, seed=1, rank=0, world=4))


def test_what_processes_have_in_a_step_is_the_batch_of_one():
    one, *two = (list(EpochSampler(103, seed=1, rank=rank, world=world)) for rank, world in ((0, 1), (0, 2), (1, 2)))
    for step in range(6):
        dealt = [windows[8 * step : 8 * step + 8] for windows in two]
        assert [window for pair in zip(*dealt, strict=True) for window in pair] == one[16 * step : 16 * step + 16]


@pytest.mark.parametrize("size, batch", [(103, 8), (103, 64), (9, 64), (4, 1), (64, 16)])
def test_whole_batches_of_a_validation_are_dealt_out_and_every_process_has_one(size, batch):
    def batches(rank: int, world: int) -> list[list[int]]:
        windows, length = dealt_batches(size, batch, rank, world)
        return [windows[start : start + length] for start in range(0, len(windows), length)]

    one = batches(0, 1)
    assert sum(one, []) == list(range(size)) and max(map(len, one)) <= batch
    dealt = [batches(rank, 4) for rank in range(4)]
    assert all(dealt) and sorted(window for share in dealt for some in share for window in some) == list(range(size))
    if len(one) >= 4:
        assert all(dealt[number % 4][number // 4] == windows for number, windows in enumerate(one))


@pytest.mark.parametrize("fewest", ["val", "train"])
def test_more_processes_than_windows_of_a_split_are_refused_before_they_start(store, monkeypatch, fewest):
    split = store.split
    if fewest == "train":
        monkeypatch.setattr(store, "split", lambda name: split("val" if name == "train" else "train"))
    data = MotionDataModule(store, stride=20, batch_size=8, seed=0)
    windows = len((data.val_dataloader() if fewest == "val" else data.train_dataloader()).dataset)
    assert data.batches(windows) >= 1
    with pytest.raises(SemTalkError, match=f"{fewest} has {windows} windows, too few for {windows + 1} processes"):
        data.batches(windows + 1)


def test_datamodule_batches(store):
    data = MotionDataModule(store, stride=20, batch_size=8, seed=0)
    batches = list(data.train_dataloader())
    assert len(batches) == 54 // 8 and all(len(batch["speaker"]) == 8 for batch in batches)
    assert sum(len(batch["speaker"]) for batch in data.val_dataloader()) == 6


def test_features_change_only_where_the_speech_does(store):
    recording = store.split("train")[0]
    words = recording["words"]
    spoken = torch.zeros(recording.frames, dtype=torch.bool)
    for _, start, end in recording.words:
        spoken[round(start * 30) : max(round(end * 30), round(start * 30) + 1)] = True
    assert (words[~spoken] == 0).all() and (words[spoken].norm(dim=-1) > 0).all()
    rhythm = recording["rhythm"]
    assert rhythm[spoken][:, 0].mean() > 3 * rhythm[~spoken][:, 0].mean()
    assert {name: recording[name].shape[-1] for name in SLOTS} == {
        "rhythm": 3,
        "hubert": 48,
        "words": 64,
        "sentence": 64,
        "emotion": 32,
    }


def test_real_take_is_read(real_data, body, tmp_path):
    corpus = BEAT2Corpus(str(real_data / "beat2"))
    store = prepare(corpus, compose().features, body, tmp_path)
    assert {name: len(store.split(name)) for name in ("train", "val", "test")} == {"train": 3, "val": 1, "test": 1}
    assert [recording.frames for recording in store.recordings] == [360, 360, 360, 360, 465]
    assert store.recordings[0].words[0][0] == "the"
    labelled = [round(float((recording["semantic"] > 0).float().mean()), 2) for recording in store.recordings]
    assert labelled[4] == 0 and 0 < labelled[0] < 1 and not store.recordings[4]["semantic"].isnan().any()
    assert corpus.mean_joint_speed()[21] == pytest.approx(0.2696023)
    assert store.recordings[0]["contact"].mean() > 0.5


def test_real_takes_without_annotation_are_unlabelled(real_data, body, tmp_path):
    store = prepare(BEAT2Corpus(str(real_data / "beat2_two_takes")), compose().features, body, tmp_path)
    unlabelled = {one.id for one in store.recordings if one["semantic"].isnan().all()}
    assert unlabelled == {"2_scott_0_2_a", "2_scott_0_2_b", "2_scott_0_2_c"} and len(store.recordings) == 4


def test_signals_to_a_trainings_group_do_not_reach_its_readers(store):
    iterator = iter(MotionDataModule(store, batch_size=2, workers=1).train_dataloader())
    next(iterator)
    (reader,) = multiprocessing.active_children()
    assert os.getpgid(reader.pid) != os.getpgid(0)
