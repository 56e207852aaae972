"""Planted bugs: each is the build as it is, but for one mistake that somebody could make.

None of them is caught by a look at the code: each must be found by its consequences.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from agents.desk import MOST_OUTSTANDING, Pump
from agents.lane.cursor import CURSOR_KEY
from agents.lane.errors import BatchRefused
from agents.lane.log import Bounds, CommittedRecord, Entry, Reader, TopicIdentity, Writer
from agents.lane.memory_log import MemoryLog, MemoryRecord
from agents.lane.slot import Slot
from schemas.codec import encode
from schemas.head import tick_at
from schemas.records import Promote, Rejected, Waited
from streams.desk.fold import DeskFold
from streams.fold import InboxRecord, Sealed
from streams.forwarding import Forwarding
from streams.judging import Judge
from streams.lead_fold import LeadFold
from streams.ledger import add, rebuild
from streams.rules import Rules
from streams.state import Lead, Moved
from tests.simulation.log import SimulatedLog
from tests.simulation.processes import Build

MAIL = "lead.events"


class _Writer:
    """A writer as it is."""

    def __init__(self, writer: Writer, log: SimulatedLog) -> None:
        self.writer, self.log = writer, log

    async def start(self) -> None:
        await self.writer.start()

    async def begin(self) -> None:
        await self.writer.begin()

    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        return await self.writer.append(topic, partition, entries)

    async def commit(self) -> None:
        await self.writer.commit()

    async def abort(self) -> None:
        await self.writer.abort()

    async def close(self) -> None:
        await self.writer.close()


class _Reader:
    """A reader as it is."""

    def __init__(self, reader: Reader, log: SimulatedLog) -> None:
        self.reader, self.log = reader, log

    async def bounds(self, topic: str, partitions: Collection[int]) -> Mapping[int, Bounds]:
        return await self.reader.bounds(topic, partitions)

    async def read(
        self, topic: str, partitions: Collection[int], sink: Callable[[int, Sequence[CommittedRecord]], None]
    ) -> Mapping[int, int]:
        return await self.reader.read(topic, partitions, sink)

    async def close(self) -> None:
        await self.reader.close()


class _Log:
    """The log with other writers or readers."""

    def __init__(
        self, log: SimulatedLog, process: str, writer: type[_Writer], reader: type[_Reader], own_ids: bool
    ) -> None:
        self._log, self._made = log, (writer, reader)
        self._suffix = f" of {process}" if own_ids else ""

    def writer(self, transactional_id: str) -> Writer:
        return self._made[0](self._log.writer(transactional_id + self._suffix), self._log)

    async def reader(self) -> Reader:
        return self._made[1](await self._log.reader(), self._log)

    async def identify(self, topics: Collection[str]) -> Mapping[str, TopicIdentity]:
        return await self._log.identify(topics)


def _lane(writer: type[_Writer] = _Writer, reader: type[_Reader] = _Reader, own_ids: bool = False) -> Build:
    return Build(lane_log=lambda log, process: _Log(log, process, writer, reader, own_ids))


def _fold(fold: type[LeadFold], **patches: Any) -> Build:
    return Build(folds={"python": fold, "compiled": fold, "older": fold}, patches=patches)


# -- the lane


class _FencesLate(_Writer):
    started = False

    async def start(self) -> None:
        """Later."""

    async def begin(self) -> None:
        if not self.started:
            self.started = True
            await self.writer.start()
        await self.writer.begin()


class _CursorApart(_Writer):
    cursor: tuple[str, int, Entry] | None = None

    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        if entries[-1][0] != CURSOR_KEY:
            return await self.writer.append(topic, partition, entries)
        self.cursor = (topic, partition, entries[-1])
        if len(entries) > 1:
            return await self.writer.append(topic, partition, entries[:-1])
        return _answer(self.log.end(topic, partition))

    async def commit(self) -> None:
        await self.writer.commit()
        if self.cursor is not None:
            topic, partition, entry = self.cursor
            await self.writer.begin()
            await (await self.writer.append(topic, partition, [entry]))
            await self.writer.commit()


class _Careless(_Writer):
    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        await self.writer.append(topic, partition, entries)
        return _answer(self.log.end(topic, partition))


class _GoesOn(_Writer):
    refused = False

    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        try:
            return _answer(await (await self.writer.append(topic, partition, entries)))
        except BatchRefused:
            self.refused = True
            return _answer(self.log.end(topic, partition))

    async def commit(self) -> None:
        await (self.writer.abort() if self.refused else self.writer.commit())
        self.refused = False


class _Coalescing(_Writer):
    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        if topic == MAIL:
            entries = list({entry[0]: entry for entry in entries}.values())
        return await self.writer.append(topic, partition, entries)


class _SaysAtOnce(_Writer):
    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        if not topic.startswith("lead.") or topic == MAIL:
            return await self.writer.append(topic, partition, entries)
        await asyncio.sleep(0)
        return _answer(self.log.produce(topic, partition, entries))


class _NoTombstones(_Writer):
    async def append(self, topic: str, partition: int, entries: Sequence[Entry]) -> Awaitable[int]:
        if topic.endswith("changelog"):
            entries = [entry for entry in entries if entry[1] is not None]
        return await self.writer.append(topic, partition, entries)


class _StopsShort(_Reader):
    async def read(
        self, topic: str, partitions: Collection[int], sink: Callable[[int, Sequence[CommittedRecord]], None]
    ) -> Mapping[int, int]:
        found: dict[int, list[CommittedRecord]] = {partition: [] for partition in partitions}
        ends = await self.reader.read(topic, partitions, lambda partition, records: found[partition].extend(records))
        for partition, records in found.items():
            sink(partition, records[:-1])
        return ends


class _ReadsAll(_Reader):
    async def read(
        self, topic: str, partitions: Collection[int], sink: Callable[[int, Sequence[CommittedRecord]], None]
    ) -> Mapping[int, int]:
        await asyncio.sleep(0)
        for partition in partitions:
            sink(partition, self.log.fetch(topic, partition, 0, committed=False)[0])
        return {partition: self.log.end(topic, partition) for partition in partitions}


class _Uncommitted(MemoryLog):
    """What a consumer sees that reads uncommitted."""

    def __init__(self, log: SimulatedLog) -> None:
        self.log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    def fetch(
        self, topic: str, partition: int, position: int, limit: int | None = None, *, committed: bool = True
    ) -> tuple[list[MemoryRecord], int]:
        return self.log.fetch(topic, partition, position, limit, committed=False)


def _answer(end: int) -> Awaitable[int]:
    answer = asyncio.get_running_loop().create_future()
    answer.set_result(end)
    return answer


def _takes_a_full_batch_for_the_end(slot: Slot, records: Sequence[InboxRecord], after: int) -> int:
    consumed = _APPLY(slot, records, after)
    if slot.paused is None:
        slot.next_offset, consumed = after, len(records)
    return consumed


_APPLY = Slot.apply


# -- the pump


class _KeepsItsPlaceFirst(Pump):
    async def carry(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, owned: Callable[[], Collection[int]]
    ) -> None:
        while owned():
            found = await consumer.getmany(timeout_ms=200, max_records=MOST_OUTSTANDING)
            await consumer.commit()
            for place, records in found.items():
                for record in records:
                    value = encode(Waited(place.partition, record.offset, record.value))
                    await (await producer.send(self._inbox, value, partition=0))


# -- the folds


class _Tireless(LeadFold):
    def _fire(self, offset: int) -> None:
        for _ in range(20):
            super()._fire(offset)


class _TimeRunsBack(LeadFold):
    def _tick(self, record: InboxRecord, value: bytes) -> None:
        super()._tick(record, value)
        self._now = tick_at(value) // 1_000


class _ForgetsWhatIsDue(LeadFold):
    def __init__(
        self, partition: int, states: dict[bytes, bytes], rules: Rules, partitions: int, accept_poison: int = 0
    ) -> None:
        super().__init__(partition, states, rules, partitions, accept_poison)
        while self._agenda.pop(1 << 40) is not None:
            pass


class _DrawsIds(LeadFold):
    drawn = itertools.count()

    def __init__(
        self, partition: int, states: dict[bytes, bytes], rules: Rules, partitions: int, accept_poison: int = 0
    ) -> None:
        super().__init__(partition, states, rules, partitions, accept_poison)
        self._publisher._id += f"{next(self.drawn)}-"


class _Silent(LeadFold):
    def __init__(
        self, partition: int, states: dict[bytes, bytes], rules: Rules, partitions: int, accept_poison: int = 0
    ) -> None:
        super().__init__(partition, states, rules, partitions, accept_poison)
        self._publisher.reject = _swallow  # type: ignore[method-assign]


def _swallow(record: Rejected) -> None:
    """Nobody will know."""


def _add_as_the_newest(lead: Lead, at: int, *given: Any) -> bool:
    return add(lead, lead.last_seen, *given)


def _relink_by_arrival(forwarding: Forwarding, key: bytes, moved: Moved, owner: str, via: str | None, at: int) -> None:
    _RELINK(forwarding, key, moved, owner, via, max(at, moved.at + 1))


_RELINK = Forwarding._relink


class _ObeysLate(LeadFold):
    late: tuple[InboxRecord, Promote, bytes] | None = None

    def _promote(self, record: InboxRecord, mail: Promote, value: bytes) -> None:
        self.late = record, mail, value

    def seal(self) -> Sealed:
        if self.late is not None:
            super()._promote(*self.late)
            self.late = None
        return super().seal()


def _renews_without_a_word(judge: Judge, key: bytes, lead: Lead, as_of: int) -> bool:
    if lead.model != judge._rules.number:
        rebuild(lead, judge._rules)
    return True


class _HearsItAgain(DeskFold):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._memory.is_news = lambda partition, offset: True  # type: ignore[method-assign]


BUGS: dict[str, Build] = {
    "the changelog is read and the inbox sought before the fence": _lane(_FencesLate),
    "a zombie is not fenced": _lane(own_ids=True),
    "the cursor is outside of the transaction": _lane(_CursorApart),
    "outputs leave outside of the transaction": _lane(_SaysAtOnce),
    "a future is not awaited": _lane(_Careless),
    "a failed transaction is given up and the worker goes on": _lane(_GoesOn),
    "mail is coalesced": _lane(_Coalescing),
    "removed states are not removed from the changelog": _lane(_NoTombstones),
    "a takeover reads the changelog not to its end": _lane(reader=_StopsShort),
    "a takeover reads what was aborted, too": _lane(reader=_ReadsAll),
    "a fold reads uncommitted": Build(fetched_from=_Uncommitted),
    "what is left of a run when a batch is full is forgotten": Build(
        patches={"agents.lane.slot.Slot.apply": _takes_a_full_batch_for_the_end}
    ),
    "the pump keeps its place before its mail is acknowledged": Build(pump=_KeepsItsPlaceFirst),
    "the desk does not drop what waited and comes again": Build(desk_fold=_HearsItAgain),
    "a hand in two inboxes": Build(tells_both=True),
    "the gateway answers for what it does not append": Build(loses=9),
    "a tick has no bound": _fold(_Tireless),
    "time runs back": _fold(_TimeRunsBack),
    "limits by arrival": _fold(LeadFold, **{"streams.lead_fold.add": _add_as_the_newest}),
    "a device goes to whom it was linked to last, not whom it saw last": _fold(
        LeadFold, **{"streams.forwarding.Forwarding._relink": _relink_by_arrival}
    ),
    "a clock that is days ahead is believed": _fold(LeadFold, **{"streams.lead_fold._DAY_MS": 9 * 86_400_000}),
    "repeats count": _fold(LeadFold, **{"streams.lead_fold.holds": lambda column, item: False}),
    "what is due is forgotten with its worker": _fold(_ForgetsWhatIsDue),
    "promoted rules are obeyed from the batch's end": _fold(_ObeysLate),
    "promoted rules are forgotten with their worker": _fold(
        LeadFold, **{"streams.lead_fold.remembered": lambda states, given: (given, None)}
    ),
    "a promotion alerts": _fold(LeadFold, **{"streams.judging.Judge.renew": _renews_without_a_word}),
    "whoever is hot is not looked at by promoted rules": _fold(
        LeadFold, **{"streams.judging.Judge.due": lambda judge, key, state: state.wake}
    ),
    "ids are drawn": _fold(_DrawsIds),
    "poison is swallowed": _fold(_Silent),
}
