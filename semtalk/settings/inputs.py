"""Features and corpora: ``configs/features`` and ``configs/data``, see ``semtalk/features`` and ``semtalk/data``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from semtalk.settings.common import MAX_SEED, Name, Numbers, Settings, Size, Text, between, distinct


class Slot(Settings):
    """What fills one feature slot; the keys beside these are the encoder's own."""

    model_config = ConfigDict(extra="allow")

    encoder: Text
    """Name of the encoder."""
    dim: Size
    """Channels."""


class Slots(Settings):
    """The feature slots of the method."""

    rhythm: Slot
    hubert: Slot
    words: Slot
    sentence: Slot
    emotion: Slot


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
    store: Text
    """Folder of prepared corpora."""


class SampleData(Corpus):
    """The embedded corpus."""

    reader: Literal["sample"]
    """What reads it."""
    root: Text
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
    root: Text | None
    """Folder that holds beat_english_v2.0.0."""
    speakers: Literal["all"] | Numbers
    """Speaker numbers, as in [2], or all."""
    additional: bool
    """Whether the split file's additional recordings are trained on."""


class SHOWData(Corpus):
    """SHOW (TalkSHOW, CVPR 2023)."""

    reader: Literal["show"]
    """What reads it."""
    root: Text | None
    """Folder that holds chemistry, conan, oliver and seth."""
    speakers: Literal["all"] | Annotated[list[Text], Field(min_length=1), AfterValidator(distinct)]
    """Names, or all."""
    min_seconds: Annotated[float, between(0.0, 3600.0)]
    """Shorter recordings are left out."""
    split_file: Text | None
    """A csv of recordings and splits; null for the published split."""
    words: Literal["whisper", "none"]
    """Where words come from where there is no transcript."""
    whisper: Text
    """The Whisper model."""
    language: Text | None
    """Language of the speech; null to detect it."""
    hands: Literal["smplx", "mean"]
    """Whether hand components are turned into joints by the SMPL-X file, or hands are the mean."""
    smplx_path: Text | None
    """Folder of the SMPL-X model."""
    made: Text
    """Folder of transcripts and labels that are made for the corpus."""


Data = Annotated[
    Annotated[SampleData, Tag("sample")] | Annotated[BEAT2Data, Tag("beat2")] | Annotated[SHOWData, Tag("show")],
    Discriminator("reader"),
]
