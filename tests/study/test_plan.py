"""What raters are shown: balanced, blind, drawn from a seed, with attention checks between."""

from collections import Counter
from dataclasses import replace

import made
import pytest

from semtalk.errors import SemTalkError
from semtalk.study.plan import Study
from semtalk.study.questions import ANSWERS, QUESTIONS, SUFFIX


def comparisons(study: Study, slots: int) -> list:
    return [page for slot in range(slots) for page in study.pages_of(slot) if page.expected is None]


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 24])
@pytest.mark.parametrize("codes", [7, 8])
def test_pairs_segments_and_sides_are_balanced_wherever_a_study_ends(slots, codes):
    study = made.plan(codes=codes, pages=10)
    pages = comparisons(study, slots)
    assert len(pages) == 10 * slots
    asked = Counter(page.question for page in pages)
    assert max(asked.values()) - min(asked.values()) <= 1 and set(asked) == set(made.ALL)
    for question in made.ALL:
        own = [page for page in pages if page.question == question]
        pairs = Counter(frozenset((page.left.system, page.right.system)) for page in own)
        assert len(own) < 3 or max(pairs.values()) - min(pairs.values()) <= 1
        for pair in pairs:
            sides = Counter(page.left.system for page in own if {page.left.system, page.right.system} == pair)
            assert abs(2 * max(sides.values()) - sum(sides.values())) <= 2, sides
        cells = Counter((page.code, frozenset((page.left.system, page.right.system))) for page in own)
        assert max(cells.values()) - min(cells.values()) <= 1
        assert len(own) < len(study.segments(question)) * 3 or len(cells) == len(study.segments(question)) * 3


def test_every_pair_is_shown_on_every_segment_with_both_sides_after_two_rounds():
    study = made.plan(questions=("realism",))
    row = [study.comparison("realism", at) for at in range(2 * 3 * 8)]
    assert len({(page.code, page.left.system, page.right.system) for page in row}) == len(row)
    first = {(page.code, frozenset((page.left.system, page.right.system))) for page in row[:24]}
    assert len(first) == 24, "each once in a round"
    assert [page.code for page in row[:24]] == [page.code for page in row[24:]]
    assert len({page.code for page in row[:6]}) == 6, "a rater sees a segment again as late as can be"


def test_the_plan_follows_from_its_seed_alone():
    study = made.plan()
    assert study.pages_of(3) == made.plan().pages_of(3) != study.pages_of(4)
    assert study.pages_of(3) != replace(study, seed=6).pages_of(3)


def test_questions_come_one_after_another_and_each_is_first_as_often():
    study = made.plan(pages=12, checks=0)
    firsts = []
    for slot in range(8):
        names = [page.question for page in study.pages_of(slot)]
        assert sum(a != b for a, b in zip(names, names[1:], strict=False)) == 3
        firsts.append(names[0])
    assert set(Counter(firsts).values()) == {2}


def test_what_is_shown_is_what_the_question_needs():
    for page in comparisons(made.plan(), 12):
        question = QUESTIONS[page.question]
        kinds = [side.video.split("/")[2] for side in (page.left, page.right)]
        assert page.left.video != page.right.video and page.code in page.left.video and page.code in page.right.video
        if question.mismatched:
            marked = {side.system.endswith(SUFFIX): kind for side, kind in zip((page.left, page.right), kinds)}  # noqa: B905
            assert marked == {False: "matched", True: "mismatched"}
            assert page.left.system.removesuffix(SUFFIX) == page.right.system.removesuffix(SUFFIX)
        else:
            assert set(kinds) == {"muted" if question.silent else "matched"}
            assert page.left.system != page.right.system


def test_attention_checks_come_after_every_fifth_of_25_comparisons():
    study = made.plan(pages=25, checks=4)
    expected = set()
    for slot in range(4):
        pages = study.pages_of(slot)
        assert [at for at, page in enumerate(pages) if page.expected] == [5, 11, 17, 23] and len(pages) == 29
        for at in (5, 11, 17, 23):
            check, before = pages[at], pages[at - 1]
            assert check.question == before.question, "nothing but the video tells it"
            sound = "Muted" if QUESTIONS[check.question].silent else "Unmuted"
            words = [
                side.video for side in (check.left, check.right) if f"_{check.expected}_Text_{sound}" in side.video
            ]
            assert len(words) == 1
        expected |= {pages[at].expected for at in (5, 11, 17, 23)}
    assert expected <= set(ANSWERS) and len(expected) >= 4


def test_a_plan_is_read_as_it_was_written(tmp_path):
    study = made.plan()
    assert Study.read(made.written(tmp_path, study)) == study
    (tmp_path / "study.json").write_text('{"format": 1, "checks": [], "seed": 1}')
    with pytest.raises(SemTalkError, match="it is damaged"):
        Study.read(tmp_path)
    (tmp_path / "study.json").write_text('{"format": 9}')
    with pytest.raises(SemTalkError, match="another version"):
        Study.read(tmp_path)
    with pytest.raises(SemTalkError, match="there is no study here"):
        Study.read(tmp_path / "none")
