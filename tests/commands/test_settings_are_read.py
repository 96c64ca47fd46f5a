"""No setting is there for nothing: what the commands do not read is found."""

import shutil
from unittest import mock

import numpy as np
import soundfile
from conftest import READ, run_command

from semtalk.settings.check import models_of
from semtalk.settings.commands import COMMANDS
from semtalk.studio.session import Session

ELSEWHERE = {"name", "reader", "store", "data_dir"}
"""Of an option's file, what its name is known by, and what other keys are made of."""


def home(model, name: str):
    """The model that defines a field which others inherit."""
    return next(one for one in reversed(model.__mro__) if name in getattr(one, "model_fields", {}))


def fields(model, seen: set):
    """(model, field) of everything that a command takes and that holds no further fields."""
    for name, field in model.model_fields.items():
        inner = models_of(field.annotation)
        if not inner:
            seen.add((home(model, name), name))
        for one in inner:
            fields(one, seen)
    return seen


def test_every_setting_is_read(smoke, tmp_path):
    folder, arguments = smoke
    run_command("train.py", *arguments, "stage=alignment", f"runs_dir={tmp_path}/runs")
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).normal(size=32000), 16000)
    run_command("eval.py", *arguments, "video_seconds=0.3", "metrics=extended", f"out={tmp_path}/eval")
    run_command("eval.py", f"compare=[{tmp_path}/eval,{tmp_path}/eval]", f"out={tmp_path}/compare")
    run_command("generate.py", *arguments, f"audio={tmp_path}/a.wav", "transcript=none", "video_seconds=0.3",
                "format=arkit", f"out={tmp_path}/made")  # fmt: skip
    run_command("scripts/live.py", *arguments, f"audio={tmp_path}/a.wav", "play=false")
    np.save(tmp_path / "speed.npy", np.ones(55))
    made = [f"motions={tmp_path}/made", f"truth={tmp_path}/made", f"audio={tmp_path}/a.wav"]
    run_command("eval.py", *made, f"mean_speed={tmp_path}/speed.npy", f"out={tmp_path}/folder")
    run_command("scripts/export_genea.py", *arguments, f"out={tmp_path}/export")
    (tmp_path / "cut.csv").write_text("file_name,start_seconds,end_seconds,duration_seconds\na,0,0.2,0.2\n")
    run_command("scripts/export_genea.py", f"segments={tmp_path}/cut.csv", *made[::2], "video=false")
    shutil.copytree(tmp_path / "made", tmp_path / "other")
    new = [f"methods=[{tmp_path}/made]", f"truth={tmp_path}/other", f"audio={tmp_path}/a.wav", f"out={tmp_path}/study"]
    with mock.patch("semtalk.study.make.make_study"), mock.patch("semtalk.study.server.serve"):
        run_command("scripts/study.py", *new, "seconds=1", "questions=[realism]", "clips=1")
        run_command("scripts/study.py", *new, f"segments={tmp_path}/cut.csv", "questions=[realism]")
    for key in ("report", "export"):
        run_command("scripts/study.py", f"{key}=/nowhere", check=False)
    with mock.patch("semtalk.commands.studio.find_spec"), mock.patch("semtalk.studio.server.StudioServer") as server:
        run_command("scripts/studio.py", *arguments, f"beside={folder}/runs/smoke")
    engine = server.call_args.args[0]
    assert engine.hears() is None or engine.other
    Session(engine, tmp_path / "session").sound(tmp_path / "a.wav")
    run_command("scripts/prepare.py", *arguments, "report=true")
    for data in ("beat2", "show"):
        run_command("train.py", f"data={data}", "data.root=/nowhere", "dry_run=true", "stage=fgd", check=False)
    known = set().union(*(fields(model, set()) for model in COMMANDS.values()))
    unread = known - {(home(model, name), name) for model, name in READ}
    assert not [f"{owner.__name__}.{name}" for owner, name in unread if name not in ELSEWHERE]


def test_an_unread_setting_would_be_found():
    from semtalk.settings.common import Settings

    class Lonely(Settings):
        never: int
        read: int

    lonely = Lonely(never=1, read=2)
    assert lonely.read == 2
    assert (Lonely, "read") in READ and (Lonely, "never") not in READ
