"""What each rater is shown: comparisons, sides and order drawn from a seed and balanced, with attention checks between.

Raters have numbers from 0, their slots; what a slot is shown follows from the plan alone. Comparisons of a question are
one long row in which every pair of systems meets on every segment once, then again with sides changed, and so on; each
slot takes the next of it. So counts of pairs, of segments and of sides differ by one at most, wherever a study ends.
"""

import zlib
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.evaluation.kinds import MATCHED, MUTED
from semtalk.files import read_json
from semtalk.study.questions import QUESTIONS, SUFFIX

FILE, STIMULI, CHECKS = "study.json", "stimuli", "checks"
"""Of a study's folder: its plan; videos of the systems; and of attention checks."""
FORMAT = 1


@dataclass(frozen=True)
class Side:
    """One of the two videos of a page.

    Attributes:
        system: Whose it is; with ``_Mismatched`` behind it where it has another segment's speech.
        video: Its file, below the study's folder.
    """

    system: str
    video: str


@dataclass(frozen=True)
class Page:
    """What a rater is shown and asked at once.

    Attributes:
        question: One of :data:`semtalk.study.questions.QUESTIONS`.
        code: Of the segment; of a check, its number.
        left: Video.
        right: Video.
        expected: The answer that an attention check asks for; none of a comparison.
    """

    question: str
    code: str
    left: Side
    right: Side
    expected: str | None = None


@dataclass(frozen=True)
class Check:
    """An attention check: one of its videos says which answer to give.

    Attributes:
        silent: Whether nothing is heard.
        expected: The answer.
        left: File, below the study's folder.
        right: File.
    """

    silent: bool
    expected: str
    left: str
    right: str


@dataclass(frozen=True)
class Study:
    """A study's plan.

    Attributes:
        systems: What is compared.
        codes: Of the segments.
        mismatched: Those of them that have another segment's speech too.
        questions: What is asked.
        pages: Comparisons of a rater.
        checks: Attention checks, for silent pages and for those with sound.
        checked: Attention checks of a rater.
        seed: Of everything that is drawn.
        digest: Of the files that its stimuli are made of.
        ready: Whether all of its videos are there.
    """

    systems: tuple[str, ...]
    codes: tuple[str, ...]
    mismatched: tuple[str, ...]
    questions: tuple[str, ...]
    pages: int
    checks: tuple[Check, ...]
    checked: int
    seed: int
    digest: str
    ready: bool = False

    def plain(self) -> dict[str, Any]:
        """What ``study.json`` holds."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def read(cls, folder: Path) -> "Study":
        """The study of a folder.

        Raises:
            SemTalkError: There is none, or what says it is damaged.
        """
        path = folder / FILE
        if not path.is_file():
            raise SemTalkError(f"{folder}: there is no study here ({path}); make one, as in methods=[A,B] audio=DIR.")
        content = read_json(path)
        if content.pop("format", None) != FORMAT:
            raise SemTalkError(f"{path}: it is of another version of this package; make the study anew.")
        try:
            checks = tuple(Check(**check) for check in content.pop("checks"))
            lists = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
            return cls(**(content | lists), checks=checks)
        except (KeyError, TypeError) as error:
            raise SemTalkError(f"{path}: it is damaged ({error}); make the study anew.") from error

    def pairs(self, question: str) -> list[tuple[str, str]]:
        """Pairs of systems that a question compares."""
        if QUESTIONS[question].mismatched:
            return [(system, system + SUFFIX) for system in self.systems]
        return list(combinations(self.systems, 2))

    def segments(self, question: str) -> tuple[str, ...]:
        """Codes of the segments that a question can be asked of."""
        return self.mismatched if QUESTIONS[question].mismatched else self.codes

    @cached_property
    def _rows(self) -> dict[str, tuple]:
        """Question -> pairs and segments in a drawn order, and (P, S) whether a pair's sides are changed."""
        rows = {}
        for question in self.questions:
            rng = np.random.default_rng([self.seed, zlib.crc32(question.encode())])
            pairs, codes = self.pairs(question), self.segments(question)
            halves = rng.integers(0, 2, (len(pairs), -(-len(codes) // 2)))
            changed = np.stack([halves, 1 - halves], -1).reshape(len(pairs), -1)[:, : len(codes)]
            rows[question] = (
                [pairs[at] for at in rng.permutation(len(pairs))],
                [codes[at] for at in rng.permutation(len(codes))],
                changed,
            )
        return rows

    def comparison(self, question: str, number: int) -> Page:
        """Comparison of a number from 0 in the row of a question."""
        pairs, codes, changed = self._rows[question]
        turn, at = divmod(number, len(pairs) * len(codes))
        block, which = divmod(at, len(pairs))
        code = codes[(block + which * len(codes) // len(pairs)) % len(codes)]
        sides = [
            Side(system, f"{STIMULI}/{system.removesuffix(SUFFIX)}/{sound}/{code}.mp4")
            for system, sound in zip(pairs[which], QUESTIONS[question].sounds, strict=True)
        ]
        if (changed[which, block] + turn) % 2:
            sides.reverse()
        return Page(question, code, *sides)

    def count(self, question: str, slot: int) -> int:
        """Comparisons of a question that a slot has."""
        each, more = divmod(self.pages, len(self.questions))
        return each + ((self.questions.index(question) - slot * more) % len(self.questions) < more)

    def pages_of(self, slot: int) -> list[Page]:
        """All pages of a slot by question, with a check after every floor(n / (c + 1)) of n comparisons."""
        rng = np.random.default_rng([self.seed, slot])
        drawn = np.random.default_rng(self.seed).permutation(len(self.questions))
        pages: list[Page] = []
        for question in (self.questions[drawn[(at + slot) % len(drawn)]] for at in range(len(drawn))):
            begin = sum(self.count(question, earlier) for earlier in range(slot))
            own = [self.comparison(question, begin + at) for at in range(self.count(question, slot))]
            pages += [own[at] for at in rng.permutation(len(own))]
        every = self.pages // (self.checked + 1)
        for number in reversed(range(self.checked)):
            before = (number + 1) * every
            pages.insert(before, self._check(pages[before - 1].question, number))
        return pages

    def _check(self, question: str, number: int) -> Page:
        check = [one for one in self.checks if one.silent == QUESTIONS[question].silent][number]
        return Page(question, str(number), Side("", check.left), Side("", check.right), check.expected)

    def videos(self) -> list[str]:
        """Files of everything that raters can be shown, below the study's folder."""
        sounds = sorted({sound for question in self.questions for sound in QUESTIONS[question].sounds})
        found = []
        for system in self.systems:
            for sound in sounds:
                codes = self.codes if sound in (MUTED, MATCHED) else self.mismatched
                found += [f"{STIMULI}/{system}/{sound}/{code}.mp4" for code in codes]
        return found + [video for check in self.checks for video in (check.left, check.right)]
