"""Few and right: what would be too many single notices is told as one digest.

A person is told at once of so many hot leads in an hour (`hot_leads_an_hour` of routing.toml); the rest waits for the
end of that hour.  Leads of a class with `tell = false` wait for the morning of the next shift (`daily_at`).
"""

from __future__ import annotations

from streams.desk import words
from streams.desk.lifecycle import OWNED
from streams.desk.memory import Memory
from streams.desk.publish import DeskPublisher
from streams.desk.roster import Person
from streams.desk.rules import DeskRules
from streams.desk.state import Case
from streams.desk.zones import DAY_MS, MINUTE_MS

HOUR_MS = 60 * MINUTE_MS
MOST_HELD = 20
"""Leads that a digest looks up; more than those are counted."""
MOST_NAMED = 5
"""Leads that a digest names."""


class Digests:
    """Decides what is told at once and what later, and tells it then."""

    def __init__(self, rules: DeskRules, memory: Memory, publisher: DeskPublisher) -> None:
        self._rules, self._memory, self._publisher = rules, memory, publisher

    def at_once(self, person: Person, at: int) -> bool:
        """True if the person may be told of another hot lead now, which is then counted."""
        rep = self._memory.rep(person.id)
        if at >= rep.told_from + HOUR_MS:
            rep.told_from, rep.told = at, 0
        if rep.told >= self._rules.routing.hot_leads_an_hour:
            return False
        rep.told += 1
        self._memory.put_rep(person.id, rep)
        return True

    def hold_to_the_hour(self, person: Person, case: Case) -> None:
        """Tell of a lead when the hour ends in which there were too many."""
        self._hold(person, case, self._memory.rep(person.id).told_from + HOUR_MS)

    def hold_to_the_morning(self, person: Person, case: Case, at: int) -> None:
        """Tell of a lead before the person's next shift."""
        shift = person.schedule.next_shift(at) or at + DAY_MS
        day = person.hours.zone.wall(shift) // DAY_MS * DAY_MS + self._rules.routing.daily_at_ms
        morning = next((start for start, _ in person.hours.zone.instants(day, day + MINUTE_MS)), shift)
        self._hold(person, case, morning if at < morning < shift else shift)

    def fire(self, person_id: str, now: int) -> None:
        """The time of a digest has come: tell what the person still has to do something about."""
        rep, person = self._memory.rep(person_id), self._rules.roster.people.get(person_id)
        held, more = rep.held, rep.held_more
        rep.held, rep.held_more, rep.digest_at = [], 0, 0
        self._memory.put_rep(person_id, rep)
        found = (self._memory.case(request_id) for request_id in held)
        cases = [case for case in found if case and case.owner == person_id and case.status in OWNED]
        if person is not None and cases:
            text = words.digest(cases[:MOST_NAMED], len(cases) + more)
            self._publisher.notice(person_id, "digest", None, text, now, person.channels)

    def _hold(self, person: Person, case: Case, until: int) -> None:
        rep, request_id = self._memory.rep(person.id), case.asks[0].request_id
        if len(rep.held) < MOST_HELD:
            rep.held = [*(each for each in rep.held if each != request_id), request_id]
        else:
            rep.held_more += 1
        rep.digest_at = min(rep.digest_at or until, until)
        self._memory.put_rep(person.id, rep)
