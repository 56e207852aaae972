"""Time zones from the system's tables, compiled to offsets: the core reads no files."""

from __future__ import annotations

import functools
import zoneinfo
from datetime import UTC, datetime, timedelta

from streams.desk.zones import Zone

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
LAST = datetime(2060, 1, 1, tzinfo=UTC)
_STEP = timedelta(days=7)
"""No zone changes its offset twice within a week."""
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@functools.cache
def zone(name: str) -> Zone | None:
    """The zone of that name (`Europe/Lisbon`), exact from 2020 to 2059; None if the system knows none."""
    try:
        info = zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return None

    def offset(at: datetime) -> int:
        return (at.astimezone(info).utcoffset() or timedelta()) // _MS

    starts, offsets, at = [(FIRST - _EPOCH) // _MS], [offset(FIRST)], FIRST
    while at < LAST:
        later = at + _STEP
        if offset(later) != offsets[-1]:
            before, after = at, later
            while after - before > timedelta(seconds=1):
                middle = before + (after - before) // 2
                middle -= timedelta(microseconds=middle.microsecond)
                before, after = (middle, after) if offset(middle) == offsets[-1] else (before, middle)
            starts.append((after - _EPOCH) // _MS)
            offsets.append(offset(after))
        at = later
    return Zone(name, tuple(starts), tuple(offsets))
