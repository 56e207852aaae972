"""The first fields of an engagement, read straight from the bytes: the lead fold needs no more of most events.

fastavro takes 2 to 6 times as long.  That it may be read without looking at the schema rests on one rule, which the
compatibility gate (`schemas.compat`) enforces: the hot fields come first, and in no version do they change name, type
or order.
"""

from __future__ import annotations

from schemas.wire import BY_PREFIX, PREFIX_SIZE, Undecodable, unknown_prefix

HOT_PREFIX = ("event_id", "occurred_at", "kind", "asset", "title", "verdict", "email")
"""The fields of `Engagement` that `engagement_head` returns."""

Head = tuple[bytes, int, str, str, str, str, str | None]

_NAMES: dict[bytes, str] = {each: version.record for each, version in BY_PREFIX.items()}
_ENGAGEMENTS = frozenset(each for each, name in _NAMES.items() if name == "Engagement")
_TICKS = frozenset(each for each, name in _NAMES.items() if name == "Tick")
_LONG_BYTES = 10
_TIME = PREFIX_SIZE + 8


def record_name(value: bytes) -> str | None:
    """Return the name of the record that these bytes say they are, in any version; None if they are none of ours."""
    return _NAMES.get(value[:PREFIX_SIZE])


def engagement_head(value: bytes) -> Head:
    """Return event id, time (ms), kind, asset, title, verdict and e-mail of an engagement, in `HOT_PREFIX`'s order.

    What stands behind them is not looked at.  Raises Undecodable, and nothing else, whatever the bytes are.
    """
    if value[:5] not in _ENGAGEMENTS:
        raise _not_a("Engagement", value)
    try:
        # The time takes six bytes from July 1970 to September 2039; any other goes the slow way.
        a, b, c, d, e, f = value[13:19]
        if a & b & c & d & e > 127 and f < 128:
            low = (a & 127) | (b & 127) << 7 | (c & 127) << 14 | (d & 127) << 21
            occurred_at = low >> 1 | ((e & 127) | f << 7) << 27
            if a & 1:
                occurred_at = ~occurred_at
            at = 19
        else:
            occurred_at, at = _long(value, 13)

        # A length below 64 is one even byte.  A slice that runs over the end is short, and the next index fails.
        n = value[at]
        if n & 129:
            n, at = _length(value, at)
            end = at + n
        else:
            at += 1
            end = at + (n >> 1)
        kind = value[at:end].decode()

        n = value[end]
        if n & 129:
            n, at = _length(value, end)
            end = at + n
        else:
            at = end + 1
            end = at + (n >> 1)
        asset = value[at:end].decode()

        n = value[end]
        if n & 129:
            n, at = _length(value, end)
            end = at + n
        else:
            at = end + 1
            end = at + (n >> 1)
        title = value[at:end].decode()

        n = value[end]
        if n & 129:
            n, at = _length(value, end)
            end = at + n
        else:
            at = end + 1
            end = at + (n >> 1)
        verdict = value[at:end].decode()

        branch = value[end]
        if branch == 0:
            return value[5:13], occurred_at, kind, asset, title, verdict, None
        return value[5:13], occurred_at, kind, asset, title, verdict, _email(value, end)
    except (IndexError, ValueError) as error:
        raise _broken(error, value) from error


def tick_at(value: bytes) -> int:
    """Return the time of a tick (ms); raises Undecodable, and nothing else, whatever the bytes are."""
    if value[:5] not in _TICKS:
        raise _not_a("Tick", value)
    try:
        at, end = _long(value, PREFIX_SIZE)
    except IndexError as error:
        raise _broken(error, value) from error
    if end != len(value):
        raise Undecodable("trailing_bytes", f"{len(value) - end} bytes follow the record, from byte {end}")
    return at


def _email(value: bytes, at: int) -> str | None:
    branch, at = _long(value, at)
    if branch == 0:
        return None
    if branch != 1:
        raise Undecodable("malformed", f"union branch {branch} of email: it has branches 0 and 1")
    n, at = _length(value, at)
    end = at + n
    if end > len(value):
        raise IndexError
    return value[at:end].decode()


def _length(value: bytes, at: int) -> tuple[int, int]:
    n, end = _long(value, at)
    if n < 0:
        raise Undecodable("malformed", f"negative length {n} at byte {at}")
    return n, end


def _long(value: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag varint of at most 64 bits; return it and the position behind it.  IndexError at the end."""
    start = at
    raw = shift = 0
    while True:
        byte = value[at]
        at += 1
        raw |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if at - start == _LONG_BYTES:
            raise Undecodable("malformed", f"varint of more than {_LONG_BYTES} bytes at byte {start}")
    if raw >> 64:
        raise Undecodable("malformed", f"varint of more than 64 bits at byte {start}")
    return (raw >> 1) ^ -(raw & 1), at


def _not_a(wanted: str, value: bytes) -> Undecodable:
    name = record_name(value)
    if name is None:
        return unknown_prefix(value)
    return Undecodable("wrong_record", f"the record is a {name}, not a {wanted}")


def _broken(error: Exception, value: bytes) -> Undecodable:
    if isinstance(error, UnicodeDecodeError):
        return Undecodable("bad_utf8", f"a text is not UTF-8: {error.reason} at its byte {error.start}")
    return Undecodable("truncated", f"the record ends in the middle of a field, after {len(value)} bytes")
