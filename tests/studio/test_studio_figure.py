"""What the studio's page shows of a figure, by its own script in Node, where that is."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from conftest import ROOT
from made_head import write_head

from semtalk.face.mesh import GROUPS
from semtalk.face.talk import free_face
from semtalk.generation.writers import write_glb
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import JAW

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


@pytest.mark.skipif(NODE is None, reason="there is no node here")
def test_who_comes_nearer_to_two_keeps_both_in_the_picture():
    program = """
        const text = require("fs").readFileSync(process.argv[1], "utf8");
        import("data:text/javascript," + encodeURIComponent(text)).then(({ stands }) => {
          console.log(JSON.stringify([2, 1, 0.5, 0.3].map((zoom) => [zoom, stands(0, 2, zoom), stands(1, 2, zoom)])));
        });
    """
    said = subprocess.run([NODE, "-e", program, str(SCRIPT)], capture_output=True, text=True, check=True).stdout
    places = {zoom: (left, right) for zoom, left, right in json.loads(said)}
    assert places[1] == places[2] == (-places[1][1], places[1][1]) and places[1][1] > 0.5
    for zoom in (0.5, 0.3):  # what is seen is so many times as wide
        assert places[zoom] == pytest.approx([zoom * place for place in places[1]])


@pytest.mark.skipif(NODE is None, reason="there is no node here")
def test_the_figure_has_the_face_of_its_glb_and_its_shapes_move_it(tmp_path, monkeypatch, body):
    monkeypatch.syspath_prepend(write_head(tmp_path / "site"))
    poses, still = np.zeros((9, 55, 3), np.float32), np.zeros((9, 3), np.float32)
    poses[:, JAW, 0] = np.linspace(0, 0.3, 9)
    motion = Motion(poses, np.zeros((9, 100), np.float32), still, np.zeros(300, np.float32))
    face = free_face(body, corpus="sample")
    write_glb(tmp_path / "a.glb", motion, body, face)
    program = """
        const fs = require("fs"), text = fs.readFileSync(process.argv[1], "utf8");
        import("data:text/javascript," + encodeURIComponent(text)).then(({ readGlb, shaped }) => {
          const figure = readGlb(new Uint8Array(fs.readFileSync(process.argv[2])).buffer);
          console.log(JSON.stringify(figure.parts.map((part) => ({
            own: part.colour !== null, still: [...part.positions],
            moved: part.shapes.length ? [...shaped(part, figure, 7.5)] : null,
          }))));
        });
    """
    command = [NODE, "-e", program, str(SCRIPT), str(tmp_path / "a.glb")]
    wood, *parts = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert wood["moved"] is None and not wood["own"] and [part["own"] for part in parts].count(False) == 1, "the skin"
    talk = face.talk(motion, body.rest_joints(torch.zeros(300)).numpy())
    weights = (talk.weights[7] + talk.weights[8]) / 2
    groups = talk.mesh.groups[talk.mesh.faces[:, 0]]
    used = [np.unique(talk.mesh.faces[groups == number]) for number in range(len(GROUPS)) if (groups == number).any()]
    assert len(used) == len(parts)
    for vertices, part in zip(used, parts, strict=True):
        expected = np.einsum("k,kvc->vc", weights, talk.mesh.shapes[:, vertices])
        got = np.reshape(part["moved"], (-1, 3)) - np.reshape(part["still"], (-1, 3))
        assert np.allclose(got, expected, atol=1e-6)
    assert np.abs(np.einsum("k,kvc->vc", weights, talk.mesh.shapes)).max() > 0.005, "the mouth opens"
