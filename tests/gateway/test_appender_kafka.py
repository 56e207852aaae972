"""What only a real Kafka does to the appender: refusals, and producers that break."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gateway.appender import KafkaAppender, Row, Unavailable, _take_breath
from gateway.metrics import Metrics
from schemas.topics import physical
from tests.gateway.broker import TOPICS, values

NOW = 1_790_000_000_000


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of this test's own."""
    return Metrics()


@pytest.fixture
async def appender(kafka: str, prefix: str, metrics: Metrics) -> AsyncIterator[KafkaAppender]:
    """An appender onto topics whose broker takes batches of at most 5,000 bytes."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    small = {"max.message.bytes": "5000"}
    await admin.create_topics([NewTopic(physical(name, prefix), 1, 1, topic_configs=small) for name in TOPICS])
    await admin.close()
    names = {name: physical(name, prefix) for name in TOPICS}
    made = KafkaAppender(kafka, names, metrics, buffer_bytes=10_000_000, patience_s=8.0)
    await made.start()
    yield made
    await made.close()
    assert made.buffered_bytes() == 0


def row(size: int) -> Row:
    """A row of so many bytes."""
    return Row("lead.events", 0, b"key", b"x" * size, NOW)


async def test_a_producer_that_broke_is_replaced(
    appender: KafkaAppender, metrics: Metrics, kafka: str, prefix: str
) -> None:
    """A batch that the broker refuses for good is reported; the producer is replaced and the next batch is stored."""
    await appender.append([row(10)])
    with pytest.raises(Unavailable, match="refused the batch"):
        await appender.append([row(6000)])
    await appender.append([row(20)])
    assert await appender.ready() is None
    assert metrics.registry.get_sample_value("handraise_gateway_producers_replaced_total") == 1
    stored = await values(kafka, physical("lead.events", prefix))
    assert [len(value) for _, value in stored[0]] == [10, 20]


async def test_a_start_without_kafka_is_unavailable(metrics: Metrics) -> None:
    """Nobody answers: Unavailable within the patience, and not ready."""
    lonely = KafkaAppender("127.0.0.1:9", {}, metrics, buffer_bytes=1, patience_s=1.0)
    assert await lonely.ready() is not None
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        await lonely.start()
    assert await lonely.ready() is not None
    await lonely.close()


async def test_who_asks_in_vain_where_partitions_are_takes_a_breath() -> None:
    """An answer is told at once; that there is none, after a pause, so that nobody asks hundreds of times a second."""

    answers = [True, False]

    class Client:
        async def force_metadata_update(self) -> bool:
            return answers.pop(0)

    client, loop = Client(), asyncio.get_running_loop()
    _take_breath(client)
    began = loop.time()
    told = client.force_metadata_update()
    assert await asyncio.wait_for(told, 5)
    assert not await client.force_metadata_update()
    assert loop.time() - began >= 0.2
