"""A GRU in the place of the base network, without an edit to the package.

``PYTHONPATH=examples python train.py stage=base model.base.network=own_network:GRUBase``, and then
``PYTHONPATH=examples python generate.py trust=[own_network] audio=examples/spoken.flac``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semtalk.models import BaseMotionPrediction, Readout, SpeechFeatures, Standardise, step_mean
from semtalk.motion import PARTS


@dataclass
class Heard(SpeechFeatures):
    """HuBERT and rhythm (B, T, d) side by side, standardised."""

    frames: Tensor


class GRUBase(nn.Module):
    """Codes of all four parts from speech, known motion and speaker; see ``semtalk.models.MotionNetwork``."""

    def __init__(self, sizes, hubert, rhythm, speakers, chain, project, noise=0.0):
        super().__init__()
        self.sizes = sizes
        self.standard = nn.ModuleDict({"hubert": Standardise(hubert, noise), "rhythm": Standardise(rhythm, noise)})
        self.readouts = nn.ModuleDict({part: Readout(sizes.latent) for part in PARTS})
        self.speaker = nn.Embedding(speakers, sizes.width)
        self.known = nn.Linear(337, sizes.width)
        self.speech = nn.Linear(hubert + rhythm, sizes.width)
        self.gru = nn.GRU(sizes.width, sizes.width, batch_first=True, bidirectional=True)
        self.latent = nn.ModuleDict({p: nn.Linear(2 * sizes.width, sizes.levels * sizes.latent) for p in PARTS})
        self.logits = nn.ModuleDict({part: nn.Linear(sizes.latent, sizes.codes) for part in PARTS})

    def encode_speech(self, batch):
        """Speech features (B, T, d)."""
        return Heard(torch.cat([layer(batch[slot]) for slot, layer in self.standard.items()], dim=-1))

    def forward(self, batch, motion, masks, passes, speech=None):
        """Logits (P, B, S, L, K) and latents (P, B, S, L, C) of every part."""
        speech = self.speech((speech or self.encode_speech(batch)).frames)
        steps = []
        for mask, audible in zip(passes.mask, passes.audio, strict=True):
            x = self.known(motion * (1 - masks[mask])) + self.speaker(batch["speaker"])[:, None]
            steps.append(step_mean(self.gru(x + speech if audible else x)[0]))
        hidden, shape = torch.stack(steps), (self.sizes.levels, self.sizes.latent)
        latents = {part: layer(hidden).unflatten(-1, shape) for part, layer in self.latent.items()}
        return BaseMotionPrediction({p: self.logits[p](latent) for p, latent in latents.items()}, latents)
