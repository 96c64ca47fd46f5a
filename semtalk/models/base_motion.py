"""The base network f_base(gamma_b, gamma_h, seed, id): rhythm-aligned codes of all four parts (paper section 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from semtalk.models.decoding import Readout
from semtalk.models.grouped import HalveTime, Linear
from semtalk.models.layers import MLP, ChannelFusion, HubertEncoder, PositionTable, Standardise, step_mean
from semtalk.models.predictor import Chain, CodePredictor, Passes, Prediction, Sizes, SpeechFeatures
from semtalk.motion.skeleton import PARTS

RHYTHMIC_PARTS = ("face", "hands")
"""Parts whose latents the rhythmic consistency loss aligns with the speech."""


@dataclass
class BaseMotionPrediction(Prediction):
    """Codes, and what rhythmic consistency compares.

    Attributes:
        rhythmic: Part -> projected latents (P, B, S, C) of face and hands before the coarse-to-fine block.
        speech: Part -> HuBERT features (B, S, C) of the same steps. A network of one's own may leave both empty; the
            rhythmic losses are then 0.
    """

    rhythmic: dict[str, Tensor] = field(default_factory=dict)
    speech: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class BaseSpeechFeatures(SpeechFeatures):
    """What the base network makes of the speech, each (B, T, C).

    Attributes:
        face: HuBERT and rhythm fused, for the face.
        face_hubert: HuBERT alone, for the face.
        body: HuBERT and rhythm fused, for the body.
        body_hubert: HuBERT alone, for the body.
    """

    face: Tensor
    face_hubert: Tensor
    body: Tensor
    body_hubert: Tensor


class SpeechEncoder(nn.Module):
    """HuBERT and rhythm features, fused in every channel."""

    def __init__(self, hubert: int, rhythm: int, sizes: Sizes):
        super().__init__()
        self.hubert = HubertEncoder(hubert, sizes.latent)
        self.rhythm = MLP(rhythm, sizes.width, sizes.latent)
        self.fusion = ChannelFusion(sizes.latent)

    def forward(self, hubert: Tensor, rhythm: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, T, d) and (B, T, 3) as fused features and encoded HuBERT, both (B, T, C)."""
        encoded = self.hubert(hubert)
        return self.fusion(encoded, self.rhythm(rhythm)), encoded


class FaceBranch(nn.Module):
    """Face latents from speech, hint and speaker."""

    def __init__(self, sizes: Sizes, speakers: int):
        super().__init__()
        width, latent = sizes.width, sizes.latent
        self.hint = MLP(latent, width, latent)
        self.memory = nn.Sequential(Linear(2 * latent, width), sizes.memory_position(width))
        self.speaker = nn.Embedding(speakers, width)
        self.position = PositionTable(width, sizes.dropout)
        self.attention = sizes.frame_attention(sizes.face_layers, to_speech=True)
        self.local = sizes.local_path()
        self.local_hint = Linear(latent, width) if sizes.local_layers else None
        self.narrow = Linear(width, latent)
        self.halve = HalveTime(latent, latent)
        self.mlp = MLP(latent, width, latent)
        self.halve_again = HalveTime(latent, latent)

    def forward(self, hint: Tensor, speech: Tensor, speaker: Tensor) -> Tensor:
        """Predict (N * B, S, C) from hints (N * B, T, C), speech of the same or (B, T, C), and speakers (B,)."""
        known, speech = self.hint(hint), speech.repeat(len(hint) // len(speech), 1, 1)
        memory = self.memory(torch.cat([speech, known], dim=-1))
        voice = self.speaker(speaker)[:, None].expand(-1, speech.shape[1], -1)
        voice = voice.repeat(len(hint) // len(speaker), 1, 1)
        x = self.attention(self.position(voice), memory)
        if self.local is not None:
            x = x + self.local(speech, voice + self.local_hint(known))
        return self.halve_again(self.mlp(self.halve(self.narrow(x))))


class BaseMotionNetwork(CodePredictor):
    """Rhythm-aligned codes of face, upper body, hands and lower body."""

    def __init__(
        self, sizes: Sizes, hubert: int, rhythm: int, speakers: int, chain: Chain, project: bool, noise: float = 0.0
    ):
        """Build the network.

        Args:
            sizes: Widths and depths.
            hubert: Width of the HuBERT features.
            rhythm: Width of the rhythm features.
            speakers: Number of speakers.
            chain: Order and memories of the coarse-to-fine block, see :class:`CoarseToFine`.
            project: Whether rhythmic consistency compares latents after a projection head (the release has none).
            noise: Of the speech features in training, see :class:`Standardise`.
        """
        super().__init__(sizes, speakers, chain, tuple(PARTS))
        self.standard = nn.ModuleDict({"hubert": Standardise(hubert, noise), "rhythm": Standardise(rhythm, noise)})
        self.readouts = nn.ModuleDict({part: Readout(sizes.latent) for part in PARTS})
        self.face_speech = SpeechEncoder(hubert, rhythm, sizes)
        self.body_speech = SpeechEncoder(hubert, rhythm, sizes)
        self.face = FaceBranch(sizes, speakers)
        latent, width = sizes.latent, sizes.width
        self.projection = nn.ModuleDict(
            {part: MLP(latent, width, latent) if project else nn.Identity() for part in RHYTHMIC_PARTS}
        )

    def encode_speech(self, batch: Mapping[str, Tensor]) -> BaseSpeechFeatures:
        """What the network makes of the speech.

        Args:
            batch: Needs ``hubert`` (B, T, d) and ``rhythm`` (B, T, 3).
        """
        hubert, rhythm = (layer(batch[slot]) for slot, layer in self.standard.items())
        return BaseSpeechFeatures(*self.face_speech(hubert, rhythm), *self.body_speech(hubert, rhythm))

    def forward(
        self,
        batch: Mapping[str, Tensor],
        motion: Tensor,
        masks: Tensor,
        passes: Passes,
        speech: BaseSpeechFeatures | None = None,
    ) -> BaseMotionPrediction:
        """Predict codes for several masked passes; what does not depend on the mask is computed once.

        Args:
            batch: Needs ``speaker`` (B,), and what :meth:`encode_speech` needs.
            motion: (B, T, 337) whole-body channels.
            masks: (M, B, T, 337), 1 where the motion is hidden.
            passes: Which mask each pass sees, and whether the audio is heard in it.
            speech: What :meth:`encode_speech` gave for the batch, where that is known already.
        """
        speech = speech or self.encode_speech(batch)
        hint = self.hint(motion, masks)
        coarse = self.body(hint, speech.body, batch["speaker"], passes)
        if self.deafens(passes):
            heard = passes.heard(speech.face)
            coarse["face"] = self.face(passes.spread(hint, len(motion)), heard, batch["speaker"])
        else:
            coarse["face"] = passes.spread(self.face(hint, speech.face, batch["speaker"]), len(motion))
        memory = {part: speech.face if part == "face" else speech.body for part in PARTS}
        prediction = self.predict(coarse, memory, passes)
        projected = {part: head(coarse[part]) for part, head in self.projection.items()}
        return BaseMotionPrediction(
            prediction.logits,
            prediction.latents,
            rhythmic={part: value.unflatten(0, (len(passes), -1)) for part, value in projected.items()},
            speech={"face": step_mean(speech.face_hubert), "hands": step_mean(speech.body_hubert)},
        )
