"""Clients' clocks, corrected by ours: occurred_at = received_at − (sent_at − original), never after received_at.

All times are int milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

DAY_MS = 24 * 60 * 60 * 1000
OLD_AFTER_MS = 35 * DAY_MS
"""The horizon of the score: beyond it events are kept, and flagged."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SECONDS_BELOW = 100_000_000_000
"""Numbers below this are seconds (up to the year 5138), from it on milliseconds (from 1973)."""


class Clocks(NamedTuple):
    """When an event happened, as far as can be known, and what is doubtful about it."""

    occurred_at: int
    sent_at: int | None
    original_at: int | None
    flags: tuple[str, ...]


def read_time(value: str | float | None) -> int | None:
    """An ISO 8601 text (UTC if it names no zone) or a number of seconds or milliseconds, as milliseconds.

    Raises ValueError if it is no time between 1970 and 9999.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        milliseconds = (moment - _EPOCH) // _MILLISECOND
    else:
        milliseconds = int(value * 1000) if abs(value) < _SECONDS_BELOW else int(value)
    if not 0 <= milliseconds <= 253_402_300_799_999:
        raise ValueError(f"{value} is not between 1970 and 9999")
    return milliseconds


def correct(received_at: int, sent_at: int | None, original_at: int | None) -> Clocks:
    """The time by our clock at which the client's claim `original_at` was made.

    Without `sent_at` the client's clock cannot be judged and is believed, without `original_at` the event is taken to
    happen now.  Flags: `clock_clamped` (the claim is in the future, or before 1970), `old` (beyond the horizon).
    """
    flags: tuple[str, ...] = ()
    if original_at is None:
        occurred_at = received_at
    elif sent_at is None:
        occurred_at = original_at
    else:
        occurred_at = received_at - (sent_at - original_at)
    if not 0 <= occurred_at <= received_at:
        occurred_at = min(max(occurred_at, 0), received_at)
        flags = ("clock_clamped",)
    if received_at - occurred_at > OLD_AFTER_MS:
        flags = (*flags, "old")
    return Clocks(occurred_at, sent_at, original_at, flags)
