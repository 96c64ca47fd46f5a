"""Figures of pages are those of the results that are kept beside the benchmarks."""

import json
import re

import numpy as np
import pytest
from conftest import ROOT

RESULTS = ROOT / "benchmarks" / "results"
SCALES = {"fgd": 1e-4, "bc": 1.0, "div": 1.0, "mse": 1e-8, "lvd": 1e-5}


@pytest.mark.parametrize(("split", "row"), [("test", "test, one take of 15 s"), ("train", "train, two takes, 96 s")])
def test_the_noise_of_seeds_is_that_of_the_three_runs(split, row):
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"(?m)^\| {row} \|(.*)\|$", page)
    shown = [tuple(map(float, cell.split("±"))) for cell in line.split("|")]
    seeds = json.loads((RESULTS / "seeds.json").read_text(encoding="utf-8"))[split].values()
    for (mean, deviation), (name, scale) in zip(shown, SCALES.items(), strict=True):
        values = np.array([one[name] for one in seeds]) / scale
        assert mean == pytest.approx(values.mean(), rel=0.005) and deviation == pytest.approx(
            values.std(ddof=1), abs=0.05
        )


def test_the_adapted_column_is_that_of_its_run():
    page = (ROOT / "docs" / "adapting.md").read_text(encoding="utf-8")
    kept = json.loads((RESULTS / "adapting.json").read_text(encoding="utf-8"))
    seed = (kept[-1] if isinstance(kept, list) else kept)["seeds"][0]
    for text, key in (
        ("jaw: correlation", "jaw_r"), ("expressions: correlation", "expressions_r"),
        ("expressions: amplitude", "expressions_amplitude"), ("jaw error, own / other sound", "own_other"),
        ("DIV / truth's", "div_share"),
    ):  # fmt: skip
        (line,) = re.findall(rf"(?m)^\| {re.escape(text)} \|(.*)\|$", page)
        adapted, _, ridge = (cell.strip() for cell in line.split("|"))
        assert float(adapted) == pytest.approx(seed["fused"][key], abs=0.006), text
        if ridge:
            assert float(ridge) == pytest.approx(seed["ridge"][key], abs=0.006), text
