"""Features and corpora: ``configs/features`` and ``configs/data``, see ``semtalk/features`` and ``semtalk/data``."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from semtalk.settings.common import (
    MAX_SEED,
    Name,
    Numbers,
    PathText,
    Reference,
    Settings,
    Size,
    Text,
    between,
    distinct,
    is_reference,
)

ENCODERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "absent": ("semtalk.features.offline:Absent", ()),
    "rhythm": ("semtalk.features.rhythm:Rhythm", ("amplitude_hop",)),
    "log_mel": ("semtalk.features.offline:LogMel", ()),
    "hashed_words": ("semtalk.features.offline:HashedWords", ()),
    "hashed_bag": ("semtalk.features.offline:HashedBag", ()),
    "spectral_statistics": ("semtalk.features.offline:SpectralStatistics", ()),
    "hubert": (
        "semtalk.features.hubert:Hubert",
        ("model", "heard_rate", "chunk_seconds", "span_seconds", "overlap_seconds", "batch"),
    ),
    "whisper": ("semtalk.features.whisper:WhisperStates", ("model", "span_seconds", "overlap_seconds")),
    "clip": ("semtalk.features.text:ClipSentence", ("model", "batch")),
    "minilm": ("semtalk.features.text:MiniLM", ("model", "batch")),
    "fasttext": ("semtalk.features.text:FastText", ("path", "model")),
    "glove": ("semtalk.features.glove:Glove", ("model",)),
    "vocabulary_ids": ("semtalk.features.text:VocabularyIds", ("path",)),
    "vocabulary_vectors": ("semtalk.features.text:VocabularyVectors", ("path",)),
    "emotion2vec": ("semtalk.features.emotion:Emotion2Vec", ("model",)),
    "emotion_label": ("semtalk.features.emotion:EmotionLabel", ()),
}
"""Word -> the encoder's class, and its own keys of a slot."""


class Slot(Settings):
    """What fills one feature slot."""

    model_config = ConfigDict(extra="allow")

    encoder: Text
    """The encoder: a word of the list, or package.module:Name with keys of its own."""
    dim: Size
    """Channels."""
    model: PathText | None = None
    """Folder, package or repository of a pretrained model."""
    path: PathText | None = None
    """A file of words or vectors; of fasttext, in the model's place."""
    amplitude_hop: Annotated[int, between(1, 65536)] = 1
    """Of rhythm: samples between the values of the amplitude envelope."""
    heard_rate: Annotated[int, between(1000, 192_000)] = 16000
    """Of hubert: the rate in Hz that sound is resampled to, and taken for 16 kHz."""
    chunk_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = 20.0
    """Of hubert: what the convolutions hear at once."""
    span_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = 300.0
    """Length of the pieces of long recordings."""
    overlap_seconds: Annotated[float, between(0.0, 600.0)] = 15.0
    """What is heard on either side of a piece."""
    batch: Annotated[int, between(1, 100_000)] = 4
    """Pieces or sentences at once."""

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of the encoder: what is set beside its name; of a built-in one, its own keys alone."""
        own = ENCODERS[self.encoder][1] if self.encoder in ENCODERS else self.model_fields_set - {"encoder"}
        unread = {"model"} if self.encoder == "fasttext" and self.path else set()
        return {key: getattr(self, key) for key in ("dim", *own) if key in self.model_fields_set - unread}

    @model_validator(mode="after")
    def the_encoder_takes_its_keys(self) -> "Slot":
        """A built-in encoder exists, and takes the keys beside it."""
        if is_reference(self.encoder):
            return self
        if self.encoder not in ENCODERS:
            raise ValueError(f"encoder={self.encoder}: choose one of {', '.join(ENCODERS)} or package.module:Name.")
        own = ENCODERS[self.encoder][1]
        unknown = [
            key for key, value in self.plain().items() if value is not None and key not in ("encoder", "dim", *own)
        ]
        if unknown and self.encoder != "absent":
            known = ", ".join(own) or "none"
            raise ValueError(f"{unknown[0]}: the encoder {self.encoder} has no such key; its own keys: {known}.")
        if "model" in own and "path" not in own and self.model is None:
            raise ValueError(f"model: the encoder {self.encoder} needs one.")
        return self


class Slots(Settings):
    """The feature slots of the method."""

    rhythm: Slot
    hubert: Slot
    words: Slot
    sentence: Slot
    emotion: Slot

    def __getitem__(self, slot: str) -> Slot:
        """A slot by its name."""
        return getattr(self, slot)


class Features(Settings):
    """What the networks hear and read."""

    name: Name
    """What the store is named by."""
    stride: Annotated[int, between(1, 100_000)]
    """Frames between the rows of sentence and emotion."""
    stored: Literal["float32", "float16"]
    """How features lie on disk."""
    noise: Annotated[float, between(0.0, 100.0)]
    """Noise on speech features in training, in deviations."""
    slots: Slots


class Corpus(Settings):
    """What all corpora share."""

    name: Name
    """What runs and reports are named by."""
    store: PathText
    """Folder of prepared corpora."""
    licence: Text | None = None
    """Licence of the corpus, which models that are trained on it are published under; null where nobody said it."""


class SampleData(Corpus):
    """The embedded corpus."""

    reader: Literal["sample"]
    """What reads it."""
    root: PathText
    """Folder that it is written to."""
    seed: Annotated[int, between(0, MAX_SEED)]
    """Of what is said; another seed is another corpus."""
    speakers: Annotated[int, between(1, 3)]
    """How many of the three voices."""
    take_seconds: Annotated[float, between(3.0, 3600.0)]
    """Length of each of a speaker's twelve takes, in seconds."""


