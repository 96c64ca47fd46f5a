"""The process that sends: networks at work would delay a thread beside them by tens of milliseconds.

It is a plain program that is fed through a pipe, and imports neither torch nor the networks.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.live.sender import Address, Clock, send_speech
from semtalk.live.sound import open_player


class Sender:
    """A process that sends frames, and plays their sound."""

    def __init__(self, target: str, wave: np.ndarray | None, play: bool | str):
        """Start it.

        Args:
            target: ``HOST:PORT``.
            wave: (S,) at 16 kHz; none where the voice is spoken while it is sent, and frames wait for it.
            play: See :func:`semtalk.live.sound.open_player`.

        Raises:
            SemTalkError: There is no such target, or the sound cannot be played.
        """
        program = f"import sys; sys.path[:] = {sys.path}; from semtalk.live.process import serve; serve()"
        self.process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._give((target, wave, play))
        self.plays: bool = self._answer()

    def send(self, frames: Iterable[list[bytes]]) -> tuple[int, int]:
        """Send datagrams of frames while they are made.

        Returns:
            How many frames were sent, and how many came too late.

        Raises:
            SemTalkError: Nothing can be sent.
        """
        for datagrams in frames:
            if not self._give(datagrams):
                break
        self.process.stdin.close()
        return self._answer()

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def _give(self, content) -> bool:
        """Give it something; whether it takes it."""
        try:
            pickle.dump(content, self.process.stdin)
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _answer(self):
        try:
            said, wrong = pickle.load(self.process.stdout)
        except EOFError:
            said, wrong = None, f"the process that sends ended with status {self.process.wait()}, and says above why."
        if wrong is not None:
            self.end()
            raise SemTalkError(wrong)
        return said


def given_frames(jobs) -> Iterator[list[bytes]]:
    """Datagrams of each frame that comes through a pipe, until it is closed."""
    while True:
        try:
            yield pickle.load(jobs)
        except EOFError:
            return


def serve() -> None:
    """Send what comes through standard input, and answer through standard output: what is asked, or what is wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(said, wrong: str | None = None) -> None:
        pickle.dump((said, wrong), answers)
        answers.flush()

    target, wave, play = pickle.load(jobs)
    try:
        address, player = Address(target), None if wave is None else open_player(wave, play)
        answer(player is not None)
        answer(send_speech(given_frames(jobs), address.send, player, Clock(), waits=wave is None))
    except SemTalkError as error:
        answer(None, str(error))
