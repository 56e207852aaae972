"""Faust's recovery, replaced: take over -> seek to the cursors -> clear -> resume.

Faust learns of the assignment, asks for offsets, finds nothing to recover, and calls `on_recovery_completed`; there
the slots recover by themselves, because one consumer has one isolation level and a takeover must fence first. The order
of the last three steps matters: resuming before the queue is cleared, or seeking after it, delivers records twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from faust.tables import manager, recovery

from agents.lane.errors import LaneFailed, LaneRefused

if TYPE_CHECKING:
    from agents.lane.app import LaneApp


log = structlog.get_logger("agents.lane")


class Recovery(recovery.Recovery):  # type: ignore[misc]
    """What happens after each rebalance."""

    app: LaneApp

    def need_recovery(self) -> bool:
        """Never by Faust."""
        return False

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Take over, seek, clear, resume; gives up quietly where another rebalance has begun."""
        app, consumer = self.app, self.app.consumer
        await app.on_rebalance_complete.send()
        inbox = {tp for tp in consumer.assignment() if not self._is_changelog_tp(tp)}
        for table in self.tables.values():
            ends = {tp.partition: self.active_highwaters[tp] + 1 for tp in self.actives_for_table[table]}
            await self._wait(self._own(table.data, {tp.partition for tp in inbox}, ends))
            await table.on_recovery_completed(self.actives_for_table[table], self.standbys_for_table[table])
        if app.consumer_generation_id != generation_id:
            return
        if inbox:
            await self._wait(consumer.perform_seek(), timeout=app.conf.broker_request_timeout)
        if app.consumer_generation_id != generation_id:
            return
        self._set_recovery_ended()
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_partitions({tp for tp in inbox if app.lane.slots[tp.partition].paused is None})
        consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()
        for slot in app.lane.slots.values():
            if slot.lost:  # fenced since it was taken over, while a fence was no surprise: nobody else will notice
                app.guard.die(LaneFailed(f"partition {slot.partition} was fenced during the rebalance"))
        log.info("ready", partitions=sorted(app.lane.slots))

    async def _own(self, store: Any, partitions: set[int], ends: dict[int, int]) -> None:
        try:
            await store.own(partitions, ends)
        except LaneRefused as refusal:
            self.app.guard.die(refusal)
            raise

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109 - Faust's signature
        """A step that times out ends the process: Faust would end its recovery task and idle for ever."""
        try:
            await super()._wait(coro, timeout=timeout)
        except recovery.ServiceStopped:
            if not self.should_stop and not self.app.should_stop:
                self.app.guard.die(LaneFailed(f"a step of the recovery did not end in {timeout} s"))
            raise


class TableManager(manager.TableManager):  # type: ignore[misc]
    """Faust's manager with our recovery."""

    _recovery: Recovery | None

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made at first use."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """As stock, without its sleep of a second: agents are waited for by name before the consumer subscribes."""
        await self._update_channels()
        await self.recovery.start()
