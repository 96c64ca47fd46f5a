"""Processes that train together end together: none waits for good for another that is gone."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from semtalk.errors import SemTalkError
from semtalk.slurm import WARNINGS

SIGNALS = (signal.SIGINT, signal.SIGTERM, *WARNINGS)
"""What asks a training to stop: Ctrl-C, ``kill`` and schedulers, and the warning before a preemption."""
GRACE = 60.0
"""Seconds after a signal, without those of a validation, until a process of several that has not stopped is ended."""
LOOK = 0.2
"""Seconds from one look at a process that was asked to stop to the next."""


def end_with_parent() -> None:
    """Have a process that Lightning started end with the process that started it, even where that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def ended_by_signals(validating: Callable[[], bool], grace: float = GRACE) -> Iterator[None]:
    """End this process some time after a signal that asks it to stop, where it has not.

    A process that waits for another one's numbers is outside of Python, where no handler of a signal runs.

    Args:
        validating: Whether it validates: the others then wait for the first one, which may generate for minutes.
        grace: Seconds that it has for its checkpoint, without those of a validation.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()

    def listen() -> None:
        while (number := os.read(reader, 1)) and number[0] not in SIGNALS:
            pass
        left = grace
        while number and left > 0 and not over.wait(LOOK):
            left -= 0 if validating() else LOOK
        if number and not over.is_set():
            message = f"error: {grace:.0f} s after it was asked to stop, the training still waits for another process"
            print(f"{message}; it ends now, and resume=true goes on from its last checkpoint.", file=sys.stderr)
            sys.stderr.flush()
            os._exit(128 + number[0])
        os.close(reader)

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)  # and the listener ends


@contextmanager
def one_sentence(folder: Path) -> Iterator[None]:
    """Say in one sentence that another process of the training is gone, or never came.

    Args:
        folder: Of the phase.

    Raises:
        SemTalkError: It is.
    """
    import torch.distributed as dist

    try:
        yield
    except RuntimeError as error:
        said = str(error)
        if isinstance(error, dist.DistStoreError) or (isinstance(error, dist.DistError) and not dist.is_initialized()):
            raise SemTalkError(
                f"{folder.name}: not all processes of the training came ({said.splitlines()[0]}); see that every node "
                "has started the same command and reaches the first one."
            ) from error
        if isinstance(error, dist.DistError) or "gloo" in said:
            last = folder / "last.ckpt"
            more = (
                f"with resume=true goes on from {last}" if last.is_file() else "begins it again, without a checkpoint"
            )
            raise SemTalkError(
                f"{folder.name}: another process of the training is gone; the same command {more}."
            ) from error
        raise
