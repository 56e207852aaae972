"""Routing rules: territories, queues, pools, follow-up classes and the ordered rules, from TOML, checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.desk.roster import TOPICS, Person, Roster
from streams.desk.routing_file import (
    CLASSES,
    ROUTING_FILE,
    ClassEntry,
    Fault,
    PoolEntry,
    RoutingFile,
    RuleEntry,
    faults,
)
from streams.desk.worktime import Schedule, together
from streams.desk.zones import MINUTE_MS
from streams.rulefile import RuleError, fail, parse

_MOST_MEMO = 8_192


class Asked(NamedTuple):
    """What rules look at."""

    follow_up_class: str
    topic: str
    country: str
    language: str
    score: int
    """Points; 0 if unknown."""
    known_account: bool


@dataclass(frozen=True, eq=False)
class Pool:
    """People among whom a request is shared out."""

    name: str
    people: tuple[Person, ...]
    queue: str
    schedule: Schedule
    """The time in which one of them works, or of the pools that follow."""
    then: Pool | None = None


class Rung(NamedTuple):
    """A step of a ladder, so many working ms after the step before."""

    wait_ms: int
    do: str


@dataclass(frozen=True)
class FollowUp:
    """How a class of requests is followed up."""

    name: str
    by_pool: bool
    """Deadlines count in the pool's working time; else in the owner's."""
    first_touch_ms: int
    retry_ms: int
    """After so long what waits in a queue is offered again, if somebody is on."""
    ladder: tuple[Rung, ...]
    accepted_ms: int
    """So long an acknowledgement pauses the ladder."""
    tell: bool
    """The owner gets a notice of each."""
    escalates_ms: int
    """After so long in a queue it is the manager's; 0: never."""


class Route(NamedTuple):
    """The rule that took a request."""

    rule: str
    pool: Pool | None
    queue: str
    strategy: str
    match_language: bool
    tried: str
    """The rules that were tried, in words."""


@dataclass(frozen=True)
class _Rule:
    entry: RuleEntry
    countries: frozenset[str]
    pool: Pool | None

    def misfit(self, asked: Asked) -> str:
        """What of the request does not fit; empty if the rule takes it."""
        rule = self.entry
        if rule.classes and asked.follow_up_class not in rule.classes:
            return "class"
        if rule.topics and asked.topic not in rule.topics:
            return "topic"
        if self.countries and asked.country not in self.countries:
            return "country"
        if rule.languages and asked.language not in rule.languages:
            return "language"
        if asked.score < rule.score_at_least:
            return "score"
        if rule.known_account is not None and asked.known_account is not rule.known_account:
            return "account"
        return ""


@dataclass(frozen=True)
class Routing:
    """The rules in order, and what they name."""

    rules: tuple[_Rule, ...]
    pools: dict[str, Pool]
    queues: dict[str, str]
    """queue → who is responsible."""
    classes: dict[str, FollowUp]
    tries: tuple[int, ...]
    """Working ms between two tries to reach somebody."""
    late_ms: int
    hot_leads_an_hour: int
    """So many hot leads a person is told of at once; more come as one digest."""
    daily_at_ms: int
    """When the day's digest comes: ms since midnight on the person's wall."""
    """A try that is so late goes to the manager."""
    marks: tuple[int, ...]
    """The scores at which some rule begins to fit."""
    _memo: dict[Asked, Route] = field(default_factory=dict)

    def route(self, asked: Asked) -> Route:
        """The first rule that takes the request; the last one takes all."""
        score = max((mark for mark in self.marks if asked.score >= mark), default=0)
        asked = asked._replace(score=score)
        found = self._memo.get(asked)
        if found is None:
            if len(self._memo) >= _MOST_MEMO:
                self._memo.clear()
            found = self._memo[asked] = self._find(asked)
        return found

    def _find(self, asked: Asked) -> Route:
        tried: list[str] = []
        for rule in self.rules:
            misfit = rule.misfit(asked)
            if not misfit:
                before = f"tried before: {', '.join(tried)}" if tried else "the first that was tried"
                words = f"rule {rule.entry.id} takes it ({before})"
                entry = rule.entry
                return Route(entry.id, rule.pool, entry.queue, entry.strategy, entry.match_language, words)
            tried.append(f"{rule.entry.id} (not its {misfit})")
        raise AssertionError("the last rule takes all")


def load(files: Mapping[str, str], roster: Roster) -> Routing:
    """The routing rules from the text of routing.toml, for this roster.  Raises RuleError."""
    text = files[ROUTING_FILE]
    given = parse(ROUTING_FILE, text, RoutingFile)
    for path, message, remedy in faults(given, roster):
        raise _fail(text, path, message, remedy)
    pools: dict[str, Pool] = {}
    for name in given.pools:
        _build(name, given, roster, pools)
    rules = tuple(
        _Rule(entry, frozenset(_countries(entry, given)), pools[entry.pool] if entry.pool else None)
        for entry in given.rule
    )
    for path, message, remedy in _vain(given, pools, rules):
        raise _fail(text, path, message, remedy)
    return Routing(
        rules=rules,
        pools=pools,
        queues={name: queue.responsible for name, queue in given.queues.items()},
        classes={name: _follow_up(name, entry) for name, entry in given.classes.items()},
        tries=tuple(minutes * MINUTE_MS for minutes in given.tries.after_minutes),
        late_ms=given.tries.late_minutes * MINUTE_MS,
        hot_leads_an_hour=given.notices.hot_leads_an_hour,
        daily_at_ms=(int(given.notices.daily_at[:2]) * 60 + int(given.notices.daily_at[3:])) * MINUTE_MS,
        marks=tuple(sorted({entry.score_at_least for entry in given.rule})),
    )


