"""Sends frames at their times: one thread makes them, another one sends them by the clock."""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from semtalk.errors import MissingModelError, SemTalkError
from semtalk.live.sound import Player
from semtalk.motion.skeleton import FPS
from semtalk.places import CHECKOUT

MARGIN = 0.1
"""Seconds from the first frame that is made to the first one that is sent."""
AHEAD = 10 * FPS
"""Frames that are made before their time, at most."""


def refuse_without_osc() -> None:
    """See that python-osc is here.

    Raises:
        MissingModelError: It is not.
    """
    try:
        import pythonosc  # noqa: F401
    except ImportError as error:
        command = "pip install -e .[live]" if CHECKOUT else "pip install python-osc"
        raise MissingModelError(f"sending needs the package python-osc, which is not here: run `{command}`.") from error


class Clock:
    """The time that frames are sent by; it never goes back."""

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def wait_until(self, seconds: float) -> None:
        """Sleep until then."""
        while (left := seconds - self.now()) > 0:
            time.sleep(left)


class Outbox:
    """Frames that wait to be sent."""

    def __init__(self, most: int = AHEAD):
        self.most = most
        self.frames: deque[tuple[int, list[bytes]]] = deque()
        self.made = self.late = 0
        self.ended = self.left = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()

    def put(self, datagrams: list[bytes]) -> None:
        """Add the next frame; waits while there are too many."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.frames) < self.most or self.left)
            self.frames.append((self.made, datagrams))
            self.made += 1
            self.changed.notify_all()

    def fill(self, frames: Iterable[list[bytes]]) -> None:
        """Add all frames; what goes wrong with them is raised where they are sent."""
        try:
            for datagrams in frames:
                if self.left:
                    return
                self.put(datagrams)
        except BaseException as error:
            self.error = error
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self) -> None:
        """Wait for the first frame, or for the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.frames or self.ended)

    def take(self, index: int) -> list[bytes] | None:
        """The frame of an index, or nothing where it is not made yet; frames whose time is over are left out."""
        with self.changed:
            while self.frames and self.frames[0][0] < index:
                self.frames.popleft()
                self.late += 1
            there = self.frames and self.frames[0][0] == index
            datagrams = self.frames.popleft()[1] if there else None
            self.changed.notify_all()
        return datagrams

    def is_over(self, index: int) -> bool:
        """Whether there is no frame of this index or after it. What went wrong with them is raised."""
        with self.changed:
            if not self.ended or index < self.made:
                return False
        if self.error is not None:
            raise self.error
        return True

    def leave(self) -> None:
        """Nobody sends any more: whoever fills it ends."""
        with self.changed:
            self.left = True
            self.changed.notify_all()


def send_frames(
    outbox: Outbox, send: Callable[[bytes], None], clock: Clock, begin: Callable[[float], None] = lambda seconds: None,
    waits: bool = False,
) -> int:  # fmt: skip
    """Send frame k at k/30 s after the first; one that is not there in time is the last one again, so that sound fits.

    Args:
        outbox: Where frames come from.
        send: Takes a datagram.
        clock: Says the time.
        begin: Called once, with the seconds that are left until the first frame.
        waits: Whether the frame after it is then the one that was not there, as where no sound is to be kept step with.

    Returns:
        How many frames were sent, those that stood in for another one included.
    """
    outbox.wait()
    start = clock.now() + MARGIN
    begin(MARGIN)
    index, sent, last = 0, 0, []
    while True:
        clock.wait_until(start + index / FPS)
        datagrams = outbox.take(index)
        if datagrams is None and outbox.is_over(index):
            return sent
        last = datagrams or last
        for datagram in last:
            send(datagram)
        sent += 1
        if datagrams is None and waits:
            start += 1 / FPS
        else:
            index += 1


def send_speech(
    frames: Iterator[list[bytes]], send: Callable[[bytes], None], player: Player | None, clock: Clock,
    waits: bool = False,
) -> tuple[int, int]:  # fmt: skip
    """Send frames while they come, and play their sound in step with them; see :func:`send_frames`.

    Returns:
        How many were sent, and how many came too late.
    """
    outbox = Outbox()
    maker = threading.Thread(target=outbox.fill, args=(frames,), daemon=True)
    maker.start()
    try:
        sent = send_frames(outbox, send, clock, (lambda seconds: None) if player is None else player.start, waits)
    finally:
        outbox.leave()
        maker.join()
        if player is not None:
            player.close()
    return sent, sent - outbox.made if waits else outbox.late


class Address:
    """Where datagrams go: ``HOST:PORT``."""

    def __init__(self, target: str):
        """Find the host.

        Raises:
            SemTalkError: There is no such one.
        """
        host, _, port = target.rpartition(":")
        try:
            family, kind, protocol, _, self.place = socket.getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_DGRAM
            )[0]
            if not 0 < int(port) < 65536:
                raise OSError(0, "there is no such port")
        except OSError as error:
            raise SemTalkError(f"target={target}: {error.strerror}; give HOST:PORT, as in 127.0.0.1:39539.") from error
        self.target, self.socket = target, socket.socket(family, kind, protocol)

    def send(self, datagram: bytes) -> None:
        """Send one; that nobody listens is no error.

        Raises:
            SemTalkError: There is no way there.
        """
        try:
            self.socket.sendto(datagram, self.place)
        except ConnectionRefusedError:
            pass
        except OSError as error:
            raise SemTalkError(f"target={self.target}: nothing can be sent there ({error.strerror}).") from error

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
