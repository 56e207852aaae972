"""A deployment's record taken into memory, to be read as often as one likes, and to be falsified."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile

from agents.lane.log import Bounds, TopicIdentity
from handraise.replay.deployment import CHANGELOGS
from handraise.replay.recorded import Chunk, KafkaRecorded, Reader, Recorded
from handraise.replay.verify import TOPICS

Place = tuple[str, int]


@dataclass(frozen=True)
class Stored:
    """A record as the log has it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


Change = Callable[[Stored], list[Stored]]
"""What becomes of one record."""


class _Reader:
    """Gives out a few chunks at a time."""

    def __init__(self, chunks: Sequence[Chunk], bounds: Bounds, start: int) -> None:
        def is_before(chunk: Chunk) -> bool:
            return chunk.records[-1].offset < start if chunk.records else start > bounds.first

        rest = dropwhile(is_before, chunks)
        self._chunks = [chunk._replace(records=[it for it in chunk.records if it.offset >= start]) for chunk in rest]
        self.position, self.stable, self.high = start, bounds.end, bounds.end

    async def fetch(self) -> Sequence[Chunk]:
        """See Reader."""
        given, self._chunks = self._chunks[:20], self._chunks[20:]
        ends = [chunk.records[-1].offset + 1 for chunk in given if chunk.records]
        self.position = max([self.position, *ends]) if self._chunks else max(self.position, self.stable)
        return given


@dataclass(frozen=True)
class Copy:
    """Implements handraise.replay.recorded.Recorded."""

    chunks: dict[Place, list[Chunk]] = field(default_factory=dict)
    ends: dict[Place, Bounds] = field(default_factory=dict)
    identities: dict[str, TopicIdentity] = field(default_factory=dict)

    async def bounds(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        """See Recorded."""
        return {partition: self.ends[topic, partition] for partition in partitions}

    async def identity(self, topic: str) -> TopicIdentity | None:
        """See Recorded."""
        return self.identities.get(topic)

    def reader(self, topic: str, partition: int, start: int) -> _Reader:
        """See Recorded."""
        return _Reader(self.chunks[topic, partition], self.ends[topic, partition], start)

    # -- falsified

    def records(self, place: Place) -> list[Stored]:
        """All records there."""
        return [record for chunk in self.chunks[place] for record in chunk.records]  # type: ignore[misc]

    def with_chunks(self, place: Place, chunks: list[Chunk]) -> Copy:
        """The same with other contents there."""
        return replace(self, chunks={**self.chunks, place: chunks})

    def changed(self, place: Place, offset: int, change: Change, holes: int = 0) -> Copy:
        """The same with the record at an offset changed; `holes`: so many offsets are empty there instead."""
        chunks = []
        for chunk in self.chunks[place]:
            records = [after for each in chunk.records for after in (change(each) if each.offset == offset else [each])]
            is_here = records != list(chunk.records)
            chunks.append(chunk._replace(records=records, holes=chunk.holes + holes * is_here))
        return self.with_chunks(place, chunks)

    def appended(self, place: Place, record: Stored, *, transactional: bool = False) -> Copy:
        """The same with a record more at the end."""
        first, end = self.ends[place]
        more = Chunk([replace(record, offset=end)], transactional, False, 0)
        longer = replace(self, ends={**self.ends, place: Bounds(first, end + 1)})
        return longer.with_chunks(place, [*self.chunks[place], more])

    def expired(self, place: Place, first: int) -> Copy:
        """The same as retention leaves it: nothing before an offset."""
        shorter = replace(self, ends={**self.ends, place: Bounds(first, self.ends[place].end)})
        rest = [chunk._replace(records=[r for r in chunk.records if r.offset >= first]) for chunk in self.chunks[place]]
        return shorter.with_chunks(place, [chunk for chunk in rest if chunk.records or chunk.ends])


async def copy(recorded: Recorded) -> Copy:
    """Read all of it."""
    found = Copy()
    for topic in (*TOPICS, *CHANGELOGS):
        identity = await recorded.identity(topic)
        assert identity is not None
        found.identities[topic] = identity
        for partition, bounds in (await recorded.bounds(topic, range(identity.partitions))).items():
            found.ends[topic, partition] = bounds
            reader, chunks = recorded.reader(topic, partition, bounds.first), list[Chunk]()
            while more := await reader.fetch():
                chunks += [
                    chunk._replace(
                        records=[Stored(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in chunk.records]
                    )
                    for chunk in more
                ]
            found.chunks[topic, partition] = chunks
    return found


class Mixed:
    """The inbox of one deployment, and all else of another one; implements Recorded."""

    def __init__(self, inbox: KafkaRecorded, rest: KafkaRecorded) -> None:
        self._inbox, self._rest = inbox, rest

    def _of(self, topic: str) -> KafkaRecorded:
        return self._inbox if topic in ("lead.events", "desk.events") else self._rest

    async def bounds(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        """See Recorded."""
        return await self._of(topic).bounds(topic, partitions)

    async def identity(self, topic: str) -> TopicIdentity | None:
        """See Recorded."""
        return await self._of(topic).identity(topic)

    def reader(self, topic: str, partition: int, start: int) -> Reader:
        """See Recorded."""
        return self._of(topic).reader(topic, partition, start)
