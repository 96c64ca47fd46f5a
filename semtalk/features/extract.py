"""The feature slots of the method and the encoders that can fill them.

A feature configuration names an encoder for each slot and gives its size, which every network reads from there:
``rhythm`` (T, 3), ``hubert`` (T, d), ``words`` (T, d), and for each window start ``sentence`` and ``emotion`` (W, d).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from semtalk.errors import SemTalkError
from semtalk.features.utterance import Utterance, window_starts
from semtalk.settings.inputs import ENCODERS, Features
from semtalk.swap import named

FRAME_SLOTS = ("rhythm", "hubert", "words")
WINDOW_SLOTS = ("sentence", "emotion")
SLOTS = FRAME_SLOTS + WINDOW_SLOTS

Encoder = Callable[[Utterance], np.ndarray]


def feature_dims(features: Features) -> dict[str, int]:
    """Sizes d of the slots of a feature configuration."""
    return {slot: features.slots[slot].dim for slot in SLOTS}


def encoder_class(features: Features, slot: str) -> type:
    """Class of the encoder of one slot: a built-in one, or ``package.module:Name`` of an installed package.

    Raises:
        SemTalkError: There is no such class.
    """
    chosen = features.slots[slot].encoder
    return named(f"features.slots.{slot}.encoder", ENCODERS[chosen][0] if chosen in ENCODERS else chosen)


def encoder_settings(features: Features, slot: str) -> dict:
    """What values of a slot depend on beside what is said: settings, and the encoder's version, 1 where it has none."""
    chosen = features.slots[slot]
    settings = {"encoder": chosen.encoder, "options": chosen.options, "stored": features.stored}
    settings["version"] = getattr(encoder_class(features, slot), "version", 1)
    return settings | ({"stride": features.stride} if slot in WINDOW_SLOTS else {})


def build_encoder(features: Features, slot: str) -> Encoder:
    """Build the encoder of one slot.

    Raises:
        SemTalkError: There is no such class, or it does not take the slot's keys.
    """
    chosen, encoder = features.slots[slot], encoder_class(features, slot)
    options = chosen.options
    if slot in WINDOW_SLOTS:
        options["stride"] = features.stride
    try:
        return encoder(**options)
    except TypeError as error:
        raise SemTalkError(
            f"features.slots.{slot}: its keys do not fit the encoder {chosen.encoder} ({error})."
        ) from error


def build_encoders(features: Features) -> dict[str, Encoder]:
    """Build the encoders of all slots."""
    return {slot: build_encoder(features, slot) for slot in SLOTS}


def encode(encoder: Encoder, features: Features, slot: str, utterance: Utterance) -> np.ndarray:
    """Run the encoder of a slot.

    Raises:
        SemTalkError: What it gives is not of the slot's shape, or holds values that are not finite.
    """
    try:
        values = np.asarray(encoder(utterance))
    except SemTalkError:
        raise
    except Exception as error:  # of any class that a user may name
        said = f"{type(error).__name__}: {error}"
        raise SemTalkError(
            f"features.slots.{slot}: the encoder {features.slots[slot].encoder} fails ({said})."
        ) from error
    rows = utterance.frames if slot in FRAME_SLOTS else len(window_starts(utterance.frames, features.stride))
    shape = (rows, features.slots[slot].dim)
    if values.shape != shape and not (values.dtype.kind == "i" and values.shape == shape[:1]):
        raise SemTalkError(
            f"features.slots.{slot}: the encoder {features.slots[slot].encoder} gave {values.shape}, expected {shape}."
        )
    if not np.isfinite(values).all():
        raise SemTalkError(f"the encoder of {slot} gave NaN or infinite values.")
    return values


def leading_rows(features: Features, slot: str, values: np.ndarray, frames: int) -> np.ndarray:
    """What values (n, ...) of a slot have for the first frames; the last row is repeated where there are too few."""
    rows = frames if slot in FRAME_SLOTS else len(window_starts(frames, features.stride))
    return values[np.minimum(np.arange(rows), len(values) - 1)]


def count_lines(encoders: Mapping[str, Encoder]) -> list[str]:
    """What encoders counted while they ran (unknown words, sentences that were cut), a line each."""
    lines = []
    for encoder in encoders.values():
        (_, total), *rest = getattr(encoder, "counts", {"": 0}).items()
        lines += [f"{name}: {count} of {total}" for name, count in rest if count]
    return lines


def full_precision(feature: Tensor) -> Tensor:
    """A stored feature as networks take it: float32 of half precision, ids as they are."""
    return feature.float() if feature.dtype == torch.float16 else feature


def stack_features(takes: Sequence[Mapping[str, Tensor]], frames: int) -> dict[str, Tensor]:
    """Features of several takes, padded to ``frames`` frames with zeros (window features with their last row)."""

    def fit(value: Tensor, rows: int, repeat: bool) -> Tensor:
        value = full_precision(value[:rows])
        missing = rows - len(value)
        filler = value[-1:].expand(missing, -1) if repeat else value.new_zeros(missing, *value.shape[1:])
        return torch.cat([value, filler])

    features = {slot: torch.stack([fit(take[slot], frames, False) for take in takes]) for slot in FRAME_SLOTS}
    for slot in WINDOW_SLOTS:
        rows = max(len(take[slot]) for take in takes)
        features[slot] = torch.stack([fit(take[slot], rows, True) for take in takes])
    return features
