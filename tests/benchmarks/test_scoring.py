"""The benchmark of alignment: its options, whose takes are scored, and what it says of several seeds."""

import json

import pytest
import torch

from benchmarks import alignment as bench
from benchmarks.__main__ import chosen
from semtalk.places import checkpoint_path
from semtalk.settings import compose
from semtalk.tasks.phases import build_network
from semtalk.tasks.sizes import PREFIX
from semtalk.tasks.stamp import Facts, new_stamp


def test_words_of_the_command():
    assert chosen(["alignment", "seeds=2", "data=sample"])[1] == ["seeds=2", "data=sample"]
    assert "alignment" not in chosen([])[0], "it trains for long"
    for word, says in (("seeds=0", "seeds=0: give the number of scorers"), ("windows=x", "windows=x: give how many")):
        with pytest.raises(SystemExit, match=says):
            bench.alignment("data=sample", word)


def test_seeds_are_summed_up():
    found = bench.summary([{"truth": {"share": 0.9, "low": 0.8}}, {"truth": {"share": 0.7, "low": 0.6}}])
    assert found["truth"] == pytest.approx({"share": 0.8, "low": 0.7, "deviation": 0.02**0.5})
    assert bench.summary([{"truth": {"share": 0.9}}])["truth"] == {"share": 0.9}


def test_takes_of_a_split_are_scored_whole_and_by_every_seed(monkeypatch, tmp_path, store, corpus, capsys):
    def train(settings):
        torch.manual_seed(settings.seed)
        weights = build_network("alignment", settings, 1).state_dict()
        checkpoint = {"state_dict": {PREFIX + name: value for name, value in weights.items()}}
        new_stamp("alignment", settings.plain(), Facts([1])).write(checkpoint)
        path = checkpoint_path(bench.run_dir(settings), "alignment")
        path.parent.mkdir(parents=True)
        torch.save(checkpoint, path)

    monkeypatch.setattr(bench, "train", train)
    monkeypatch.setattr(bench, "open_corpus", lambda data: corpus)
    monkeypatch.setattr(bench, "open_store", lambda *_: store)
    takes = bench.takes_of(store, "test", None, "cpu")
    assert [take.frames for take in takes] == [one.frames // 4 * 4 for one in store.split("test")]
    assert all(set(take.rotation) == {"truth", "mean"} for take in takes)
    options = ("seeds=2", "windows=1", f"runs_dir={tmp_path}", f"out={tmp_path}/out.json")
    bench.alignment("data=sample", *options)
    (found,) = json.loads((tmp_path / "out.json").read_text())
    assert len(found["seeds"]) == 2 and found["segments"] == sum(take.frames // 64 for take in takes)
    assert set(found["mean"]) == {"truth", "mean", "shifted"} and found["mean"]["mean"]["share"] == pytest.approx(0.5)
    assert found["overrides"] == ["data=sample"] and "ground truth" in capsys.readouterr().out
    assert compose("train", "stage=alignment").stage.phases == ["alignment"]
