"""What base and sparse network are built of: hints, body branch, coarse-to-fine chain, code heads.

Shapes: B windows, T = 64 frames, S = 16 code steps, W the width, C the latent width, L levels, K codes. Several masked
passes over the same windows are stacked in the batch dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor, nn

from semtalk.models.attention import TransformerLayer
from semtalk.models.grouped import ByPart, HalveTime, Linear
from semtalk.models.layers import MLP, ConvStack, CrossAttention, LocalPath, PositionTable
from semtalk.motion.skeleton import BODY_PARTS, DOWNSAMPLE, MOTION_CHANNELS

Chain = Sequence[tuple[str, Sequence[str]]]
"""The coarse-to-fine block: parts in the order in which they are refined, each with what it attends to."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a code-predicting network.

    Attributes:
        width: W of frame-level transformers, 768 in the paper's setting.
        latent: C of the latents, which is the width of a code.
        heads: Attention heads of frame-level layers.
        latent_heads: Attention heads of layers on latents.
        residual_heads: Attention heads of the residual heads' layers.
        feed_forward: Feed-forward width over the layer's own width.
        residual_feed_forward: The same in the residual heads.
        face_layers: Decoder layers of the face branch.
        audio_layers: Decoder layers by which the body reads the audio.
        residual_layers: Decoder layers of each residual head.
        motion_blocks: Blocks of the motion encoder.
        dropout: In transformer layers and after positions.
        memory_positions: Whether speech gets positions before it is attended to. Without them attention cannot tell
            which frame of the speech belongs to which frame of the motion, unless the features themselves say so.
        levels: L of the codes.
        codes: K of each level.
        local_layers: Convolutions of the direct path from a frame's own speech into face and body; none without.
        local_dropout: In that path.
        deaf_pass: What does not hear the speech in a pass without audio: ``body``, the body's branch alone, or ``all``,
            the face and the code heads too.
    """

    width: int
    latent: int
    heads: int
    latent_heads: int
    residual_heads: int
    feed_forward: int
    residual_feed_forward: int
    face_layers: int
    audio_layers: int
    residual_layers: int
    motion_blocks: int
    dropout: float
    memory_positions: bool
    levels: int
    codes: int
    local_layers: int = 0
    local_dropout: float = 0.0
    deaf_pass: str = "body"

    def memory_position(self, width: int) -> nn.Module:
        """What is done to a speech memory (B, T, width) before it is attended to."""
        return PositionTable(width, self.dropout) if self.memory_positions else nn.Identity()

    def local_path(self) -> LocalPath | None:
        """The direct path from speech (B, T, C) to frames (B, T, W), where there is one."""
        return LocalPath(self.latent, self.width, self.local_layers, self.local_dropout) if self.local_layers else None

    def frame_attention(self, layers: int, to_speech: bool = False) -> CrossAttention:
        """Decoder layers of width W, to speech or to other parts."""
        aligned = to_speech and self.memory_positions
        return CrossAttention(self.width, self.heads, self.feed_forward * self.width, layers, self.dropout, aligned)

    def latent_attention(self, layers: int = 1) -> CrossAttention:
        """Decoder layers of width C."""
        return CrossAttention(self.latent, self.latent_heads, self.feed_forward * self.latent, layers, self.dropout)

    def residual_attention(self) -> CrossAttention:
        """Decoder layers of width C by which a residual head reads the speech."""
        width = self.residual_feed_forward * self.latent
        return CrossAttention(
            self.latent, self.residual_heads, width, self.residual_layers, self.dropout, self.memory_positions
        )


class MotionHint(nn.Module):
    """Encodes known motion and hides the rest behind learned mask channels (paper section 4.1)."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.mask_embedding = nn.Parameter(torch.zeros(MOTION_CHANNELS))
        nn.init.normal_(self.mask_embedding, std=0.02)
        self.encoder = ConvStack(MOTION_CHANNELS, sizes.latent, sizes.motion_blocks)

    def forward(self, motion: Tensor, masks: Tensor) -> Tensor:
        """Encode motion (B, T, 337) under M masks (M, B, T, 337), 1 where hidden: (M * B, T, C)."""
        hidden = torch.where(masks > 0, self.mask_embedding, motion)
        return self.encoder(hidden.flatten(0, 1))


