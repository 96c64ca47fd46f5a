"""What a large corpus needs: a store is opened by one file, read piece by piece, and let go of again."""

import os
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from takes import FEATURES, Takes

from semtalk.data import index, mapped
from semtalk.data.mapped import MappedFile, read_head
from semtalk.data.preparation import prepare
from semtalk.data.store import FILES, StoredRecording, in_turn, mean_joint_speed, sampled, speed_of_joints
from semtalk.data.windows import WindowDataset
from semtalk.errors import SemTalkError
from semtalk.tasks.build import channel_statistics, feature_statistics, training_channels


@pytest.fixture
def known(tmp_path, body, monkeypatch):
    """A prepared corpus, and what opening its store takes; files count as settled at once."""
    monkeypatch.setattr(index, "SETTLED", -(10**12))
    takes, read = Takes(tmp_path / "takes"), []
    for name in ("read_head", "read_kept"):
        called = getattr(index, name)
        monkeypatch.setattr(index, name, lambda path, called=called: read.append(path.name) or called(path))

    def opened():
        read.clear()
        store = prepare(takes, FEATURES["plain"], body, tmp_path / "store")
        return store, list(read)

    opened(), opened()
    return SimpleNamespace(opened=opened, takes=takes, folder=tmp_path / "store")


def test_a_store_is_opened_by_its_index_alone(known):
    store, read = known.opened()
    assert read == ["index.json"] and len(store.recordings) == 3
    known.takes.change("take.3", motion=1, wave=2)
    known.opened()
    more, read = known.opened()
    assert read == ["index.json"] and len(more.recordings) == 4, "as many files for more recordings"
    assert [one.info for one in store.recordings] == [one.info for one in more.recordings][:3]


def test_the_index_is_believed_for_as_long_as_the_files_stay(known):
    path = known.folder / "take.1.hubert.safetensors"
    times = path.stat()
    tensors = {"hubert": load_file(path)["hubert"] + 1}
    save_file(tensors, path.with_suffix(".other"), {"origin": "{" + read_head(path)["origin"][1:]})
    os.utime(path.with_suffix(".other"), ns=(times.st_atime_ns, times.st_mtime_ns))
    path.with_suffix(".other").rename(path)
    assert path.stat().st_size == times.st_size and path.stat().st_mtime_ns == times.st_mtime_ns
    assert known.opened()[1] == ["index.json", path.name], "another file of the same size and time"
    (known.folder / "index.json").write_text('{"take.1.hubert.safetensors": 3, "take.0.record.json": [1]}')
    store, read = known.opened()
    assert len(store.recordings) == 3 and len(read) == 1 + 3 * (1 + len(FILES)), "an index of nonsense is made anew"
    copy = known.folder.with_name("copy")
    shutil.copytree(known.folder, copy)
    shutil.rmtree(known.folder)
    copy.rename(known.folder)
    assert len(known.opened()[1]) == 1 + 3 * (1 + len(FILES)), "a copy's files are others"


def test_what_was_written_a_moment_ago_is_looked_at_again(known, monkeypatch):
    monkeypatch.setattr(index, "SETTLED", 10**18)
    (known.folder / "index.json").unlink()
    for _ in range(2):
        assert len(known.opened()[1]) == 1 + 3 * (1 + len(FILES)) and not (known.folder / "index.json").is_file()


def test_a_store_that_cannot_be_written_to_is_opened(known, monkeypatch):
    def refuse(*_):
        raise PermissionError

    (known.folder / "index.json").unlink()
    monkeypatch.setattr(index, "write_json", refuse)
    assert len(known.opened()[0].recordings) == 3


