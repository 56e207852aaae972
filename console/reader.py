"""The two readers that feed the hub: one sees what is written, the other what was committed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from console.hub import RING_MS, Happening, Hub, Place
from console.live import Live
from console.metrics import Metrics
from schemas.codec import Undecodable, decode
from schemas.records import Assignment, LeadAlert, Notice, RaisedHand, Tick
from schemas.topics import physical

log = structlog.get_logger()

INBOX = "desk.events"
TRANSACTIONAL = ("lead.assignments", "lead.alerts", "desk.notices")
TOPICS = (INBOX, *TRANSACTIONAL)
_WAIT_MS = 200
_RETRY_S = 1.0
_PROBE_S = 2.0

Listener = Callable[[Happening], None]


class Reader:
    """Reads the topics into a hub until it is closed; begins anew when Kafka was away."""

    def __init__(self, bootstrap: str, prefix: str, hub: Hub, live: Live, metrics: Metrics) -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self._hub, self._live, self._metrics = hub, live, metrics
        self._logical = {physical(name, prefix): name for name in TOPICS}
        self._tasks: list[asyncio.Task[None]] = []
        self.away_since: int | None = now_ms()
        """Since when Kafka does not answer (ms); None while it does."""

    def start(self) -> None:
        """Begin to read."""
        for name, isolation in (("live", "read_uncommitted"), ("committed", "read_committed")):
            self._tasks.append(asyncio.create_task(self._forever(isolation), name=f"reader-{name}"))

    async def close(self) -> None:
        """Read no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forever(self, isolation: str) -> None:
        while True:
            try:
                await self._read(isolation)
            except (KafkaError, OSError, TimeoutError, LookupError) as error:
                if self.away_since is None:
                    self.away_since = now_ms()
                log.warning("Kafka does not answer", kafka=self._bootstrap, error=repr(error))
            await asyncio.sleep(_RETRY_S)

    async def _read(self, isolation: str) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id="handraise-console",
            isolation_level=isolation,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=_WAIT_MS,
            check_crcs=False,  # the transport has checksums
        )
        committed = isolation == "read_committed"
        probe: asyncio.Task[None] | None = None
        try:
            await consumer.start()
            places = await self._places(list(self._logical)[committed:])
            consumer.assign(places)
            starts = await consumer.offsets_for_times(dict.fromkeys(places, now_ms() - RING_MS))
            ends = await consumer.end_offsets(places)
            for place, start in starts.items():
                consumer.seek(place, ends[place] if start is None else start.offset)
            if not committed:
                self.away_since = None
            probe = asyncio.create_task(_probe(consumer, places[0]))
            while not probe.done():
                fetched = await consumer.getmany(timeout_ms=_WAIT_MS)
                now = now_ms()
                for place, records in fetched.items():
                    self._take(self._logical[place.topic], records, now)
                if committed:
                    await self._settle(consumer, places, fetched, now)
            probe.result()
        finally:
            if probe is not None:
                probe.cancel()
                with contextlib.suppress(asyncio.CancelledError, KafkaError, OSError, TimeoutError):
                    await probe
            await consumer.stop()

    async def _places(self, topics: list[str]) -> list[TopicPartition]:
        """All partitions of these topics.  Raises LookupError if one is missing."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, client_id="handraise-console")
        try:
            await admin.start()
            described = await admin.describe_topics(topics)
        finally:
            await admin.close()
        for each in described:
            if each["error_code"]:
                raise LookupError(f"topic {each['topic']} is missing; run `handraise topics create`")
        return [TopicPartition(each["topic"], part["partition"]) for each in described for part in each["partitions"]]

    def _take(self, topic: str, records: list[ConsumerRecord], now: int) -> None:
        for raw in records:
            if raw.value is None:
                continue
            try:
                record = decode(raw.value)
            except Undecodable:
                self._metrics.unreadable.inc()
                continue
            if isinstance(record, Tick):
                if topic == INBOX:
                    self._live.heard = now
                continue
            place = Place(topic, raw.partition, raw.offset)
            match record:
                case RaisedHand():
                    id = record.request_id
                case Assignment():
                    id = f"{record.source_partition}-{record.source_offset}-{record.request_id}"
                case LeadAlert():
                    id = record.alert_id
                case Notice():
                    id = record.notice_id
                case _:
                    id = f"{topic}-{raw.partition}-{raw.offset}"
            happening = self._hub.show(id, record, place, now, transactional=topic != INBOX)
            if happening is not None:
                self._metrics.happenings.labels(topic).inc()

    async def _settle(
        self,
        consumer: AIOKafkaConsumer,
        places: list[TopicPartition],
        fetched: dict[TopicPartition, list[ConsumerRecord]],
        now: int,
    ) -> None:
        for place in places:
            position = await consumer.position(place)
            seen = {raw.offset for raw in fetched.get(place, ())}
            gone = self._hub.settle(self._logical[place.topic], place.partition, position, seen, now)
            if gone:
                self._metrics.withdrawn.inc(len(gone))


async def _probe(consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
    """Return never; raise when Kafka no longer answers, which a consumer itself keeps quiet about."""
    while True:
        await asyncio.sleep(_PROBE_S)
        async with asyncio.timeout(2 * _PROBE_S):
            await consumer.end_offsets([place])


def now_ms() -> int:
    """The console's clock."""
    return time.time_ns() // 1_000_000
