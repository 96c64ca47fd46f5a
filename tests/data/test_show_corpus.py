"""SHOW as it is released: three layouts, the official list, sound and motion of different length, speakers by name."""

import itertools
import json
import logging
import shutil

import numpy as np
import pytest
from conftest import run_command
from show_corpus import ABSENT, TRAPS, sequence, write_sequence, write_show

from semtalk.data import show_split
from semtalk.data.datamodule import MotionDataModule
from semtalk.data.preparation import prepare
from semtalk.data.recording import Entry
from semtalk.data.show import SHOWCorpus, refuse_shorter
from semtalk.data.show_pickle import count_frames, hand_scale_note, read_show_pickle
from semtalk.data.show_split import Clip, SplitList, find_clips, read_split_file, split_by_video, split_name, split_note
from semtalk.data.store import Store
from semtalk.data.windows import WindowDataset
from semtalk.errors import SemTalkError
from semtalk.features.extract import build_encoder
from semtalk.features.utterance import Utterance
from semtalk.motion.skeleton import FPS, SAMPLE_RATE
from semtalk.settings import compose

COUNTED = {
    "train": ["oliver-1", "oliver-2", "oliver-5", "conan-1", "seth-1"],
    "val": ["oliver-6", "conan-2"],
    "test": ["oliver-3", "oliver-4", "conan-3"],
}


@pytest.fixture(scope="module")
def traps(tmp_path_factory):
    """The corpus as it is released, with its list beside it."""
    root = tmp_path_factory.mktemp("SHOW")
    return root, write_show(root)


def corpus_of(root, made, **options) -> SHOWCorpus:
    return SHOWCorpus(str(root), **{"words": "none", "hands": "mean", "made": str(made)} | options)


def taken(corpus) -> dict:
    names = {split: [] for split in COUNTED}
    for entry in corpus.entries():
        names[entry.split].append(corpus._clips[entry.id].name.partition("_")[0])
    return {split: sorted(found) for split, found in names.items()}


@pytest.fixture(scope="module")
def prepared(traps, body, tmp_path_factory):
    """Corpus and store."""
    folder = tmp_path_factory.mktemp("prepared")
    corpus = corpus_of(traps[0], folder, split_file=str(traps[1]))
    return corpus, prepare(corpus, compose().features, body, folder / "store")


def recording_of(store, name):
    return next(recording for recording in store.recordings if f"_{name}_" in recording.id)


@pytest.mark.parametrize("kind", ["json", "pkl"])
@pytest.mark.parametrize("layout", ["released", "moved", "sorted"])
def test_the_lists_and_all_three_layouts_give_the_same_clips_and_ids(traps, tmp_path, layout, kind):
    root, wanted = tmp_path / "root", corpus_of(traps[0], tmp_path / "made", split_file=str(traps[1])).entries()
    given = write_show(root, layout)
    given = given if kind == "json" else root / "split_more_than_2s.pkl"
    corpus = corpus_of(root, tmp_path / layout, split_file=str(given))
    assert corpus.entries() == wanted and taken(corpus) == {split: sorted(names) for split, names in COUNTED.items()}
    assert Entry("oliver_Guns-HBO-_oliver-1_0-00-00_0-00-06", "oliver", "train") in wanted
    if layout != "released":
        folders = corpus_of(root, tmp_path / "folders")
        assert folders.entries() == wanted and folders.split_name == "split of the folders, within videos"


def test_clips_count_by_their_motion_and_not_by_their_sound(traps, tmp_path):
    options = {"split_file": str(traps[1])}
    corpus = corpus_of(traps[0], tmp_path, **options)
    assert "conan-4" not in taken(corpus)["train"] and "oliver-5" in taken(corpus)["train"]
    assert "conan-4" in taken(corpus_of(traps[0], tmp_path, min_frames=60, **options))["train"]
    long = corpus_of(traps[0], tmp_path, min_seconds=5.5, **options)
    assert taken(long) == {
        "train": ["conan-1", "oliver-1", "seth-1"],
        "val": ["conan-2"],
        "test": ["conan-3", "oliver-3"],
    }
    entry = next(entry for entry in corpus.entries() if "oliver-5" in entry.id)
    assert corpus.seconds(entry) == 62 / FPS
    with pytest.raises(SemTalkError, match=r"none of the 11 sequences of the split of train_val_test.json, within"):
        corpus_of(traps[0], tmp_path, min_frames=1000, **options).entries()


