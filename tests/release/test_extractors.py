"""The extractors that SHOW's numbers are published with: their files become embedders, and nothing of them is run."""

import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from conftest import run_script

from semtalk.errors import SemTalkError
from semtalk.evaluation.embedding import embedder_of
from semtalk.models.extractors import DiffSHEGExtractor, TalkSHOWExtractor
from semtalk.release import extractors as module
from semtalk.release.extractors import DIFFSHEG_FILES, DIFFSHEG_STATISTICS, TALKSHOW_FILE, convert_extractor
from semtalk.tasks.phases import EMBEDDERS


def drawn(network: torch.nn.Module) -> torch.nn.Module:
    """A network whose running statistics are not those of a fresh one either."""
    generator = torch.Generator().manual_seed(3)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.uniform_(-0.05, 0.05, generator=generator).add_(float(name.endswith("running_var")))
    return network.eval()


def talkshow_file(path, network):
    """As the published file is laid out; its names, spelt out beside the order of the layers."""
    blocks = ("project", "_enc_1", "_down_1", "_enc_2", "_down_2", "_enc_3", "pre_vq_conv")
    state = {}
    for name, value in network.encoder.state_dict().items():
        number, rest = name.split(".", 1)
        rest = re.sub(r"^layers\.", "_layers.", rest).replace("shortcut.", "residual_layer.")
        state[f"module.encoder.{blocks[int(number)]}.{rest}"] = value
    torch.save({"generator": {"g": state | {"module.decoder.weight": torch.ones(3)}}, "epoch": 3}, path)


def diffsheg_files(folder, network, statistics):
    for key, (name, file) in zip(("state_dict", "model_state", "state_dict"), DIFFSHEG_FILES.items(), strict=True):
        state = {}
        for own, value in network.encoders[name].state_dict().items():
            own = re.sub(r"^net\.(\d)\.conv\.", r"net.\1.0.", re.sub(r"^net\.(\d)\.norm\.", r"net.\1.1.", own))
            state["pose_encoder." + own.replace("mean.", "fc_mu.", 1 if own.startswith("mean.") else 0)] = value
        torch.save({key: state | {"decoder.weight": torch.ones(2)}}, folder / file)
    np.save(folder / DIFFSHEG_STATISTICS, statistics, allow_pickle=True)


@pytest.fixture
def small(monkeypatch):
    """DiffSHEG's extractor with thin linear layers: 400 MB of weights take their time."""
    made = partial(DiffSHEGExtractor, widths=(36, 12, 6))
    monkeypatch.setitem(EMBEDDERS, "diffsheg", made)
    return made


@pytest.fixture
def statistics():
    rng = np.random.default_rng(0)
    return {
        "pose_mean": rng.normal(size=165), "pose_std": rng.uniform(1, 2, 165), "expression_mean": rng.normal(size=100),
        "expression_std": rng.uniform(1, 2, 100),
    }  # fmt: skip


def test_talkshows_extractor_gives_what_its_file_gives(tmp_path):
    network = drawn(TalkSHOWExtractor())
    talkshow_file(tmp_path / TALKSHOW_FILE, network)
    said = run_script(
        "scripts/convert_release.py", str(tmp_path / TALKSHOW_FILE), str(tmp_path / "run"), "--extractor"
    ).stdout
    assert said.startswith("talkshow: feature_extractor.pth is not the published file (another sha256); numbers comp")
    found, of = embedder_of(tmp_path / "run", "talkshow")
    values = torch.randn(1, 129, 61, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(found.encoder(values), network.encoder(values)) and found.encoder(values).shape[-1] == 15
    assert of["network"] == "talkshow" and of["source"].endswith("of unknown origin") and len(of["sha256"]) == 12


def test_diffshegs_extractors_give_what_their_files_give(tmp_path, statistics, small, monkeypatch):
    network = drawn(small())
    diffsheg_files(tmp_path, network, statistics)
    monkeypatch.setattr(module, "KNOWN", dict.fromkeys(module.KNOWN, ("", "")))
    assert convert_extractor(tmp_path, tmp_path / "run") == "diffsheg: the published files."
    found, of = embedder_of(tmp_path / "run", "diffsheg")
    assert of["source"] == "released"
    clips = torch.randn(3, 88, 232, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, part in found.parts(clips).items():
            assert torch.equal(found.encoders[name](part), network.encoders[name](part)), name
    pose, std = statistics["pose_mean"], statistics["pose_std"]
    spine, hand = slice(12 + 6, 12 + 9), slice(75, 165)  # joints 3, and 25 to 54, in SHOW's order
    assert np.allclose(found.mean[:3], pose[spine]) and np.allclose(found.scale[:3], std[spine])
    assert np.allclose(found.mean[39:129], pose[hand]) and np.allclose(found.scale[39:129], std[hand])
    assert np.allclose(found.mean[129:132], pose[:3]) and np.allclose(found.scale[129:132], pose[:3]), "the slip"
    assert np.allclose(found.mean[132:], statistics["expression_mean"])
    assert np.allclose(found.scale[132:], statistics["expression_std"])


class Hostile:
    def __reduce__(self):
        return print, ("run",)


def test_bad_files_are_one_sentence_and_nothing_of_them_is_run(tmp_path, statistics, small, capsys):
    def refused(said):
        with pytest.raises(SemTalkError, match=said) as error:
            convert_extractor(tmp_path, tmp_path / "run")
        assert "\n" not in str(error.value) and not (tmp_path / "run").exists()

    refused("there is no feature_extractor.pth in it, and of DiffSHEG it lacks gesture.pth.tar, expression.pth.tar")
    diffsheg_files(tmp_path, drawn(small()), statistics | {"pose_std": np.ones(3)})
    refused("talkshow_mean_std.npy: it holds no pose_std of 165 numbers")
    np.save(tmp_path / DIFFSHEG_STATISTICS, np.array(Hostile(), dtype=object), allow_pickle=True)
    refused("the pickle asks for builtins.print, which is refused; nothing was run")
    np.save(tmp_path / DIFFSHEG_STATISTICS, statistics, allow_pickle=True)
    other = torch.load(tmp_path / "gesture.pth.tar", weights_only=True)
    torch.save(other, tmp_path / "expression.pth.tar")
    refused("expression.pth.tar: weights of another architecture than DiffSHEG's")
    network = drawn(TalkSHOWExtractor())
    talkshow_file(tmp_path / TALKSHOW_FILE, network)
    content = torch.load(tmp_path / TALKSHOW_FILE, weights_only=True)
    state = content["generator"]["g"]
    for name in list(state):
        if "_down_2" in name and state[name].dim():
            state[name] = state[name][:5]
    torch.save(content, tmp_path / TALKSHOW_FILE)
    refused(r"weights of another architecture than TalkSHOW's: \d+ differ: encoder._down_2")
    torch.save(
        {"g": {name: value * float("nan") for name, value in state.items() if value.is_floating_point()}},
        tmp_path / TALKSHOW_FILE,
    )
    refused("holds NaN or infinite numbers")
    torch.save({"weights": 3}, tmp_path / TALKSHOW_FILE)
    refused("it holds no tensors at generator.g or g")
    (tmp_path / TALKSHOW_FILE).write_bytes(pickle.dumps(Hostile()))
    refused("asks for code to be run, which was not done")
    assert "run" not in capsys.readouterr().out
