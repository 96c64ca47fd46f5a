"""Who waits for what one alone can use at a time, and what a page is told of the work that is done for it."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from semtalk.errors import SemTalkError

Report = Callable[[float | None, str], None]
"""Is told the share that is done, from 0 to 1, or none where nobody knows; and what is being done. Where it raises, the
work ends."""
MOST_WAITING = 12
"""Requests; more are told so."""
LOOKED = 0.5
"""Seconds between two looks of who waits at whether it is still wanted."""


class Stopped(Exception):
    """The user did not want to wait any longer."""


class Turns:
    """Whose turn it is: in the order in which they came.

    Args:
        taken: Begins what those that wait are told, as in ``Another request is at work``.
    """

    def __init__(self, taken: str):
        self.taken = taken
        self.changed = threading.Condition()
        self.here: list[object] = []

    @contextmanager
    def turn(self, report: Report) -> Iterator[None]:
        """Wait for one's turn, and have it until the end of the block.

        Args:
            report: Is told who else is before.

        Raises:
            SemTalkError: Too many wait.
        """
        own = object()
        with self.changed:
            if len(self.here) > MOST_WAITING:
                raise SemTalkError(f"{MOST_WAITING} requests wait by now; try again in a while.")
            self.here.append(own)
        try:
            with self.changed:
                while before := self.here.index(own):
                    place = "is next" if before == 1 else f"is number {before} of those that wait"
                    report(None, f"{self.taken}; yours {place}.")
                    self.changed.wait(LOOKED)
            yield
        finally:
            with self.changed:
                self.here.remove(own)
                self.changed.notify_all()


class Work:
    """What is done in a thread of its own, so that a page can be told how far it is.

    Args:
        make: Makes something, and says how far it is.
    """

    def __init__(self, make: Callable[[Report], Any]):
        self.future: Future = Future()
        self.said: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(make,), daemon=True).start()

    def _run(self, make: Callable[[Report], Any]) -> None:
        try:
            self.future.set_result(make(lambda *said: self.said.put(said)))
        except BaseException as error:
            self.future.set_exception(error)
        self.said.put(None)

    def told(self) -> Iterator[tuple[float | None, str]]:
        """What was said last, again and again until the work is done; what came and went in between is left out."""
        while (said := self.said.get()) is not None:
            while said is not None and not self.said.empty():
                said = self.said.get()
            if said is None:
                return
            yield said

    def result(self) -> Any:
        """What was made, or the error that ended it."""
        return self.future.result()
