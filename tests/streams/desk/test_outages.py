"""Time at the desk: what no tick has covered counts in no deadline and as nobody's miss, however clocks behave."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.records import Assignment, Notice, Tick
from streams.desk.fold import OUTAGE_MS
from streams.desk.state import Rep, rep_key
from streams.desk.state import decode as decode_state
from tests.oracle.replay import Record as LogRecord
from tests.streams.desk.harness import MINUTE, SMALL, Box, hand, loaded, log_of, ms
from tests.streams.desk.test_worktime import works

RULES = loaded(tuple(SMALL.items()))
STEPS = (2, 5, 15, 60)
"""Minutes of the pool's working time after which a hand is reminded of, offered, reassigned and escalated."""
STARTS = tuple(ms(text) for text in ("2026-11-23 10:00", "2026-11-23 17:50", "2026-11-27 19:30", "2026-11-28 16:55"))
"""In the middle of a Monday; before people go home; before the week ends, and on a Saturday when one works."""
PACES = (1_000, 3_700, 9_000, OUTAGE_MS)
GAPS = (OUTAGE_MS + 1, 61_000, 20 * MINUTE, 3 * 60 * MINUTE, 20 * 60 * MINUTE)


@st.composite
def clocks(draw: st.DrawFn) -> list[int]:
    """What the ticks of a desk say (ms): they come at some pace, stay away, come twice, or from a clock gone wrong."""
    now = draw(st.sampled_from(STARTS))
    said = [now]
    for _ in range(draw(st.integers(1, 8))):
        what = draw(st.sampled_from(("pace", "pace", "gap", "back", "twice")))
        if what == "gap":
            now += draw(st.sampled_from(GAPS))
            said.append(now)
        elif what == "back":  # a worker whose clock is behind has the desk for a while
            behind = draw(st.sampled_from((2_000, MINUTE, 20 * MINUTE)))
            said += [max(now - behind + n * 1_000, 0) for n in range(draw(st.integers(1, 5)))]
        elif what == "twice":
            said += [now, now]
        else:
            pace = draw(st.sampled_from(PACES))
            for _ in range(draw(st.integers(1, 40 * MINUTE // pace if pace > 5_000 else 300))):
                now += pace
                said.append(now)
    return said


def covered(said: list[int]) -> Iterator[tuple[int, int]]:
    """The spans of time that ticks have covered: from the greatest so far to the next greater, if that is near."""
    greatest = [at for n, at in enumerate(said) if at > max(said[:n], default=0)]
    return ((one, other) for one, other in pairwise(greatest) if other - one <= OUTAGE_MS)


def worked(start: int, end: int) -> int:
    """Milliseconds of the pool's working time, minute by minute of the wall clock."""
    pool, total = RULES.routing.pools["nordics"].people, 0
    while start < end:
        minute = start // MINUTE * MINUTE
        stop = min(end, minute + MINUTE)
        total += (stop - start) * any(works(person.hours, minute) for person in pool)
        start = stop
    return total


def steps_due(said: list[int]) -> list[int]:
    """What the tick says at which each step of the ladder is taken, found by counting working time as it is covered."""
    spans = dict(covered(said))
    greatest, counted, found = said[0], 0, list[int]()
    for at in said[1:]:
        if at <= greatest:
            continue
        counted += worked(greatest, at) if spans.get(greatest) == at else 0
        greatest = at
        while len(found) < len(STEPS) and counted >= STEPS[len(found)] * MINUTE:
            found.append(at)
    return found


def told(said: list[int]) -> Box:
    """The desk of one hand that nobody answers, under these ticks; each comes when it says, or late."""
    box, latest = Box(SMALL), said[0]
    log = log_of([(latest, Tick(latest)), (latest, hand(1, at=latest))])
    for at in said[1:]:
        latest = max(latest, at)
        log += log_of([(latest, Tick(at))], len(log))
    for record in log:
        box.feed([LogRecord(record.offset, record.timestamp, record.key, record.value)])
    return box


@settings(max_examples=60)
@given(clocks())
@example(
    [
        STARTS[0],
        STARTS[0] + 20 * MINUTE,
        STARTS[0] + 40 * MINUTE,
        *range(STARTS[0] + 41 * MINUTE, STARTS[0] + 55 * MINUTE, 9_000),
    ]
)
def test_a_deadline_is_so_much_working_time_that_ticks_have_covered(said: list[int]) -> None:
    """Outages in and out of working hours, in a row, lost and doubled ticks, clocks that jump: no step comes sooner."""
    box = told(said)
    first = box.said(Assignment)[0]
    assume(first.status == "assigned")
    reminded = [it.at for it in box.said(Notice) if it.kind == "reminder" and it.request_id == first.request_id][:1]
    moved = [said[it.source_offset - 1] for it in box.said(Assignment) if it.cause == "deadline"]
    assert reminded + moved == steps_due(said)[: 1 + len(moved)]
    assert len(reminded + moved) == len(steps_due(said))


@settings(max_examples=30)
@given(clocks())
def test_nobody_has_missed_what_no_tick_has_covered(said: list[int]) -> None:
    """Misses are as many as deadlines that passed while the desk was there."""
    box = told(said)
    assume(box.said(Assignment)[0].status == "assigned")
    states = [
        decode_state(box.changelog[key]) for person in RULES.roster.people if (key := rep_key(person)) in box.changelog
    ]
    missed = sum(state.missed for state in states if isinstance(state, Rep))
    assert missed <= max(0, len(steps_due(said)) - 1)


def test_twenty_minutes_without_the_desk_are_nobody_s() -> None:
    """Stopped for twenty minutes in working hours with five hands out: no miss, and each deadline is as much later."""
    start = STARTS[0]
    box = Box(SMALL, now=start).get(Tick(start), *(hand(n, at=start) for n in range(1, 6)))
    before = {n: box.last(n) for n in range(1, 6)}
    box.wait(MINUTE).now += 20 * MINUTE
    box.wait(4 * MINUTE - 1_000)
    assert {n: box.last(n) for n in range(1, 6)} == before
    assert not any(key[:2] == b"p/" and decode_state(value).missed for key, value in box.changelog.items())  # type: ignore[union-attr]
    box.wait(2_000)
    assert {box.last(n).cause for n in range(1, 6)} == {"deadline"}
