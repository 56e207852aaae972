"""The workers' memory as anybody can read it: their changelog, read_committed, to its end and then as it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import cast

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from agents.leads import CHANGELOG
from handraise.failure import Failure
from handraise.settings import Settings
from handraise.topics import CREATE, admin, find, unreachable
from schemas.codec import decode
from schemas.keys import partition_of
from schemas.records import Promote
from schemas.topics import physical
from schemas.wire import Undecodable
from streams import ruleset, state
from streams.lead_fold import RESERVED
from streams.poison import NewerMail
from streams.rules import Rules
from streams.state import Lead, State

_FETCH_BYTES = 1 << 20
_WAIT_MS = 200


class Memory:
    """States as the workers would recover them; a partition is read when something in it is asked for, and kept."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, partitions: int) -> None:
        self._consumer, self.topic, self.partitions = consumer, topic, partitions
        self._values: dict[int, dict[bytes, bytes | None]] = {}

    async def state(self, key: str) -> State | None:
        """What is remembered under a key now.  Raises Failure for what this release cannot read."""
        partition = partition_of(key.encode(), self.partitions)
        await self._read_on([partition])
        value = self._values[partition].get(key.encode())
        return None if value is None else self._decode(value, key)

    async def rules(self, key: str) -> Rules | None:
        """The rules by which the lead under a key is judged; None if they are those of the workers' folder.

        Raises Failure for promoted ones that this release cannot read.
        """
        partition = partition_of(key.encode(), self.partitions)
        await self._read_on([partition])
        value = self._values[partition].get(ruleset.RULES)
        if value is None:
            return None
        try:
            return ruleset.lead_rules(cast("Promote", decode(value)), "")
        except (NewerMail, Undecodable) as error:
            raise Failure(
                f"the rules in force cannot be read: {str(error).partition(chr(10))[0]}",
                f"topic {self.topic}, partition {partition}",
                "run the release that they were promoted with, or a newer one",
            ) from error

    async def leads(self) -> dict[str, Lead]:
        """All leads, by id.  Raises Failure as `state` does."""
        await self._read_on(range(self.partitions))
        states = {
            key.decode(): self._decode(value, key.decode())
            for values in self._values.values()
            for key, value in values.items()
            if value is not None and key not in {*RESERVED, CURSOR_KEY}
        }
        return {key: lead for key, lead in states.items() if isinstance(lead, Lead)}

    async def next_offset(self, partition: int) -> int:
        """The first offset of the inbox partition that no worker has folded."""
        await self._read_on([partition])
        value = self._values[partition].get(CURSOR_KEY)
        return 0 if value is None else decode_cursor(value).next_offset

    async def wait(self, partition: int) -> None:
        """Return when there is more of a partition, or after a moment."""
        self._keep(await self._consumer.getmany(self._place(partition), timeout_ms=_WAIT_MS))

    async def _read_on(self, partitions: Collection[int]) -> None:
        consumer, places = self._consumer, [self._place(partition) for partition in partitions]
        consumer.resume(*places)
        for partition in partitions:
            self._values.setdefault(partition, {})
        ends = await consumer.end_offsets(places)
        # By the position: the last offset may be a marker and never a record.
        while unread := [place for place in places if await consumer.position(place) < ends[place]]:
            self._keep(await consumer.getmany(*unread, timeout_ms=_WAIT_MS))

    def _keep(self, fetched: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        for place, records in fetched.items():
            self._values[place.partition].update((record.key, record.value) for record in records)

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def _decode(self, value: bytes, key: str) -> State:
        try:
            return state.decode(value)
        except msgspec.MsgspecError as error:
            raise Failure(
                f"the state cannot be read: {error}",
                f"topic {self.topic}, key {key}",
                "run the release that wrote it, or a newer one",
            ) from error


@asynccontextmanager
async def memory(settings: Settings, changelog: str = CHANGELOG) -> AsyncIterator[Memory]:
    """The memory of this deployment's workers, by their changelog; whatever Kafka refuses inside becomes a Failure."""
    topic = physical(changelog, settings.prefix)
    async with admin(settings.kafka) as client:
        there = (await find(client, [topic])).get(topic)
    if there is None:
        raise Failure("the topic is missing", f"topic {topic} on {settings.kafka}", f"run `{CREATE}`")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        client_id="handraise-memory",
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_wait_ms=100,
        check_crcs=False,  # the transport has checksums
    )
    try:
        await consumer.start()
        places = [TopicPartition(topic, partition) for partition in range(there.partitions)]
        consumer.assign(places)
        consumer.pause(*places)
        yield Memory(consumer, topic, there.partitions)
    except (KafkaError, OSError) as error:
        raise unreachable(settings.kafka, error) from error
    finally:
        await consumer.stop()
