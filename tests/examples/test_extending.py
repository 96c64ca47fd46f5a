"""docs/extending.md and the examples: every block of the page runs, from top to bottom, on a smaller corpus."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, run_command

from semtalk.motion.io import Motion, save_motion

BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), flags=re.S)
SMALL = [
    "data.speakers=1",
    "data.take_seconds=5",
    "model.rvqvae.width=32",
    "model.rvqvae.latent=32",
    "model.rvqvae.codes=64",
    "model.network.width=32",
    "model.network.face_layers=1",
    "model.network.audio_layers=1",
    "recipe.validations=1",
    "recipe.rollout_seconds=0",
    "recipe.rvqvae.steps=3",
    "recipe.translation.steps=3",
    "recipe.fgd.steps=3",
    "recipe.base.steps=3",
    "recipe.sparse.steps=3",
]


def write_takes(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for index in range(12):
        poses = 0.05 * rng.normal(size=(150, 55, 3)).cumsum(axis=0) / 12
        motion = Motion(
            *(a.astype(np.float32) for a in (poses, rng.normal(size=(150, 100)), np.zeros((150, 3)), np.zeros(300)))
        )
        save_motion(folder / f"take{index:02}.npz", motion)
        soundfile.write(folder / f"take{index:02}.wav", 0.1 * rng.normal(size=80000), 16000)


def run_line(line: str) -> str:
    """One command of the page, on the small corpus; what it prints."""
    script, *arguments = shlex.split(line.removeprefix("PYTHONPATH=examples ").removeprefix("python "))
    if arguments[:1] == ["--config-dir"]:
        arguments[:2] = [f"hydra.searchpath=[file://{Path(arguments[1]).resolve()}]"]
    own = [one for one in SMALL if not ("data=folder" in arguments and one.startswith("data."))]
    own = [] if "compare" in line else own
    if "seeds=[0,1]" not in arguments:
        return run_command(script, *arguments, *own).stdout
    said = ""
    for seed in "01":  # what Hydra's multirun does, in this process
        job = [one.replace("seeds=[0,1]", f"seed={seed}") for one in arguments] + ["seed_in_name=true"]
        said += run_command(script, *job, *own).stdout
    return said


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page's blocks, run in an empty folder with the examples beside it; what commands printed, by command."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "examples", folder / "examples")
    write_takes(folder / "takes")
    before, said, names = Path.cwd(), {}, {"__name__": "page"}
    sys.path.insert(0, str(ROOT / "examples"))
    os.chdir(folder)
    try:
        for kind, block in BLOCKS:
            if kind == "bash":
                said |= {line: run_line(line) for line in block.strip().splitlines()}
            else:
                block = block.replace('compose("train", ', f'compose("train", *{SMALL!r}, ')
                block = block.replace("SampleDataModule(", "SampleDataModule(speakers=1, take_seconds=5.0, ")
                exec(compile(block, "docs/extending.md", "exec"), names)
    finally:
        os.chdir(before)
        sys.path.remove(str(ROOT / "examples"))
    return folder, said, names


def said_by(said: dict[str, str], *words: str) -> str:
    return next(text for line, text in said.items() if all(word in line for word in words))


def test_the_page_runs(page):
    folder, said, names = page
    assert "10 of 12" not in said_by(said, "prepare.py") and "12 of 12 recordings" in said_by(said, "prepare.py")
    assert (folder / "edited.npz").is_file() and (folder / "runs" / "script" / "rvqvae_upper" / "best.ckpt").is_file()
    assert "base alone makes the motion" in said_by(said, "eval.py", "gru") and "reach m" in said_by(said, "REACH")
    rows = "speakers that keep their row: none; those that begin as the mean of its 1: 9."
    assert rows in said_by(said, "init=runs/sample_small")
    assert (folder / "runs" / "compare" / "compare.json").is_file()
    assert "FGD is left out" not in said_by(said, "compare="), "the embedder is shared"


def test_a_loss_on_decoded_motion_reaches_the_network(page):
    from semtalk.data.windows import WindowDataset

    names = page[2]
    store, task = names["data"].store, names["task"]
    batch = WindowDataset(store, store.split("val"), 20).__getitems__([0, 1])
    task.network.zero_grad()
    task.losses(batch)["decoded"].backward()
    assert sum(p.grad.abs().sum() for p in task.network.parameters() if p.grad is not None) > 0


def test_an_edited_score_moves_what_it_should(page):
    names = page[2]
    result, edited, psi = names["result"], names["edited"], names["psi"]
    assert np.array_equal(edited.codes["face"][:4], result.codes["face"][:4]), "the face is base's alone"
    assert psi.sum() == 3 and result.codes["hands"].shape[0] == len(psi) == len(result.latents["hands"])