def _follow_up(name: str, entry: ClassEntry) -> FollowUp:
    rungs, passed = [], 0
    for rung in entry.ladder:
        rungs.append(Rung((rung.after_minutes - passed) * MINUTE_MS, rung.do))
        passed = rung.after_minutes
    return FollowUp(
        name=name,
        by_pool=entry.time == "pool",
        first_touch_ms=entry.first_touch_minutes * MINUTE_MS,
        retry_ms=entry.retry_minutes * MINUTE_MS,
        ladder=tuple(rungs),
        accepted_ms=entry.accepted_minutes * MINUTE_MS,
        tell=entry.tell,
        escalates_ms=next((each.after_minutes * MINUTE_MS for each in entry.ladder if each.do == "escalate"), 0),
    )


def _build(name: str, given: RoutingFile, roster: Roster, pools: dict[str, Pool]) -> Pool:
    """The pool of that name and those that follow it, built once each."""
    if name not in pools:
        entry = given.pools[name]
        then = _build(entry.then, given, roster, pools) if entry.then else None
        pools[name] = _pool(name, entry, roster, then)
    return pools[name]


def _pool(name: str, entry: PoolEntry, roster: Roster, then: Pool | None) -> Pool:
    people = tuple(
        person
        for person in roster.people.values()
        if (not entry.people or person.id in entry.people)
        and (not entry.team or person.team == entry.team)
        and (not entry.topic or entry.topic in person.topics)
        and (not entry.territory or entry.territory in person.territories)
        and (not entry.language or entry.language in person.languages)
    )
    schedules = [person.schedule for person in people]
    return Pool(name, people, entry.queue, together([*schedules, *([then.schedule] if then else [])]), then)


def _countries(rule: RuleEntry, given: RoutingFile) -> set[str]:
    return set(rule.countries).union(*(given.territories[name] for name in rule.territories))


def _vain(given: RoutingFile, pools: Mapping[str, Pool], rules: tuple[_Rule, ...]) -> Iterator[Fault]:
    """Pools without people, rules that no request reaches, requests that no rule takes."""
    for name, pool in pools.items():
        if not pool.people:
            wanted = given.pools[name]
            asked = [each for each in (wanted.team, wanted.topic, wanted.territory, wanted.language) if each]
            message = f"pool {name} is empty: nobody has {' and '.join(asked) or 'been named'}"
            yield f"$.pools.{name}", message, "give somebody in roster.toml what it asks for, or ask for less"
    for place, rule in enumerate(rules):
        before = next((each for each in rules[:place] if _covers(each, rule)), None)
        if before is not None:
            message = f"rule {rule.entry.id} matches nobody: rule {before.entry.id} takes all that it would"
            yield f"$.rule[{place}].id", message, f"put it before {before.entry.id}, or remove it"
        if rule.entry.match_language and rule.pool is not None:
            spoken = frozenset[str]().union(*(person.languages for person in rule.pool.people))
            if missing := [language for language in rule.entry.languages if language not in spoken]:
                message = f"rule {rule.entry.id}: nobody in pool {rule.pool.name} speaks {', '.join(missing)}"
                yield f"$.rule[{place}].languages", message, "add somebody who does, or take match_language out"
    everything = _Rule(RuleEntry("everything"), frozenset(), None)
    if not _covers(rules[-1], everything):
        message = f"the last rule, {rules[-1].entry.id}, does not take everything: some request would be nobody's"
        yield f"$.rule[{len(rules) - 1}].id", message, "end with a rule that has id and pool (or queue) alone"


def _covers(one: _Rule, other: _Rule) -> bool:
    """True if `one` takes whatever `other` takes."""
    a, b = one.entry, other.entry

    return (
        _wider(a.classes, b.classes or CLASSES)
        and _wider(a.topics, b.topics or TOPICS)
        and _wider(one.countries, other.countries)
        and _wider(a.languages, b.languages)
        and a.score_at_least <= b.score_at_least
        and (a.known_account is None or a.known_account is b.known_account)
    )


def _wider(mine: Iterable[str], theirs: Iterable[str]) -> bool:
    """True if what I name includes what they do; to name nothing is to mean all."""
    named = set(theirs)
    return not set(mine) or (bool(named) and named <= set(mine))


def _fail(text: str, path: str, message: str, remedy: str) -> RuleError:
    return fail(ROUTING_FILE, text, path, message, remedy)
