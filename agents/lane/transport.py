"""Faust's consumer for a lane: one message per fetched run of records, and positions that join without a gap.

Faust finds it by the broker URL's scheme, a dotted path: `agents.lane.transport.kafka://host:port`.

Three things differ from the stock consumer. A fetch works on a snapshot of the active partitions (Faust hands out its
live set, and an empty one means "all"), and no seek can happen while a fetch is in flight, so nothing that a fetch
drops was ever counted as read. The seek after a rebalance goes to the slots' cursors; what is committed to the group
is information for lag tools. Each run carries the positions before and after it, which must join: control records and
aborted ones are then accounted for, and a missing record cannot pass unseen.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.errors import IllegalStateError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.utils.futures import notify

from agents.lane.errors import LaneFailed
from agents.lane.fetched import hand_out_as_decoded

if TYPE_CHECKING:
    from agents.lane.app import LaneApp

POLL_S = 0.1  # a fetch in flight holds up a seek for so long at most
IDLE_S = 0.05


class Run(ConsumerMessage):  # type: ignore[misc]
    """Records of one partition, in order, covering the offsets first <= offset < after."""

    __slots__ = ("after", "first", "records")

    def __init__(self, tp: TP, records: list[Any], first: int, after: int, generation_id: int) -> None:
        last = records[-1]
        super().__init__(
            tp.topic,
            tp.partition,
            after - 1,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            None,
            None,
            0,
            0,
            tp,
            generation_id=generation_id,
        )
        self.records, self.first, self.after = records, first, after


Span = tuple[list[Any] | None, int, int]
"""(records if any, position before, position after)."""


class Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The consumer's own thread and event loop: heartbeats go on while the fold works."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Faust has no setting for these three; aiokafka reads them when it starts."""
        consumer = super()._create_worker_consumer(transport)
        config = self.app.lane_config
        consumer._fetch_max_wait_ms = config.fetch_max_wait_ms
        consumer._fetch_min_bytes = config.fetch_min_bytes
        consumer._isolation_level = "read_committed"  # what a fold acts on has a committed cause
        return consumer

    async def on_start(self) -> None:
        """Start the consumer as stock."""
        await super().on_start()
        hand_out_as_decoded(self._ensure_consumer())

    async def spans(self, partitions: frozenset[TP], timeout_s: float) -> Mapping[TP, Span]:
        """What was read of each partition that moved, whether there were records or not."""
        fetched: Mapping[TP, Span] = await self.call_thread(
            self._fetch_spans, self._ensure_consumer(), partitions, timeout_s
        )
        return fetched

    async def _fetch_spans(self, consumer: Any, partitions: frozenset[TP], timeout_s: float) -> Mapping[TP, Span]:
        try:
            before = {tp: await consumer.position(tp) for tp in partitions}
            records = await self._fetch_records(
                consumer, partitions, timeout=timeout_s, max_records=consumer._max_poll_records
            )
            return {
                tp: (records.get(tp), start, end)
                for tp, start in before.items()
                if (end := await consumer.position(tp)) != start
            }
        except IllegalStateError:  # no longer assigned: a rebalance is on
            return {}

    def stable_end(self, tp: TP) -> int | None:
        """The inbox's last stable offset as of the last fetch, or None before the first."""
        end: int | None = self._ensure_consumer().last_stable_offset(tp)
        return end

    def verify_event_path(self, now: float, tp: TP) -> None:
        """The lane's watchdog does this, and knows the cursor."""


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Fetches runs and hands them to Faust's conductor one by one."""

    app: LaneApp

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._runs: defaultdict[TP, deque[int]] = defaultdict(deque)  # offsets of the runs handed out, in order
        self._position: dict[TP, int] = {}  # where the last fetch ended
        self._handed: dict[TP, int] = {}  # where the last run ended
        self._fetch_lock = asyncio.Lock()
        self.fetches = 0
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Run]]:  # noqa: ASYNC109 - Faust's signature
        """Yield one Run per partition that has records."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        async with self._fetch_lock:
            generation = self.app.consumer_generation_id
            wanted = frozenset(self._get_active_partitions())
            if not wanted:
                self.fetches += 1
                await self.sleep(IDLE_S)
                return
            spans = await self._thread.spans(wanted, min(timeout, POLL_S))
            if self._stale(generation):
                return
            self.fetches += 1
            runs = [run for tp, span in spans.items() if (run := self._advance(ensure_TP(tp), span, generation))]
        for run in runs:
            if self._stale(generation):
                return
            self._runs[run.tp].append(run.offset)
            yield run.tp, run

    def _stale(self, generation: int) -> bool:
        return self.should_stop or not self.flow_active or self.app.consumer_generation_id != generation

    def _advance(self, tp: TP, span: Span, generation: int) -> Run | None:
        records, before, after = span
        expected = self._position[tp]
        if before != expected:
            self.app.guard.die(
                LaneFailed(
                    f"retention removed offsets {expected} to {before} of {tp} before they were read"
                    if before > expected
                    else f"the position of {tp} went back from {expected} to {before}"
                )
            )
        self._position[tp] = after
        if not records:
            return None
        first, self._handed[tp] = self._handed[tp], after
        return Run(tp, records, first, after, generation)

    async def perform_seek(self) -> None:
        """Seek each owned inbox partition to where its slot goes on."""
        async with self._fetch_lock:
            for book in (self._runs, self._acked, self._acked_index, self._position, self._handed):
                book.clear()
            inbox = self.app.lane_config.names.inbox
            for partition, slot in self.app.lane.slots.items():
                tp = TP(inbox, partition)
                self._position[tp] = self._handed[tp] = self._committed_offset[tp] = slot.next_offset
            await super().seek_wait(dict(self._position))

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek, but never while a fetch is in flight."""
        async with self._fetch_lock:
            await super().seek_wait(partitions)

    def behind(self, partition: int, next_offset: int) -> int:
        """Offsets of an owned inbox partition that can be read and are not folded, as of the last fetch.

        Where everything handed out is folded, what was fetched behind it was markers and aborted records: no lag.
        """
        tp = TP(self.app.lane_config.names.inbox, partition)
        end = self._thread.stable_end(tp)
        place = self._position[tp] if self._handed.get(tp) == next_offset else next_offset
        return max(0, end - place) if end is not None else 0

    # -- commits, for lag tools: in the order in which runs were handed out
    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets that jump are markers or compacted; stock Faust would call the range between done."""

    def _new_offset(self, tp: TP) -> int | None:
        acked, index, runs = self._acked[tp], self._acked_index[tp], self._runs[tp]
        new = None
        while runs and runs[0] in index:
            last = runs.popleft()
            index.discard(last)
            new = last + 1
        if new is not None:
            acked[:] = [offset for offset in acked if offset >= new]
        return new

    def ack(self, message: Run) -> bool:
        """Remember that a run is done; one of an older generation is forgotten, never committed."""
        if message.generation_id != self.app.consumer_generation_id:
            message.acked = True
            self._unacked_messages.discard(message)
            notify(self._waiting_for_ack)
            return False
        done: bool = super().ack(message)
        return done

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is acknowledged before Faust forgets it."""
        await self.commit()
        await super().on_partitions_revoked(revoked)
        self._runs.clear()


class Transport(driver.Transport):  # type: ignore[misc]
    """The aiokafka driver with our consumer."""

    Consumer = Consumer


kafka = Transport  # URL schemes are lower case
