"""A run's motion for the GENEA leaderboard: whole test recordings, from training data alone."""

import dataclasses

import numpy as np
import pytest
import torch
from conftest import run_command

from semtalk.data.open import open_corpus, open_store
from semtalk.errors import SemTalkError
from semtalk.evaluation.genea import Exporter, draws_numbers, export_takes, training_starts
from semtalk.evaluation.takes import TakeMaker
from semtalk.generation.load import load_generator
from semtalk.models.decoding import LIKELIEST, Decoding
from semtalk.motion.io import load_motion
from semtalk.settings import compose

NOTHING_DRAWN = ["decoding.face=likeliest", "decoding.body=likeliest", "decoding.sparse=likeliest"]


def test_a_run_writes_five_samples_of_every_test_recording_and_nothing_is_wrong_with_them(smoke, tmp_path):
    folder, words = smoke
    given = [f"ckpt={folder}/runs/smoke", *words]
    run_command("scripts/export_genea.py", *given, f"out={tmp_path}/a")
    corpus = open_corpus(compose("genea", *words).data)
    entries = [entry for entry in corpus.entries() if entry.split == "test"]
    names = {f"{entry.id}_sample_{sample}.npz" for entry in entries for sample in range(1, 6)}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names | {"environment.json"} and len(names) == 20
    for entry in entries:
        truth = corpus.read(entry).motion
        made = [load_motion(tmp_path / "a" / f"{entry.id}_sample_{sample}.npz") for sample in range(1, 6)]
        assert all(len(motion) == len(truth) and np.array_equal(motion.betas, truth.betas) for motion in made)
        assert all((a.poses != b.poses).any() for number, a in enumerate(made) for b in made[:number])
    said = run_command("scripts/export_genea.py", *given, f"check={tmp_path}/a")
    assert "nothing is wrong; its run's training lists too." in said.stdout

    (tmp_path / "a" / f"{entries[0].id}_sample_3.npz").rename(tmp_path / "a" / "other.npz")
    said = run_command("scripts/export_genea.py", *given, f"out={tmp_path}/a", check=False)
    assert said.returncode == 1 and "1 other motion files, as other.npz; give another out=DIR" in said.stderr
    said = run_command("scripts/export_genea.py", *given, f"check={tmp_path}/a", check=False)
    assert said.returncode == 1 and len([line for line in said.stdout.splitlines() if line.strip()]) == 2


def test_a_run_that_draws_nothing_writes_one_file_of_each(smoke, tmp_path):
    folder, words = smoke
    run_command("scripts/export_genea.py", *words, *NOTHING_DRAWN, "begin=take", f"out={tmp_path}")
    found = sorted(path.name for path in tmp_path.glob("*.npz"))
    assert found == ["1_ada_0_5_5.npz", "1_ada_0_66_66.npz", "2_ben_0_5_5.npz", "2_ben_0_66_66.npz"]


@pytest.fixture
def prepared(smoke, body):
    """Store of the smoke run, and what exports from it."""
    folder, words = smoke
    settings = compose("genea", *words)
    store = open_store(settings, open_corpus(settings.data), body)
    run = load_generator(folder / "runs" / "smoke")
    return store, Exporter(run.generator, run.facts.speakers, run.features.stride)


def without_motion(recordings):
    """Recordings whose own motion is not a number; what is said stays."""
    keys = ("rotation", "expressions", "trans", "root", "contact")
    return [
        dataclasses.replace(one, tensors={key: torch.full_like(one[key], torch.nan) for key in keys})
        for one in recordings
    ]


@pytest.mark.parametrize("begin", ["mean", "take"])
def test_nothing_of_a_test_recordings_motion_reaches_the_networks(prepared, tmp_path, begin):
    store, exporter = prepared
    recordings = store.split("test")[:1]
    starts = training_starts(store, recordings) if begin == "take" else {}
    exporter = dataclasses.replace(exporter, starts=starts)
    export_takes(exporter, recordings, tmp_path / "own", samples=2)
    export_takes(exporter, without_motion(recordings), tmp_path / "none", samples=2)
    for name in (f"{recordings[0].id}_sample_{sample}.npz" for sample in (1, 2)):
        own, none = (load_motion(tmp_path / kind / name) for kind in ("own", "none"))
        assert np.array_equal(own.poses, none.poses) and np.array_equal(own.trans, none.trans)


def test_takes_begin_with_the_mean_pose_or_with_their_speakers_first_training_take(prepared):
    store, exporter = prepared
    recordings = store.split("test")
    starts = training_starts(store, recordings)
    for recording in recordings:
        speaker = recording.info["speaker"]
        training = [one for one in store.split("train") if one.info["speaker"] == speaker]
        assert starts[speaker].id == training[0].id
        mean = exporter.seed_of(recording)
        assert all(map(torch.equal, mean, exporter.generator.neutral_seed(1)))
        begun = dataclasses.replace(exporter, starts=starts).seed_of(recording)
        maker = TakeMaker(exporter.generator, exporter.speakers, exporter.stride)
        assert all(map(torch.equal, begun, maker.seed_of(training[0])))
        assert not torch.equal(begun[0], maker.seed_of(recording)[0])
    with pytest.raises(SemTalkError, match=r"no training take of the speakers \[9\]"):
        training_starts(store, [dataclasses.replace(recordings[0], info=recordings[0].info | {"speaker": 9})])


def test_all_frames_are_written_of_takes_of_any_length(prepared, tmp_path):
    store, exporter = prepared
    long, short = store.split("test")[:2]
    slots = ("rhythm", "hubert", "words", "sentence", "emotion")
    cut = {slot: short[slot][: 37 if slot in slots[:3] else 2] for slot in slots}
    short = dataclasses.replace(short, info=short.info | {"frames": 37}, tensors=cut)
    export_takes(exporter, [long, short], tmp_path, samples=1)
    assert len(load_motion(tmp_path / f"{short.id}_sample_1.npz")) == 37
    assert len(load_motion(tmp_path / f"{long.id}_sample_1.npz")) == long.frames == 240


@pytest.mark.parametrize(
    ("decoding", "gate", "sparse", "drawn"),
    [
        (LIKELIEST, "learned", True, False),
        (Decoding(face="expected"), "always", True, False),
        (Decoding(face="coherent"), "learned", False, True),
        (Decoding(body="coherent"), "never", True, True),
        (Decoding(sparse="coherent"), "learned", True, True),
        (Decoding(sparse="coherent"), "never", True, False),
        (Decoding(sparse="coherent"), "learned", False, False),
        (LIKELIEST, "random_scaled", True, True),
        (LIKELIEST, "random", False, False),
    ],
)
def test_a_system_is_stochastic_where_anything_is_drawn(decoding, gate, sparse, drawn):
    class Generator:
        pass

    generator = Generator()
    generator.decoding, generator.sparse = decoding, object() if sparse else None
    assert draws_numbers(generator, gate) is drawn


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ckpt=/no/run"], "there is no checkpoint of 'base' here"),
        (["check=/nowhere", "segments=x.csv", "motions=/no", "audio=/no"], "check and segments: give one of them"),
        (["motions=/nowhere"], "motions and segments go together"),
        (["segments=x.csv", "motions=/nowhere"], "audio and segments go together"),
        (["begin=own"], "begin=own: choose one of mean, take"),
        (["runs/one"], "give it as key=value, as in ckpt=runs/one"),
    ],
)
def test_what_is_asked_wrongly_is_one_sentence(words, says):
    said = run_command("scripts/export_genea.py", *words, check=False)
    assert said.returncode == 1 and says in said.stderr
