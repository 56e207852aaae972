"""The books of a deployment: all that it published against the oracle's telling of its inbox, record by record."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TypeVar

from schemas.codec import Undecodable, decode
from schemas.records import Engagement, LeadAlert, LeadState, LeadTransition, Quarantined, Rejected, Tick
from tests.e2e.deployment import ROOT, Deployment
from tests.e2e.reading import Row, rows
from tests.oracle.naive import Lead, Model
from tests.oracle.replay import Alarm, Change, Partition, Record, Told

R = TypeVar("R")
TOLERANCE_MILLIPOINTS = 1
"""Integer arithmetic against floats: docs/scoring.md allows them to round apart."""


@functools.cache
def model() -> Model:
    """The shipped rules, as the oracle reads them."""
    rules = ROOT / "rules"
    return Model((rules / "model.toml").read_text(), (rules / "alerts.toml").read_text())


@dataclass
class Books:
    """What is published, by partition; and the inbox it must follow from."""

    inbox: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    alerts: dict[int, list[LeadAlert]] = field(default_factory=lambda: defaultdict(list))
    transitions: dict[int, list[LeadTransition]] = field(default_factory=lambda: defaultdict(list))
    states: dict[int, dict[int, list[LeadState]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By partition and the offset of the inbox record they stand for."""
    quarantined: dict[int, list[Quarantined]] = field(default_factory=lambda: defaultdict(list))
    rejected: list[Rejected] = field(default_factory=list)
    """By the fold and by the gateway."""

    def dead(self, partition: int) -> list[Rejected]:
        """What the fold rejected of a partition."""
        return [each for each in self.rejected if each.topic == "lead.events" and each.partition == partition]


def _published(place: Deployment, name: str, cls: type[R]) -> list[R]:
    found = [decode(row.value) for row in rows(place.kafka, place.topic(name)) if row.value is not None]
    assert all(isinstance(each, cls) for each in found)
    return found  # type: ignore[return-value]


def open_books(place: Deployment) -> Books:
    """Read everything, as a read_committed reader sees it."""
    books = Books(rejected=_published(place, "engagement.rejected", Rejected))
    for row in rows(place.kafka, place.topic("lead.events")):
        books.inbox[row.partition].append(row)
    for alert in _published(place, "lead.alerts", LeadAlert):
        books.alerts[alert.source_partition].append(alert)
    for transition in _published(place, "lead.transitions", LeadTransition):
        books.transitions[transition.source_partition].append(transition)
    for state in _published(place, "lead.state", LeadState):
        books.states[state.source_partition][state.source_offset].append(state)
    for quarantined in _published(place, "engagement.quarantine", Quarantined):
        books.quarantined[quarantined.source_partition].append(quarantined)
    return books


def audit(place: Deployment) -> dict[str, Lead]:
    """Compare all that was published with the oracle; none missing, none double, none without cause.

    Call it when the workers have left and everything that matters was folded: what stands in the inbox behind the
    last state is not missed.  Returns the leads as the oracle has them.
    """
    books = open_books(place)
    leads: dict[str, Lead] = {}
    for partition, inbox in sorted(books.inbox.items()):
        folded = max(books.states[partition], default=-1)
        told = _tell(inbox, books, partition)
        _same_alerts(told.alarms, books.alerts[partition], folded)
        _same_changes(told.changes, books.transitions[partition], folded)
        found = Counter((each.source_offset, each.lead_id, each.verdict) for each in books.quarantined[partition])
        _same(Counter(told.quarantined), found, folded)
        leads |= told.leads
    return leads


def _tell(inbox: list[Row], books: Books, partition: int) -> Told:
    """The oracle's telling; every state that was published is compared at the record it stands for."""
    oracle = Partition(model())
    refused = set()
    for row in inbox:
        if _readable(row):
            oracle.tell([Record(row.offset, row.timestamp, row.key, row.value)])
        else:
            refused.add((row.offset, row.value or b""))
        for state in books.states[partition].get(row.offset, ()):
            _same_state(oracle.told.leads[state.lead_id], state)
    dead = [(each.offset, each.record) for each in books.dead(partition)]
    assert Counter(dead) == Counter(refused), f"partition {partition}: dead letters are not the unreadable records"
    newest = {state.lead_id: state for at in sorted(books.states[partition]) for state in books.states[partition][at]}
    assert newest.keys() == oracle.told.leads.keys()
    for lead_id, state in newest.items():
        lead = oracle.told.leads[lead_id]
        assert state.events == len(lead.events) + len(lead.late), f"{lead_id} was last published before its last event"
    return oracle.told


def _readable(row: Row) -> bool:
    try:
        return isinstance(decode(row.value or b""), Engagement | Tick)
    except Undecodable:
        return False


def _same_state(lead: Lead, state: LeadState) -> None:
    points = lead.millipoints(model(), lead.as_of_s)
    assert abs(points - state.behaviour_millipoints) <= TOLERANCE_MILLIPOINTS, f"{state}: the oracle has {points}"
    expected = (lead.as_of_s, lead.hot, lead.stage, len(lead.events) + len(lead.late))
    assert (state.as_of // 1000, state.hot, state.stage, state.events) == expected, state


def _same_alerts(told: list[Alarm], found: list[LeadAlert], folded: int) -> None:
    def reasons(alarm: Alarm) -> tuple[tuple[str, int], ...]:
        return tuple((rule, round(points)) for rule, points in alarm.ranked[:3])

    expected = Counter((it.offset, it.lead_id, it.at_s, it.level, it.cause, reasons(it)) for it in told)
    published = Counter(
        (
            *(it.source_offset, it.lead_id, it.at // 1000, it.level, it.cause_event or ""),
            tuple((reason.rule, round(reason.millipoints / 1000)) for reason in it.reasons),
        )
        for it in found
    )
    _same(expected, published, folded)
    assert len({alert.alert_id for alert in found}) == len(found)


def _same_changes(told: list[Change], found: list[LeadTransition], folded: int) -> None:
    expected = Counter((it.offset, it.lead_id, it.aspect, it.before, it.after, it.at_s, it.cause) for it in told)
    published = Counter(
        (it.source_offset, it.lead_id, it.aspect, it.before, it.after, it.at // 1000, it.cause_event) for it in found
    )
    _same(expected, published, folded)


def _same(expected: Counter[tuple[object, ...]], published: Counter[tuple[object, ...]], folded: int) -> None:
    missing = {each: n for each, n in (expected - published).items() if each[0] <= folded}  # type: ignore[operator]
    assert not missing, f"missing: {missing}"
    surplus = published - expected
    assert not surplus, f"double or without cause: {surplus}"
