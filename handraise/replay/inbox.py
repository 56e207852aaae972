"""A recorded inbox partition, given out run by run, and what a worker remembered at the end of it."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import NamedTuple

from agents.lane.cursor import CURSOR_KEY, Cursor, decode_cursor
from handraise.replay.batches import Stopped
from handraise.replay.recorded import Chunk, Reader, Recorded, StoredRecord
from handraise.subscriber import SETTLED_S
from streams.compiled import compact_states
from streams.fold import States

_offset = attrgetter("offset")


class Inbox:
    """The records of an inbox partition in their order; `letters` is told of those that came in transactions."""

    def __init__(self, reader: Reader, letters: Callable[[Sequence[StoredRecord]], None]) -> None:
        self._reader, self._letters = reader, letters
        self._run: list[StoredRecord] = []
        self.count = 0

    @property
    def read_to(self) -> int:
        """The first offset of which `letters` was not told."""
        return self._reader.position

    async def take(self, upto: int, most: int) -> Sequence[StoredRecord]:
        """The next records before the offset `upto`, `most` of them at most; empty if there are no more."""
        while not self._run and self._reader.position < upto:
            await self._fetch(upto)
        end = min(most, bisect_left(self._run, upto, key=_offset))
        taken = self._run[:end]
        del self._run[:end]
        self.count += len(taken)
        return taken

    async def _fetch(self, upto: int) -> None:
        loop, patience = asyncio.get_running_loop(), 0.0
        while not (chunks := await self._reader.fetch()) and self._reader.position < upto:
            patience = patience or loop.time() + SETTLED_S
            if loop.time() > patience:
                raise Stopped(f"the inbox ends at offset {self._reader.position}, before {upto}")
        self._keep(chunks)

    def _keep(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            self._run += chunk.records
            if chunk.transactional and chunk.records:
                self._letters(chunk.records)


class Remembered(NamedTuple):
    """What a worker's changelog holds."""

    cursor: Cursor | None
    states: States


async def remembered(recorded: Recorded, changelog: str, partition: int) -> Remembered:
    """The states and the cursor that belong together, not older than this call.  Raises CursorUnreadable."""
    first = (await recorded.bounds(changelog, [partition]))[partition].first
    reader = recorded.reader(changelog, partition, first)
    values = compact_states()
    written = -1
    loop, patience = asyncio.get_running_loop(), 0.0
    while True:
        for chunk in await reader.fetch():
            for record in chunk.records:
                if record.key is not None and record.value is None:
                    values.pop(record.key, None)
                elif record.key is not None and record.value is not None:
                    values[record.key] = record.value
        if written < 0:
            written = reader.high
        # At the end of what is committed: then compaction has taken nothing whose successor was not read.
        if reader.position >= reader.stable:
            patience = patience or loop.time() + SETTLED_S
            if reader.position >= written or loop.time() > patience:
                break
    cursor = values.pop(CURSOR_KEY, None)
    return Remembered(None if cursor is None else decode_cursor(cursor), values)
