"""docs/genea.md: the site's values are those of the data, and constants of the formulas those of the code."""

import json
import re

from conftest import ROOT

from semtalk.evaluation import stimuli
from semtalk.metrics import genea
from semtalk.settings import compose
from semtalk.viz.video import STUDY

PAGE = (ROOT / "docs" / "genea.md").read_text(encoding="utf-8")
ROWS = json.loads((ROOT / "semtalk" / "evaluation" / "published" / "genea.json").read_text(encoding="utf-8"))


def test_the_sites_values_are_those_of_the_data():
    (head,) = re.findall(r"(?m)^\| \| (FGD \| BA .*) \|$", PAGE)
    names = [f"genea_{name.strip().lower()}" for name in head.split("|")]
    lines = PAGE.split(head)[1].splitlines()[2:]
    shown = {}
    for line in lines[: lines.index("")]:
        method, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        shown[method] = {name: float(cell) for name, cell in zip(names, cells, strict=True) if cell != "-"}
    assert shown == {row["method"]: row["values"] for row in ROWS} and len(shown) == 7
    for row in ROWS:
        assert (row["protocol"], row["split"], row["speakers"]) == ("genea", "test", "all") and row["source"]
        assert set(row["values"]) <= set(row["scale"]) == set(names) and set(row["scale"].values()) == {1.0}


def test_captured_motion_is_not_the_best_of_every_column_so_that_ranks_are_by_closeness():
    values = {row["method"]: row["values"]["genea_ba"] for row in ROWS}
    ranks = genea.ranks_by_closeness(values, values["capture"])
    assert sorted(ranks, key=ranks.get)[:3] == ["capture", "RAG-Gesture", "ConvoFusion"]
    assert ranks["AMUSE"] == 7, "the highest"


def test_numbers_of_the_page_are_those_of_the_code():
    assert f"/ {genea.MEAN_WEIGHT}`" in PAGE and f"{genea.RESAMPLES} resamples" in PAGE
    assert f"truth) < {genea.NEAR:.2f} m" in PAGE and f"{genea.THRESHOLD:.2f} of the corpus's mean speed" in PAGE
    assert f"{STUDY[0]} x {STUDY[1]}" in PAGE and f"ID_sample_{compose('genea').samples}.npz" in PAGE
    assert ",".join(stimuli.COLUMNS) in PAGE and f"2 x 240 x 1e-6 = {2 * 240 * 1e-6:.5f}" in PAGE
