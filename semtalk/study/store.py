"""Answers in SQLite: each is on the disk before it is acknowledged, and what it replaces is kept too."""

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semtalk.errors import SemTalkError
from semtalk.study.plan import Page, Study
from semtalk.study.questions import ANSWERS, QUESTIONS
from semtalk.study.votes import FINISHED, Rater, Vote

FILE = "votes.sqlite"
SKIPPED = "Skipped"
"""In the place of the answer to a page that a rater skipped."""
MOST_SKIPPED, MOST_FAILED = 3, 1
"""More than these end a session."""
LONGEST_WORDS = 2000
"""Letters of a reason in a rater's own words."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS raters (
  rater TEXT PRIMARY KEY, slot INTEGER NOT NULL, status TEXT NOT NULL, joined REAL NOT NULL, ended REAL);
CREATE TABLE IF NOT EXISTS answers (
  rater TEXT NOT NULL, page INTEGER NOT NULL, question TEXT NOT NULL, code TEXT NOT NULL, left TEXT NOT NULL,
  right TEXT NOT NULL, expected TEXT, answer TEXT NOT NULL, reasons TEXT NOT NULL, other TEXT NOT NULL,
  seconds REAL NOT NULL, at REAL NOT NULL, PRIMARY KEY (rater, page));
CREATE TABLE IF NOT EXISTS actions (
  number INTEGER PRIMARY KEY AUTOINCREMENT, rater TEXT NOT NULL, page INTEGER, what TEXT NOT NULL, at REAL NOT NULL);
"""


class StoreError(SemTalkError):
    """The file of the answers cannot be read or written."""


