"""From what a network says of the codes to codes: the likeliest, the expected, or coherent samples.

Shapes: B takes, S code steps, L levels, K codes of a level, C the width of a code.

- ``likeliest``: the code of the highest logit in each level.
- ``expected``: ``z = mean + gain (E[z] - mean)``, with ``E[z]`` the probability-weighted codes summed over levels
  and z quantised again, so that codes remain the output. Near codes share the probability, so the likeliest code alone
  throws away what the network knows; the gain makes up for what an expectation loses of the amplitude.
- ``coherent``: ``argmax(logits / T + G)`` with ``G = -log(-log Phi(n))`` and normal noise n that each code carries from
  step to step, ``n_t = rho n_(t-1) + sqrt(1 - rho^2) e_t``. Every step is a sample of exactly the network's
  distribution (the Gumbel trick), and neighbouring steps agree where the distribution does. The levels of a step are
  drawn apart, though, and what they add up to is restless and keeps too near its mean: ``spread`` moves the
  sampled latents away from the training split's mean, ``smoothing`` averages them over steps, across the seam with
  the window before too, and they are quantised again.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from semtalk.models.layers import later_buffer

FACTORS = {"expected": "gain", "coherent": "spread"}
"""Way -> the factor of a :class:`Decoding` that training finds for it."""


@dataclass(frozen=True)
class Decoding:
    """How codes are read off.

    Attributes:
        face: ``likeliest``, ``expected`` or ``coherent``, for the face.
        body: The same for upper body, hands and lower body.
        sparse: ``likeliest`` or ``coherent``, for the sparse network's codes of the body. They are taken where it is
            sure of a gesture, and samples blur what it is sure of.
        blend: How often the latents of the steps around a change between base and sparse codes are averaged with their
            neighbours; as many steps on either side are.
        temperature: T of ``coherent``; lower is calmer.
        coherence: rho of ``coherent`` in [0, 1), from one code step to the next.
        gain: Of ``expected``; the one that the network found on the validation split by default.
        smoothing: Of ``coherent``: how often latents are averaged with their neighbours, see
            :func:`semtalk.models.layers.smooth_steps`.
        spread: Of ``coherent``: how far latents are moved away from the mean; by default found as the gain is.
    """

    face: str = "likeliest"
    body: str = "likeliest"
    temperature: float = 1.0
    coherence: float = 0.9
    gain: float | None = None
    smoothing: int = 0
    spread: float | None = None
    sparse: str = "likeliest"
    blend: int = 0

    def way(self, part: str, network: str = "base") -> str:
        """How what a network, base or sparse, says of a part is read off."""
        if network == "sparse":
            return self.sparse
        return self.face if part == "face" else self.body

    def sampled(self, part: str) -> bool:
        """Whether a network's codes of a part are sampled."""
        return self.way(part) == "coherent" or (part != "face" and self.sparse == "coherent")


LIKELIEST = Decoding()
"""How the paper reads codes off."""


class Readout(nn.Module):
    """What the expected latent (..., C) of a part is amplified by: about the mean of the training split."""

    def __init__(self, latent: int):
        super().__init__()
        later_buffer(self, "mean", torch.zeros(latent))
        later_buffer(self, "gain", torch.ones(()))

    def forward(self, latent: Tensor, gain: float | None = None) -> Tensor:
        """``mean + gain (latent - mean)``."""
        mean = self.mean.to(latent.dtype)
        return mean + (self.gain.to(latent.dtype) if gain is None else gain) * (latent - mean)


def expected_latent(logits: Tensor, codebooks: Tensor) -> Tensor:
    """Sum over the levels of probability-weighted codes.

    Args:
        logits: (..., L, K).
        codebooks: (L, K, C).

    Returns:
        (..., C).
    """
    return torch.einsum("...lk,lkc->...c", logits.float().softmax(dim=-1), codebooks)


def gumbel(normal: Tensor) -> Tensor:
    """Gumbel noise ``-log(-log Phi(n))`` of normal noise n of any shape."""
    return -torch.log(-torch.special.log_ndtr(normal))


def sample_codes(logits: Tensor, normal: Tensor, temperature: float) -> Tensor:
    """Codes (..., L) sampled from logits (..., L, K) by normal noise of that shape."""
    return (logits.float() / temperature + gumbel(normal)).argmax(dim=-1)


class CoherentNoise:
    """Normal noise of takes, step after step; that of a take depends on its name, the seed and the sample alone."""

    def __init__(self, takes: Sequence[str], seed: int, sample: int, shape: tuple[int, ...], coherence: float):
        """Begin.

        Args:
            takes: Names of B takes.
            seed: Of all randomness.
            sample: Number of the sample.
            shape: Of the noise of one step.
            coherence: rho, see :class:`Decoding`.
        """
        numbers = [zlib.crc32(take.encode(errors="surrogateescape")) for take in takes]
        self.generators = [np.random.default_rng([seed, sample, number]) for number in numbers]
        self.shape, self.coherence = shape, coherence
        self.last: np.ndarray | None = None
        self.kept: list[np.ndarray] = []
        self.drawn = 0

    def since(self, first: int, count: int) -> Tensor:
        """Noise (B, count, ...) of the steps from one on; later calls begin there or after it."""
        while self.drawn < first + count:
            self.kept.append(self._steps(1)[:, 0])
            self.drawn += 1
        del self.kept[: len(self.kept) - (self.drawn - first)]
        return torch.from_numpy(np.stack(self.kept[:count], axis=1))

    def window(self, count: int) -> Tensor:
        """Noise (B, count, ...) of the next window, whose first step is the last one of the window before."""
        if self.last is None:
            return torch.from_numpy(self._steps(count))
        return torch.from_numpy(np.concatenate([self.last[:, None], self._steps(count - 1)], axis=1))

    def _steps(self, count: int) -> np.ndarray:
        fresh = np.stack([g.standard_normal((count, *self.shape), np.float32) for g in self.generators])
        rows = []
        for step in range(count):
            new = fresh[:, step]
            if self.last is not None:
                new = self.coherence * self.last + np.float32((1 - self.coherence**2) ** 0.5) * new
            self.last = new
            rows.append(new)
        return np.stack(rows, axis=1)
