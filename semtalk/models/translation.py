"""The translation network: where the body goes, from how the legs move (paper section 3.1, EMAGE's global motion)."""

import torch
from torch import Tensor, nn

from semtalk.models.layers import SLOPE, ConvStack, ResidualConv, conv_reach
from semtalk.models.packed import Conv1d
from semtalk.motion.skeleton import PARTS

LOWER = PARTS["lower"]
ROOT = slice(LOWER.rotation_width, LOWER.rotation_width + LOWER.root)
HELD = 16
"""Frames that are held beyond either end."""


class TranslationNetwork(nn.Module):
    """Lower-body channels (B, T, 61) to the same channels, of which root (54..56) and contact (57..60) are used."""

    def __init__(self, width: int, encoder_blocks: int = 4):
        super().__init__()
        channels = LOWER.width
        self.encoder = ConvStack(channels, width, encoder_blocks)
        layers: list[nn.Module] = [ResidualConv(width), ResidualConv(width)]
        for index in range(4):
            layers.append(Conv1d(width, channels if index == 3 else width, 3, padding=1))
            layers.append(nn.LeakyReLU(SLOPE))
        self.decoder = nn.Sequential(*layers, Conv1d(channels, channels, 3, padding=1))

    @property
    def reach(self) -> int:
        """Frames on either side that a frame depends on."""
        return conv_reach(self)

    def forward(self, lower: Tensor) -> Tensor:
        """Predict (B, T, 61) from (B, T, 61); the caller hides channels with :func:`hide_root`."""
        return self.decoder(self.encoder(lower).transpose(1, 2)).transpose(1, 2)

    def predict(self, lower: Tensor) -> Tensor:
        """Predict (B, T, 61) with root and contact hidden, and with the first and the last frame held beyond the ends.

        Without that the ends see the convolutions' zeros, which are no pose, and the figure sinks there.
        """
        first, last = (lower[:, frame : frame + 1].expand(-1, HELD, -1) for frame in (0, lower.shape[1] - 1))
        return self(hide_root(torch.cat([first, lower, last], dim=1)))[:, HELD:-HELD]

    def root(self, lower: Tensor) -> tuple[Tensor, Tensor]:
        """Root (B, T, 3) and contact (B, T, 4) in [0, 1] of decoded lower-body channels (B, T, 61)."""
        out = self.predict(lower)
        return out[..., ROOT], out[..., ROOT.stop :].clamp(0, 1)


def hide_root(lower: Tensor) -> Tensor:
    """Zero everything but the rotations of (..., 61) lower-body channels."""
    return torch.cat([lower[..., : ROOT.start], torch.zeros_like(lower[..., ROOT.start :])], dim=-1)
