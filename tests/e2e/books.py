"""The books of a deployment: all that it published against the oracle's telling of its inbox, record by record."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from schemas.codec import Undecodable, decode
from schemas.head import record_name
from schemas.records import Engagement, LeadAlert, LeadState, LeadTransition, Mail, Quarantined, Rejected, Tick
from tests.e2e.deployment import ROOT, Deployment, until
from tests.e2e.reading import Row, rows
from tests.oracle.linked import Letter, Linked
from tests.oracle.naive import Event, Lead, Model
from tests.oracle.replay import Alarm, Change, Record, event_of, words

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
    last: dict[int, dict[str, LeadState | None]] = field(default_factory=lambda: defaultdict(dict))
    """By partition and lead, None for one that is gone."""
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
    for row in rows(place.kafka, place.topic("lead.state")):
        state = None if row.value is None else decode(row.value)
        assert state is None or isinstance(state, LeadState)
        books.last[row.partition][(row.key or b"").decode()] = state
        if state is not None:
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


def await_quiet(place: Deployment) -> None:
    """Return when every record of the inbox but the newest ticks is folded: then nothing is on its way."""

    def is_quiet() -> bool:
        cursors = {
            row.partition: row.value
            for row in rows(place.kafka, place.topic("leads.changelog"))
            if row.key == CURSOR_KEY
        }
        folded = {partition: decode_cursor(value).next_offset for partition, value in cursors.items()}
        return all(
            row.offset < folded.get(row.partition, 0) or record_name(row.value or b"") == "Tick"
            for row in rows(place.kafka, place.topic("lead.events"))
        )

    until(is_quiet, "all records to be folded")


def audit(place: Deployment) -> dict[str, Lead]:
    """Compare all that was published with the oracle; none missing, none double, none without cause.

    Waits until all is folded, and what leads have written to each other, too.  Returns the leads as the oracle has
    them.
    """
    await_quiet(place)
    books = open_books(place)
    leads: dict[str, Lead] = {}
    due, sent, received = Counter[Letter](), Counter[Letter](), Counter[Letter]()
    bodies = [decode(row.value or b"") for inbox in books.inbox.values() for row in inbox if _readable(row)]
    events = {body.event_id: event_of(body) for body in bodies if isinstance(body, Engagement)}
    for partition, inbox in sorted(books.inbox.items()):
        folded = max(books.states[partition], default=-1)
        oracle, refused = _tell(inbox, books, partition, events)
        told = oracle.told
        due.update(letter for offset, letter in oracle.sent if offset <= folded)
        sent.update(letter for _, letter in oracle.sent)
        received.update(oracle.received)
        _same_alerts(told.alarms, books.alerts[partition], folded)
        _same_changes(told.changes, books.transitions[partition], folded)
        found = Counter((each.source_offset, each.lead_id, each.verdict) for each in books.quarantined[partition])
        _same(Counter(told.quarantined), found, folded)
        _same(Counter(refused), Counter((each.offset, each.record) for each in books.dead[partition]), folded)
        leads |= told.leads
    assert not due - received, f"what leads had to write to each other and did not: {due - received}"
    assert not received - sent, f"what leads wrote to each other without cause: {received - sent}"
    return leads


def _tell(
    inbox: list[Row], books: Books, partition: int, events: dict[bytes, Event]
) -> tuple[Linked, list[tuple[int, bytes]]]:
    """The oracle's telling, and what must be a dead letter; each published state is compared at its record."""
    oracle, states = (
        Linked(model(), words(books.transitions[partition]), lambda id, _: events[id]),
        books.states[partition],
    )
    refused = []
    for row in inbox:
        if _readable(row):
            oracle.tell([Record(row.offset, row.timestamp, row.key, row.value)])
        if not _readable(row) or row.offset in oracle.told.from_the_future[-1:]:
            refused.append((row.offset, row.value or b""))
        for state in states.get(row.offset, ()):
            _same_state(oracle.told.leads[state.lead_id], state)
    newest = {lead_id: state for lead_id, state in books.last[partition].items() if state is not None}
    assert newest.keys() == oracle.told.leads.keys()
    for lead_id, state in newest.items():
        lead = oracle.told.leads[lead_id]
        assert state.events == len(lead.events) + len(lead.late), f"{lead_id} was last published before its last event"
    return oracle, refused


def _readable(row: Row) -> bool:
    try:
        body = decode(row.value or b"")
    except Undecodable:
        return False
    if isinstance(body, Engagement):
        return bool(_KEY.fullmatch(row.key or b""))
    return isinstance(body, Tick | Mail)


def _same_state(lead: Lead, state: LeadState) -> None:
    points = lead.millipoints(model(), lead.as_of_s)
    assert abs(points - state.behaviour_millipoints) <= TOLERANCE_MILLIPOINTS, f"{state}: the oracle has {points}"
    expected = (lead.as_of_s, lead.hot, lead.stage, len(lead.events) + len(lead.late))
    assert (state.as_of // 1000, state.hot, state.stage, state.events) == expected, state


def _same_alerts(told: list[Alarm], found: list[LeadAlert], folded: int) -> None:
    expected = Counter((it.offset, it.lead_id, it.at_s, it.cause) for it in told)
    published = Counter((it.source_offset, it.lead_id, it.at // 1000, it.cause_event) for it in found)
    _same(expected, published, folded)
    assert len({alert.alert_id for alert in found}) == len(found)
    alarms = {alarm.offset: alarm for alarm in told}
    for alert in found:
        assert alert.level == model().level(alert.behaviour_millipoints)
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
