import asyncio
from collections.abc import Callable

import redis.asyncio as redis_client
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import Kafka


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def _send(bootstrap: str, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_a_started_broker_takes_work_at_once(kafka: str, prefix: str) -> None:
    """When the fixture returns, a topic can be made, written and read without any wait in between."""
    await _create(kafka, prefix + "topic")
    await _send(kafka, prefix + "topic", b"first")
    assert await _read(kafka, prefix + "topic", 1) == [b"first"]


async def test_what_a_broker_acknowledged_outlives_kill_and_stop(own_kafka: Callable[..., Kafka]) -> None:
    """The same port and data come back after SIGKILL and after a controlled shutdown."""
    broker = own_kafka()
    await _create(broker.bootstrap, "kept")
    await _send(broker.bootstrap, "kept", b"before the kill")
    first = broker.pid
    broker.kill()
    assert broker.pid is None
    broker.start()
    assert broker.pid not in {None, first}
    await _send(broker.bootstrap, "kept", b"before the stop")
    broker.stop()
    assert broker.pid is None
    broker.start()
    assert await _read(broker.bootstrap, "kept", 2) == [b"before the kill", b"before the stop"]


async def test_redis_answers(redis_url: str, prefix: str) -> None:
    """The Redis fixture is a server that keeps what it is given."""
    client = redis_client.from_url(redis_url)
    try:
        await client.set(prefix + "key", "value")
        assert await client.get(prefix + "key") == b"value"
    finally:
        await client.aclose()
