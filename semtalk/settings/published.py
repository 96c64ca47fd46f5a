"""What ``config.json`` of a published model holds."""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from semtalk.settings.commands import PHASE_NAMES, PhaseName
from semtalk.settings.common import DIGEST, SPEAKER, VERSION, Settings, Text, between

FORMAT = 1
"""Of published models; raised when an older version could not read a newer one."""
Speaker = Annotated[str, Field(pattern=SPEAKER)]
Digest = Annotated[str, Field(pattern=DIGEST)]


class PublishedFacts(Settings):
    """What training learned of data and method, see :class:`semtalk.tasks.stamp.Facts`."""

    speakers: Annotated[list[int | Speaker], Field(min_length=1, max_length=100_000)]
    """The corpus's speakers, by its own numbers or names, in the order of the networks' embeddings."""
    mean_joint_speed: Annotated[list[float], Field(min_length=55, max_length=55)] | None
    """In m/s."""
    body: str | None
    """Name of the body model."""
    generation: Literal["default", "release"]
    """The rollout that the networks were trained for."""
    notes: list[str]
    """What every result has to say."""
    released: Digest | None
    """Of the authors' weights, where they were converted."""
    licence: str | None
    """Of the corpus."""


class PublishedPhase(Settings):
    """One network."""

    version: Annotated[str, Field(pattern=VERSION)]
    """Of the code base that trained it."""
    format: Annotated[int, between(1, 1_000_000)]
    """Of its checkpoint."""
    finished: bool
    """Whether its training came to its end."""
    beside: dict[PhaseName, Digest]
    """Networks that it was trained beside."""
    facts: PublishedFacts
    config: dict[str, Any]
    """What it is built from; :class:`semtalk.settings.trained.Trained` says what is read of it."""


class PublishedData(Settings):
    """What the networks were trained on."""

    name: Text
    """Of the corpus."""
    speakers: list[int] | list[str] | Text | int | None
    """Which of them, or how many."""
    licence: Text | None
    """Under which it was taken."""


class PublishedResults(Settings):
    """What an evaluation of the run found."""

    split: Text
    """Whose takes."""
    takes: Annotated[int, between(1, 1_000_000_000)]
    """How many."""
    protocol: Text
    """How they were counted."""
    body: Text
    """That measured."""
    stand_in: bool
    """Whether it is no SMPL-X."""
    weights: dict[PhaseName, Digest]
    """The networks that were measured."""
    page: Text
    """Tables and notes in Markdown."""


Networks = create_model(
    "Networks", __base__=Settings, __doc__="Phase -> its network, where there is one.",
    **{name: (PublishedPhase | None, None) for name in PHASE_NAMES},
)  # fmt: skip


class PublishedModel(Settings):
    """``config.json``."""

    library: Literal["semtalk"]
    """What loads it."""
    format: Annotated[int, between(1, 1_000_000)]
    """See :data:`FORMAT`."""
    networks: Networks
    data: PublishedData
    results: PublishedResults | None
    """None where the run was not evaluated."""
