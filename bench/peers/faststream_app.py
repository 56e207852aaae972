"""The simple job as a FastStream subscriber: a typed handler, a dict, two publishers."""

from __future__ import annotations

import asyncio
import sys

from faststream import FastStream
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from pydantic import BaseModel

from bench.peers.job import NEW, Marks, State, step, task

given = task(sys.argv[1:])
marks = Marks(given)
states: dict[bytes, State] = {}
broker = KafkaBroker(given.kafka, linger_ms=5, acks="all", logger=None)
app = FastStream(broker, logger=None)
state_changes = broker.publisher(given.states)
alerts = broker.publisher(given.alerts)


class Event(BaseModel):
    """What is read of an event."""

    kind: str
    occurred_at: int


class Lead(BaseModel):
    """What is told of a lead."""

    score: float
    at: int
    hot: bool


@broker.subscriber(given.events, group_id=given.group, auto_offset_reset="earliest")
async def score(event: Event, message: KafkaMessage) -> None:
    """Fold an event into its lead."""
    record = message.raw_message
    key = record.key
    states[key], alert = step(states.get(key, NEW), event.kind, event.occurred_at)
    score, at, hot = states[key]
    lead = Lead(score=score, at=at, hot=hot)
    await state_changes.publish(lead, key=key, partition=record.partition, no_confirm=True)
    if alert:
        await alerts.publish(lead, key=key, partition=record.partition, no_confirm=True)
    marks.add()


if __name__ == "__main__":
    asyncio.run(app.run())
