"""Preparation: several processes, shards, kills, and recordings that are bad in every way a user meets."""

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, THREADS, run_command, run_program

from semtalk.data.beat2 import FOLDER, BEAT2Corpus
from semtalk.data.preparation import parse_shard, prepare
from semtalk.errors import SemTalkError
from semtalk.settings import compose


@pytest.fixture
def copied(corpus, tmp_path):
    """A copy of the corpus, in a folder with blanks and umlauts, that a test may spoil."""
    shutil.copytree(corpus.root, tmp_path / "für alle" / FOLDER)
    return tmp_path / "für alle"


def arguments(copied, store) -> list[str]:
    return ["data=beat2", f"data.root='{copied}'", "data.speakers=all", f"data_dir='{store}'"]


def files_of(store) -> dict:
    return {path.name: path.read_bytes() for path in sorted(store.rglob("*.safetensors"))}


def test_shards_and_processes_share_one_store(copied, tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    run_program("scripts/prepare.py", *arguments(copied, alone))
    options = {"cwd": ROOT, "env": os.environ | {"OMP_NUM_THREADS": THREADS}, "stdout": subprocess.DEVNULL}
    command = [sys.executable, "scripts/prepare.py", *arguments(copied, shared)]
    processes = [subprocess.Popen([*command, *extra], **options) for extra in (["shard=2/2"], [])]
    assert [process.wait() for process in processes] == [0, 0]
    assert files_of(alone) == files_of(shared) and len(files_of(shared)) == 12 * 8
    assert not list(shared.rglob("*.lock")) and not list(shared.rglob("*tmp*"))


@pytest.mark.slow
def test_shards_through_a_hydra_launcher_whose_workers_are_killed_make_the_store_of_one_process(copied, tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    run_program("scripts/prepare.py", *arguments(copied, alone))
    words = ["scripts/prepare.py", "-m", "shard=1/2,2/2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
             *arguments(copied, shared), f"runs_dir={tmp_path}/runs"]  # fmt: skip
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while not list(shared.rglob("*.record.json")) and process.poll() is None:
            time.sleep(0.05)
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == process.pid:
                    os.kill(int(folder.name), signal.SIGKILL)
    assert process.returncode != 0 and len(files_of(shared)) < 12 * 8
    run_program(*words)
    assert files_of(alone) == files_of(shared) and len(files_of(shared)) == 12 * 8


def test_a_shard_is_one_of_how_many():
    for shard in ("0/2", "3/2", "a/b", "2"):
        with pytest.raises(SemTalkError, match="give i/n"):
            parse_shard(shard)


def test_a_killed_preparation_goes_on(copied, tmp_path):
    store = tmp_path / "store"
    process = subprocess.Popen(
        [sys.executable, "scripts/prepare.py", *arguments(copied, store)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not list(store.rglob("*.record.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in store.rglob("*.record.json")}
    assert kept
    run_command("scripts/prepare.py", *arguments(copied, store))
    assert len(list(store.rglob("*.record.json"))) == 12 and not list(store.rglob("*tmp*"))
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


def spoil_npz(root, name, **changes):
    path = root / FOLDER / "smplxflame_30" / f"{name}.npz"
    with np.load(path) as file:
        content = {key: file[key] for key in file.files}
    for key, value in changes.items():
        content[key] = value(content[key]) if callable(value) else value
        if value is None:
            del content[key]
    np.savez(path, **content)


def nan_in(poses):
    poses[3, 5] = np.nan
    return poses


def path_of(root, kind, name):
    suffix = {"smplxflame_30": "npz", "wave16k": "wav", "textgrid": "TextGrid", "sem": "txt"}[kind]
    return root / FOLDER / kind / f"{name}.{suffix}"


def write(kind, content):
    def change(root, name):
        path = path_of(root, kind, name)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def remove(kind):
    return lambda root, name: path_of(root, kind, name).unlink()


def wave(samples):
    return lambda root, name: soundfile.write(path_of(root, "wave16k", name), samples, 16000)


def cut(kind, size):
    def change(root, name):
        path = path_of(root, kind, name)
        path.write_bytes(path.read_bytes()[:size])

    return change


def overlapping(root, name):
    """Two words at once, which a program that aligns badly writes."""
    path = path_of(root, "textgrid", name)
    words = [("one", 0.0, 4.0), ("two", 1.0, 2.0)]
    rows = "\n".join(f'{a}\n{b}\n"{text}"' for text, a, b in words)
    head = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n6\n<exists>\n1\n"IntervalTier"\n"words"\n0\n6\n2\n'
    )
    path.write_text(f"{head}{rows}\n")


def points_only(root, name):
    """A tier of points where the words should be."""
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n6\n<exists>\n1\n'
    path_of(root, "textgrid", name).write_text(head + '"TextTier"\n"beats"\n0\n6\n1\n1.5\n"x"\n')


def no_frames(root, name):
    empty = {"poses": np.zeros((0, 165)), "expressions": np.zeros((0, 100)), "trans": np.zeros((0, 3))}
    spoil_npz(root, name, **empty)


def foreign(root, name):
    spoil_npz(root, name, poses=None, pose_body=np.zeros((256, 165)))


BAD = {
    "no wav": (remove("wave16k"), "no such sound file"),
    "no npz": (remove("smplxflame_30"), "no such motion file"),
    "no TextGrid": (remove("textgrid"), "no such TextGrid"),
    "no sem": (remove("sem"), "no such semantic annotation"),
    "empty wav": (write("wave16k", b""), "is empty"),
    "cut wav": (cut("wave16k", 9000), "cut short"),
    "text called wav": (write("wave16k", "this is a text\n" * 30), "not a readable sound file"),
    "cut npz": (cut("smplxflame_30", 3000), "not a readable npz"),
    "NaN poses": (lambda r, n: spoil_npz(r, n, poses=nan_in), "poses holds NaN"),
    "SMPL-H poses": (lambda r, n: spoil_npz(r, n, poses=lambda p: p[:, :156]), r"poses has shape \(180, 156\)"),
    "foreign schema": (foreign, "it lacks poses and holds"),
    "objects": (lambda r, n: spoil_npz(r, n, poses=np.array([{}], dtype=object)), "not a readable npz of plain arrays"),
    "50 expressions": (lambda r, n: spoil_npz(r, n, expressions=lambda e: e[:, :50]), r"has shape \(180, 50\)"),
    "no frames": (no_frames, "no frame"),
    "wrong rate": (lambda r, n: spoil_npz(r, n, mocap_frame_rate=60), "60 frames a second"),
    "long wav": (wave(0.1 * np.ones(16000 * 9)), "9.00 s of sound for 6.00 s of motion"),
    "overlapping words": (overlapping, "TextGrid"),
    "no words tier": (points_only, "is no interval tier of words"),
    "text for a number": (write("sem", "beat\t0.0\tsoon\t1.0\t0.5\n"), "line 1: expected name, start, end"),
    "few columns": (write("sem", "beat\t0.0\t1.0\n"), "line 1: expected name, start, end"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_recording_is_named_with_its_reason(copied, body, tmp_path, case):
    spoil, says = BAD[case]
    corpus = BEAT2Corpus(str(copied))
    entry = corpus.entries()[0]
    spoil(copied, entry.id)
    with pytest.raises(SemTalkError, match=says) as error:
        corpus.read(entry)
    assert entry.id in str(error.value) and "für alle" in str(error.value)


@pytest.mark.parametrize("frames", [1, 63])
def test_short_takes_are_kept_and_have_no_window(copied, body, tmp_path, frames):
    corpus = BEAT2Corpus(str(copied))
    entry = corpus.entries()[0]
    spoil_npz(copied, entry.id, **{key: lambda a: a[:frames] for key in ("poses", "expressions", "trans")})
    soundfile.write(path_of(copied, "wave16k", entry.id), np.zeros(16000 * frames // 30), 16000)
    store = prepare(corpus, compose().features, body, tmp_path / "store")
    assert len(store.recordings) == 12 and store.recordings[0].frames == frames
    assert store.recordings[0]["hubert"].shape == (frames, 48)


def test_a_corpus_with_bad_takes_is_prepared_without_them(copied, tmp_path):
    names = [entry.id for entry in BEAT2Corpus(str(copied)).entries()]
    for name, case in zip(names, ("empty wav", "NaN poses", "no sem"), strict=False):
        BAD[case][0](copied, name)
    split = copied / FOLDER / "train_test_split.csv"
    split.write_text(split.read_text() + "1_ada_0_9_a,train\n")  # a take that does not exist; its last field a letter
    said = run_command("scripts/prepare.py", *arguments(copied, tmp_path / "store"), "report=true").stdout
    assert "9 of 13 recordings" in said
    listing = next((tmp_path / "store").rglob("quarantine.csv"))
    rows = list(csv.DictReader(listing.open(encoding="utf-8")))
    assert [row["id"] for row in rows] == [*names[:3], "1_ada_0_9_a"]
    assert "empty" in rows[0]["reason"] and "NaN" in rows[1]["reason"] and "no such motion" in rows[3]["reason"]
    strict = run_command("scripts/prepare.py", *arguments(copied, tmp_path / "strict"), "strict=true", check=False)
    assert strict.returncode == 1 and names[0] in strict.stderr and "Traceback" not in strict.stderr
    shutil.copy(path_of(copied, "sem", names[4]), path_of(copied, "sem", names[2]))
    again = run_command("scripts/prepare.py", *arguments(copied, tmp_path / "store")).stdout
    assert "10 of 13 recordings" in again, "what was mended is taken in"


def test_duplicate_ids_and_empty_splits(copied, body, tmp_path):
    split = copied / FOLDER / "train_test_split.csv"
    text = split.read_text()
    split.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(SemTalkError, match="is listed twice"):
        BEAT2Corpus(str(copied)).entries()
    split.write_text(text.replace(",val", ",train"))
    store = prepare(BEAT2Corpus(str(copied)), compose().features, body, tmp_path / "store")
    with pytest.raises(SemTalkError, match="split 'val' is empty"):
        store.split("val")


def test_a_full_or_forbidden_disk_is_one_sentence(copied, tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    result = run_command("scripts/prepare.py", *arguments(copied, tmp_path / "store"), check=False)
    assert result.returncode == 1 and "Traceback" not in result.stderr and "store" in result.stderr
    if os.path.exists("/dev/full"):
        from semtalk.files import atomic_write

        with pytest.raises(OSError):
            atomic_write(tmp_path / "a.npz", lambda path: Path("/dev/full").write_text("x" * 100000))
        assert not list(tmp_path.glob("*.npz")) and not list(tmp_path.glob(".a*"))
