"""Runs of several seeds in a comparison: their mean, how far they lie apart, and the interval over takes."""

import json

import numpy as np
import pytest
from test_damaged_results import TAKES, changed, write_evaluation

from semtalk.errors import SemTalkError
from semtalk.evaluation.comparison import compare
from semtalk.evaluation.report import print_comparison

VALUES = {"mine_seed0": (1.0, 3.0), "mine_seed2": (2.0, 4.0), "mine_seed10": (6.0, 2.0), "other": (9.0, 9.0)}


@pytest.fixture
def runs(tmp_path):
    """Evaluations of three seeds of a run, and of another run."""
    for name, mse in VALUES.items():
        folder = tmp_path / name / "eval" / "test"
        write_evaluation(folder)
        rows = ["take,row,frames,mse"]
        rows += [f"{take},{row},{frames},{value}" for (take, frames), value in zip(TAKES.items(), mse, strict=True)
                 for row in ("fused", "truth")]  # fmt: skip
        (folder / "per_take.csv").write_text("\n".join(rows) + "\n")
        mean = np.average(mse, weights=list(TAKES.values()))
        changed(folder / "metrics.json", metrics={row: {"mse": mean, "fgd": mean / 2} for row in ("fused", "truth")})
    return tmp_path


def test_seeds_are_one_run_with_a_mean_and_a_deviation(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    mine, other = f"{runs}/mine", f"{runs}/other"
    found = compare([other, mine], "test")
    means = [np.average(VALUES[name], weights=[40, 60]) for name in ("mine_seed0", "mine_seed2", "mine_seed10")]
    cell = found["runs"][mine]["mse"]
    assert cell["value"] == pytest.approx(np.mean(means))
    assert cell["deviation"] == pytest.approx(np.std(means, ddof=1))
    assert list(cell["seeds"]) == [f"{runs}/mine_seed{number}" for number in (0, 2, 10)]
    assert list(cell["seeds"].values()) == pytest.approx(means)
    low, high = np.mean([VALUES[name] for name in list(VALUES)[:3]], axis=0)  # draws of one take alone
    assert (cell["low"], cell["high"]) == pytest.approx((min(low, high), max(low, high)))
    assert cell["differs"] and "seeds" not in found["runs"][other]["mse"]
    print_comparison(found, runs / "compare")
    said = capsys.readouterr().out
    assert "over seeds" in said and "± " in said and "standard deviation of so many seeds" in " ".join(said.split())
    assert json.loads((runs / "compare" / "compare.json").read_text())["runs"][mine]["mse"]["seeds"]


def test_seeds_of_one_run_are_looked_at_alone(runs):
    found = compare([f"{runs}/mine"], "test")
    assert found["runs"][f"{runs}/mine"]["fgd"]["deviation"] > 0
    with pytest.raises(SemTalkError, match="two runs or more, .*, or one with several seeds"):
        compare([f"{runs}/other"], "test")


def test_a_seed_that_was_not_evaluated_is_named(runs):
    (runs / "mine_seed3").mkdir()
    with pytest.raises(SemTalkError, match="mine_seed3 holds no evaluation"):
        compare([f"{runs}/mine", f"{runs}/other"], "test")
    with pytest.raises(SemTalkError, match="theirs holds no evaluation"):
        compare([f"{runs}/theirs", f"{runs}/other"], "test")


def test_a_run_of_that_name_comes_before_its_seeds(runs):
    write_evaluation(runs / "mine" / "eval" / "test")
    assert "seeds" not in compare([f"{runs}/mine", f"{runs}/other"], "test")["runs"][f"{runs}/mine"]["mse"]
