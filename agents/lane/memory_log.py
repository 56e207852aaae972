"""A log in memory that behaves like Kafka's where the lane relies on it, for fast tests and simulations.

It models transactions as the broker sees them: batches of a producer (id and epoch), markers that take one offset,
the last stable offset, fencing by `start`, aborts of what a dead producer left open after its time-out, refused batches
that a careless commit loses silently, retention and compaction. Time stands still until `advance` is called.
"""

from __future__ import annotations

import asyncio
import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from agents.lane.errors import BatchRefused, Fenced
from agents.lane.log import Bounds, CommittedRecord, Entry, Headers, TopicIdentity


class MemoryRecord(NamedTuple):
    """One record as it lies in a partition."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class _Transaction:
    """One producer's transaction: open (committed is None), committed or aborted."""

    started_ms: int
    committed: bool | None = None
    touched: dict[tuple[str, int], int] = field(default_factory=dict)  # partition -> first offset


@dataclass(slots=True)
class _Producer:
    epoch: int = -1
    open: _Transaction | None = None


@dataclass(slots=True)
class _Stored:
    record: MemoryRecord
    transaction: _Transaction | None


class _Partition:
    def __init__(self) -> None:
        self.first = 0
        self.end = 0
        self.stored: list[_Stored] = []

    def append(self, entries: Sequence[Entry], now_ms: int, transaction: _Transaction | None) -> int:
        for key, value, headers in entries:
            self.stored.append(_Stored(MemoryRecord(self.end, now_ms, key, value, headers), transaction))
            self.end += 1
        return self.end


class MemoryLog:
    """The broker and its topics; shared by all writers and readers of a test."""

    def __init__(self, now_ms: int = 1_700_000_000_000, transaction_timeout_ms: int = 11_000) -> None:
        self.now_ms = now_ms
        self.transaction_timeout_ms = transaction_timeout_ms
        self._topics: dict[str, list[_Partition]] = {}
        self._identities: dict[str, TopicIdentity] = {}
        self._limits: dict[str, int] = {}
        self._producers: dict[str, _Producer] = {}
        self._created: Counter[str] = Counter()

    # -- administration, by tests
    def create(self, topic: str, partitions: int, max_value_bytes: int = 1_000_000) -> None:
        """Create a topic that takes values up to a size; larger ones are refused with their batch."""
        if topic in self._topics:
            raise ValueError(f"topic {topic} exists")
        self._created[topic] += 1
        topic_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{topic}/{self._created[topic]}"))
        self._topics[topic] = [_Partition() for _ in range(partitions)]
        self._identities[topic] = TopicIdentity(topic_id, partitions)
        self._limits[topic] = max_value_bytes

    def delete(self, topic: str) -> None:
        """Delete a topic with all it holds."""
        for register in (self._topics, self._identities, self._limits):
            register.pop(topic)

    def grow(self, topic: str, partitions: int) -> None:
        """Add partitions to a topic; it stays the same topic."""
        present = self._topics[topic]
        present.extend(_Partition() for _ in range(partitions - len(present)))
        self._identities[topic] = self._identities[topic]._replace(partitions=partitions)

    def expire(self, topic: str, partition: int, before: int) -> None:
        """Retention: forget every record below an offset."""
        place = self._topics[topic][partition]
        place.first = max(place.first, min(before, place.end))
        place.stored = [stored for stored in place.stored if stored.record.offset >= place.first]

    def truncate(self, topic: str, partition: int, end: int) -> None:
        """Lose the tail of a partition, as an unclean leader election does."""
        place = self._topics[topic][partition]
        place.stored = [stored for stored in place.stored if stored.record.offset < end]
        place.end = min(place.end, end)

    def compact(self, topic: str, partition: int) -> None:
        """Keep the newest committed record of each key; offsets stay as they are, tombstones too."""
        place = self._topics[topic][partition]
        stable = self._stable_end(topic, partition)
        newest = {
            stored.record.key: stored.record.offset
            for stored in place.stored
            if self._visible(stored) and stored.record.offset < stable
        }
        place.stored = [
            stored
            for stored in place.stored
            if stored.record.offset >= stable or newest.get(stored.record.key) == stored.record.offset
        ]

    def advance(self, milliseconds: int) -> None:
        """Let time pass; the coordinator aborts transactions that have been open for too long, and fences them."""
        self.now_ms += milliseconds
        for producer in self._producers.values():
            if producer.open and self.now_ms - producer.open.started_ms >= self.transaction_timeout_ms:
                producer.epoch += 1
                self._finish(producer, committed=False)

    def produce(self, topic: str, partition: int, entries: Sequence[Entry]) -> int:
        """Append without a transaction, as a gateway does; returns the offset after the last entry."""
        return self._topics[topic][partition].append(entries, self.now_ms, None)

    # -- the Log protocol
    def writer(self, transactional_id: str) -> MemoryWriter:
        """A writer, not yet started."""
        return MemoryWriter(self, transactional_id)

    async def reader(self) -> MemoryReader:
        """A read_committed reader."""
        return MemoryReader(self)

    async def identify(self, topics: Collection[str]) -> Mapping[str, TopicIdentity]:
        """The identity of each topic that exists."""
        return {topic: self._identities[topic] for topic in topics if topic in self._identities}

    # -- reading
    def bounds(self, topic: str, partition: int) -> Bounds:
        """What a read_committed reader can read."""
        return Bounds(self._topics[topic][partition].first, self._stable_end(topic, partition))

    def end(self, topic: str, partition: int) -> int:
        """The high watermark: everything appended, open transactions and markers included."""
        return self._topics[topic][partition].end

    def fetch(
        self, topic: str, partition: int, position: int, limit: int | None = None, *, committed: bool = True
    ) -> tuple[list[MemoryRecord], int]:
        """Records from a position, and the position after them; aborted records and markers are stepped over."""
        place = self._topics[topic][partition]
        end = self._stable_end(topic, partition) if committed else place.end
        records: list[MemoryRecord] = []
        start = bisect_left(place.stored, position, key=lambda stored: stored.record.offset)
        for stored in islice(place.stored, start, None):
            if stored.record.offset >= end:
                break
            if committed and not self._visible(stored):
                continue
            if limit is not None and len(records) == limit:
                return records, records[-1].offset + 1
            records.append(stored.record)
        return records, max(end, position)

    def _visible(self, stored: _Stored) -> bool:
        return stored.transaction is None or stored.transaction.committed is True

    def _stable_end(self, topic: str, partition: int) -> int:
        firsts = [
            producer.open.touched[topic, partition]
            for producer in self._producers.values()
            if producer.open and (topic, partition) in producer.open.touched
        ]
        return min([self._topics[topic][partition].end, *firsts])

    # -- the transaction coordinator, for writers
    def _fence(self, transactional_id: str) -> int:
        producer = self._producers.setdefault(transactional_id, _Producer())
        producer.epoch += 1
        if producer.open:
            self._finish(producer, committed=False)
        return producer.epoch

    def _producer(self, transactional_id: str, epoch: int) -> _Producer:
        producer = self._producers[transactional_id]
        if producer.epoch != epoch:
            raise Fenced(f"{transactional_id}: epoch {epoch} was fenced by {producer.epoch}")
        return producer

    def _append(self, transactional_id: str, epoch: int, topic: str, partition: int, entries: Sequence[Entry]) -> int:
        producer = self._producer(transactional_id, epoch)
        if any(len(value or b"") > self._limits[topic] for _, value, _ in entries):
            raise BatchRefused(f"a record for {topic}/{partition} is larger than {self._limits[topic]} bytes")
        if producer.open is None:
            producer.open = _Transaction(self.now_ms)
        place = self._topics[topic][partition]
        producer.open.touched.setdefault((topic, partition), place.end)
        return place.append(entries, self.now_ms, producer.open)

    def _end(self, transactional_id: str, epoch: int, *, committed: bool) -> None:
        producer = self._producer(transactional_id, epoch)
        if producer.open:
            self._finish(producer, committed=committed)

    def _finish(self, producer: _Producer, *, committed: bool) -> None:
        transaction = producer.open
        if transaction is None:
            raise RuntimeError("no transaction is open")
        transaction.committed = committed
        for topic, partition in transaction.touched:
            if topic in self._topics:
                self._topics[topic][partition].end += 1  # the marker
        producer.open = None


