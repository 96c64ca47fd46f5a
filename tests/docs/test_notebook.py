"""docs/your_voice.ipynb: a valid notebook whose cells run one after another, in a folder that is no checkout."""

import json
import re
import shutil

import soundfile
from conftest import ROOT, run_program, video_frames

from semtalk.motion.io import load_motion

PATH = ROOT / "docs" / "your_voice.ipynb"
NOTEBOOK = json.loads(PATH.read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
PLAYER = '''
from pathlib import Path


class Video:
    """What Jupyter's own takes and shows."""

    def __init__(self, data=None, url=None, filename=None, embed=False, mimetype=None, width=None, height=None):
        assert Path(filename).read_bytes()[4:8] == b"ftyp"
'''
RUN = """
import json, sys
names = {}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
"""


def test_the_notebook_is_one_of_ten_cells_without_outputs():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5) and set(NOTEBOOK) == {
        "cells", "metadata", "nbformat", "nbformat_minor",
    }  # fmt: skip
    assert len(CODE) == 10
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]{1,64}", one) for one in ids)
    for cell in NOTEBOOK["cells"]:
        own = {"outputs", "execution_count"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"id", "cell_type", "metadata", "source"} | own
        assert all(isinstance(line, str) for line in cell["source"])
        assert not cell.get("outputs") and cell.get("execution_count") is None


def test_every_cell_runs(smoke, tmp_path):
    shutil.copytree(smoke[0] / "runs" / "smoke", tmp_path / "runs" / "sample_small")
    (tmp_path / "examples").mkdir()
    wave, rate = soundfile.read(ROOT / "examples" / "spoken.flac")
    soundfile.write(tmp_path / "examples" / "spoken.flac", wave[: int(1.5 * rate)], rate)
    (tmp_path / "IPython").mkdir()
    (tmp_path / "IPython" / "display.py").write_text(PLAYER)
    (tmp_path / "docs").mkdir()
    said = run_program("-c", RUN, str(PATH), cwd=tmp_path / "docs", PYTHONPATH=f"{ROOT}:{tmp_path}").stdout
    made = tmp_path / "docs" / "your_voice"
    assert "speakers: [1, 2]" in said and "poses (45, 55, 3)" in said and "psi (12,)" in said
    assert re.search(r"1.5 s: \w+", said) and re.search(r"differ by \d", said) and "jaw and loudness" in said
    assert video_frames(made / "voice.mp4") == len(load_motion(made / "voice.npz")) == 45
    assert "Frames: 45" in (made / "voice.bvh").read_text() and (made / "voice.glb").read_bytes()[:4] == b"glTF"
