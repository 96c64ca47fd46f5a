"""The sparse network f_sparse(phi_l, phi_g, phi_e, gamma_h, seed, id): semantic codes and score (paper section 3.4)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from semtalk.models.fusion import semantic_score
from semtalk.models.grouped import Linear
from semtalk.models.layers import (
    MLP,
    ChannelFusion,
    HubertEncoder,
    PositionTable,
    Standardise,
    step_mean,
    step_repeat,
)
from semtalk.models.predictor import Chain, CodePredictor, Passes, Prediction, Sizes, SpeechFeatures
from semtalk.motion.skeleton import BODY_PARTS


@dataclass
class SparseMotionPrediction(Prediction):
    """Codes of the three body parts, and the gate.

    Attributes:
        gate_logits: (B, S, 2); the gate hears and reads but sees no motion, so all passes share it.
    """

    gate_logits: Tensor

    @property
    def psi(self) -> Tensor:
        """Semantic score (B, S) in [0, 1]."""
        return semantic_score(self.gate_logits)


@dataclass
class SparseSpeechFeatures(SpeechFeatures):
    """What the sparse network makes of the speech.

    Attributes:
        gate_logits: (B, S, 2).
        psi: (B, S) semantic score that scales the emphasis: the gate's own, or an ablation's.
        emphasis: (B, T, C) features of words and sound.
    """

    gate_logits: Tensor
    psi: Tensor
    emphasis: Tensor

    @property
    def semantic(self) -> Tensor:
        """The semantic features (B, T, C): the emphasis scaled by the score of its step."""
        return self.emphasis * step_repeat(self.psi[..., None])

    def scaled_by(self, psi: Tensor) -> Self:
        """The same speech with another score (B, S) in the place of the gate's."""
        return replace(self, psi=psi.to(self.psi.dtype))


class SemanticEncoder(nn.Module):
    """Frame text attends to sentence and emotion, is fused with HuBERT, and a gate scores every step."""

    def __init__(
        self, sizes: Sizes, hubert: int, words: int, context: Mapping[str, int], vocabulary: int | None, noise: float
    ):
        super().__init__()
        latent = sizes.latent
        widths = {"hubert": hubert, **context} | ({} if vocabulary else {"words": words})
        self.standard = nn.ModuleDict({n: Standardise(w, noise if n == "hubert" else 0.0) for n, w in widths.items()})
        self.table = nn.Embedding(vocabulary, words) if vocabulary else nn.Identity()
        self.words = Linear(words, latent)
        self.position = PositionTable(latent, sizes.dropout)
        self.context = nn.ModuleDict({name: Linear(width, latent) for name, width in context.items()})
        self.attention = sizes.latent_attention()
        self.hubert = HubertEncoder(hubert, latent)
        self.fusion = ChannelFusion(latent)
        self.gate = Linear(latent, 2)
        self.emphasis = MLP(latent, latent, latent)

    def forward(self, batch: Mapping[str, Tensor]) -> SparseSpeechFeatures:
        """Gate logits (B, S, 2), the score (B, S), and the features (B, T, C) that it scales."""
        batch = {**batch, **{name: layer(batch[name]) for name, layer in self.standard.items()}}
        memory = torch.stack([layer(batch[name]) for name, layer in self.context.items()], dim=1)
        text = self.attention(self.position(self.words(self.table(batch["words"]))), memory)
        fused = self.fusion(text, self.hubert(batch["hubert"]))
        gate_logits = self.gate(step_mean(fused))
        return SparseSpeechFeatures(gate_logits, semantic_score(gate_logits).to(fused.dtype), self.emphasis(fused))


class SparseMotionNetwork(CodePredictor):
    """Semantic codes of upper body, hands and lower body, and the semantic score psi."""

    def __init__(
        self, sizes: Sizes, hubert: int, words: int, context: Mapping[str, int], speakers: int, chain: Chain,
        vocabulary: int | None, noise: float = 0.0,
    ):  # fmt: skip
        """Build the network.

        Args:
            sizes: Widths and depths.
            hubert: Width of the HuBERT features.
            words: Width of the frame-level word vectors.
            context: Name -> width of the window features that the words attend to: ``sentence``, ``emotion``.
            speakers: Number of speakers.
            chain: Order and memories of the coarse-to-fine block.
            vocabulary: Size of a table of word vectors inside the network; ``words`` are then ids (B, T).
            noise: Of the speech features in training, see :class:`Standardise`.
        """
        super().__init__(sizes, speakers, chain, BODY_PARTS)
        self.semantics = SemanticEncoder(sizes, hubert, words, context, vocabulary, noise)

    @property
    def standard(self) -> nn.ModuleDict:
        """Slot -> what standardises that feature."""
        return self.semantics.standard

    def encode_speech(self, batch: Mapping[str, Tensor]) -> SparseSpeechFeatures:
        """What the network makes of the speech.

        Args:
            batch: Needs ``hubert`` and ``words`` (B, T, d), and the context features (B, d).
        """
        return self.semantics(batch)

    def forward(
        self,
        batch: Mapping[str, Tensor],
        motion: Tensor,
        masks: Tensor,
        passes: Passes,
        speech: SparseSpeechFeatures | None = None,
    ) -> SparseMotionPrediction:
        """Predict codes for several masked passes.

        Args:
            batch: Needs ``speaker`` (B,), and what :meth:`encode_speech` needs.
            motion: (B, T, 337) whole-body channels.
            masks: (M, B, T, 337), 1 where the motion is hidden.
            passes: Which mask each pass sees, and whether the semantic features are read in it.
            speech: What :meth:`encode_speech` gave for the batch, where that is known already.
        """
        speech = speech or self.encode_speech(batch)
        semantic = speech.semantic
        coarse = self.body(self.hint(motion, masks), semantic, batch["speaker"], passes)
        prediction = self.predict(coarse, dict.fromkeys(BODY_PARTS, semantic), passes)
        return SparseMotionPrediction(prediction.logits, prediction.latents, gate_logits=speech.gate_logits)
