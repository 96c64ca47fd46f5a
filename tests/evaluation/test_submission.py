"""What is wrong with a folder for the GENEA leaderboard, and with what its run was trained on."""

import types
from pathlib import Path

import numpy as np
import pytest
from conftest import run_command

from semtalk.data.recording import Entry
from semtalk.evaluation import genea, submission
from semtalk.evaluation.submission import problems
from semtalk.motion.io import Motion, save_motion
from semtalk.tasks.phases import PHASES

FIRST, SECOND = "1_ada_0_5_5", "1_ada_0_66_66"


def motion_beside(truth: Motion, seed: int) -> Motion:
    rng = np.random.default_rng(seed)
    poses = truth.poses + 0.05 * rng.normal(size=truth.poses.shape)
    return Motion(poses, truth.expressions, truth.trans, truth.betas)


@pytest.fixture
def folder(corpus, tmp_path) -> Path:
    """A folder with five samples of each test recording, as it should be."""
    for entry in corpus.entries():
        if entry.split == "test":
            for sample in range(1, 6):
                made = motion_beside(corpus.read(entry).motion, sample)
                save_motion(tmp_path / f"{entry.id}_sample_{sample}.npz", made)
    return tmp_path


def rewrite(path: Path, **changes) -> None:
    """Change arrays of an npz; none leaves one out."""
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def cut(folder: Path) -> None:
    path = folder / f"{FIRST}_sample_2.npz"
    with np.load(path) as file:
        shorter = {key: file[key][:100] for key in ("poses", "expressions", "trans")}
    rewrite(path, **shorter)


def not_a_number(folder: Path) -> None:
    path = folder / f"{FIRST}_sample_1.npz"
    with np.load(path) as file:
        poses = file["poses"].copy()
    poses[7, 3] = np.nan
    rewrite(path, poses=poses)


def begun_with_the_truth(folder: Path, corpus) -> None:
    truth = next(corpus.read(entry).motion for entry in corpus.entries() if entry.id == FIRST)
    made = motion_beside(truth, 9)
    made.poses[:4] = truth.poses[:4] + 1e-4
    save_motion(folder / f"{FIRST}_sample_3.npz", made)


WRONG = {
    "missing": (lambda f, c: [p.unlink() for p in f.glob(f"{SECOND}*")], [f"{SECOND}: there is no motion file"]),
    "unknown": (
        lambda f, c: (f / f"{FIRST}_sample_1.npz").rename(f / "1_ada_0_1_1_sample_1.npz"),
        ["1_ada_0_1_1_sample_1.npz: 1_ada_0_1_1 is no recording of the test split.", f"{FIRST}: samples 2, 3, 4, 5;"],
    ),
    "too many": (
        lambda f, c: save_motion(f / f"{FIRST}_sample_6.npz", motion_beside(c.read(c.entries()[0]).motion, 6)),
        [f"{FIRST}: samples 1, 2, 3, 4, 5, 6; expected 5"],
    ),
    "counted from 0": (
        lambda f, c: (f / f"{FIRST}_sample_5.npz").rename(f / f"{FIRST}_sample_0.npz"),
        [f"{FIRST}_sample_0.npz: {FIRST}_sample_0 is no recording", f"{FIRST}: samples 1, 2, 3, 4;"],
    ),
    "both kinds": (
        lambda f, c: [
            (f / f"{FIRST}_sample_1.npz").rename(f / f"{FIRST}.npz"), *(p.unlink() for p in f.glob(f"{FIRST}_s*"))
        ],
        ["1 recordings have one file without a number, others have samples"],
    ),
    "a key": (
        lambda f, c: rewrite(f / f"{SECOND}_sample_4.npz", gender=None, model=None),
        [f"{SECOND}_sample_4.npz: it lacks gender, model."],
    ),
    "no poses": (lambda f, c: rewrite(f / f"{SECOND}_sample_4.npz", poses=None), ["it lacks poses and holds"]),
    "a rate": (
        lambda f, c: rewrite(f / f"{SECOND}_sample_4.npz", mocap_frame_rate=np.array(60)),
        ["60 frames a second, expected 30"],
    ),
    "a length": (lambda f, c: cut(f), [f"{FIRST}_sample_2.npz: 100 frames; the truth has 180."]),
    "NaN": (lambda f, c: not_a_number(f), ["poses holds NaN"]),
    "damaged": (lambda f, c: (f / f"{FIRST}_sample_1.npz").write_bytes(b"PK"), ["not a readable npz"]),
    "the same twice": (
        lambda f, c: (f / f"{FIRST}_sample_4.npz").write_bytes((f / f"{FIRST}_sample_2.npz").read_bytes()),
        [f"{FIRST}_sample_4.npz: the same motion as {FIRST}_sample_2.npz"],
    ),
    "its own start": (begun_with_the_truth, [f"{FIRST}_sample_3.npz: it begins with the truth's own frames"]),
}  # fmt: skip


def test_nothing_is_wrong_with_a_folder_that_is_as_it_should_be(folder, corpus):
    assert list(problems(folder, corpus, 5)) == []
    assert len(list(problems(folder, corpus, 4))) == 2, "of each of two recordings one sample too many"


def test_a_system_that_draws_nothing_has_one_file_of_each(folder, corpus):
    for name in (FIRST, SECOND):
        (folder / f"{name}_sample_1.npz").rename(folder / f"{name}.npz")
        for path in folder.glob(f"{name}_sample_*"):
            path.unlink()
    assert list(problems(folder, corpus, 5)) == []


