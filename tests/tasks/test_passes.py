"""Which masked passes a step of base and sparse training has, and what is hidden in them."""

import pytest
import torch

from semtalk.body import load_body
from semtalk.data.windows import WindowDataset
from semtalk.models.predictor import TRAINING_PASSES
from semtalk.settings import compose
from semtalk.tasks.build import new_task
from semtalk.tasks.phases import PHASES, build_network

SIZES = [
    "model.network.width=16", "model.network.face_layers=1", "model.network.audio_layers=1", "model.rvqvae.width=16",
    "model.rvqvae.latent=16", "model.rvqvae.codes=8", "recipe.base.passes=3", "recipe.sparse.passes=3",
]  # fmt: skip


@pytest.fixture(scope="module")
def batch(store):
    return WindowDataset(store, store.split("train"), 20).__getitems__([0, 9, 20, 30])


def task_at(phase: str, progress: float, store, *overrides: str):
    """A task in training, and the masks and passes that its network is given."""
    settings = compose("train", *SIZES, *overrides)
    torch.manual_seed(0)
    network, *needed = (build_network(name, settings, len(store.speakers)) for name in (phase, *PHASES[phase].needs))
    given = []
    network.register_forward_pre_hook(lambda _, inputs: given.append(inputs[2:4]))
    networks = dict(zip(PHASES[phase].needs, needed, strict=True))
    return new_task(phase, settings, network, networks, body=load_body(None), progress=progress).train(), given


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_the_seed_pass_comes_first_and_alone(store, batch, phase):
    for progress, passes in ((0.0, 1), (0.19, 1), (0.2, 3), (1.0, 3)):
        task, given = task_at(phase, progress, store, f"recipe.{phase}.mask.begin=0.2")
        task.losses(batch)
        ((masks, chosen),) = given
        assert chosen == TRAINING_PASSES.first(passes) and len(masks) == min(passes, 2)
        assert (masks[0][:, :4] == 0).all() and (masks[0][:, 4:] == 1).all()
        task.eval().losses(batch)
        assert given[1][1] == TRAINING_PASSES, "validation has the passes of the end from the first epoch on"


def test_the_random_mask_grows_from_its_begin(store, batch):
    for progress, share in ((0.2, 0.0), (0.6, 0.4)):
        task, given = task_at("base", progress, store, "recipe.base.mask={begin: 0.2, ratio: 0.8, warmup: 1.0}")
        torch.manual_seed(0)
        task.losses(batch)
        assert given[0][0][1].mean().item() == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("hides", ["joints_and_frames", "cells"])
def test_the_recipe_says_what_the_random_mask_hides(store, batch, hides):
    task, given = task_at("base", 1.0, store, f"recipe.base.mask.hides={hides}")
    task.losses(batch)
    hidden = given[0][0][1].bool()
    assert hidden.all(dim=2).any().item() == hidden.all(dim=1).any().item() == (hides == "joints_and_frames")


def test_only_the_papers_recipe_begins_with_the_seed_alone():
    for name, epochs in (("paper", 10), ("strong", 0), ("small", 0)):
        recipe = compose("train", f"recipe={name}").recipe
        for own in (recipe.base, recipe.sparse):
            assert own.mask.begin * (own.epochs or 1) == pytest.approx(epochs)
            assert own.mask.hides == "joints_and_frames"
