"""What scores how well motion fits sound: two towers into one space, which meet step by step (docs/metrics.md)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semtalk.models.dropout import Dropout
from semtalk.models.grouped import Linear
from semtalk.models.layers import ConvStack, Standardise, step_mean
from semtalk.motion.skeleton import PARTS

HEARD = ("rhythm", "hubert")
"""Feature slots that it hears."""


class Tower(nn.Module):
    """Frames (B, T, d) to unit vectors (B, T/4, C), one for each code step."""

    def __init__(self, width_in: int, width: int, blocks: int, latent: int, dropout: float):
        super().__init__()
        self.frames = ConvStack(width_in, width, 1)
        self.steps = ConvStack(width, width, blocks)
        self.dropout = Dropout(dropout)
        self.leave = Linear(width, latent)

    def forward(self, x: Tensor) -> Tensor:
        """Encode frames."""
        steps = self.steps(step_mean(self.dropout(self.frames(x))))
        return F.normalize(self.leave(self.dropout(steps)).float(), dim=-1)


class AlignmentScorer(nn.Module):
    """Scores how well motion fits sound: the mean cosine of what two towers make of each step of a window.

    Motion is how rotations differ from the window's mean, and how they change: a pose that stands says nothing.
    """

    def __init__(
        self, rhythm: int, hubert: int, parts: Sequence[str], width: int, blocks: int, latent: int, dropout: float,
        noise: float,
    ):  # fmt: skip
        """Build the towers.

        Args:
            rhythm: Width of the slot.
            hubert: Width of the slot.
            parts: Whose rotations are seen.
            width: Channels of the convolutions.
            blocks: Residual blocks over code steps, of each tower.
            latent: C, where the towers meet.
            dropout: In the towers.
            noise: On what is heard and seen in training, in deviations.
        """
        super().__init__()
        self.joints = [joint for part in parts for joint in PARTS[part].joints]
        seen = 6 * len(self.joints)
        self.standard = nn.ModuleDict({"rhythm": Standardise(rhythm, noise), "hubert": Standardise(hubert, noise)})
        self.moves = nn.ModuleList([Standardise(seen, noise), Standardise(seen, noise)])
        self.speech = Tower(rhythm + hubert, width, blocks, latent, dropout)
        self.motion = Tower(2 * seen, width, blocks, latent, dropout)

    def movement(self, rotation: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen of rotations (B, T, 55, 6): their distance from the mean, and their change, each (B, T, d)."""
        seen = rotation[..., self.joints, :].flatten(-2)
        change = torch.diff(seen, dim=-2, prepend=seen[..., :1, :])
        return seen - seen.mean(dim=-2, keepdim=True), change

    def see(self, rotation: Tensor) -> Tensor:
        """Unit vectors (B, T/4, C) of motion (B, T, 55, 6)."""
        moves = zip(self.moves, self.movement(rotation), strict=True)
        return self.motion(torch.cat([standard(value) for standard, value in moves], dim=-1))

    def hear(self, features: Mapping[str, Tensor]) -> Tensor:
        """Unit vectors (B, T/4, C) of the features of :data:`HEARD`, each (B, T, d)."""
        return self.speech(torch.cat([self.standard[slot](features[slot]) for slot in HEARD], dim=-1))
