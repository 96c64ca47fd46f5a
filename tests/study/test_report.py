"""A study's report, and the files that HEMVIP2 takes and gives."""

import csv
import json
import re

import made
import pytest
from conftest import run_command
from made import taken
from PIL import Image

from semtalk.errors import SemTalkError
from semtalk.study.hemvip import TABLE, export_study, exported, read_export, vote_row, write_table
from semtalk.study.report import PAIRS, RATERS, SCORES, analysed, read_votes, write_report
from semtalk.study.store import Store

ORDER = ("truth", "ours", "base")


def preferred(page) -> str:
    """The better system wins, clearly over base; now and then they are equal; own speech wins at two of three."""
    left, right = page.left.system, page.right.system
    if page.question == "mismatch":
        return ("Left" if left < right else "Right") + "SlightlyBetter" if int(page.code[8]) % 3 else "TheyAreEqual"
    if int(page.code[8]) % 2 == 0:
        return "TheyAreEqual" if int(page.code[8]) else ("Right" if left == "truth" else "Left") + "ClearlyBetter"
    side = "Left" if ORDER.index(left) < ORDER.index(right) else "Right"
    return f"{side}{'Clearly' if 'base' in (left, right) else 'Slightly'}Better"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = made.written(tmp_path_factory.mktemp("study"), made.plan(pages=16))
    store = Store(folder, made.plan(pages=16))
    for rater in [store.join() for _ in range(9)]:
        taken(store, rater, preferred)
    one = store.join()
    page = next(at for at, page in enumerate(store.session(one)["pages"]) if page.expected)
    for at, shown in enumerate(store.session(one)["pages"]):
        wrong = "TheyAreEqual" if shown.expected != "TheyAreEqual" else "LeftClearlyBetter"
        answer = wrong if at == page else shown.expected or "TheyAreEqual"
        reason = "MotionSmoothness" if shown.question == "realism" else "FitRhythmTiming"
        store.answer(one, at, answer, [] if answer == "TheyAreEqual" else [reason])
    taken(store, store.join(), right=False)
    store.join()
    return folder, store


def test_a_report_says_what_was_found_and_who_does_not_count(study):
    folder, store = study
    said = run_command("scripts/study.py", f"report={folder}", "resamples=300").stdout
    out = folder / "report"
    assert {path.name for path in out.iterdir()} == {
        "report.json", "report.md", "report.png", "scores.csv", "pairs.csv", "raters.csv", "votes.csv",
    }  # fmt: skip
    result = json.loads((out / "report.json").read_text())
    assert (result["raters"], result["counted"], result["votes"], result["resamples"]) == (12, 9, 144, 300)
    assert sorted(result["excluded"].values()) == [
        "failed 1 of 2 attention checks", "failed 2 of 2 attention checks", "has not finished",
    ]  # fmt: skip
    assert list(result["questions"]) == list(made.ALL)
    realism = result["questions"]["realism"]
    assert list(realism["systems"]) == list(ORDER) and realism["agreement"] is not None
    row = realism["systems"]["base"]
    assert (
        row["low"] < row["elo"] < row["high"] and abs(sum(r["elo"] for r in realism["systems"].values()) - 3000) < 1e-6
    )
    assert row["preferred"] + row["equal"] + row["lost"] == pytest.approx(1)
    matched = result["questions"]["mismatch"]["systems"]["ours"]
    assert matched["matched"] == pytest.approx(matched["preferred"] + matched["equal"] / 2) and matched["matched"] > 0.6
    assert "MotionSmoothness" in realism["reasons"]["truth"] or "UnrealisticMotion" in realism["reasons"]["truth"]
    text = (out / "report.md").read_text()
    assert "144 votes of 9 raters count, of 12" in text and "failed 1 of 2 attention checks" in text and text in said
    for name, columns, rows in (
        ("scores.csv", SCORES, 12), ("pairs.csv", PAIRS, 12), ("raters.csv", RATERS, 12), ("votes.csv", TABLE, None),
    ):  # fmt: skip
        with (out / name).open(newline="") as file:
            found = list(csv.reader(file))
        assert tuple(found[0]) == columns and (rows is None or len(found) == rows + 1), name
    with Image.open(out / "report.png") as picture:
        assert picture.width > 1500 and len(picture.convert("L").getcolors()) > 20


def test_votes_in_hemvip2s_form_give_the_same_report(study, tmp_path):
    folder, store = study
    (tmp_path / "votes.json").write_text(json.dumps(exported(store)))
    raters, votes = read_export(tmp_path / "votes.json")
    own = analysed(store.raters(), store.votes(), 100)
    assert analysed(raters, votes, 100) == own
    kept = [vote for vote in store.votes() if vote.rater not in own["excluded"]]
    write_table(tmp_path / "votes.csv", TABLE, map(vote_row, kept))
    found = analysed(*read_votes(tmp_path / "votes.csv"), 100)
    assert found["questions"] == own["questions"]
    write_report(tmp_path / "votes.csv", 100)
    assert (tmp_path / "votes_report" / "report.md").is_file()


