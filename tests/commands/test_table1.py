"""docs/table1.md: its commands compose, its things are those of the catalogue, its hours those of a dry run."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT, run_command

from semtalk import catalogue
from semtalk.body import load_body
from semtalk.evaluation.published_rows import published_rows
from semtalk.needs import needs_of, opened
from semtalk.release.names import FILES
from semtalk.settings import compose
from semtalk.tasks.dry_run import A100, UTILISATION, expected_windows, hours, phase_cost
from semtalk.tasks.phases import phases_of

PAGE = (ROOT / "docs" / "table1.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", "").splitlines()
]
CONFIGURATIONS = {"train.py": "train", "eval.py": "eval", "scripts/prepare.py": "prepare", "scripts/fetch.py": "train"}


def rows(*columns: str) -> list[list[str]]:
    """Rows of the table whose head has these columns."""
    head = "| " + " | ".join(columns) + " |\n"
    lines = PAGE.split(head)[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def composed(script: str, words: list[str]):
    """Settings of a command line; of several seeds, the first."""
    return compose(CONFIGURATIONS[script], *(re.sub(r"^seeds=\[(\d+),.*", r"seed=\1", word) for word in words))


@pytest.mark.parametrize("command", [one for one in COMMANDS if one[0] == "python"], ids=" ".join)
def test_every_command_of_the_page_is_one_that_works(command):
    _, script, *words = command
    assert (ROOT / script).is_file()
    if script == "scripts/convert_release.py":
        source, _ = words
        assert source == "RELEASE" or Path(source).name in {Path(file).name for file in FILES.values()}
        return
    settings = composed(script, words)
    if "compare" in " ".join(words):
        return
    assert settings.body.path == "BODY", "every number is of SMPL-X"
    if script == "train.py":
        assert settings.embedder == "runs/released" and settings.stage.name == "all"
        assert (settings.model.name, settings.recipe.name, settings.data.speakers) == ("paper", "paper", [2])
    if script == "eval.py":
        assert (settings.split, settings.protocol) == ("test", "legacy")


def test_the_packages_are_extras_of_the_project():
    install = next(command for command in COMMANDS if command[0] == "pip")
    extras = re.search(r"\[(.*)\]", install[-1])[1].split(",")
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.M) for extra in extras)


def test_runs_are_called_as_the_page_calls_them():
    name, first = re.search(r"compare=\[(.*)\]", PAGE)[1], re.search(r"The runs are `(\S+)`", PAGE)[1]
    settings = compose("eval", "experiment=beat2", "seed=0", "seed_in_name=true")
    assert first == f"{name}_seed0" == f"{settings.runs_dir}/{settings.run_name}"


def test_what_it_takes_is_what_a_training_asks_for():
    table = {
        name: (size, licence, page.strip("<>")) for name, size, licence, page in rows("what", "size", "licence", "from")
    }
    settings = compose("train", "experiment=beat2", "body.path=BODY", "embedder=runs/released", "stage=all")
    asked = {need.thing.name.split(",")[0]: need.thing for need in needs_of(settings, opened(settings.data))}
    asked["BEAT2"] = asked.pop("H-Liu1997/BEAT2")
    asked["SemTalk's released weights (for step 6 alone)"] = catalogue.RELEASE
    assert table == {name: (thing.size, thing.licence, thing.page) for name, thing in asked.items()}


def test_the_published_rows_are_those_that_results_are_compared_with():
    for name, values in {row.method: row.values.values() for row in published_rows() if row.speakers == [2]}.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {name}, as published"))
        assert [float(cell) for cell in row.strip("|").split("|")[1:]] == list(values)


def test_the_hours_of_the_page_are_those_of_a_dry_run():
    settings = compose("train", "experiment=beat2", "stage=all")
    windows = expected_windows(settings)
    assert f"{windows:,} windows" in PAGE and f"{UTILISATION:.0%} of an A100's {A100 / 1e12:.0f} TFLOP/s" in PAGE
    table = {phase: cells for phase, *cells in rows("phase", "GFLOP a step", "steps", "hours, A100")}
    phases = phases_of(settings.stage.phases, settings.parts)
    assert list(table) == phases
    body, total = load_body(None), 0.0
    for phase in phases:
        cost = phase_cost(phase, settings, windows, 1, body)
        total += cost.flops * cost.steps * (phase != "fgd")
        gflop, steps, took = table[phase]
        assert float(gflop) == pytest.approx(cost.flops / 1e9, rel=0.01, abs=1), phase  # versions of torch differ
        assert [steps, took] == [str(cost.steps), hours(cost.hours(A100))], phase
    scaling = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    lines = (line for line in scaling.splitlines() if re.match(r"\| (two CPU|an A100|a node|a cluster)", line))
    machines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    for name, *_, rate, speaker_2, everyone, dollars in machines:
        took = total / (float(re.match(r"[\d.]+", rate)[0]) * 1e12) / 3600
        assert float(speaker_2) == pytest.approx(took, rel=0.02), name
        assert float(everyone) == pytest.approx(14.5 * took, rel=0.02), name
        if dollars:
            price = 2 * {"a node of eight": 8, "a cluster": 3}.get(name, 1) * took
            assert list(map(float, dollars.split(" and "))) == pytest.approx([price, 14.5 * price], rel=0.02), name
    assert len(machines) == 4


def test_a_dry_run_prints_the_hours_and_what_is_needed():
    said = run_command("train.py", "experiment=beat2", "stage=rvqvae", "dry_run=true", "embedder=/no/run").stdout
    printed = " ".join(said.replace("│", " ").split())
    for phase, _, steps, took in rows("phase", "GFLOP a step", "steps", "hours, A100")[:5]:
        assert re.search(rf"{phase} .* {steps} \d+ [\d.]+ \S+ {took}( |$)", printed), (phase, said)
    assert " fgd " not in printed.split("Training")[1].split("GFLOP and GiB")[0], "it is taken over"
    for name, size, licence, _ in rows("what", "size", "licence", "from")[1:7]:
        assert name in printed and f"{size} {licence}" in printed
