"""Rows of published tables, with their source, and when they may stand beside a result: ``published/*.json``."""

import json
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from semtalk.evaluation.result import Result


class Row(NamedTuple):
    """A method's row of a published table.

    Attributes:
        method: Its name.
        corpus: Whose takes.
        speakers: Which; none where the source does not say.
        split: Of the corpus.
        protocol: How it was counted; none where that was not published.
        values: Metric -> value, as printed.
        scale: Metric -> what the printed value is multiplied by; none where that was not published.
        source: Where it is printed.
    """

    method: str
    corpus: str
    speakers: list[int] | str | None
    split: str
    protocol: str | None
    values: dict[str, float]
    scale: dict[str, float | None]
    source: str

    def raw(self) -> dict[str, float]:
        """Metric -> value before any table's scale."""
        return {name: value * self.scale[name] for name, value in self.values.items()}


@cache
def published_rows() -> list[Row]:
    """All rows, file by file."""
    folder = files("semtalk.evaluation") / "published"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".json")), key=lambda path: path.name)
    return [Row(**row) for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]


def comparable(result: Result) -> list[Row]:
    """Published rows that a result may be compared with; none unless everything is the same.

    The corpus, its speakers, the split, the protocol, the licensed body and the released embedder must be those of
    the table. The leaderboard's rows never stand beside one: which of its two FGD they are, and which BA, is not known.
    """
    data = result.config.get("data", {})
    if result.stand_in or result.embedder["source"] != "released" or result.config.get("motions") is not None:
        return []
    same = (data.get("reader"), str(data.get("speakers")), result.split, result.protocol)
    return [
        row
        for row in published_rows()
        if (row.corpus, str(row.speakers), row.split, row.protocol) == same and row.protocol != "genea"
    ]