class BEAT2Data(Corpus):
    """BEAT2 (EMAGE, CVPR 2024)."""

    reader: Literal["beat2"]
    """What reads it."""
    root: PathText | None
    """Folder that holds beat_english_v2.0.0."""
    speakers: Literal["all"] | Numbers
    """Speaker numbers, as in [2], or all."""
    additional: bool
    """Whether the split file's additional recordings are trained on."""


class SHOWData(Corpus):
    """SHOW (TalkSHOW, CVPR 2023)."""

    reader: Literal["show"]
    """What reads it."""
    root: PathText | None
    """Folder that holds chemistry, conan, oliver and seth."""
    speakers: Literal["all"] | Annotated[list[Text], Field(min_length=1), AfterValidator(distinct)]
    """Names, or all."""
    min_frames: Annotated[int, between(1, 108_000)]
    """Sequences of fewer frames of motion are left out."""
    min_seconds: Annotated[float, between(0.0, 3600.0)]
    """Sequences of shorter motion are left out; the paper says 10."""
    split_file: PathText | None
    """A list (json, pickle) of sequences below train, val and test; null for folders of these names, or by video."""
    words: Literal["whisper", "none"]
    """Where words come from where there is no transcript."""
    whisper: PathText
    """The Whisper model."""
    language: Text | None
    """Language of the speech; null to detect it."""
    hands: Literal["smplx", "mean"]
    """Whether hand components are turned into joints by the SMPL-X file, or hands are the mean."""
    smplx_path: PathText | None
    """Folder of the SMPL-X model."""
    made: PathText
    """Folder of transcripts and labels that are made for the corpus."""


class OwnData(Corpus):
    """A corpus of one's own; the keys beside these are its reader's."""

    model_config = ConfigDict(extra="allow")

    reader: Reference
    """Class of the reader, see :class:`semtalk.data.recording.Corpus`."""


READERS: dict[str, str] = {
    "sample": "semtalk.data.sample:SampleCorpus",
    "beat2": "semtalk.data.beat2:BEAT2Corpus",
    "show": "semtalk.data.show:SHOWCorpus",
}
"""Word -> class of the reader."""


def _reader(data: Any) -> str | None:
    word = data.get("reader") if isinstance(data, Mapping) else getattr(data, "reader", None)
    if not isinstance(word, str):
        return None
    return "own" if is_reference(word) else word


Data = Annotated[
    Annotated[SampleData, Tag("sample")]
    | Annotated[BEAT2Data, Tag("beat2")]
    | Annotated[SHOWData, Tag("show")]
    | Annotated[OwnData, Tag("own")],
    Discriminator(_reader),
]
