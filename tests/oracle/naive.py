"""The meaning of scores, of hot and of stages, computed the dumbest clear way: the oracle of the laws and of chaos.

It follows docs/scoring.md sentence by sentence, keeps every event for ever, recomputes everything from scratch with
plain floats and shares no code with the core; it even reads the rule files by itself.
"""

from __future__ import annotations

import functools
import itertools
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

DAY_S = 86_400
HORIZON_S = 35 * DAY_S
PER_RECORD = 500
"""At most so many coolings and expiries fire in one record."""
FOR_EVER = ("ever", "asset")
"""Limits whose room the earliest match takes, whether another limit cuts it or not."""

Room = tuple[int, str, object]
"""A rule's code, the limit's period, and which of them."""


@dataclass(frozen=True)
class Event:
    """One event as the rules see it; `at_s` is whole seconds."""

    event_id: bytes
    at_s: int
    kind: str
    asset: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    email: str | None = None
    verdict: str = "human"
    phone: str | None = None


@dataclass(frozen=True)
class Entry:
    """One match of a rule by an event: a row of the ledger, and the points that limits and clearing leave of it."""

    rule: dict[str, Any]
    event: Event
    late: bool
    counts: bool = True
    """It has room in the limits of its rule."""
    limited: float = 0.0

    def decayed(self, at_s: int) -> float:
        """What is left of the points at `at_s`."""
        if not self.limited:
            return 0.0
        half_life_s = float(self.rule["half_life_days"] * DAY_S)
        return self.limited * float(2.0 ** (-(at_s - self.event.at_s) / half_life_s))


class Model:
    """The two rule files, as TOML gives them."""

    def __init__(self, model: str, alerts: str) -> None:
        self.model = tomllib.loads(model)
        self.hot = tomllib.loads(alerts)["hot_lead"]
        self.rules: list[dict[str, Any]] = self.model["rule"]
        self.alone: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """The rules that look at no visit: those for kinds of events, by kind."""
        for rule in self.rules:
            for kind in rule.get("kinds", ()):
                self.alone[kind].append(rule)
        self.groups: dict[str, dict[str, Any]] = self.model["groups"]
        self.gap_s: int = self.model["session_gap_minutes"] * 60
        self.idle_s: int = self.model["anonymous_idle_days"] * DAY_S
        self.by_code = {rule["code"]: rule for rule in self.rules}
        words = ("reason", "reason_often")
        silent = [{name: rule[name] for name in rule if name not in words} for rule in self.rules]
        self.points = (self.model | {"rule": silent}, self.hot)
        """All but words: leads that were judged by the same need not be judged anew."""

    def level(self, millipoints: int) -> int:
        """1 (best) to 4."""
        bounds: list[int] = self.model["levels"]
        return 1 + sum(millipoints < bound * 1000 for bound in bounds)


def day(at_s: int) -> int:
    """The UTC day's number."""
    return at_s // DAY_S


