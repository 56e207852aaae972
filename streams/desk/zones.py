"""A time zone as a table of offsets: integers alone, so that the core reads no files and says the same everywhere."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

MINUTE_MS = 60_000
DAY_MS = 1_440 * MINUTE_MS
_WIDEST_MS = 26 * 3_600_000
"""No wall clock on Earth is farther from UTC than this."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday is 0."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone; from `starts[i]` (ms, UTC) on, its wall clocks show UTC plus `offsets[i]` (ms)."""

    name: str
    starts: tuple[int, ...]
    """Rising; the first lies before all times that occur."""
    offsets: tuple[int, ...]

    def wall(self, at: int) -> int:
        """What wall clocks show at a moment: ms since 1 January 1970, 00:00, on the wall."""
        return at + self.offsets[max(bisect_right(self.starts, at) - 1, 0)]

    def instants(self, start: int, end: int) -> list[tuple[int, int]]:
        """The spans of time (ms, UTC) in which wall clocks show `start` up to before `end`.

        An hour that is skipped has none; an hour that comes twice is there twice.
        """
        found = []
        first = max(bisect_right(self.starts, start - _WIDEST_MS) - 1, 0)
        for index in range(first, len(self.starts)):
            begins = self.starts[index]
            if index > first and begins > end + _WIDEST_MS:
                break
            offset = self.offsets[index]
            low = start - offset if index == 0 else max(start - offset, begins)
            high = end - offset
            if index + 1 < len(self.starts):
                high = min(high, self.starts[index + 1])
            if low < high:
                found.append((low, high))
        return found

    def clock(self, at: int) -> str:
        """The moment in words: `Mon 14:05`."""
        return _clock(self.wall(at) // MINUTE_MS)

    @property
    def city(self) -> str:
        """The place that the zone is named for: `Lisbon`."""
        return self.name.rpartition("/")[2].replace("_", " ")


Zones = Callable[[str], Zone | None]
"""The zone of a name; None if there is none."""


def weekday(day: int) -> int:
    """0 (Monday) to 6, for a day counted from 1 January 1970."""
    return (day + _EPOCH_WEEKDAY) % 7


@lru_cache(4_096)
def _clock(minutes: int) -> str:
    """Minutes on the wall since 1 January 1970 in words."""
    days, minute = divmod(minutes, 1_440)
    return f"{_DAYS[weekday(days)]} {minute // 60:02d}:{minute % 60:02d}"
