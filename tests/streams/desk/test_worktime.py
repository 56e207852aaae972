"""Working time: arithmetic in integers against a count of minutes with the standard library's zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from handraise.zones import zone
from streams.desk.worktime import Hours, Schedule, add_without, together
from streams.desk.zones import DAY_MS, MINUTE_MS

NAMES = (
    *("Europe/Lisbon", "Europe/Copenhagen", "Europe/Istanbul", "America/St_Johns"),
    *("Asia/Kathmandu", "Africa/Casablanca", "Australia/Lord_Howe"),
)
TURNS = tuple(
    int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()) * 1_000
    for day in ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2027-02-07", "2026-12-31")
)
"""Days on or near which some clock changes, or a year ends."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    """A week with up to two spans a day, over midnight too; some holidays, some leave."""
    week = []
    for _ in range(7):
        ends = sorted(draw(st.lists(st.integers(0, 30 * 60), max_size=4, unique=True)))
        week.append(tuple((a * MINUTE_MS, b * MINUTE_MS) for a, b in zip(ends[::2], ends[1::2], strict=False)))
    around = draw(st.sampled_from(TURNS)) // DAY_MS
    leave = draw(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), max_size=1))
    info = zone(draw(st.sampled_from(NAMES)))
    assert info is not None
    return Hours(
        info,
        tuple(week),
        frozenset(around + day for day in draw(st.sets(st.integers(-3, 3), max_size=2))),
        tuple((around + first, around + first + length) for first, length in leave),
    )


def works(given: Hours, at: int) -> bool:
    """Whether somebody works in the minute that begins at `at`, read from a wall clock."""
    wall = (EPOCH + timedelta(milliseconds=at)).astimezone(ZoneInfo(given.zone.name)).replace(tzinfo=UTC) - EPOCH
    for back in (0, 1):  # a span may have begun the day before
        day = wall.days - back
        minute = (wall - timedelta(days=day)) // timedelta(minutes=1)
        free = day in given.free_days or any(first <= day <= last for first, last in given.leave)
        if not free and any(a <= minute * MINUTE_MS < b for a, b in given.week[(day + 3) % 7]):
            return True
    return False


STARTS = st.tuples(st.sampled_from(TURNS), st.integers(-3 * 1_440, 2 * 1_440)).map(lambda it: it[0] + it[1] * MINUTE_MS)


@settings(max_examples=150)
@given(hours(), STARTS, st.integers(0, 2 * 1_440))
def test_working_time_is_what_a_wall_clock_counts(given: Hours, start: int, length: int) -> None:
    """The working time between two moments is the number of minutes at which the wall clock stood in working hours."""
    schedule = Schedule(given.spans)
    counted = sum(works(given, start + n * MINUTE_MS) for n in range(length))
    assert schedule.between(start, start + length * MINUTE_MS) == counted * MINUTE_MS


@settings(max_examples=150)
@given(hours(), STARTS, st.integers(1, 900))
def test_a_deadline_comes_after_so_many_working_minutes(given: Hours, start: int, minutes: int) -> None:
    """Adding working minutes leads to the end of the last of them, found by walking minute by minute."""
    due = Schedule(given.spans).add(start, minutes * MINUTE_MS)
    at, left = start, minutes
    for _ in range(8 * 1_440):
        left -= works(given, at)
        at += MINUTE_MS
        if not left:
            assert due == at
            return
    assert due is None or due > at


@settings(max_examples=100)
@given(hours(), STARTS)
def test_shift_ends_and_begins_where_the_wall_clock_says(given: Hours, start: int) -> None:
    """The end of the span around a moment, and the next working moment, are those found minute by minute."""
    schedule = Schedule(given.spans)
    minutes = range(6 * 1_440)
    at_work = works(given, start)
    change = next((start + n * MINUTE_MS for n in minutes if works(given, start + n * MINUTE_MS) != at_work), None)
    if change is not None:
        assert schedule.on_until(start) == (change if at_work else None)
        assert schedule.next_start(start) == (start if at_work else change)


@settings(max_examples=50)
@given(st.lists(hours(), min_size=1, max_size=3), STARTS)
def test_a_team_works_when_one_of_them_does(members: list[Hours], start: int) -> None:
    """The working time of several people is the time in which at least one works."""
    minutes = [start + n * MINUTE_MS for n in range(1_440)]
    counted = sum(any(works(each, at) for each in members) for at in minutes)
    team = together(Schedule(each.spans) for each in members)
    assert team.between(start, start + 1_440 * MINUTE_MS) == counted * MINUTE_MS


@settings(max_examples=100)
@given(hours(), STARTS, st.integers(1, 300), st.lists(st.integers(0, 2_000), max_size=6, unique=True))
def test_an_outage_counts_in_no_deadline(given: Hours, start: int, minutes: int, marks: list[int]) -> None:
    """From start to deadline lie exactly the promised working minutes beside the working minutes of outages."""
    ends = [start - 300 * MINUTE_MS + mark * MINUTE_MS for mark in sorted(marks)]
    outages = list(zip(ends[::2], ends[1::2], strict=False))
    schedule = Schedule(given.spans)
    due = add_without(schedule, start, minutes * MINUTE_MS, outages)
    if due is not None:
        lost = sum(schedule.between(max(a, start), min(b, due)) for a, b in outages)
        assert schedule.between(start, due) - lost == minutes * MINUTE_MS


def test_the_next_shift_begins_after_a_night_not_after_lunch() -> None:
    """A break of an hour does not part a shift; a night does."""
    lisbon = zone("Europe/Lisbon")
    assert lisbon is not None
    day = ((9 * 60 * MINUTE_MS, 13 * 60 * MINUTE_MS), (14 * 60 * MINUTE_MS, 18 * 60 * MINUTE_MS))
    schedule = Schedule(Hours(lisbon, (day,) * 5 + ((), ()), frozenset(), ()).spans)
    friday = 20_780 * DAY_MS  # 23 November 2026 is a Monday: day 20,780
    for hour in (8, 10, 13, 15, 17):
        after = schedule.next_shift(friday + hour * 60 * MINUTE_MS)
        assert after == friday + (9 * 60 * MINUTE_MS if hour == 8 else DAY_MS + 9 * 60 * MINUTE_MS)


def test_who_never_pauses_has_shifts_of_a_day() -> None:
    """Somebody at work around the clock misses deadlines, and rests, by the day."""
    schedule = Schedule(lambda start, end: [(start, end)])
    assert schedule.next_shift(TURNS[0]) == TURNS[0] + DAY_MS
    assert schedule.on_until(TURNS[0]) is not None
