"""Reads a parquet file that is one column of texts, such as an index of word vectors, without a library for tables."""

from pathlib import Path

import numpy as np

DICTIONARY_PAGE, DATA_PAGE = 2, 0
PLAIN = 0


def read_texts(path: Path) -> list[str]:
    """Texts of a parquet file with one column of strings, compressed with snappy, without nulls.

    Raises:
        ValueError: It is anything else.
    """
    content = path.read_bytes()
    if content[:4] != b"PAR1" or content[-4:] != b"PAR1":
        raise ValueError("no parquet file")
    at, end = 4, len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    words: list[bytes] = []
    dictionary: list[bytes] = []
    try:
        while at < end:
            header, at = _thrift(content, at)
            kind, packed = header[1], header[3]
            page = unsnappy(content[at : at + packed])
            at += packed
            if kind == DICTIONARY_PAGE:
                dictionary = _plain(page, 0, header[7][1])
            elif kind == DATA_PAGE:
                words += _data_page(page, header[5], dictionary)
            else:
                raise ValueError(f"a page of kind {kind}")
        rows = _thrift(content, end)[0][3]
    except (IndexError, KeyError) as error:
        raise ValueError("not a column of texts, or cut short") from error
    if len(words) != rows:
        raise ValueError(f"{len(words)} texts instead of {rows}")
    return [word.decode("utf-8") for word in words]


def unsnappy(packed: bytes) -> bytes:
    """Decompress snappy's raw format.

    Raises:
        ValueError: What comes out has another length than the first bytes say.
    """
    length, at = _varint(packed, 0)
    out = bytearray()
    while at < len(packed):
        tag = packed[at]
        at += 1
        kind, size = tag & 3, (tag >> 2) + 1
        if kind == 0:  # the bytes themselves
            if size > 60:
                width = size - 60
                size = int.from_bytes(packed[at : at + width], "little") + 1
                at += width
            out += packed[at : at + size]
            at += size
            continue
        width = (1, 2, 4)[kind - 1]  # bytes that came before
        back = int.from_bytes(packed[at : at + width], "little")
        at += width
        if kind == 1:
            back, size = back | (tag >> 5) << 8, (size - 1 & 7) + 4
        start = len(out) - back
        if back >= size:
            out += out[start : start + size]
        else:  # they repeat themselves
            out += (bytes(out[start:]) * (size // back + 1))[:size]
    if len(out) != length:
        raise ValueError(f"{len(out)} bytes instead of {length}")
    return bytes(out)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number in sevens of bits, and where it ends."""
    number = shift = 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at


def _thrift(content: bytes, at: int) -> tuple[dict, int]:
    """A struct in thrift's compact protocol as field number -> value, and where it ends."""
    fields: dict = {}
    number = 0
    while head := content[at]:
        number += head >> 4
        fields[number], at = _thrift_value(content, at + 1, head & 15)
    return fields, at + 1


def _thrift_value(content: bytes, at: int, kind: int) -> tuple:
    if kind in (1, 2):
        return kind == 1, at
    if kind in (4, 5, 6):
        value, at = _varint(content, at)
        return (value >> 1) ^ -(value & 1), at
    if kind == 8:
        size, at = _varint(content, at)
        return content[at : at + size], at + size
    if kind == 9:
        size, inner, at = content[at] >> 4, content[at] & 15, at + 1
        if size == 15:
            size, at = _varint(content, at)
        values = []
        for _ in range(size):
            value, at = _thrift_value(content, at, inner)
            values.append(value)
        return values, at
    if kind == 12:
        return _thrift(content, at)
    raise ValueError(f"a field of kind {kind}")


def _plain(page: bytes, at: int, count: int) -> list[bytes]:
    """Texts with their lengths before them."""
    texts = []
    for _ in range(count):
        size = int.from_bytes(page[at : at + 4], "little")
        texts.append(page[at + 4 : at + 4 + size])
        at += 4 + size
    return texts


def _data_page(page: bytes, header: dict, dictionary: list[bytes]) -> list[bytes]:
    """Texts of a page: the levels that would mark nulls, then the texts or their places in the dictionary."""
    count, encoding = header[1], header[2]
    size = int.from_bytes(page[:4], "little")
    if not _runs(page[4 : 4 + size], 1, count).all():
        raise ValueError("a null among the texts")
    at = 4 + size
    if encoding == PLAIN:
        return _plain(page, at, count)
    return [dictionary[place] for place in _runs(page[at + 1 :], page[at], count)]


def _runs(packed: bytes, width: int, count: int) -> np.ndarray:
    """Numbers (count,) of ``width`` bits in parquet's hybrid of repetitions and packed bits."""
    at, pieces, found = 0, [], 0
    while found < count:
        head, at = _varint(packed, at)
        if head & 1:  # groups of eight numbers, bit by bit
            size = (head >> 1) * width
            bits = np.unpackbits(np.frombuffer(packed[at : at + size], np.uint8), bitorder="little")
            piece = bits.reshape(-1, width) @ (1 << np.arange(width))
        else:
            size = (width + 7) // 8
            piece = np.full(head >> 1, int.from_bytes(packed[at : at + size], "little"))
        at += size
        pieces.append(piece)
        found += len(piece)
    return np.concatenate(pieces)[:count]
