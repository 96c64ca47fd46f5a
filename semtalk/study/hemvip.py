"""What HEMVIP2 takes and gives: lists of comparisons, videos by system, exported votes; released tables."""

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.files import atomic_write, read_json, read_text, write_json
from semtalk.study.plan import Study
from semtalk.study.questions import ANSWERS, KINDS, QUESTIONS, SUFFIX
from semtalk.study.store import SKIPPED, Store
from semtalk.study.votes import FINISHED, STATUSES, Rater, Vote

TABLE = (
    "user", "input_code", "model_a", "model_b", "winner", "is_strong", "juiceOptions", "juiceOtherReason", "question",
)  # fmt: skip
"""Columns of the released votes, and the question, which they have not."""
VOTES = "votes.json"
ORIGIN, MISMATCH = "origin", "mismatch-speech"


def write_table(path: Path, head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> Path:
    """Write a csv."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    atomic_write(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))
    return path


def export_study(folder: Path, raters: int) -> Path:
    """Write a study for HEMVIP2: for each question the videos, and a list of comparisons for each of so many raters.

    The votes that there are already are written beside them.
    """
    study, out = Study.read(folder), folder / "hemvip2"
    for name in study.questions:
        question = QUESTIONS[name]
        for system in study.systems:
            for kind, sound in zip((ORIGIN, MISMATCH), dict.fromkeys(question.sounds), strict=False):
                codes = study.segments(name) if question.mismatched else study.codes
                for code in codes:
                    source = folder / "stimuli" / system / sound / f"{code}.mp4"
                    _link(source, out / name / "videos" / system / kind / f"{code}.mp4")
        for check in study.checks:
            if check.silent == question.silent:
                for video in (check.left, check.right):
                    _link(folder / video, out / name / "videos" / "check" / Path(video).name)
        for rater in range(raters):
            pages = [study.comparison(name, rater * study.pages + at) for at in range(study.pages)]
            order = np.random.default_rng([study.seed, 3, rater]).permutation(len(pages))
            if question.mismatched:
                head = ("clip_name", "system", "mismatch_clip")
                rows = [(page.code, page.left.system.removesuffix(SUFFIX), page.code) for page in pages]
            else:
                head = ("clip_name", "system_1", "system_2")
                rows = [(page.code, page.left.system, page.right.system) for page in pages]
            write_table(out / name / f"{name}_{rater + 1}.csv", head, (rows[at] for at in order))
    write_json(out / VOTES, exported(Store(folder, study)))
    return out


def _link(source: Path, path: Path) -> None:
    """Have a file a second time, without its bytes where the file system can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def exported(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Votes in the form of HEMVIP2's export, a session for each rater and question."""
    sessions = []
    for record in store.records():
        asked = {page.question for page in store.pages(record["slot"])}
        checks = [one for one in record["answers"].values() if one["expected"]]
        failed = {str(one["page"]): one["answer"] for one in checks if one["answer"] != one["expected"]}
        for name in store.study.questions:
            if name not in asked:
                continue
            own = [one for one in record["answers"].values() if one["question"] == name]
            sessions.append({
                "status": record["status"], "type": QUESTIONS[name].kind, "prolific_userid": record["rater"],
                "file_created": f"{name}_{record['slot'] + 1}.csv",
                "failed_attention_check": json.dumps(json.dumps(failed)),
                "completion_code": store.completion(FINISHED), "fail_code": store.completion("failed"),
                "global_actions": json.dumps([one for one in record["actions"] if one["page"] is None]),
                "pages": [_page(one, len(store.pages(record["slot"])), record["actions"]) for one in own],
            })  # fmt: skip
    return {"data": sessions}


def _page(answer: dict[str, Any], count: int, actions: list[dict[str, Any]]) -> dict[str, Any]:
    question = QUESTIONS[answer["question"]]
    return {
        "type": "check" if answer["expected"] else "video", "name": f"Page {answer['page'] + 1} of {count}",
        "question": question.text, "options": json.dumps(list(ANSWERS)), "system1": answer["left"],
        "system2": answer["right"], "video1": {"inputcode": answer["code"]}, "video2": {"inputcode": answer["code"]},
        "selected": json.dumps(answer["answer"]), "expected_vote": answer["expected"] or "null",
        "juiceOptions": answer["reasons"], "juiceOtherReason": answer["other"],
        "actions": json.dumps([one for one in actions if one["page"] == answer["page"]]),
    }  # fmt: skip


def _unquoted(value: Any) -> Any:
    """A value that may be kept as its json, and that once more."""
    for _ in range(2):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return value
    return value


def read_export(path: Path) -> tuple[list[Rater], list[Vote]]:
    """Raters and votes of HEMVIP2's export.

    Sessions of one user are one rater, who counts only if all of them do. Without a ``type`` a session is of mismatched
    speech where systems say so, else of realism.

    Raises:
        SemTalkError: It is no export.
    """
    raters: dict[str, Rater] = {}
    votes: list[Vote] = []
    try:
        for session in read_json(path)["data"]:
            name, status = str(session["prolific_userid"]), session["status"]
            if status not in STATUSES:
                raise SemTalkError(f"{path}: status={status}: expected one of {', '.join(STATUSES)}.")
            failed = len(_unquoted(session["failed_attention_check"]) or ())
            before = raters.get(name, Rater(name, FINISHED))
            checks = sum(page["type"] == "check" for page in session["pages"])
            raters[name] = Rater(
                name, status if before.status == FINISHED else before.status, max(before.failed, failed),
                before.checks + checks,
            )  # fmt: skip
            for page in session["pages"]:
                selected = _unquoted(page["selected"])
                if page["type"] == "check" or selected in (None, "", SKIPPED):
                    continue
                systems = page["system1"], page["system2"]
                if selected not in ANSWERS:
                    raise SemTalkError(f"{path}: selected={selected}: expected one of {', '.join(ANSWERS)}.")
                votes.append(Vote(
                    name, KINDS.get(session.get("type"), _question_of(systems)), page["video1"]["inputcode"], *systems,
                    selected, tuple(_unquoted(page.get("juiceOptions")) or ()), page.get("juiceOtherReason") or "",
                ))  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise SemTalkError(f"{path}: no export of votes: {type(error).__name__} {error}.") from error
    return list(raters.values()), votes


def _question_of(systems: Iterable[str]) -> str:
    return "mismatch" if any(system.endswith(SUFFIX) for system in systems) else "realism"


def vote_row(vote: Vote) -> tuple:
    """A vote as a row of :data:`TABLE`."""
    winner = "tie" if vote.winner is None else "model_a" if vote.value > 0 else "model_b"
    tie = "False" if QUESTIONS[vote.question].mismatched else ""
    strong = tie if vote.winner is None else str(abs(vote.value) == 2)
    reasons = json.dumps(list(vote.reasons)) if vote.reasons else "{}"
    return vote.rater, vote.code, vote.left, vote.right, winner, strong, reasons, vote.other, vote.question


def read_table(path: Path) -> tuple[list[Rater], list[Vote]]:
    """Raters and votes of a table as the leaderboard releases it, of raters who count.

    Raises:
        SemTalkError: A column lacks, or a row is wrong.
    """
    rows, votes = csv.DictReader(io.StringIO(read_text(path))), []
    if missing := [name for name in TABLE[:6] if name not in (rows.fieldnames or ())]:
        raise SemTalkError(f"{path}: the columns {', '.join(missing)} lack; expected {','.join(TABLE[:-1])}.")
    for number, row in enumerate(rows, start=2):
        side = {"model_a": "Left", "model_b": "Right", "tie": None}.get(row["winner"], row["winner"])
        strong = {"True": "Clearly", "False": "Slightly", "": "Slightly"}.get(row["is_strong"] or "")
        answer = "TheyAreEqual" if side is None else f"{side}{strong}Better"
        systems = row["model_a"], row["model_b"]
        question = row.get("question") or _question_of(systems)
        if answer not in ANSWERS or question not in QUESTIONS or not all(systems):
            raise SemTalkError(f"{path}, row {number}: this is no vote; see docs/study.md for what the columns hold.")
        reasons, other = tuple(_unquoted(row.get("juiceOptions")) or ()), row.get("juiceOtherReason") or ""
        votes.append(Vote(row["user"], question, row["input_code"], *systems, answer, reasons, other))
    return [Rater(name, FINISHED) for name in dict.fromkeys(vote.rater for vote in votes)], votes
