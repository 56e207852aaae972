"""The simple job as a table of Pathway: grouped by lead, folded by a reducer with state, its changes written to Kafka.

Pathway works on small batches, in which the order of rows is unspecified: they are put in order of time.
"""

from __future__ import annotations

import sys
from typing import Any

import pathway as pw

from bench.peers.job import NEW, Marks, step, task

given = task(sys.argv[1:])
marks = Marks(given)
SETTINGS = {
    "bootstrap.servers": given.kafka,
    "group.id": given.group,
    "session.timeout.ms": "6000",
    "auto.offset.reset": "earliest",
}


class Event(pw.Schema):
    """What is read of an event."""

    lead: str
    kind: str
    occurred_at: int


@pw.reducers.stateful_many
def score(lead: tuple[Any, ...] | None, rows: list[tuple[list[Any], int]]) -> tuple[Any, ...]:
    """Fold events into their lead: (score, at, hot, alerts so far)."""
    points, at, hot, alerts = lead or (*NEW, 0)
    state = points, at, hot
    # Equal rows come as one, with their number.
    for occurred_at, kind in sorted((at, kind) for (kind, at), count in rows for _ in range(count)):
        state, alert = step(state, kind, occurred_at)
        alerts += alert
        marks.add()
    return (*state, alerts)


events = pw.io.kafka.read(SETTINGS, topic=given.events, schema=Event, format="json", autocommit_duration_ms=100)
scored = events.groupby(pw.this.lead).reduce(pw.this.lead, state=score(pw.this.kind, pw.this.occurred_at))
leads = scored.select(
    pw.this.lead,
    score=pw.declare_type(float, pw.this.state[0]),
    at=pw.declare_type(int, pw.this.state[1]),
    hot=pw.declare_type(bool, pw.this.state[2]),
    alerts=pw.declare_type(int, pw.this.state[3]),
)
pw.io.kafka.write(leads, SETTINGS, topic_name=given.states, format="json", key=leads.lead)
alerted = leads.filter(pw.this.alerts > 0).select(pw.this.lead, pw.this.alerts)
pw.io.kafka.write(alerted, SETTINGS, topic_name=given.alerts, format="json", key=alerted.lead)

if __name__ == "__main__":
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
