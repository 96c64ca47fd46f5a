"""Features of a voice recording that belongs to no corpus."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from semtalk.features.extract import build_encoders, encode
from semtalk.features.utterance import Utterance, fit_wave
from semtalk.generation.rollout import padded_frames


def encode_speech(
    wave: np.ndarray, words: list, frames: int, features: Mapping, speaker: int, device: torch.device
) -> tuple[dict[str, Tensor], Tensor]:
    """Encode a recording for :meth:`Generator.rollout`, the end padded with silence to whole windows.

    Args:
        wave: (S,) mono at 16 kHz.
        words: (text, start s, end s).
        frames: Frames of motion that are wanted.
        features: The feature configuration of the trained networks.
        speaker: Index of the speaker.
        device: Where to put the tensors.

    Returns:
        Slot -> (1, T, d) or (1, W, d), and the speaker index (1,).
    """
    total = padded_frames(frames)
    utterance = Utterance(fit_wave(wave, total), [tuple(word) for word in words], total)
    encoders = build_encoders(features)
    encoded = {slot: torch.from_numpy(encode(encoder, slot, utterance)) for slot, encoder in encoders.items()}
    return {slot: value[None].to(device) for slot, value in encoded.items()}, torch.tensor([speaker], device=device)
