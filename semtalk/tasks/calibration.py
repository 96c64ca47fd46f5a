"""How far the expected latent of a part is amplified: found on the validation split, so that the amplitude is right."""

import torch
from torch import Tensor

from semtalk.models.decoding import Readout, expected_latent
from semtalk.models.quantizer import sum_over_processes
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS

GAINS = torch.linspace(1.0, 4.0, 13)
"""Gains that are tried; those between them follow by interpolation."""


class Moments:
    """Count, sum and sum of squares of the rows (..., D) of G variants."""

    def __init__(self, variants: int, width: int, device: torch.device):
        self.count = torch.zeros(variants, 1, device=device, dtype=torch.float64)
        self.total, self.squares = (
            torch.zeros(variants, width, device=device, dtype=torch.float64) for _ in range(2)
        )  # fmt: skip

    def update(self, variant: int, rows: Tensor) -> None:
        """Add rows (..., D) to one variant."""
        rows = rows.flatten(0, -2).double()
        self.count[variant] += len(rows)
        self.total[variant] += rows.sum(dim=0)
        self.squares[variant] += rows.square().sum(dim=0)

    def variance(self) -> Tensor:
        """(G, D), over the rows of all processes."""
        sum_over_processes(self.count, self.total, self.squares)
        return self.squares / self.count - (self.total / self.count).square()


class Calibration:
    """Amplitude of a part's decoded expected latents at several gains, over the windows of a validation."""

    def __init__(self, part: str, tokenizer: Tokenizer, readout: Readout):
        """Begin a validation of one of :data:`PARTS`, read off by ``readout``."""
        self.part, self.rvqvae, self.readout = PARTS[part], tokenizer[part], readout
        self.codebooks = tokenizer.codebooks(part)
        device = self.codebooks.device
        self.own = Moments(len(GAINS), self.part.width, device)
        self.true = Moments(1, self.part.width, device)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add the windows of a batch: logits (B, S, L, K) and true channels (B, T, D)."""
        latent = expected_latent(logits, self.codebooks)
        for index, gain in enumerate(GAINS.tolist()):
            quantised = self.rvqvae.quantizer(self.readout(latent, gain))[0]
            self.own.update(index, self.rvqvae.decode_latent(quantised))
        self.true.update(0, target)

    def amplitudes(self) -> Tensor:
        """(G,) deviation over the truth's: the mean of that of the rotations and that of the expressions."""
        widths = [self.part.rotation_width, self.part.expressions]
        own, true = (
            moments.variance()[:, : sum(widths)].split(widths, dim=-1) for moments in (self.own, self.true)
        )  # fmt: skip
        ratios = [(a.sum(-1) / b.sum(-1)).sqrt() for a, b in zip(own, true, strict=True) if a.shape[-1]]
        return torch.stack(ratios).mean(dim=0)

    def gain(self, amplitude: float) -> float:
        """The smallest gain that gives this amplitude; the largest tried one where none does."""
        found = self.amplitudes().tolist()
        for gain, step, low, high in zip(GAINS.tolist(), GAINS.diff().tolist(), found, found[1:], strict=False):
            if low >= amplitude:
                return gain
            if high >= amplitude:
                return gain + step * (amplitude - low) / (high - low)
        return GAINS[-1].item()
