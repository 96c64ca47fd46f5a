"""Blocks that several networks share."""

import math
from functools import partial

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from semtalk.models.attention import TransformerLayer
from semtalk.models.dropout import Dropout
from semtalk.models.grouped import Linear
from semtalk.models.packed import Conv1d
from semtalk.motion.precision import without_autocast
from semtalk.motion.skeleton import DOWNSAMPLE, WINDOW
from semtalk.processes import mean_over_processes, world

SLOPE = 0.2
"""Of every leaky ReLU."""


class MLP(nn.Sequential):
    """Linear, leaky ReLU, Linear over the last dimension."""

    def __init__(self, width_in: int, hidden: int, width_out: int):
        super().__init__(Linear(width_in, hidden), nn.LeakyReLU(SLOPE), Linear(hidden, width_out))


def later_buffer(module: nn.Module, name: str, value: Tensor) -> None:
    """Register a buffer that earlier checkpoints do not have: they load with this value."""
    module.register_buffer(name, value)
    module.register_load_state_dict_pre_hook(partial(_fill_in, name=name, value=value.clone()))


def _fill_in(module: nn.Module, state: dict, prefix: str, *_unused, name: str, value: Tensor) -> None:
    state.setdefault(prefix + name, value)


class Standardise(nn.Module):
    """``(x - mean) / scale`` in every channel, by what the training split says; with noise while training.

    Features of very different scales would drown each other: the energy of a voice has a deviation of 20, its
    amplitude one of 0.2. Until :meth:`set_statistics` is called, and in earlier checkpoints, it is the identity.
    """

    def __init__(self, width: int, noise: float = 0.0):
        """Begin as the identity.

        Args:
            width: Channels.
            noise: Deviation of the normal noise that training adds, in deviations of the feature.
        """
        super().__init__()
        self.noise = noise
        later_buffer(self, "mean", torch.zeros(width))
        later_buffer(self, "scale", torch.ones(width))

    def set_statistics(self, mean: Tensor, scale: Tensor) -> None:
        """Set mean and deviation, each (d,)."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise (..., d)."""
        x = (x - self.mean) / self.scale
        return x + self.noise * torch.randn_like(x) if self.training and self.noise else x


class BatchNorm1d(nn.BatchNorm1d):
    """Batch norm of (B, C, T) over the windows of all processes that train together, which have as many each."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every channel."""
        if self.training and world() > 1:
            return torch.compiler.disable(self._over_processes)(x)  # here alone: it imports the compiler
        return super().forward(x)

    def _over_processes(self, x: Tensor) -> Tensor:
        count = len(x) * x.shape[-1] * world()
        with without_autocast(x):
            mean = mean_over_processes(x.float().mean(dim=(0, 2)))
            centred = x.float() - mean[:, None]
            variance = mean_over_processes(centred.square().mean(dim=(0, 2)))
            scale = self.weight * (variance + self.eps).rsqrt()
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            return (centred * scale[:, None] + self.bias[:, None]).to(x.dtype)


class LocalPath(nn.Module):
    """What the speech of a frame and of its neighbours says of that frame: (B, T, C) to (B, T, W).

    A linear map, then residual convolutions ``x + dropout(GELU(conv3 x))``. Attention has to find the frame first.
    """

    def __init__(self, width_in: int, width: int, layers: int, dropout: float):
        super().__init__()
        self.enter = Linear(width_in, width)
        self.layers = nn.ModuleList(Conv1d(width, width, 3, padding=1) for _ in range(layers))
        self.dropout = Dropout(dropout)

    def forward(self, speech: Tensor, known: Tensor | float = 0.0) -> Tensor:
        """Read speech (B, T, C); ``known`` (B, T, W) is added before the convolutions."""
        x = self.enter(speech) + known
        for layer in self.layers:
            x = self.dropout.add(x, F.gelu(layer(x.transpose(1, 2)).transpose(1, 2)))
        return x


