"""The simple job, in plain Python: what every contender does with an event, and what the harness tells it.

For each event, in the order of its lead: points by its kind are added to the lead's score, which halves in a week; a
lead whose score crosses `HOT_AT` upwards is told of once, until it has been seen below `COOL_AT` again.  Published are
the alerts, and the state of each lead as it changes.

Standard library only: each contender imports this in an environment of its own.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

HALF_LIFE_MS = 7 * 86_400_000
HOT_AT, COOL_AT = 19.5, 9.5
POINTS = {
    "page_view": 1.0,
    "email_open": 1.0,
    "dwell": 2.0,
    "search": 2.0,
    "email_click": 4.0,
    "download": 8.0,
    "webinar_register": 8.0,
    "form_submit": 10.0,
    "trial_start": 15.0,
    "demo_request": 20.0,
}
"""What an event is worth by its kind; any other, nothing."""

State = tuple[float, int, bool]
"""(score, at which time in ms, hot)."""
NEW: State = (0.0, 0, False)


def step(state: State, kind: str, occurred_at: int) -> tuple[State, bool]:
    """The state after an event, and whether it is one to alert about; an event may be late."""
    score, at, hot = state
    points = POINTS.get(kind, 0.0)
    if occurred_at >= at:
        score = score * 2.0 ** ((at - occurred_at) / HALF_LIFE_MS) + points
        at = occurred_at
    else:
        score += points * 2.0 ** ((occurred_at - at) / HALF_LIFE_MS)
    if hot:
        return (score, at, score >= COOL_AT), False
    return (score, at, score >= HOT_AT), score >= HOT_AT


class Task(NamedTuple):
    """What the harness tells a contender, as arguments in this order."""

    kafka: str
    """Bootstrap servers."""
    events: str
    """The topic to read, from its beginning."""
    alerts: str
    """The topic for alerts; exists."""
    states: str
    """The topic for states; exists, unless the contender makes one of its own."""
    group: str
    """A name that nobody had before: of the group, the application, what is kept on disk."""
    folder: str
    """For what it keeps on disk."""
    partitions: int
    cold: int
    """After so many events the contender says "cold"; 0: never."""
    warm: int
    """After so many it says "warm"; 0: never."""
    all: int
    """After so many it says "all"; 0: never."""


ARGUMENTS = len(Task._fields)
"""So many arguments are the task's; those behind are the contender's own."""


def task(arguments: list[str]) -> Task:
    """The first arguments as a task."""
    kafka, events, alerts, states, group, folder, *numbers = arguments[:ARGUMENTS]
    return Task(kafka, events, alerts, states, group, folder, *map(int, numbers))


class Marks:
    """Counts events, and says on standard output when it has come to a mark of the task's."""

    def __init__(self, given: Task) -> None:
        self._count = 0
        self._marks = [
            (count, name) for count, name in ((given.cold, "cold"), (given.warm, "warm"), (given.all, "all")) if count
        ]
        self._next = self._marks[0][0] if self._marks else 1 << 60

    def add(self, events: int = 1) -> None:
        """So many more are done."""
        self._count += events
        if self._count >= self._next:
            self._tell()

    def _tell(self) -> None:
        while self._marks and self._count >= self._marks[0][0]:
            sys.stdout.write(f"{self._marks.pop(0)[1]}\n")
            sys.stdout.flush()
        self._next = self._marks[0][0] if self._marks else 1 << 60
