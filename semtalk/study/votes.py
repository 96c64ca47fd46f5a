"""Votes and raters, wherever they were written: by this study, or exported by HEMVIP2."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from semtalk.study.questions import ANSWERS, SUFFIX

FINISHED = "finish"
"""Status of a rater who answered everything."""
STATUSES = {
    "new": "did not begin", "started": "has not finished", "uncomplete": "skipped more than 3 pages",
    "failed": "failed two attention checks", FINISHED: "finished",
}  # fmt: skip
"""Status, as HEMVIP2 stores it -> what it says of a rater."""


@dataclass(frozen=True)
class Vote:
    """A rater's answer to a comparison; not to an attention check.

    Attributes:
        rater: Who gave it.
        question: One of :data:`semtalk.study.questions.QUESTIONS`.
        code: Of the segment.
        left: System whose video was on the left; with ``_Mismatched`` behind it where it had another's speech.
        right: System whose video was on the right.
        answer: One of :data:`semtalk.study.questions.ANSWERS`.
        reasons: Names of those that were ticked.
        other: The rater's own words.
    """

    rater: str
    question: str
    code: str
    left: str
    right: str
    answer: str
    reasons: tuple[str, ...] = ()
    other: str = ""

    @property
    def value(self) -> int:
        """How much better left is: 2, 1, 0, -1 or -2."""
        return ANSWERS[self.answer]

    @property
    def winner(self) -> str | None:
        """The better system, or none."""
        return None if not self.value else self.left if self.value > 0 else self.right

    def toward(self, system: str) -> int:
        """How much better one of the two is than the other."""
        return self.value if self.left == system else -self.value

    @property
    def matched(self) -> str:
        """The system, where both sides are of one."""
        return self.left.removesuffix(SUFFIX)


@dataclass(frozen=True)
class Rater:
    """Who took part.

    Attributes:
        name: A random id.
        status: One of :data:`STATUSES`.
        failed: Attention checks that were answered otherwise than they asked for.
        checks: Attention checks that were answered.
    """

    name: str
    status: str
    failed: int = 0
    checks: int = 0


def excluded(raters: Iterable[Rater]) -> dict[str, str]:
    """Rater whose votes do not count -> why: whoever failed a single attention check, or did not finish."""
    found = {}
    for rater in raters:
        if rater.failed:
            of_all = f" of {rater.checks}" if rater.checks else ""  # which an export need not have
            found[rater.name] = f"failed {rater.failed}{of_all} attention checks"
        elif rater.status != FINISHED:
            found[rater.name] = STATUSES[rater.status]
    return found


def counted(votes: Iterable[Vote], left_out: Mapping[str, str]) -> list[Vote]:
    """Votes of those raters who count."""
    return [vote for vote in votes if vote.rater not in left_out]
