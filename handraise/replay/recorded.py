"""What is on record: partitions read as the broker keeps them, with what a consumer hides: transactions and gaps.

A verification has to know which records came in transactions (the folds' own), where each transaction ended (one
batch of the lane), and how many records compaction took away.  So it asks the broker itself (Fetch, read_committed).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import NamedTuple, Protocol

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, NotLeaderForPartitionError, OffsetOutOfRangeError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.control_record import COMMIT_MARKER, ControlRecord
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from agents.lane.kafka_log import KafkaLog
from agents.lane.log import Bounds, CommittedRecord, Headers, TopicIdentity
from handraise.replay.batches import Stopped
from handraise.settings import Settings
from handraise.topics import unreachable

_FETCH_BYTES = 2 << 20
_WAIT_MS = 50
_READ_COMMITTED = 1
_PATIENCE_S = 30.0


class StoredRecord(CommittedRecord, Protocol):
    """A record as the log has it."""

    @property
    def headers(self) -> Headers:
        """The headers, in order."""


class Chunk(NamedTuple):
    """Records that one producer appended together, or the end of its transaction."""

    records: Sequence[StoredRecord]
    transactional: bool
    """Whether they came in a transaction; it was committed."""
    ends: bool
    """Whether a transaction ends here."""
    holes: int
    """Offsets before the chunk's end that hold nothing any more: compaction has been here."""


class Reader(Protocol):
    """One partition from an offset on, read_committed."""

    position: int
    """The next offset to read."""

    async def fetch(self) -> Sequence[Chunk]:
        """What comes next; empty where there is nothing more that is committed, for now."""

    @property
    def stable(self) -> int:
        """Where what is committed ended, as of the last fetch."""

    @property
    def high(self) -> int:
        """Where all ended that was written, as of the last fetch."""


class Recorded(Protocol):
    """A deployment's topics, by their logical names."""

    async def bounds(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        """First offset and end of what is committed."""

    async def identity(self, topic: str) -> TopicIdentity | None:
        """Which topic it is; None if it is missing."""

    def reader(self, topic: str, partition: int, start: int) -> Reader:
        """A reader from an offset on."""


@asynccontextmanager
async def recorded(settings: Settings) -> AsyncIterator[KafkaRecorded]:
    """The topics of the configured deployment.  Raises Failure when Kafka does not answer."""
    client = AIOKafkaClient(bootstrap_servers=settings.kafka, client_id="handraise-replay")
    try:
        await client.bootstrap()
        yield KafkaRecorded(client, settings)
    except (KafkaError, OSError, TimeoutError) as error:
        raise unreachable(settings.kafka, error) from error
    finally:
        await client.close()


class KafkaRecorded:
    """Topics on Kafka."""

    def __init__(self, client: AIOKafkaClient, settings: Settings) -> None:
        self._client, self._prefix = client, settings.prefix
        self._log = KafkaLog(settings.kafka, "handraise-replay", 60_000)

    async def bounds(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        """See Recorded."""
        reader = await self._log.reader()
        try:
            return dict(await reader.bounds(self._prefix + topic, partitions))
        finally:
            await reader.close()

    async def identity(self, topic: str) -> TopicIdentity | None:
        """See Recorded."""
        return (await self._log.identify([self._prefix + topic])).get(self._prefix + topic)

    def reader(self, topic: str, partition: int, start: int) -> KafkaReader:
        """See Recorded."""
        return KafkaReader(self._client, TopicPartition(self._prefix + topic, partition), start)


class KafkaReader:
    """A partition on Kafka."""

    def __init__(self, client: AIOKafkaClient, place: TopicPartition, start: int) -> None:
        self._client, self._place = client, place
        self.position = start
        self.stable = self.high = 0

    async def fetch(self) -> Sequence[Chunk]:
        """See Reader.  Raises aiokafka's KafkaError; Stopped, where retention was faster."""
        while True:
            before = self.position
            self.high, self.stable, aborted, data = await self._ask()
            chunks = list(self._chunks(MemoryRecords(data), sorted(aborted, key=itemgetter(1))))
            if chunks or self.position == before:
                return chunks

    def _chunks(self, batches: MemoryRecords, aborted: list[tuple[int, int]]) -> Iterator[Chunk]:
        """What a consumer would return, and the ends of transactions."""
        begun, withdrawn = 0, set[int]()
        while batches.has_next():
            batch = batches.next_batch()
            holes, first = max(0, batch.base_offset - self.position), max(batch.base_offset, self.position)
            while begun < len(aborted) and aborted[begun][1] <= batch.base_offset:
                withdrawn.add(aborted[begun][0])
                begun += 1
            after = batch.next_offset
            if batch.is_control_batch:
                marker = ControlRecord.parse(next(batch).key)
                withdrawn.discard(batch.producer_id)
                if after > self.position and marker == COMMIT_MARKER:
                    yield Chunk((), True, True, holes)
            elif not (batch.is_transactional and batch.producer_id in withdrawn):
                records = [record for record in batch if record.offset >= first]
                holes += after - first - len(records)
                if records or holes:
                    yield Chunk(records, batch.is_transactional, False, holes)
            self.position = max(self.position, after)

    async def _ask(self) -> tuple[int, int, list[tuple[int, int]], bytes]:
        """Where all and what is committed ends, aborted transactions (producer, first offset), and batches."""
        topic, partition = self._place
        wanted = [(topic, [(partition, self.position, _FETCH_BYTES)])]
        request = FetchRequest(_WAIT_MS, 1, _FETCH_BYTES, _READ_COMMITTED, wanted)
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                response = await self._client.send(await self._leader(), request)
                answer = response.topics[0][1][0]
                code, high, stable, aborted = answer[1], answer[2], answer[3], answer[5]
                error = for_code(code)
                if error is NotLeaderForPartitionError:
                    await self._client.force_metadata_update()
                elif error is OffsetOutOfRangeError:
                    raise Stopped(f"retention has removed offset {self.position} of {topic}, partition {partition}")
                elif code:
                    raise error(f"{self._place}, offset {self.position}")
                else:
                    return high, stable, aborted or [], answer[-1] or b""

    async def _leader(self) -> int:
        leader = self._client.cluster.leader_for_partition(self._place)
        while leader is None or leader < 0:
            await self._client.add_topic(self._place.topic)
            await self._client.force_metadata_update()
            leader = self._client.cluster.leader_for_partition(self._place)
        return int(leader)
