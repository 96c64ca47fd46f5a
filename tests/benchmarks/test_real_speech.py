"""The real-speech benchmark: its baselines find what is there, its options, targets and reuse of finished phases."""

import json
import math

import numpy as np
import pytest
import torch
from conftest import ROOT

from benchmarks import real_speech as bench
from benchmarks.__main__ import chosen
from benchmarks.baselines import nearest_windows
from benchmarks.common import append
from benchmarks.speech_report import ROWS, TEXTS, cell, draw_curves, mean_of, reached_targets
from semtalk.errors import SemTalkError
from semtalk.settings import compose


def test_the_nearest_window_is_the_right_one():
    rng = np.random.default_rng(0)
    training = [rng.normal(size=(frames, 6)) for frames in (150, 50, 300)]
    heard = np.concatenate([training[2][37 : 37 + 64], training[0][80 + 4 : 80 + 64]])
    heard += 0.1 * rng.normal(size=heard.shape)
    found = nearest_windows(heard, training)
    assert found[0] == (2, 37) and len(found) == 2
    heard[60:64] = training[0][80:84]
    assert nearest_windows(heard, training)[1] == (0, 80)


def test_words_of_the_command(monkeypatch):
    assert chosen(["real_speech", "seeds=2", "recipe.base.steps=6"])[1] == ["seeds=2", "recipe.base.steps=6"]
    assert "real_speech" not in chosen([])[0]
    for words, says in ((["nothing"], "no benchmark nothing"), (["metrics", "a=1"], "metrics takes no overrides")):
        with pytest.raises(SystemExit, match=says):
            chosen(words)
    options = bench.Options.of(("seeds=2", "reuse=true", "data=sample", "features=offline"))
    assert (options.seeds, options.reuse, options.overrides) == (2, True, ("data=sample", "features=offline"))
    monkeypatch.setenv("SEMTALK_REAL_DATA", "/real")
    assert bench.Options.of(()).overrides == ("data=beat2", "data.root=/real/beat2_two_takes")
    assert bench.Options.of(("data.root=/x",)).overrides == ("data=beat2", "data.root=/x")
    monkeypatch.delenv("SEMTALK_REAL_DATA")
    for words, says in (((), "SEMTALK_REAL_DATA"), (("seeds=0",), "seeds=0"), (("reuse=1",), "reuse=1")):
        with pytest.raises(SemTalkError, match=says):
            bench.Options.of(words)
    with pytest.raises(SystemExit, match="error: .*nosuch"):
        bench.real_speech("data=sample", "nosuch.key=1")
    with pytest.raises(SystemExit, match="split=tset"):
        bench.real_speech("data=sample", "split=tset")


def test_finished_phases_of_the_same_configuration_are_skipped(monkeypatch, tmp_path):
    trained = []

    def train(settings):
        (phase,) = settings.stage.phases
        trained.append(phase)
        (tmp_path / "offline_seed0" / phase).mkdir(parents=True, exist_ok=True)
        (tmp_path / "offline_seed0" / phase / "best.ckpt").touch()

    monkeypatch.setattr(bench, "train", train)
    options = bench.Options.of(("data=sample",))
    settings = bench.seed_settings(options, tmp_path, 0)
    bench.train_phases(settings, reuse=True)
    assert len(trained) == 8 and trained[-1] == "sparse" and settings.seed == 0
    bench.train_phases(settings, reuse=True)
    assert len(trained) == 8
    (tmp_path / "offline_seed0" / "fgd" / "finished.json").unlink()
    bench.train_phases(settings, reuse=True)
    assert trained[8:] == ["fgd", "base", "sparse"]
    longer = bench.seed_settings(options, tmp_path, 0, "recipe.base.steps=7")
    bench.train_phases(longer, reuse=True)
    bench.train_phases(longer, reuse=False)
    assert len(trained) == 27


def numbers(value: float) -> dict:
    return {row: dict.fromkeys(TEXTS, value if row == "fused" else 0.4) for row in ROWS}


def test_means_spreads_and_targets(tmp_path):
    seeds = [numbers(0.9), numbers(1.1)]
    means = mean_of(seeds)
    assert means["fused"]["jaw_r"] == pytest.approx(1.0)
    assert cell([0.9, 1.1]) == "1.000 ± 0.141" and cell([2.0]) == "2.000" and cell([1.0, math.nan]) == "-"
    facts = {"features": "offline", "corpus": "beat2", "split": "test"}
    offline = reached_targets(means, facts, tmp_path / "r.json")
    assert len(offline) == 12
    assert {name for name, target in offline.items() if not target["reached"]} == {
        "jaw error, own / other sound",
        "expression error / mean pose's",
    }
    light = facts | {"features": "light"}
    assert not any(target["reached"] for target in reached_targets(means, light, tmp_path / "r.json").values())
    append(tmp_path / "r.json", {**facts, "mean": mean_of([numbers(0.95)]), "seeds": [{"lag": math.nan}]})
    assert json.loads((tmp_path / "r.json").read_text())[0]["seeds"] == [{"lag": None}]
    append(tmp_path / "r.json", {**facts, "corpus": "other", "mean": mean_of([numbers(0.0)])})
    found = reached_targets(means, light, tmp_path / "r.json")
    assert [target["value"] for target in found.values()] == pytest.approx([0.05, 0.05])
    assert all(target["reached"] for target in found.values())
    assert json.loads((tmp_path / "r.json").read_text())[0]["machine"]["torch"] == torch.__version__


def test_curves_are_drawn(tmp_path):
    assert bench.Options.of(("data=sample",)).drawn("c.png") == ROOT / "docs" / "c.png"
    elsewhere = bench.Options.of(("data=sample", f"out={tmp_path}/adapted.json"))
    assert elsewhere.drawn("c.png") == tmp_path / "c.png", "pictures of the docs stay as they are"
    (tmp_path / "metrics.csv").write_text("step,train/loss,val/loss\n1,3.0,\n2,2.0,\n2,,2.5\n")
    draw_curves([tmp_path / "metrics.csv"], tmp_path / "docs" / "c.png")
    assert (tmp_path / "docs" / "c.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_run_is_measured_beside_its_baselines(smoke):
    rows = bench.evaluate_seed(compose("train", *smoke[1]), bench.evaluation_of(bench.Options()))
    assert set(rows) == set(ROWS) and set(rows["fused"]) == set(TEXTS)
    assert rows["ridge"]["jaw_r"] > 0.7 and rows["nearest"]["speed"] > 0.5, "synthetic speech is easy"
    assert rows["truth"]["fgd"] == pytest.approx(0, abs=1e-6) and rows["mean"]["upper_share"] == 1
    assert rows["nearest"]["fgd"] > rows["truth"]["fgd"]
