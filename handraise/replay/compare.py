"""A topic's partition on record beside what a fold says for it, both in their order; neither is held in memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from handraise.replay.difference import Difference, Entry, difference
from handraise.replay.fingerprint import ce_id
from handraise.replay.recorded import Reader, StoredRecord
from handraise.subscriber import SETTLED_S
from streams.fold import Output

Ours = Callable[[StoredRecord, bool], bool]
"""Whether a record, which came in a transaction or not, is of the fold that is verified, or pretends to be."""


class Found(NamedTuple):
    """A record on record; without one, the end of a transaction."""

    record: StoredRecord | None
    holes: int
    """How many offsets up to it hold nothing any more."""


class Stream:
    """The records of one fold in a partition, in their order."""

    def __init__(self, reader: Reader, ours: Ours, first: int, before: int) -> None:
        """`first`: the first offset that is kept; `before`: where the partition ended when all began."""
        self._reader, self._ours, self.before = reader, ours, before
        self.is_cut = first > 0
        self._found: deque[Found] = deque()
        self._holes = 0

    async def peek(self) -> Found | None:
        """What comes next; None where nothing more is committed, nor will be within a moment."""
        patience: float | None = None
        loop = asyncio.get_running_loop()
        while not self._found:
            for chunk in await self._reader.fetch():
                self._holes += chunk.holes
                self._found.extend(
                    Found(record, self._holes) for record in chunk.records if self._ours(record, chunk.transactional)
                )
                if chunk.ends:
                    self._found.append(Found(None, self._holes))
            if not self._found:
                if self._reader.stable == self._reader.high:
                    return None
                patience = patience or loop.time() + SETTLED_S
                if loop.time() > patience:
                    return None  # a transaction that nobody ends
        return self._found[0]

    async def peek_record(self) -> tuple[StoredRecord, int] | None:
        """The next record, and how many offsets up to it hold nothing any more."""
        while (found := await self.peek()) is not None:
            if found.record is not None:
                return found.record, found.holes
            self.pop()
        return None

    def pop(self) -> None:
        """Go on."""
        self._found.popleft()


class Comparison:
    """What is common: where, whose, what was compared and what was not, and the first difference."""

    def __init__(self, topic: str, partition: int, fold: str, stream: Stream) -> None:
        self.topic, self.partition, self._fold, self._stream = topic, partition, fold, stream
        self.name = topic
        """Under which it is counted."""
        self.compared = 0
        self.gone = 0
        """What the fold says and is not kept any more: retention or compaction took it away."""
        self.difference: Difference | None = None

    def _differ(self, recorded: StoredRecord | None, replayed: Output | None) -> None:
        entry = None if recorded is None else Entry.of(recorded)
        offset = None if recorded is None else recorded.offset
        self.difference = difference(self.topic, self.partition, self._fold, entry, offset, replayed)

    async def finish(self) -> None:
        """Nothing more is said: so nothing more may be there, up to where the partition ended when all began."""
        if self.difference is None and (found := await self._stream.peek_record()) is not None:
            record, _ = found
            if record.offset < self._stream.before:
                self._differ(record, None)


class Ordered(Comparison):
    """Every record that the fold says, once and in its order.

    `compacted`: of one key only the last one has to be there; but as many as are missing, so many holes there must be.
    """

    def __init__(self, topic: str, partition: int, fold: str, stream: Stream, *, compacted: bool = False) -> None:
        super().__init__(topic, partition, fold, stream)
        self._compacted, self._superseded = compacted, 0
        self._owed: dict[bytes | None, Output] = {}
        self._is_before_first = stream.is_cut

    async def compare(self, said: Iterable[Output]) -> None:
        """Compare what the fold says next."""
        for output in said:
            if self.difference is not None:
                return
            await self._one(output)

    async def _one(self, output: Output) -> None:
        found = await self._stream.peek_record()
        record, holes = found if found is not None else (None, 0)
        if record is not None and _same(record, output):
            self._stream.pop()
            self.compared += 1
            self._owed.pop(output.key, None)
            self._is_before_first = False
        elif self._is_before_first and (record is None or _is_earlier(output, record, or_beside=not output.headers)):
            self.gone += 1
        elif self._compacted and record is not None and self._superseded < holes and _is_earlier(output, record):
            self._superseded += 1
            self.gone += 1
            self._owed[output.key] = output
        else:
            self._differ(record, output)

    async def finish(self) -> None:
        """See Comparison."""
        if self.difference is None and self._owed:
            self._differ(None, next(iter(self._owed.values())))
        await super().finish()


class PublishedStates(Comparison):
    """`lead.state`: what was published at the end of each transaction, and the last value of each lead.

    The transactions on record say where batches ended, so a verification cuts there: then every state has to be there.
    Where compaction took states away, as many holes have to be there, and a later state of the same lead; or it was the
    tombstone of one that is gone, which compaction takes too.
    """

    def __init__(self, topic: str, partition: int, fold: str, stream: Stream) -> None:
        super().__init__(topic, partition, fold, stream)
        self._said: dict[bytes, dict[int, Output]] = {}
        """By lead, and by what they are as of.  A batch in which rules are promoted says two states of a lead."""
        self._group: list[tuple[int, StoredRecord]] = []
        """What one transaction published, with what it is as of."""
        self._holes = self._superseded = 0
        self._owed: dict[bytes, Output] = {}

    async def next_cut(self, folded: int, end: int) -> int | None:
        """Where the next batch that published states ended: the offset after it, above `folded`, at most `end`.

        None: nothing more was published by what lies before `end`.
        """
        self._group = []
        while self.difference is None and (found := await self._stream.peek()) is not None:
            self._holes = found.holes
            if found.record is None:
                self._stream.pop()
                if self._group:
                    break
                continue
            cause = _cause(found.record.headers)
            if found.record.offset >= self._stream.before and cause >= end:
                return None
            self._group.append((cause, found.record))
            self._stream.pop()
        if self.difference is not None or not self._group:
            return None
        wrong = next((record for cause, record in self._group if not folded <= cause < end), None)
        if wrong is not None:
            self._differ(wrong, None)
            return None
        return max(cause for cause, _ in self._group) + 1

    def say(self, said: Iterable[Output]) -> None:
        """States that the fold says in the batch that is on its way."""
        if self.difference is None:
            for output in said:
                self._said.setdefault(output.key or b"", {})[_cause(output.headers)] = output

    def settle(self) -> None:
        """The batch has ended: compare."""
        said, self._said = self._said, {}
        if self.difference is not None:
            return
        last = {key: max(states) for key, states in said.items()}
        for cause, record in self._group:
            key = record.key or b""
            wanted = said.get(key, {}).pop(cause, None)
            if wanted is None or not _same(record, wanted):
                self._differ(record, wanted)
                return
            self.compared += 1
            if last[key] == cause:
                del said[key]
                self._owed.pop(key, None)
        missing = {key: states[last[key]] for key, states in said.items()}
        self._superseded += len(missing)
        self.gone += len(missing)
        for key, output in missing.items():
            if output.value is None:
                self._owed.pop(key, None)
            else:
                self._owed[key] = output
        if self._superseded > self._holes:
            self._differ(None, next(iter(missing.values())))

    async def finish(self) -> None:
        """See Comparison."""
        self._group = []
        self.settle()
        if self.difference is None and self._owed:
            self._differ(None, next(iter(self._owed.values())))
        await super().finish()


def _same(record: StoredRecord, output: Output) -> bool:
    if record.key != output.key or record.value != output.value:
        return False
    if record.value is None:  # when a lead was found to be gone is told by the end of its batch
        return _untimed(record.headers) == _untimed(output.headers)
    return list(record.headers) == output.headers


def _untimed(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [header for header in headers if header[0] != "ce_time"]


def _is_earlier(output: Output, record: StoredRecord, *, or_beside: bool = False) -> bool:
    """Whether the fold says it before the record that is there; `or_beside`: or by the same cause."""
    ours, there = Entry.of(output).place(), Entry.of(record).place()
    return ours is not None and there is not None and (ours < there or (or_beside and ours == there))


def _cause(headers: Iterable[tuple[str, bytes]]) -> int:
    """The offset of the inbox record that a state is as of, which its id names; -1 if it does not say."""
    parts = (ce_id(headers) or b"").split(b"-", 3)
    return int(parts[2]) if len(parts) > 3 and parts[2].isdigit() else -1
