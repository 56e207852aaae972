"""The roster: people, teams, working hours and calendars from TOML, checked and compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

import msgspec

from streams.desk.worktime import CHUNK_MS, Hours, Schedule, Span
from streams.desk.zones import MINUTE_MS, Zones
from streams.rulefile import fail, parse

ROSTER_FILE = "roster.toml"
CALENDARS_FILE = "calendars.toml"
TOPICS = ("sales", "support", "partner", "press")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAYS_OF = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?\Z")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)\Z")
_YEARLY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\Z")
_YEARS = range(2020, 2060)

Word = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_-]{0,39}$")]
Topic = Literal["sales", "support", "partner", "press"]


class Leave(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days on which a person is away, both ends included; without a last day until further notice."""

    first_day: date
    last_day: date | None = None


class PersonEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person as roster.toml has it."""

    id: Word
    name: str
    email: str
    team: Word
    zone: str
    hours: dict[str, list[str]]
    calendar: str = ""
    topics: list[Topic] = []
    territories: list[str] = []
    languages: list[str] = []
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    capacity: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    channels: tuple[str, ...] = ("console", "email")
    leave: list[Leave] = []


class TeamEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One team as roster.toml has it."""

    id: Word
    name: str
    manager: Word


class RosterFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules/roster.toml."""

    team: list[TeamEntry]
    person: list[PersonEntry]


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days without work: those of each year (`12-25`) and single ones."""

    every_year: list[str] = []
    dates: list[date] = []


class CalendarsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules/calendars.toml."""

    calendar: dict[Word, Calendar] = {}


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody who answers requests."""

    id: str
    name: str
    team: str
    hours: Hours
    schedule: Schedule
    topics: frozenset[str]
    territories: frozenset[str]
    languages: frozenset[str]
    weight: int
    capacity: int
    """Open requests of one class that the person can have."""
    channels: tuple[str, ...]
    place: int
    """The place in the roster: settles ties."""
    _known: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """What was asked last: from when to when the answers hold, and the answers."""

    def on_until(self, at: int) -> int:
        """When the person's span of work around `at` ends; 0 outside of working hours."""
        known = self._known
        return known[2] if known[0] <= at < known[1] else self._ask(at)[2]

    def next_start(self, at: int) -> int:
        """The person's first working moment from `at` on; 0 if there is none for years."""
        known = self._known
        if not known[0] <= at < known[1]:
            known = self._ask(at)
        return at if known[2] else known[3]

    def _ask(self, at: int) -> list[int]:
        until = self.schedule.on_until(at) or 0
        start = 0 if until else self.schedule.next_start(at) or 0
        self._known[:] = (at, until or start or at + CHUNK_MS, until, start)
        return self._known


@dataclass(frozen=True)
class Team:
    """People with a manager."""

    id: str
    name: str
    manager: str


@dataclass(frozen=True)
class Roster:
    """Everybody, in the order of the file."""

    people: dict[str, Person]
    teams: dict[str, Team]


def load(files: Mapping[str, str], zones: Zones) -> Roster:
    """The roster from the texts of roster.toml and calendars.toml.  Raises RuleError."""
    text = files[ROSTER_FILE]
    calendars = _calendars(files[CALENDARS_FILE])
    given = parse(ROSTER_FILE, text, RosterFile)
    teams: dict[str, Team] = {}
    people: dict[str, Person] = {}
    for place, team in enumerate(given.team):
        if team.id in teams:
            raise _fail(
                text, f"$.team[{place}].id", f"team {team.id} is there twice", "give each team an id of its own"
            )
        teams[team.id] = Team(team.id, team.name, team.manager)
    for place, entry in enumerate(given.person):
        path = f"$.person[{place}]"
        if entry.id in people:
            message = f"person {entry.id} is there twice"
            raise _fail(text, f"{path}.id", message, "give each person an id of their own")
        if entry.team not in teams:
            raise _fail(text, f"{path}.team", f"{entry.id}: there is no team {entry.team!r}", _one_of(teams))
        if entry.calendar and entry.calendar not in calendars:
            message = f"{entry.id}: there is no calendar {entry.calendar!r}"
            remedy = f"{_one_of(calendars)}; calendars are in {CALENDARS_FILE}"
            raise _fail(text, f"{path}.calendar", message, remedy)
        people[entry.id] = _person(text, path, place, entry, calendars.get(entry.calendar, frozenset()), zones)
    for place, team in enumerate(given.team):
        if team.manager not in people:
            message = f"team {team.id}: its manager {team.manager!r} is no person of the roster"
            raise _fail(text, f"$.team[{place}].manager", message, _one_of(people))
    return Roster(people, teams)


