"""Read topics as any other service would: every partition, no group, each record once (read_committed)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from handraise.failure import Failure
from handraise.settings import Settings
from handraise.topics import CREATE, admin, find, unreachable
from schemas.codec import Undecodable, decode
from schemas.records import Record
from schemas.topics import physical

SETTLED_S = 2.0
"""Longer than the markers of a transaction take, even on a busy cluster."""


class Seen(NamedTuple):
    """A record as it came, and what it is."""

    topic: str
    """Logical name."""
    raw: ConsumerRecord
    value: Record | None
    """None for a tombstone, and where `problem` says why it cannot be read."""
    problem: str


class Subscriber:
    """Records of some topics, in the order in which they came (by the broker's clock within one answer)."""

    def __init__(self, consumer: AIOKafkaConsumer, bootstrap: str, logical: dict[str, str]) -> None:
        self._consumer, self._bootstrap, self._logical = consumer, bootstrap, logical

    async def next(self, timeout_ms: int, most: int | None = None) -> list[Seen]:
        """What has come; empty when nothing did within the time."""
        fetched = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=most)
        records = [record for part in fetched.values() for record in part]
        records.sort(key=lambda record: (record.timestamp, record.offset))
        return [_seen(self._logical[record.topic], record) for record in records]

    async def rest(self) -> list[Seen]:
        """All that there is up to now, and what was written in transactions that end within a moment.

        A commit is answered, and seen in one topic, before its markers stand in all of them.
        """
        places, found = list(self._consumer.assignment()), list[Seen]()
        written = await self._written(places)
        patience = time.monotonic() + SETTLED_S
        while await self._is_before(written):
            found += await self.next(100)
            if time.monotonic() > patience and not await self._is_before(await self._consumer.end_offsets(places)):
                break  # a transaction that nobody ends
        return found

    async def _written(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        """How far the topics are written, transactions that are under way included."""
        reader = _consumer(self._bootstrap)
        await reader.start()
        try:
            ends: dict[TopicPartition, int] = await reader.end_offsets(places)
            return ends
        finally:
            await reader.stop()

    async def _is_before(self, ends: dict[TopicPartition, int]) -> bool:
        """By the position: the last offset may be a marker and never a record."""
        return any([await self._consumer.position(place) < end for place, end in ends.items()])


@asynccontextmanager
async def subscribe(
    settings: Settings, names: Collection[str], *, beginning: bool, uncommitted: bool = False, wait_ms: int = 100
) -> AsyncIterator[Subscriber]:
    """Subscribe to topics by their logical names, from their beginning or from now on.

    Raises Failure for a missing topic and when Kafka does not answer.
    """
    logical = {physical(name, settings.prefix): name for name in names}
    async with admin(settings.kafka) as client:
        found = await find(client, list(logical))
    for name in logical:
        if name not in found:
            raise Failure("the topic is missing", f"topic {name} on {settings.kafka}", f"run `{CREATE}`")
    isolation = "read_uncommitted" if uncommitted else "read_committed"
    consumer = _consumer(settings.kafka, isolation_level=isolation, fetch_max_wait_ms=wait_ms)
    try:
        await consumer.start()
        places = [TopicPartition(name, n) for name, topic in found.items() for n in range(topic.partitions)]
        consumer.assign(places)
        if not beginning:
            await consumer.seek_to_end(*places)
        yield Subscriber(consumer, settings.kafka, logical)
    except (KafkaError, OSError) as error:
        raise unreachable(settings.kafka, error) from error
    finally:
        await consumer.stop()


def _consumer(bootstrap: str, **settings: Any) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="handraise-reader",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **settings,
    )


def _seen(topic: str, raw: ConsumerRecord) -> Seen:
    if raw.value is None:
        return Seen(topic, raw, None, "")
    try:
        return Seen(topic, raw, decode(raw.value), "")
    except Undecodable as error:
        return Seen(topic, raw, None, f"{error.code}, {error.reason}")
