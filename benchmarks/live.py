"""How steadily frames are sent: the command's own way, with untrained networks of the small size and 60 s of sound."""

import socket
import struct
import tempfile
import threading
from pathlib import Path

import numpy as np

from benchmarks.common import record
from benchmarks.start import untrained_run
from semtalk.body import load_body
from semtalk.face import face_map
from semtalk.generation.speech import SemTalk
from semtalk.generation.stream import SpeechStream
from semtalk.live.bones import Bones
from semtalk.live.process import Sender
from semtalk.live.sound import pieces_of
from semtalk.live.speech import Encoder, spoken_frames
from semtalk.motion.skeleton import FPS, SAMPLE_RATE

SECONDS = 60
STAMPED = 35
"""Linux's SO_TIMESTAMPNS: the system notes when a datagram comes, whatever this process is at."""
NEAR = 0.010
"""Seconds from its time within which a frame is in time."""


def listen(receiver: socket.socket, times: list[float]) -> None:
    """Note when the system took each frame in, until a datagram says that it is over."""
    while True:
        datagram, [(*_, stamp)], *_ = receiver.recvmsg(65536, socket.CMSG_SPACE(16))
        if datagram == b"over":
            return
        if b"/VMC/Ext/OK" in datagram:
            seconds, nanoseconds = struct.unpack("qq", stamp)
            times.append(seconds + 1e-9 * nanoseconds)


def live() -> None:
    """Send a minute of motion to a receiver in this process, and see when each frame comes."""
    with tempfile.TemporaryDirectory() as folder:
        body = load_body(None)
        model = SemTalk.from_pretrained(untrained_run(Path(folder)), body=body)
        wave = 0.1 * np.random.default_rng(0).normal(size=SECONDS * SAMPLE_RATE).astype(np.float32)
        encoder = Encoder(Bones(body, np.zeros(300)), face_map(body))
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, STAMPED, 1)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.bind(("127.0.0.1", 0))
        times: list[float] = []
        listener = threading.Thread(target=listen, args=(receiver, times))
        listener.start()
        sender = Sender(f"127.0.0.1:{receiver.getsockname()[1]}", wave, False)
        sent, late = sender.send(spoken_frames(SpeechStream(model, lookahead=0), pieces_of(wave), [], encoder))
        receiver.sendto(b"over", receiver.getsockname())
        listener.join()
        sender.end()
        off = np.array(times) - np.arange(len(times)) / FPS
        off = np.abs(off - np.median(off))
        numbers = {
            "frames": sent, "received": len(times), "late": late, "within 10 ms": f"{(off < NEAR).mean():.2%}",
            "median ms": round(1e3 * float(np.median(off)), 3),
            "99th percentile ms": round(1e3 * float(np.quantile(off, 0.99)), 2),
            "worst ms": round(1e3 * float(off.max()), 2),
        }  # fmt: skip
        record("live", numbers)
