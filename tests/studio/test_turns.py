"""Whose turn it is, and what a page is told of the work that is done for it."""

import threading

import pytest

from semtalk.errors import SemTalkError
from semtalk.studio.turns import MOST_WAITING, Stopped, Turns, Work


class Waiting:
    """Somebody who waits for a turn in a thread, and what they are told."""

    def __init__(self, turns: Turns, order: list):
        self.told: list[str] = []
        self.heard, self.left = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.wait, args=(turns, order))
        self.thread.start()
        assert self.heard.wait(60)

    def report(self, share, doing):
        assert share is None, "nobody knows how long it takes"
        self.told.append(doing)
        self.heard.set()
        if self.left.is_set():
            raise Stopped("Stopped.")

    def wait(self, turns, order):
        try:
            with turns.turn(self.report):
                order.append(self)
        except Stopped:
            order.append(None)


def test_turns_are_taken_in_the_order_in_which_they_came_and_who_waits_is_told_so():
    turns, order = Turns("Another request is at work"), []
    with turns.turn(pytest.fail):
        waiting = [Waiting(turns, order) for _ in range(4)]
        assert [one.told[0] for one in waiting] == [
            "Another request is at work; yours is next.",
            *(f"Another request is at work; yours is number {number} of those that wait." for number in (2, 3, 4)),
        ]
        waiting[1].left.set()
        waiting[1].thread.join(60)
        assert order == [None], "who does not want to wait leaves"
    for one in waiting:
        one.thread.join(60)
    assert order == [None, waiting[0], waiting[2], waiting[3]]
    with pytest.raises(ValueError, match="broken"), turns.turn(pytest.fail):
        raise ValueError("broken")
    with turns.turn(pytest.fail):
        assert len(turns.here) == 1, "and it was nobody's again"


def test_more_than_can_wait_are_told_so():
    turns, order = Turns("Another request is at work"), []
    with turns.turn(pytest.fail):
        waiting = [Waiting(turns, order) for _ in range(MOST_WAITING)]
        with pytest.raises(SemTalkError, match=f"^{MOST_WAITING} requests wait by now"), turns.turn(pytest.fail):
            pytest.fail("it is somebody else's turn")
    for one in waiting:
        one.thread.join(60)
    assert order == waiting


def test_work_says_how_far_it_is_and_gives_what_it_made_or_its_error():
    go = threading.Event()

    def make(report):
        report(0.1, "a")
        assert go.wait(60)
        for share in (0.2, 0.3, 0.4):
            report(share, "b")
        return "made"

    work = Work(make)
    told = []
    for said in work.told():
        told.append(said)
        go.set()
    assert told[0] == (0.1, "a") and set(told[1:]) <= {(0.2, "b"), (0.3, "b"), (0.4, "b")}
    assert work.result() == "made" and threading.current_thread() is threading.main_thread()
    failed = Work(lambda report: 1 / 0)
    assert list(failed.told()) == []
    with pytest.raises(ZeroDivisionError):
        failed.result()