@pytest.mark.parametrize("way", WRONG)
def test_everything_that_is_wrong_is_a_line(folder, corpus, way):
    damage, expected = WRONG[way]
    damage(folder, corpus)
    found = list(problems(folder, corpus, 5))
    assert len(found) == len(expected) and all(map(str.__contains__, found, expected)), found
    assert not any("\n" in line for line in found)


def test_a_truth_that_cannot_be_read_is_a_line_and_the_rest_is_looked_at(folder, corpus):
    class Damaged:
        entries = corpus.entries

        def read(self, entry):
            if entry.id == FIRST:
                raise submission.SemTalkError("wave.wav: damaged.")
            return corpus.read(entry)

    cut(folder)
    not_a_number(folder)
    found = list(problems(folder, Damaged(), 5))
    assert [line.split(":")[0] for line in found[:1]] == [FIRST] and "its truth cannot be read: wave.wav" in found[0]
    assert len(found) == 2 and "NaN" in found[1], "nothing is said of a length that is not known"


def test_the_command_lists_what_is_wrong_and_fails(folder, corpus):
    words = [f"data.root={Path(corpus.root).parent}", "data.seed=3", "data.speakers=1", "data.take_seconds=6.0"]
    said = run_command("scripts/export_genea.py", f"check={folder}", *words)
    assert "nothing is wrong" in said.stdout and "training lists were not looked at" in said.stdout
    cut(folder)
    not_a_number(folder)
    said = run_command("scripts/export_genea.py", f"check={folder}", *words, check=False)
    assert said.returncode == 1 and said.stderr == f"error: check={folder}: what is listed above is wrong (2)."
    assert len([line for line in said.stdout.splitlines() if line.strip()]) == 2
    said = run_command("scripts/export_genea.py", f"check={folder}/none", *words, check=False)
    assert said.returncode == 1 and "there is no folder with npz files here" in said.stderr


def stamps(monkeypatch, tmp_path, runs: dict[str, dict]) -> None:
    """Runs whose checkpoints say these configurations, but for phases of their own in ``phases``."""
    for name in runs:
        for phase in ("rvqvae_face", "base", "sparse", "fgd"):
            path = tmp_path / name / phase / "best.ckpt"
            path.parent.mkdir(parents=True)
            path.touch()

    def read(folder, phase):
        config = dict(runs[Path(folder).name])
        return types.SimpleNamespace(config=config | config.pop("phases", {}).get(phase, {}))

    assert "fgd" in PHASES
    monkeypatch.setattr(genea, "read_stamp", read)


def kept_apart(**splits: str):
    """A corpus whose recordings are of these splits."""
    entries = [Entry(name.removeprefix("r"), 1, split) for name, split in splits.items()]
    return types.SimpleNamespace(entries=lambda: entries)


def test_test_and_val_recordings_in_a_training_list_are_named(monkeypatch, tmp_path, corpus):
    data = {"reader": "sample", "root": str(Path(corpus.root).parent), "speakers": 1}
    stamps(monkeypatch, tmp_path, {"run": {"data": data}})
    official = kept_apart(r1_ada_0_1_1="test", r1_ada_0_2_2="val", r1_ada_0_3_3="train", r1_ada_0_5_5="test")
    assert list(genea.list_problems(tmp_path / "run", official)) == [
        f"{tmp_path}/run: the training list of rvqvae_face, base, sparse has 1_ada_0_1_1, of the test split.",
        f"{tmp_path}/run: the training list of rvqvae_face, base, sparse has 1_ada_0_2_2, of the val split.",
    ]
    assert not list(genea.list_problems(tmp_path / "run", corpus))


def test_lists_are_of_each_network_and_of_what_training_started_from(monkeypatch, tmp_path, corpus):
    root = str(Path(corpus.root).parent)
    beat2, show = {"reader": "beat2", "root": root, "speakers": [1]}, {"reader": "show", "root": "/nowhere"}
    first, second = tmp_path / "first", tmp_path / "second"
    stamps(monkeypatch, tmp_path, {
        "run": {"data": show, "init": str(first), "phases": {"base": {"data": beat2 | {"speakers": "all"}}}},
        "first": {"data": beat2, "init": str(second)},
        "second": {"data": show, "init": str(tmp_path / "run")},
    })  # fmt: skip
    found = list(genea.list_problems(tmp_path / "run", kept_apart(r1_ada_0_1_1="test")))
    assert [line.split(" has ")[0] for line in found] == [
        f"{tmp_path}/run: the training list of base",
        f"{first}: the training list of rvqvae_face, base, sparse",
    ]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "no corpus in BEAT2's layout"),
        ({"reader": "hostile.package:Reader", "root": "x"}, "no corpus in BEAT2's layout"),
        ({"reader": "sample", "root": "/nowhere/sample"}, "is this a BEAT2 folder?"),
    ],
)
def test_a_list_that_is_not_known_is_a_line_and_nothing_is_written_or_imported(monkeypatch, tmp_path, data, says):
    stamps(monkeypatch, tmp_path, {"run": {"data": data}})
    (line,) = genea.list_problems(tmp_path / "run", kept_apart(r1_ada_0_1_1="test"))
    assert "rvqvae_face, base, sparse is not known: " in line and says in line
    assert not Path("/nowhere").exists()


def test_a_run_that_is_no_longer_there_is_a_line(monkeypatch, tmp_path, corpus):
    data = {"reader": "sample", "root": str(Path(corpus.root).parent)}
    stamps(monkeypatch, tmp_path, {"run": {"data": data, "init": str(tmp_path / "gone")}})
    (line,) = genea.list_problems(tmp_path / "run", corpus)
    assert line.startswith(f"{tmp_path}/gone: the training list of its networks is not known")
