"""Stages that see motion alone: the RVQ-VAEs, the translation network and the FGD embedder."""

import torch
from torch import Tensor
from torch.nn import functional as F

from semtalk.body import forward_kinematics
from semtalk.data.windows import MOTION_KEYS
from semtalk.losses import motion_differences, reconstruction_losses, skating_loss
from semtalk.models.rvqvae import RVQVAE
from semtalk.models.translation import ROOT
from semtalk.motion.parts import batch_frames, merge_parts, part_channels, rotation_error, translation_from_root
from semtalk.motion.precision import without_autocast
from semtalk.motion.rotation import matrix_to_axis_angle, rotation_6d_to_matrix
from semtalk.motion.skeleton import DOWNSAMPLE, FEET, PARTS
from semtalk.tasks.stage import Frozen, StageTask


def shifted(batch: dict[str, Tensor], generator: torch.Generator | None = None) -> dict[str, Tensor]:
    """Windows (B, T, ...) without four frames, of which a random number lies at the start: other borders of steps."""
    start = int(torch.randint(DOWNSAMPLE, (), generator=generator))
    return batch | {key: batch[key][:, start : batch[key].shape[1] - DOWNSAMPLE + start] for key in MOTION_KEYS}


class RVQVAETask(StageTask):
    """Trains the RVQ-VAE of one part (paper section 3.1)."""

    def __init__(self, *args, part: str, **kwargs):
        super().__init__(*args, **kwargs)
        self.part = PARTS[part]
        self.phase = f"rvqvae_{part}"

    def on_train_batch_start(self, batch, batch_idx) -> None:
        """Have codebooks move once in a step, by all of its batches."""
        super().on_train_batch_start(batch, batch_idx)
        ends = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0 or self.trainer.is_last_batch
        self.network.quantizer.hold = not ends

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Reconstruction, commitment, and position losses through the body where they have a weight."""
        if self.training and self.recipe.shift:
            batch = shifted(batch, self.alike)
        levels = self.network.quantizer.draw_levels(self.alike) if self.training else None
        target = part_channels(batch_frames(batch), self.part)
        prediction, _, commitment = self.network(target, levels)
        losses = reconstruction_losses(self.part, prediction, target) | {"commitment": commitment}
        if self.weights["position"] or self.weights["skating"]:
            losses |= self._position_losses(batch, prediction, target)
        return losses

    def _position_losses(self, batch, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """L1 in metres of face vertices or of joints; for the lower part in the world, with skating of the feet."""
        if self.part.expressions:
            return {"position": (self._face(prediction) - self._face(target)).abs().mean()}
        rest = self.body.rest_joints(batch["betas"])[:, None]
        rotations = rotation_6d_to_matrix(batch["rotation"])
        true = forward_kinematics(self.body.with_mean_hand(rotations), rest)
        own = forward_kinematics(self.body.with_mean_hand(self._in_pose(rotations, prediction)), rest)
        if not self.part.root:
            return {"position": (own - true).abs().mean()}
        start = batch["trans"][:, 0]
        own_root = prediction[..., ROOT]
        own = own + translation_from_root(own_root, start)[..., None, :]
        true = true + translation_from_root(target[..., ROOT], start)[..., None, :]
        skating = skating_loss(own[..., list(FEET), :], prediction[..., ROOT.stop :])
        return {"position": (own - true).abs().mean(), "skating": skating}

    def _face(self, channels: Tensor) -> Tensor:
        jaw = matrix_to_axis_angle(rotation_6d_to_matrix(channels[..., :6])).flatten(0, -2)
        expressions = channels[..., 6:].flatten(0, -2)
        with without_autocast(channels):
            return self.body.face_vertices(jaw.float(), expressions.float(), expressions.new_zeros(300).float())

    def _in_pose(self, rotations: Tensor, channels: Tensor) -> Tensor:
        """Rotation matrices (B, T, 55, 3, 3) with this part's rotations, by its channels (B, T, D), put in."""
        own = rotation_6d_to_matrix(channels[..., : self.part.rotation_width].unflatten(-1, (-1, 6)))
        return rotations.index_copy(-3, torch.tensor(self.part.joints, device=own.device), own.to(rotations.dtype))

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mean angle in degrees between true and reconstructed rotations, all levels on."""
        target = part_channels(batch_frames(batch), self.part)
        angle = rotation_error(self.network(target)[0], target, self.part)
        return {"degrees": angle.mean()}


class TranslationTask(StageTask):
    """Trains the translation network on true and on reconstructed legs, so that it knows what it will see."""

    phase = "translation"
    mixed = False

    def __init__(self, *args, rvqvae: RVQVAE, **kwargs):
        super().__init__(*args, **kwargs)
        self._rvqvae = Frozen(rvqvae)

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """L1 on root velocity and height, squared error on contact, L1 on the integrated path, skating."""
        frames = batch_frames(batch)
        lower = part_channels(frames, PARTS["lower"])
        with torch.no_grad():
            seen = torch.cat([lower, self._rvqvae.on(self.device)(lower)[0]])
        out = self.network.predict(seen)
        root, contact = out[..., ROOT], out[..., ROOT.stop :]
        target, start = lower.repeat(2, 1, 1), batch["trans"][:, 0].repeat(2, 1)
        path = translation_from_root(root, start)
        losses = {
            "root": F.l1_loss(root, target[..., ROOT]),
            "contact": F.mse_loss(contact, target[..., ROOT.stop :]),
            "path": F.l1_loss(path, batch["trans"].repeat(2, 1, 1)),
        }
        if self.weights["skating"]:
            rotation = merge_parts({"lower": lower}).rotation
            joints = forward_kinematics(rotation_6d_to_matrix(rotation), self.body.rest_joints(batch["betas"])[:, None])
            feet = joints[..., list(FEET), :].repeat(2, 1, 1, 1) + path[..., None, :]
            losses["skating"] = skating_loss(feet, target[..., ROOT.stop :])
        return losses


class EmbedderTask(StageTask):
    """Trains the FGD embedder, or a feature extractor in its place, as an autoencoder."""

    phase = "fgd"
    mixed = False

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Error of what is reconstructed, by the network's own measure, and L1 of its velocity and acceleration."""
        target = self.network.values(batch["rotation"], batch["expressions"])
        prediction = self.network(target)
        velocity, acceleration = motion_differences(prediction, target)
        return {
            "rotation": self.network.error(prediction, target),
            "velocity": velocity,
            "acceleration": acceleration,
        }

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mean angle in degrees between true and reconstructed rotations."""
        target = self.network.values(batch["rotation"], batch["expressions"])
        return {"degrees": self.network.degrees(self.network(target), target)}
