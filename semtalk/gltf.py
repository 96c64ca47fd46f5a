"""glTF 2.0 in one file (.glb): its two chunks, and arrays in the binary one."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.files import atomic_write

FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
"""Component types."""
COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", UNSIGNED_SHORT: "<u2", UNSIGNED_INT: "<u4", FLOAT: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
KINDS = {"translation": "VEC3", "rotation": "VEC4", "weights": "SCALAR"}
"""What an animation moves -> type of its values."""
LEAST = 1e-7
"""Length below which a vector of a sparse array is 0."""
HEAD, CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")


class Buffer:
    """Arrays in a document's binary chunk, behind what is there.

    Attributes:
        data: The binary chunk.
        views: The document's buffer views.
        accessors: The document's accessors.
    """

    def __init__(self, data: bytes = b"", views: list[dict] | None = None, accessors: list[dict] | None = None):
        self.data = bytearray(data + bytes(-len(data) % 4))
        self.views = [] if views is None else views
        self.accessors = [] if accessors is None else accessors

    def add(self, array: np.ndarray, kind: str, component: int, bounds: bool = False) -> int:
        """Append an array; returns the number of its accessor."""
        accessor = {"bufferView": self.view(array), "componentType": component, "count": len(array), "type": kind}
        if bounds:
            rows = array.reshape(len(array), -1)
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_sparse(self, array: np.ndarray, zeros: int) -> int:
        """Append vectors (N, 3) that are mostly 0, of which only the others are kept; returns their accessor.

        Args:
            array: The vectors.
            zeros: View of N zero vectors or more: some readers, as VTK, want one below what is sparse.
        """
        moved = np.flatnonzero(np.abs(array).max(axis=1) > LEAST)
        kept = np.zeros_like(array)
        kept[moved] = array[moved]
        accessor = {"bufferView": zeros, "componentType": FLOAT, "count": len(array), "type": "VEC3"}
        accessor |= {"min": kept.min(axis=0).tolist(), "max": kept.max(axis=0).tolist()}
        if len(moved):
            parts = (moved.astype(np.uint16), array[moved].astype(np.float32))
            indices, values = ({"bufferView": self.view(part), "byteOffset": 0} for part in parts)
            indices["componentType"] = UNSIGNED_SHORT
            accessor["sparse"] = {"count": len(moved), "indices": indices, "values": values}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def view(self, array: np.ndarray) -> int:
        """Append the bytes of an array; returns the number of their view."""
        raw = np.ascontiguousarray(array).tobytes()
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)})
        self.data += raw + bytes(-len(raw) % 4)
        return len(self.views) - 1

    def animation(self, name: str, seconds: np.ndarray, tracks: list[tuple[str, int, np.ndarray]]) -> dict[str, Any]:
        """Append the arrays of an animation; returns what the document says of it.

        Args:
            name: Of the animation.
            seconds: (T,) times of its frames.
            tracks: What is moved, of :data:`KINDS`, the node's number, and its values: (T, 3), quaternions x, y, z, w
                (T, 4), or weights (T, N).
        """
        times = self.add(seconds.astype(np.float32), "SCALAR", FLOAT, bounds=True)
        samplers, channels = [], []
        for path, node, values in tracks:
            values = on_one_side(values) if path == "rotation" else values
            values = values.reshape(-1) if path == "weights" else values
            samplers.append({"input": times, "output": self.add(values.astype(np.float32), KINDS[path], FLOAT)})
            channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})
        return {"name": name, "samplers": samplers, "channels": channels}


def on_one_side(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations (T, 4), neighbours on one side of the sphere, as readers that blend them want."""
    signs = np.sign((quaternions[1:] * quaternions[:-1]).sum(axis=-1, keepdims=True))
    flipped = quaternions.copy()
    flipped[1:] *= np.cumprod(np.where(signs == 0, 1, signs), axis=0)
    return flipped


def write_glb_file(path: Path, document: dict, data: bytes | bytearray) -> None:
    """Write a document and its binary chunk."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = bytes(data) + bytes(-len(data) % 4)
    size = HEAD.size + 2 * CHUNK.size + len(text) + len(data)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(HEAD.pack(b"glTF", 2, size))
            file.write(CHUNK.pack(len(text), b"JSON") + text)
            file.write(CHUNK.pack(len(data), b"BIN\0") + data)

    atomic_write(path, write)


def read_glb_file(path: Path) -> tuple[dict, bytes]:
    """A document and its binary chunk, which is empty where there is none.

    Raises:
        SemTalkError: It is no glTF 2.0 in one file, is cut short or damaged, or keeps arrays or pictures elsewhere.
    """
    content = path.read_bytes()
    if content[:4] != b"glTF" or len(content) < HEAD.size + CHUNK.size:
        raise SemTalkError(f"{path}: not a glTF file in binary form (.glb, .vrm); export it as that.")
    _, version, size = HEAD.unpack_from(content)
    if version != 2:
        raise SemTalkError(f"{path}: glTF {version}, expected 2; export it anew.")
    chunks, at = {}, HEAD.size
    while at + CHUNK.size <= min(size, len(content)):
        length, kind = CHUNK.unpack_from(content, at)
        at += CHUNK.size
        if at + length > len(content):
            break
        chunks.setdefault(kind, content[at : at + length])
        at += length
    if len(content) < size or at < size or b"JSON" not in chunks:
        raise SemTalkError(f"{path}: it is cut short or damaged ({len(content)} bytes of {size}); copy it again.")
    try:
        document = json.loads(chunks[b"JSON"], parse_constant=_no_number)
        elsewhere = [one["uri"] for one in document.get("buffers", []) if "uri" in one]
        elsewhere += [
            one["uri"] for one in document.get("images", []) if not one.get("uri", "data:").startswith("data:")
        ]
    except Exception as error:  # what a file may hold: other text, other structure, depth without end
        raise SemTalkError(f"{path}: its description is damaged ({type(error).__name__}: {error}).") from error
    if elsewhere:
        raise SemTalkError(
            f"{path}: it keeps parts in other files ({elsewhere[0]:.80}); export it with all in one file."
        )
    return document, chunks.get(b"BIN\0", b"")


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def read_accessor(document: dict, data: bytes, number: int) -> np.ndarray | None:
    """An array of a document, (count, width); integers that stand for shares from 0 to 1 as these.

    Returns:
        The array, or none where it is not plainly in the binary chunk: compressed, sparse, or in another buffer.

    Raises:
        ValueError: It does not lie within the chunk.
    """
    accessor = document["accessors"][number]
    if "bufferView" not in accessor or "sparse" in accessor:
        return None
    view = document["bufferViews"][accessor["bufferView"]]
    if view["buffer"] != 0 or view.get("extensions") or "uri" in document["buffers"][0]:
        return None
    kind = np.dtype(COMPONENTS[accessor["componentType"]])
    count, width = accessor["count"], WIDTHS[accessor["type"]]
    begin = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    size = width * kind.itemsize
    stride = view.get("byteStride", size)
    if min(count, begin, stride - size) < 0 or (count and begin + (count - 1) * stride + size > len(data)):
        raise ValueError(f"accessor {number} reaches beyond the data")
    if not count:
        return np.zeros((0, width))
    rows = np.lib.stride_tricks.as_strided(
        np.frombuffer(data, np.uint8, offset=begin), (count, size), (stride, 1), writeable=False
    )
    values = np.ascontiguousarray(rows).view(kind)
    if accessor.get("normalized") and kind.kind != "f":
        return values / np.float64(np.iinfo(kind).max)
    return values
