"""What the pump brought to the desk: each record of desk.waiting, once, in its order, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.lane.log import Bounds
from handraise.replay.compare import Comparison, Stream
from handraise.replay.recorded import Recorded, StoredRecord
from schemas.codec import decode
from schemas.records import Waited
from schemas.wire import LOCK, PREFIX_SIZE, Undecodable, prefix
from streams.fold import Output
from streams.publish import WAITING

COPIES = "desk.events (mail)"
_PREFIXES = frozenset(prefix(version.id) for version in LOCK["Waited"])


class Pumped:
    """The copies in the desk's inbox beside the originals; what appears again is what the desk drops."""

    def __init__(self, recorded: Recorded, waiting: Mapping[int, Bounds]) -> None:
        self._first = {partition: bounds.first for partition, bounds in waiting.items()}
        self._last = dict.fromkeys(waiting, -1)
        self._of = {
            partition: _Copies(partition, _stream(recorded, partition, bounds)) for partition, bounds in waiting.items()
        }

    @property
    def comparisons(self) -> list[Comparison]:
        """One for each partition."""
        return list(self._of.values())

    async def see(self, records: Sequence[StoredRecord]) -> None:
        """Records of the desk's inbox, in their order."""
        for record in records:
            if (record.value or b"")[:PREFIX_SIZE] not in _PREFIXES:
                continue
            try:
                waited = decode(record.value or b"")
            except Undecodable:
                continue  # a dead letter, which is compared as such
            if isinstance(waited, Waited) and waited.offset > self._last.get(waited.partition, waited.offset):
                self._last[waited.partition] = waited.offset
                await self._of[waited.partition].see(waited, record.offset)


def _stream(recorded: Recorded, partition: int, bounds: Bounds) -> Stream:
    reader = recorded.reader(WAITING, partition, bounds.first)
    return Stream(reader, lambda record, _: record.value is not None, bounds.first, bounds.end)


class _Copies(Comparison):
    """Those of one partition of desk.waiting."""

    def __init__(self, partition: int, stream: Stream) -> None:
        super().__init__(WAITING, partition, "pump", stream)
        self.name = COPIES

    async def see(self, waited: Waited, offset: int) -> None:
        """The next copy, which stands at an offset of the desk's inbox."""
        if self.difference is not None:
            return
        found = await self._stream.peek_record()
        record = found[0] if found else None
        if record is not None and (record.offset, record.value) == (waited.offset, waited.waiting):
            self._stream.pop()
            self.compared += 1
        elif self._stream.is_cut and (record is None or waited.offset < record.offset):
            self.gone += 1
        else:
            self._differ(record, Output(WAITING, self.partition, record.key if record else None, waited.waiting, []))

    async def finish(self) -> None:
        """What the pump has not brought yet is on its way."""
