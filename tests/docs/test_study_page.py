"""docs/study.md and the tables of docs/formats.md on studies say what the code does."""

import json
import re
import sqlite3
import sys

from conftest import ROOT
from test_formats import compare_keys, table

from semtalk.settings import compose
from semtalk.study import analysis
from semtalk.study.questions import QUESTIONS
from semtalk.study.report import analysed
from semtalk.study.store import MOST_FAILED, MOST_SKIPPED, Store

sys.path.append(str(ROOT / "tests" / "study"))
import made

PAGE = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")


def test_the_page_has_every_question_as_raters_read_it():
    for name, question in QUESTIONS.items():
        (row,) = re.findall(rf"(?m)^\| `{name}` \|.*$", PAGE)
        assert question.text in row and (question.kind in row or row.endswith("| none |"))


def test_numbers_of_the_page_are_those_of_the_code():
    settings = compose("study")
    assert f"n=`pages` comparisons ({settings.pages})" in PAGE and f"c=`checks` ({settings.checks})" in PAGE
    assert f"{settings.resamples} resamples" in PAGE and settings.resamples == analysis.RESAMPLES
    assert f"seed {analysis.SEED}" in PAGE and f"more than {MOST_SKIPPED} skipped pages" in PAGE and MOST_FAILED == 1
    assert f"host={settings.host}`: this machine alone" in PAGE


def test_what_a_study_writes_is_as_the_page_of_formats_says(tmp_path):
    study = made.plan(pages=8)
    folder = made.written(tmp_path, study)
    compare_keys(table("Study: study.json"), json.loads((folder / "study.json").read_text()))
    store = Store(folder, study)
    made.taken(store, store.join())
    compare_keys(table("Study: report.json"), analysed(store.raters(), store.votes(), 100))
    with sqlite3.connect(store.path) as database:
        for name, (cell,) in table("Study: votes.sqlite").items():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
            assert [word for word in re.findall(r"`(\w+)`", cell.partition(";")[0].partition(":")[0])] == columns, name
