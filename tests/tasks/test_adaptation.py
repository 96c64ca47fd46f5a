"""Training that starts from a run of other speakers: rows are found by name, new ones begin as the mean."""

import csv
import math

import pytest
import torch
from conftest import run_command
from show_corpus import write_show
from tiny import TINY

from semtalk import compose
from semtalk.commands.train import _said_of_rows
from semtalk.data.store import Store
from semtalk.evaluation.result import Result
from semtalk.tasks import Facts, build_network, new_stamp
from semtalk.tasks.checkpoint import load_for_speakers, read_stamp

SHOW = ("data=show", "data.root=DIR")
SIZES = (
    "model.rvqvae.width=32", "model.rvqvae.latent=32", "model.rvqvae.codes=64", "model.network.width=32",
    "model.network.face_layers=1", "model.network.audio_layers=1", "recipe.base.batch_size=4",
)  # fmt: skip
"""Those of the smoke run."""
NAMES = ["chemistry", "conan", "oliver", "seth"]


def write_run(folder, speakers, *data):
    """A run of a base network with fresh weights; returns the network."""
    settings = compose("train", *TINY, *data)
    network = build_network("base", settings, len(speakers))
    checkpoint = {"state_dict": {f"network.{name}": value for name, value in network.state_dict().items()}}
    new_stamp("base", settings.plain(), Facts(speakers)).write(checkpoint)
    (folder / "base").mkdir(parents=True)
    torch.save(checkpoint, folder / "base" / "best.ckpt")
    return network


def tables(network):
    return [network.face.speaker.weight, network.body.speaker.weight]


def test_speakers_of_another_corpus_begin_as_the_mean_and_numbers_are_no_names(tmp_path):
    known = [1, 2, 3]
    network = write_run(tmp_path, known, "data=beat2", "data.root=DIR")
    store = Store(tmp_path, [], NAMES, 20)
    assert store.know_speakers(read_stamp(tmp_path, "base").facts.speakers) == NAMES
    assert store.speakers == [*known, *NAMES]
    own = load_for_speakers(tmp_path, "base", store.speakers)[0]
    for before, after in zip(tables(network), tables(own), strict=True):
        assert torch.equal(after[:3], before)
        assert all(torch.allclose(row, before.mean(dim=0)) for row in after[3:])


def test_known_names_keep_their_rows_in_any_order(tmp_path):
    network = write_run(tmp_path, ["oliver", "conan"], *SHOW)
    store = Store(tmp_path, [], ["conan", "me"], 20)
    assert store.know_speakers(["oliver", "conan"]) == ["me"] and store.speaker_index("conan") == 1
    own = load_for_speakers(tmp_path, "base", ["me", "conan", "oliver"])[0]
    for before, after in zip(tables(network), tables(own), strict=True):
        assert torch.equal(after[1:], before.flip(0)) and torch.allclose(after[0], before.mean(dim=0))


@pytest.mark.parametrize(
    ("data", "speakers", "named"),
    [
        (SHOW, [0, 1, 2, 3], NAMES),
        (SHOW, [2, 0], ["oliver", "chemistry"]),
        (SHOW, [7, 2, 0], [7, "oliver", "chemistry"]),  # that began from another corpus
        (SHOW, [1, 2, "conan"], [1, 2, "conan"]),  # of today, that began from BEAT2
        (SHOW, NAMES, NAMES),
        (("data=beat2", "data.root=DIR"), [0, 1, 2, 3], [0, 1, 2, 3]),
    ],
)
def test_runs_of_earlier_versions_know_the_speakers_of_show_by_name(tmp_path, data, speakers, named):
    write_run(tmp_path, speakers, *data)
    assert read_stamp(tmp_path, "base").facts.speakers == named


def test_who_keeps_a_row_is_said_in_one_line():
    assert _said_of_rows([2, "me"], ["me"], 25) == (
        "speakers that keep their row: 2; those that begin as the mean of its 25: me."
    )
    assert _said_of_rows(NAMES, NAMES, 1).startswith("speakers that keep their row: none; those that begin")
    assert _said_of_rows([1, 2], [], 2) == "speakers that keep their row: 1, 2."


def test_a_run_goes_on_with_show_and_its_checkpoint_has_names_and_the_split(smoke, tmp_path):
    folder, (_, *places) = smoke
    arguments = [*places, *SIZES, "recipe.base.steps=2", "recipe.validations=1", "recipe.rollout_seconds=4.0"]
    write_show(tmp_path / "SHOW")
    data = ["data=show", f"data.root={tmp_path}/SHOW", "data.hands=mean", "data.words=none", "name=adapted"]
    listed = f"data.split_file={tmp_path}/SHOW/train_val_test.json"
    said = run_command("train.py", *arguments, *data, listed, "stage=base", f"init={folder}/runs/smoke").stdout
    known = read_stamp(folder / "runs" / "smoke", "base").facts.speakers
    line = next(line for line in said.splitlines() if line.startswith("init="))
    assert line.endswith(f"none; those that begin as the mean of its {len(known)}: conan, oliver.")
    facts = read_stamp(folder / "runs" / "adapted", "base").facts
    assert facts.speakers == [*known, "conan", "oliver"]
    assert facts.notes[0].startswith("SHOW, split of train_val_test.json, within videos: ")
    said = run_command("eval.py", *places, *data, listed, "protocol=talkshow", "samples=2", "video=false").stdout
    found = folder / "runs" / "adapted" / "eval" / "test"
    with (found / "per_take.csv").open(newline="") as file:
        frames = [int(row["frames"]) for row in csv.DictReader(file) if row["row"] == "fused"]
    assert sorted(frames) == [89, 180, 181], "every frame of every clip, of those too that give no training window"
    result = Result.read(found / "metrics.json")
    assert not math.isnan(result.metrics["fused"]["body_lvd"]) and result.metrics["truth"]["body_lvd"] == 0
    assert any(note.startswith("SHOW, split of train_val_test.json, within videos") for note in result.notes)
    assert any(note.startswith(f"split of {tmp_path}") and "sha256" in note for note in result.notes)
    assert any("clips of 61 frames and 0 s of motion and more" in note for note in result.notes)
    assert any(note.startswith("Clips of train / val / test: 4 / 2 / 3") for note in result.notes)
    assert (
        "samples 0 and 1 are released2's, whose BC is of sample 0" in " ".join(said.split())
        and "FGD embedder: none: protocol=talksh" in said
    )