def test_frames_are_counted_once_and_again_when_a_file_changes(traps, tmp_path, monkeypatch):
    root = tmp_path / "root"
    write_sequence(root / "oliver" / "v" / "clip", 3.0)
    counted = []

    def count(path):
        counted.append(path.name)
        return count_frames(path)

    monkeypatch.setattr("semtalk.data.show.count_frames", count)
    assert corpus_of(root, tmp_path / "made").entries() and corpus_of(root, tmp_path / "made").entries()
    assert counted == ["clip.pkl"]
    (root / "oliver" / "v" / "clip" / "clip.pkl").unlink()
    (root / "oliver" / "v" / "clip").rename(root / "gone")
    write_sequence(root / "oliver" / "v" / "clip", 1.0)
    with pytest.raises(SemTalkError, match="none of the 1 sequences of the video-disjoint split has 61 frames or more"):
        corpus_of(root, tmp_path / "made").entries()
    assert counted == ["clip.pkl"] * 2


def test_pickles_of_any_shape_of_the_right_size_are_read_with_eyes_and_one_body(traps, tmp_path, body):
    for number, trap in enumerate(TRAPS):
        if not trap.shaped:
            continue
        given = sequence(trap.frames, number)
        arrays = read_show_pickle(traps[0] / trap.place / f"{trap.place.rpartition('/')[2]}.pkl")
        for key in ("global_orient", "jaw_pose", "leye_pose", "body_pose_axis", "left_hand_pose", "transl"):
            assert np.array_equal(arrays[key], given[key].reshape(trap.frames, -1)), key
        betas = given["betas"][0].copy()
        betas[10:] = betas[10:] if trap.shaped.get("betas") != (10,) else 0
        assert np.array_equal(arrays["betas"], betas)
    corpus = corpus_of(traps[0], tmp_path, split_file=str(traps[1]))
    entry = next(entry for entry in corpus.entries() if "oliver-1_" in entry.id)
    motion, given = corpus.read(entry).motion, sequence(180, 0)
    assert np.array_equal(motion.poses[:, 23], given["leye_pose"])
    assert np.array_equal(motion.poses[:, 24], given["reye_pose"])
    rows = np.tile(given["betas"], (180, 1))
    write_sequence(tmp_path / "almost", 6.0, betas=rows * (1 + 4e-6 * np.arange(180)[:, None] / 180))
    assert np.array_equal(read_show_pickle(tmp_path / "almost" / "almost.pkl")["betas"], given["betas"][0])


