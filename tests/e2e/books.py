"""The books of a deployment: all that it published against the oracle's telling of its inbox, record by record."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from schemas.codec import Undecodable, decode
from schemas.records import Engagement, LeadAlert, LeadState, LeadTransition, Quarantined, Rejected, Tick
from tests.e2e.deployment import ROOT, Deployment
from tests.e2e.reading import Row, rows
from tests.oracle.naive import Lead, Model
from tests.oracle.replay import Alarm, Change, Partition, Record, Told

R = TypeVar("R")
_KEY = re.compile(rb"[uea]_[a-z2-7]{16}")
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
    dead: dict[int, list[Rejected]] = field(default_factory=lambda: defaultdict(list))
    """What the fold rejected; the gateway's dead letters are not from the inbox."""


def _published(place: Deployment, name: str, cls: type[R]) -> list[R]:
    found = [decode(row.value) for row in rows(place.kafka, place.topic(name)) if row.value is not None]
    assert all(isinstance(each, cls) for each in found)
    return found  # type: ignore[return-value]


def open_books(place: Deployment) -> Books:
    """Read everything, as a read_committed reader sees it.

    States first and the inbox last: whatever belongs to a state that was read is there when it is looked for, and so is
    the cause of all that was read, though the deployment goes on meanwhile.
    """
    books = Books()
    for state in _published(place, "lead.state", LeadState):
        books.states[state.source_partition][state.source_offset].append(state)
    for alert in _published(place, "lead.alerts", LeadAlert):
        books.alerts[alert.source_partition].append(alert)
    for transition in _published(place, "lead.transitions", LeadTransition):
        books.transitions[transition.source_partition].append(transition)
    for quarantined in _published(place, "engagement.quarantine", Quarantined):
        books.quarantined[quarantined.source_partition].append(quarantined)
    for rejected in _published(place, "engagement.rejected", Rejected):
        if rejected.topic is not None:
            books.dead[rejected.partition or 0].append(rejected)
    for row in rows(place.kafka, place.topic("lead.events")):
        books.inbox[row.partition].append(row)
    return books


def audit(place: Deployment) -> dict[str, Lead]:
    """Compare all that was published with the oracle; none missing, none double, none without cause.

    Call it when all events that matter were folded.  Returns the leads as the oracle has them.
    """
    books = open_books(place)
    leads: dict[str, Lead] = {}
    for partition, inbox in sorted(books.inbox.items()):
        folded = max(books.states[partition], default=-1)
        told, refused = _tell(inbox, books, partition)
        _same_alerts(told.alarms, books.alerts[partition], folded)
        _same_changes(told.changes, books.transitions[partition], folded)
        found = Counter((each.source_offset, each.lead_id, each.verdict) for each in books.quarantined[partition])
        _same(Counter(told.quarantined), found, folded)
        _same(Counter(refused), Counter((each.offset, each.record) for each in books.dead[partition]), folded)
        leads |= told.leads
    return leads


def _tell(inbox: list[Row], books: Books, partition: int) -> tuple[Told, list[tuple[int, bytes]]]:
    """The oracle's telling, and what must be a dead letter; each published state is compared at its record."""
    oracle, states = Partition(model()), books.states[partition]
    refused = []
    for row in inbox:
        if _readable(row):
            oracle.tell([Record(row.offset, row.timestamp, row.key, row.value)])
        if not _readable(row) or row.offset in oracle.told.from_the_future[-1:]:
            refused.append((row.offset, row.value or b""))
        for state in states.get(row.offset, ()):
            _same_state(oracle.told.leads[state.lead_id], state)
    newest = {state.lead_id: state for at in sorted(states) for state in states[at]}
    assert newest.keys() == oracle.told.leads.keys()
    for lead_id, state in newest.items():
        lead = oracle.told.leads[lead_id]
        assert state.events == len(lead.events) + len(lead.late), f"{lead_id} was last published before its last event"
    return oracle.told, refused


def _readable(row: Row) -> bool:
    try:
        body = decode(row.value or b"")
    except Undecodable:
        return False
    return isinstance(body, Tick) or (isinstance(body, Engagement) and bool(_KEY.fullmatch(row.key or b"")))


def _same_state(lead: Lead, state: LeadState) -> None:
    points = lead.millipoints(model(), lead.as_of_s)
    assert abs(points - state.behaviour_millipoints) <= TOLERANCE_MILLIPOINTS, f"{state}: the oracle has {points}"
    expected = (lead.as_of_s, lead.hot, lead.stage, len(lead.events) + len(lead.late))
    assert (state.as_of // 1000, state.hot, state.stage, state.events) == expected, state


def _same_alerts(told: list[Alarm], found: list[LeadAlert], folded: int) -> None:
    expected = Counter((it.offset, it.lead_id, it.at_s, it.level, it.cause) for it in told)
    published = Counter((it.source_offset, it.lead_id, it.at // 1000, it.level, it.cause_event) for it in found)
    _same(expected, published, folded)
    assert len({alert.alert_id for alert in found}) == len(found)
    alarms = {alarm.offset: alarm for alarm in told}
    for alert in found:
        _same_reasons(alarms[alert.source_offset], alert)


def _same_reasons(alarm: Alarm, alert: LeadAlert) -> None:
    """The strongest three, each with its worth; of two that are worth the same either may stand first."""
    worth = dict(alarm.ranked)
    assert [reason.millipoints for reason in alert.reasons] == [
        pytest.approx(points * 1000, abs=TOLERANCE_MILLIPOINTS) for _, points in alarm.ranked[:3]
    ]
    for reason in alert.reasons:
        assert reason.millipoints == pytest.approx(worth[reason.rule] * 1000, abs=TOLERANCE_MILLIPOINTS)
        assert reason.text
    assert alert.behaviour_millipoints == pytest.approx(alarm.millipoints, abs=TOLERANCE_MILLIPOINTS)


def _same_changes(told: list[Change], found: list[LeadTransition], folded: int) -> None:
    expected = Counter((it.offset, it.lead_id, it.aspect, it.before, it.after, it.at_s, it.cause) for it in told)
    published = Counter(
        (it.source_offset, it.lead_id, it.aspect, it.before, it.after, it.at // 1000, it.cause_event) for it in found
    )
    _same(expected, published, folded)


def _same(expected: Counter[Any], published: Counter[Any], folded: int) -> None:
    missing = {each: n for each, n in (expected - published).items() if each[0] <= folded}
    assert not missing, f"missing: {missing}"
    surplus = published - expected
    assert not surplus, f"double or without cause: {surplus}"
