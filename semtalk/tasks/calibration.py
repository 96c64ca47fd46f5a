"""How far latents that are read off are amplified: found on the windows of a validation, for the right amplitude."""

from collections.abc import Mapping

import torch
from torch import Tensor

from semtalk.models.decoding import CoherentNoise, Decoding, Readout, expected_latent, sample_codes
from semtalk.models.layers import smooth_steps
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import PARTS
from semtalk.processes import sum_over_processes

GAINS = torch.linspace(0.75, 4.0, 14)
"""Gains that are tried; those between them follow by interpolation."""


class Moments:
    """Count, sum and sum of squares of the rows (..., D) of G variants."""

    def __init__(self, variants: int, width: int, device: torch.device):
        self.count = torch.zeros(variants, 1, device=device, dtype=torch.float64)
        self.total, self.squares = (torch.zeros(variants, width, device=device, dtype=torch.float64) for _ in range(2))

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


class Gain:
    """Of *expected* latents: deviation of what they decode to over that of the truth of the same windows."""

    def __init__(self, part: str, tokenizer: Tokenizer, readout: Readout):
        """Begin a validation of one of :data:`PARTS`, read off by ``readout``."""
        self.part, self.rvqvae, self.readout = PARTS[part], tokenizer[part], readout
        self.codebooks = tokenizer.codebooks(part)
        self.own = Moments(len(GAINS), self.part.width, self.codebooks.device)
        self.true = Moments(1, self.part.width, self.codebooks.device)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor, first: int = 0) -> None:
        """Add the windows of a batch: logits (B, S, L, K) and true channels (B, T, D); their number does not matter."""
        latent = expected_latent(logits, self.codebooks)
        for index, gain in enumerate(GAINS.tolist()):
            quantised = self.rvqvae.quantizer(self.readout(latent, gain))[0]
            self.own.update(index, self.rvqvae.decode_latent(quantised))
        self.true.update(0, target)

    def amplitudes(self) -> Tensor:
        """(G,) deviation over the truth's: the mean of that of the rotations and that of the expressions."""
        widths = [self.part.rotation_width, self.part.expressions]
        pairs = zip(*(m.about()[:, : sum(widths)].split(widths, dim=-1) for m in (self.own, self.true)), strict=True)
        ratios = [(a.sum(dim=-1) / b.sum(dim=-1)).sqrt() for a, b in pairs if a.shape[-1]]
        return torch.stack(ratios).mean(dim=0)

    def find(self, amplitude: float) -> float:
        """The smallest gain that gives this amplitude; the largest tried one where none does."""
        found = self.amplitudes().tolist()
        for gain, step, low, high in zip(GAINS.tolist(), GAINS.diff().tolist(), found, found[1:], strict=False):
            if low >= amplitude:
                return gain
            if high >= amplitude:
                return gain + step * (amplitude - low) / (high - low)
        return GAINS[-1].item()


class Spread:
    """Of *coherent* samples: they are to lie as far from the training split's mean as its own latents do.

    What the few takes of a validation do does not matter: samples are not to foretell them.
    """

    def __init__(self, part: str, tokenizer: Tokenizer, readout: Readout, decoding: Decoding, variance: Tensor):
        """Begin a validation.

        Args:
            part: One of :data:`PARTS`.
            tokenizer: Of the codes.
            readout: Holds the training split's mean latent.
            decoding: How samples are drawn and smoothed.
            variance: () of the training split's latents, summed over channels.
        """
        self.quantizer, self.readout, self.decoding = tokenizer[part].quantizer, readout, decoding
        self.variance = variance
        self.own = Moments(1, len(readout.mean), readout.mean.device)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor, first: int) -> None:
        """Add the windows of a batch: logits (B, S, L, K); noise follows from each one's number."""
        names = [str(first + index) for index in range(len(logits))]
        noise = CoherentNoise(names, 0, 0, logits.shape[2:], self.decoding.coherence).window(logits.shape[1])
        codes = sample_codes(logits, noise.to(logits.device), self.decoding.temperature)
        self.own.update(0, smooth_steps(self.quantizer.decode(codes).sum(dim=-2), self.decoding.smoothing))

    def find(self, amplitude: float) -> float:
        """The factor that gives this share of the training split's root mean square."""
        reached = (self.own.about(self.readout.mean).sum().item() / float(self.variance)) ** 0.5
        return float(min(max(amplitude / max(reached, 1e-6), GAINS[0].item()), GAINS[-1].item()))


def calibrations(
    tokenizer: Tokenizer, readouts: Mapping[str, Readout], decoding: Decoding, variance: Mapping[str, Tensor]
) -> dict[str, Gain | Spread]:
    """What is found in a validation for every part of which more is read off than the likeliest codes."""
    ways = {
        "expected": lambda part: Gain(part, tokenizer, readouts[part]),
        "coherent": lambda part: Spread(part, tokenizer, readouts[part], decoding, variance[part]),
    }
    return {part: ways[decoding.way(part)](part) for part in tokenizer if decoding.way(part) in ways}