def week(at_s: int) -> int:
    """The number of the UTC week that begins on Monday."""
    return (at_s // DAY_S + 3) // 7


def line(newest_s: int) -> int:
    """Monday, 00:00 UTC, of the week that lies 35 days behind: older points are folded."""
    return (week(newest_s - HORIZON_S) * 7 - 3) * DAY_S


@functools.cache
def fits(pattern: str, text: str) -> bool:
    """Whether the whole text fits the pattern; `*` is any run of characters, case does not matter."""
    parts = [re.escape(part) for part in pattern.split("*")]
    return re.fullmatch(".*".join(parts), text, re.IGNORECASE | re.DOTALL) is not None


def holds(condition: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether one condition of `where` holds."""
    value = properties.get(condition["property"])
    if "at_least" in condition:
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= condition["at_least"]
    return isinstance(value, str) and value.lower() == condition["equals"].lower()


def matches_by_itself(rule: Mapping[str, Any], event: Event) -> bool:
    """Whether a rule that looks at no visit matches the event."""
    return (
        event.kind in rule.get("kinds", ())
        and ("asset" not in rule or any(fits(pattern, event.asset) for pattern in rule["asset"]))
        and not any(fits(pattern, event.asset) for pattern in rule.get("asset_not", ()))
        and all(holds(condition, event.properties) for condition in rule.get("where", ()))
    )


def visits(model: Model, events: Iterable[Event]) -> list[list[Event]]:
    """Page views in runs without a gap of a session's length."""
    runs: list[list[Event]] = []
    for event in sorted((event for event in events if event.kind == "page_view"), key=lambda event: event.at_s):
        if runs and event.at_s - runs[-1][-1].at_s < model.gap_s:
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs


def matches_alone(model: Model, event: Event, *, late: bool) -> list[Entry]:
    """The event's matches of all rules that look at no visit."""
    return [Entry(rule, event, late) for rule in model.alone.get(event.kind, ()) if matches_by_itself(rule, event)]


def matches_in_visits(model: Model, events: list[Event]) -> list[Entry]:
    """The matches of the rules that look at visits; late events belong to no visit."""
    runs = visits(model, events)
    found: list[Entry] = []
    for rule in model.rules:
        if "session_page" in rule:
            nth = rule["session_page"]
            found += [Entry(rule, run[nth - 1], late=False) for run in runs if len(run) >= nth]
        elif "return_within_days" in rule:
            within_s = rule["return_within_days"] * DAY_S
            pairs = itertools.pairwise(runs)
            found += [Entry(rule, b[0], late=False) for a, b in pairs if b[0].at_s - a[-1].at_s <= within_s]
    return found


def period(limit: Mapping[str, Any], event: Event) -> object:
    """Matches with an equal period share the room of the limit."""
    match limit["per"]:
        case "day":
            return day(event.at_s)
        case "week":
            return week(event.at_s)
        case "asset":
            return event.asset
        case _:
            return None


def rooms(entry: Entry) -> list[tuple[Room, int]]:
    """The limits that hold for the match: who shares its room, for how many; for late ones `ever` and `asset` only."""
    limits = entry.rule.get("limits", [])
    if entry.late:
        limits = [it for it in limits if it["per"] in FOR_EVER]
    return [((entry.rule["code"], it["per"], period(it, entry.event)), it["count"]) for it in limits]


def counts_late(entry: Entry, taken: dict[Room, int]) -> bool:
    """A late match counts only under a limit that lasts for ever; one that clears gives no points, and counts."""
    found = rooms(entry)
    return ("clears" in entry.rule or bool(found)) and all(taken[room] < count for room, count in found)


def used(rows: list[Entry]) -> dict[Room, int]:
    """How much of each room is used by the matches that count."""
    found: dict[Room, int] = defaultdict(int)
    for row in rows:
        for room, _ in rooms(row) if row.counts else ():
            found[room] += 1
    return found


def ledger(late: list[Entry], found: list[Entry]) -> list[Entry]:
    """All matches with the points that limits and clearing leave of them, in order of time; late ones are judged."""
    taken = used(late)
    clears = [(entry.rule["group"], entry.event.at_s) for entry in late + found if "clears" in entry.rule]
    rows = [judged(row, row.counts, clears) for row in late]
    for entry in sorted(found, key=lambda entry: entry.event.at_s):
        needed = rooms(entry)
        counts = all(taken[room] < count for room, count in needed)
        for room, _ in needed:
            taken[room] += counts or room[1] in FOR_EVER
        rows.append(judged(entry, counts, clears))
    return rows


def judged(entry: Entry, counts: bool, clears: list[tuple[str, int]]) -> Entry:
    """The entry with the points that are left if it has room in its limits, and its group was not cleared later."""
    group, at_s = entry.rule["group"], entry.event.at_s
    cleared = any(group == other and at_s <= cleared_s for other, cleared_s in clears)
    points = entry.rule.get("points", 0) if counts and not cleared else 0
    return Entry(entry.rule, entry.event, entry.late, counts, float(points))


def score(model: Model, rows: list[Entry], at_s: int) -> float:
    """The behaviour score at `at_s`, in points, not rounded."""
    sums: dict[str, float] = defaultdict(float)
    for row in rows:
        sums[row.rule["group"]] += row.decayed(at_s)
    total = sum(min(float(model.groups[group]["cap"]), value) for group, value in sums.items())
    return min(float(model.model["cap"]), max(0.0, total))


def millipoints(points: float) -> int:
    """Rounded once, at the end."""
    return int(points * 1000 + 0.5)


def reasons(rows: list[Entry], at_s: int) -> list[tuple[str, float]]:
    """Rules by their sum of decayed points, the largest first, ties by code; only those above zero, in points."""
    sums: dict[int, float] = defaultdict(float)
    names = {row.rule["code"]: row.rule["id"] for row in rows}
    for row in rows:
        sums[row.rule["code"]] += row.decayed(at_s)
    ranked = sorted((-round(value, 9), code) for code, value in sums.items() if value > 0)
    return [(names[code], -value) for value, code in ranked]


@dataclass
class Lead:
    """What is known of a lead: all of its accepted events, and what was said about it."""

    lead_id: str
    events: list[Event] = field(default_factory=list)
    late: list[Event] = field(default_factory=list)
    ids: set[bytes] = field(default_factory=set)
    mailed: bool = False
    """An e-mail address came with one of its events."""
    phoned: bool = False
    """A telephone number did."""
    newest_s: int = 0
    """The time of the newest event."""
    as_of_s: int = 0
    hot: bool = False
    hot_since_s: int | None = None
    stage: str = "visitor"
    last_alert_s: int | None = None
    alone: list[Entry] = field(default_factory=list)
    """The matches that need no look at other events; so they are found once."""
    late_rows: list[Entry] = field(default_factory=list)
    """Matches of late events, judged when they arrived."""
    rows: tuple[Model, list[Entry]] | None = None
    """The ledger after the last event by some rules, once somebody has asked for it."""
    judged_by: Model | None = None
    """The rules in force when something was said of it last."""

    def has(self, event_id: bytes) -> bool:
        """Whether the lead already has an event of that id."""
        return event_id in self.ids

    def accept(self, model: Model, event: Event, now_s: int) -> None:
        """Take one more event."""
        self.ids.add(event.event_id)
        self.mailed |= event.email is not None
        self.phoned |= event.phone is not None
        is_late = bool(self.events) and event.at_s < line(self.newest_s)
        found = matches_alone(model, event, late=is_late)
        self.newest_s = max(event.at_s, self.newest_s)
        self.as_of_s = max(event.at_s, now_s, self.as_of_s)
        if is_late:
            taken = used(self.ledger(model))
            self.late.append(event)
            self.late_rows += [replace(it, counts=counts_late(it, taken)) for it in found]
        else:
            self.events.append(event)
            self.alone += found
        self.rows = None

    def ledger(self, model: Model) -> list[Entry]:
        """All matches after the last event, counted from nothing."""
        if self.rows is None or self.rows[0] is not model:
            self.rows = model, ledger(self.late_rows, self.matches(model) + matches_in_visits(model, self.events))
        return self.rows[1]

    def matches(self, model: Model) -> list[Entry]:
        """What matched when it came, as these rules have it; nothing by rules that there are not now."""
        return [
            replace(entry, rule=model.by_code[entry.rule["code"]])
            for entry in self.alone
            if entry.rule["code"] in model.by_code
        ]

    def millipoints(self, model: Model, at_s: int) -> int:
        """The score at `at_s`."""
        return millipoints(score(model, self.ledger(model), at_s))

    def ceiling(self, model: Model) -> float:
        """What no score can exceed, in points: nothing decays, nothing is cut or negative, only groups are capped."""
        sums: dict[str, float] = defaultdict(float)
        for rule in model.rules:
            if ("session_page" in rule or "return_within_days" in rule) and self.events:
                sums[rule["group"]] = float("inf")
        for entry in self.matches(model) + self.late_rows:
            sums[entry.rule["group"]] += max(0, entry.rule.get("points", 0))
        return sum(min(float(model.groups[group]["cap"]), value) for group, value in sums.items())
