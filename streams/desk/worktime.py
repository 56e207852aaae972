"""Working time: when somebody works, and arithmetic in it.  All times are ms since the epoch, UTC; integers alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from streams.desk.zones import DAY_MS, MINUTE_MS, Zone, weekday

CHUNK_MS = 7 * DAY_MS
HORIZON = 160
"""Chunks that are looked through for working time: three years."""
BREAK_MS = 240 * MINUTE_MS
"""A shorter pause between two spans of work is a break within one shift."""
_MOST_CHUNKS = 400

Span = tuple[int, int]
"""A span of time, the end excluded."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The working hours of a person."""

    zone: Zone
    week: tuple[tuple[Span, ...], ...]
    """For Monday to Sunday the spans of work in ms after midnight on the wall; beyond 24 h: into the next day."""
    free_days: frozenset[int]
    """Holidays, as days counted from 1 January 1970."""
    leave: tuple[Span, ...]
    """Days of leave, the last one included."""

    def on_leave(self, at: int) -> bool:
        """True if the day on the wall is one of leave."""
        day = self.zone.wall(at) // DAY_MS
        return any(first <= day <= last for first, last in self.leave)

    def spans(self, start: int, end: int) -> list[Span]:
        """The spans of work between two moments, in order and apart."""
        found: list[Span] = []
        first_day, last_day = start // DAY_MS - 2, end // DAY_MS + 2
        if any(first <= first_day and last_day <= last for first, last in self.leave):
            return found
        for day in range(first_day, last_day + 1):
            if day in self.free_days or any(first <= day <= last for first, last in self.leave):
                continue
            for opens, closes in self.week[weekday(day)]:
                found += self.zone.instants(day * DAY_MS + opens, day * DAY_MS + closes)
        return _within(found, start, end)


def _within(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """Spans in order, those that touch joined, cut to what lies between two moments."""
    found: list[Span] = []
    for opens, closes in sorted(spans):
        low, high = max(opens, start), min(closes, end)
        if low >= high:
            continue
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


class Schedule:
    """Working time as a line of spans, computed a week at a time when somebody asks."""

    def __init__(self, spans: Callable[[int, int], list[Span]]) -> None:
        self._spans = spans
        self._chunks: dict[int, list[Span]] = {}

    def spans(self, start: int, end: int) -> list[Span]:
        """The spans of work between two moments, in order and apart."""
        numbers = range(start // CHUNK_MS, -(-end // CHUNK_MS))
        return _within((span for number in numbers for span in self._chunk(number)), start, end)

    def add(self, at: int, working_ms: int) -> int | None:
        """The moment by which so much working time has passed since `at`; None if that never comes.

        A span's end counts as reached in that span: five minutes before the end of work, five minutes lead to the end.
        """
        for number in range(at // CHUNK_MS, at // CHUNK_MS + HORIZON):
            chunk = self._chunk(number)
            for index in range(_first_after(chunk, at), len(chunk)):
                start, end = chunk[index]
                start = max(start, at)
                if working_ms <= end - start:
                    return start + working_ms
                working_ms -= end - start
        return None

    def between(self, start: int, end: int) -> int:
        """The working time between two moments, in ms."""
        return sum(high - low for low, high in self.spans(start, end)) if start < end else 0

    def on_until(self, at: int) -> int | None:
        """When the span of work around `at` ends (one of over a week is cut short); None if there is none."""
        until = None
        for number in range(at // CHUNK_MS, at // CHUNK_MS + 2):
            chunk = self._chunk(number)
            index = _first_after(chunk, at)
            if index == len(chunk) or chunk[index][0] > at:
                return until
            until = at = chunk[index][1]
            if until != (number + 1) * CHUNK_MS:
                return until
        return until

    def next_start(self, at: int) -> int | None:
        """The first working moment from `at` on; None if there is none for years."""
        return self.add(at, 0)

    def next_shift(self, at: int) -> int | None:
        """When the first shift after the one around or before `at` begins; breaks do not part a shift.

        Where nobody ever pauses for long, a shift is a day.
        """
        from_here = at
        while True:
            start = self.next_start(self.on_until(from_here) or from_here)
            if start is None or start - self._end_before(start) >= BREAK_MS:
                return start
            if start - at >= DAY_MS:
                return at + DAY_MS
            from_here = start

    def _end_before(self, start: int) -> int:
        """The end of the span before the one that begins at `start`, or a time long enough ago."""
        earlier = self.spans(start - BREAK_MS, start)
        return earlier[-1][1] if earlier else start - BREAK_MS

    def _chunk(self, number: int) -> list[Span]:
        found = self._chunks.get(number)
        if found is None:
            if len(self._chunks) >= _MOST_CHUNKS:
                self._chunks.clear()
            found = self._chunks[number] = self._spans(number * CHUNK_MS, (number + 1) * CHUNK_MS)
        return found


def _first_after(chunk: list[Span], at: int) -> int:
    """The place of the first span that ends after `at`."""
    index = bisect_right(chunk, at, key=_start) - 1
    return index if index >= 0 and chunk[index][1] > at else index + 1


def _start(span: Span) -> int:
    return span[0]


def together(schedules: Iterable[Schedule]) -> Schedule:
    """The time in which at least one of them works."""
    members = tuple(schedules)
    return Schedule(lambda start, end: _within((s for each in members for s in each.spans(start, end)), start, end))


def add_without(schedule: Schedule, since: int, working_ms: int, outages: Sequence[Span]) -> int | None:
    """As `Schedule.add`, where time of an outage is no working time."""
    due = schedule.add(since, working_ms)
    for start, end in outages:  # in order of time, apart
        if due is None or start >= due:
            break
        if end > since:
            working_ms += schedule.between(max(start, since), end)
            due = schedule.add(since, working_ms)
    return due