class PositionTable(nn.Module):
    """Adds a sinusoidal table with the period of a window to (..., T, C), then drops out."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        position = torch.arange(WINDOW)[:, None]
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.stack([torch.sin(position * rate), torch.cos(position * rate)], dim=-1).flatten(1)
        self.register_buffer("table", table, persistent=False)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, stride: int = 1) -> Tensor:
        """Add the table to (..., T, C), whose rows are ``stride`` frames apart."""
        index = torch.arange(x.shape[-2], device=x.device) * stride % WINDOW
        return self.dropout(x + self.table[index])


class CrossAttention(nn.Module):
    """Post-norm transformer decoder layers: (P * B, S, C) queries attend to themselves and to a memory (B, T, C)."""

    def __init__(self, width: int, heads: int, feed_forward: int, layers: int, dropout: float, aligned: bool = False):
        """Build the layers.

        Args:
            width: C.
            heads: Attention heads.
            feed_forward: Width of the feed-forward block.
            layers: How many.
            dropout: In attention and after each block.
            aligned: Queries and memory carry the same positions, and attention starts along the diagonal.
        """
        super().__init__()
        self.recompute = False
        self.layers = nn.ModuleList(
            TransformerLayer(width, heads, feed_forward, dropout, cross=True) for _ in range(layers)
        )
        for layer in self.layers if aligned else ():
            layer.multihead_attn.align()

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Refine queries with a memory; with ``recompute``, training keeps a layer's inputs alone and runs it twice."""
        for layer in self.layers:
            if self.recompute and self.training:
                x = checkpoint(layer, x, memory, use_reentrant=False)
            else:
                x = layer(x, memory)
        return x


class ResidualConv(nn.Module):
    """``x + conv3(leaky ReLU(conv3(x)))`` over (B, C, T)."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            Conv1d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE), Conv1d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, T)."""
        return x + self.body(x)


class ConvStack(nn.Sequential):
    """Some times conv 3 to ``width``, leaky ReLU and a residual, over (B, T, C); the length stays."""

    def __init__(self, width_in: int, width: int, blocks: int):
        stages = []
        for index in range(blocks):
            stages += [Conv1d(width if index else width_in, width, 3, padding=1), nn.LeakyReLU(SLOPE)]
            stages.append(ResidualConv(width))
        super().__init__(*stages)

    def forward(self, x: Tensor) -> Tensor:
        """Encode (B, T, C_in) as (B, T, C)."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class ChannelFusion(nn.Module):
    """Weighs two features against each other in every channel by learned attention (paper section 3.3)."""

    def __init__(self, width: int):
        super().__init__()
        self.attention = Linear(2 * width, 2 * width)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Fuse two (B, T, C) into one."""
        scores = rearrange(self.attention(torch.cat([a, b], dim=-1)), "b t (c two) -> b t c two", two=2)
        weight = scores.softmax(dim=-1)
        return a * weight[..., 1] + b * weight[..., 0]


class HubertEncoder(nn.Module):
    """Two convolutions over HuBERT's features: (B, T, d) to (B, T, C)."""

    def __init__(self, width_in: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            Conv1d(width_in, width, 3, padding=1, bias=False),
            BatchNorm1d(width),
            nn.GELU(),
            Conv1d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode (B, T, d) as (B, T, C)."""
        return self.layers(x.transpose(1, 2)).transpose(1, 2)


def conv_reach(network: nn.Module) -> int:
    """Rows on either side that a row depends on, behind convolutions of stride 1 that keep the length."""
    return sum(layer.padding[0] for layer in network.modules() if isinstance(layer, nn.Conv1d))


def smooth_steps(x: Tensor, times: int) -> Tensor:
    """Average (B, T, C) over time with weights 1/4, 1/2, 1/4, some times; the first and the last row are held."""
    for _ in range(times):
        held = torch.cat([x[:, :1], x, x[:, -1:]], dim=1)
        x = (held[:, :-2] + 2 * x + held[:, 2:]) / 4
    return x


def step_mean(x: Tensor) -> Tensor:
    """Mean of (B, T, C) over the four frames of each code step: (B, T/4, C)."""
    return rearrange(x, "b (s f) c -> b s f c", f=DOWNSAMPLE).mean(dim=2)


def step_repeat(x: Tensor) -> Tensor:
    """Repeat (B, S, C) over the four frames of each step: (B, 4S, C)."""
    return repeat(x, "b s c -> b (s f) c", f=DOWNSAMPLE)
