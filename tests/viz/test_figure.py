"""Drawing, by one process and by several."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run_program, video_frames

from semtalk import SemTalkError
from semtalk.motion.io import Motion
from semtalk.viz import figure
from semtalk.viz.figure import draw_motions
from semtalk.viz.stage import Stage

SIZE = (96, 64)
SCRIPT = """
import sys
import numpy as np
from semtalk.motion.io import Motion
from semtalk.viz.video import Scene, write_video

print("the script runs")
motion = Motion(np.zeros((26, 55, 3)), np.zeros((26, 100)), np.zeros((26, 3)), np.zeros(300))
write_video(Scene({"still": motion}, np.zeros(16000), None, 0.5), "still.mp4", processes=2, quiet=True)
"""


def moving(frames: int) -> Motion:
    """A figure whose arm goes up."""
    poses = np.zeros((frames, 55, 3), np.float32)
    poses[:, 16, 2] = np.linspace(-1, 1, frames)
    return Motion(poses, np.zeros((frames, 100)), np.zeros((frames, 3)), np.zeros(300))


@pytest.mark.parametrize("way", ["script", pytest.param("standard input", marks=pytest.mark.slow)])
def test_a_video_is_written_by_a_script_without_a_guard_that_is_run_once(tmp_path, way):
    (tmp_path / "script.py").write_text(SCRIPT)
    if way == "script":
        said = run_program("script.py", cwd=tmp_path, PYTHONPATH=str(ROOT)).stdout
    else:  # where there is no file that another process could run, as in a notebook
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        said = subprocess.run(
            [sys.executable], input=SCRIPT, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout
    assert said == "the script runs\n" and video_frames(tmp_path / "still.mp4") == 26


def test_several_processes_draw_what_one_does_in_order():
    motion = moving(2 * figure.BATCH + 3)
    one, two = (list(draw_motions([motion], len(motion), SIZE, processes)) for processes in (1, 2))
    assert len(one) == len(motion) and all(np.array_equal(*pictures) for pictures in zip(one, two, strict=True))
    assert not np.array_equal(one[0], one[-1])


def test_a_process_that_fails_is_one_sentence(monkeypatch, capfd):
    monkeypatch.setattr(figure, "FigureRenderer", None)
    monkeypatch.setattr(figure, "stage", lambda *_: Stage((0, "wide"), (0, 0, 0, 0), (), ()))
    motion = moving(2 * figure.BATCH)
    with pytest.raises(SemTalkError, match=r"ended with status 1.*video=false"):
        list(draw_motions([motion], len(motion), SIZE, 2))
    assert "Error" in capfd.readouterr().err


def test_processes_end_where_nobody_looks_any_more(monkeypatch):
    started = []
    start = figure.Drawer.__init__

    def seen(drawer, *arguments):
        start(drawer, *arguments)
        started.append(drawer.process)

    monkeypatch.setattr(figure.Drawer, "__init__", seen)
    motion = moving(3 * figure.BATCH)
    pictures = draw_motions([motion], len(motion), SIZE, 2)
    next(pictures)
    pictures.close()
    assert len(started) == 2 and all(process.poll() is not None for process in started)


def test_processes_end_with_one_that_was_killed(tmp_path):
    program = (
        "import os\nfrom semtalk.viz.figure import Drawer, stage\ndrawer = Drawer([], stage(1, (8, 8)))\n"
        "print(drawer.process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    said = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    for _ in range(600):
        try:
            if Path(f"/proc/{int(said.stdout)}/stat").read_text().split()[2] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.1)
    os.kill(int(said.stdout), signal.SIGKILL)
    pytest.fail("it outlives its parent by a minute")
