"""Trained weights that do not fit what is asked for: one sentence that names the key."""

import shutil

import pytest
import torch
from tiny import TINY

from semtalk import SemTalkError, compose
from semtalk.body import load_body
from semtalk.data.datamodule import MotionDataModule
from semtalk.generation.load import load_generator
from semtalk.places import checkpoint_path
from semtalk.settings.trained import trained
from semtalk.tasks import Facts, build_network, fit_phase
from semtalk.tasks.checkpoint import load_checkpoint
from semtalk.tasks.sizes import check_codes, check_features, differing_keys


def fit(folder, store, *overrides):
    settings = compose("train", *TINY, "trainer=cpu", "recipe.rvqvae.batch_size=8", *overrides)
    return fit_phase("rvqvae_upper", settings, MotionDataModule(store), folder, Facts(store.speakers), load_body(None))


def test_other_codes_are_refused():
    network = build_network("rvqvae_upper", compose("train", *TINY), 1)
    check_codes({"rvqvae_upper": network}, compose("train", *TINY).model.rvqvae, "runs/a")
    with pytest.raises(SemTalkError, match="its 'rvqvae_upper' has levels=6; choose model.rvqvae"):
        check_codes({"rvqvae_upper": network}, compose("train", *TINY, "model.rvqvae.levels=4").model.rvqvae, "runs/a")


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("model.rvqvae.width=24", "model.rvqvae.width=16, not 24"),
        ("model.rvqvae.codes=12", "model.rvqvae.codes=8, not 12"),
        ("model.rvqvae.levels=5", "model.rvqvae.levels=6, not 5"),
    ],
)
def test_weights_of_other_sizes_are_one_sentence_that_names_the_key(tmp_path, store, asked, key):
    """Where training goes on, and where it starts from another run; keys that change no size are not named."""
    short = "recipe.rvqvae.steps=1"
    fit(tmp_path / "a", store, short)
    path = tmp_path / "a" / "rvqvae_upper" / "last.ckpt"
    for folder, way in (("a", "resume=true"), ("b", f"init={tmp_path}/a")):
        with pytest.raises(SemTalkError) as error:
            fit(tmp_path / folder, store, "recipe.rvqvae.steps=2", way, asked, "model.rvqvae.noise=0.5", "seed=3")
        said = str(error.value)
        assert f"its 'rvqvae_upper' does not fit this configuration: it was trained with {key};" in said
        assert "\n" not in said and said.startswith(way) and "noise" not in said
    assert path.is_file(), "what was trained is still there"


def test_networks_that_hear_other_features_are_refused():
    base = build_network("base", compose("train", *TINY), 1)
    check_features({"base": base}, compose("train", *TINY).features, "runs/a")
    with pytest.raises(SemTalkError, match="runs/a: its 'base' was trained with features.slots.hubert.dim=48, not 9"):
        check_features({"base": base}, compose("train", *TINY, "features.slots.hubert.dim=9").features, "runs/a")


def test_keys_of_sizes_are_found_one_by_one():
    asked = compose("train", *TINY, "model.network.width=32", "features.slots.hubert.dim=9", "features.noise=0.9")
    was = trained(compose("train", *TINY).plain())
    assert sorted(differing_keys("base", asked, was)) == [
        "features.slots.hubert.dim=48, not 9", "model.network.width=16, not 32",
    ]  # fmt: skip
    assert differing_keys("rvqvae_upper", asked, was) == []


def test_a_run_whose_networks_differ_is_refused_before_it_generates(smoke, tmp_path):
    """The RVQ-VAEs of another training, with fewer codes, beside the base of the first."""
    folder = tmp_path / "mixed"
    shutil.copytree(smoke[0] / "runs" / "smoke", folder)
    path = checkpoint_path(folder, "rvqvae_upper")
    checkpoint = load_checkpoint(path, "rvqvae_upper")
    config = checkpoint["semtalk"]["config"]
    config["model"]["rvqvae"]["codes"] = 5
    other = build_network("rvqvae_upper", trained(config), 1)
    checkpoint["state_dict"] = {f"network.{name}": value for name, value in other.state_dict().items()}
    torch.save(checkpoint, path)
    with pytest.raises(SemTalkError, match="its 'rvqvae_upper' has codes=5; choose model.rvqvae as it was trained"):
        load_generator(folder)
