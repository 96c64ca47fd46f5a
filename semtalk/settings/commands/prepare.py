"""What ``scripts/prepare.py`` takes."""

from typing import Annotated

from pydantic import AfterValidator, Field

from semtalk.settings.commands.base import Command
from semtalk.settings.common import SHARD


def one_of_the_shares(shard: str) -> str:
    """A shard i/n with 1 <= i <= n.

    Raises:
        ValueError: It is none.
    """
    first, count = map(int, shard.split("/"))
    if not 1 <= first <= count:
        raise ValueError("give i/n with i from 1 to n, as in shard=2/8.")
    return shard


class PrepareSettings(Command):
    """``scripts/prepare.py``."""

    shard: Annotated[str, Field(pattern=SHARD), AfterValidator(one_of_the_shares)] | None
    """Share of the corpus, as in 1/4."""
    report: bool
    """Whether to say what there is."""
