"""routing.toml as it is written, and which names in it stand for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

from streams.desk.roster import Roster, Topic, Word

ROUTING_FILE = "routing.toml"
CHECK_QUEUE = "check"
"""The queue of hands that may be spam."""
MANAGER_QUEUE = "manager"
"""The queue of requests that nobody has answered in time."""
CLASSES = ("qualified", "hot_lead", "contact_request")
"""The follow-up classes that are routed, the most urgent last."""
SUSPECT = "suspect"

Minutes = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
ClassName = Literal["contact_request", "hot_lead", "qualified"]


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named queue, and the person who answers for what is in it."""

    responsible: str


class PoolEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who a rule chooses from: those who fit all that is given; `then`: the pool to turn to when nobody of them can."""

    queue: str
    then: str = ""
    people: list[str] = []
    team: str = ""
    topic: Topic | None = None
    territory: str = ""
    language: str = ""


class RungEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a ladder, so many minutes after the request was given to somebody."""

    after_minutes: Minutes
    do: Literal["remind", "offer", "reassign", "queue", "escalate"]


class ClassEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a class of requests is followed up; all minutes are working time."""

    time: Literal["pool", "owner"]
    first_touch_minutes: Minutes
    retry_minutes: Minutes
    ladder: list[RungEntry]
    accepted_minutes: Minutes = 10
    tell: bool = True


class TriesEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When somebody who was not reached is tried again: minutes of working time between two tries."""

    after_minutes: list[Minutes]
    late_minutes: Minutes


class NoticesEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many notices are too many."""

    hot_leads_an_hour: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    daily_at: Annotated[str, msgspec.Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class RuleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One routing rule: what a request must be like (what is left out fits all), and who gets it."""

    id: Word
    classes: list[ClassName] = []
    topics: list[Topic] = []
    countries: list[Country] = []
    territories: list[str] = []
    languages: list[str] = []
    score_at_least: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    known_account: bool | None = None
    pool: str = ""
    queue: str = ""
    strategy: Literal["weighted_round_robin", "round_robin", "least_loaded"] = "weighted_round_robin"
    match_language: bool = False


class RoutingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules/routing.toml."""

    territories: dict[str, list[Country]]
    queues: dict[str, Queue]
    pools: dict[str, PoolEntry]
    classes: dict[str, ClassEntry]
    tries: TriesEntry
    notices: NoticesEntry
    rule: list[RuleEntry]


Fault = tuple[str, str, str]
"""Path, message, remedy."""


def faults(given: RoutingFile, roster: Roster) -> Iterator[Fault]:
    """Names that stand for nothing, and territories that overlap."""
    owner: dict[str, str] = {}
    for name, countries in given.territories.items():
        for country in countries:
            if owner.setdefault(country, name) != name:
                message = f"territories {owner[country]} and {name} overlap: {country} is in both"
                yield f"$.territories.{name}", message, f"take {country} out of one of them"
    people, territories = list(roster.people), list(given.territories)
    for person in roster.people.values():
        for name in sorted(person.territories - given.territories.keys()):
            message = f"{person.id} in roster.toml has a territory {name!r} that is not here"
            yield "$.territories", message, f"add it here, or {use(territories)} there"
    for name, queue in given.queues.items():
        if queue.responsible not in roster.people:
            message = f"queue {name}: {queue.responsible!r} is no person of the roster"
            yield f"$.queues.{name}.responsible", message, use(people)
    for name, why in ((CHECK_QUEUE, "what may be spam"), (MANAGER_QUEUE, "what nobody answered in time")):
        if name not in given.queues:
            yield "$.queues", f"there is no queue {name!r}", f"add it: {why} goes there"
    for name, pool in given.pools.items():
        yield from _pool_faults(f"$.pools.{name}", name, pool, given, roster)
    yield from _class_faults(given)
    ids: set[str] = set()
    for place, rule in enumerate(given.rule):
        yield from _rule_faults(f"$.rule[{place}]", rule, given, ids)
        ids.add(rule.id)
    if not given.rule:
        yield "$.rule", "there is no rule", "add a [[rule]] that takes all: with id and pool alone"


def _pool_faults(path: str, name: str, pool: PoolEntry, given: RoutingFile, roster: Roster) -> Iterator[Fault]:
    for person in pool.people:
        if person not in roster.people:
            yield f"{path}.people", f"pool {name}: {person!r} is no person of the roster", use(roster.people)
    if pool.team and pool.team not in roster.teams:
        yield f"{path}.team", f"pool {name}: there is no team {pool.team!r}", use(roster.teams)
    if pool.territory and pool.territory not in given.territories:
        yield f"{path}.territory", f"pool {name}: there is no territory {pool.territory!r}", use(given.territories)
    after, seen = pool.then, {name}
    while after and after in given.pools and after not in seen:
        seen.add(after)
        after = given.pools[after].then
    if after and after not in given.pools:
        yield f"{path}.then", f"pool {name}: there is no pool {after!r}", use(given.pools)
    elif after:
        yield f"{path}.then", f"pool {name} follows itself", "let the pools that follow each other come to an end"
    if pool.queue not in given.queues:
        yield f"{path}.queue", f"pool {name}: there is no queue {pool.queue!r}", use(given.queues)


def _class_faults(given: RoutingFile) -> Iterator[Fault]:
    for name in (*CLASSES, SUSPECT):
        if name not in given.classes:
            yield "$.classes", f"there is no class {name!r}", f"add [classes.{name}]"
    for name, entry in given.classes.items():
        if name not in (*CLASSES, SUSPECT):
            yield f"$.classes.{name}", f"there is no class {name!r}", use((*CLASSES, SUSPECT))
        minutes = [rung.after_minutes for rung in entry.ladder]
        if minutes != sorted(set(minutes)):
            yield f"$.classes.{name}.ladder", f"class {name}: the ladder does not rise", "let after_minutes rise"


def _rule_faults(path: str, rule: RuleEntry, given: RoutingFile, ids: set[str]) -> Iterator[Fault]:
    if rule.id in ids:
        yield f"{path}.id", f"rule {rule.id} is there twice", "give each rule an id of its own"
    if bool(rule.pool) == bool(rule.queue):
        yield f"{path}.pool", f"rule {rule.id} does not say who gets it", "give exactly one of pool and queue"
    if rule.pool and rule.pool not in given.pools:
        yield f"{path}.pool", f"rule {rule.id}: there is no pool {rule.pool!r}", use(given.pools)
    if rule.queue and rule.queue not in given.queues:
        yield f"{path}.queue", f"rule {rule.id}: there is no queue {rule.queue!r}", use(given.queues)
    for name in rule.territories:
        if name not in given.territories:
            message = f"rule {rule.id}: there is no territory {name!r}"
            yield f"{path}.territories", message, use(given.territories)


def use(names: Iterable[str]) -> str:
    """What could be written instead."""
    return f"use one of: {', '.join(names) or '(there is none yet)'}"
