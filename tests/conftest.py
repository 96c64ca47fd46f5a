"""Fixtures: composed configurations, a tiny corpus, and a run that went through the real command line.

``SEMTALK_TEST_THREADS`` (1) and ``SEMTALK_TEST_PRECISION`` (32-true or bf16-mixed, in the place of what ``auto`` picks)
say what tests run on; see ``make test-portable``.
"""

import os

THREADS = os.environ.get("SEMTALK_TEST_THREADS", "1")  # test processes share the cores
os.environ["OMP_NUM_THREADS"] = THREADS  # before anything loads it

import contextlib
import functools
import io
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
import torch
from filelock import FileLock
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from semtalk import run
from semtalk.commands import evaluate, genea, generate, live, prepare, studio, study, train
from semtalk.settings import compose
from semtalk.settings.common import Settings
from semtalk.tasks import speed

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(int(THREADS))
PRECISION = os.environ.get("SEMTALK_TEST_PRECISION")


def _force_precision() -> None:
    chosen = speed.fast_in_bf16
    assert PRECISION in ("32-true", "bf16-mixed"), f"SEMTALK_TEST_PRECISION={PRECISION}"
    speed.fast_in_bf16 = functools.wraps(chosen)(lambda device: PRECISION == "bf16-mixed")


if PRECISION is not None:
    _force_precision()

# Two processes that fill one empty numba cache at once can crash each other: each test process keeps one of its own.
os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "numba" / os.environ.get("PYTEST_XDIST_WORKER", "alone"))


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
    "train.py": (train.train, "train"),
    "eval.py": (evaluate.evaluate, "eval"),
    "generate.py": (generate.generate, "generate"),
    "scripts/prepare.py": (prepare.prepare_corpus, "prepare"),
    "scripts/label_semantics.py": (prepare.label_semantics, "generate"),
    "scripts/fetch.py": (train.fetch, "train"),
    "scripts/export_genea.py": (genea.export_genea, "genea"),
    "scripts/study.py": (study.study, "study"),
    "scripts/live.py": (live.send_live, "live"),
    "scripts/studio.py": (studio.studio, "studio"),
}


def run_command(script: str, *overrides: str, check: bool = True, **environment: str) -> Said:
    """Run a command in this process, as its script does: starting a new one takes seconds."""
    out, said, status = io.StringIO(), "", 0
    function, name = COMMANDS[script]
    with mock.patch.dict(os.environ, {"COLUMNS": "160", **environment}), contextlib.redirect_stdout(out):
        try:

            def main() -> None:
                with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
                    config = hydra_compose(name, overrides=sys.argv[1:])
                run.command(function, name, config)

            with mock.patch.object(sys, "argv", [script, *overrides]):
                run.start(main, name)
        except SystemExit as error:
            said, status = str(error), 1
        except HydraException as error:
            said, status = str(error), 1
    if check:
        assert status == 0, f"{script} {overrides}\n{out.getvalue()[-3000:]}\n{said}"
    return Said(status, out.getvalue(), said)


def run_script(script: str, *arguments: str, check: bool = True) -> Said:
    """Run a script that reads its own arguments, in this process."""
    out, said, status = io.StringIO(), "", 0
    with mock.patch.object(sys, "argv", [script, *arguments]), contextlib.redirect_stdout(out):
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as error:
            said, status = str(error), 1
    if check:
        assert status == 0, f"{script} {arguments}\n{out.getvalue()[-3000:]}\n{said}"
    return Said(status, out.getvalue(), said)


def run_program(
    *arguments: str, cwd: Path = ROOT, check: bool = True, **environment: str
) -> subprocess.CompletedProcess:
    """Run a script as a user does, in a process of its own."""
    result = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True,
        env=os.environ | {"COLUMNS": "160", "OMP_NUM_THREADS": THREADS} | environment, check=False,
    )  # fmt: skip
    if check:
        assert result.returncode == 0, f"{arguments}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result


READ: set[tuple[type, str]] = set()
"""Model and field of every setting that the code has read in this process; reading it to check it does not count."""


def video_frames(path: Path) -> int:
    """How many pictures a video has."""
    import av

    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))


def _record_reads() -> None:
    look, walk = Settings.__getattribute__, Settings.__iter__

    def recorded(self, name: str):
        model = type(self)
        if name in model.model_fields:
            checks = model.__pydantic_decorators__.model_validators
            if sys._getframe(1).f_code.co_name not in checks:
                READ.add((model, name))
        return look(self, name)

    def walked(self):
        READ.update((type(self), name) for name in type(self).model_fields)
        return walk(self)

    Settings.__getattribute__, Settings.__iter__ = recorded, walked


_record_reads()


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
    from semtalk.data.preparation import prepare

    return prepare(corpus, compose().features, body, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Folder of the run of `train.py` in all stages; test processes share it, the first that asks for it trains it.

    It lies in ``SEMTALK_TRAINED``, where that is set, and is used again.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = Path(os.environ.get("SEMTALK_TRAINED", shared)) / "trained"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            places = ["experiment=smoke", f"runs_dir={folder}/runs", f"data_dir={folder}/data"]
            for stage in ("rvqvae", "semtalk"):
                run_command("train.py", f"stage={stage}", *places, f"trainer.precision={PRECISION or '32-true'}")
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def smoke(trained, tmp_path_factory) -> tuple[Path, list[str]]:
    """This process's copy of the trained run: its folder, and the arguments that find it."""
    folder = tmp_path_factory.mktemp("smoke")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    places = [f"runs_dir={folder}/runs", f"data_dir={folder}/data"]
    return folder, ["experiment=smoke", *places, f"trainer.precision={PRECISION or '32-true'}"]
