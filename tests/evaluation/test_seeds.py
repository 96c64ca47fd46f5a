"""Runs of several seeds in a comparison: their mean, how far they lie apart, and the interval over takes."""

import json

import numpy as np
import pytest
import test_damaged_results
import torch
from test_damaged_results import TAKES, changed, write_evaluation

from semtalk.errors import SemTalkError
from semtalk.evaluation.comparison import compare
from semtalk.evaluation.figure import short_names
from semtalk.evaluation.report import print_comparison
from semtalk.settings import compose
from semtalk.tasks.stamp import Facts, new_stamp

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
    assert cell["range"] == pytest.approx([min(means), max(means)])
    assert list(cell["seeds"]) == [f"{runs}/mine_seed{number}" for number in (0, 2, 10)]
    assert list(cell["seeds"].values()) == pytest.approx(means)
    low, high = np.mean([VALUES[name] for name in list(VALUES)[:3]], axis=0)  # draws of one take alone
    assert (cell["low"], cell["high"]) == pytest.approx((min(low, high), max(low, high)))
    assert cell["differs"] and "seeds" not in found["runs"][other]["mse"]
    print_comparison(found, runs / "compare")
    said = capsys.readouterr().out
    assert (
        "over seeds" in said
        and "± " in said
        and "standard deviation, number and range of the seeds" in " ".join(said.split())
    )
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


def write_checkpoint(run, seed, lr):
    checkpoint = {"state_dict": {}}
    settings = compose("train", f"seed={seed}", f"name={run.name}", f"recipe.base.lr={lr}")
    new_stamp("base", settings.plain(), Facts([1])).write(checkpoint)
    (run / "base").mkdir()
    torch.save(checkpoint, run / "base" / "best.ckpt")


def test_a_star_stands_for_runs_that_differ_by_seed_alone(runs, monkeypatch):
    monkeypatch.chdir(runs)
    for seed in (0, 2, 10):
        write_checkpoint(runs / f"mine_seed{seed}", seed, 1e-4)
    found = compare(["mine_*", "other"], "test")["runs"]["mine_*"]["mse"]
    assert list(found["seeds"]) == ["mine_seed0", "mine_seed2", "mine_seed10"], "by their numbers"
    assert found["deviation"] == compare([f"{runs}/mine", "other"], "test")["runs"][f"{runs}/mine"]["mse"]["deviation"]
    with pytest.raises(SemTalkError, match=r"compare: theirs_\* stands for no folder"):
        compare(["theirs_*", "other"], "test")
    (runs / "mine_seed10" / "base" / "best.ckpt").unlink()
    (runs / "mine_seed10" / "base").rmdir()
    write_checkpoint(runs / "mine_seed10", 10, 3e-4)
    for path in ("mine_*", "mine"):
        with pytest.raises(
            SemTalkError, match="differ by more than their seed: recipe.base.lr is 0.0001 in .* and 0.0003"
        ):
            compare([path, "other"], "test")


def test_one_take_alone_has_no_interval(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(test_damaged_results, "TAKES", {"a": 40})
    for name in ("one", "two"):
        write_evaluation(tmp_path / name)
    paths = [f"{tmp_path}/one", f"{tmp_path}/two"]
    changed(tmp_path / "two" / "metrics.json", metrics={row: {"mse": 7.0, "fgd": 0.9} for row in ("fused", "truth")})
    found = compare(paths, "test")
    for cells in found["runs"].values():
        assert all(np.isnan(cell["low"]) and not cell.get("differs") for cell in cells.values())
    assert found["runs"][paths[1]]["fgd"]["value"] == 0.9 and found["notes"][0].startswith(
        "one take alone has no inter"
    )
    print_comparison(found, tmp_path / "compare")
    assert "nan" not in capsys.readouterr().out


def test_other_numbers_of_samples_are_told(tmp_path):
    paths = [f"{tmp_path}/one", f"{tmp_path}/two"]
    for name in ("one", "two"):
        write_evaluation(tmp_path / name)
    assert "samples of a take" not in " ".join(compare(paths, "test")["notes"])
    changed(tmp_path / "two" / "metrics.json", samples={"count": 16, "diversity": None})
    assert f"samples of a take: {paths[0]} 1, {paths[1]} 16; what is" in " ".join(compare(paths, "test")["notes"])


def test_a_figure_names_runs_without_the_folder_that_they_all_lie_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_names(["runs/a", f"{tmp_path}/runs/b_*"]) == ["a", "b_*"]
    assert short_names(["runs/a", "other/b"]) == ["runs/a", "other/b"] and short_names(["runs/a"]) == ["a"]


def test_runs_are_placed_by_closeness_where_the_truth_is_the_best(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    values = {"far": 9.0, "near": 11.5, "nearest": 11.8}
    for name, div in values.items():
        write_evaluation(tmp_path / name)
        rows = ["take,row,frames,div"]
        for take, frames in TAKES.items():
            rows += [f"{take},fused,{frames},{div}", f"{take},truth,{frames},12.0"]
        (tmp_path / name / "per_take.csv").write_text("\n".join(rows) + "\n")
        changed(tmp_path / name / "metrics.json", metrics={"fused": {"div": div}, "truth": {"div": 12.0}})
    paths = [f"{tmp_path}/{name}" for name in values]
    found = compare(paths, "test")
    assert [found["runs"][path]["div"]["rank"] for path in paths] == [3, 2, 1]
    print_comparison(found, tmp_path / "compare")
    assert "(-0.2; 1.)" in capsys.readouterr().out