@pytest.mark.parametrize(
    ("heard", "frames", "good"),
    [(300, 62, True), (300, 300, True), (300, 301, True), (299, 300, False), (61, 62, True), (60, 62, False),
     (60, 61, True), (59, 60, False), (89, 90, False), (88, 89, True), (177, 180, False)],
)  # fmt: skip
def test_sound_may_outlast_motion_and_lack_one_frame_at_most(tmp_path, heard, frames, good):
    samples = -(-heard * SAMPLE_RATE // FPS)
    for count in (samples, samples + 500):  # part of a frame is none
        if good:
            refuse_shorter(tmp_path, count, frames)
        else:
            with pytest.raises(SemTalkError, match=f"sound of {heard} frames for {frames} frames of motion; give all"):
                refuse_shorter(tmp_path, count, frames)


def test_features_are_of_the_whole_sound_and_the_motions_rows_are_the_first_ones(prepared):
    corpus, store = prepared
    for name, heard in (("oliver-2", 300), ("oliver-5", 300), ("conan-3", 180)):
        recording = recording_of(store, name)
        entry = next(entry for entry in corpus.entries() if entry.id == recording.id)
        whole = corpus.read(entry).wave
        assert len(whole) * FPS // SAMPLE_RATE == heard
        rows = {"rhythm": recording.frames, "hubert": recording.frames, "emotion": -(-recording.frames // 20)}
        for slot, count in rows.items():
            values = build_encoder(compose().features, slot)(Utterance(whole))
            known = recording[slot].float().numpy()
            assert len(known) == count
            first = min(count, len(values))
            assert np.array_equal(known[:first], values[:first].astype(known.dtype)), (name, slot)
            assert all(np.array_equal(row, known[first - 1]) for row in known[first:]), (name, slot)
        samples = -(-recording.frames * SAMPLE_RATE // FPS)
        assert len(recording["wave"]) == samples
        assert np.array_equal(recording["wave"][: len(whole)].numpy(), whole[:samples])
    long = recording_of(store, "oliver-2")
    cut = build_encoder(compose().features, "hubert")(Utterance(long["wave"].numpy()))
    assert not np.array_equal(long["hubert"].numpy()[-2:], cut.astype(np.float32)[-2:]), "the end hears what follows"


def test_windows_are_of_whole_seconds_and_short_clips_give_none_and_stay(prepared):
    _, store = prepared
    counts = {62: 0, 75: 0, 89: 0, 162: 5, 180: 6, 181: 6}
    for name in ("oliver-5", "oliver-6", "oliver-4", "oliver-2", "oliver-1", "conan-3"):
        recording = recording_of(store, name)
        if counts[recording.frames]:
            assert len(WindowDataset(store, [recording], 20)) == counts[recording.frames]
        else:
            with pytest.raises(SemTalkError, match=r"the 1 recordings of the split '\w+' give no window of 64 frames"):
                WindowDataset(store, [recording], 20)
    module = MotionDataModule(store, batch_size=4)
    assert len(module.train_dataloader().dataset) == 6 + 5 + 0 + 6 and len(module.val_dataloader().dataset) == 6
    short = Store(store.folder, [one for one in store.recordings if one.frames < 90], store.speakers, store.stride)
    with pytest.raises(SemTalkError, match="the 1 recordings of the split 'val' give no .* the longest has 60 that"):
        MotionDataModule(short).val_dataloader()


def test_a_bad_clip_is_listed_and_short_and_odd_ones_are_prepared(prepared):
    _, store = prepared
    names = sorted(name for names in COUNTED.values() for name in names if name != "seth-1")
    assert sorted(recording.id.split("_")[2] for recording in store.recordings) == names
    said = (store.folder / "quarantine.csv").read_text()
    assert "seth-1" in said and "sound of 177 frames for 180 frames of motion" in said and said.count("\n") == 2
    assert {recording.info["speaker"] for recording in store.recordings} == {"oliver", "conan"} == set(store.speakers)
    assert json.loads((store.folder / "split.json").read_text()) == {"split": store.split_name}
    for recording in store.recordings:
        for key in ("rotation", "contact", "rhythm", "hubert", "words", "semantic"):
            assert len(recording[key]) == recording.frames


def test_listed_clips_that_are_not_there_are_said_and_strict_stops(traps, tmp_path, body, caplog):
    corpus = corpus_of(traps[0], tmp_path, split_file=str(traps[1]))
    said = f"{traps[1]}: 4 of the clips that it lists are not in {traps[0]}: gone-1, gone-2, gone-3 and others."
    assert corpus.lacking() == said
    with pytest.raises(SemTalkError, match="4 of the clips that it lists are not .* Without strict=true they"):
        prepare(corpus, compose().features, body, tmp_path / "store", strict=True)
    with caplog.at_level(logging.WARNING, "semtalk"):
        prepare(corpus, compose().features, body, tmp_path / "store", shard=(12, 12))
    assert said in caplog.messages
    conan = corpus_of(traps[0], tmp_path, split_file=str(traps[1]), speakers=["conan"])
    assert conan.lacking().endswith(": gone-4.") and "1 of the clips" in conan.lacking()
    pickled = corpus_of(traps[0], tmp_path, split_file=str(traps[0] / "split_more_than_2s.pkl"), speakers=["seth"])
    assert pickled.lacking().endswith("gone-2, gone-3.")
    assert corpus_of(traps[0], tmp_path).lacking() is None


def test_a_list_that_contradicts_itself_or_names_nothing_here_is_one_sentence(traps, tmp_path):
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"train": ["a/b/clip"], "test": ["clip"]}))
    with pytest.raises(SemTalkError, match="list.json: clip is listed in train and in test"):
        read_split_file(path)
    path.write_text(json.dumps(ABSENT))
    with pytest.raises(SemTalkError, match=r"none of the 12 sequences here is in .*list.json"):
        corpus_of(traps[0], tmp_path, split_file=str(path)).entries()


def test_splits_within_videos_and_between_them_have_different_names(traps, tmp_path, monkeypatch):
    by_list = corpus_of(traps[0], tmp_path, split_file=str(traps[1]))
    by_video = corpus_of(traps[0], tmp_path)
    assert by_list.split_name == "split of train_val_test.json, within videos"
    assert by_video.split_name == "video-disjoint split"
    assert by_list.notes[0] == "SHOW, split of train_val_test.json, within videos: " + show_split.MEANS["within videos"]
    assert "no number compares with the official split's" in by_video.notes[0]
    monkeypatch.setitem(show_split.OFFICIAL, by_list.listed.sha256, "train_val_test.json")
    official = corpus_of(traps[0], tmp_path, split_file=str(traps[1]))
    assert official.split_name == "official split, within videos" and official.notes[0].startswith(
        "SHOW, official split"
    )
    assert "release 1.0 of the corpus lacks 55" in official.lacking()
    clips = {Clip(str(n), traps[0], "seth", f"v{n // 2}", None): "train" if n < 4 else "val" for n in range(6)}
    listed = SplitList(traps[1], "0", {}, {})
    assert split_name(clips, listed, False) == "split of train_val_test.json, video-disjoint split"
    for name in (by_list.split_name, by_video.split_name, official.split_name, split_name(clips, listed, False)):
        assert split_note(name).startswith(f"SHOW, {name}: ")


def test_a_clips_name_may_have_dots(traps, tmp_path):
    """clip.1 and clip.2 were one clip, whose sound was that of clip.wav."""
    copied = tmp_path / "SHOW"
    shutil.copytree(traps[0], copied)
    path = next(one for one in (copied / "conan").rglob("*.pkl") if one.with_suffix(".wav").is_file())
    for number, suffix in itertools.product((1, 2), (".pkl", ".wav")):
        shutil.copy(path.with_suffix(suffix), path.with_name(f"clip.{number}{suffix}"))
    corpus = corpus_of(copied, tmp_path, min_frames=1)
    dotted = [entry for entry in corpus.entries() if "clip." in entry.id]
    assert len(dotted) == 2 and all(len(corpus.read(entry).motion) for entry in dotted)


def test_a_split_by_video_does_not_hang_on_what_counts(traps, tmp_path):
    clips = [Clip(f"{v}-{n}", traps[0] / f"{v}-{n}", "seth", f"video {v}", None) for v in range(20) for n in range(3)]
    splits = split_by_video(clips)
    assert all(len({splits[clip] for clip in clips if clip.video == video}) == 1 for video in {c.video for c in clips})
    assert [list(splits.values()).count(split) for split in ("train", "val", "test")] == [48, 6, 6]
    all_of_them = {entry.id: entry.split for entry in corpus_of(traps[0], tmp_path, min_frames=1).entries()}
    for entry in corpus_of(traps[0], tmp_path, min_frames=170).entries():
        assert all_of_them[entry.id] == entry.split


def test_the_report_says_clips_by_split_and_speaker_and_whether_they_are_the_known_ones(traps, tmp_path, monkeypatch):
    data = ["data=show", f"data.root={traps[0]}", "data.hands=mean", "data.words=none", f"data_dir={tmp_path}/data"]
    listed = [*data, f"data.split_file={traps[1]}", "report=true"]
    said = run_command("scripts/prepare.py", *listed).stdout
    assert "Clips of train / val / test: 4 / 2 / 3 (split of train_val_test.json, within videos)." in said
    assert "Left out: 1 sequences that are not in the list, 1 that are too short" in said
    assert "SHOW, split of train_val_test.json, within videos: clips of one video are in more than one split." in said
    rows = {line.split("│")[1].strip(): line for line in said.splitlines() if line.count("│") == 5}
    assert {"conan", "oliver", "all"} <= set(rows) and "/ 3 /" in rows["oliver"].split("│")[2]
    assert "are not in" in said and "gone-1, gone-2, gone-3" in said
    monkeypatch.setitem(show_split.OFFICIAL, read_split_file(traps[1]).sha256, "train_val_test.json")
    said = run_command("scripts/prepare.py", *listed).stdout
    assert "4 / 2 / 3 (official split, within videos). The official split has 13,687 / 1,715 / 1,708" in said
    monkeypatch.setattr(show_split, "COUNTS", {"train": 4, "val": 2, "test": 3})
    said = run_command("scripts/prepare.py", *listed).stdout
    assert "4 / 2 / 3 (official split, within videos), as many as the official split has in release 1.0." in said
    some = run_command("scripts/prepare.py", *listed, "data.speakers=[conan]").stdout
    assert "1 / 1 / 1 (official split, within videos)." in some
    said = run_command("scripts/prepare.py", *data, "report=true").stdout
    assert "(video-disjoint split)." in said and "no number compares with the official" in said


def test_hand_components_of_another_scale_are_warned_of(tmp_path):
    hand = np.diag(np.full(45, 1.3074))
    assert hand_scale_note(tmp_path, hand, hand) is None
    said = hand_scale_note(tmp_path, hand, hand / 1.3074)
    assert said.startswith("Warning: the first hand components of ") and "norms 1.3074 and 1.0000" in said
    assert hand_scale_note(tmp_path, hand * 1.01, hand)


def test_a_store_of_numbers_is_prepared_again_with_names_and_encodes_nothing_again(traps, body, tmp_path, monkeypatch):
    options = {"split_file": str(traps[1]), "speakers": ["conan"]}
    corpus, features = corpus_of(traps[0], tmp_path, **options), compose().features
    named = corpus.entries()
    monkeypatch.setattr(corpus, "_entries", [entry._replace(speaker=1) for entry in named])
    before = prepare(corpus, features, body, tmp_path / "store")
    assert before.speakers == [1]
    kept = {path: path.stat().st_ino for path in (tmp_path / "store").glob("*.safetensors")}
    after = prepare(corpus_of(traps[0], tmp_path, **options), features, body, tmp_path / "store")
    assert after.speakers == ["conan"] and {path: path.stat().st_ino for path in kept} == kept


def test_a_clip_that_cannot_be_read_is_kept_to_be_told_of(tmp_path):
    root = tmp_path / "root"
    write_sequence(root / "oliver" / "v" / "good", 3.0)
    write_sequence(root / "oliver" / "v" / "bad", 3.0)
    (root / "oliver" / "v" / "bad" / "bad.pkl").write_bytes(b"no pickle")
    corpus = corpus_of(root, tmp_path / "made")
    assert [entry.id for entry in corpus.entries()] == ["oliver_v_bad", "oliver_v_good"]
    assert corpus.seconds(corpus.entries()[0]) is None and corpus.seconds(corpus.entries()[1]) == 3.0
    assert [clip.name for clip in find_clips(root, ["oliver"])] == ["bad", "good"]
