"""What the studio's page shows of a figure, by its own script in Node, where that is."""

import json
import shutil
import subprocess

import pytest
from conftest import ROOT

NODE = shutil.which("node")
SCRIPT = ROOT / "semtalk" / "studio" / "static" / "figure.js"
HEAD = (1.42, 1.72)
"""Metres above the floor where the chin and the top of the figure's head are, about."""


@pytest.mark.skipif(NODE is None, reason="there is no node here")
def test_who_comes_nearer_comes_to_the_face():
    program = """
        const text = require("fs").readFileSync(process.argv[1], "utf8");
        import("data:text/javascript," + encodeURIComponent(text)).then(({ lookedAt, NEAREST }) => {
          const zooms = [1, 0.8, 0.6, 0.4, NEAREST];
          console.log(JSON.stringify(zooms.map((zoom) => [zoom, lookedAt(zoom)])));
        });
    """
    said = subprocess.run([NODE, "-e", program, str(SCRIPT)], capture_output=True, text=True, check=True).stdout
    seen = [(middle - zoom, middle + zoom) for zoom, middle in json.loads(said)]  # a zoom of 1 shows 2 m
    assert all(low < HEAD[0] and HEAD[1] < high for low, high in seen), "at each step it is in the picture"
    assert HEAD[1] - HEAD[0] > 0.4 * (seen[-1][1] - seen[-1][0]), "and fills it in the end"
    assert seen[0][0] < 0 and seen[0][1] > 1.8, "from afar the whole figure is seen"
