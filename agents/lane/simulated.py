"""A worker without Faust: the same lane, fed step by step from a log in memory. For fast tests and simulations.

Everything is driven by `step`; no task outlives a `settle`, and no clock is read. A worker that was killed has left
its producers as they were: an open transaction stays open until a successor fences it or it times out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from agents.lane.config import LaneConfig
from agents.lane.errors import LaneFailed
from agents.lane.log import Log
from agents.lane.loop import Lane
from agents.lane.memory_log import MemoryLog
from agents.lane.slot import Slot
from agents.lane.takeover import Takeover, take_over
from agents.metrics import LaneMetrics


class SimulatedWorker:
    """One worker process on a memory log.

    `lane_log` is what the lane writes to, by default the log itself; tests put a double with faults around it.
    `metrics`: those that it counts in, by default its own; to make them costs as much as folding ten records.
    """

    def __init__(
        self,
        config: LaneConfig,
        log: MemoryLog,
        *,
        lane_log: Log | None = None,
        run_records: int = 500,
        metrics: LaneMetrics | None = None,
    ):
        self.config, self.log, self._lane_log, self._run_records = config, log, lane_log or log, run_records
        self.metrics = metrics or LaneMetrics(config.role)
        self.failure: LaneFailed | None = None
        self.changing_hands = False
        """Whether this worker has heard of a rebalance; a fence is then no failure."""
        self.lane = Lane(
            self.metrics,
            max_batch=config.max_batch,
            fail=self._fail,
            changing_hands=lambda: self.changing_hands,
            clock=lambda: log.now_ms / 1000,
        )

    async def take_over(self, partitions: Collection[int]) -> Takeover:
        """Own these partitions beside those already owned; raises LaneRefused."""
        slots = [
            Slot(
                partition,
                self.config.names,
                self._lane_log.writer(self.config.transactional_id(partition)),
                self.config.states_factory(),
            )
            for partition in partitions
        ]
        taken = await take_over(self._lane_log, slots, self.config.names, self.config.fold_factory)
        self.lane.slots.update((slot.partition, slot) for slot in slots)
        return taken

    async def give_up(self, partitions: Collection[int]) -> None:
        """Own these partitions no more, as after a rebalance."""
        for partition in partitions:
            await self.lane.discard(partition).close()

    async def step(self) -> bool:
        """Feed one run of each partition that has one; returns whether there was any.

        Raises what ended the worker: the fold's own exception, LaneFailed with the cause, or a gap.
        """
        moved = False
        inbox = self.config.names.inbox
        for partition, slot in list(self.lane.slots.items()):
            if slot.lost or slot.paused is not None:
                continue
            first = slot.next_offset
            records, after = self.log.fetch(inbox, partition, first, self._run_records)
            if records:
                moved = True
                await self.lane.feed(partition, records, first, after)
        await asyncio.sleep(0)
        self._raise()
        return moved

    async def settle(self) -> None:
        """Commit everything that was fed; raises like `step`."""
        await self.lane.drain()
        self._raise()

    async def run_until_idle(self) -> None:
        """Fold and commit all that can be read; raises like `step`."""
        while await self.step():
            pass
        await self.settle()

    def _fail(self, failure: LaneFailed) -> None:
        self.failure = self.failure or failure

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure
