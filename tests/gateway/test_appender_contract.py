"""The contract of an appender: one suite for the one in memory and the one on real Kafka."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from deploy.local import Kafka
from gateway.appender import Appender, KafkaAppender, Row, Unavailable
from gateway.metrics import Metrics
from schemas.topics import physical
from tests.gateway.broker import TOPICS, create_topics, values
from tests.gateway.memory import MemoryAppender

PATIENCE_S = 1.0
BUFFER_BYTES = 2_000_000


@dataclass
class Bench:
    """An appender, what it has appended, and a broker that goes and comes."""

    appender: Appender
    stored: Callable[[], Awaitable[dict[int, list[tuple[bytes, bytes]]]]]
    away: Callable[[], None]
    back: Callable[[], None]


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Each kind of appender, on a broker of its own."""
    if request.param == "memory":
        memory = MemoryAppender(buffer_bytes=BUFFER_BYTES, patience_s=0.05)

        async def remembered() -> dict[int, list[tuple[bytes, bytes]]]:
            found: dict[int, list[tuple[bytes, bytes]]] = {n: [] for n in range(4)}
            for row in memory.rows:
                found[row.partition].append((row.key, row.value))
            return found

        yield Bench(memory, remembered, memory.away, memory.back)
        return
    broker: Kafka = request.getfixturevalue("own_kafka")()
    prefix: str = request.getfixturevalue("prefix")
    await create_topics(broker.bootstrap, prefix)
    appender = KafkaAppender(
        broker.bootstrap,
        {name: physical(name, prefix) for name in TOPICS},
        Metrics(),
        buffer_bytes=BUFFER_BYTES,
        patience_s=PATIENCE_S,
    )
    await appender.start()

    def send(number: signal.Signals) -> None:
        assert broker.pid is not None
        os.kill(broker.pid, number)

    yield Bench(
        appender,
        lambda: values(broker.bootstrap, physical("lead.events", prefix)),
        lambda: send(signal.SIGSTOP),
        lambda: send(signal.SIGCONT),
    )
    await appender.close()


def rows(name: str, count: int, size: int = 10) -> list[Row]:
    """Rows over four partitions, numbered."""
    return [
        Row("lead.events", n % 4, b"key", f"{name}-{n}".encode().ljust(size, b"."), 1_790_000_000_000)
        for n in range(count)
    ]


async def accepted_again(bench: Bench, batch: list[Row]) -> None:
    """Append as SDKs do: again and again until it is taken."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await bench.appender.append(batch)
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_what_was_appended_is_there_once_and_in_order(bench: Bench) -> None:
    """After append returns every row is stored, in order within its partition; nothing is fine too."""
    await bench.appender.append([])
    batch = rows("a", 1000)
    await bench.appender.append(batch)
    stored = await bench.stored()
    for partition in range(4):
        assert [value for _, value in stored[partition]] == [row.value for row in batch if row.partition == partition]


async def test_concurrent_requests_lose_and_double_nothing(bench: Bench) -> None:
    """Many at a time: each row is there exactly once, and each request's rows are in their order."""
    await asyncio.gather(*(bench.appender.append(rows(f"r{n}", 20)) for n in range(200)))
    stored = await bench.stored()
    for partition in range(4):
        found = [value.rstrip(b".") for _, value in stored[partition]]
        assert len(found) == 200 * 5 == len(set(found))
        for n in range(200):
            own = [value for value in found if value.startswith(f"r{n}-".encode())]
            assert own == [f"r{n}-{k}".encode() for k in range(partition, 20, 4)]


async def test_more_than_a_batch_holds_is_stored_in_order(bench: Bench) -> None:
    """A request whose rows to one partition need several batches is stored whole."""
    batch = [row._replace(partition=0) for row in rows("big", 30, 50_000)]
    await bench.appender.append(batch)
    assert [value for _, value in (await bench.stored())[0]] == [row.value for row in batch]


async def test_a_broker_that_is_away_is_told_in_bounded_time_and_comes_back(bench: Bench) -> None:
    """Away: Unavailable after a bounded wait, then at once, and not ready; back: stored, and ready, by itself."""
    await bench.appender.append(rows("before", 4))
    assert await bench.appender.ready() is None
    bench.away()
    async with asyncio.timeout(PATIENCE_S * 3):
        with pytest.raises(Unavailable):
            await bench.appender.append(rows("lost?", 4))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(Unavailable):
        await bench.appender.append(rows("refused", 4))
    assert loop.time() - begun < PATIENCE_S
    assert await bench.appender.ready() is not None
    bench.back()
    await accepted_again(bench, rows("after", 4))
    assert await bench.appender.ready() is None
    stored = [value for each in (await bench.stored()).values() for _, value in each]
    assert {value.partition(b"-")[0] for value in stored} >= {b"before", b"after"}
    assert b"refused" not in {value.partition(b"-")[0] for value in stored}


async def test_memory_is_bounded(bench: Bench) -> None:
    """What waits never exceeds the buffer: who comes then is refused at once; later there is room again."""
    bench.away()
    waiting = [asyncio.create_task(bench.appender.append(rows(f"w{n}", 10, 50_000))) for n in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await bench.appender.append(rows("over", 20, 50_000))
    bench.back()
    await asyncio.gather(*waiting, return_exceptions=True)
    await accepted_again(bench, rows("later", 20, 50_000))


@pytest.mark.parametrize("bench", ["kafka"], indirect=True)
async def test_it_closes_in_bounded_time_while_the_broker_is_away(bench: Bench) -> None:
    """With a batch under way, and nobody who could take it: closing gives up what waits, and ends."""
    bench.away()
    with pytest.raises(Unavailable):
        await bench.appender.append(rows("lost", 40))
    assert isinstance(bench.appender, KafkaAppender)
    async with asyncio.timeout(PATIENCE_S * 6):
        await bench.appender.close()
