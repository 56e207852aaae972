"""The first fields of an engagement, read straight from the bytes: the lead fold needs no more of most events.

fastavro takes 2 to 6 times as long.  That it may be read without looking at the schema rests on one rule, which the
compatibility gate (`schemas.compat`) enforces: the hot fields come first, and in no version do they change name, type
or order.
"""

from __future__ import annotations

import struct

from schemas.wire import (
    BY_PREFIX,
    LOCK,
    MAIL_RANGE,
    PREFIX_SIZE,
    Undecodable,
    bad_utf8,
    prefix,
    trailing,
    truncated,
    unknown_prefix,
)

HOT_PREFIX = ("event_id", "occurred_at", "kind", "asset", "title", "verdict", "email", "identifiers")
"""The fields of `Engagement` that `engagement_head` returns; the first version lacks the last."""

IDENTIFIER_SIZE = 18
"""Bytes of an identifier's id, which is ASCII."""
MOST_IDENTIFIERS = 16

Head = tuple[bytes, int, str, str, str, str, str | None, tuple[bytes, ...]]

_NAMES: dict[bytes, str] = {each: version.record for each, version in BY_PREFIX.items()}
ENGAGEMENTS = frozenset(each for each, name in _NAMES.items() if name == "Engagement")
"""The first bytes of an engagement, in any version."""
_WITHOUT_IDENTIFIERS = prefix(LOCK["Engagement"][0].id)
_TICKS = frozenset(each for each, name in _NAMES.items() if name == "Tick")
_MAIL = {each: version.record for each, version in BY_PREFIX.items() if version.id in MAIL_RANGE}
_ID_END = PREFIX_SIZE + 8
_LONG_BITS = 70
"""Seven in each of ten bytes."""
_NULL, _VALUE = 0, 1
# Wire prefix, event id, a time of six bytes, and the length of the kind.
_START = struct.Struct(f"{PREFIX_SIZE}s8s7B").unpack_from
_LENGTHS = 20
_ONE = struct.Struct("B18sB").unpack_from
_TWO = struct.Struct("B18sB18sB").unpack_from
_THREE = struct.Struct("B18sB18sB18sB").unpack_from
# The bits that no length below 64 has: it is one byte, and even because it is not negative.
_NOT_SHORT = 0b1000_0001


def record_name(value: bytes) -> str | None:
    """Return the name of the record that these bytes say they are, in any version; None if they are none of ours."""
    return _NAMES.get(value[:PREFIX_SIZE])


def mail_name(value: bytes) -> str | None:
    """Return the name of the mail that these bytes say they are; None if they are no mail that is known here."""
    return _MAIL.get(value[:PREFIX_SIZE])


def is_unknown_mail(value: bytes) -> bool:
    """Say whether these bytes begin as mail of a newer release does: it must wait for that release."""
    start = value[:PREFIX_SIZE]
    return (
        len(start) == PREFIX_SIZE
        and not start[0]
        and int.from_bytes(start[1:], "big") in MAIL_RANGE
        and start not in _MAIL
    )


def engagement_head(value: bytes) -> Head:
    """Return event id, time (ms), kind, asset, title, verdict, e-mail and identifiers, in `HOT_PREFIX`'s order.

    What stands behind them is not looked at.  Raises Undecodable, and nothing else, whatever the bytes are.
    """
    # The common shape, without calls: a time between July 1970 and September 2039 takes six bytes, a title is shorter
    # than 8192 bytes, every other text than 64.  What has another shape, or breaks on the way, is read field by field.
    try:
        magic, event_id, a, b, c, d, e, f, n = _START(value)
        asset_at = _LENGTHS + (n >> 1)
        m = value[asset_at]
        title_at = asset_at + 1 + (m >> 1)
        o = value[title_at]
        title_start = title_at + 1
        if o > 127:
            more = value[title_start]
            title_start += 1
            verdict_at = title_start + ((o & 127 | more << 7) >> 1)
            o = o & 1 | more & 128
        else:
            verdict_at = title_start + (o >> 1)
        p = value[verdict_at]
        email_at = verdict_at + 1 + (p >> 1)
        branch = value[email_at]
        if magic in ENGAGEMENTS and a & b & c & d & e > 127 and f < 128 and not (n | m | o | p) & _NOT_SHORT:
            low = (a & 127 | (b & 127) << 7 | (c & 127) << 14 | (d & 127) << 21) >> 1
            time = low | (e & 127 | f << 7) << 27
            if a & 1:
                time = ~time
            kind = value[20:asset_at].decode()
            asset = value[asset_at + 1 : title_at].decode()
            title = value[title_start:verdict_at].decode()
            verdict = value[verdict_at + 1 : email_at].decode()
            email, at = None, email_at + 1
            if branch:
                n = value[at]
                start, at = at + 1, at + 1 + (n >> 1)
                if branch != 2 or n & _NOT_SHORT:
                    return _field_by_field(value)
                email = value[start:at].decode()
            if magic == _WITHOUT_IDENTIFIERS:
                if at <= len(value):
                    return event_id, time, kind, asset, title, verdict, email, ()
                return _field_by_field(value)
            # Nearly always one block of one to three ids of 18 bytes, each behind its length (36), and a zero.
            n = value[at]
            if n == 2:
                i, one, stop = _ONE(value, at + 1)
                if i == 36 and not stop and one.isascii():
                    return event_id, time, kind, asset, title, verdict, email, (one,)
            elif n == 4:
                i, one, j, two, stop = _TWO(value, at + 1)
                if i == j == 36 and not stop and one.isascii() and two.isascii():
                    return event_id, time, kind, asset, title, verdict, email, (one, two)
            elif n == 6:
                i, one, j, two, k, three, stop = _THREE(value, at + 1)
                if i == j == k == 36 and not stop and one.isascii() and two.isascii() and three.isascii():
                    return event_id, time, kind, asset, title, verdict, email, (one, two, three)
            return event_id, time, kind, asset, title, verdict, email, _identifiers(value, at)
    except (struct.error, IndexError, UnicodeDecodeError):
        pass
    return _field_by_field(value)


