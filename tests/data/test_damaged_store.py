"""Damaged files of a store are made anew, those of a corpus are one sentence."""

import json
import logging
import shutil

import numpy as np
import pytest

from semtalk.data.beat2 import FOLDER, BEAT2Corpus
from semtalk.data.preparation import prepare
from semtalk.data.show_split import read_split_file
from semtalk.environment import FILE, write_environment
from semtalk.errors import SemTalkError
from semtalk.settings import compose


def test_damaged_json_of_a_store_is_made_anew(corpus, store, body, tmp_path, caplog):
    own = shutil.copytree(store.folder, tmp_path / "store")
    first, second = (recording.id for recording in store.recordings[:2])
    for name, text in {f"{first}.record.json": "[", f"{second}.record.json": "[1]", "hashes.json": "["}.items():
        (own / name).write_text(text)
    with caplog.at_level(logging.WARNING):
        again = prepare(corpus, compose().features, body, own)
    assert [one.info for one in again.recordings] == [one.info for one in store.recordings]
    assert json.loads((own / f"{first}.record.json").read_text())["id"] == first
    assert f"{first}.record.json: damaged; it is made anew." in caplog.text


def test_a_damaged_note_of_what_a_training_began_on_is_made_anew(tmp_path):
    (tmp_path / FILE).write_text("[")
    write_environment(tmp_path, "cpu", going_on=True)
    assert json.loads((tmp_path / FILE).read_text())["device"] == "cpu"


@pytest.mark.parametrize("name", ["train_test_split.csv", "weights/mean_vel_smplxflame_30.npy"])
def test_bytes_that_are_no_file_of_a_corpus_are_one_sentence(tmp_path, name):
    (tmp_path / FOLDER / "weights").mkdir(parents=True)
    (tmp_path / FOLDER / "train_test_split.csv").write_text("id,type\n1_ada_0_1_1,train\n")
    assert BEAT2Corpus(str(tmp_path)).entries() and BEAT2Corpus(str(tmp_path)).mean_joint_speed() is None
    (tmp_path / FOLDER / name).write_bytes(np.random.default_rng(0).bytes(2000))
    opened = BEAT2Corpus(str(tmp_path))
    with pytest.raises(SemTalkError, match=rf"{name}: not a "):
        (opened.entries(), opened.mean_joint_speed())


@pytest.mark.parametrize(("text", "said"), [("[", "not readable as json"), ("[" * 100_000, "nested too deeply")])
def test_a_damaged_split_file_is_one_sentence(tmp_path, text, said):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(SemTalkError, match=f"split.json: .*{said}"):
        read_split_file(tmp_path / "split.json")
