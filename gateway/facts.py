"""What all processes of a deployment must agree on: the topic deployment.facts, and its first fact, the id key.

Guarantee: of several processes that lay down one fact at the same moment exactly one succeeds, and all the others see
its value.  They write under one transactional id: who begins fences all who began before, and reads once more before
it writes, so nobody writes who has not seen what was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import decode, encode
from schemas.records import DeploymentFact
from schemas.topics import physical

log = structlog.get_logger()

TOPIC = "deployment.facts"
ID_KEY = "id_key"
"""The name of the fact whose value is the fingerprint of the id key."""

_RETRY_S = 0.5
"""Longer than laying down a fact takes, so that two who fence each other do not do so for ever."""
_TRANSACTION_MS = 10_000
_CLOSE_S = 5.0


async def known(bootstrap: str, prefix: str, name: str) -> str | None:
    """The fact's value, None if nobody has laid it down.  The topic must exist.

    Raises KafkaError and OSError if Kafka does not answer, Undecodable if a newer release has written the fact.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id="handraise-facts",
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    place = TopicPartition(physical(TOPIC, prefix), 0)
    found = None
    try:
        await consumer.start()
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        await consumer.seek_to_beginning(place)
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                if record.key == name.encode() and record.value is not None:
                    fact = decode(record.value)
                    found = fact.value if isinstance(fact, DeploymentFact) else found
    finally:
        await consumer.stop()
    return found


async def lay_down(bootstrap: str, prefix: str, name: str, value: str, patience_s: float) -> str:
    """The fact's value: what stands on Kafka, or `value` from now on if nothing did.  The topic must exist.

    Raises KafkaError, OSError (Kafka does not answer within the patience, in seconds) and Undecodable.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return await known(bootstrap, prefix, name) or await _first(bootstrap, prefix, name, value)
        except (KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                raise
            log.warning("fact not laid down yet", fact=name, error=repr(error))
        await asyncio.sleep(_RETRY_S)


async def _first(bootstrap: str, prefix: str, name: str, value: str) -> str:
    """Lay it down unless somebody else has.  Raises KafkaError if somebody else began meanwhile."""
    topic = physical(TOPIC, prefix)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id="handraise-facts",
        transactional_id=f"{topic}.{name}",
        transaction_timeout_ms=_TRANSACTION_MS,
    )
    try:
        await producer.start()
        # Who began before is fenced now, and what it committed can be read.
        stands = await known(bootstrap, prefix, name)
        if stands is not None:
            return stands
        fact = DeploymentFact(name, value, time.time_ns() // 1_000_000)
        async with producer.transaction():
            await producer.send_and_wait(topic, encode(fact), name.encode(), partition=0)
        log.info("fact laid down", fact=name, value=value, topic=topic)
        return value
    finally:
        # A producer that was fenced, or has lost its broker, may have nobody to say goodbye to.
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await asyncio.wait_for(producer.stop(), _CLOSE_S)
