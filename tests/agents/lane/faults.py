# ruff: noqa: D102  the methods are those of the Log protocol
"""A log that fails where a test wants it to: a double around any log, given to a worker when it is built.

The points are those of the slot's work, in order: take over (fenced, recovering), then for each batch: folded, produced
(handed over), acknowledged (before the commit), committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from agents.lane.log import Bounds, CommittedRecord, Entry, Log, Reader, TopicIdentity, Writer

AFTER_FENCE = "after fence"
DURING_RECOVERY = "during recovery"
AFTER_FOLD = "after fold"
AFTER_PRODUCE = "after produce"
BEFORE_COMMIT = "before commit"
AFTER_COMMIT = "after commit"
POINTS = (AFTER_FENCE, DURING_RECOVERY, AFTER_FOLD, AFTER_PRODUCE, BEFORE_COMMIT, AFTER_COMMIT)

Strike = Callable[[str], Awaitable[None]]
"""(point) -> what happens there: nothing, an exception, a long wait, the end of the process."""


class KilledError(Exception):
    """The process is gone at this point."""


class KillAt:
    """Kills at the n-th passage of a point, and stays dead: nothing works afterwards."""

    def __init__(self, point: str, passage: int = 1) -> None:
        self.point, self.left, self.dead = point, passage, False

    async def __call__(self, point: str) -> None:
        if self.dead:
            raise KilledError(point)
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                self.dead = True
                raise KilledError(point)


class StopAt:
    """Stops at the n-th passage of a point, as SIGSTOP does, until it is released."""

    def __init__(self, point: str, passage: int = 1) -> None:
        self.point, self.left = point, passage
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    async def __call__(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                self.reached.set()
                await self.released.wait()


class FaultyLog:
    """A log whose writers and readers strike at each point."""

    def __init__(self, log: Log, strike: Strike) -> None:
        self._log, self._strike = log, strike

    def writer(self, transactional_id: str) -> Writer:
        return _FaultyWriter(self._log.writer(transactional_id), self._strike)

    async def reader(self) -> Reader:
        return _FaultyReader(await self._log.reader(), self._strike)

    async def identify(self, topics: Collection[str]) -> Mapping[str, TopicIdentity]:
        return await self._log.identify(topics)


class _FaultyWriter:
    def __init__(self, writer: Writer, strike: Strike) -> None:
        self._writer, self._strike = writer, strike

    async def start(self) -> None:
        await self._writer.start()
        await self._strike(AFTER_FENCE)

    async def begin(self) -> None:
        await self._strike(AFTER_FOLD)
        await self._writer.begin()

    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        acknowledgement = await self._writer.append(topic, partition, entries)
        await self._strike(AFTER_PRODUCE)
        return acknowledgement

    async def commit(self) -> None:
        await self._strike(BEFORE_COMMIT)
        await self._writer.commit()
        await self._strike(AFTER_COMMIT)

    async def abort(self) -> None:
        await self._writer.abort()

    async def close(self) -> None:
        await self._writer.close()


class _FaultyReader:
    def __init__(self, reader: Reader, strike: Strike) -> None:
        self._reader, self._strike = reader, strike

    async def bounds(self, topic: str, partitions: Collection[int]) -> Mapping[int, Bounds]:
        await self._strike(DURING_RECOVERY)
        return await self._reader.bounds(topic, partitions)

    async def read(
        self, topic: str, partitions: Collection[int], sink: Callable[[int, Sequence[CommittedRecord]], None]
    ) -> Mapping[int, int]:
        ends = await self._reader.read(topic, partitions, sink)
        await self._strike(DURING_RECOVERY)
        return ends

    async def close(self) -> None:
        await self._reader.close()
