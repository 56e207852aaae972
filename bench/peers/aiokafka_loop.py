"""The simple job as a loop around aiokafka's consumer and producer: JSON, a dict, nothing remembered across a restart.

Written for speed: each lead's state is published once for all its records in a fetch, the producer collects for 5 ms,
and offsets are committed once a second, after what they stand for has been acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.peers.job import NEW, Marks, State, Task, step, task

COMMIT_S = 1.0


def as_json(state: State) -> bytes:
    """A state as a record."""
    score, at, hot = state
    return json.dumps({"score": score, "at": at, "hot": hot}).encode()


async def main(given: Task) -> None:
    """Run until it is killed."""
    consumer = AIOKafkaConsumer(
        given.events,
        bootstrap_servers=given.kafka,
        group_id=given.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=given.kafka, acks="all", linger_ms=5, max_batch_size=262_144)
    await consumer.start()
    await producer.start()
    marks, states, committed = Marks(given), dict[bytes, State](), time.monotonic()
    while True:
        fetched = await consumer.getmany(timeout_ms=100, max_records=4000)
        for place, records in fetched.items():
            changed = set()
            for record in records:
                event = json.loads(record.value)
                key = record.key
                states[key], alert = step(states.get(key, NEW), event["kind"], event["occurred_at"])
                changed.add(key)
                if alert:
                    await producer.send(given.alerts, as_json(states[key]), key, place.partition)
            for key in changed:
                await producer.send(given.states, as_json(states[key]), key, place.partition)
            marks.add(len(records))
        if fetched and time.monotonic() - committed > COMMIT_S:
            await producer.flush()
            await consumer.commit()
            committed = time.monotonic()


if __name__ == "__main__":
    asyncio.run(main(task(sys.argv[1:])))
