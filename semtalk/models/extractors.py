"""Feature extractors of SHOW's protocols: TalkSHOW's body autoencoder, and DiffSHEG's window encoders.

Encoders have the layers of the published networks, so that their weights fit; decoders, which only training needs, are
this code base's own. Both see axis-angle columns of a pose, without the root.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semtalk.models.layers import SLOPE, BatchNorm1d
from semtalk.motion.parts import poses_from_rotation
from semtalk.motion.rotation import axis_angle_to_matrix, geodesic_distance
from semtalk.motion.skeleton import (
    DIFFSHEG_JOINTS,
    JAW,
    NUM_EXPRESSIONS,
    SHOW_WINDOW,
    TALKSHOW_JOINTS,
    pose_columns,
)

GESTURE = 3 * len(DIFFSHEG_JOINTS)
FACE = 3 + NUM_EXPRESSIONS


class ConvNorm(nn.Module):
    """Convolution, batch norm, leaky ReLU."""

    def __init__(self, width_in: int, width_out: int, kernel: int = 3, stride: int = 1, padding: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(width_in, width_out, kernel, stride, padding)
        self.norm = BatchNorm1d(width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C', T')."""
        return F.leaky_relu(self.norm(self.conv(x)), SLOPE)


class Halve(ConvNorm):
    """Half the frames; beside the normalised convolution lies one that is not."""

    def __init__(self, width_in: int, width_out: int):
        super().__init__(width_in, width_out, 4, 2)
        self.shortcut = nn.Conv1d(width_in, width_out, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C', T/2)."""
        return F.leaky_relu(self.norm(self.conv(x)) + self.shortcut(x), SLOPE)


class Residual(nn.Module):
    """Two normalised convolutions, then a third that is added to what came in."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(ConvNorm(width, width), ConvNorm(width, width))
        self.conv = nn.Conv1d(width, width, 3, 1, 1)
        self.norm = BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to the same."""
        return F.relu(self.norm(self.conv(self.layers(x))) + x)


def axis_angles(rotation: Tensor) -> Tensor:
    """Axis-angle (..., 165) of rotations (..., 55, 6)."""
    return poses_from_rotation(rotation).flatten(-2)


def turned_degrees(own: Tensor, true: Tensor) -> Tensor:
    """Mean angle in degrees between rotations given as axis-angle (..., 3 J)."""
    matrices = (axis_angle_to_matrix(value.unflatten(-1, (-1, 3))) for value in (own, true))
    return torch.rad2deg(geodesic_distance(*matrices).mean())


class TalkSHOWExtractor(nn.Module):
    """Encoder of TalkSHOW's FGD: a row of 64 for four frames of 129 axis-angle values, not normalised."""

    window = SHOW_WINDOW
    error = staticmethod(F.l1_loss)

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            ConvNorm(GESTURE, 256), Residual(256), Halve(256, 512), Residual(512), Halve(512, 1024), Residual(1024),
            nn.Conv1d(1024, 64, 1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            ConvNorm(64, 256), nn.Upsample(scale_factor=2), Residual(256), nn.Upsample(scale_factor=2), Residual(256),
            nn.Conv1d(256, GESTURE, 3, 1, 1),
        )  # fmt: skip

    def values(self, rotation: Tensor, expressions: Tensor) -> Tensor:
        """What is encoded, (B, T, 129), of rotations (B, T, 55, 6)."""
        return axis_angles(rotation)[..., pose_columns(TALKSHOW_JOINTS)]

    def rows(self, rotation: Tensor, expressions: Tensor) -> dict[str, Tensor]:
        """``fgd``: (floor(floor(T/2)/2), 64) of one sequence (T, 55, 6)."""
        values = self.values(rotation, expressions).to(self.encoder[-1].weight.dtype)
        return {"fgd": self.encoder(values.T[None])[0].T}

    def forward(self, values: Tensor) -> Tensor:
        """Reconstruct (B, T, 129), T a multiple of 4."""
        return self.decoder(self.encoder(values.transpose(1, 2))).transpose(1, 2)

    def degrees(self, own: Tensor, true: Tensor) -> Tensor:
        """Mean angle between reconstructed and true rotations."""
        return turned_degrees(own, true)


class WindowEncoder(nn.Module):
    """DiffSHEG's encoder: one vector of 300 for a window of 88 frames.

    Behind two of its linear layers the published one has leaky ReLUs of slope 1, which change nothing and are left out.
    """

    def __init__(self, width: int, widths: tuple[int, int, int] = (3600, 1200, 600)):
        super().__init__()
        first, second, third = widths
        self.net = nn.Sequential(
            ConvNorm(width, 300, 3, 1, 0), ConvNorm(300, 600, 3, 1, 0), ConvNorm(600, 600, 4, 2, 0),
            nn.Conv1d(600, 300, 3),
        )  # fmt: skip
        self.out_net = nn.Sequential(
            nn.Linear(39 * 300, first), BatchNorm1d(first), nn.Linear(first, second), BatchNorm1d(second),
            nn.Linear(second, third), BatchNorm1d(third), nn.Linear(third, 300),
        )  # fmt: skip
        self.mean = nn.Linear(300, 300)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, 88, D) normalised to (N, 300)."""
        found = self.net(clips.transpose(1, 2)).flatten(1)
        for layer in self.out_net:
            found = layer(found[..., None])[..., 0] if isinstance(layer, BatchNorm1d) else layer(found)
        return self.mean(found)


class WindowDecoder(nn.Sequential):
    """A window of 88 frames from one vector of 300."""

    def __init__(self, width: int):
        super().__init__(
            nn.Linear(300, 22 * 128), nn.Unflatten(-1, (128, 22)), ConvNorm(128, 128), nn.Upsample(scale_factor=2),
            ConvNorm(128, 128), nn.Upsample(scale_factor=2), nn.Conv1d(128, width, 3, 1, 1),
        )  # fmt: skip


class DiffSHEGExtractor(nn.Module):
    """DiffSHEG's three networks: of gesture (129), of face (jaw and expressions, 103), and of both."""

    window = SHOW_WINDOW
    error = staticmethod(F.l1_loss)
    sees = {"fgd": GESTURE, "fed": FACE, "fmd": GESTURE + FACE}

    def __init__(self, widths: tuple[int, int, int] = (3600, 1200, 600)):
        """Build the networks; ``widths`` are of their linear layers."""
        super().__init__()
        self.encoders = nn.ModuleDict({name: WindowEncoder(width, widths) for name, width in self.sees.items()})
        self.decoders = nn.ModuleDict({name: WindowDecoder(width) for name, width in self.sees.items()})
        self.register_buffer("mean", torch.zeros(GESTURE + FACE))
        self.register_buffer("scale", torch.ones(GESTURE + FACE))

    def set_statistics(self, mean: Tensor, scale: Tensor) -> None:
        """Set mean and scale, each (232,), by which values are normalised."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def raw(self, rotation: Tensor, expressions: Tensor) -> Tensor:
        """Gesture, jaw and expressions (..., 232) before they are normalised."""
        poses = axis_angles(rotation)
        return torch.cat([poses[..., pose_columns((*DIFFSHEG_JOINTS, JAW))], expressions], dim=-1)

    def values(self, rotation: Tensor, expressions: Tensor) -> Tensor:
        """What is encoded, normalised (B, T, 232), of rotations (B, T, 55, 6) and expressions (B, T, 100)."""
        return (self.raw(rotation, expressions) - self.mean) / self.scale

    def parts(self, values: Tensor) -> dict[str, Tensor]:
        """What each of the networks sees of (..., 232)."""
        return {"fgd": values[..., :GESTURE], "fed": values[..., GESTURE:], "fmd": values}

    def clips(self, rotation: Tensor, expressions: Tensor) -> Tensor:
        """Windows (N, 88, 232), normalised, of one sequence (T, 55, 6) and (T, 100); its end is dropped."""
        values = self.values(rotation, expressions).to(self.mean.dtype)
        return values[: len(values) // SHOW_WINDOW * SHOW_WINDOW].unflatten(0, (-1, SHOW_WINDOW))

    def rows(self, rotation: Tensor, expressions: Tensor) -> dict[str, Tensor]:
        """``fgd``, ``fed`` and ``fmd``: (N, 300) each of one sequence (T, 55, 6) and (T, 100)."""
        parts = self.parts(self.clips(rotation, expressions))
        return {
            name: self.encoders[name](clips) if len(clips) else clips.new_zeros(0, 300) for name, clips in parts.items()
        }

    def forward(self, values: Tensor) -> Tensor:
        """Reconstruct (B, 88, 232): half of what the network of both makes, half of what the others do."""
        made = {
            name: self.decoders[name](self.encoders[name](clips)).transpose(1, 2)
            for name, clips in self.parts(values).items()
        }
        return (made["fmd"] + torch.cat([made["fgd"], made["fed"]], dim=-1)) / 2

    def degrees(self, own: Tensor, true: Tensor) -> Tensor:
        """Mean angle between reconstructed and true rotations of the body."""
        own, true = (value * self.scale + self.mean for value in (own, true))
        return turned_degrees(own[..., :GESTURE], true[..., :GESTURE])
