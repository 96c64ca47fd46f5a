"""Rows of published tables, with their source, and when they may stand beside a result."""

from semtalk.evaluation.metrics import MAIN
from semtalk.evaluation.result import Result

BEAT2_SPEAKER_2 = {
    "SemTalk": (4.278, 7.770, 12.91, 6.153, 6.938),
    "EMAGE": (5.512, 7.724, 13.06, 7.680, 7.556),
    "TalkSHOW": (6.209, 6.947, 13.47, 7.791, 7.771),
}
"""In the order of :data:`semtalk.evaluation.metrics.MAIN`, divided by their scales."""
BEAT2_ALL = {"SemTalk, later release": (3.556, 5.097, 8.409, 4.439, 1.435)}
SOURCES = {
    "legacy": "SemTalk (ICCV 2025), table 1: BEAT2 speaker 2, test split, protocol legacy",
    "evaltools": "the authors' later release: BEAT2, 25 speakers, test split, protocol evaltools",
}


def comparable(result: Result) -> tuple[dict[str, dict[str, float]], str]:
    """Published rows that a result may be compared with, and their source; none unless everything is the same.

    The corpus, its speakers, the test split, the protocol, the licensed body and the released embedder must be those of
    the table.
    """
    data = result.config.get("data", {})
    same = (
        data.get("reader") == "beat2"
        and result.split == "test"
        and not result.stand_in
        and result.embedder["source"] == "released"
        and result.config.get("motions") is None
    )
    tables = {("legacy", "[2]"): BEAT2_SPEAKER_2, ("evaltools", "all"): BEAT2_ALL}
    rows = tables.get((result.protocol, str(data.get("speakers")))) if same else None
    if rows is None:
        return {}, ""
    return {row: dict(zip(MAIN, values, strict=True)) for row, values in rows.items()}, SOURCES[result.protocol]
