"""Swap points: what a package offers in the place of a built-in word, and what a loaded run may name."""

import importlib
import shutil
import sys

import pytest
import torch
from conftest import run_command

from semtalk import SemTalk, SemTalkError, compose
from semtalk.body import load_body
from semtalk.data.open import open_corpus
from semtalk.features.extract import build_encoder
from semtalk.tasks.checkpoint import load_network
from semtalk.tasks.phases import build_network

HOSTILE = """
import pathlib
pathlib.Path({mark!r}).touch()
from semtalk.models import BaseMotionNetwork as Network
from semtalk.features.offline import LogMel as Encoder
from semtalk.body.stand_in import StandInBody


class Body(StandInBody):
    def __init__(self, path):
        super().__init__()
        self.path = path
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that leaves a mark when it is imported; returns the mark."""
    (tmp_path / "elsewhere.py").write_text(HOSTILE.format(mark=str(tmp_path / "imported")))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "imported"
    sys.modules.pop("elsewhere", None)


def renamed(smoke, tmp_path, phase: str, *path: str):
    """A copy of the trained run in whose checkpoint of a phase a key names the package."""
    run = tmp_path / "run"
    shutil.copytree(smoke[0] / "runs" / "smoke", run)
    file = run / phase / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    inner = checkpoint["semtalk"]["config"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "elsewhere:" + ("Encoder" if path[-1] == "encoder" else "Network")
    torch.save(checkpoint, file)
    return run


@pytest.mark.parametrize(
    ("phase", "path"),
    [
        ("base", ("model", "base", "network")),
        ("sparse", ("features", "slots", "hubert", "encoder")),
    ],
)
def test_a_hostile_run_imports_nothing(smoke, tmp_path, package, phase, path):
    run = renamed(smoke, tmp_path, phase, *path)
    with pytest.raises(SemTalkError, match="would run code of the package elsewhere.*trust=.elsewhere."):
        SemTalk.from_pretrained(run)
    for script, *more in (("eval.py", "video=false"), ("generate.py", "audio=examples/spoken.flac", "transcript=none")):
        said = run_command(script, *smoke[1], f"ckpt={run}", *more, check=False)
        assert said.returncode == 1 and ".".join(path) in said.stderr, said.stderr
    assert not package.exists() and "elsewhere" not in sys.modules
    model = SemTalk.from_pretrained(run, trust=["elsewhere"])
    assert package.exists() and model.generator.base is not None


def test_a_run_of_ones_own_names_only_what_it_says(smoke):
    assert load_network(smoke[0] / "runs" / "smoke", "base")[1].settings.model.base.network == "base_motion"


def test_every_swap_point_takes_a_class(package):
    settings = compose(
        "train", "model.base.network=elsewhere:Network", "features.slots.hubert.encoder=elsewhere:Encoder"
    )
    assert not package.exists(), "settings import nothing"
    own = importlib.import_module("elsewhere")
    assert type(build_network("base", settings, 1)) is own.Network
    assert type(build_encoder(settings.features, "hubert")) is own.Encoder
    body = load_body("given", "elsewhere:Body")
    assert type(body) is own.Body and body.path == "given"
    data = compose("train", "data.reader=builtins:dict").data
    assert open_corpus(data)["take_seconds"] == 20.0


@pytest.mark.parametrize(
    ("word", "says"),
    [("nowhere.at_all:Net", "the module cannot be imported"), ("semtalk.models:Net", "semtalk.models has no Net")],
)
def test_a_class_that_is_not_there_is_one_sentence(word, says):
    with pytest.raises(SemTalkError, match=f"model.base.network={word}: {says}"):
        build_network("base", compose("train", f"model.base.network={word}"), 1)


def test_a_network_of_ones_own_has_options():
    own = ["model.base.network=semtalk.models:BaseMotionNetwork", "+model.base.options.wide=2"]
    with pytest.raises(SemTalkError, match="model.base.network=semtalk.models:BaseMotionNetwork: .*'wide'"):
        build_network("base", compose("train", *own), 1)
    with pytest.raises(SemTalkError, match="model.base: options are for a network of one's own"):
        compose("train", "+model.base.options.wide=2")


def test_own_keys_that_do_not_fit_are_one_sentence():
    with pytest.raises(SemTalkError, match="features.slots.hubert: its keys do not fit the encoder .*unknown"):
        build_encoder(compose("train", "features.slots.hubert.encoder=semtalk.features.rhythm:Rhythm",
                              "+features.slots.hubert.unknown=1").features, "hubert")  # fmt: skip
