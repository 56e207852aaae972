"""Screenshots as small PNG files: 256 colours, one of each kind and those that occur most."""

from __future__ import annotations

import struct
import zlib
from collections import Counter

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256
_RGB = 2


def shrink(png: bytes) -> bytes:
    """The same picture with a palette; of colours that are rare the nearest.  Raises ValueError if it is not RGB."""
    width, height, pixels = _read(png)
    counts = Counter(pixels)
    often = [colour for colour, _ in counts.most_common()]
    # One of each kind first: a green dot is rare, and is to stay green.
    kinds = {tuple(channel >> 5 for channel in colour): colour for colour in reversed(often)}
    palette = list(dict.fromkeys([*kinds.values(), *often]))[:_COLOURS]
    place = {colour: number for number, colour in enumerate(palette)}
    for colour in counts:
        if colour not in place:
            place[colour] = min(range(len(palette)), key=lambda number: _distance(palette[number], colour))
    rows = b"".join(
        b"\0" + bytes(place[colour] for colour in pixels[start : start + width])
        for start in range(0, width * height, width)
    )
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in parts)


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _read(png: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and each pixel's colour."""
    packed, place = b"", len(SIGNATURE)
    width = height = 0
    while place < len(png):
        (size,), name = struct.unpack(">I", png[place : place + 4]), png[place + 4 : place + 8]
        body = png[place + 8 : place + 8 + size]
        if name == b"IHDR":
            width, height, bits, kind, *_ = struct.unpack(">IIBBBBB", body)
            if (bits, kind) != (8, _RGB):
                raise ValueError(f"a picture of {bits} bits and colour type {kind}, not RGB")
        elif name == b"IDAT":
            packed += body
        place += 12 + size
    return width, height, _pixels(zlib.decompress(packed), 3 * width)


def _pixels(raw: bytes, size: int) -> list[bytes]:
    """The colours, once each row's filter is undone."""
    before, found = bytearray(size), list[bytes]()
    for start in range(0, len(raw), size + 1):
        row = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + size]), before)
        found += [bytes(row[at : at + 3]) for at in range(0, size, 3)]
        before = row
    return found


def _unfiltered(kind: int, row: bytearray, before: bytearray) -> bytearray:
    """A row as it was before the filter of that kind (PNG, section 9)."""
    for at in range(len(row)):
        left, up, corner = (row[at - 3], before[at], before[at - 3]) if at >= 3 else (0, before[at], 0)
        match kind:
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case 4:
                guess = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            case _:
                return row
        row[at] = (row[at] + guess) & 255
    return row