def _person(text: str, path: str, place: int, entry: PersonEntry, free: frozenset[int], zones: Zones) -> Person:
    zone = zones(entry.zone)
    if zone is None:
        message = f"{entry.id}: there is no time zone {entry.zone!r}"
        raise _fail(text, f"{path}.zone", message, "write it as in the IANA database, such as Europe/Lisbon")
    leave = []
    for number, each in enumerate(entry.leave):
        if each.last_day is not None and each.last_day < each.first_day:
            message = f"{entry.id}: leave {number + 1} ends before it begins"
            raise _fail(text, f"{path}.leave", message, "let last_day be first_day or later, or leave it out")
        leave.append((day_of(each.first_day), day_of(each.last_day or date.max)))
    hours = Hours(zone, _week(text, path, entry), free, tuple(leave))
    if not any(hours.week):
        raise _fail(text, f"{path}.hours", f"{entry.id} never works", 'give hours, as in { mon-fri = ["09:00-17:00"] }')
    if not entry.channels:
        raise _fail(
            text, f"{path}.channels", f"{entry.id} cannot be told anything", 'give a channel, such as "console"'
        )
    return Person(
        id=entry.id,
        name=entry.name,
        team=entry.team,
        hours=hours,
        schedule=Schedule(hours.spans),
        topics=frozenset(entry.topics),
        territories=frozenset(entry.territories),
        languages=frozenset(entry.languages),
        weight=entry.weight,
        capacity=entry.capacity,
        channels=entry.channels,
        place=place,
    )


def _week(text: str, path: str, entry: PersonEntry) -> tuple[tuple[Span, ...], ...]:
    week: list[list[Span]] = [[] for _ in DAYS]
    for days, spans in entry.hours.items():
        named = _DAYS_OF.match(days)
        if not named:
            message = f"{entry.id}: {days!r} names no days"
            raise _fail(text, f"{path}.hours", message, "write mon, tue, … or a range such as mon-fri")
        first, last = DAYS.index(named[1]), DAYS.index(named[2] or named[1])
        for span in spans:
            read = _HOURS.match(span)
            start, end = _minutes(read[1], read[2]) if read else 0, _minutes(read[3], read[4]) if read else 0
            if not read or start == end or end > 1_440:
                message = f"{entry.id}: {span!r} is no span of hours"
                raise _fail(text, f"{path}.hours", message, 'write "09:00-17:00"; "22:00-06:00" ends the next day')
            for day in range(first, last + 1 + (7 if last < first else 0)):
                end_ms = (end + (1_440 if end < start else 0)) * MINUTE_MS
                week[day % 7].append((start * MINUTE_MS, end_ms))
    return tuple(tuple(sorted(day)) for day in week)


def _minutes(hours: str, minutes: str) -> int:
    return int(hours) * 60 + int(minutes)


def _calendars(text: str) -> dict[str, frozenset[int]]:
    found = {}
    for name, calendar in parse(CALENDARS_FILE, text, CalendarsFile).calendar.items():
        days = {day_of(each) for each in calendar.dates}
        for each in calendar.every_year:
            read = _YEARLY.match(each)
            if not read:
                message = f"{each!r} is no day of the year"
                raise fail(CALENDARS_FILE, text, f"$.calendar.{name}.every_year", message, 'write "12-25" (month-day)')
            days |= {day for year in _YEARS if (day := _day(year, int(read[1]), int(read[2]))) is not None}
        found[name] = frozenset(days)
    return found


def _day(year: int, month: int, day: int) -> int | None:
    try:
        return day_of(date(year, month, day))
    except ValueError:  # 29 February
        return None


def day_of(day: date) -> int:
    """A day as counted from 1 January 1970."""
    return day.toordinal() - _EPOCH_DAY


def _one_of(names: Mapping[str, object]) -> str:
    return f"use one of: {', '.join(names) or '(there is none yet)'}"


def _fail(text: str, path: str, message: str, remedy: str) -> Exception:
    return fail(ROSTER_FILE, text, path, message, remedy)
