"""RVQ-VAE of one body part: conv ResNet encoder and decoder, time down by 4 (paper sections 3.1 and 4.1)."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semtalk.models.layers import conv_reach, smooth_steps
from semtalk.models.packed import Conv1d
from semtalk.models.quantizer import ResidualQuantizer
from semtalk.motion.skeleton import DOWNSAMPLE

DILATIONS = (9, 3, 1)


class DilatedResidual(nn.Module):
    """``x + dropout(conv1(ReLU(dilated conv3(ReLU x))))`` over (B, C, T)."""

    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(), Conv1d(width, width, 3, padding=dilation, dilation=dilation),
            nn.ReLU(), Conv1d(width, width, 1), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, C, T)."""
        return x + self.body(x)


def _residuals(width: int, dropout: float) -> list[nn.Module]:
    return [DilatedResidual(width, dilation, dropout) for dilation in DILATIONS]


class Encoder(nn.Sequential):
    """(B, D, T) to latents (B, C, T/4)."""

    def __init__(self, channels: int, width: int, latent: int, dropout: float):
        layers: list[nn.Module] = [Conv1d(channels, width, 3, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [Conv1d(width, width, 4, stride=2, padding=1), *_residuals(width, dropout)]
        super().__init__(*layers, Conv1d(width, latent, 3, padding=1))


class Decoder(nn.Sequential):
    """Latents (B, C, T/4) to (B, D, T)."""

    def __init__(self, channels: int, width: int, latent: int, dropout: float):
        layers: list[nn.Module] = [Conv1d(latent, width, 3, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [*_residuals(width, dropout), nn.Upsample(scale_factor=2), Conv1d(width, width, 3, padding=1)]
        layers += [Conv1d(width, width, 3, padding=1), nn.ReLU(), Conv1d(width, channels, 3, padding=1)]
        super().__init__(*layers)

    def tail(self, x: Tensor, frames: int) -> Tensor:
        """The last ``frames`` frames (B, D, t) of what :meth:`forward` gives, from what they depend on alone."""
        rows = [frames]
        for layer in reversed(self):
            rows.append(_rows_before(layer, rows[-1]))
        for layer, needed in zip(self, reversed(rows), strict=False):
            x = layer(x[..., -needed:])
        return x[..., -frames:]


class LinearPath(nn.Module):
    """What linear maps keep of motion at the rate of code steps, beside the convolutions' encoder and decoder.

    The convolutions alone smooth motion that they have not been trained on long before the codes do: on a held-out
    take of a small corpus, principal directions of the pose keep more of its speed and have the smaller error. A latent
    stands for the middle of its step and is interpolated between steps, so that codes that jump give no jerk. The path
    starts as the principal directions of four frames' mean pose (:meth:`fit`), and is trained with the rest.
    """

    def __init__(self, channels: int, latent: int):
        super().__init__()
        self.down = Conv1d(channels, latent, 2 * DOWNSAMPLE, stride=DOWNSAMPLE, padding=DOWNSAMPLE // 2)
        self.up = Conv1d(latent, channels, 5, padding=2)

    @torch.no_grad()
    def fit(self, takes: Iterable[Tensor], directions: int) -> None:
        """Take the principal directions of standardised takes, each (T, D), scaled to a mean variance of 1.

        Latents beyond ``directions`` start at nought, as do all taps on frames outside the step.
        """
        count, total, square = 0, 0.0, 0.0
        for take in takes:
            rows = take.unfold(0, DOWNSAMPLE, 1).mean(dim=-1).double()
            count, total, square = count + len(rows), total + rows.sum(dim=0), square + rows.T @ rows
        mean = total / count
        variance, basis = torch.linalg.eigh(square / count - mean.outer(mean))
        kept = min(directions, self.down.out_channels, len(mean))
        gain = variance[-kept:].mean().clamp(min=1e-12).sqrt()
        basis = basis[:, -kept:].flip(-1)
        for parameter in self.parameters():
            parameter.zero_()
        inside = slice(DOWNSAMPLE // 2, DOWNSAMPLE // 2 + DOWNSAMPLE)
        self.down.weight[:kept, :, inside] = (basis / gain / DOWNSAMPLE).T[..., None]
        self.down.bias[:kept] = -(mean @ basis) / gain
        self.up.weight[:, :kept, self.up.padding[0]] = basis * gain
        self.up.bias.copy_(mean)

    def decode(self, latent: Tensor, last: int | None = None) -> Tensor:
        """Channels (B, D, T) of latents (B, C, T/4), or of their ``last`` frames."""
        if last is not None:
            seen = last + conv_reach(self.up) + DOWNSAMPLE // 2  # interpolation holds half a step at the beginning
            latent = latent[..., -math.ceil(seen / DOWNSAMPLE) :]
        channels = self.up(F.interpolate(latent, scale_factor=float(DOWNSAMPLE), mode="linear"))
        return channels if last is None else channels[..., -last:]


def _rows_before(layer: nn.Module, rows: int) -> int:
    """Last rows of a layer's input that its last ``rows`` rows depend on."""
    if isinstance(layer, nn.Upsample):
        return -(-rows // int(layer.scale_factor))
    return rows + conv_reach(layer)


class RVQVAE(nn.Module):
    """Motion of one part to codes and back.

    ``mean`` and ``scale`` (D,) are buffers that standardise the channels; they are 0 and 1 until
    :meth:`set_statistics` is called.
    """

    def __init__(
        self, channels: int, width: int, latent: int, levels: int, codes: int, dropout: float = 0.0,
        quantizer_dropout: float = 0.2, decay: float = 0.99, linear: int = 0, noise: float = 0.0,
        smoothing: int = 0,
    ):  # fmt: skip
        """Build the network.

        Args:
            channels: D of the part (106, 78, 180 or 61).
            width: Channels of the convolutions, 256 in the paper.
            latent: Width of a code.
            levels: Levels of the quantizer.
            codes: Codes of each level.
            dropout: Inside residual blocks.
            quantizer_dropout: See :class:`ResidualQuantizer`.
            decay: Of the codebooks' moving averages.
            linear: Principal directions that a :class:`LinearPath` starts with; 0 for none.
            noise: Of the quantised latents in training, in deviations: the decoder learns to smooth what codes of
                motion that is not trained on miss.
            smoothing: How often decoded channels are averaged with their neighbours (:func:`smooth_steps`), in
                training too: codes change 7.5 times a second, and what they do not agree on must not be seen as jitter.
        """
        super().__init__()
        self.encoder = Encoder(channels, width, latent, dropout)
        self.quantizer = ResidualQuantizer(levels, codes, latent, decay=decay, dropout=quantizer_dropout)
        self.decoder = Decoder(channels, width, latent, dropout)
        self.directions = linear
        self.linear = LinearPath(channels, latent) if linear else None
        self.noise = noise
        self.smoothing = smoothing
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))

    def set_statistics(self, mean: Tensor, scale: Tensor) -> None:
        """Set what channels are standardised by, each (D,)."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def fit_linear(self, takes: Iterable[Tensor]) -> None:
        """Start the linear path, where there is one, from takes of the training split, each (T, D)."""
        if self.linear is not None:
            self.linear.fit(((take - self.mean) / self.scale for take in takes), self.directions)

    def encode_latent(self, x: Tensor) -> Tensor:
        """Latents (B, T/4, C) of motion (B, T, D)."""
        channels = ((x - self.mean) / self.scale).transpose(1, 2)
        latent = self.encoder(channels)
        if self.linear is not None:
            latent = latent + self.linear.down(channels)
        return latent.transpose(1, 2)

    def decode_latent(self, latent: Tensor, last: int | None = None) -> Tensor:
        """Motion (B, T, D) of latents (B, T/4, C), or its ``last`` frames."""
        latent, more = latent.transpose(1, 2), None if last is None else last + self.smoothing
        channels = self.decoder(latent) if more is None else self.decoder.tail(latent, more)
        if self.linear is not None:
            channels = channels + self.linear.decode(latent, more)
        channels = smooth_steps(channels.transpose(1, 2), self.smoothing)
        return (channels if last is None else channels[:, -last:]) * self.scale + self.mean

    def forward(self, x: Tensor, levels: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct (B, T, D): the reconstruction, indices (B, T/4, L), and the commitment loss.

        ``levels`` is as in :meth:`ResidualQuantizer.forward`.
        """
        quantised, indices, commitment = self.quantizer(self.encode_latent(x), levels)
        if self.training and self.noise:
            quantised = quantised + self._noise(quantised.detach())
        return self.decode_latent(quantised), indices, commitment

    def _noise(self, latent: Tensor) -> Tensor:
        """Normal noise (B, S, C), per window of a random deviation up to ``noise`` times that of the channel."""
        size = self.noise * torch.rand(len(latent), 1, 1, device=latent.device)
        return size * latent.std(dim=(0, 1)) * torch.randn_like(latent)

    def encode(self, x: Tensor) -> Tensor:
        """Indices (B, T/4, L) of motion (B, T, D)."""
        return self.quantizer(self.encode_latent(x))[1]

    def decode(self, indices: Tensor) -> Tensor:
        """Motion (B, T, D) of indices (B, T/4, L)."""
        return self.decode_latent(self.quantizer.decode(indices).sum(dim=-2))
