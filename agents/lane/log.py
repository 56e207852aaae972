"""What the lane needs of a log: transactional writers that fence each other, and a reader of what is committed.

Two implementations, `kafka_log.KafkaLog` and `memory_log.MemoryLog`, pass one contract suite (tests/contract), so that
a test on the second says something about the first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

Headers = list[tuple[str, bytes]]


Entry = tuple[bytes | None, bytes | None, Headers]
"""A record to append: key, value, headers. The headers must be a list: aiokafka's encoder takes nothing else."""


class CommittedRecord(Protocol):
    """A record as a reader gets it; aiokafka's ConsumerRecord is one."""

    @property
    def offset(self) -> int:
        """The record's place in its partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch."""

    @property
    def key(self) -> bytes | None:
        """The key's bytes."""

    @property
    def value(self) -> bytes | None:
        """The value's bytes; None is a tombstone."""


class Bounds(NamedTuple):
    """The readable offsets of a partition: first <= offset < end (the last stable offset)."""

    first: int
    end: int


class TopicIdentity(NamedTuple):
    """Which topic this is: a topic deleted and created again has another id under the same name."""

    topic_id: str
    partitions: int


class Writer(Protocol):
    """A transactional producer. After any exception of any method: close it, nothing else."""

    async def start(self) -> None:
        """Become the only writer of this transactional id: fences every older one and aborts what it left open."""

    async def begin(self) -> None:
        """Open a transaction; raises Fenced when a younger writer has started."""

    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        """Hand over entries for one partition, in order; `entries` must not be empty.

        Returns an awaitable: the offset after the last of them, once the log has acknowledged all. It raises
        BatchRefused or Fenced. A caller that does not await it would commit the transaction without those entries.
        """

    async def commit(self) -> None:
        """Make everything appended since `begin` visible, at once; raises Fenced."""

    async def abort(self) -> None:
        """Withdraw everything appended since `begin`."""

    async def close(self) -> None:
        """Release connections; leaves an open transaction open. Never raises."""


class Reader(Protocol):
    """A read_committed reader of whole partitions."""

    async def bounds(self, topic: str, partitions: Collection[int]) -> Mapping[int, Bounds]:
        """What can be read now."""

    async def read(
        self, topic: str, partitions: Collection[int], sink: Callable[[int, Sequence[CommittedRecord]], None]
    ) -> Mapping[int, int]:
        """Read each partition from its beginning to the end it has now, in order, handing runs to `sink`.

        Returns the end of each partition.
        """

    async def close(self) -> None:
        """Release connections. Never raises."""


class Log(Protocol):
    """A place where writers and readers come from."""

    def writer(self, transactional_id: str) -> Writer:
        """A writer, not yet started."""

    async def reader(self) -> Reader:
        """A reader, started; the caller closes it."""

    async def identify(self, topics: Collection[str]) -> Mapping[str, TopicIdentity]:
        """The identity of each topic that exists."""
