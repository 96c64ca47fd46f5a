"""The store says what it holds, whatever happens to settings, sources and the processes that prepare it."""

import contextlib
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from takes import FEATURES, OWN, Loud, Takes

from semtalk.data import Recording
from semtalk.data.preparation import Preparation, prepare
from semtalk.data.store import FILES, mean_joint_speed
from semtalk.data.windows import WindowDataset
from semtalk.errors import SemTalkError
from semtalk.features import Word
from semtalk.features.utterance import HEARD, WatchedUtterance
from semtalk.settings import compose


@pytest.fixture
def takes(tmp_path):
    return Takes(tmp_path / "takes")


@pytest.fixture(autouse=True)
def own_class(monkeypatch):
    monkeypatch.setattr(Loud, "version", 1)
    monkeypatch.setattr(Loud, "fails", False)


def held(store) -> dict:
    """All that a store says and holds."""
    files = {
        (one.id, name): (store.folder / f"{one.id}.{name}").read_bytes()
        for one in store.recordings
        for name in ("record.json", *(f"{file}.safetensors" for file in FILES))
    }
    listing = store.folder / "quarantine.csv"
    infos = [one.info for one in store.recordings]
    return {"files": files, "infos": infos, "speakers": store.speakers, "stride": store.stride,
            "quarantine": listing.read_text() if listing.is_file() else ""}  # fmt: skip


class Killed(BaseException):
    """What stands for a killed process."""


def prepare_and_be_killed(monkeypatch, rng, *arguments) -> None:
    """Prepare, and stop for good before or after one of the renamings, leaving what lies around."""
    left, after, replace = rng.randrange(12), rng.random() < 0.5, os.replace
    with monkeypatch.context() as patch:

        def renaming(*paths):
            nonlocal left
            left -= 1
            if left >= 0 or after:
                replace(*paths)
            if left < 0:
                patch.setattr(Path, "unlink", lambda *a, **k: None)
                raise Killed

        patch.setattr("semtalk.files.os.replace", renaming)
        with contextlib.suppress(Killed):
            prepare(*arguments)


@pytest.mark.parametrize("seed", range(12))
def test_after_any_changes_kills_and_repairs_a_store_equals_one_made_afresh(takes, body, tmp_path, monkeypatch, seed):
    rng, features = random.Random(seed), FEATURES["plain"]
    store = tmp_path / "store"
    changes = {
        "motion": lambda: rng.randrange(4), "wave": lambda: rng.randrange(4), "words": lambda: rng.choice("ab"),
        "semantics": lambda: rng.choice([None, 1.0, 2.0]), "emotion": lambda: rng.choice(["anger", "fear", "nothing"]),
        "frames": lambda: rng.choice([90, 70, 0]),
    }  # fmt: skip
    for _ in range(8):
        for _ in range(rng.randrange(4)):
            happens = rng.randrange(6)
            if happens == 0:
                features = FEATURES[rng.choice(list(FEATURES))]
            elif happens == 1:
                monkeypatch.setattr(Loud, "version", rng.randrange(3))
                monkeypatch.setattr(Loud, "fails", Loud.version == 2)
            elif happens == 2:
                takes.speaker, takes.split = rng.randrange(3), rng.choice(["train", "test"])
            elif happens == 3:
                key = rng.choice(list(changes))
                takes.change(f"take.{rng.randrange(3)}", **{key: changes[key]()})
            else:
                prepare_and_be_killed(monkeypatch, rng, takes, features, body, store)
        repaired = held(prepare(takes, features, body, store))
        assert repaired == held(prepare(takes, features, body, tmp_path / "afresh"))
        shutil.rmtree(tmp_path / "afresh")


def test_killed_between_a_features_file_and_all_that_follows(takes, body, tmp_path, monkeypatch):
    before = held(prepare(takes, FEATURES["plain"], body, tmp_path / "store"))
    replace = os.replace

    def kill(source, target):
        replace(source, target)
        if ".hubert." in str(target):
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("semtalk.files.os.replace", kill)
        prepare(takes, FEATURES["wide"], body, tmp_path / "store")
    assert held(prepare(takes, FEATURES["plain"], body, tmp_path / "store")) == before


def written(store: Path, act) -> tuple[set[str], object]:
    """Files of the first take that an act writes, and what it gives."""
    before = {path.name: path.stat().st_ino for path in store.glob("take.0.*.safetensors")}
    result = act()
    after = {path.name: path.stat().st_ino for path in store.glob("take.0.*.safetensors")}
    return {name.split(".")[2] for name in after if after[name] != before.get(name)}, result


