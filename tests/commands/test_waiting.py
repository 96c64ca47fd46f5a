"""Threads that wait are put to sleep soon, which is settled before torch is loaded."""

import runpy
import sys
from unittest import mock

import pytest
from conftest import ROOT, run_program

from semtalk import __main__, run
from semtalk.threads import wait_briefly


@pytest.mark.parametrize(
    ("own", "then"),
    [
        ({}, {"GOMP_SPINCOUNT": "1000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_threads_wait_briefly_unless_the_user_says_how(own, then):
    wait_briefly(own)
    assert own == then


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_how_threads_wait_is_settled_before_torch_is_loaded(name):
    look = f"print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('{name}'), 'torch' in sys.modules)"
    program = f"import os, sys; from semtalk.run import start; start(lambda: {look}, 'train')"
    clean = "import os; [os.environ.pop(name, None) for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')]; "
    assert run_program("-c", clean + program).stdout.split()[::2] == ["1000", "False"]
    own = run_program("-c", f"{clean}os.environ['{name}'] = 'passive'; {program}").stdout.split()
    assert own[1:] == ["passive", "False"] and own[0] != "1000"


@pytest.mark.parametrize(
    "script",
    [
        "train.py",
        "eval.py",
        "generate.py",
        "scripts/prepare.py",
        "scripts/label_semantics.py",
        "scripts/export_genea.py",
        "scripts/study.py",
        "scripts/live.py",
        "scripts/studio.py",
    ],
)
def test_every_script_begins_there(script):
    with mock.patch.object(run, "start") as start, mock.patch.object(sys, "argv", [script]):
        runpy.run_path(str(ROOT / script), run_name="__main__")
    start.assert_called_once()


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_every_console_command_begins_there(name):
    with mock.patch.object(run, "start") as start, mock.patch.object(sys, "argv", ["semtalk", name]):
        __main__.main()
    start.assert_called_once()
