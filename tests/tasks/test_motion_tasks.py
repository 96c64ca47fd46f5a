"""The training of the RVQ-VAEs, the translation network and the FGD embedder, term by term."""

import math
from types import SimpleNamespace

import pytest
import torch
from tiny import tiny_settings, training_batch
from torch import nn

from semtalk.body import load_body
from semtalk.losses import motion_differences, reconstruction_losses, skating_loss
from semtalk.models.embedder import MotionEmbedder
from semtalk.models.translation import TranslationNetwork
from semtalk.motion.parts import batch_frames, part_channels, poses_from_rotation, rotation_from_poses
from semtalk.motion.rotation import axis_angle_to_matrix, rotation_6d_to_matrix
from semtalk.motion.skeleton import FEET, PARTS
from semtalk.tasks.dry_run import fresh_task
from semtalk.tasks.motion import EmbedderTask, RVQVAETask, TranslationTask


@pytest.fixture(scope="module")
def batch():
    return training_batch(2)


class Off(nn.Module):
    """An autoencoder whose output is its input and a fixed error, with a commitment of 0.3."""

    def __init__(self, width: int, size: float = 0.1):
        super().__init__()
        g = torch.Generator().manual_seed(7)
        self.error = nn.Parameter(size * torch.randn(1, 64, width, generator=g))
        self.seen: list[torch.Tensor] = []
        self.quantizer = SimpleNamespace(draw_levels=lambda generator: 6)

    def forward(self, x, levels=None):
        self.seen.append(x)
        return x + self.error[:, : x.shape[1]], torch.zeros(*x.shape[:2], 6), x.new_tensor(0.3)


def matrices(channels, part):
    return rotation_6d_to_matrix(channels[..., : part.rotation_width].unflatten(-1, (-1, 6)))


def angles(a, b):
    """Angle between rotation matrices by their trace."""
    trace = (a.double().transpose(-1, -2) @ b.double()).diagonal(dim1=-1, dim2=-2).sum(-1)
    return ((trace - 1) / 2).clamp(-1, 1).arccos()


@pytest.mark.parametrize("name", PARTS)
def test_every_reconstruction_loss_by_hand(batch, name):
    part = PARTS[name]
    true = part_channels(batch_frames(batch), part)
    error, smooth = Off(part.width).error.detach(), part.rotation_width + part.expressions
    error[..., smooth:] *= 3.0
    own = true + error
    losses = reconstruction_losses(part, own, true)
    velocity = ((own[:, 1:] - own[:, :-1]) - (true[:, 1:] - true[:, :-1]))[..., :smooth]
    acceleration = velocity[:, 1:] - velocity[:, :-1]
    expected = {
        "rotation": angles(matrices(own, part), matrices(true, part)).mean(),
        "velocity": velocity.abs().mean(), "acceleration": acceleration.abs().mean(),
    }  # fmt: skip
    if name == "face":
        expected["expressions"] = (own - true)[..., 6:].square().mean()
    if name == "lower":
        expected["translation"] = (own - true)[..., 54:57].abs().mean()
        expected["contact"] = (own - true)[..., 57:].square().mean()
    assert set(losses) == set(expected)
    for key, value in expected.items():
        assert losses[key].item() == pytest.approx(value.item(), rel=1e-3), key


def test_differences_are_of_velocity_and_acceleration():
    time = torch.arange(10.0)[None, :, None]
    assert motion_differences(3 * time, time) == (pytest.approx(2.0), pytest.approx(0.0))
    assert motion_differences(time**2, 0 * time)[1] == pytest.approx(2.0)
    assert motion_differences(time + 9, time) == (pytest.approx(0.0), pytest.approx(0.0))


def test_feet_that_stand_must_not_move():
    feet = torch.zeros(1, 3, 4, 3)
    feet[0, 1:, 0, 0], feet[0, 2, 1, 2] = 0.1, 0.2
    contact = torch.tensor([[[1.0, 0, 0, 0], [0, 0.5, 0, 0], [1, 1, 1, 1]]]).requires_grad_()
    feet.requires_grad_()
    loss = skating_loss(feet, contact)
    assert loss.item() == pytest.approx((0.1 * 30 * 1 + 0.2 * 30 * 0.5) / 8), "metres a second, by the frame before"
    loss.backward()
    assert contact.grad is None and feet.grad.abs().sum() > 0, "to lift the feet is no way out"
    assert skating_loss(feet, contact * 10).item() == pytest.approx((0.1 * 30 + 0.2 * 30) / 8), "at most once"


def rvqvae_task(name: str, *overrides: str) -> RVQVAETask:
    recipe = tiny_settings("recipe.rvqvae.shift=false", *overrides).recipe.rvqvae
    return RVQVAETask(Off(PARTS[name].width), recipe, part=name, body=load_body(None)).train()


