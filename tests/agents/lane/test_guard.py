"""The ways to die, by clocks that the test turns."""

from __future__ import annotations

import logging

from agents.lane.errors import LaneFailed, LaneRefused
from agents.lane.guard import Guard, Patience, StallGuard, Watchdog
from agents.lane.worker import Repeats


class Clock:
    """A clock that stands still."""

    now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def test_the_first_failure_ends_the_process_with_its_code() -> None:
    """A refusal ends with 2, a failure with 1; what fails after it changes nothing."""
    codes: list[int] = []
    guard = Guard(codes.append)
    guard.die(LaneRefused("what", "where", "remedy"))
    guard.die(LaneFailed("later"))
    assert codes == [2]
    Guard(codes.append).die(LaneFailed("failed"))
    assert codes == [2, 1]


def test_a_refusal_says_what_where_and_the_remedy() -> None:
    """Three parts, three lines."""
    assert str(LaneRefused("no topic", "cluster", "create it")) == "no topic\n  where: cluster\n  remedy: create it"


def test_a_loop_that_was_not_scheduled_for_too_long_ends_the_process() -> None:
    """The limit is 0.6 of the session time-out; a beat in time is fine, one too late is death."""
    clock, reasons = Clock(), []
    guard = StallGuard(10.0, reasons.append, clock)
    clock.now += 5.9
    guard.beat()
    clock.now += 5.9
    guard.check()
    assert reasons == []
    clock.now += 0.2
    guard.beat()
    assert reasons == ["not scheduled for 6.1 s, of a session of 10 s"]


def test_patience_counts_only_what_lasts_without_a_break() -> None:
    """A break begins the wait anew."""
    clock = Clock()
    patience = Patience(60.0, clock)
    assert not patience.exhausted(True)
    clock.now += 50
    assert not patience.exhausted(False)
    assert not patience.exhausted(True)
    clock.now += 60
    assert not patience.exhausted(True)
    clock.now += 1
    assert patience.exhausted(True)


def test_lag_without_progress_is_stuck_and_lag_with_progress_is_not() -> None:
    """Only both together, for longer than the limit."""
    clock = Clock()
    watchdog = Watchdog(60.0, clock)
    progress = 0
    for _ in range(10):
        clock.now += 30
        progress += 1
        assert not watchdog.stuck(1000, progress)
    clock.now += 61
    assert watchdog.stuck(1000, progress)
    assert not watchdog.stuck(0, progress)
    clock.now += 61
    assert not watchdog.stuck(0, progress)


def test_a_repeated_message_is_said_once_in_a_while() -> None:
    """The same line of code speaks every five seconds at most; others are heard meanwhile."""
    clock = Clock()
    repeats = Repeats(5.0, clock)

    def said(line: int) -> bool:
        return repeats.filter(logging.LogRecord("aiokafka", logging.ERROR, "client.py", line, "away", None, None))

    assert [said(1), said(1), said(2)] == [True, False, True]
    clock.now += 5
    assert [said(1), said(1)] == [True, False]
