"""The log on Kafka, by aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import TopicPartition

from agents.lane.errors import BatchRefused, Fenced
from agents.lane.fetched import hand_out_as_decoded
from agents.lane.log import Bounds, CommittedRecord, Entry, TopicIdentity
from agents.lane.topic_identity import identify_topics

MAX_BATCH_BYTES = 900_000  # below the broker's default message.max.bytes of 1 MiB
CLOSE_PATIENCE_S = 5.0
FETCH_BYTES = 1 << 20  # of a partition and answer; four times as much read no faster and held up the loop for longer


@dataclass(frozen=True, slots=True)
class KafkaLog:
    """How to reach the cluster, and how long a silent producer's transaction may stay open."""

    bootstrap: str
    client_id: str
    transaction_timeout_ms: int
    request_timeout_ms: int = 40_000

    def writer(self, transactional_id: str) -> KafkaWriter:
        """A writer, not yet started; must be called inside the event loop."""
        producer = AIOKafkaProducer(
            transactional_id=transactional_id,
            transaction_timeout_ms=self.transaction_timeout_ms,
            acks="all",
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            **self._connection(),
        )
        return KafkaWriter(producer, transactional_id)

    async def reader(self) -> KafkaReader:
        """A reader, started."""
        consumer = AIOKafkaConsumer(
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
            check_crcs=False,  # the transport has checksums; this is the hot path of a restart
            **self._connection(),
        )
        try:
            await consumer.start()
        except BaseException:
            await _quietly(consumer.stop())
            raise
        hand_out_as_decoded(consumer)
        return KafkaReader(consumer)

    async def identify(self, topics: Collection[str]) -> Mapping[str, TopicIdentity]:
        """The identity of each topic that exists."""
        client = AIOKafkaClient(**self._connection())
        try:
            await client.bootstrap()
            return await identify_topics(client, topics)
        finally:
            await _quietly(client.close())

    def _connection(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
            "retry_backoff_ms": 20,  # a transaction right after another meets CONCURRENT_TRANSACTIONS for some ms
        }


class KafkaWriter:
    """A transactional producer; one for each owned partition."""

    def __init__(self, producer: AIOKafkaProducer, transactional_id: str) -> None:
        self._producer, self._id = producer, transactional_id

    async def start(self) -> None:
        """Fence the older producers of this id: the coordinator raises the epoch and aborts what they left open."""
        await self._producer.start()

    async def begin(self) -> None:
        """Open a transaction."""
        with _translated(self._id):
            await self._producer.begin_transaction()

    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        """Append in as few producer batches as possible."""
        producer, sent = self._producer, []
        batch = producer.create_batch()
        with _translated(self._id):
            for key, value, headers in entries:
                if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                    sent.append((await producer.send_batch(batch, topic, partition=partition), batch.record_count()))
                    batch = producer.create_batch()
                    if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                        raise BatchRefused(f"a record for {topic}/{partition} is larger than {MAX_BATCH_BYTES} bytes")
            sent.append((await producer.send_batch(batch, topic, partition=partition), batch.record_count()))
        return _Acknowledgement(self._id, f"{topic}/{partition}", sent)

    async def commit(self) -> None:
        """Commit; aiokafka would do so without a refused batch, hence the acknowledgements."""
        with _translated(self._id):
            await self._producer.commit_transaction()

    async def abort(self) -> None:
        """Abort."""
        with _translated(self._id):
            await self._producer.abort_transaction()

    async def close(self) -> None:
        """Close the connections."""
        await _quietly(self._producer.stop())


class _Acknowledgement:
    """Awaits every batch of one append."""

    __slots__ = ("_id", "_sent", "_where")

    def __init__(self, transactional_id: str, where: str, sent: list[tuple[asyncio.Future[Any], int]]) -> None:
        self._id, self._where, self._sent = transactional_id, where, sent

    def __await__(self) -> Generator[Any, None, int]:
        end = 0
        with _translated(self._id, self._where):
            for future, count in self._sent:
                metadata = yield from future.__await__()
                end = metadata.offset + count
        return end


class KafkaReader:
    """A read_committed consumer without a group."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def bounds(self, topic: str, partitions: Collection[int]) -> Mapping[int, Bounds]:
        """First and last stable offsets; assigned, so that the client asks for the leaders now and not in a second."""
        places = [TopicPartition(topic, partition) for partition in partitions]
        self._consumer.assign(places)
        self._consumer.pause(*places)
        firsts = await self._consumer.beginning_offsets(places)
        ends = await self._consumer.end_offsets(places)
        return {place.partition: Bounds(firsts[place], ends[place]) for place in places}

    async def read(
        self, topic: str, partitions: Collection[int], sink: Callable[[int, Sequence[CommittedRecord]], None]
    ) -> Mapping[int, int]:
        """Read to the end; judged by the position, because the last offset may be a marker and never a record."""
        consumer = self._consumer
        places = [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        unread = set(places)
        while unread:
            for place in list(unread):
                if await consumer.position(place) >= ends[place]:
                    unread.discard(place)
            if unread:
                fetched = await consumer.getmany(*unread, timeout_ms=200)
                for place, records in fetched.items():
                    sink(place.partition, records)
        return {place.partition: ends[place] for place in places}

    async def close(self) -> None:
        """Close the connections."""
        await _quietly(self._consumer.stop())


class _translated:  # noqa: N801 - reads as a statement
    """Names the two failures the lane tells apart; the rest stays what it is."""

    __slots__ = ("_id", "_where")

    def __init__(self, transactional_id: str, where: str = "") -> None:
        self._id, self._where = transactional_id, where

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ProducerFenced):
            raise Fenced(f"{self._id}: a younger producer has started") from error
        if self._where and isinstance(error, KafkaError):
            raise BatchRefused(f"{self._where} did not take a batch: {error!r}") from error


async def _quietly(closing: Awaitable[Any]) -> None:
    """Closing what may be broken already: there is nothing left to do about a failure."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(closing, CLOSE_PATIENCE_S)