@pytest.mark.parametrize("name", PARTS)
def test_rvqvaes_lose_what_they_reconstruct_wrong(batch, name):
    task = rvqvae_task(name, "recipe.rvqvae.losses.commitment=2.0", "recipe.rvqvae.losses.rotation=3.0")
    losses = task.losses(batch)
    (seen,) = task.network.seen
    true = part_channels(batch_frames(batch), PARTS[name])
    assert torch.equal(seen, true) and losses["commitment"].item() == pytest.approx(0.3)
    expected = reconstruction_losses(PARTS[name], true + task.network.error, true)
    assert set(losses) == {*expected, "commitment"}, "no positions without a weight"
    total = 2 * 0.3 + sum(task.weights[key] * value for key, value in expected.items())
    assert task.weights["rotation"] == 3.0 and task.total(losses).item() == pytest.approx(total.item(), rel=1e-4)


POSITIONS = ["recipe.rvqvae.losses.position=1.0", "recipe.rvqvae.losses.skating=1.0"]


@pytest.mark.parametrize("name", ["upper", "hands", "lower"])
def test_position_losses_are_of_joints_in_their_place(batch, name):
    task, part, body = rvqvae_task(name, *POSITIONS), PARTS[name], load_body(None)
    losses = task.losses(batch)
    true = part_channels(batch_frames(batch), part)
    own = (true + task.network.error).detach()
    places = []
    for channels in (true, own):
        rotation = batch["rotation"].clone()
        rotation[:, :, list(part.joints)] = channels[..., : part.rotation_width].unflatten(-1, (-1, 6))
        poses = poses_from_rotation(rotation)
        poses[:, :, -30:] += body.hand_mean
        still = axis_angle_to_matrix(poses)
        joints = torch.stack(
            [plain_kinematics(m, body.rest_joints(b)) for m, b in zip(still, batch["betas"], strict=True)]
        )
        if name == "lower":
            steps = torch.cat([torch.zeros(2, 1, 3), channels[:, :-1, 54:57].cumsum(dim=1) / 30], dim=1)
            path = steps + batch["trans"][:, :1]
            path[..., 1] = channels[..., 55]
            joints = joints + path[:, :, None]
        places.append(joints)
    assert losses["position"].item() == pytest.approx((places[1] - places[0]).abs().mean().item(), rel=1e-3)
    assert ("skating" in losses) == (name == "lower")
    if name == "lower":
        speed = places[1][:, :, list(FEET)].diff(dim=1).norm(dim=-1) * 30
        stands = own[:, :-1, 57:].clamp(0, 1)
        assert losses["skating"].item() == pytest.approx((speed * stands).mean().item(), rel=1e-3)


def plain_kinematics(rotations, rest):
    """Joints (T, 55, 3) of rotations (T, 55, 3, 3), one after another."""
    from semtalk.motion.skeleton import PARENTS

    places, turns = [], []
    for joint, parent in enumerate(PARENTS):
        turn, offset = rotations[:, joint], rest[joint] - (rest[parent] if parent >= 0 else 0)
        turns.append(turn if parent < 0 else turns[parent] @ turn)
        places.append(offset.expand(len(rotations), 3) if parent < 0 else places[parent] + turns[parent] @ offset)
    return torch.stack(places, dim=1)


def test_the_position_loss_of_the_face_is_of_its_vertices(batch):
    task, body = rvqvae_task("face", *POSITIONS), load_body(None)
    losses = task.losses(batch)
    true = part_channels(batch_frames(batch), PARTS["face"])
    faces = []
    for channels in (true, (true + task.network.error).detach()):
        jaw = poses_from_rotation(channels[..., None, :6].expand(-1, -1, 55, -1))[..., 0, :]
        faces.append(body.face_vertices(jaw.flatten(0, 1), channels[..., 6:].flatten(0, 1), torch.zeros(300)))
    assert losses["position"].item() == pytest.approx((faces[1] - faces[0]).abs().mean().item(), rel=1e-3)


def test_figures_of_rvqvaes_are_degrees(batch):
    task = rvqvae_task("upper").eval()
    true = part_channels(batch_frames(batch), PARTS["upper"])
    wrong = angles(matrices(true + task.network.error, PARTS["upper"]), matrices(true, PARTS["upper"]))
    assert task.figures(batch)["degrees"].item() == pytest.approx(math.degrees(wrong.mean()), rel=1e-3)


class Legs(TranslationNetwork):
    """Gives what it saw and a fixed error, and remembers it."""

    def __init__(self):
        super().__init__(width=8)
        self.error = nn.Parameter(0.05 * torch.randn(1, 64, 61, generator=torch.Generator().manual_seed(3)))

    def predict(self, lower):
        self.seen = lower
        return lower + self.error


