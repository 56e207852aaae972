"""The books of a counting lane: what must hold after anything that happened to its workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from agents.lane.log import CommittedRecord, Log
from agents.lane.slot import Names
from tests.agents.lane.counting import TOPIC


async def read(log: Log, topic: str, partitions: Iterable[int]) -> dict[int, list[CommittedRecord]]:
    """All that a read_committed reader sees."""
    places = list(partitions)
    seen: dict[int, list[CommittedRecord]] = {partition: [] for partition in places}
    reader = await log.reader()
    try:
        await reader.read(topic, places, lambda partition, records: seen[partition].extend(records))
    finally:
        await reader.close()
    return seen


async def assert_exact(log: Log, names: Names, partitions: int, expected: int) -> None:
    """Outputs none missing and none double, in order, states exact, the cursor behind the last record.

    `expected` is how many records with a key were sent; the count is made afresh from the inbox.
    """
    inbox = await read(log, names.inbox, range(partitions))
    outputs = await read(log, names.prefix + TOPIC, range(partitions))
    changelog = await read(log, names.changelog, range(partitions))
    assert sum(record.key is not None for records in inbox.values() for record in records) == expected
    for partition in range(partitions):
        counts: Counter[bytes] = Counter()
        said = []
        for record in inbox[partition]:
            if record.key is not None:
                counts[record.key] += 1
                said.append((record.key, b"%d:%d" % (record.offset, counts[record.key])))
        assert [(record.key, record.value) for record in outputs[partition]] == said
        states = {record.key: record.value for record in changelog[partition]}
        cursor = states.pop(CURSOR_KEY, None)
        assert states == {key: b"%d" % count for key, count in counts.items()}
        if said:
            assert decode_cursor(cursor).next_offset > max(r.offset for r in inbox[partition] if r.key is not None)