class Store:
    """Raters and answers of a study; any number of threads and processes may use one file."""

    def __init__(self, folder: Path, study: Study):
        self.path, self.study = folder / FILE, study
        self._pages: dict[int, list[Page]] = {}
        with self._open(write=True) as database:
            database.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_hex(16),))
            self.secret: str = database.execute("SELECT value FROM meta WHERE key = 'secret'").fetchone()[0]

    @contextmanager
    def _open(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection; what was written is on the disk when the block has ended, or nothing of it is there."""
        try:
            database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            try:
                database.execute("PRAGMA synchronous = FULL")
                if write:
                    database.execute("BEGIN IMMEDIATE")
                    for statement in SCHEMA.split(";"):
                        database.execute(statement)
                yield database
                if write:
                    database.execute("COMMIT")
            finally:
                database.close()  # which takes back what was not committed
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: answers cannot be read or stored there ({error}).") from error

    def pages(self, slot: int) -> list[Page]:
        """Pages of a slot."""
        if slot not in self._pages:
            self._pages[slot] = self.study.pages_of(slot)
        return self._pages[slot]

    def join(self) -> str:
        """A new rater, who has the lowest slot that nobody else holds; whose session failed holds none.

        Returns:
            24 hexadecimals.
        """
        rater, now = secrets.token_hex(12), time.time()
        with self._open(write=True) as database:
            rows = database.execute("SELECT slot FROM raters WHERE status NOT IN ('failed', 'uncomplete')")
            held = {slot for (slot,) in rows}
            slot = next(number for number in range(len(held) + 1) if number not in held)
            database.execute("INSERT INTO raters VALUES (?, ?, 'started', ?, NULL)", (rater, slot, now))
            _note(database, rater, None, {"action": "join"}, now)
        return rater

    def session(self, rater: str) -> dict[str, Any]:
        """Where a rater stands: slot, status, pages, page -> what was answered, and the first that was not.

        Raises:
            SemTalkError: There is no such rater.
        """
        with self._open() as database:
            return self._session(database, rater)

    def _session(self, database: sqlite3.Connection, rater: str) -> dict[str, Any]:
        row = database.execute("SELECT slot, status FROM raters WHERE rater = ?", (rater,)).fetchone()
        if row is None:
            raise SemTalkError("there is no such rater; begin anew.")
        given = {
            page: {"answer": answer, "reasons": json.loads(reasons), "other": other}
            for page, answer, reasons, other in database.execute(
                "SELECT page, answer, reasons, other FROM answers WHERE rater = ?", (rater,)
            )
        }
        pages = self.pages(row[0])
        return {
            "slot": row[0], "status": row[1], "pages": pages, "given": given,
            "next": next((at for at in range(len(pages)) if at not in given), len(pages)),
            "skipped": sum(one["answer"] == SKIPPED for one in given.values()),
        }  # fmt: skip

    def answer(
        self, rater: str, page: int, answer: str, reasons: list[str], other: str = "", seconds: float = 0.0
    ) -> str:
        """Store an answer, or that a page was skipped, and return the rater's status after it.

        Args:
            rater: Who gives it.
            page: From 0; one that was answered before, or the first that was not.
            answer: One of :data:`semtalk.study.questions.ANSWERS`, or ``Skipped``.
            reasons: Names of those that were ticked; one at least unless the videos are equal.
            other: The rater's own words, which the last reason needs.
            seconds: Since the page was shown.

        Raises:
            SemTalkError: The answer is none, or cannot be stored; it is not stored then.
        """
        now = time.time()
        with self._open(write=True) as database:
            session = self._session(database, rater)
            if session["status"] != "started":
                raise SemTalkError("this session has ended; its answers cannot be changed.")
            if not 0 <= page <= min(session["next"], len(session["pages"]) - 1):
                raise SemTalkError(f"page {page} cannot be answered now.")
            asked = session["pages"][page]
            if answer == SKIPPED:
                reasons, other = [], ""
            else:
                refuse_answer(asked.question, answer, reasons, other)
            database.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (rater, page, asked.question, asked.code, asked.left.system, asked.right.system, asked.expected,
                 answer, json.dumps(reasons), other, seconds, now),
            )  # fmt: skip
            _note(
                database, rater, page, {"action": "answer", "answer": answer, "reasons": reasons, "other": other}, now
            )
            status = self._status(self._session(database, rater))
            if status != "started":
                database.execute("UPDATE raters SET status = ?, ended = ? WHERE rater = ?", (status, now, rater))
        return status

    @staticmethod
    def _status(session: dict[str, Any]) -> str:
        checks = [(page, session["given"].get(at)) for at, page in enumerate(session["pages"]) if page.expected]
        failed = sum(given is not None and given["answer"] != page.expected for page, given in checks)
        if failed > MOST_FAILED:
            return "failed"
        if session["skipped"] > MOST_SKIPPED:
            return "uncomplete"
        return FINISHED if session["next"] == len(session["pages"]) else "started"

    def completion(self, status: str) -> str:
        """Code that a rater is shown at the end."""
        return hashlib.sha256(f"{self.secret} {status}".encode()).hexdigest()[:8].upper()

    def raters(self) -> list[Rater]:
        """All who took part, in the order in which they came."""
        with self._open() as database:
            rows = database.execute(
                "SELECT r.rater, r.status, COALESCE(SUM(a.expected IS NOT NULL AND a.answer != a.expected), 0), "
                "COUNT(a.expected) FROM raters r LEFT JOIN answers a ON a.rater = r.rater GROUP BY r.rater "
                "ORDER BY r.joined, r.rater"
            )
            return [Rater(*row) for row in rows]

    def votes(self) -> list[Vote]:
        """Answers to comparisons, without skipped ones and attention checks."""
        with self._open() as database:
            rows = database.execute(
                "SELECT rater, question, code, left, right, answer, reasons, other FROM answers "
                "WHERE expected IS NULL AND answer != ? ORDER BY rater, page", (SKIPPED,)
            )  # fmt: skip
            return [Vote(*row[:6], tuple(json.loads(row[6])), row[7]) for row in rows]

    def records(self) -> list[dict[str, Any]]:
        """Everything that was stored of each rater: slot, status, times, answers by page, and actions in order."""
        with self._open() as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute("SELECT * FROM raters ORDER BY joined, rater")]
            for one in found:
                key = (one["rater"],)
                answers = database.execute("SELECT * FROM answers WHERE rater = ? ORDER BY page", key)
                one["answers"] = {row["page"]: dict(row) for row in answers}
                actions = database.execute("SELECT page, what, at FROM actions WHERE rater = ? ORDER BY number", key)
                one["actions"] = [{**json.loads(row["what"]), "page": row["page"], "at": row["at"]} for row in actions]
        return found


def _note(database: sqlite3.Connection, rater: str, page: int | None, what: dict, now: float) -> None:
    values = (rater, page, json.dumps(what), now)
    database.execute("INSERT INTO actions (rater, page, what, at) VALUES (?, ?, ?, ?)", values)


def refuse_answer(question: str, answer: str, reasons: list[str], other: str) -> None:
    """See that an answer is one, with the reasons that it needs.

    Raises:
        SemTalkError: It is not.
    """
    known = list(QUESTIONS[question].reasons)
    if answer not in ANSWERS:
        raise SemTalkError(f"answer: choose one of {', '.join(ANSWERS)}.")
    if not set(reasons) <= set(known) or len(set(reasons)) < len(reasons):
        raise SemTalkError(f"reasons: choose among {', '.join(known)}, each once.")
    if ANSWERS[answer] and not reasons:
        raise SemTalkError("reasons: give one at least, unless the videos are equal.")
    if known[-1] in reasons and not other.strip():
        raise SemTalkError("other: say the other reason in words.")
    if len(other) > LONGEST_WORDS:
        raise SemTalkError(f"other: say it in {LONGEST_WORDS} letters at most.")
