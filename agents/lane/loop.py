"""The batch loop: fold at once, one transaction at a time per partition.

What arrives while a transaction is on its way is folded meanwhile and goes into the next one. So an idle partition
commits each record at once, and a busy one commits as many as came in during the commit before: batches grow with the
load by themselves, up to a bound, beyond which the feeder waits.

The loop knows nothing of Faust; who feeds it is `app.py` in production and `simulated.py` in fast tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from agents.lane.errors import Fenced, LaneFailed
from agents.lane.slot import Slot
from agents.metrics import LaneMetrics
from streams.fold import InboxRecord, Sealed, Unfoldable

ANSWER_PATIENCE_S = 5.0
"""A transaction that takes longer is told by readiness; the client gives up much later, and ends the process."""


class Lane:
    """The slots of one worker, and their transactions.

    `fail` is called once with what went wrong in a slot that is ours, and must end the process; `changing_hands` says
    whether a rebalance is on, when a fence is no surprise; `paused` is told of a partition that stopped for good;
    `rest` is awaited between two transactions of one partition, and after a large one up to `gather_s` seconds for the
    next to fill; `clock` (seconds) measures transactions and decides nothing.
    """

    def __init__(
        self,
        metrics: LaneMetrics,
        *,
        max_batch: int,
        fail: Callable[[LaneFailed], None],
        changing_hands: Callable[[], bool] = lambda: False,
        paused: Callable[[int, str], None] = lambda partition, reason: None,
        rest: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0),
        gather_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots: dict[int, Slot] = {}
        self._metrics, self._max_batch = metrics, max_batch
        self._fail, self._changing_hands, self._paused, self._rest = fail, changing_hands, paused, rest
        self._gather_s, self._clock = gather_s, clock
        self._room = asyncio.Event()  # some slot has begun to commit what was pending, or was lost
        self._commits: set[asyncio.Task[None]] = set()

    async def feed(
        self,
        partition: int,
        records: Sequence[InboxRecord],
        first: int,
        after: int,
        acknowledge: Callable[[], object] = lambda: None,
    ) -> None:
        """Fold a run that covers the offsets first <= offset < after; waits while the partition's batch is full.

        `acknowledge` is called when the run is committed; never, if the partition is lost or paused first. What
        cannot be folded ends the process, which may be to blame; where a new one meets it before its first commit, the
        partition pauses. Raises LaneFailed for that, and if the run does not join the one before it.
        """
        slot = self.slots.get(partition)
        if slot is None or slot.lost or slot.paused is not None:
            return
        if first != slot.next_offset:
            raise LaneFailed(f"gap in partition {partition}: offsets {slot.next_offset} to {first} were never seen")
        while not slot.lost:
            try:
                consumed = slot.apply(records, after)
            except Unfoldable as error:
                if slot.transactions:
                    raise LaneFailed(str(error)) from error  # it may be us: a new process begins with what is committed
                slot.give_up(str(error))
                consumed = 0
            records = records[consumed:]
            if not records:
                slot.pending.acknowledgements.append(acknowledge)
            if slot.paused is not None:
                self._metrics.paused.inc()
                self._paused(partition, slot.paused)
            if slot.pending.records and not slot.committing:
                self._start(slot)
            if not records or slot.paused is not None:
                break
            await self._sealed(slot)
        while slot.pending.records >= self._max_batch and not slot.lost:
            await self._sealed(slot)

    async def _sealed(self, slot: Slot) -> None:
        """Wait until the open batch, which takes no more, is sealed or lost; it may be that of another partition."""
        slot.full.set()
        self._room.clear()
        await self._room.wait()

    async def drain(self) -> None:
        """Wait until everything that was fed is committed, or its slot is lost."""
        while self._commits:
            await asyncio.wait(self._commits)

    def reasons(self) -> list[str]:
        """Why partitions stand still, in words."""
        now = self._clock()
        paused = [f"partition {slot.partition}: {slot.paused}" for slot in self.slots.values() if slot.paused]
        lost = [f"partition {slot.partition}: fenced by another worker" for slot in self.slots.values() if slot.lost]
        late = [
            f"partition {slot.partition}: Kafka has not answered a transaction for {now - slot.transaction_began:.0f} s"
            for slot in self.slots.values()
            if slot.transaction_began is not None and now - slot.transaction_began > ANSWER_PATIENCE_S
        ]
        return paused + lost + late

    def discard(self, partition: int) -> Slot:
        """Take a slot out of the lane; the caller closes it."""
        slot = self.slots.pop(partition)
        slot.lost = True
        slot.full.set()
        if slot.paused is not None:
            self._metrics.paused.dec()
        self._metrics.disowned(partition)
        self._room.set()
        return slot

    def _start(self, slot: Slot) -> None:
        slot.committing = True
        task = asyncio.get_running_loop().create_task(self._commit(slot))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)

    async def _commit(self, slot: Slot) -> None:
        """Commit what is pending, until nothing is."""
        try:
            while slot.pending.records and not slot.lost:
                sealed, next_offset, pending = slot.seal()
                self._room.set()
                slot.transaction_began = began = self._clock()
                await slot.commit(sealed, next_offset)
                slot.transaction_began = None
                slot.transactions += 1
                self._count(sealed, pending.records, self._clock() - began)
                for acknowledge in pending.acknowledgements:
                    acknowledge()
                await self._rest()
                if self._gather_s and pending.records >= self._max_batch // 4:
                    await self._gather(slot)
        except Exception as error:
            self._failed(slot, error)
        finally:
            slot.committing = False
            self._room.set()

    async def _gather(self, slot: Slot) -> None:
        """Wait a little for a full batch: a lead that changes often in one batch is written and published once."""
        slot.full.clear()
        if slot.pending.records < self._max_batch:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(slot.full.wait(), self._gather_s)

    def _failed(self, slot: Slot, error: Exception) -> None:
        """A slot that another worker took is not our failure; one that is ours is."""
        if slot.lost:
            return
        slot.lost = True
        if isinstance(error, Fenced) and self._changing_hands():
            return  # the next owner was quicker than the news of it; ownership is settled when the rebalance ends
        failure = LaneFailed(f"the transaction of partition {slot.partition} failed: {error!r}")
        failure.__cause__ = error
        self._fail(failure)

    def _count(self, sealed: Sealed, records: int, seconds: float) -> None:
        metrics = self._metrics
        metrics.records.inc(records)
        metrics.batches.inc()
        metrics.changes.inc(len(sealed.changes))
        metrics.transaction_seconds.observe(seconds)
        for topic, count in Counter(output.topic for output in sealed.outputs).items():
            metrics.published(topic, count)
