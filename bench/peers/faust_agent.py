"""The simple job as an agent of Faust, the way its guide shows: a record model, a table, a topic for alerts."""

from __future__ import annotations

import sys

import faust

from bench.peers.job import NEW, Marks, step, task

given = task(sys.argv[1:])
marks = Marks(given)
app = faust.App(
    given.group,
    broker=f"kafka://{given.kafka}",
    store="memory://",
    value_serializer="json",
    key_serializer="raw",
    topic_partitions=given.partitions,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    datadir=given.folder,
    web_enabled=False,
    worker_redirect_stdouts=False,
)


class Event(faust.Record, serializer="json"):
    """What is read of an event."""

    kind: str
    occurred_at: int


class Lead(faust.Record, serializer="json"):
    """What is kept of a lead."""

    score: float
    at: int
    hot: bool


events = app.topic(given.events, key_type=bytes, value_type=Event)
alerts = app.topic(given.alerts, key_type=bytes, value_type=Lead)
leads = app.Table("leads", key_type=bytes, value_type=Lead, partitions=given.partitions)


@app.agent(events)
async def score(stream: faust.Stream[Event]) -> None:
    """Fold each event into its lead."""
    async for key, event in stream.items():
        known = leads.get(key)
        before = (known.score, known.at, known.hot) if known else NEW
        after, alert = step(before, event.kind, event.occurred_at)
        leads[key] = lead = Lead(*after)
        if alert:
            await alerts.send(key=key, value=lead)
        marks.add()


if __name__ == "__main__":
    app.finalize()
    faust.Worker(app, loglevel="warning").execute_from_commandline()