def test_a_mapped_file_holds_what_was_saved(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {
        "a": torch.randn(5, 3, 2), "b": torch.arange(7), "c": torch.randn(4).half(), "d": torch.zeros(0, 3),
        "e": torch.tensor(2.5, dtype=torch.float64), "f": torch.tensor([True, False]),
    }  # fmt: skip
    save_file(tensors, path, {"origin": "here"})
    file = MappedFile(path)
    for _ in range(2):
        assert all(torch.equal(file.tensors[key], value) for key, value in tensors.items())
        assert {key: value.dtype for key, value in file.tensors.items()} == {k: v.dtype for k, v in tensors.items()}
        file.let_go()
    assert file.metadata == {"origin": "here"}
    whole = path.read_bytes()
    for bad in (b"", whole[:5], whole[:-1], b"\xff" * len(whole), whole[:8] + b"[" + whole[9:]):
        path.write_bytes(bad)
        with pytest.raises(SemTalkError, match="a.safetensors: missing or damaged"):
            MappedFile(path)
    path.unlink()
    with pytest.raises(SemTalkError, match="missing or damaged"):
        MappedFile(path)


def resident(path) -> int:
    """KiB of a file that are in this process's memory."""
    with open("/proc/self/smaps") as file:
        lines = iter(file.read().splitlines())
    total, own = 0, False
    for line in lines:
        if line.split()[0][-1] != ":":
            own = line.endswith(str(path))
        elif own and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_lets_go_of_what_was_read(store):
    one = StoredRecording(store.folder, store.recordings[0].info)
    path = store.folder / f"{one.id}.motion.safetensors"
    before = resident(path)
    for recording in in_turn([one]):
        whole = recording["rotation"].sum()
        assert resident(path) > before + 100
    assert resident(path) == before and one["rotation"].sum() == whole
    assert one.files.keys() == {"motion"}, "six tensors, one mapping"
    windows = WindowDataset(store, [one], 20)
    kept = windows.__getitems__([0, 1])
    assert resident(path) > before
    windows.most = 0
    for key, value in windows.__getitems__([0, 1]).items():
        assert torch.equal(kept[key], value)
    assert resident(path) == before


def test_loading_goes_on_to_let_go_once_a_gibibyte_is_mapped(store, monkeypatch):
    now, let = [5 * mapped.MAPPED], []
    monkeypatch.setattr("semtalk.data.windows.mapped_bytes", lambda: now[0])
    monkeypatch.setattr(StoredRecording, "let_go", lambda self: let.append(self.id))
    windows = WindowDataset(store, store.split("train"), 20)
    now[0] += mapped.MAPPED
    windows.__getitems__([0])
    assert not let
    now[0] += 1
    windows.__getitems__([0])
    assert let == [one.id for one in windows.recordings]


@pytest.mark.parametrize(("takes", "frames", "kept"), [(9, 900, 9), (9, 899, 5), (9, 300, 3), (9, 1, 1), (1, 10**6, 1)])
def test_statistics_are_of_takes_that_stand_for_a_large_split(tmp_path, takes, frames, kept):
    recordings = [StoredRecording(tmp_path, {"id": str(number), "frames": 100}) for number in range(takes)]
    found = sampled(recordings, most=frames)
    assert len(found) == kept and found == recordings[:: -(-takes // kept)]


def test_statistics_read_no_more_than_those_takes_one_at_a_time(store, monkeypatch):
    monkeypatch.setattr("semtalk.tasks.build.sampled", lambda recordings: sampled(recordings, most=400))
    read, let = [], []
    get = StoredRecording.__getitem__

    def look(self, key):
        assert len(let) == len(set(read) - {self.id}), "the one before is let go of"
        read.append(self.id)
        return get(self, key)

    monkeypatch.setattr(StoredRecording, "__getitem__", look)
    monkeypatch.setattr(StoredRecording, "let_go", lambda self: let.append(self.id))
    wanted = [one.id for one in sampled(store.split("train"), most=400)]
    assert 1 < len(wanted) < len(store.split("train"))
    for compute in (
        lambda: feature_statistics(store, "hubert"),
        lambda: channel_statistics(store, "upper"),
        lambda: training_channels(store, "face"),
    ):
        compute()
        assert list(dict.fromkeys(read)) == let == wanted
        read.clear(), let.clear()


def test_the_speed_of_joints_stands_in_the_index(known, body, tmp_path, monkeypatch):
    store, _ = known.opened()
    wanted = speed_of_joints(store.recordings, body)
    monkeypatch.setattr("semtalk.data.store.speed_of_joints", None)
    assert np.allclose(mean_joint_speed(store, known.takes, body)[0], wanted, rtol=1e-5)
    monkeypatch.undo()
    path = known.folder / "take.0.motion.safetensors"
    tensors, origin = load_file(path), read_head(path)["origin"]
    tensors.pop("speed")
    save_file(tensors, path, {"origin": origin})
    (known.folder / "mean_joint_speed.json").unlink()
    old = prepare(known.takes, FEATURES["plain"], body, known.folder)
    assert old.recordings[0].info["speed"] is None and np.isfinite(wanted).all()
    assert np.allclose(mean_joint_speed(old, known.takes, body)[0], wanted), (
        "computed where an earlier version wrote it"
    )
