"""Reads the codes of takes off what the networks say, window after window."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from semtalk.models.base_motion import BaseMotionNetwork
from semtalk.models.decoding import CoherentNoise, Decoding, expected_latent, sample_codes
from semtalk.models.fusion import active_steps, fuse_codes, near_changes
from semtalk.models.layers import smooth_steps
from semtalk.models.predictor import Prediction
from semtalk.models.tokenizer import Codes, Tokenizer
from semtalk.motion.skeleton import DOWNSAMPLE, PARTS, WINDOW

STEPS = WINDOW // DOWNSAMPLE
REACH = 30
"""Code steps on either side that a decoded frame and its translation depend on."""
GATE_STREAM = "gate of "
"""Before a take's name: the random numbers of a gate that is drawn, apart from those of its codes."""


class CodeReader:
    """Codes of B takes, read off as a :class:`Decoding` says; windows share their first step with the one before."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        base: BaseMotionNetwork,
        decoding: Decoding,
        takes: Sequence[str],
        seed: int = 0,
        sample: int = 0,
    ):
        """Begin the takes.

        Args:
            tokenizer: Whose codes they are.
            base: Holds how far expected latents are amplified.
            decoding: How each part is read off.
            takes: Names: the random numbers of a take follow from its name, the seed and the sample alone.
            seed: Of all randomness.
            sample: Number of the sample.
        """
        self.tokenizer, self.readouts, self.decoding = tokenizer, base.readouts, decoding
        self.base, self.takes, self.seed, self.sample = base, list(takes), seed, sample
        self.step: int | None = None
        """Step that the next window begins with, where windows share more than one; it never goes back."""
        self.codebooks = {part: tokenizer.codebooks(part) for part in PARTS}
        self.noise = {
            part: CoherentNoise(
                [f"{part} of {take}" for take in takes], seed, sample, self.codebooks[part].shape[:2],
                decoding.coherence,
            )
            for part in PARTS
            if decoding.sampled(part)
        }  # fmt: skip
        self.gate = CoherentNoise([GATE_STREAM + take for take in takes], seed, sample, (), 0.0)

    def again(self) -> "CodeReader":
        """One that draws what this one is going to draw."""
        other = copy.copy(self)
        other.noise, other.gate = copy.deepcopy(self.noise), copy.deepcopy(self.gate)
        return other

    def apart(self, take: int, name: str) -> "CodeReader":
        """One for a window of a take that is read by itself; its random numbers follow from the take's and its name."""
        takes = [f"{name} of {self.takes[take]}"]
        return CodeReader(self.tokenizer, self.base, self.decoding, takes, self.seed, self.sample)

    def draw(self) -> dict[str, Tensor]:
        """Noise (B, S, L, K) of the next window for the parts that are sampled."""
        if self.step is not None:
            return {part: noise.since(self.step, STEPS) for part, noise in self.noise.items()}
        return {part: noise.window(STEPS) for part, noise in self.noise.items()}

    def draw_gate(self) -> Tensor:
        """Uniform scores (B, S) of the next window, for a gate that is drawn."""
        return torch.special.ndtr(self.gate.window(STEPS))

    def read(
        self, prediction: Prediction, noise: dict[str, Tensor], before: Codes | None = None, network: str = "base"
    ) -> Codes:
        """Codes (B, S, L) of every part of a prediction's first pass.

        Args:
            prediction: Of the window.
            noise: Of the window, from :meth:`draw`.
            before: Codes of the window before it, which samples are smoothed across the seam with.
            network: Whose prediction it is, ``base`` or ``sparse``.
        """
        return {
            part: self._read(part, self.decoding.way(part, network), logits[0], noise, before[part] if before else None)
            for part, logits in prediction.logits.items()
        }

    def fuse(self, base: Codes, sparse: Codes, psi: Tensor, beta: float) -> Codes:
        """Codes (B, S, L) of both networks by the semantic score psi (B, S), blended where one gives way to the other.

        See :func:`semtalk.models.fusion.fuse_codes` and :attr:`Decoding.blend`.
        """
        codes, blend = fuse_codes(base, sparse, psi, beta), self.decoding.blend
        if not blend:
            return codes
        near = near_changes(active_steps(psi, beta), blend)[..., None]
        for part, latent in self.tokenizer.latents({part: codes[part] for part in sparse}).items():
            blended = self.tokenizer[part].quantizer(smooth_steps(latent, blend))[1]
            codes[part] = torch.where(near, blended, codes[part])
        return codes

    def _read(self, part: str, way: str, logits: Tensor, noise: dict[str, Tensor], before: Tensor | None) -> Tensor:
        decoding, readout, quantizer = self.decoding, self.readouts[part], self.tokenizer[part].quantizer
        if way == "likeliest":
            return logits.argmax(dim=-1)
        if way == "expected":
            return quantizer(readout(expected_latent(logits, self.codebooks[part]), decoding.gain))[1]
        codes = sample_codes(logits, noise[part].to(logits.device), decoding.temperature)
        if not decoding.smoothing and (readout.gain if decoding.spread is None else decoding.spread) == 1:
            return codes
        latent = readout(quantizer.decode(codes).sum(dim=-2), decoding.spread)
        if before is not None:
            latent = torch.cat([quantizer.decode(before).sum(dim=-2), latent[:, 1:]], dim=1)
        return quantizer(smooth_steps(latent, decoding.smoothing)[:, -STEPS:])[1]