@dataclass
class Passes:
    """Which masks are predicted with which input: pass p sees mask ``mask[p]``, with or without audio.

    The three passes of training are (0, audio), (1, no audio), (1, audio) for the seed and the random mask.
    """

    mask: tuple[int, ...] = (0,)
    audio: tuple[bool, ...] = (True,)

    def __len__(self) -> int:
        return len(self.mask)

    def first(self, count: int) -> "Passes":
        """The first of them."""
        return Passes(self.mask[:count], self.audio[:count])

    def spread(self, x: Tensor, batch: int) -> Tensor:
        """From masks (M * B, ...) to passes (P * B, ...)."""
        if self.mask == tuple(range(len(x) // batch)):
            return x
        return x.unflatten(0, (-1, batch))[list(self.mask)].flatten(0, 1)

    def heard(self, speech: Tensor) -> Tensor:
        """Speech features (B, ...) as each pass hears them, (P * B, ...): zeros in a pass without audio."""
        return torch.cat([speech if audio else torch.zeros_like(speech) for audio in self.audio])

    def repeat(self, x: Tensor) -> Tensor:
        """From windows (B, ...) to passes (P * B, ...)."""
        return x if len(self) == 1 else x.repeat(len(self), *[1] * (x.dim() - 1))


TRAINING_PASSES = Passes(mask=(0, 1, 1), audio=(True, False, True))


class BodyBranch(nn.Module):
    """Latents of upper body, hands and lower body from the hint, the speaker and the audio (paper section 3.3)."""

    def __init__(self, sizes: Sizes, speakers: int):
        super().__init__()
        width, latent = sizes.width, sizes.latent
        self.hint = nn.Sequential(MLP(latent, width, latent), Linear(latent, width))
        self.speaker = nn.Embedding(speakers, width)
        self.position = PositionTable(width, sizes.dropout)
        self.self_attention = TransformerLayer(
            width, sizes.heads, sizes.feed_forward * width, sizes.dropout, cross=False
        )
        self.audio = nn.Sequential(Linear(latent, width), sizes.memory_position(width))
        self.audio_attention = sizes.frame_attention(sizes.audio_layers, to_speech=True)
        self.local = sizes.local_path()
        self.halve = HalveTime(width, width)
        self.halve_speaker = HalveTime(width, width)
        self.split = ByPart({part: MLP(width, width, width) for part in BODY_PARTS})
        self.siblings = ByPart({part: sizes.frame_attention(1) for part in BODY_PARTS})
        self.narrow = ByPart({part: Linear(width, latent) for part in BODY_PARTS})
        self.halve_part = ByPart({part: HalveTime(latent, latent) for part in BODY_PARTS})

    def forward(self, hint: Tensor, audio: Tensor, speaker: Tensor, passes: Passes) -> dict[str, Tensor]:
        """Predict part latents.

        Args:
            hint: (M * B, T, C) encoded motion under each mask.
            audio: (B, T, C) fused speech features.
            speaker: (B,) indices.
            passes: What to predict.

        Returns:
            (P * B, S, C) for each body part.
        """
        batch, frames = audio.shape[:2]
        masks = len(hint) // batch
        voice = self.speaker(speaker)[:, None].expand(-1, frames, -1)
        x = self.self_attention(self.position(voice.repeat(masks, 1, 1) + self.hint(hint)))
        x = self._listen(x.unflatten(0, (masks, batch)), audio, passes)
        x = self.halve(x)
        voice = passes.repeat(self.halve_speaker(voice))
        coarse = self.split(x.expand(len(BODY_PARTS), *x.shape))
        others = torch.stack([coarse.roll(shift, dims=0) for shift in range(1, len(BODY_PARTS))]).sum(dim=0)
        attended = self.siblings(self.position(coarse + voice), others)
        return self.split.unstack(self.halve_part(self.narrow(attended + coarse)))

    def _listen(self, x: Tensor, audio: Tensor, passes: Passes) -> Tensor:
        """Add what the audio (B, T, C) says to (M, B, T, W) where a pass has it: (P * B, T, W); once for each mask."""
        audible = sorted({mask for mask, with_audio in zip(passes.mask, passes.audio, strict=True) if with_audio})
        listening = {}
        if audible:
            query = x[audible].flatten(0, 1)
            answer = query + self.audio_attention(self.position(query), self.audio(audio))
            if self.local is not None:
                answer = answer + self.local(audio).repeat(len(audible), 1, 1)
            listening = dict(zip(audible, answer.unflatten(0, (len(audible), -1)), strict=True))
        chosen = zip(passes.mask, passes.audio, strict=True)
        return torch.cat([listening[mask] if with_audio else x[mask] for mask, with_audio in chosen])


class CoarseToFine(nn.Module):
    """Refines part latents one after another, each by attending to parts named in the chain (paper section 3.3).

    The paper's chain is face -> hands -> upper -> lower. A memory of several parts is their sum; a part that the chain
    has refined already is taken refined, unless it is written ``part:coarse``.
    """

    def __init__(self, sizes: Sizes, chain: Chain):
        super().__init__()
        self.chain = [(part, tuple(memory)) for part, memory in chain]
        self.attention = nn.ModuleDict({part: sizes.latent_attention() for part, _ in self.chain})
        self.position = sizes.memory_position(sizes.latent)

    def forward(self, coarse: dict[str, Tensor]) -> dict[str, Tensor]:
        """Refine (N, S, C) latents of each part."""
        refined = dict(coarse)
        for part, names in self.chain:
            memory = [coarse[name.split(":")[0]] if name.endswith(":coarse") else refined[name] for name in names]
            refined[part] = self.attention[part](
                self.position(coarse[part]), self.position(torch.stack(memory).sum(dim=0))
            )
        return refined


class CodeHead(nn.Module):
    """Codes of a part: level 0 by an MLP, each further level by layers that read all levels before it.

    The heads of all parts run at once, see :class:`semtalk.models.grouped.ByPart`.
    """

    def __init__(self, sizes: Sizes):
        super().__init__()
        latent, codes = sizes.latent, sizes.codes
        self.position = PositionTable(latent, 0.0) if sizes.memory_positions else None
        further = range(1, sizes.levels)
        self.first = MLP(latent, sizes.width, codes)
        self.gather = nn.ModuleList(Linear(k * latent, latent) if k > 1 else nn.Identity() for k in further)
        self.attention = nn.ModuleList(sizes.residual_attention() for _ in further)
        self.further = nn.ModuleList(MLP(latent, latent, codes) for _ in further)

    def forward(self, latent: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Predict codes.

        Args:
            latent: (..., P * B, S, C) of the part.
            memory: (..., B, T, C) fused speech features.

        Returns:
            (..., P * B, S, L, K) logits and (..., P * B, S, L, C) latents of the levels.
        """
        latents, logits = [latent], [self.first(latent)]
        if self.position is not None:
            memory = self.position(memory)
        for gather, attention, classify in zip(self.gather, self.attention, self.further, strict=True):
            before = gather(torch.cat(latents, dim=-1))
            query = before if self.position is None else self.position(before, stride=DOWNSAMPLE)
            latents.append(before + attention(query, memory))
            logits.append(classify(latents[-1]))
        return torch.stack(logits, dim=-2), torch.stack(latents, dim=-2)


@dataclass
class Prediction:
    """What a network says of the codes; P passes over B windows.

    Attributes:
        logits: Part -> (P, B, S, L, K).
        latents: Part -> (P, B, S, L, C).
    """

    logits: dict[str, Tensor]
    latents: dict[str, Tensor]

    def codes(self, index: int = 0) -> dict[str, Tensor]:
        """Most likely indices (B, S, L) of each part in one pass."""
        return {part: logits[index].argmax(dim=-1) for part, logits in self.logits.items()}


@dataclass
class SpeechFeatures:
    """What a network makes of the speech of B windows, whatever the motion; subclasses say what, batch first."""

    def rows(self, index) -> Self:
        """Those of some windows."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


class CodePredictor(nn.Module):
    """What base and sparse network share: the hint of known motion, the body, the coarse-to-fine chain, the heads."""

    def __init__(self, sizes: Sizes, speakers: int, chain: Chain, parts: Sequence[str]):
        """Build what is shared.

        Args:
            sizes: Widths and depths.
            speakers: Number of speakers.
            chain: Order and memories of the coarse-to-fine block, see :class:`CoarseToFine`.
            parts: Whose codes are predicted.
        """
        super().__init__()
        self.deaf_pass = sizes.deaf_pass
        self.hint = MotionHint(sizes)
        self.body = BodyBranch(sizes, speakers)
        self.coarse_to_fine = CoarseToFine(sizes, chain)
        self.heads = ByPart({part: CodeHead(sizes) for part in parts})

    def deafens(self, passes: Passes) -> bool:
        """Whether face and code heads have to be kept from hearing the speech in one of these passes."""
        return self.deaf_pass == "all" and not all(passes.audio)

    def predict(self, coarse: dict[str, Tensor], memory: dict[str, Tensor], passes: Passes) -> Prediction:
        """Refine part latents (P * B, S, C), and read codes off them beside each one's speech memory (B, T, C)."""
        refined = self.heads.stack(self.coarse_to_fine(coarse)).unflatten(1, (len(passes), -1))
        outputs = self._read(refined, self.heads.stack(memory), passes)
        logits, levels = (self.heads.unstack(output) for output in outputs)
        return Prediction(logits, levels)

    def _read(self, refined: Tensor, memory: Tensor, passes: Passes) -> list[Tensor]:
        """Codes of (G, P, B, S, C) latents; passes that must not hear share one memory of zeros, for all windows."""
        everyone = range(len(passes))
        deaf = [index for index in everyone if self.deafens(passes) and not passes.audio[index]]
        hearing = [index for index in everyone if index not in deaf]
        read = []
        for chosen, speech in ((hearing, memory), (deaf, torch.zeros_like(memory[:, :1]))):
            if chosen:
                latents = refined[:, chosen] if deaf else refined
                outputs = self.heads(latents.flatten(1, 2), speech)
                read.append([output.unflatten(1, (len(chosen), -1)) for output in outputs])
        order = sorted(everyone, key=[*hearing, *deaf].__getitem__)
        return [torch.cat(pieces, dim=1)[:, order] if deaf else pieces[0] for pieces in zip(*read, strict=True)]
