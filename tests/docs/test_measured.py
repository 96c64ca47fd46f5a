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


def test_offline_and_live_are_those_that_were_measured():
    page = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    kept = json.loads((RESULTS / "hops.json").read_text(encoding="utf-8"))
    rows = re.findall(r"(?m)^\| (offline|`.*lookahead=\d+`) .*?\|(.*)\|$", page)
    assert len(rows) == len(kept) == 9
    for (name, line), measured in zip(rows, kept, strict=True):
        ways = {"offline": (None, None)}
        found = re.fullmatch(r"`(?:hop=(\d+) )?lookahead=(\d+)`", name)
        hop, lookahead = ways.get(name) or tuple(part and int(part) for part in found.groups())
        assert (hop, lookahead) == (measured["hop"], measured["lookahead"])
        shapes = {
            "delay s": ".2f", "rotation error degrees": ".2f", "from offline degrees": ".2f",
            "codes that differ": ".0%", "99% of changes below degrees": ".1f", "CPU seconds a second": ".2f",
        }  # fmt: skip
        wanted = [f"{measured[key]:{shape}}".rstrip("%") for key, shape in shapes.items()]
        assert re.findall(r"[\d.]+", line) == wanted[name == "offline" :], name
    offline, chosen = kept[0], next(row for row in kept if (row["hop"], row["lookahead"]) == (12, 2))
    assert chosen["delay s"] <= 0.7 and chosen["rotation error degrees"] <= 1.1 * offline["rotation error degrees"]


@pytest.mark.parametrize(
    ("name", "run"), [("embedded corpus", "sample_small"), ("a real take of 15 s", "offline_seed0")]
)
def test_skating_is_what_was_measured_and_less_than_half(name, run):
    page = (ROOT / "docs" / "voice.md").read_text(encoding="utf-8")
    (line,) = re.findall(rf"(?m)^\| {name}.*?\|(.*)\|$", page)
    measured = [row for row in json.loads((RESULTS / "feet.json").read_text(encoding="utf-8")) if row["run"] == run][-1]
    shown = [float(number) for number in re.findall(r"[\d.]+", line)]
    wanted = [measured[f"{kind}: skating m/s"] for kind in ("free", "held", "truth")]
    assert shown == pytest.approx(wanted, abs=6e-4)
    assert wanted[1] <= wanted[0] / 2 and measured["hands moved m"] < 0.01
