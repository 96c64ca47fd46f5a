"""What a stream of motion gives, as datagrams of VMC."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from semtalk.face import FaceMap
from semtalk.generation.stream import SpeechStream
from semtalk.live.bones import Bones
from semtalk.live.vmc import bundled, face_values, frame_messages
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FPS


@dataclass
class Encoder:
    """Turns motion into datagrams.

    Attributes:
        bones: Of the figure.
        face: How its weights follow.
        kind: Of the face's names: ``arkit``, ``vrm`` or ``none``.
        jaw: Whether the jaw is sent as a bone too.
        bundle: Whether messages go together in bundles; some receivers take none.
    """

    bones: Bones
    face: FaceMap
    kind: str = "arkit"
    jaw: bool = False
    bundle: bool = True
    given: int = 0

    def __call__(self, motion: Motion) -> Iterator[list[bytes]]:
        """Datagrams of each of the next frames."""
        if not len(motion):
            return
        places, turns = self.bones(motion)
        for place, turn, weights in zip(places, turns, self.face(motion), strict=True):
            face = face_values(weights, self.kind)
            messages = frame_messages(self.given / FPS, place, turn, face, self.jaw)
            yield list(bundled(messages) if self.bundle else messages)
            self.given += 1


def spoken_frames(
    stream: SpeechStream, pieces: Iterable[np.ndarray], words: list[tuple[str, float, float]], encoder: Encoder
) -> Iterator[list[bytes]]:
    """Datagrams of each frame of sound that comes in pieces (N,) at 16 kHz, as soon as the stream gives it."""
    for number, piece in enumerate(pieces):
        yield from encoder(stream.push(piece, [] if number else words))
    yield from encoder(stream.finish())
