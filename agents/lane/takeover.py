"""Taking partitions over: fence, then read the changelog to its end, then check that the cursor still means something.

The order is the guarantee. Before the fence the former owner could still write what we would not read; after it, the
changelog's end stands still.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from agents.lane.cursor import CursorUnreadable
from agents.lane.errors import LaneRefused
from agents.lane.log import Bounds, CommittedRecord, Log, TopicIdentity
from agents.lane.slot import Names, Slot
from streams.fold import FoldFactory

CHECK = "run `handraise topics check` to see what differs"


class Expired(NamedTuple):
    """Inbox offsets that retention removed before they were folded: first <= offset < after."""

    partition: int
    first: int
    after: int


class Takeover(NamedTuple):
    """What a takeover did."""

    changelog_records: int
    seconds: float
    expired: list[Expired]


async def take_over(log: Log, slots: Sequence[Slot], names: Names, factory: FoldFactory) -> Takeover:
    """Make the slots ours and ready to fold.

    Raises LaneRefused if a cursor and the inbox do not belong together. Whatever is raised: none of the slots is ours.
    """
    began = time.monotonic()
    try:
        await asyncio.gather(*(slot.fence() for slot in slots))
        records, expired = await _recover(log, slots, names, factory)
    except BaseException:
        await asyncio.shield(asyncio.gather(*(slot.close() for slot in slots)))
        raise
    return Takeover(records, time.monotonic() - began, expired)


async def require_topics(log: Log, names: Names, partitions: int, outputs: Collection[str]) -> None:
    """Refuse to start before anything is touched: missing topics, an inbox or changelog of another partition count.

    `outputs` are logical names. Raises LaneRefused.
    """
    wanted = [names.inbox, names.changelog, *(names.prefix + topic for topic in outputs)]
    found = await log.identify(wanted)
    missing = [topic for topic in wanted if topic not in found]
    if missing:
        raise LaneRefused(
            f"{'topics' if len(missing) > 1 else 'topic'} missing: {', '.join(sorted(missing))}",
            f"the Kafka cluster, prefix {names.prefix!r}",
            f"{CHECK}; `handraise topics create` creates what is missing",
        )
    for topic in (names.inbox, names.changelog):
        if found[topic].partitions != partitions:
            raise LaneRefused(
                f"the topic has {found[topic].partitions} partitions, this lane is set to {partitions}",
                f"topic {topic}",
                f"{CHECK}; set HANDRAISE_PARTITIONS back to the count the states were made with",
            )


async def _recover(log: Log, slots: Sequence[Slot], names: Names, factory: FoldFactory) -> tuple[int, list[Expired]]:
    by_partition = {slot.partition: slot for slot in slots}
    count = 0

    def restore(partition: int, records: Sequence[CommittedRecord]) -> None:
        nonlocal count
        count += len(records)
        try:
            by_partition[partition].restore(records)
        except CursorUnreadable as error:
            raise LaneRefused(
                str(error),
                f"topic {names.changelog}, partition {partition}",
                f"run the release that wrote it, or a newer one; {CHECK}",
            ) from error

    reader = await log.reader()
    try:
        ends = await reader.read(names.changelog, by_partition, restore)
        bounds = await reader.bounds(names.inbox, by_partition)
    finally:
        await reader.close()
    identity = (await log.identify([names.inbox])).get(names.inbox)
    if identity is None:
        raise LaneRefused(f"topic missing: {names.inbox}", "the Kafka cluster", CHECK)
    expired = []
    for partition, slot in by_partition.items():
        start = _start(slot, names.inbox, identity, bounds[partition])
        if slot.cursor is not None and start > slot.cursor.next_offset:
            expired.append(Expired(partition, slot.cursor.next_offset, start))
        slot.changelog_end = ends[partition]
        slot.open(factory, identity, start)
        await asyncio.sleep(0)  # a fold looks through all its states, and this process must be seen to live meanwhile
    return count, expired


def _start(slot: Slot, inbox: str, identity: TopicIdentity, bounds: Bounds) -> int:
    """Where to go on; raises LaneRefused where the cursor and the inbox do not belong together."""
    cursor = slot.cursor
    if cursor is None:
        return bounds.first
    where = f"topic {inbox}, partition {slot.partition}"
    if cursor.partitions != identity.partitions:
        raise LaneRefused(
            f"the partition count changed from {cursor.partitions} to {identity.partitions}: keys now lie elsewhere",
            where,
            f"{CHECK}; start under a new HANDRAISE_PREFIX with the new count, Kafka cannot take partitions back",
        )
    if cursor.topic_id != identity.topic_id:
        raise LaneRefused(
            f"the topic was deleted and created again (id {identity.topic_id}, the states belong to {cursor.topic_id})",
            where,
            f"{CHECK}; if it was meant, start under a new HANDRAISE_PREFIX, or delete the lane's changelog as well",
        )
    if cursor.next_offset > bounds.end:
        raise LaneRefused(
            f"the states stand at offset {cursor.next_offset}, the log ends at {bounds.end}: records were lost",
            where,
            f"{CHECK}; restore the topic from a replica or backup, or start under a new HANDRAISE_PREFIX",
        )
    return max(cursor.next_offset, bounds.first)