def test_every_term_of_translation_by_hand(batch):
    weights = {"root": 2.0, "contact": 3.0, "path": 5.0, "skating": 7.0}
    recipe = tiny_settings(*(f"recipe.translation.losses.{k}={v}" for k, v in weights.items())).recipe.translation
    rvqvae, net = Off(61, size=0.3), Legs()
    task = TranslationTask(net, recipe, rvqvae=rvqvae, body=load_body(None)).train()
    losses = task.losses(batch)
    true = part_channels(batch_frames(batch), PARTS["lower"])
    assert torch.equal(net.seen[:2], true), "the true legs"
    assert torch.equal(net.seen[2:], true + rvqvae.error), "and what the RVQ-VAE makes of them"
    assert not net.seen.requires_grad and not rvqvae.training
    out, target = net.seen + net.error.detach(), torch.cat([true, true])
    steps = torch.cat([torch.zeros(4, 1, 3), out[:, :-1, 54:57].cumsum(dim=1) / 30], dim=1)
    trans = torch.cat([batch["trans"], batch["trans"]])
    path = steps + trans[:, :1]
    path[..., 1] = out[..., 55]
    body, poses = load_body(None), torch.zeros(2, 64, 55, 3)
    legs = list(PARTS["lower"].joints)
    poses[:, :, legs] = poses_from_rotation(batch["rotation"])[:, :, legs]
    turns = axis_angle_to_matrix(poses)
    joints = torch.stack([plain_kinematics(m, body.rest_joints(b)) for m, b in zip(turns, batch["betas"], strict=True)])
    feet = torch.cat([joints, joints])[:, :, list(FEET)] + path[:, :, None]
    expected = {
        "root": (out - target)[..., 54:57].abs().mean(), "contact": (out - target)[..., 57:].square().mean(),
        "path": (path - trans).abs().mean(),
        "skating": (feet.diff(dim=1).norm(dim=-1) * 30 * target[:, :-1, 57:]).mean(),
    }  # fmt: skip
    assert set(losses) == set(expected)
    for key, value in expected.items():
        assert losses[key].item() == pytest.approx(value.item(), rel=2e-3), key
    total = sum(weights[key] * value for key, value in expected.items())
    assert task.total(losses).item() == pytest.approx(total.item(), rel=1e-3)


def test_translation_is_not_told_root_and_contact():
    torch.manual_seed(0)
    network, lower = TranslationNetwork(width=16).eval(), torch.randn(1, 40, 61)
    other = lower.clone()
    other[..., 54:] += 3.0
    assert torch.equal(network.predict(lower), network.predict(other))
    other[..., :54] += 0.1
    assert not torch.equal(network.predict(lower), network.predict(other))
    root, contact = network.root(lower)
    out = network.predict(lower)
    assert torch.equal(root, out[..., 54:57]) and torch.equal(contact, out[..., 57:].clamp(0, 1))


def test_every_term_of_the_embedder_by_hand(batch):
    class Wrong(MotionEmbedder):
        def forward(self, x):
            return x + wrong

    wrong = 0.1 * torch.randn(2, 64, 330, generator=torch.Generator().manual_seed(5))
    weights = {"rotation": 2.0, "velocity": 3.0, "acceleration": 5.0}
    recipe = tiny_settings(*(f"recipe.fgd.losses.{k}={v}" for k, v in weights.items())).recipe.fgd
    task = EmbedderTask(Wrong(), recipe)
    losses = task.losses(batch)
    change = wrong.diff(dim=1)
    expected = {
        "rotation": wrong.square().mean(), "velocity": change.abs().mean(),
        "acceleration": change.diff(dim=1).abs().mean(),
    }  # fmt: skip
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(
        {key: value.item() for key, value in expected.items()}, rel=1e-3
    )
    total = sum(weights[key] * value for key, value in expected.items())
    assert task.total(losses).item() == pytest.approx(total.item(), rel=1e-3)
    own = rotation_6d_to_matrix((batch["rotation"].flatten(-2) + wrong).view_as(batch["rotation"]))
    angle = angles(own, rotation_6d_to_matrix(batch["rotation"])).mean()
    assert task.figures(batch)["degrees"].item() == pytest.approx(math.degrees(angle), rel=1e-3)


def test_the_batch_is_a_true_one(batch):
    assert torch.allclose(rotation_from_poses(poses_from_rotation(batch["rotation"]))[:, :, 1], batch["rotation"][:, :, 1], atol=1e-5)  # fmt: skip  # noqa: E501


def test_windows_are_shifted_in_training_alone(batch):
    task = rvqvae_task("upper", "recipe.rvqvae.shift=true")
    task.losses(batch), task.eval().losses(batch)
    assert [seen.shape[1] for seen in task.network.seen] == [60, 64]


def test_translation_moves_nothing_but_its_own_network(batch):
    torch.manual_seed(0)
    rvqvae = Off(61)
    task = TranslationTask(TranslationNetwork(width=8), tiny_settings().recipe.translation, rvqvae=rvqvae)
    rvqvae.error.requires_grad_(True)  # whatever may have happened to it since
    task.total(task.losses(batch)).backward()
    assert rvqvae.error.grad is None and all(p.grad is not None for p in task.network.encoder.parameters())


def test_codebooks_move_with_the_last_batch_of_a_step(body):
    task = fresh_task("rvqvae_lower", tiny_settings(), 1, body)
    for index, held in enumerate((True, True, False, True, False)):
        task.trainer = SimpleNamespace(
            accumulate_grad_batches=3, global_step=0, world_size=1, global_rank=0, is_last_batch=index == 4
        )
        task.on_train_batch_start(None, index)
        assert task.network.quantizer.hold == held, index
