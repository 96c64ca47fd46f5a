"""Fixtures: composed configurations, a tiny corpus, and a run that went through the real command line."""

import atexit
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
import torch
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from semtalk import run
from semtalk.settings import compose

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)

# Two processes that fill one empty numba cache at once can crash each other: each test process has its own.
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba-")
atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)


def plain(name: str = "train", *overrides: str) -> dict:
    """A composed configuration before it is checked."""
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return OmegaConf.to_container(hydra_compose(name, overrides=list(overrides)), resolve=True)


class Said(NamedTuple):
    """What a command printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


COMMANDS = {
    "train.py": (run.train, "train"), "eval.py": (run.evaluate, "eval"), "generate.py": (run.generate, "generate"),
    "scripts/prepare.py": (run.prepare_corpus, "prepare"),
    "scripts/label_semantics.py": (run.label_semantics, "generate"),
}  # fmt: skip


def run_command(script: str, *overrides: str, check: bool = True, **environment: str) -> Said:
    """Run a command in this process, as its script does: starting a new one takes seconds."""
    out, said, status = io.StringIO(), "", 0
    function, name = COMMANDS[script]
    with mock.patch.dict(os.environ, {"COLUMNS": "160", **environment}), contextlib.redirect_stdout(out):
        try:
            with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
                config = hydra_compose(name, overrides=list(overrides))
            run.command(function, name, config)
        except SystemExit as error:
            said, status = str(error), 1
        except HydraException as error:
            said, status = str(error), 1
    if check:
        assert status == 0, f"{script} {overrides}\n{out.getvalue()[-3000:]}\n{said}"
    return Said(status, out.getvalue(), said)


def run_program(
    *arguments: str, cwd: Path = ROOT, check: bool = True, **environment: str
) -> subprocess.CompletedProcess:
    """Run a script as a user does, in a process of its own."""
    result = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True,
        env=os.environ | {"COLUMNS": "160", "OMP_NUM_THREADS": "1"} | environment, check=False,
    )  # fmt: skip
    if check:
        assert result.returncode == 0, f"{arguments}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result


@pytest.fixture(scope="session")
def real_data() -> Path:
    path = os.environ.get("SEMTALK_REAL_DATA")
    if not path:
        pytest.skip("set SEMTALK_REAL_DATA to a folder with a real BEAT2 take to run this test")
    return Path(path)


@pytest.fixture(scope="session")
def body():
    from semtalk.body import load_body

    return load_body(None)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    from semtalk.data.sample import SampleCorpus

    return SampleCorpus(str(tmp_path_factory.mktemp("corpus") / "sample"), seed=3, speakers=1, take_seconds=6.0)


@pytest.fixture(scope="session")
def store(corpus, body, tmp_path_factory):
    from semtalk.data.prepare import prepare

    return prepare(corpus, compose().features, body, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> tuple[Path, list[str]]:
    """A run through `train.py` in all stages; its folder and the arguments that find it."""
    folder = tmp_path_factory.mktemp("smoke")
    arguments = ["experiment=smoke", f"runs_dir={folder}/runs", f"data_dir={folder}/data"]
    for stage in ("rvqvae", "semtalk"):
        run_command("train.py", f"stage={stage}", *arguments)
    return folder, arguments