@pytest.mark.parametrize(
    ("change", "files"),
    [
        ({"words": "goodbye"}, {"words", "sentence"}),
        ({"semantics": 1.0}, {"semantic"}),
        ({"emotion": "fear"}, {"emotion"}),
        ({"wave": 9}, {"wave", "hubert"}),
        ({"motion": 9}, {"motion"}),
        ({"frames": 80}, set(FILES)),
        ({"unused": 1}, set()),
    ],
)
def test_what_changed_in_a_take_makes_the_files_anew_that_depend_on_it(takes, body, tmp_path, change, files):
    prepare(takes, FEATURES["plain"], body, tmp_path / "store")
    takes.change("take.0", **change)
    made, store = written(tmp_path / "store", lambda: prepare(takes, FEATURES["plain"], body, tmp_path / "store"))
    assert made == files and len(store.recordings) == 3


@pytest.mark.parametrize(
    ("variant", "files"),
    [
        ("wide", {"hubert"}),
        ("model", {"hubert"}),
        ("words", {"words"}),
        ("stride", {"sentence", "emotion"}),
        ("plain", set()),
    ],
)
def test_what_changed_in_the_settings_makes_the_files_anew_that_depend_on_it(takes, body, tmp_path, variant, files):
    prepare(takes, FEATURES["plain"], body, tmp_path / "store")
    made, _ = written(tmp_path / "store", lambda: prepare(takes, FEATURES[variant], body, tmp_path / "store"))
    assert made == files


def test_the_version_of_an_encoder_stands_in_its_file(takes, body, tmp_path, monkeypatch):
    arguments = takes, FEATURES["plain"], body, tmp_path / "store"
    first = prepare(*arguments).recordings[0]["hubert"]
    monkeypatch.setattr(Loud, "version", 2)
    made, store = written(tmp_path / "store", lambda: prepare(*arguments))
    assert made == {"hubert"} and not torch.equal(store.recordings[0]["hubert"], first)


def test_a_mended_encoder_tries_again_what_it_failed_on(takes, body, tmp_path, monkeypatch):
    arguments = takes, FEATURES["plain"], body, tmp_path / "store"
    monkeypatch.setattr(Loud, "fails", True)
    assert not prepare(*arguments).recordings
    monkeypatch.setattr(Loud, "fails", False)
    assert not prepare(*arguments).recordings, "nothing says that it was mended"
    monkeypatch.setattr(Loud, "version", 2)
    assert len(prepare(*arguments).recordings) == 3 and not list((tmp_path / "store").glob("*bad*"))


def test_a_changed_speaker_or_reader_is_noticed(takes, body, tmp_path):
    arguments = takes, FEATURES["plain"], body, tmp_path / "store"
    prepare(*arguments)
    takes.speaker = 8
    made, store = written(tmp_path / "store", lambda: prepare(*arguments))
    assert made == set() and store.speakers == [8]
    assert json.loads((tmp_path / "store" / "take.0.record.json").read_text())["speaker"] == 8
    takes.read = lambda entry, read=takes.read: Recording(**vars(read(entry)) | {"words": [Word("no", 0.0, 1.0)]})
    assert prepare(*arguments).recordings[0].words == [("hello", 0.5, 1.0)], "the reader says nothing"
    takes.version = 2
    made, store = written(tmp_path / "store", lambda: prepare(*arguments))
    assert made == {"words", "sentence"} and store.recordings[0].words == [("no", 0.0, 1.0)]


def test_a_file_of_the_same_size_and_time_is_another_one(takes, body, tmp_path):
    arguments = takes, FEATURES["plain"], body, tmp_path / "store"
    prepare(*arguments)
    path = takes.path("take.0")
    found = path.stat()
    takes.change("take.0", words="jello")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_size == found.st_size and path.stat().st_mtime_ns == found.st_mtime_ns
    assert prepare(*arguments).recordings[0].words[0][0] == "jello"


def test_files_that_change_while_they_are_read_are_read_again(takes, body, tmp_path, monkeypatch):
    reads, read = [], takes.read

    def slow(entry):
        reads.append(entry.id)
        recording = read(entry)
        if reads.count(entry.id) < changes:
            takes.change(entry.id, words="x" * len(reads))
        return recording

    takes.read, changes = slow, 2
    store = prepare(takes, FEATURES["plain"], body, tmp_path / "store")
    assert [one.words[0][0] for one in store.recordings] == ["x", "xxx", "xxxxx"] and len(reads) == 6
    reads.clear()
    changes = 9
    store = prepare(takes, FEATURES["plain"], body, tmp_path / "other")
    assert not store.recordings and "change while they are read" in (tmp_path / "other" / "quarantine.csv").read_text()


