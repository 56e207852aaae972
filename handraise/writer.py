"""Writing to the deployment's topics from the command line: records that workers take from there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from handraise.settings import Settings
from handraise.topics import unreachable


@asynccontextmanager
async def writer(settings: Settings, client_id: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer whose records are acknowledged by all replicas.  Raises Failure when Kafka does not answer."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, client_id=client_id, acks="all", enable_idempotence=True
    )
    try:
        await producer.start()
        yield producer
    except (KafkaError, OSError) as error:
        raise unreachable(settings.kafka, error) from error
    finally:
        await producer.stop()
