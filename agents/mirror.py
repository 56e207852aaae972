"""The mirror role: folds the topics into Redis, where the console and the gateway read.

A plain reader of all partitions, without a group: where it stands is written in Redis, together with what it stands for
(`agents.readside_store`).  Whatever is wrong with the read side (wiped, of another release, of topics that were created
anew, too old) is mended in one way: a new generation is filled from the topics' beginnings and read from then on.  All
comes in as arguments; nothing here reads the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from redis.exceptions import RedisError

from agents.lane.errors import LaneRefused
from agents.lane.kafka_log import KafkaLog
from agents.readside_store import Store, Superseded
from agents.sink_metrics import MirrorMetrics
from agents.sinks import serve
from schemas import readside as keys
from schemas.topics import physical
from schemas.wire import Undecodable
from streams.readside import TOPICS, fold
from streams.readside_batch import Batch

ROLE = "mirror"
MOST_RECORDS = 250
"""In one MULTI: Redis answers nobody else meanwhile, with requests some 10 ms."""
STALE_MS = 20 * 3_600_000
"""Compacted topics forget within 24 hours that something was deleted: who was away for longer must begin anew."""
_FETCH_BYTES = 1 << 20
_FETCH_WAIT_MS = 50
_POLL_MS = 200
_GATHER_S = 0.05
"""So long records gather for one MULTI, where few come: each costs a round trip; pages show what is newer anyway."""
_REQUEST_MS = 10_000
_HEALTH_S = 1.0
_SILENT_MS = 5_000
_AGAIN_S = 0.5
_MOST_UNREADABLE_TOLD = 10

log = structlog.get_logger("agents.mirror")


@dataclass(frozen=True, slots=True)
class MirrorConfig:
    """What one mirror needs to know."""

    bootstrap: str
    redis: str
    """URL."""
    prefix: str = ""
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    """0 takes a free one, None serves nothing."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A generation that was filled."""

    generation: int
    records: int
    seconds: float


def main(config: MirrorConfig) -> int:
    """Run a mirror until SIGTERM or SIGINT; the exit code."""
    mirror = Mirror(config)
    return serve(ROLE, mirror.run, mirror.metrics.registry, mirror.not_ready, config.health_host, config.health_port)


