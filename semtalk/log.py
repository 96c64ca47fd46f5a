"""What the package says beside results: the logger ``semtalk``, which the commands print."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("semtalk")


def printable(text: object) -> str:
    """A text as a terminal may have it: what would move its cursor or change its colours is written as its number."""
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in str(text)
    )


@contextmanager
def ended_by_its_reader() -> Iterator[None]:
    """Have a program that prints end without a word where nobody reads on, as ``head`` after some lines."""
    if not hasattr(signal, "SIGPIPE"):
        yield
        return
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
        sys.stdout.flush()
    finally:
        signal.signal(signal.SIGPIPE, before)


class _Printer(logging.Handler):
    """Prints messages as they are, to whatever standard output is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage())


def print_messages() -> None:
    """Print what the package says from now on, information too; the commands call it once."""
    if not any(isinstance(handler, _Printer) for handler in LOG.handlers):
        LOG.addHandler(_Printer())
        LOG.propagate = False
    LOG.setLevel(logging.INFO)
