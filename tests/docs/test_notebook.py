"""docs/your_voice.ipynb: a valid notebook whose cells run one after another, in a folder that is no checkout."""

import json
import re
import shutil

import pytest
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


@pytest.fixture
def place(smoke, tmp_path):
    """A folder as the notebook and the pages expect it: with a run, a second of a voice, and Jupyter's player."""
    shutil.copytree(smoke[0] / "runs" / "smoke", tmp_path / "runs" / "sample_small")
    for name in ("examples", "docs", "IPython"):
        (tmp_path / name).mkdir()
    wave, rate = soundfile.read(ROOT / "examples" / "spoken.flac")
    for name in ("examples/spoken.flac", "voice.wav"):
        soundfile.write(tmp_path / name, wave[:rate], rate)
    (tmp_path / "IPython" / "display.py").write_text(PLAYER)
    return tmp_path


def test_every_cell_runs(place):
    said = run_program("-c", RUN, str(PATH), cwd=place / "docs", PYTHONPATH=f"{ROOT}:{place}").stdout
    made = place / "docs" / "your_voice"
    assert "speakers: [1, 2]" in said and "poses (30, 55, 3)" in said and "psi (8,)" in said
    assert re.search(r"1.0 s: \w+", said) and re.search(r"differ by \d", said) and "jaw and loudness" in said
    assert video_frames(made / "voice.mp4") == len(load_motion(made / "voice.npz")) == 30
    assert "Frames: 30" in (made / "voice.bvh").read_text() and (made / "voice.glb").read_bytes()[:4] == b"glTF"


def test_the_python_of_the_readme_and_of_your_voice_runs(place):
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/voice.md"))
    blocks = re.findall(r"```python\n(.*?)```", pages, flags=re.S)
    said = run_program("-c", "\n".join([*blocks, "print(len(frames))"]), cwd=place, PYTHONPATH=str(ROOT)).stdout
    assert len(blocks) == 3 and said == "14\n", "of 30 frames, those that the hop at 24 held back"
    assert len(load_motion(place / "out.npz")) == 30
