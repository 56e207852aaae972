"""Screenshots as small PNG files, still or moving: 256 colours, one of each kind and those that occur most."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256
_RGB, _PALETTE = 2, 3


class _Picture(NamedTuple):
    width: int
    height: int
    pixels: list[bytes]
    """The colours, row by row."""


class _Box(NamedTuple):
    left: int
    top: int
    width: int
    height: int


def shrink(png: bytes) -> bytes:
    """The same picture with a palette; of colours that are rare the nearest.  Raises ValueError if it is not RGB."""
    picture = _read(png)
    palette, place = _palette([picture])
    whole = _Box(0, 0, picture.width, picture.height)
    return _file(picture, palette, [(b"IDAT", _packed(picture, place, whole))])


def animate(frames: Sequence[tuple[bytes, int]]) -> bytes:
    """Pictures of one size as an animated PNG that repeats itself; with each, for how many ms it stands.

    Raises ValueError as `shrink` does.
    """
    pictures = [_read(png) for png, _ in frames]
    first = pictures[0]
    palette, place = _palette(pictures)
    chunks = [(b"acTL", struct.pack(">II", len(frames), 0))]
    order = 0
    for number, (picture, (_, ms)) in enumerate(zip(pictures, frames, strict=True)):
        box = _changed(pictures[number - 1], picture) if number else _Box(0, 0, first.width, first.height)
        head = struct.pack(">IIIIIHHBB", order, box.width, box.height, box.left, box.top, ms, 1_000, 0, 0)
        packed = _packed(picture, place, box)
        order += 1
        chunks.append((b"fcTL", head))
        if number:
            chunks.append((b"fdAT", struct.pack(">I", order) + packed))
            order += 1
        else:
            chunks.append((b"IDAT", packed))
    return _file(first, palette, chunks)


def _file(picture: _Picture, palette: list[bytes], chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    head = struct.pack(">IIBBBBB", picture.width, picture.height, 8, _PALETTE, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", b"".join(palette)), *chunks, (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _palette(pictures: Iterable[_Picture]) -> tuple[list[bytes], dict[bytes, int]]:
    """The colours that are kept, and for each colour the place of the one that stands for it."""
    counts: Counter[bytes] = Counter()
    for picture in pictures:
        counts.update(picture.pixels)
    often = [colour for colour, _ in counts.most_common()]
    # One of each kind first: a green dot is rare, and is to stay green.
    kinds = {tuple(channel >> 5 for channel in colour): colour for colour in reversed(often)}
    palette = list(dict.fromkeys([*kinds.values(), *often]))[:_COLOURS]
    place = {colour: number for number, colour in enumerate(palette)}
    for colour in often:
        if colour not in place:
            place[colour] = min(range(len(palette)), key=lambda number: _distance(palette[number], colour))
    return palette, place


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _packed(picture: _Picture, place: dict[bytes, int], box: _Box) -> bytes:
    """The box of the picture as rows of palette places, compressed."""
    rows = []
    for y in range(box.top, box.top + box.height):
        start = y * picture.width + box.left
        rows.append(b"\0" + bytes(place[colour] for colour in picture.pixels[start : start + box.width]))
    return zlib.compress(b"".join(rows), 9)


def _changed(before: _Picture, after: _Picture) -> _Box:
    """The smallest box outside of which both are the same; never empty."""
    width = after.width
    differ = [n for n, (one, other) in enumerate(zip(before.pixels, after.pixels, strict=True)) if one != other]
    if not differ:
        return _Box(0, 0, 1, 1)
    left, right = min(n % width for n in differ), max(n % width for n in differ)
    top, bottom = differ[0] // width, differ[-1] // width
    return _Box(left, top, right - left + 1, bottom - top + 1)


def _read(png: bytes) -> _Picture:
    packed, at = b"", len(SIGNATURE)
    width = height = 0
    while at < len(png):
        (size,), name = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + size]
        if name == b"IHDR":
            width, height, bits, kind, *_ = struct.unpack(">IIBBBBB", body)
            if (bits, kind) != (8, _RGB):
                raise ValueError(f"a picture of {bits} bits and colour type {kind}, not RGB")
        elif name == b"IDAT":
            packed += body
        at += 12 + size
    return _Picture(width, height, _pixels(zlib.decompress(packed), 3 * width))


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
