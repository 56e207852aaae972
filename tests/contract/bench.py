# ruff: noqa: D102  the Bench protocol's methods say what they do by their names
"""What the contract suite needs beside a log: topics, plain producers, and looks at what lies there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from agents.lane.kafka_log import KafkaLog
from agents.lane.log import Entry, Headers, Log
from agents.lane.memory_log import MemoryLog

TIMEOUT_MS = 2000
"""How long a silent producer's transaction stays open in this suite."""
DEADLINE_S = 60.0
SMALL_BYTES = 100_000
"""The largest value that topics of this suite take."""


class Seen(NamedTuple):
    """A record as a reader sees it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Bench(Protocol):
    """One log, and the hands of an operator."""

    log: Log
    prefix: str

    async def create(self, topic: str, partitions: int) -> None: ...
    async def delete(self, topic: str) -> None: ...
    async def grow(self, topic: str, partitions: int) -> None: ...
    async def expire(self, topic: str, partition: int, before: int) -> None: ...
    async def produce(self, topic: str, partition: int, entries: Sequence[Entry]) -> None: ...
    async def seen(self, topic: str, partition: int, *, committed: bool) -> list[Seen]: ...
    async def end(self, topic: str, partition: int) -> int: ...
    async def outlast_transactions(self, topic: str, partition: int) -> None: ...
    async def close(self) -> None: ...


class MemoryBench:
    """The bench of the log in memory."""

    def __init__(self) -> None:
        self.memory = MemoryLog(transaction_timeout_ms=TIMEOUT_MS)
        self.log: Log = self.memory
        self.prefix = ""

    async def create(self, topic: str, partitions: int) -> None:
        self.memory.create(topic, partitions, SMALL_BYTES)

    async def delete(self, topic: str) -> None:
        self.memory.delete(topic)

    async def grow(self, topic: str, partitions: int) -> None:
        self.memory.grow(topic, partitions)

    async def expire(self, topic: str, partition: int, before: int) -> None:
        self.memory.expire(topic, partition, before)

    async def produce(self, topic: str, partition: int, entries: Sequence[Entry]) -> None:
        self.memory.produce(topic, partition, entries)

    async def seen(self, topic: str, partition: int, *, committed: bool) -> list[Seen]:
        records, _ = self.memory.fetch(topic, partition, 0, committed=committed)
        return [Seen(record.offset, record.key, record.value, record.headers) for record in records]

    async def end(self, topic: str, partition: int) -> int:
        return self.memory.end(topic, partition)

    async def outlast_transactions(self, topic: str, partition: int) -> None:
        self.memory.advance(TIMEOUT_MS)

    async def close(self) -> None: ...


class KafkaBench:
    """The bench of a real Kafka."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap, self.prefix = bootstrap, prefix
        self.log: Log = KafkaLog(bootstrap, "contract", TIMEOUT_MS)
        self.admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def start(self) -> KafkaBench:
        await self.admin.start()
        return self

    async def create(self, topic: str, partitions: int) -> None:
        settings = {"max.message.bytes": str(SMALL_BYTES)}
        await self._until_done(self.admin.create_topics, [NewTopic(topic, partitions, 1, topic_configs=settings)])
        await self._until_leads(topic, partitions)

    async def delete(self, topic: str) -> None:
        await self.admin.delete_topics([topic])
        while topic in await self.log.identify([topic]):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.02)

    async def grow(self, topic: str, partitions: int) -> None:
        await self.admin.create_partitions({topic: NewPartitions(partitions)})
        await self._until_leads(topic, partitions)

    async def expire(self, topic: str, partition: int, before: int) -> None:
        await self.admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)})

    async def produce(self, topic: str, partition: int, entries: Sequence[Entry]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all", linger_ms=0)
        await producer.start()
        try:
            batch = producer.create_batch()
            for key, value, headers in entries:
                batch.append(key=key, value=value, timestamp=None, headers=headers)
            await (await producer.send_batch(batch, topic, partition=partition))
        finally:
            await producer.stop()

    async def seen(self, topic: str, partition: int, *, committed: bool) -> list[Seen]:
        place = TopicPartition(topic, partition)
        async with self._consumer(committed) as consumer:
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            await consumer.seek_to_beginning(place)
            seen: list[Seen] = []
            while await consumer.position(place) < end:
                records = (await consumer.getmany(place, timeout_ms=100)).get(place, [])
                seen.extend(Seen(record.offset, record.key, record.value, list(record.headers)) for record in records)
            return seen

    async def end(self, topic: str, partition: int) -> int:
        place = TopicPartition(topic, partition)
        async with self._consumer(committed=False) as consumer:
            consumer.assign([place])
            end: int = (await consumer.end_offsets([place]))[place]
            return end

    async def outlast_transactions(self, topic: str, partition: int) -> None:
        reader = await self.log.reader()
        try:
            deadline = time.monotonic() + DEADLINE_S
            while (await reader.bounds(topic, [partition]))[partition].end < await self.end(topic, partition):
                if time.monotonic() > deadline:
                    raise TimeoutError("the coordinator did not end the dead producer's transaction")
                await asyncio.sleep(0.1)
        finally:
            await reader.close()

    async def close(self) -> None:
        await self.admin.close()

    def _consumer(self, committed: bool) -> AIOKafkaConsumer:
        level = "read_committed" if committed else "read_uncommitted"
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, isolation_level=level, auto_offset_reset="earliest", fetch_max_wait_ms=20
        )

    async def _until_done(self, call, *arguments) -> None:
        """A topic deleted a moment ago can still be in the way of its successor."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                response = await call(*arguments)
            except KafkaError:
                if time.monotonic() > deadline:
                    raise
            else:
                codes = [error[1] for error in response.topic_errors]
                if not any(codes):
                    return
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not created: {response}")
            await asyncio.sleep(0.05)

    async def _until_leads(self, topic: str, partitions: int) -> None:
        """A new topic is known before its partitions take records."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            reader = await self.log.reader()
            try:
                await reader.bounds(topic, range(partitions))
            except (KafkaError, UnknownTopicOrPartitionError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)
            else:
                return
            finally:
                await reader.close()
