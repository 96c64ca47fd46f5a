"""Figures of pages are those of the results that are kept beside the benchmarks."""

import json
import re

import numpy as np
import pytest
from conftest import ROOT

from semtalk.evaluation.report import ROW_NAMES

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


@pytest.mark.parametrize(
    ("corpus", "said", "keys"),
    [
        ("sample", "of the embedded corpus", ("share", "deviation", "low", "high", "recall_1", "recall_5")),
        ("beat2", "Of real speech", ("share", "deviation")),
    ],
)
def test_alignment_is_what_three_scorers_gave(corpus, said, keys):
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8").split("## Alignment")[1]
    text, table = page[page.index(said) :].split("\n\n")[:2]
    results = json.loads((RESULTS / "alignment.json").read_text(encoding="utf-8"))
    (kept,) = (result for result in results if result["corpus"] == corpus)
    shown = {
        name.split(" (")[0]: re.findall(r"[\d.]+%", line) for name, line in re.findall(r"(?m)^\| (\w.*?) \|(.*)", table)
    }
    for row, numbers in kept["mean"].items():
        if corpus == "sample" or row != "fused":  # of which the page says that it is the base's
            assert shown.pop(ROW_NAMES[row]) == [f"{numbers[key]:.1%}" for key in keys], row
    chance = [f"{value:.1%}" for value in kept.get("chance", {}).values()]
    assert shown == ({"by chance": ["50%", *chance]} if chance else {}) and len(kept["seeds"]) == 3
    assert f"{kept['segments']} segments" in text and kept["mean"]["mean"]["share"] == pytest.approx(0.5)


def test_what_a_quirk_is_worth_is_what_was_measured():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    kept = json.loads((RESULTS / "metrics.json").read_text(encoding="utf-8"))[-1]
    table = page.split("| | embedded corpus | real BEAT2 take |")[1].split("\n\n")[0]
    shown = [cell for cell, _ in re.findall(r"(?m)^\| \w.*? \| ([\d.]+) \| ([\d.]+) \|$", table)]
    assert shown == [f"{value:.3f}" for value in kept["bc_of_truth"]["embedded corpus"].values()]
    assert f"take 1/{kept['ratio']:.0f} of the time of the formulas" in " ".join(page.split())


def test_the_columns_of_adapting_are_those_of_their_runs():
    page = (ROOT / "docs" / "adapting.md").read_text(encoding="utf-8")
    adapted = json.loads((RESULTS / "adapting.json").read_text(encoding="utf-8"))
    fresh = next(
        one
        for one in json.loads((RESULTS / "real_speech.json").read_text(encoding="utf-8"))
        if one["features"] == "offline"
    )
    columns = [one["seeds"][0]["fused"] for one in adapted] + [fresh["mean"]["fused"], fresh["mean"]["ridge"]]
    for text, key in (
        ("jaw: correlation", "jaw_r"), ("expressions: correlation", "expressions_r"),
        ("expressions: amplitude", "expressions_amplitude"), ("jaw error, own / other sound", "own_other"),
        ("upper body: rotation error / mean pose's", "upper_share"), ("DIV / truth's", "div_share"),
    ):  # fmt: skip
        (line,) = re.findall(rf"(?m)^\| {re.escape(text)} \|(.*)\|$", page)
        for cell, numbers in zip(line.split("|"), columns, strict=True):
            assert not cell.strip() or float(cell) == pytest.approx(numbers[key], abs=0.006), text
    assert all(one["seeds"][0]["ridge"]["jaw_r"] > one["seeds"][0]["fused"]["jaw_r"] for one in adapted)


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
