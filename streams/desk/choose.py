"""Who gets a request: a pure choice among those who can, with the way to it in words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from streams.desk import robin
from streams.desk.roster import Person
from streams.desk.routing import FollowUp, Pool, Route
from streams.desk.rules import DeskRules
from streams.desk.state import Rep
from streams.desk.zones import DAY_MS

MOST_NAMED = 5
"""People that a trace names for one reason; the others are counted."""
NEVER = 1 << 62
SOON_MS = 3 * DAY_MS
"""Who works within this time can be given what is not for now."""


class Desk(NamedTuple):
    """What the desk knows when it chooses."""

    rules: DeskRules
    reps: Mapping[str, Rep]
    """What people have said and done; those who have not are not there."""
    load: Mapping[tuple[str, str], int]
    """(person, class) → open requests."""
    credits: Callable[[str], dict[str, int]]
    """The round robin of a pool, which a choice changes."""


class Wanted(NamedTuple):
    """What somebody is looked for."""

    follow_up: FollowUp
    at: int
    """The time at which they are to begin."""
    language: str
    declined: Collection[str]
    favourites: tuple[tuple[str, str], ...]
    """People who come first if they can, and why."""


class Choice(NamedTuple):
    """The outcome; without an owner the request waits."""

    owner: Person | None
    paid: int
    """The credit that the owner paid; 0 if it was not by turns."""
    paid_in: str
    """The pool in which it was paid."""
    trace: tuple[str, ...]


def choose(wanted: Wanted, route: Route, desk: Desk) -> Choice:
    """Choose somebody of the route's pool, or of those that follow it; changes credits if it goes by turns."""
    pool = route.pool
    if pool is None:
        return Choice(None, 0, "", (route.tried, f"it goes to the queue {route.queue}"))
    deadline = pool.schedule.add(wanted.at, wanted.follow_up.first_touch_ms) if wanted.follow_up.by_pool else None
    trace = [route.tried]
    for name, why in wanted.favourites:
        person = desk.rules.roster.people.get(name)
        if person is None:
            continue
        obstacle = hindrance(person, wanted, deadline, desk) or _rests(person, wanted, desk)
        if not obstacle:
            trace.append(f"{person.name} {why}")
            return Choice(person, 0, "", tuple(trace))
        trace.append(f"{person.name} {why}, but {obstacle}")
    candidates: list[Person] = []
    turn: Pool = pool
    after: Pool | None = pool
    while not candidates and after is not None:
        turn, after = after, after.then
        candidates, resting = _candidates(turn, route, wanted, deadline, desk, trace)
        candidates = candidates or resting  # nobody rests who is the last
    if not candidates:
        trace.append("nobody can take it now")
        return Choice(None, 0, "", tuple(trace))
    if len(candidates) == 1:
        trace.append(f"{candidates[0].name} is the only one")
    if route.strategy == "least_loaded":
        name = wanted.follow_up.name
        owner = min(candidates, key=lambda it: (desk.load.get((it.id, name), 0) * 1_000 // it.weight, it.place))
        trace.append(f"{owner.name} has least to do")
        return Choice(owner, 0, "", tuple(trace))
    owner, paid = robin.pick(desk.credits(turn.name), candidates, route.strategy == "weighted_round_robin")
    if len(candidates) > 1:
        trace.append(f"{owner.name} is next of {len(candidates)}: {_names(candidates)}")
    return Choice(owner, paid, turn.name, tuple(trace))


def _candidates(
    pool: Pool, route: Route, wanted: Wanted, deadline: int | None, desk: Desk, trace: list[str]
) -> tuple[list[Person], list[Person]]:
    """Those who can, and those who could if they did not rest; who is left out is said in the trace."""
    found: list[Person] = []
    resting: list[Person] = []
    left_out: dict[str, list[Person]] = {}
    language = wanted.language if route.match_language else ""
    at, name, reps, load, declined = wanted.at, wanted.follow_up.name, desk.reps, desk.load, wanted.declined
    until_at_least = (deadline or NEVER) if wanted.follow_up.by_pool else NEVER
    for person in pool.people:
        rep = reps.get(person.id)  # most can take it, which is seen here without asking what hinders them
        if (
            (rep is None or (rep.presence == "on" and rep.rest_until <= at))
            and person.on_until(at) >= until_at_least
            and load.get((person.id, name), 0) < person.capacity
            and person.id not in declined
            and (not language or language in person.languages)
        ):
            found.append(person)
            continue
        obstacle = hindrance(person, wanted, deadline, desk)
        if not obstacle and language and language not in person.languages:
            obstacle = f"does not speak {language}"
        if not obstacle and (obstacle := _rests(person, wanted, desk)):
            resting.append(person)
        if not obstacle:
            found.append(person)
        elif obstacle in left_out:
            left_out[obstacle].append(person)
        else:
            left_out[obstacle] = [person]
    if left_out:
        words = "; ".join(f"{_names(people)} ({obstacle})" for obstacle, people in left_out.items())
        trace.append(f"left out of pool {pool.name}: {words}")
    return found, resting


def hindrance(person: Person, wanted: Wanted, deadline: int | None, desk: Desk) -> str:
    """Why a person cannot be given the request, in words; empty if they can.

    `deadline`: a request for now needs somebody whose shift lasts until then.
    """
    at, follow_up = wanted.at, wanted.follow_up
    rep = desk.reps.get(person.id)
    if person.id in wanted.declined:
        return "declined it or missed it"
    if rep is not None and rep.presence != "on" and (not rep.until or at < rep.until):
        return "is away" if rep.presence == "away" else "is off"
    if follow_up.by_pool:
        until = person.on_until(at)
        if rep is not None and rep.presence == "on" and until < rep.until and at < rep.until:
            until = rep.until
        if not until:
            return "is on leave" if person.hours.on_leave(at) else "is not on shift"
        if deadline is None or until < deadline:
            return "ends the shift before the deadline"
    elif not person.on_until(at):
        start = person.next_start(at)
        if not start or start - at > SOON_MS:
            return "is on leave" if person.hours.on_leave(at) else "is not on shift for days"
    if desk.load.get((person.id, follow_up.name), 0) >= person.capacity:
        return "has no room"
    return ""


def next_slot(pool: Pool, wanted: Wanted, desk: Desk) -> int | None:
    """When the first of the pool works (from `wanted.at` on) who has not declined; None if nobody ever does."""
    slots = []
    for person in (*pool.people, *(pool.then.people if pool.then else ())):
        rep = desk.reps.get(person.id)
        if person.id not in wanted.declined:
            at = max(wanted.at, rep.until) if rep is not None and rep.presence != "on" else wanted.at
            start = person.next_start(at)
            if start:
                slots.append(start)
    return min(slots, default=None)


def _rests(person: Person, wanted: Wanted, desk: Desk) -> str:
    rep = desk.reps.get(person.id)
    return "missed two in this shift" if rep is not None and rep.rest_until > wanted.at else ""


def _names(people: list[Person]) -> str:
    named = ", ".join(person.name for person in people[:MOST_NAMED])
    more = len(people) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
