"""How far latents that are read off are amplified: found on the windows of a validation, for the right amplitude."""

import torch
from torch import Tensor

from semtalk.models.decoding import CoherentNoise, Decoding, Readout, expected_latent, sample_codes
from semtalk.models.layers import smooth_steps
from semtalk.models.quantizer import sum_over_processes
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS

GAINS = torch.linspace(0.75, 4.0, 14)
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

    def about(self, mean: Tensor | None = None) -> Tensor:
        """Mean square (G, D) about a mean (D,), by default each variant's own, over the rows of all processes."""
        sum_over_processes(self.count, self.total, self.squares)
        first, second = self.total / self.count, self.squares / self.count
        mean = first if mean is None else mean.double()
        return second - 2 * mean * first + mean.square()


class Calibration:
    """Amplitude of a part's decoded motion at several gains.

    An *expected* latent is compared with the truth of the same windows: deviation over deviation. *Coherent* samples
    are to be spread as the training split is, whatever the few takes of a validation do: their root mean square about
    the training split's mean over its deviation.
    """

    def __init__(self, part: str, tokenizer: Tokenizer, readout: Readout, decoding: Decoding):
        """Begin a validation of one of :data:`PARTS`, read off by ``readout`` as ``decoding`` says."""
        self.part, self.rvqvae, self.readout = PARTS[part], tokenizer[part], readout
        self.decoding, self.codebooks = decoding, tokenizer.codebooks(part)
        self.sampled = decoding.way(part) == "coherent"
        device = self.codebooks.device
        self.own = Moments(len(GAINS), self.part.width, device)
        self.true = Moments(1, self.part.width, device)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add the windows of a batch: logits (B, S, L, K) and true channels (B, T, D)."""
        latent = self._sample(logits) if self.sampled else expected_latent(logits, self.codebooks)
        for index, gain in enumerate(GAINS.tolist()):
            quantised = self.rvqvae.quantizer(self.readout(latent, gain))[0]
            self.own.update(index, self.rvqvae.decode_latent(quantised))
        self.true.update(0, target)

    def _sample(self, logits: Tensor) -> Tensor:
        """Smoothed latents (B, S, C) of coherent samples; each window's noise follows from its number."""
        first = int(self.true.count) // (logits.shape[1] or 1)
        names = [str(first + index) for index in range(len(logits))]
        noise = CoherentNoise(names, 0, 0, logits.shape[2:], self.decoding.coherence).window(logits.shape[1])
        codes = sample_codes(logits, noise.to(logits.device), self.decoding.temperature)
        return smooth_steps(self.rvqvae.quantizer.decode(codes).sum(dim=-2), self.decoding.smoothing)

    def amplitudes(self) -> Tensor:
        """(G,) amplitude over the wanted one: the mean of that of the rotations and that of the expressions."""
        widths = [self.part.rotation_width, self.part.expressions]
        if self.sampled:
            own, true = self.own.about(self.rvqvae.mean), self.rvqvae.scale.double().square()[None]
        else:
            own, true = self.own.about(), self.true.about()
        pairs = zip(*(values[:, : sum(widths)].split(widths, dim=-1) for values in (own, true)), strict=True)
        ratios = [(a.sum(dim=-1) / b.sum(dim=-1)).sqrt() for a, b in pairs if a.shape[-1]]
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
