"""The presets of the paper hold the paper's numbers."""

import inspect
import json
from pathlib import Path

import pytest

from semtalk import losses
from semtalk.models.fusion import BETA
from semtalk.motion import skeleton
from semtalk.settings import compose


@pytest.fixture(scope="module")
def paper():
    return compose("train", "model=paper", "recipe=paper")


def test_sizes_are_the_papers(paper):
    codes, network = paper.model.rvqvae, paper.model.network
    assert (codes.levels, codes.codes, codes.width, codes.latent) == (6, 256, 256, 256)
    assert codes.quantizer_dropout == 0.2 and codes.decay == 0.99 and codes.dropout == 0
    assert (codes.linear, codes.noise, codes.smoothing) == (0, 0, 0), "the paper's graph has none of these"
    assert (network.width, network.heads, network.residual_heads, network.dropout) == (768, 4, 8, 0.1)
    assert (network.face_layers, network.audio_layers) == (4, 8) and network.local_layers == 0
    assert (skeleton.WINDOW, skeleton.SEED_FRAMES, skeleton.DOWNSAMPLE, skeleton.FPS) == (64, 4, 4, 30)
    assert skeleton.MOTION_CHANNELS == 337 and skeleton.FEET == (7, 8, 10, 11)


@pytest.mark.parametrize("phase", ["rvqvae", "translation", "fgd", "base", "sparse"])
def test_training_is_the_papers(paper, phase):
    recipe = getattr(paper.recipe, phase)
    assert (recipe.lr, recipe.batch_size, recipe.schedule, recipe.steps) == (1e-4, 64, "constant", None)


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_masked_training_is_the_papers(paper, phase):
    recipe = getattr(paper.recipe, phase)
    assert recipe.epochs == 200 and (recipe.mask.ratio, recipe.mask.warmup) == (0.4, 0.6), "40% after 120 of 200 epochs"
    assert recipe.mask.hides == "joints_and_frames" and recipe.mask.begin == 0.05, "the seed alone for ten epochs"
    assert recipe.passes == 3 and recipe.softness == 0, "hard targets"
    assert set(recipe.losses.weights().values()) == {1.0} and paper.recipe.stride == 20


def test_other_presets_have_the_layers_and_epochs_of_the_reference(paper):
    layers = {name: compose("train", f"model={name}").model.network.residual_layers for name in ("release", "strong")}
    assert set(layers.values()) == {3} and paper.model.network.residual_layers == 1
    strong = compose("train", "recipe=strong").recipe
    assert (strong.rvqvae.epochs, strong.translation.epochs) == (600, 1700)
    assert {getattr(paper.recipe, phase).epochs for phase in ("rvqvae", "translation")} == {200}


def test_codes_of_the_paper_are_the_likeliest(paper):
    decoding = paper.recipe.decoding
    assert {decoding.face, decoding.body, decoding.sparse} == {
        "likeliest"
    } and decoding.blend == decoding.smoothing == 0


def test_temperature_and_threshold_are_the_papers():
    for function in (losses.info_nce, losses.local_consistency, losses.global_consistency):
        assert inspect.signature(function).parameters["temperature"].default == 0.1
    assert BETA == 0.5


def test_ablations_change_what_they_name():
    def rhythmic(settings) -> tuple[bool, bool]:
        weights = settings.recipe.base.losses.weights()
        return weights["local"] > 0, weights["global"] > 0

    changes = {
        "local_only": lambda s: rhythmic(s) == (True, False),
        "global_only": lambda s: rhythmic(s) == (False, True),
        "no_rhythm_loss": lambda s: rhythmic(s) == (False, False),
        "no_coarse_to_fine": lambda s: not (s.model.base.chain or s.model.sparse.chain),
        "vq": lambda s: s.model.rvqvae.levels == 1,
        "no_hubert": lambda s: s.features.slots.hubert.encoder == "absent",
        "no_beats": lambda s: s.features.slots.rhythm.encoder == "absent",
        "no_sentence": lambda s: list(s.model.sparse.context) == ["emotion"],
        "no_emotion": lambda s: list(s.model.sparse.context) == ["sentence"],
    }  # fmt: skip
    for name, changed in changes.items():
        assert changed(compose("train", f"experiment=ablation/{name}")), name
        assert not changed(compose("train")), name


PRESETS = Path(__file__).with_name("presets.json")


@pytest.mark.parametrize("name", ["paper", "small", "strong"])
def test_no_value_of_a_preset_changes_unseen(name):
    """Every key of model and recipe: a change that is meant puts the new value into ``presets.json``."""
    settings = compose("train", f"model={name}", f"recipe={name}").plain()
    pinned = json.loads(PRESETS.read_text(encoding="utf-8"))[name]
    assert {key: settings[key] for key in pinned} == pinned
