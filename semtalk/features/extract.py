"""The feature slots of the method and the encoders that can fill them.

A feature configuration names an encoder for each slot and gives its size, which every network reads from there:
``rhythm`` (T, 3), ``hubert`` (T, d), ``words`` (T, d), and for each window start ``sentence`` and ``emotion`` (W, d).
"""

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.utterance import Utterance

FRAME_SLOTS = ("rhythm", "hubert", "words")
WINDOW_SLOTS = ("sentence", "emotion")
SLOTS = FRAME_SLOTS + WINDOW_SLOTS

ENCODERS = {
    "absent": "semtalk.features.offline:Absent",
    "rhythm": "semtalk.features.rhythm:Rhythm",
    "log_mel": "semtalk.features.offline:LogMel",
    "hashed_words": "semtalk.features.offline:HashedWords",
    "hashed_bag": "semtalk.features.offline:HashedBag",
    "spectral_statistics": "semtalk.features.offline:SpectralStatistics",
    "hubert": "semtalk.features.hubert:Hubert",
    "whisper": "semtalk.features.whisper:WhisperStates",
    "clip": "semtalk.features.text:ClipSentence",
    "minilm": "semtalk.features.text:MiniLM",
    "fasttext": "semtalk.features.text:FastText",
    "glove": "semtalk.features.glove:Glove",
    "vocabulary_ids": "semtalk.features.text:VocabularyIds",
    "vocabulary_vectors": "semtalk.features.text:VocabularyVectors",
    "emotion2vec": "semtalk.features.emotion:Emotion2Vec",
    "emotion_label": "semtalk.features.emotion:EmotionLabel",
}
"""Name in a configuration -> class; a new feature is a class and a line here."""

Encoder = Callable[[Utterance], np.ndarray]


def feature_dims(features: Mapping) -> dict[str, int]:
    """Sizes d of the slots of a feature configuration."""
    return {slot: features["slots"][slot]["dim"] for slot in SLOTS}


def build_encoder(features: Mapping, slot: str) -> Encoder:
    """Build the encoder of one slot.

    Raises:
        SemTalkError: The configuration lacks the slot or names an encoder that does not exist.
    """
    if slot not in features["slots"]:
        raise SemTalkError(f"features={features['name']}: the slot {slot} is missing.")
    options = dict(features["slots"][slot])
    name = options.pop("encoder", None)
    if name not in ENCODERS:
        raise SemTalkError(
            f"features={features['name']}: the slot {slot} has the encoder {name}, which this version does not have; "
            f"choose one of {', '.join(ENCODERS)}."
        )
    module, _, attribute = ENCODERS[name].partition(":")
    if slot in WINDOW_SLOTS and name != "absent":
        options["stride"] = features["stride"]
    try:
        return getattr(import_module(module), attribute)(**options)
    except TypeError as error:
        raise SemTalkError(f"features.slots.{slot}: its settings do not fit the encoder {name} ({error}).") from error


def build_encoders(features: Mapping) -> dict[str, Encoder]:
    """Build the encoders of all slots."""
    return {slot: build_encoder(features, slot) for slot in SLOTS}


def encode(encoder: Encoder, slot: str, utterance: Utterance) -> np.ndarray:
    """Run one encoder and refuse values that are not finite."""
    values = encoder(utterance)
    if not np.isfinite(values).all():
        raise SemTalkError(f"the encoder of {slot} gave NaN or infinite values.")
    return values


def count_lines(encoders: Mapping[str, Encoder]) -> list[str]:
    """What encoders counted while they ran (unknown words, sentences that were cut), a line each."""
    lines = []
    for encoder in encoders.values():
        (_, total), *rest = getattr(encoder, "counts", {"": 0}).items()
        lines += [f"{name}: {count} of {total}" for name, count in rest if count]
    return lines
