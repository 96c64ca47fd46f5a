"""Files and folders of names that mean something to Hydra, to the screen or to FFmpeg go through every command."""

import os
import shutil

import numpy as np
import pytest
import soundfile
from conftest import ROOT, run_command, run_program, video_frames
from tiny import voice

from semtalk.motion.io import load_motion

ODD = "it's [red] ${x}: (1)=a, ünï"
NAMES = [
    "my voice (1)",
    "a,b",
    "it's",
    "x=y",
    "ünï çödé 中文",
    "[z]",
    "${oops}",
    "#hash",
    "~t",
    "a:b",
    "new\nline",
]


@pytest.fixture
def odd(smoke, tmp_path, monkeypatch):
    """A folder of an odd name, which is the working directory, with the trained run in it."""
    folder = tmp_path / ODD
    shutil.copytree(smoke[0] / "runs" / "smoke", folder / ODD)
    monkeypatch.chdir(folder)
    return folder


def test_generate_takes_and_writes_any_name(odd):
    for name in [*NAMES, "x" * 251]:
        soundfile.write((odd / f"{name}.wav").open("wb"), voice(0.3), 16000, format="WAV")
    (odd / "[words]").mkdir()
    for name in NAMES:
        (odd / "[words]" / f"{name}.txt").write_text("hello there")
    made, out = ["experiment=smoke", f"ckpt={ODD}", "seed=1"], odd / "o: ${u}"
    listed = ",".join(f"{name}.wav" for name in NAMES)
    words = [f"audio=[{listed}]", "transcript=[words]", "out=o: ${u}", "video=false"]
    said = run_command("generate.py", *made, *words).stdout
    for name in NAMES:
        assert len(load_motion(out / f"{name}.npz")) == 9 and f"{name}: 9 frames" in said
    run_command("generate.py", *made, "audio=a:b.wav", "out=o: ${u}", "format=[bvh,glb]", "video_seconds=0.1")
    assert video_frames(out / "a:b.mp4") == 3
    assert all((out / f"a:b.{kind}").stat().st_size for kind in ("bvh", "glb", "png"))
    shutil.copy(out / "a,b.npz", "it's, [1].npz")
    one = ["motion=it's, [1].npz", "betas=it's, [1].npz", "transcript=[words]/${oops}.txt", "out=o[1]", "video=false"]
    run_command("generate.py", *made, f"audio={'x' * 251}.wav", *one)
    assert load_motion(odd / "o[1]" / f"{'x' * 251}.npz") and not list((odd / "o[1]").glob(".*"))


def test_a_name_that_is_no_text_is_written_as_it_is(odd):
    """In a process of its own: what it prints of the name cannot go into the report of a test process."""
    name = os.fsdecode(b"\xff")
    soundfile.write((odd / f"{name}.wav").open("wb"), voice(0.3), 16000, format="WAV")
    words = ["experiment=smoke", f"ckpt={ODD}", f"audio={name}.wav", "out=o", "transcript=none", "video=false"]
    said = run_program(str(ROOT / "generate.py"), *words, cwd=odd, PYTHONPATH=str(ROOT)).stdout
    assert "\\udcff: 9 frames" in said
    assert [path.stem.encode(errors="surrogateescape") for path in (odd / "o").glob("*.npz")] == [b"\xff"]


def test_folders_of_motion_have_any_name(odd, body):
    from semtalk.motion.io import Motion, save_motion

    rng = np.random.default_rng(0)
    for name in NAMES[:4]:
        poses = 0.1 * rng.normal(size=(90, 55, 3)).cumsum(0) / 10
        save_motion(odd / "m (1)" / f"{name}.npz", Motion(poses, np.zeros((90, 100)), np.zeros((90, 3)), np.zeros(300)))
        soundfile.write(odd / f"{name}.wav", voice(3.0), 16000)
    np.save("s=[1].npy", np.ones(55))
    run_command(
        "eval.py", "motions=m (1)", f"truth={odd}/m (1)", f"audio={odd}", "mean_speed=s=[1].npy", f"embedder={ODD}",
        "out=#e",
    )  # fmt: skip
    assert (odd / "#e" / "metrics.json").is_file()
    run_command("eval.py", "compare=[#e,#e]", "out=~c")
    assert (odd / "~c" / "compare.json").is_file()


def test_training_writes_into_folders_of_any_name(odd, smoke):
    shutil.copytree(smoke[0] / "data", odd / "d: [x]")
    said = run_command(
        "train.py", "experiment=smoke", "stage=fgd", "recipe.fgd.steps=1", "runs_dir=r: [x], ${y}", "data_dir=d: [x]",
        "trainer.precision=32-true",
    ).stdout  # fmt: skip
    assert (odd / "r: [x], ${y}" / "smoke" / "fgd" / "best.ckpt").is_file()
    assert "Trained r: [x], ${y}/smoke" in said
