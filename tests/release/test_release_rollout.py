"""Released weights from file to motion: conversion, word list, features, and the release's own rollout."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command
from tiny import save_clip, save_hubert, write_vocabulary

from semtalk.evaluation.embedding import embedder_of
from semtalk.evaluation.published_rows import comparable
from semtalk.evaluation.result import Result
from semtalk.generation.load import load_generator
from semtalk.generation.release import ReleaseMotionGenerator
from semtalk.motion.parts import merge_parts, motion_channels, translation_from_root
from semtalk.motion.skeleton import PARTS
from semtalk.places import checkpoint_path
from semtalk.release.convert import convert_folder
from semtalk.release.names import FILES, OWN_STATE, RELEASE_SPEAKERS, release_name
from semtalk.settings import compose
from semtalk.settings.commands import CHAIN
from semtalk.tasks.checkpoint import load_checkpoint
from semtalk.tasks.phases import build_network

BEAT2 = {"data": {"reader": "beat2", "speakers": [2]}}
WORDS = ["hello", "there", "friend"]


def small(folder) -> list[str]:
    """Overrides that make the released networks and encoders small."""
    return [
        "model.rvqvae.width=32", "model.rvqvae.latent=32", "model.network.width=32", "model.network.face_layers=1",
        "model.network.audio_layers=1", "model.network.residual_layers=1", "model.translation.width=32",
        "model.sparse.vocabulary=7", f"features.slots.hubert.model={folder}/hubert", "features.slots.hubert.dim=32",
        f"features.slots.sentence.model={folder}/clip", "features.slots.sentence.dim=16",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A release folder of small networks with the release's graph, converted as a user would."""
    folder = tmp_path_factory.mktemp("release")
    settings = compose("train", "model=release", "features=release", *small(folder))
    save_hubert(folder / "hubert"), save_clip(folder / "clip")
    torch.manual_seed(0)
    for phase in CHAIN:
        own = build_network(phase, settings, len(RELEASE_SPEAKERS)).state_dict()
        weights = {release_name(phase, name): value for name, value in own.items() if not OWN_STATE.search(name)}
        for name, value in weights.items():
            if name.endswith("codebook"):
                weights[name] = torch.randn_like(value)
        path = folder / "weights" / FILES[phase]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model_state": {f"module.{name}": value for name, value in weights.items()}}, path)
    write_vocabulary(folder / "weights" / "vocab.pkl", WORDS, np.zeros((7, 300), np.float32))
    convert_folder(folder / "weights", folder / "run", settings)
    return folder / "run"


