"""The four RVQ-VAEs as one tokenizer of whole-body motion."""

import torch
from torch import Tensor, nn

from semtalk.models.rvqvae import RVQVAE
from semtalk.motion.parts import Frames, merge_parts, split_parts
from semtalk.motion.precision import without_autocast
from semtalk.motion.skeleton import PARTS

Codes = dict[str, Tensor]


class Tokenizer(nn.ModuleDict):
    """Part name -> frozen RVQ-VAE."""

    def __init__(self, parts: dict[str, RVQVAE]):
        super().__init__({name: parts[name] for name in PARTS})
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Tokenizer":
        """Stay in evaluation mode: codebooks and statistics are frozen."""
        return super().train(False)

    @torch.no_grad()
    def encode(self, frames: Frames) -> Codes:
        """Indices (B, T/4, L) of each part, in float32 whatever the precision of what is trained on them."""
        with without_autocast(frames.rotation):
            return {name: self[name].encode(channels) for name, channels in split_parts(frames).items()}

    @torch.no_grad()
    def residuals(self, frames: Frames) -> tuple[Codes, dict[str, Tensor], dict[str, Tensor]]:
        """Codes (B, S, L), their vectors and what each level had to explain, both (B, S, L, C), of each part."""
        with without_autocast(frames.rotation):
            latents = {name: self[name].encode_latent(value) for name, value in split_parts(frames).items()}
            codes = {name: self[name].quantizer(latent)[1] for name, latent in latents.items()}
        vectors = self.vectors(codes)
        before = {name: vector.cumsum(dim=-2) - vector for name, vector in vectors.items()}
        return codes, vectors, {name: latents[name][..., None, :] - before[name] for name in codes}

    def codebooks(self, part: str) -> Tensor:
        """Code vectors (L, K, C) of a part."""
        return torch.stack([level.codebook for level in self[part].quantizer.levels])

    @torch.no_grad()
    def vectors(self, codes: Codes) -> dict[str, Tensor]:
        """Code vectors (B, S, L, C) of each part."""
        return {name: self[name].quantizer.decode(index) for name, index in codes.items()}

    @torch.no_grad()
    def latents(self, codes: Codes) -> dict[str, Tensor]:
        """Sums (B, S, C) of the levels' code vectors of each part."""
        return {name: vectors.sum(dim=-2) for name, vectors in self.vectors(codes).items()}

    def decode(self, latents: dict[str, Tensor], last: int | None = None) -> Frames:
        """Frames (B, 4S, ...) of the parts' latents (B, S, C), or the ``last`` of them; gradients reach the latents."""
        return merge_parts({name: self[name].decode_latent(latent, last) for name, latent in latents.items()})
