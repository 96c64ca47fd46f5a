"""VMC, the protocol of Virtual Motion Capture: a frame of bones and face as OSC messages in datagrams.

The protocol is that of https://protocol.vmc.info (MIT): types are exactly these, names are Unity's.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from semtalk.face.names import ARKIT, INDEX, TONGUE, pascal
from semtalk.face.vowels import VOWELS, vowels
from semtalk.live.bones import BONES, JAW

LARGEST = 1400
"""Bytes of a datagram, which passes any Ethernet whole."""
HEAD, EACH = 16, 4
"""Bytes of a bundle, and of each message in it beside its own."""
ROOT = ("root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def encoded(address: str, types: str, *values: Any) -> bytes:
    """An OSC message.

    Args:
        address: As in ``/VMC/Ext/OK``.
        types: A letter for each value: i, f or s.
        values: What is sent.
    """
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder(address)
    for kind, value in zip(types, values, strict=True):
        builder.add_arg({"f": float, "i": int, "s": str}[kind](value), kind)
    return builder.build().dgram


def bundled(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Messages in order, in bundles for immediate use of at most :data:`LARGEST` bytes."""
    bundle, head = b"", b"#bundle\0" + (1).to_bytes(8, "big")
    for message in messages:
        if bundle and HEAD + len(bundle) + EACH + len(message) > LARGEST:
            yield head + bundle
            bundle = b""
        bundle += len(message).to_bytes(EACH, "big") + message
    if bundle:
        yield head + bundle


def face_values(weights: np.ndarray, face: str) -> dict[str, float]:
    """Names and values of the face's blend shapes: ``arkit``, ``vrm`` or ``none``."""
    if face == "arkit":
        return {pascal(name): float(weights[INDEX[name]]) for name in ARKIT if name != TONGUE}
    return {VOWELS[name]: float(value) for name, value in vowels(weights).items()} if face == "vrm" else {}


def frame_messages(
    seconds: float, places: np.ndarray, turns: np.ndarray, face: dict[str, float], jaw: bool = False
) -> Iterator[bytes]:
    """The messages of a frame, in their order: OK, time, root, bones, face, and what applies it.

    Args:
        seconds: Since the first frame.
        places: (55, 3) in metres, see :class:`semtalk.live.bones.Bones`.
        turns: (55, 4) quaternions x, y, z, w.
        face: Name -> value from 0 to 1.
        jaw: Whether the jaw is sent as a bone; many figures have none, and open the mouth by the face.
    """
    yield encoded("/VMC/Ext/OK", "i", 1)
    yield encoded("/VMC/Ext/T", "f", seconds)
    yield encoded("/VMC/Ext/Root/Pos", "sfffffff", *ROOT)
    for joint, name in enumerate(BONES):
        if jaw or joint != JAW:
            yield encoded("/VMC/Ext/Bone/Pos", "sfffffff", name, *places[joint], *turns[joint])
    for name, value in face.items():
        yield encoded("/VMC/Ext/Blend/Val", "sf", name, value)
    yield encoded("/VMC/Ext/Blend/Apply", "")