class MemoryWriter:
    """A transactional producer of a MemoryLog."""

    def __init__(self, log: MemoryLog, transactional_id: str) -> None:
        self._log, self._id = log, transactional_id
        self._epoch: int | None = None
        self._in_transaction = False

    async def start(self) -> None:
        """Fence the older writers of this id."""
        await asyncio.sleep(0)
        self._epoch = self._log._fence(self._id)

    async def begin(self) -> None:
        """Open a transaction; like Kafka's client it asks nobody, so a fence shows at the first append or commit."""
        if self._epoch is None or self._in_transaction:
            raise RuntimeError(f"{self._id}: begin before start, or twice")
        self._in_transaction = True

    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        """Append; the acknowledgement says whether the log took it."""
        epoch = self._writing()
        acknowledgement: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        try:
            acknowledgement.set_result(self._log._append(self._id, epoch, topic, partition, entries))
        except (Fenced, BatchRefused) as error:
            acknowledgement.set_exception(error)
            acknowledgement.exception()  # whoever forgets to await it gets no reminder from Kafka's client either
        return acknowledgement

    async def commit(self) -> None:
        """Commit whatever the log took."""
        await self._end(committed=True)

    async def abort(self) -> None:
        """Abort whatever the log took."""
        await self._end(committed=False)

    async def _end(self, *, committed: bool) -> None:
        epoch = self._writing()
        await asyncio.sleep(0)
        self._in_transaction = False
        self._log._end(self._id, epoch, committed=committed)

    def _writing(self) -> int:
        if self._epoch is None or not self._in_transaction:
            raise RuntimeError(f"{self._id}: no transaction was begun")
        return self._epoch

    async def close(self) -> None:
        """Leave; an open transaction stays open until a successor or the time-out ends it."""
        self._epoch = None


class MemoryReader:
    """A read_committed reader of a MemoryLog."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def bounds(self, topic: str, partitions: Collection[int]) -> Mapping[int, Bounds]:
        """What can be read now."""
        await asyncio.sleep(0)
        return {partition: self._log.bounds(topic, partition) for partition in partitions}

    async def read(
        self, topic: str, partitions: Collection[int], sink: Callable[[int, Sequence[CommittedRecord]], None]
    ) -> Mapping[int, int]:
        """Read each partition to its end, in small runs, so that a reader can be interrupted between two of them."""
        ends = {partition: self._log.bounds(topic, partition).end for partition in partitions}
        for partition, end in ends.items():
            position = 0
            while position < end:
                await asyncio.sleep(0)
                records, position = self._log.fetch(topic, partition, position, 100)
                if records:
                    sink(partition, records)
        return ends

    async def close(self) -> None:
        """Nothing to release."""
