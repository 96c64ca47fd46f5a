"""No tensor is made on another device than the training's: everything runs on ``meta``, which stands in for a GPU."""

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.utils.checkpoint
from tiny import tiny_settings, tiny_tokenizer, training_batch
from torch.fx.experimental import _config as symbolic
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from semtalk.generation.release import ReleaseMotionGenerator
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.stream import WindowStream
from semtalk.models.decoding import Decoding
from semtalk.tasks.dry_run import fresh_task
from semtalk.tasks.phases import PHASES, build_network
from semtalk.tasks.speed import apply_speed

META = torch.device("meta")
EVERYTHING = (
    "recipe.base.passes=3", "recipe.sparse.passes=3", "recipe.base.softness=0.5", "recipe.sparse.softness=0.5",
    "recipe.rvqvae.losses.position=1", "recipe.rvqvae.losses.skating=1", "recipe.translation.losses.skating=1",
    "recipe.sparse.losses.fusion=1", "recipe.rvqvae.shift=true", "model.rvqvae.noise=0.5", "features.noise=0.2",
    "model.rvqvae.quantizer_dropout=0.9",
)  # fmt: skip
SMALL = ("model.rvqvae.levels=2", "model.network.residual_layers=1", "model.network.local_layers=1")
WAYS = {
    "stacked": (*SMALL, *EVERYTHING, "speed.recompute=true"),
    "one by one": (*SMALL, *EVERYTHING, "speed=plain", "model.network.deaf_pass=all", "recipe.base.mask.hides=cells"),
}
"""Overrides that bring in what a training may do."""


MOVES = ("_to_copy", "copy_", "index", "index_put", "index_put_", "_index_put_impl_")
"""Operations that take a tensor to another device; lists of indices are tensors of the CPU."""


def on_the_cpu(values) -> bool:
    """Whether a tensor is there; single numbers may be, for the host decides by them."""
    tensors = [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]
    return any(tensor.dim() and tensor.device != META for tensor in tensors)


class Stray(TorchDispatchMode):
    """Refuses tensors that are made on the CPU, and those that are computed with there."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        made = function(*arguments, **(keywords or {}))
        moves = function.overloadpacket.__name__ in MOVES
        assert moves or not on_the_cpu((arguments, keywords)), f"{function} was given a tensor of the default device"
        recomputation = sys._getframe(1).f_code.co_filename == torch.utils.checkpoint.__file__
        mark = recomputation and made.numel() == 0  # torch 2.6's own, to find where to compute anew
        assert mark or not on_the_cpu(made), f"{function} made a tensor on the default device"
        return made


@contextmanager
def all_nonzero() -> Iterator[None]:
    """Have ``nonzero`` of a tensor on the device find all of it; torch 2.6 has no setting for that."""
    if hasattr(symbolic, "meta_nonzero_assume_all_nonzero"):
        with symbolic.patch(meta_nonzero_assume_all_nonzero=True):
            yield
        return
    library = torch.library.Library("aten", "IMPL")
    library.impl(
        "nonzero", lambda value: torch.empty(value.numel(), value.dim(), dtype=torch.long, device=META), "Meta"
    )
    try:
        yield
    finally:
        library._destroy()


@pytest.fixture
def meta() -> Iterator[dict[str, torch.Tensor]]:
    """A batch on the device, where every step counts as active: none of its numbers can be looked at."""
    with all_nonzero():
        yield {key: value.to(META) for key, value in training_batch(4).items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_step_makes_no_tensor_on_another_device(meta, body, phase, way):
    settings = tiny_settings(f"recipe.{PHASES[phase].recipe}.schedule=constant", *WAYS[way])
    task = fresh_task(phase, settings, 2, copy.deepcopy(body), progress=0.5).to(META).train()
    apply_speed(task.network, settings.speed.model_copy(update={"compile": False}))
    task.fused = False
    optimiser = task.configure_optimizers()
    for needed in ("_tokenizer", "_base", "_rvqvae", "_body"):
        if hasattr(task, needed):
            getattr(task, needed).on(META)
    with Stray():
        losses = task.losses(meta)
        task.total(losses).backward()
        task.clip_gradients()
        optimiser.step()
    assert all(value.device == META for value in losses.values())
    assert {p.grad.device for p in task.network.parameters() if p.grad is not None} == {META}
    with Stray(), torch.no_grad():
        task.eval()
        figures = task.losses(meta) | task.figures(meta)
    assert all(value.device == META for value in figures.values())


def generators(sparse: bool) -> Iterator[MotionGenerator]:
    """The rollouts of small untrained networks, on the device."""
    settings = tiny_settings(*SMALL)
    networks = [build_network(phase, settings, 2) for phase in ("translation", "base", "sparse")[: 2 + sparse]]
    for kind in (MotionGenerator, ReleaseMotionGenerator):
        yield kind(tiny_tokenizer(0, *SMALL), *networks).to(META)


@pytest.mark.parametrize(
    ("gate", "way"), [("learned", "likeliest"), ("always_scaled", "expected"), ("without sparse", "expected")]
)
@torch.no_grad()
def test_a_rollout_makes_no_tensor_on_another_device(meta, gate, way):
    takes, frames = 2, 124
    features = {slot: meta[slot][:takes, :1].expand(-1, frames, -1) for slot in ("rhythm", "hubert", "words")}
    features |= {slot: meta[slot][:takes, None].expand(-1, frames // 20, -1) for slot in ("sentence", "emotion")}
    sparse = gate != "without sparse"
    for generator in generators(sparse):
        decoding = Decoding(way, way, sparse=way if way == "likeliest" else "likeliest", blend=2)
        reader = generator.reader(["a", "b"], decoding)
        with Stray():
            rollout = generator.rollout(
                features, torch.zeros(takes, dtype=torch.long, device=META), 20, gate=gate if sparse else "learned",
                reader=reader,
            )  # fmt: skip
        assert rollout.trans.shape == (takes, frames, 3)
        tensors = [rollout.trans, rollout.psi, *rollout.codes.values(), *vars(rollout.frames).values()]
        assert {value.device for value in tensors} == {META}


@torch.no_grad()
def test_a_stream_makes_no_tensor_on_another_device(meta):
    window = {slot: meta[slot][:1] for slot in ("rhythm", "hubert", "words", "sentence", "emotion")}
    for generator in generators(sparse=True):
        with Stray():
            stream = WindowStream(generator, torch.zeros(1, dtype=torch.long, device=META))
            frames, trans = stream.push(window)
            left, _ = stream.finish()
        assert frames.rotation.device == left.rotation.device == trans.device == META


def test_a_tensor_on_the_default_device_is_noticed():
    with pytest.raises(AssertionError, match="arange"), Stray():
        torch.arange(4)
    with Stray():
        assert torch.arange(4, device=META).device == META and torch.rand(()) < 1
