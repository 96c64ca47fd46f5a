"""The FGD embedder: a skeleton-aware convolutional autoencoder of whole-body rotations (Aberman et al. 2020; EMAGE).

Masks and pooling follow from the skeleton by rule, so that an embedder can be trained for any corpus.
"""

from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from semtalk.models.layers import SLOPE, ResidualConv
from semtalk.motion.rotation import geodesic_distance, rotation_6d_to_matrix
from semtalk.motion.skeleton import NUM_JOINTS, PARENTS, WINDOW

Edge = tuple[int, int]
REACH = 2
"""Edges up to this distance apart are connected by a convolution."""
GROUPS = 10
MULTIPLE = 32
"""Frames of which FGD takes a multiple."""


def skeleton_edges() -> list[Edge]:
    """Edges of the skeleton: a virtual root edge (0, 55), then (parent of k, k) for joints 1..54."""
    return [(0, NUM_JOINTS), *((PARENTS[joint], joint) for joint in range(1, NUM_JOINTS))]


def edge_neighbours(edges: list[Edge], reach: int = REACH) -> Tensor:
    """0/1 matrix (E, E) of edges at most ``reach`` apart; edges that share a joint are at distance 1."""
    touches = torch.tensor([[bool(set(a) & set(b)) for b in edges] for a in edges]).float()
    return (torch.linalg.matrix_power(touches, reach) > 0).float()


def pool_edges(edges: list[Edge]) -> tuple[list[Edge], list[list[int]]]:
    """Merge consecutive edges in pairs along the chains of the skeleton.

    Chains are followed depth first from the root and end at leaves and at non-root joints of degree above 2. In an odd
    chain the edge nearest the root stays alone and comes first. A pair (a, b), (b, c) becomes the edge (a, c).

    Returns:
        The new edges, and for each the indices of the edges that it merges.
    """
    children = defaultdict(list)
    degree: dict[int, int] = defaultdict(int)
    for index, (a, b) in enumerate(edges):
        children[a].append(index)
        degree[a] += 1
        degree[b] += 1
    chains: list[list[int]] = []

    def follow(joint: int, chain: list[int]) -> None:
        ends = joint != 0 and degree[joint] > 2
        if chain and (ends or not children[joint]):
            chains.append(chain)
            chain = []
        for index in children[joint]:
            follow(edges[index][1], [*chain, index] if joint != 0 else [index])

    follow(0, [])
    groups = []
    for chain in chains:
        odd = len(chain) % 2
        groups += [[chain[0]]] * odd + [chain[i : i + 2] for i in range(odd, len(chain), 2)]
    return [(edges[group[0]][0], edges[group[-1]][1]) for group in groups], groups


class MaskedConv(nn.Conv1d):
    """A convolution whose weight is multiplied by a fixed 0/1 mask."""

    def __init__(self, mask: Tensor, kernel: int, stride: int, padding: int):
        super().__init__(mask.shape[1], mask.shape[0], kernel, stride=stride, padding=padding)
        self.register_buffer("mask", mask[:, :, None].repeat(1, 1, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, T)."""
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class SkeletonPool(nn.Module):
    """Averages the channels of merged edges."""

    def __init__(self, groups: list[list[int]], channels: int):
        super().__init__()
        edges = 1 + max(index for group in groups for index in group)
        weight = torch.zeros(len(groups), edges)
        for row, group in enumerate(groups):
            weight[row, group] = 1 / len(group)
        self.register_buffer("weight", torch.kron(weight, torch.eye(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, E * c, T) to (B, E' * c, T)."""
        return self.weight @ x


class SkeletonLayer(nn.Module):
    """``tanh(pool(groupnorm(conv4(x)) + conv1(x)))`` at half the frame rate."""

    def __init__(self, neighbours: Tensor, channels_in: int, channels_out: int, groups: list[list[int]] | None):
        super().__init__()
        mask = torch.kron(neighbours, torch.ones(channels_out, channels_in))
        self.conv = MaskedConv(mask, 4, 2, 1)
        self.norm = nn.GroupNorm(GROUPS, mask.shape[0])
        self.shortcut = MaskedConv(mask, 1, 2, 0)
        self.pool = SkeletonPool(groups, channels_out) if groups else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C', T/2)."""
        return torch.tanh(self.pool(self.norm(self.conv(x)) + self.shortcut(x)))


class MotionEmbedder(nn.Module):
    """Autoencoder of 330-d rot6d motion; its latents (B, T/16, 240) are the features of FGD."""

    frames_per_row = 16
    window = WINDOW
    """Frames of a training window."""
    error = staticmethod(mse_loss)
    """Of what is reconstructed."""

    def __init__(self):
        super().__init__()
        edges = skeleton_edges()
        layers, width = [], 6
        for index in range(4):
            neighbours = edge_neighbours(edges)
            groups = None
            if index < 2:
                edges, groups = pool_edges(edges)
            channels = 12 if index >= 2 else 6
            layers.append(SkeletonLayer(neighbours, width, channels, groups))
            width = channels
        self.encoder = nn.Sequential(*layers)
        latent = len(edges) * width
        decoder: list[nn.Module] = [ResidualConv(latent), ResidualConv(latent)]
        for index in range(4):
            channels = NUM_JOINTS * 6 if index == 3 else latent
            decoder += [nn.Upsample(scale_factor=2), nn.Conv1d(latent, channels, 3, padding=1), nn.LeakyReLU(SLOPE)]
        self.decoder = nn.Sequential(*decoder, nn.Conv1d(NUM_JOINTS * 6, NUM_JOINTS * 6, 3, padding=1))

    def values(self, rotation: Tensor, expressions: Tensor) -> Tensor:
        """What is encoded, (B, T, 330), of rotations (B, T, 55, 6)."""
        return rotation.flatten(-2)

    def rows(self, rotation: Tensor, expressions: Tensor) -> dict[str, Tensor]:
        """``fgd``: (N, 240) of one sequence (T, 55, 6), which is cut to a multiple of 32 frames and encoded whole."""
        frames = len(rotation) // MULTIPLE * MULTIPLE
        return {"fgd": self.embed(self.values(rotation[:frames], expressions)[None])[0]}

    def degrees(self, own: Tensor, true: Tensor) -> Tensor:
        """Mean angle between reconstructed and true rotations."""
        matrices = (rotation_6d_to_matrix(value.unflatten(-1, (-1, 6))) for value in (own, true))
        return torch.rad2deg(geodesic_distance(*matrices).mean())

    def embed(self, rotation: Tensor) -> Tensor:
        """Features (B, T/16, 240) of rot6d motion (B, T, 330)."""
        return self.encoder(rotation.transpose(1, 2)).transpose(1, 2)

    def forward(self, rotation: Tensor) -> Tensor:
        """Reconstruct (B, T, 330), T a multiple of 16."""
        return self.decoder(self.encoder(rotation.transpose(1, 2))).transpose(1, 2)