def tick_at(value: bytes) -> int:
    """Return the time of a tick (ms); raises Undecodable, and nothing else, whatever the bytes are."""
    if value[:PREFIX_SIZE] not in _TICKS:
        raise _not_a("Tick", value)
    at, end = read_long(value, PREFIX_SIZE)
    if end != len(value):
        raise trailing(value, end)
    return at


def _field_by_field(value: bytes) -> Head:
    """Read the same fields whatever their lengths, and say what is wrong with them."""
    if value[:PREFIX_SIZE] not in ENGAGEMENTS:
        raise _not_a("Engagement", value)
    time, at = read_long(value, _ID_END)
    kind, at = read_text(value, at)
    asset, at = read_text(value, at)
    title, at = read_text(value, at)
    verdict, at = read_text(value, at)
    branch, at = read_long(value, at)
    email = None
    if branch == _VALUE:
        email, at = read_text(value, at)
    elif branch != _NULL:
        raise Undecodable("malformed", f"union branch {branch} of email: it has the branches 0 and 1")
    identifiers = () if value[:PREFIX_SIZE] == _WITHOUT_IDENTIFIERS else _identifiers(value, at)
    return value[PREFIX_SIZE:_ID_END], time, kind, asset, title, verdict, email, identifiers


def _identifiers(value: bytes, at: int) -> tuple[bytes, ...]:
    """Read an array of ids: blocks of a count (negative: then the block's size in bytes follows), ended by a zero."""
    found: list[bytes] = []
    while True:
        count, at = read_long(value, at)
        if count == 0:
            return tuple(found)
        if count < 0:
            count = -count
            _, at = read_long(value, at)
        if len(found) + count > MOST_IDENTIFIERS:
            raise Undecodable("malformed", f"{len(found) + count} identifiers; at most {MOST_IDENTIFIERS} are taken")
        for _ in range(count):
            size, start = read_long(value, at)
            at = start + IDENTIFIER_SIZE
            one = value[start:at]
            if size != IDENTIFIER_SIZE or not one.isascii():
                raise Undecodable("malformed", f"no id of {IDENTIFIER_SIZE} ASCII characters before byte {at}")
            if at > len(value):
                raise truncated(value)
            found.append(one)


def read_text(value: bytes, at: int) -> tuple[str, int]:
    """Read a text; return it and the position behind it."""
    if at < len(value) and not value[at] & _NOT_SHORT:
        length, start = value[at] >> 1, at + 1
    else:
        length, start = read_long(value, at)
        if length < 0:
            raise Undecodable("malformed", f"negative length {length} at byte {at}")
    end = start + length
    if end > len(value):
        raise truncated(value)
    try:
        return value[start:end].decode(), end
    except UnicodeDecodeError as error:
        raise bad_utf8(error) from error


def read_long(value: bytes, start: int) -> tuple[int, int]:
    """Read a zigzag varint of at most 64 bits; return it and the position behind it."""
    try:
        byte = value[start]
        if byte < 128:
            return (byte >> 1) ^ -(byte & 1), start + 1
        raw, bits, at = byte & 127, 7, start + 1
        while True:
            byte = value[at]
            at += 1
            raw |= (byte & 127) << bits
            if byte < 128:
                break
            bits += 7
            if bits == _LONG_BITS:
                raise Undecodable("malformed", f"varint of more than {_LONG_BITS // 7} bytes at byte {start}")
    except IndexError:
        raise truncated(value) from None
    if raw >> 64:
        raise Undecodable("malformed", f"varint of more than 64 bits at byte {start}")
    return (raw >> 1) ^ -(raw & 1), at


def _not_a(wanted: str, value: bytes) -> Undecodable:
    name = record_name(value)
    if name is None:
        return unknown_prefix(value)
    return Undecodable("wrong_record", f"the record is {name}, not {wanted}")