class Mirror:
    """One mirror."""

    def __init__(self, config: MirrorConfig, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._config, self._now_ms = config, now_ms
        self._store = Store(config.redis, config.prefix)
        self._writer = uuid.uuid4().hex
        self._logical = {physical(name, config.prefix): name for name in TOPICS}
        self._problem = "it has not begun"
        self._unreadable = 0
        self._caught_up = 0
        self.metrics = MirrorMetrics()

    def not_ready(self) -> list[str]:
        """Why the read side is not kept up to date at the moment."""
        return [self._problem] if self._problem else []

    async def run(self) -> None:
        """Keep the read side up to date until cancelled; whatever is away is waited for.  Raises LaneRefused."""
        try:
            while True:
                try:
                    async with self._reader() as (consumer, identity):
                        while True:
                            await self._keep(consumer, identity)
                except (KafkaError, OSError) as error:
                    await self._wait(f"Kafka does not answer at {self._config.bootstrap}", error)
        finally:
            with contextlib.suppress(RedisError, OSError):
                await self._store.close()

    async def rebuild(self) -> Filled:
        """Fill a new generation, and have it read from then on.  Raises LaneRefused, KafkaError, RedisError."""
        try:
            async with self._reader() as (consumer, identity):
                return await self._fill(consumer, identity)
        finally:
            await self._store.close()

    async def _keep(self, consumer: AIOKafkaConsumer, identity: Mapping[str, str]) -> None:
        """One go at it, until Redis fails or somebody else has written."""
        try:
            generation = await self._store.current()
            if generation is None or not await self._fits(generation, consumer, identity):
                self._problem = "history is being filled"
                filled = await self._fill(consumer, identity)
                generation = filled.generation
                log.info("filled", generation=generation, records=filled.records, seconds=round(filled.seconds, 1))
            await self._follow(generation, consumer)
        except Superseded as why:
            log.info("looking again", why=str(why))
        except RedisError as error:
            await self._wait(f"Redis does not answer at {_without_password(self._config.redis)}", error)

    async def _wait(self, problem: str, error: BaseException) -> None:
        if self._problem != problem:
            log.warning(problem, error=repr(error))
        self._problem = problem
        await asyncio.sleep(_AGAIN_S)

    # -- generations

    async def _fits(self, generation: int, consumer: AIOKafkaConsumer, identity: Mapping[str, str]) -> bool:
        """Whether a generation can be gone on with; if not, the log says why."""
        why = ""
        if await self._store.identity(generation) != identity:
            why = "it belongs to other topics, or to another release"
        elif self._now_ms() - await self._store.seen(generation) > STALE_MS:
            why = "it is too old: what was deleted meanwhile may be forgotten"
        else:
            places = await self._store.places(generation)
            tops = consumer.assignment()
            firsts, ends = await consumer.beginning_offsets(tops), await consumer.end_offsets(tops)
            for top in tops:
                place = places.get(self._name(top), 0)
                if place > ends[top]:
                    why = f"{self._name(top)} ends before what it has"
                elif place < firsts[top] and place:
                    why = f"{self._name(top)} does not reach back to it any more"
        if why:
            log.warning("the read side is filled anew", generation=generation, why=why)
        return not why

    async def _fill(self, consumer: AIOKafkaConsumer, identity: Mapping[str, str]) -> Filled:
        begun, records = time.monotonic(), 0
        generation = await self._store.begin(identity)
        ends = await consumer.end_offsets(consumer.assignment())
        places: dict[str, int] = {}
        await consumer.seek_to_beginning(*consumer.assignment())
        # By the position: the last offset may be a marker and never a record.
        while [top for top, end in ends.items() if await consumer.position(top) < end]:
            records += await self._take(generation, consumer, places, is_current=False)
        await self._store.tell(generation, self._health(0, is_fresh=True))
        await self._store.flip(generation)
        self.metrics.rebuilds.inc()
        return Filled(generation, records, time.monotonic() - begun)

    async def _follow(self, generation: int, consumer: AIOKafkaConsumer) -> None:
        """Keep a generation up to date, as the one that is at work or in its place."""
        while not await self._store.lease(generation, self._writer):
            self._problem = "another mirror is at work"
            await asyncio.sleep(_AGAIN_S)
            if await self._store.current() != generation:
                raise Superseded("another generation is read now")
        try:
            places = await self._store.places(generation)
            for top, first in (await consumer.beginning_offsets(consumer.assignment())).items():
                consumer.seek(top, places.get(self._name(top), first))
            await self._store.forget_before(generation)
            self.metrics.generation.set(generation)
            self._problem = ""
            log.info("the read side is kept", generation=generation)
            told = 0.0
            while True:
                if 0 < await self._take(generation, consumer, places, is_current=True) < MOST_RECORDS:
                    await asyncio.sleep(_GATHER_S)
                if time.monotonic() - told >= _HEALTH_S:
                    told = time.monotonic()
                    if not await self._store.lease(generation, self._writer):
                        raise Superseded("another mirror is at work")
                    if await self._store.current() != generation:
                        raise Superseded("another generation is read now, or none")
                    await self._tell(generation, consumer)
        finally:
            with contextlib.suppress(RedisError, OSError):
                await self._store.release(generation, self._writer)

    async def _take(
        self, generation: int, consumer: AIOKafkaConsumer, places: dict[str, int], *, is_current: bool
    ) -> int:
        """Read some records and write what they come to; how many there were."""
        fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=MOST_RECORDS)
        if not fetched:
            return 0
        batch, after = Batch(), {}
        for top, records in fetched.items():
            self._fold(self._logical[top.topic], records, batch)
            after[self._name(top)] = records[-1].offset + 1
        before = {name: places.get(name) for name in after}
        with self.metrics.write_seconds.time():
            await self._store.apply(
                generation,
                batch.commands(keys.base(self._config.prefix, generation)),
                before,
                after,
                is_current=is_current,
            )
        places.update(after)
        return sum(map(len, fetched.values()))

    def _fold(self, topic: str, records: list[ConsumerRecord], batch: Batch) -> None:
        self.metrics.records.labels(topic).inc(len(records))
        for record in records:
            try:
                batch.add(fold(topic, record.key, record.value, record.timestamp))
            except Undecodable as error:
                self.metrics.unreadable.labels(topic).inc()
                self._unreadable += 1
                if self._unreadable <= _MOST_UNREADABLE_TOLD:
                    where = f"{topic}, partition {record.partition}, offset {record.offset}"
                    log.warning("a record was left out", where=where, code=error.code, reason=error.reason)

    async def _tell(self, generation: int, consumer: AIOKafkaConsumer) -> None:
        lag, told = 0, []
        for top in consumer.assignment():
            end = consumer.last_stable_offset(top)
            lag += max((end or 0) - await consumer.position(top), 0)
            told.append(consumer.last_poll_timestamp(top))
        # A Kafka that is away has no end that could be behind: whoever has heard nothing has not caught up.
        is_silent = None in told or self._now_ms() - max(told) > _SILENT_MS
        self._problem = f"Kafka does not answer at {self._config.bootstrap}" if is_silent else ""
        self.metrics.lag.set(lag)
        await self._store.tell(generation, self._health(lag, is_fresh=not lag and not is_silent))

    def _health(self, lag: int, *, is_fresh: bool) -> dict[str, int]:
        now = self._now_ms()
        if is_fresh:
            self._caught_up = now
        return {"seen": now, "caught_up": self._caught_up, "lag": lag}

    def _name(self, top: TopicPartition) -> str:
        return f"{self._logical[top.topic]}/{top.partition}"

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[tuple[AIOKafkaConsumer, dict[str, str]]]:
        """A reader of all partitions, and what their offsets belong to."""
        found = await KafkaLog(self._config.bootstrap, "handraise-mirror", 0).identify(list(self._logical))
        for name in self._logical:
            if name not in found:
                where = f"topic {name} on {self._config.bootstrap}"
                raise LaneRefused("a topic is missing", where, "run `handraise topics create`")
        identity = {self._logical[name]: f"{topic.topic_id}/{topic.partitions}" for name, topic in found.items()}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._config.bootstrap,
            client_id="handraise-mirror",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=_REQUEST_MS,
            check_crcs=False,  # the transport has checksums
        )
        try:
            await consumer.start()
            consumer.assign([TopicPartition(name, n) for name, each in found.items() for n in range(each.partitions)])
            yield consumer, {"layout": keys.LAYOUT, **identity}
        finally:
            await consumer.stop()


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at else url
