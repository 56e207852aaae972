"""The cursor: where a partition's fold stands in its inbox, kept in the changelog beside the states.

It is written last in each transaction, under one reserved key, so whoever has read the changelog to its end knows both
the states and the next inbox offset that belongs to them.
"""

from __future__ import annotations

import msgspec

CURSOR_KEY = b"\x00cursor"
"""No lead id begins with a zero byte."""

VERSION = 2
"""Of the cursor and of the states beside it.  Whoever adds a field to a state raises it: an earlier release then stops
at the partition, where it would otherwise read the state without that field and write it back so."""

_READ = range(1, VERSION + 1)
"""1: before devices knew their former owners, and addresses the suspicions against their owners."""


class CursorUnreadable(Exception):  # noqa: N818
    """The cursor's bytes are of a version this program does not know."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The next inbox offset to fold, and which inbox that offset belongs to."""

    version: int
    next_offset: int
    topic_id: str
    """The inbox topic's UUID: an offset means nothing in a topic that was deleted and created again."""
    partitions: int
    """The inbox's partition count: with another count the same keys would lie elsewhere."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Cursor)


def encode_cursor(next_offset: int, topic_id: str, partitions: int) -> bytes:
    """Returns the cursor record's value."""
    return _encoder.encode(Cursor(VERSION, next_offset, topic_id, partitions))


def decode_cursor(value: bytes | None) -> Cursor:
    """Reads a cursor record's value; raises CursorUnreadable for anything but a cursor of this version or before."""
    try:
        cursor = _decoder.decode(value or b"")
    except msgspec.DecodeError as error:
        raise CursorUnreadable(f"the cursor record cannot be read ({error})") from error
    if cursor.version not in _READ:
        raise CursorUnreadable(f"the cursor record has version {cursor.version}, this program knows {VERSION}")
    return cursor
