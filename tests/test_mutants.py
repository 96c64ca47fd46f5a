"""The list of wrong versions is in order, docs/fidelity.md names it, and (slow) the tests notice every one."""

import ast
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from mutants import MUTANTS, PROMISE

PAGE = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """Cells of the rows of the page's tables that have a column of mutants."""
    found, inside = [], False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if inside and cells and not set(line) <= set("|- "):
            found.append(cells)
        inside = bool(cells) and (inside or cells[-1] == "mutants")
    return found


def words(cell: str) -> list[str]:
    """What stands in a cell in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_mutant_can_be_applied():
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) >= 60 and len(set(names)) == len(names)
    for mutant in MUTANTS:
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.name}: its old text occurs {text.count(mutant.old)} times"
        wrong = text.replace(mutant.old, mutant.new)
        assert wrong != text, mutant.name
        if mutant.file.endswith(".py"):
            ast.parse(wrong, mutant.name)


def test_every_test_of_a_mutant_exists():
    for mutant in MUTANTS:
        assert mutant.tests, mutant.name
        for node in mutant.tests:
            path, _, name = node.partition("::")
            text = (ROOT / path).read_text(encoding="utf-8")
            assert f"def {name}(" in text if name else text, (mutant.name, node)


def test_every_mutant_breaks_a_row_of_the_page_that_names_it_or_a_promise():
    found = rows()
    for mutant in MUTANTS:
        if not mutant.breaks.startswith(PROMISE):
            (row,) = [cells for cells in found if cells[0].startswith(mutant.breaks)]
            assert mutant.name in words(row[-1]), f"{mutant.name} is not named in the row {row[0]}"


def test_the_page_names_mutants_of_its_rows_and_tests_that_exist():
    found, known = rows(), {mutant.name: mutant for mutant in MUTANTS}
    assert len(found) >= 30
    for cells in found:
        assert words(cells[-1]), f"no mutant of the row {cells[0]}"
        for name in words(cells[-1]):
            assert name in known, f"{name}: there is no such mutant"
            assert cells[0].startswith(known[name].breaks), f"{name} breaks another row than {cells[0]}"
        killing = {node.split("::")[-1] for name in words(cells[-1]) for node in known[name].tests}
        assert killing & set(words(" ".join(cells[:-1]))), (
            f"the row {cells[0]} names no test that kills one of its mutants"
        )
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    for name in re.findall(r"`(test_\w+)`", PAGE):
        assert f"def {name}(" in code, f"docs/fidelity.md: there is no test {name}"
    for path in re.findall(r"`(tests/[\w/]+\.py)`", PAGE):
        assert (ROOT / path).is_file(), f"docs/fidelity.md: there is no {path}"


@pytest.mark.slow
def test_every_mutant_is_noticed():
    result = subprocess.run(
        [sys.executable, "-m", "tests.mutants"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-3000:]
