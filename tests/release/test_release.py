"""Released weights: conversion, and reference outputs for weights that are drawn from the tensors' names."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import run_script

from semtalk.errors import SemTalkError
from semtalk.release.check import KINDS, run_network
from semtalk.release.convert import convert, read_weights, release_settings
from semtalk.release.names import OWN_STATE, RELEASE_SPEAKERS, release_name
from semtalk.tasks.checkpoint import load_network
from semtalk.tasks.phases import build_network

CONFIG = release_settings()
REFERENCE = json.loads((Path(__file__).parent / "release_reference.json").read_text())
STRUCTURE = re.compile(r"\.mask$|\.common\.\d+\.weight$")


def draw(name: str, *shape: int) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def integers(name: str, high: int, *shape: int) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def weights_by_rule(phase: str) -> dict[str, torch.Tensor]:
    """Released tensors whose values follow from their names; structural constants stay."""
    weights = {}
    for own, value in build_network(phase, CONFIG, len(RELEASE_SPEAKERS)).state_dict().items():
        if OWN_STATE.search(own):
            continue
        name = release_name(phase, own)
        if name == "mask_embeddings":
            value = value[None, None]
        leaf = name.rsplit(".", 1)[-1]
        if value.is_floating_point() and not STRUCTURE.search(name):
            z = draw(name, *value.shape)
            if leaf == "codebook":
                value = z * 0.5 * 0.7 ** int(name.split(".")[-2])
            elif leaf == "running_var":
                value = 1 + 0.1 * z.abs()
            elif value.dim() == 1:
                value = 0.02 * z + (leaf == "weight")
            else:
                value = z / np.sqrt(np.prod(value.shape[1:]))
        weights[name] = value
    return weights


def inputs_by_rule() -> dict[str, torch.Tensor]:
    inputs = {
        "hubert": draw("input:hubert", 2, 64, 1024), "beat": draw("input:beat", 2, 64, 3),
        "word": integers("input:word", 11195, 2, 64), "clip": draw("input:clip", 2, 512),
        "motion": draw("input:motion", 2, 64, 337),
        "speaker": integers("input:speaker", 25, 2, 1)[:, None].expand(2, 64, 1), "mask": torch.ones(2, 64, 337),
        "global_x": draw("input:global_x", 2, 64, 61),
    }  # fmt: skip
    inputs["mask"][:, :4] = 0
    for part, width in (("face", 106), ("upper", 78), ("hands", 180), ("lower", 61)):
        inputs[f"rvq_x_{part}"] = draw(f"input:rvq_x_{part}", 2, 64, width)
        inputs[f"rvq_idx_{part}"] = integers(f"input:rvq_idx_{part}", 256, 2, 16, 6)
        inputs[f"rvq_lat_{part}"] = draw(f"input:rvq_lat_{part}", 2, 256, 16)
    for name, frames in (("fgd_x", 64), ("fgd_x60", 60), ("fgd_x100", 100)):
        inputs[name] = 0.5 * draw(f"input:{name}", 2, frames, 330)
    return inputs


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A release folder with the smaller networks; one with the names that parallel training leaves."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "pretrained_vq").mkdir()
    lower = {f"module.{name}": value for name, value in weights_by_rule("rvqvae_lower").items()}
    torch.save({"model_state": lower}, folder / "pretrained_vq" / "rvq_lower_600.bin")
    fgd = weights_by_rule("fgd") | {"fc_mu.weight": torch.zeros(240, 240), "fc_mu.bias": torch.zeros(240)}
    torch.save({"model_state": fgd, "epoch": 3}, folder / "AESKConv_240_100.bin")
    return folder


@pytest.mark.parametrize("case", list(REFERENCE))
def test_reference_outputs_are_met(case):
    kind, _, audio = case.partition("_word")
    phase = KINDS[kind]
    network = convert(phase, weights_by_rule(phase), CONFIG, case).network
    outputs = run_network(kind, network, inputs_by_rule(), audio=audio != "0")
    for name, expected in REFERENCE[case].items():
        own = outputs[name]
        assert list(own.shape) == expected["shape"], name
        flat = own.flatten().numpy()
        chosen = flat[np.linspace(0, flat.size - 1, min(8, flat.size)).astype(int)]
        if own.is_floating_point():
            assert np.abs(chosen - expected["values"]).max() < 1e-4, name
        else:
            assert chosen.tolist() == expected["values"], name


def test_sparse_without_audio_differs_and_hands_run():
    hands = convert("rvqvae_hands", weights_by_rule("rvqvae_hands"), CONFIG, "hands").network
    assert run_network("rvq_hands", hands, inputs_by_rule())["rec_pose"].shape == (2, 64, 180)


def test_conversion_script_writes_checkpoints(release, tmp_path):
    result = run_script("scripts/convert_release.py", str(release), str(tmp_path / "run"))
    assert "never used: fc_mu (2 tensors)" in result.stdout
    network, stamp = load_network(tmp_path / "run", "rvqvae_lower")
    assert stamp.facts.speakers[7] == 30 and bool(network.quantizer.levels[5].initialised)
    expected = weights_by_rule("rvqvae_lower")["quantizer.layers.2.codebook"]
    assert torch.equal(network.quantizer.levels[2].codebook, expected)
    assert torch.equal(network.quantizer.levels[2].sums, expected)


def test_released_weights_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "weights.bin"
    torch.save({"model_state": {"module.a": torch.zeros(2), "module.b": torch.tensor([0.0, torch.inf])}}, path)
    with pytest.raises(SemTalkError, match="weights.bin: its module.b holds NaN or infinite numbers"):
        read_weights(path)


def test_a_single_file_is_converted(release, tmp_path):
    run_script("scripts/convert_release.py", str(release / "AESKConv_240_100.bin"), str(tmp_path / "run"))
    assert load_network(tmp_path / "run", "fgd")[0].embed(torch.zeros(1, 32, 330)).shape == (1, 2, 240)


def test_check_script_names_outputs_as_the_reference(release, tmp_path):
    np.savez(tmp_path / "in.npz", **{name: value.numpy() for name, value in inputs_by_rule().items()})
    arguments = ["--weights", str(release / "AESKConv_240_100.bin"), "--inputs", str(tmp_path / "in.npz")]
    run_script("scripts/check_release.py", "--kind", "fgd", *arguments, "--out", str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as outputs:
        assert {name: list(outputs[name].shape) for name in outputs.files} == {
            name: value["shape"] for name, value in REFERENCE["fgd"].items()
        }
    wrong = run_script(
        "scripts/check_release.py", "--kind", "global", *arguments, "--out", str(tmp_path / "no.npz"), check=False
    )
    assert wrong.returncode == 1 and "not the released network 'translation'" in wrong.stderr
    assert not (tmp_path / "no.npz").exists() and "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: w.pop("encoder.main.0.bias"), "1 missing: encoder.main.0.bias"),
        (lambda w: w.update({"extra.weight": torch.zeros(2)}), "1 unknown: extra.weight"),
        (lambda w: w.update({"encoder.main.0.bias": torch.zeros(9)}), r"is \(9,\), expected \(256,\)"),
    ],
)
def test_other_tensors_are_refused(change, says):
    weights = weights_by_rule("translation")
    change(weights)
    with pytest.raises(SemTalkError, match=says):
        convert("translation", weights, CONFIG, "file.bin")


def test_a_weights_file_cannot_run_code(tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    (tmp_path / "a.bin").write_bytes(pickle.dumps({"model_state": Evil()}, protocol=2))
    with pytest.raises(SemTalkError, match="not a readable weights file"):
        read_weights(tmp_path / "a.bin")
    assert not (tmp_path / "ran").exists()
    (tmp_path / "b.bin").touch()
    with pytest.raises(SemTalkError, match="b.bin: the file is empty, and no weights file"):
        read_weights(tmp_path / "b.bin")
    torch.save({"model_state": {"a": 5}}, tmp_path / "b.bin")
    with pytest.raises(SemTalkError, match="b.bin: it holds no 'model_state' of tensors"):
        read_weights(tmp_path / "b.bin")
    with pytest.raises(SemTalkError, match="none of the released files"):
        from semtalk.release.convert import convert_folder

        convert_folder(tmp_path, tmp_path / "out", CONFIG)


def test_embedder_structure_equals_the_stored_one(real_data):
    stored = np.load(real_data.parent / "reference" / "fgd_structure.npz")
    own = {release_name("fgd", name): value for name, value in build_network("fgd", CONFIG, 1).state_dict().items()}
    for name in stored.files:
        assert np.abs(own[name].numpy() - stored[name]).max() < 1e-6, name
