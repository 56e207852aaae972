"""Faust's table storage: the states of the owned partitions, read through the slots.

Faust finds it by the store URL's scheme: `agents.lane.store.memory://`. Only the lane writes, in its transactions; what
is read here may be one batch ahead of what is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from faust.stores import base

from agents.lane.slot import Slot
from agents.lane.takeover import take_over

if TYPE_CHECKING:
    from agents.lane.app import LaneApp

log = structlog.get_logger("agents.lane")


class Store(base.Store):  # type: ignore[misc]
    """The slots as one mapping, and who owns them."""

    app: LaneApp

    async def own(self, partitions: set[int], changelog_ends: Mapping[int, int]) -> None:
        """Become the owner of exactly these partitions; raises LaneRefused.

        A slot kept through a rebalance goes on as it is, unless somebody else has written meanwhile. If that is
        missed, our producer is fenced and the next commit says so: the check saves a restart, the truth is the fence.
        """
        lane, config = self.app.lane, self.app.lane_config
        leaving = [
            slot
            for partition, slot in lane.slots.items()
            if partition not in partitions or slot.lost or changelog_ends.get(partition, 0) > slot.changelog_end
        ]
        for slot in leaving:
            self.app.retire(lane.discard(slot.partition))
        new = [
            Slot(
                partition,
                config.names,
                self.app.lane_log.writer(config.transactional_id(partition)),
                config.states_factory(),
            )
            for partition in sorted(partitions - set(lane.slots))
        ]
        if new:
            taken = await take_over(self.app.lane_log, new, config.names, config.fold_factory)
            self.app.metrics.takeover_seconds.observe(taken.seconds)
            for lost in taken.expired:
                self.app.metrics.expired.inc(lost.after - lost.first)
                log.error(
                    "retention removed records before they were folded; going on after them",
                    partition=lost.partition,
                    first=lost.first,
                    after=lost.after,
                )
            log.info(
                "partitions taken over",
                partitions=[slot.partition for slot in new],
                changelog_records=taken.changelog_records,
                seconds=round(taken.seconds, 3),
            )
            lane.slots.update((slot.partition, slot) for slot in new)
        self.app.metrics.owned.set(len(lane.slots))

    # -- Faust's calls: its own recovery never reads
    def persisted_offset(self, tp: Any) -> int | None:
        """No offset: the slots keep their own place."""
        return None

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        """Ownership changes in `own`, when the rebalance is over."""
        await asyncio.sleep(0)

    def apply_changelog_batch(self, batch: Any, to_key: Any, to_value: Any) -> None:
        """Faust reads no changelog here."""

    def reset_state(self) -> None:
        """Nothing of Faust's is kept."""

    async def backup_partition(self, *args: Any, **kwargs: Any) -> None:
        """The changelog is the backup."""

    def restore_backup(self, *args: Any, **kwargs: Any) -> None:
        """The changelog is the backup."""

    # -- a mapping that nobody else writes
    def __getitem__(self, key: bytes) -> bytes:
        for slot in self.app.lane.slots.values():
            if key in slot.states:
                return slot.states[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[bytes]:
        for slot in self.app.lane.slots.values():
            yield from slot.states

    def __len__(self) -> int:
        return sum(len(slot.states) for slot in self.app.lane.slots.values())

    def __contains__(self, key: object) -> bool:
        return any(key in slot.states for slot in self.app.lane.slots.values())

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("states are written by the lane's transactions only")

    def __delitem__(self, key: Any) -> None:
        raise TypeError("states are written by the lane's transactions only")

    def clear(self) -> None:
        """Refuse: see __setitem__."""
        raise TypeError("states are written by the lane's transactions only")


memory = Store  # URL schemes are lower case
