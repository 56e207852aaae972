"""A read side on real Kafka and Redis: its topics with a story on them, mirrors, and what stands in Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from hypothesis import HealthCheck, Phase, given, settings
from redis import Redis

from agents.mirror import Mirror, MirrorConfig
from handraise import topics
from handraise.settings import read
from schemas import readside as keys
from schemas.keys import partition_of
from schemas.topics import physical, topic
from streams.readside import TOPICS
from tests.oracle.readside import Said, expected
from tests.streams.readside_stories import stories

PARTITIONS = 2
DEADLINE_S = 60.0
OURS = {keys.CARDS, keys.PLACES, keys.HEALTH, keys.IDENTITY, keys.WRITER}
Content = dict[str, tuple[Any, int | None]]


@cache
def long_story() -> tuple[Said, ...]:
    """Many short stories one after the other, the same at every run."""
    told: list[Said] = []

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(stories)
    def tell(story: dict[str, list[Said]]) -> None:
        told.extend(said for part in story.values() for said in part)

    tell()
    return tuple(told)


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> None:
    """Return once the condition holds; fail, saying what was awaited, when it does not in time."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not await condition():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {DEADLINE_S:g} s for {what}") from None


class Readside:
    """One deployment's topics and read side."""

    def __init__(self, kafka: str, url: str, prefix: str) -> None:
        self.kafka, self.url, self.prefix = kafka, url, prefix
        self.redis: Redis = Redis.from_url(url)

    def environ(self) -> dict[str, str]:
        """The environment of its processes."""
        return {
            "HANDRAISE_KAFKA": self.kafka,
            "HANDRAISE_REDIS": self.url,
            "HANDRAISE_PREFIX": self.prefix,
            "HANDRAISE_PARTITIONS": str(PARTITIONS),
        }

    async def create(self) -> Readside:
        """Make the topics."""
        await topics.create(read(self.environ()))
        return self

    async def tell(self, story: tuple[Said, ...]) -> None:
        """Write records to the topics, some in a transaction that commits, and some in one that does not."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, transactional_id=f"{self.prefix}story")
        await producer.start()
        try:
            for start in range(0, len(story), 50):
                for doomed in (True, False):
                    await producer.begin_transaction()
                    for said in story[start : start + (5 if doomed else 50)]:
                        count = PARTITIONS if topic(said.topic).partitions == "P" else 1
                        place = partition_of(said.key or b"", count)
                        await producer.send(physical(said.topic, self.prefix), said.value, said.key, place)
                    await (producer.abort_transaction() if doomed else producer.commit_transaction())
        finally:
            await producer.stop()
        await self._settled()

    async def _settled(self) -> None:
        """Return once readers see what was committed: the markers come a moment after the commit was answered."""
        levels = ("read_committed", "read_uncommitted")
        readers = [AIOKafkaConsumer(bootstrap_servers=self.kafka, isolation_level=level) for level in levels]
        try:
            for reader in readers:
                await reader.start()

            async def equal() -> bool:
                committed, written = [await reader.end_offsets(self._places()) for reader in readers]
                return committed == written

            await until(equal, "all transactions to have ended")
        finally:
            for reader in readers:
                await reader.stop()

    def _places(self) -> list[TopicPartition]:
        return [
            TopicPartition(physical(name, self.prefix), n)
            for name in TOPICS
            for n in range(PARTITIONS if topic(name).partitions == "P" else 1)
        ]

    async def expire(self, name: str, offsets: dict[int, int]) -> None:
        """Let retention remove the records before these offsets, by partition; -1: all."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            places = {TopicPartition(physical(name, self.prefix), n): at for n, at in offsets.items()}
            await admin.delete_records({place: RecordsToDelete(at) for place, at in places.items()})
        finally:
            await admin.close()

    async def expected(self) -> Content:
        """What the topics come to, by a naive count."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka, isolation_level="read_committed", auto_offset_reset="earliest"
        )
        found: dict[TopicPartition, list[Said]] = {}
        await consumer.start()
        try:
            logical = {physical(name, self.prefix): name for name in TOPICS}
            places = self._places()
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < ends[place] for place in places]):
                for place, records in (await consumer.getmany(timeout_ms=100)).items():
                    found.setdefault(place, []).extend(
                        Said(logical[place.topic], each.key, each.value, each.timestamp) for each in records
                    )
        finally:
            await consumer.stop()
        return {key: value for key, value in expected(found.values()).items() if key != keys.CARDS}

    def generation(self) -> int | None:
        """The generation that is read."""
        found = self.redis.get(keys.current(self.prefix))
        return None if found is None else int(found)  # type: ignore[arg-type]

    def generations(self) -> set[int]:
        """All of which there is anything."""
        found = [
            key.decode().removeprefix(self.prefix).split(":") for key in self.redis.scan_iter(f"{self.prefix}rs:*")
        ]
        return {int(parts[1]) for parts in found if len(parts) > 2}

    def content(self) -> Content:
        """What stands in Redis in the generation that is read."""
        generation = self.generation()
        return {} if generation is None else dump(self.redis, keys.base(self.prefix, generation))

    async def until_equal(self) -> None:
        """Return once Redis holds what the topics say, and nothing else."""
        wanted = await self.expected()

        async def equal() -> bool:
            with contextlib.suppress(ConnectionError, TimeoutError):
                return await asyncio.to_thread(self.content) == wanted
            return False

        try:
            await until(equal, "the read side to hold what the topics say")
        except AssertionError:
            assert self.content() == wanted
            raise

    @asynccontextmanager
    async def mirror(self) -> AsyncIterator[Mirror]:
        """A mirror at work."""
        mirror = Mirror(MirrorConfig(self.kafka, self.url, self.prefix))
        working = asyncio.create_task(mirror.run())
        try:
            yield mirror
        finally:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working


def dump(redis: Redis, base: str) -> Content:
    """Every key that begins so, without that beginning: its value and when it expires."""
    found: Content = {}
    for key in redis.scan_iter(f"{base}*", count=1_000):
        name = key.decode().removeprefix(base)
        if name in OURS:
            continue
        kind = redis.type(key)
        value: Any = redis.get(key) if kind == b"string" else None
        if kind == b"hash":
            value = {field.decode(): each for field, each in redis.hgetall(key).items()}  # type: ignore[union-attr]
        elif kind == b"zset":
            value = {member: int(score) for member, score in redis.zrange(key, 0, -1, withscores=True)}  # type: ignore[union-attr]
        expiry = int(redis.pexpiretime(key))  # type: ignore[arg-type]
        found[name] = value, None if expiry < 0 else expiry
    return found