def test_another_model_under_the_same_name_is_noticed(takes, body, tmp_path):
    path = tmp_path / "vocab.json"
    own = ["features.slots.words.encoder=vocabulary_ids", f"+features.slots.words.path={path}"]
    arguments = takes, compose("train", *OWN, *own).features, body, tmp_path / "store"
    path.write_text(json.dumps(["", "", "", "", "hello"]))
    assert prepare(*arguments).recordings[0]["words"].unique().tolist() == [0, 4]
    path.write_text(json.dumps(["", "", "", "hello", ""]))
    made, store = written(tmp_path / "store", lambda: prepare(*arguments))
    assert made == {"words"} and store.recordings[0]["words"].unique().tolist() == [0, 3]
    os.utime(path)
    assert written(tmp_path / "store", lambda: prepare(*arguments))[0] == set(), "the same model, touched"
    moved = compose(
        "train", *OWN, own[0], f"+features.slots.words.path={path.rename(tmp_path / 'moved.json')}"
    ).features
    made, store = written(tmp_path / "store", lambda: prepare(takes, moved, body, tmp_path / "store"))
    assert made == set(), "the same model, elsewhere"
    made, store = written(tmp_path / "store", lambda: prepare(*arguments))
    assert made == set() and len(store.recordings) == 3, "a store can be opened where its models are not"


def test_what_an_encoder_does_to_its_sound_stays_its_own(takes, body, tmp_path):
    features = compose("train", *OWN, "features.slots.rhythm.encoder=takes:Loud").features
    one = prepare(takes, features, body, tmp_path / "store").recordings[0]
    assert torch.equal(one["rhythm"][:, 0], one["hubert"][:, 0])


def test_an_encoder_that_cannot_be_built_blames_no_recording(takes, body, tmp_path):
    features = compose("train", *OWN, "features.slots.words.encoder=vocabulary_ids",
                       "+features.slots.words.path=nowhere.json").features  # fmt: skip
    with pytest.raises(SemTalkError, match="nowhere.json: no such word list"):
        prepare(takes, features, body, tmp_path / "store")
    assert not list((tmp_path / "store").glob("*bad*"))


def test_an_open_store_refuses_a_file_that_was_prepared_anew(takes, body, tmp_path):
    store = prepare(takes, FEATURES["plain"], body, tmp_path / "store")
    kept = store.recordings[0]["sentence"]
    prepare(takes, FEATURES["stride"], body, tmp_path / "store")
    assert store.recordings[0]["sentence"] is kept and len(store.recordings[0]["hubert"]) == 90
    with pytest.raises(SemTalkError, match="take.1.sentence.safetensors: it was prepared anew since"):
        store.recordings[1]["sentence"]


def test_two_preparations_with_other_settings_do_not_pass_for_one(takes, body, tmp_path, monkeypatch):
    turn = Preparation._turn

    def turns(self, entry, *arguments):
        done = turn(self, entry, *arguments)
        with monkeypatch.context() as patch:
            patch.setattr(Preparation, "_turn", turn)
            if entry.id == "take.2":
                prepare(takes, FEATURES["wide"], body, tmp_path / "store")
        return done

    monkeypatch.setattr(Preparation, "_turn", turns)
    with pytest.raises(SemTalkError, match="take.0: its files, or those in .*features.name"):
        prepare(takes, FEATURES["plain"], body, tmp_path / "store")


def test_the_mean_speed_is_of_the_motions_that_are_there(takes, body, tmp_path):
    arguments = takes, FEATURES["plain"], body, tmp_path / "store"
    speeds = []
    for seed in (0, 0, 5):
        takes.change("take.0", motion=seed)
        speeds.append(mean_joint_speed(prepare(*arguments), takes, body)[0])
    assert np.array_equal(speeds[0], speeds[1]) and not np.array_equal(speeds[1], speeds[2])


@pytest.mark.parametrize("name", HEARD)
def test_what_an_encoder_reads_is_noted_however_it_reads_it(name):
    def utterance():
        return WatchedUtterance(np.zeros(16000, np.float32), [], 30, "anger")

    assert utterance().read == set()
    one = utterance()
    getattr(one, name)
    assert one.read == {name}
    for whole in (vars, repr):
        one = utterance()
        whole(one)
        assert name in one.read
    one = utterance()
    one.words_between(0.0, 1.0)
    assert one.read == {"words"}


@pytest.mark.parametrize("stride", [20, 40, 60])
def test_windows_of_any_stride_take_their_own_rows(takes, body, tmp_path, stride):
    takes.change("take.0", frames=200)
    store = prepare(takes, FEATURES["plain"], body, tmp_path / "store")
    one = store.recordings[0]
    one.tensors["sentence"] = torch.arange(10.0)[:, None]
    rows = WindowDataset(store, [one], stride).__getitems__(list(range((200 - 64) // stride + 1)))["sentence"][:, 0]
    assert rows.tolist() == [start // 20 for start in range(0, 200 - 64 + 1, stride)]
    with pytest.raises(SemTalkError, match="stride=30: .* every 20 frames; choose a multiple"):
        WindowDataset(store, [one], 30)
