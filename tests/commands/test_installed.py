"""The package as a wheel, away from any checkout."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import ROOT, run_program

from semtalk.__main__ import COMMANDS, CONFIGURATIONS, composed

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
KEEPS_ITS_NAME = {
    "train": ["stage=fgd", "experiment=smoke"], "eval": ["protocol=evaltools"], "generate": ["decoding.face=expected"],
    "prepare": ["data=beat2", "data.root=DIR"], "fetch": ["experiment=beat2", "dry_run=true"],
    "genea": ["begin=take"], "live": ["target=127.0.0.1:39540"], "study": ["out=DIR"],
    "studio": ["port=0"],
}  # fmt: skip
"""Command -> arguments that its configuration takes."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("semtalk", "configs", "examples", "benchmarks", "scripts", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    built = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source)]
    run_program(*built, cwd=source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    run_program("-m", "pip", "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel), cwd=folder)
    return folder


def run_installed(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the console command from a folder that is no checkout."""
    return subprocess.run(
        [str(installed / "bin" / "semtalk"), *arguments], cwd=cwd, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "160"},
    )  # fmt: skip


def test_a_wheel_holds_the_package_and_the_configurations_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        inside = {name for name in file.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "semtalk").rglob("*.py")}
    configs = {f"semtalk/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    pages = {"semtalk/study/page.html"}
    pages |= {str(path.relative_to(ROOT)) for path in (ROOT / "semtalk" / "studio" / "static").iterdir()}
    published = {str(path.relative_to(ROOT)) for path in (ROOT / "semtalk" / "evaluation" / "published").glob("*.json")}
    assert inside == modules | configs | pages | published


def test_every_import_of_the_package_is_declared():
    declared = [*PROJECT["project"]["dependencies"], *sum(PROJECT["project"]["optional-dependencies"].values(), [])]
    names = {re.match(r"[\w.-]+", one).group().lower().replace("_", "-") for one in declared}
    known = packages_distributions()
    for path in (ROOT / "semtalk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module] if isinstance(node, ast.ImportFrom) else []
            for module in {name.split(".")[0] for name in imported} - {"semtalk", *sys.stdlib_module_names}:
                candidates = {name.lower().replace("_", "-") for name in known.get(module, [module])}
                assert candidates & names, f"{path}: pyproject.toml does not list {module}"


def test_an_installed_package_composes_every_command_from_its_own_configurations(installed, tmp_path):
    given = [(CONFIGURATIONS.get(name, name), *words) for name, words in KEEPS_ITS_NAME.items()]
    program = f"import semtalk; print(semtalk.__file__); [semtalk.compose(*words) for words in {given}]"
    said = run_program("-c", program, cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(said.stdout.strip()).is_relative_to(installed)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", KEEPS_ITS_NAME)
def test_the_console_command_takes_what_the_scripts_take(command, installed, tmp_path):
    given = KEEPS_ITS_NAME[command]
    shown = run_installed(installed, tmp_path, command, *given, "--cfg", "job")
    assert shown.returncode == 0 and "runs_dir: runs" in shown.stdout, shown.stderr
    said = run_installed(installed, tmp_path, command, "--help")
    assert f"semtalk {command} " in said.stdout and ".py" not in said.stdout, said.stderr


def test_an_installed_package_keeps_runs_and_data_in_the_current_folder(installed, tmp_path):
    said = run_installed(installed, tmp_path, "prepare", "experiment=smoke", "data.speakers=1", "data.take_seconds=6")
    assert said.returncode == 0, said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data"] and "recordings are in data/" in said.stdout


def test_errors_name_the_command_that_can_be_called(installed, tmp_path):
    assert "`semtalk train stage=rvqvae`" in run_installed(installed, tmp_path, "eval").stderr
    assert run_installed(installed, tmp_path, "trian").stderr.startswith("error: trian: there is no such command; ")


def test_the_console_command_says_what_there_is_without_importing_anything_heavy(installed, tmp_path):
    said = run_program("-X", "importtime", "-m", "semtalk", "--help", cwd=tmp_path, PYTHONPATH=str(installed))
    assert all(f"semtalk {name}" in said.stdout for name in COMMANDS)
    assert not {"hydra", "omegaconf", "pydantic", "numpy", "torch"} & set(re.findall(r"[\w.]+$", said.stderr, re.M))


def test_processes_of_further_devices_are_started_with_the_whole_command(monkeypatch):
    seen = []
    monkeypatch.setattr("semtalk.run.command", lambda function, name, config: seen.extend([name, *sys.argv]))
    monkeypatch.setattr(sys, "argv", ["semtalk", "eval", "seed=3"])
    composed("eval", list(sys.argv))
    assert seen == ["eval", "semtalk", "eval", "seed=3"]