def features(frames: int, batch: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "rhythm": torch.randn(batch, frames, 3, generator=generator),
        "hubert": torch.randn(batch, frames, 32, generator=generator),
        "words": torch.randint(0, 7, (batch, frames), generator=generator),
        "sentence": torch.randn(batch, frames // 20 + 1, 16, generator=generator),
        "emotion": torch.zeros(batch, frames // 20 + 1, 512),
    }


def test_converted_runs_choose_the_release_rollout(run):
    loaded = load_generator(run)
    assert isinstance(loaded.generator, ReleaseMotionGenerator)
    assert loaded.features.slots.words.path == str(run / "vocab.json")
    assert not isinstance(load_generator(run, "default").generator, ReleaseMotionGenerator)


def test_release_rollout_by_hand(run):
    """Three windows with plain loops over what RELEASE says: seeds, dropped step, translation, gate."""
    generator = load_generator(run).generator
    given, speaker = features(184), torch.tensor([1])
    rollout = generator.rollout(given, speaker, stride=20)
    seed, start = generator.neutral_seed(1)
    expected = {name: [] for name in PARTS}
    reader = generator.reader(["0"])
    for first in (0, 60, 120):
        window = {slot: given[slot][:, first : first + 64] for slot in ("rhythm", "hubert", "words")}
        window |= {slot: given[slot][:, first // 20] for slot in ("sentence", "emotion")}
        codes, _ = generator.window(generator.encode_speech(window), speaker, seed, 0.5, "learned", reader)
        for name in PARTS:
            expected[name].append(codes[name][:, 0 if first == 0 else 1 :])
        decoded = {name: generator.tokenizer[name].decode(codes[name]) for name in PARTS}
        own_path = translation_from_root(decoded["lower"][..., 54:57], start)
        frames = generator._decoded(codes)
        assert torch.allclose(frames.root, decoded["lower"][..., 54:57])
        body = frames.rotation.clone()
        body[..., 22:25, :] = torch.tensor([1.0, 0, 0, 0, 1, 0])
        seed = torch.cat([body.flatten(-2), own_path, decoded["lower"][..., 57:]], dim=-1)[:, -4:]
    for name in PARTS:
        assert torch.equal(rollout.codes[name], torch.cat(expected[name], dim=1)), name
        assert rollout.codes[name].shape[1] == 16 + 15 + 15
    lower = generator.tokenizer["lower"].decode(rollout.codes["lower"])
    rotation = generator._decoded(rollout.codes).rotation
    legs = rotation[..., list(PARTS["lower"].joints), :].flatten(-2)
    out = generator.translation(torch.cat([legs, torch.zeros(1, 184, 3), lower[..., 57:]], dim=-1))
    assert torch.allclose(rollout.trans, translation_from_root(out[..., 54:57], start), atol=1e-5)


def test_release_channels_hold_the_world(run):
    generator = load_generator(run).generator
    frames = merge_parts({name: torch.randn(1, 8, part.width) for name, part in PARTS.items()})
    trans = torch.randn(1, 8, 3)
    assert torch.equal(generator.channels(frames, trans)[..., 330:333], trans)
    assert not motion_channels(frames, trans)[:, 0, 330:333][..., [0, 2]].any()
    seed, start = generator.neutral_seed(2)
    assert seed.shape == (2, 4, 337) and torch.isfinite(seed).all() and start[0, 1] > 1


def test_generate_and_evaluate_a_converted_run(run, tmp_path):
    wave = np.random.default_rng(0).standard_normal(16000 * 5).astype(np.float32) * 0.1
    soundfile.write(tmp_path / "voice.wav", wave, 16000)
    (tmp_path / "said.txt").write_text("hello there stranger")
    arguments = [f"ckpt={run}", f"audio={tmp_path}/voice.wav", f"transcript={tmp_path}/said.txt", f"out={tmp_path}/out"]
    said = run_command("generate.py", *arguments, "video=false", "speaker=30").stdout
    assert "the release's list does not have: 1 of 3" in said
    with np.load(tmp_path / "out" / "voice.npz") as file:
        assert file["poses"].shape == (150, 165) and np.isfinite(file["poses"]).all()
    corpus = [f"data_dir={tmp_path}/data", "data.take_seconds=6", "video=false"]
    said = run_command("eval.py", f"ckpt={run}", *corpus).stdout
    assert "base only" in said


def test_changed_weights_are_no_longer_the_released_ones(run, tmp_path):
    """Whatever changed them: the checkpoint still says that it was converted."""
    checkpoint = load_checkpoint(checkpoint_path(run, "fgd"), "fgd")
    state = checkpoint["state_dict"]
    name = next(name for name in state if name.startswith("network."))
    state[name] = state[name] + 1e-3
    changed = checkpoint_path(tmp_path / "changed", "fgd")
    changed.parent.mkdir(parents=True)
    torch.save(checkpoint, changed)
    assert embedder_of(run)[1]["source"] == "released" != embedder_of(tmp_path / "changed")[1]["source"]


def test_training_goes_on_from_a_converted_run(run, tmp_path):
    """The converted sparse network is trained further on the embedded corpus, with the release's features.

    What was trained on is no longer the released network, though it keeps the release's way to generate.
    """
    arguments = [
        "stage=sparse", "model=release", "features=release", f"init={run}", f"runs_dir={tmp_path}", "name=further",
        f"data_dir={tmp_path}/data", "data.take_seconds=6", "data.speakers=1", "recipe.sparse.steps=2",
        "recipe.validations=1", "recipe.sparse.batch_size=4", *small(run.parent),
        f"features.slots.words.path={run}/vocab.json",
    ]  # fmt: skip
    run_command("train.py", *arguments)
    from semtalk.tasks.checkpoint import load_network

    before, after = (load_network(folder, "sparse") for folder in (run, tmp_path / "further"))
    assert after[1].facts.generation == "release" and after[1].facts.speakers == RELEASE_SPEAKERS
    change = (after[0].semantics.gate.weight - before[0].semantics.gate.weight).abs().max()
    assert 0 < change < 0.05
    run_command("train.py", *arguments, "stage=fgd", "name=embedder", "recipe.fgd.epochs=1")
    embedders = {name: embedder_of(folder)[1] for name, folder in (("own", run), ("copy", tmp_path / "further"))}
    assert embedders["own"]["source"] == embedders["copy"]["source"] == "released"
    trained_on = embedder_of(tmp_path / "embedder")[1]
    assert trained_on["source"] == f"trained by {tmp_path}/embedder, from init={run}"
    result = Result("run", "test", 1, "legacy", "SMPL-X", False, embedders["own"], "", BEAT2, {})
    assert comparable(result) and not comparable(replace(result, embedder=trained_on))
    refused = run_command("train.py", *arguments, "model.network.width=16", check=False)
    assert refused.returncode == 1 and "does not fit this configuration" in refused.stderr
