"""The contract of a log, as the lane relies on it: the same suite for the fake and the real thing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from agents.lane.errors import BatchRefused, Fenced
from agents.lane.log import CommittedRecord, Entry, Writer
from tests.contract.bench import DEADLINE_S, SMALL_BYTES, Bench


def entry(name: str, size: int = 0) -> Entry:
    """A record whose key and value tell its name."""
    return name.encode(), name.encode() + b"." * size, []


def names(seen: Sequence[CommittedRecord]) -> list[str]:
    """The names of records."""
    return [record.key.decode() for record in seen if record.key is not None]


@pytest.fixture
async def topic(bench: Bench) -> str:
    """A topic with two partitions."""
    await bench.create(f"{bench.prefix}topic", 2)
    return f"{bench.prefix}topic"


@pytest.fixture
async def writers(bench: Bench) -> AsyncIterator[list[Writer]]:
    """Writers to be closed at the end."""
    made: list[Writer] = []
    yield made
    for writer in made:
        await writer.close()


async def started(bench: Bench, writers: list[Writer], name: str = "writer") -> Writer:
    """A writer that has fenced its predecessors."""
    writer = bench.log.writer(f"{bench.prefix}{name}")
    writers.append(writer)
    await writer.start()
    return writer


async def write(writer: Writer, topic: str, *entries: Entry, partition: int = 0) -> int:
    """Begin, append and wait for the acknowledgement; the transaction stays open."""
    await writer.begin()
    return await (await writer.append(topic, partition, entries))


async def committed(bench: Bench, topic: str, partition: int = 0) -> list[str]:
    """Names that a read_committed reader sees."""
    return names(await bench.seen(topic, partition, committed=True))


async def eventually(read: Callable[[], Awaitable[list[str]]], expected: list[str]) -> None:
    """What is read comes to be this: a commit is answered a moment before its markers let readers see it."""
    deadline = time.monotonic() + DEADLINE_S
    while (found := await read()) != expected and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)
    assert found == expected


async def test_a_committed_transaction_is_seen_as_written(bench: Bench, topic: str, writers: list[Writer]) -> None:
    """What was appended is read in its order, with keys, values and headers unchanged, tombstones and nulls too."""
    writer = await started(bench, writers)
    entries: list[Entry] = [(b"a", b"1", [("ce_id", b"x"), ("ce_id", b"y")]), (b"b", None, []), (None, b"3", [])]
    await write(writer, topic, *entries)
    await writer.commit()
    await bench.outlast_transactions(topic, 0)
    seen = await bench.seen(topic, 0, committed=True)
    assert [(record.key, record.value, record.headers) for record in seen] == entries


async def test_an_acknowledgement_is_the_offset_after_and_a_marker_takes_one(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """Three records end at 3; the commit marker takes offset 3, so the next record lies at 4."""
    writer = await started(bench, writers)
    assert await write(writer, topic, entry("a"), entry("b"), entry("c")) == 3
    await writer.commit()
    await bench.outlast_transactions(topic, 0)
    assert await bench.end(topic, 0) == 4
    assert await write(writer, topic, entry("d")) == 5
    await writer.commit()
    await bench.outlast_transactions(topic, 0)
    assert [record.offset for record in await bench.seen(topic, 0, committed=True)] == [0, 1, 2, 4]


async def test_an_open_transaction_is_seen_uncommitted_only(bench: Bench, topic: str, writers: list[Writer]) -> None:
    """Until the commit a read_committed reader sees nothing, a read_uncommitted one everything."""
    writer = await started(bench, writers)
    await write(writer, topic, entry("a"))
    assert await committed(bench, topic) == []
    assert names(await bench.seen(topic, 0, committed=False)) == ["a"]
    await writer.commit()
    await eventually(lambda: committed(bench, topic), ["a"])


async def test_a_transaction_is_visible_as_a_whole(bench: Bench, topic: str, writers: list[Writer]) -> None:
    """One commit shows at once what was appended to both partitions."""
    writer = await started(bench, writers)
    await writer.begin()
    for partition in (0, 1, 0):
        await (await writer.append(topic, partition, [entry(f"p{partition}")]))
    assert await committed(bench, topic, 0) == await committed(bench, topic, 1) == []
    await writer.commit()
    await eventually(lambda: committed(bench, topic, 0), ["p0", "p0"])
    await eventually(lambda: committed(bench, topic, 1), ["p1"])


async def test_an_aborted_transaction_takes_offsets_and_is_never_seen_committed(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """Aborted records and their marker keep their offsets; a read_committed reader steps over them."""
    writer = await started(bench, writers)
    await write(writer, topic, entry("aborted"))
    await writer.abort()
    await write(writer, topic, entry("kept"))
    await writer.commit()
    await bench.outlast_transactions(topic, 0)
    assert [(record.offset, record.key) for record in await bench.seen(topic, 0, committed=True)] == [(2, b"kept")]
    assert names(await bench.seen(topic, 0, committed=False)) == ["aborted", "kept"]


async def test_an_open_transaction_holds_up_readers_at_the_last_stable_offset(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """What others append behind an open transaction, committed or plain, is readable only when it has ended."""
    first, second = await started(bench, writers, "first"), await started(bench, writers, "second")
    await bench.produce(topic, 0, [entry("before")])
    await write(first, topic, entry("open"))
    await write(second, topic, entry("behind"))
    await second.commit()
    await bench.produce(topic, 0, [entry("plain")])
    reader = await bench.log.reader()
    try:
        await eventually(lambda: committed(bench, topic), ["before"])
        assert (await reader.bounds(topic, [0]))[0] == (0, 1)
        await first.commit()
        await eventually(lambda: committed(bench, topic), ["before", "open", "behind", "plain"])
        assert (await reader.bounds(topic, [0]))[0] == (0, 6)
    finally:
        await reader.close()


async def test_a_started_writer_fences_its_predecessor_at_the_append(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """After a younger writer's start the older one's acknowledgement or commit raises Fenced, and nothing is seen."""
    older = await started(bench, writers)
    await write(older, topic, entry("first"))
    await older.commit()
    await started(bench, writers)
    with pytest.raises(Fenced):
        await write(older, topic, entry("zombie"))
        await older.commit()
    await eventually(lambda: committed(bench, topic), ["first"])


async def test_a_started_writer_aborts_what_its_predecessor_left_open(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """A start ends the older transaction: its records are never seen, readers go on, its commit raises Fenced."""
    older = await started(bench, writers)
    await write(older, topic, entry("lost"))
    younger = await started(bench, writers)
    await write(younger, topic, entry("kept"))
    await younger.commit()
    with pytest.raises(Fenced):
        await older.commit()
    await eventually(lambda: committed(bench, topic), ["kept"])


async def test_writers_of_different_ids_do_not_fence_each_other(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """A fence is a matter of one transactional id."""
    first, second = await started(bench, writers, "first"), await started(bench, writers, "second")
    await write(first, topic, entry("a"))
    await write(second, topic, entry("b"))
    await second.commit()
    await first.commit()
    await eventually(lambda: committed(bench, topic), ["a", "b"])


async def test_a_dead_producers_transaction_ends_by_time_out(bench: Bench, topic: str, writers: list[Writer]) -> None:
    """A producer that died with an open transaction holds readers up for its time-out at most, and is fenced by it."""
    writer = await started(bench, writers)
    await write(writer, topic, entry("lost"))
    await bench.produce(topic, 0, [entry("behind")])
    assert await committed(bench, topic) == []
    await bench.outlast_transactions(topic, 0)
    await eventually(lambda: committed(bench, topic), ["behind"])
    with pytest.raises(Fenced):
        await writer.commit()


async def test_a_refused_batch_shows_in_its_acknowledgement_only(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """Too large a record is refused at the acknowledgement; a commit that did not wait for it loses the batch."""
    writer = await started(bench, writers)
    await writer.begin()
    kept = await writer.append(topic, 0, [entry("kept")])
    refused = await writer.append(topic, 1, [entry("refused", SMALL_BYTES)])
    await kept
    with pytest.raises(BatchRefused):
        await refused
    await writer.commit()
    await eventually(lambda: committed(bench, topic, 0), ["kept"])
    assert await committed(bench, topic, 1) == []


async def test_many_entries_keep_their_order(bench: Bench, topic: str, writers: list[Writer]) -> None:
    """However many batches an append makes of its entries, their order and the end offset are exact."""
    writer = await started(bench, writers)
    await writer.begin()
    entries = [entry(f"{number}", 900) for number in range(95)]
    acknowledgement = await writer.append(topic, 0, entries)
    assert await acknowledgement == 95
    await writer.commit()
    await eventually(lambda: committed(bench, topic), [f"{number}" for number in range(95)])


async def test_a_reader_reads_each_partition_to_its_end(bench: Bench, topic: str, writers: list[Writer]) -> None:
    """Reading ends at the last stable offset even if only markers or aborted records lie before it."""
    writer = await started(bench, writers)
    await write(writer, topic, entry("a"), entry("b"))
    await writer.commit()
    await write(writer, topic, entry("aborted"), partition=1)
    await writer.abort()
    for partition in (0, 1):
        await bench.outlast_transactions(topic, partition)
    reader, read = await bench.log.reader(), []
    try:
        ends = await reader.read(topic, [0, 1], lambda partition, run: read.extend((partition, *names(run))))
        assert ends == {0: 3, 1: 2}
        assert read == [0, "a", "b"]
    finally:
        await reader.close()


async def test_bounds_tell_what_retention_left(bench: Bench, topic: str) -> None:
    """The first offset moves up with retention, the end stays."""
    await bench.produce(topic, 0, [entry("a"), entry("b"), entry("c")])
    await bench.expire(topic, 0, 2)
    reader = await bench.log.reader()
    try:
        assert (await reader.bounds(topic, [0, 1])) == {0: (2, 3), 1: (0, 0)}
    finally:
        await reader.close()


async def test_a_topic_created_again_has_another_identity(bench: Bench, topic: str) -> None:
    """The id stays while a topic lives, through growth too, and differs after it was deleted and created again."""
    before = (await bench.log.identify([topic]))[topic]
    assert before.partitions == 2
    await bench.grow(topic, 3)
    grown = (await bench.log.identify([topic]))[topic]
    assert grown == (before.topic_id, 3)
    await bench.delete(topic)
    assert topic not in await bench.log.identify([topic])
    await bench.create(topic, 2)
    again = (await bench.log.identify([topic]))[topic]
    assert again.topic_id != before.topic_id


async def test_identity_leaves_out_what_does_not_exist(bench: Bench, topic: str) -> None:
    """Asking for a topic that is not there is no error, and creates nothing."""
    missing = f"{bench.prefix}missing"
    assert set(await bench.log.identify([topic, missing])) == {topic}
    assert await bench.log.identify([missing]) == {}


async def test_a_closed_writer_leaves_its_transaction_to_the_successor(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """Closing commits nothing and aborts nothing by itself; the successor's start does."""
    older = await started(bench, writers)
    await write(older, topic, entry("open"))
    await older.close()
    await started(bench, writers)
    await bench.produce(topic, 0, [entry("after")])
    await eventually(lambda: committed(bench, topic), ["after"])


async def test_transactions_of_one_writer_follow_each_other_at_once(
    bench: Bench, topic: str, writers: list[Writer]
) -> None:
    """Back-to-back transactions need no pause between them."""
    writer = await started(bench, writers)
    for number in range(20):
        await write(writer, topic, entry(f"{number}"))
        await writer.commit()
    await eventually(lambda: committed(bench, topic), [f"{number}" for number in range(20)])
