"""What all settings share: their base, and the types that many keys have."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

MAX_SEED = 2**32 - 1


class Settings(BaseModel):
    """Frozen, without unknown keys, and without conversion of one type into another."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=(),
    )  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """The same as a plain dict, for checkpoints, ``config.yaml`` and results."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def between(low: float, high: float) -> Any:
    """From low to high, both included."""
    return Field(ge=low, le=high)


Size = Annotated[int, between(1, 65536)]
Layers = Annotated[int, between(0, 256)]
Share = Annotated[float, between(0.0, 1.0)]
Dropout = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, between(0.0, 1e6)]
Part = Literal["face", "upper", "hands", "lower"]
Text = Annotated[str, Field(min_length=1)]
"""A word."""
AS_GIVEN = "as given"
GivenText = Annotated[str, Field(min_length=1), AS_GIVEN]
"""A text, on the command line as the shell hands it over (semtalk/settings/words.py)."""
IS_PATH = "a path"


def _any_path(value: Any) -> str:
    """A path; pydantic's own text refuses names that are no Unicode, which systems admit."""
    if not isinstance(value, str) or not value:
        raise PydanticCustomError("string_type", "no path")
    return value


PathText = Annotated[
    str, PlainValidator(_any_path), PlainSerializer(str, return_type=Any),
    WithJsonSchema({"type": "string", "minLength": 1}), IS_PATH,
]  # fmt: skip
"""A path, on the command line as the shell hands it over (semtalk/settings/words.py)."""
NAME, SHARD, DURATION = r"^[^/\\]*[^/\\.\s][^/\\]*$", "^[0-9]+/[0-9]+$", "^[0-9]+:[0-9]{2}:[0-9]{2}:[0-9]{2}$"
DIGEST, VERSION, SPEAKER = "^[0-9a-f]{64}$", r"^[\w.+-]{1,64}$", r"^[\w.+ -]{1,100}$"
SUFFIX, TARGET = r"^[^/\\]+$", "^[^\\s/]+:[0-9]{1,5}$"
REFERENCE = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
PATTERNS = {
    NAME: "a name without slashes", SHARD: "i/n, as in 1/4", DURATION: "DD:HH:MM:SS, as in 00:08:00:00",
    REFERENCE: "package.module:Name", SUFFIX: "text without slashes",
    TARGET: "HOST:PORT, as in 127.0.0.1:39539",
    DIGEST: "a sha256 in hexadecimals", VERSION: "a version, as in 0.1.0",
    SPEAKER: "a name of letters and digits",
}  # fmt: skip
"""Pattern of a text -> what it is."""
Name = Annotated[str, Field(pattern=NAME)]
"""Of a folder."""


Reference = Annotated[str, Field(pattern=REFERENCE)]
"""What an installed package offers in the place of a built-in word."""


def is_reference(word: str) -> bool:
    """Whether a word names something of a package, as in ``package.module:Name``."""
    return re.match(REFERENCE, word) is not None


def package_of(reference: str) -> str:
    """The package that ``package.module:Name`` is of."""
    return reference.split(":")[0].split(".")[0]


def distinct(values: list) -> list:
    """A list in which nothing stands twice.

    Raises:
        ValueError: Something does.
    """
    if len(set(values)) < len(values):
        raise ValueError("something stands twice.")
    return values


Numbers = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(distinct)]
"""Numbers from 0, each once."""