def test_sessions_are_as_hemvip2_exports_them(study):
    sessions = exported(study[1])["data"]
    clean = [one for one in sessions if one["status"] == "finish" and one["failed_attention_check"] == '"{}"']
    assert len(clean) == 9 * 4 and len(sessions) == 12 * 4
    page = next(one for one in clean[0]["pages"] if one["type"] == "video")
    assert page["selected"] in [f'"{side}"' for side in ("TheyAreEqual", "LeftClearlyBetter", "RightClearlyBetter",
                                                        "LeftSlightlyBetter", "RightSlightlyBetter")]  # fmt: skip
    assert re.fullmatch("Page [0-9]+ of 18", page["name"])
    assert page["video1"]["inputcode"] == page["video2"]["inputcode"] and page["expected_vote"] == "null"
    types = {one["type"] for one in sessions}
    assert {"pairwise-humanlikeness", "mismatch-speech"} < types and all(
        len(one["prolific_userid"]) == 24 for one in clean
    )


def test_an_export_has_each_videos_of_each_question_and_balanced_lists(study):
    folder, _ = study
    run_command("scripts/study.py", f"export={folder}", "raters=6")
    out = folder / "hemvip2"
    videos = {
        str(path.relative_to(out / "mismatch" / "videos").parent) for path in out.glob("mismatch/videos/**/*.mp4")
    }
    assert videos == {"check", *(f"{name}/{kind}" for name in ORDER for kind in ("origin", "mismatch-speech"))}
    code = "1_ada_0_0_0_sample_1_0000-0030"
    shown = (out / "realism" / "videos" / "ours" / "origin" / f"{code}.mp4").read_bytes()
    assert shown == (folder / "stimuli" / "ours" / "muted" / f"{code}.mp4").read_bytes()
    checks = sorted(path.name for path in (out / "realism" / "videos" / "check").iterdir())
    assert len(checks) == 4 and sum("_Text_Muted.mp4" in name for name in checks) == 2
    rows = []
    for rater in range(1, 7):
        with (out / "realism" / f"realism_{rater}.csv").open(newline="") as file:
            head, *own = csv.reader(file)
        assert head == ["clip_name", "system_1", "system_2"] and len(own) == 16
        rows += own
    for system in ORDER:
        lefts, rights = (sum(row[at] == system for row in rows) for at in (1, 2))
        assert lefts + rights == 64 and abs(lefts - rights) <= 2
    with (out / "mismatch" / "mismatch_1.csv").open(newline="") as file:
        head, *own = csv.reader(file)
    assert head == ["clip_name", "system", "mismatch_clip"] and all(row[0] == row[2] and row[1] in ORDER for row in own)
    assert json.loads((out / "votes.json").read_text())["data"]
    export_study(folder, 1)


def test_the_released_votes_are_read_by_their_columns(tmp_path):
    (tmp_path / "votes.csv").write_text(
        "user,input_code,model_a,model_b,winner,is_strong,juiceOptions,juiceOtherReason\n"
        'u,c,a,b,model_a,True,"[""MotionSmoothness""]",\nu,c,a,b,model_b,False,{},\nv,c,a,b,tie,,{},\n'
        "v,c,a,a_Mismatched,tie,False,{},\n"
    )
    raters, votes = read_votes(tmp_path / "votes.csv")
    rows = [line.split(",") for line in (tmp_path / "votes.csv").read_text().splitlines()[3:]]
    assert [list(vote_row(vote)[:6]) for vote in votes[2:]] == [row[:6] for row in rows], "ties are written as there"
    assert [vote.answer for vote in votes] == [
        "LeftClearlyBetter",
        "RightSlightlyBetter",
        "TheyAreEqual",
        "TheyAreEqual",
    ]
    assert [vote.question for vote in votes] == ["realism"] * 3 + ["mismatch"] and len(raters) == 2
    assert votes[0].reasons == ("MotionSmoothness",) and votes[1].reasons == ()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.json", None, "give a study's folder, or a json or csv file of votes"),
        ("votes.txt", "", "give a study's folder"),
        ("votes.json", "{", "not readable as json"),
        ("votes.json", "{}", "no export of votes: KeyError 'data'"),
        ("votes.json", '{"data": [{"prolific_userid": "u", "status": "odd"}]}', "status=odd: expected one of new"),
        ("votes.json", '{"data": []}', "nobody took part"),
        ("votes.csv", "a,b\n", "the columns user, input_code"),
        ("votes.csv", ",".join(TABLE) + "\nu,c,a,b,both,True,{},,realism\n", "row 2: this is no vote"),
        ("votes.csv", ",".join(TABLE) + "\nu,c,a,b,tie,,{},,beauty\n", "row 2: this is no vote"),
    ],
)
def test_what_holds_no_votes_is_one_sentence(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_text(content)
    said = run_command("scripts/study.py", f"report={tmp_path / name}", check=False)
    assert said.returncode == 1 and says in said.stderr and not list(tmp_path.glob("*report*"))


def test_a_study_that_nobody_finished_has_no_report(tmp_path):
    folder = made.written(tmp_path, made.plan())
    Store(folder, made.plan()).join()
    with pytest.raises(SemTalkError, match="none of 1 raters finished and passed"):
        write_report(folder, 100)
