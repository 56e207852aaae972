"""The notify role: brings notices to people by e-mail and to systems by webhooks, and records each attempt.

Guarantee: a notice is sent at least once, and never again after its delivery was recorded; a copy that a crash between
sending and recording may cause has the same Message-ID or `webhook-id`.  What is not finished is known from Kafka: the
group's offset stands at the oldest notice that is not, and alert.deliveries says what became of the others.  What is
decided is decided in `streams.delivery`; nothing here reads the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from agents.hands import Hands
from agents.lane.errors import LaneRefused
from agents.lane.kafka_log import KafkaLog
from agents.senders import Endpoint, Mailbox, post, send_mail
from agents.sink_metrics import NotifyMetrics
from agents.sinks import serve
from schemas.codec import decode, encode
from schemas.records import Delivery, Notice
from schemas.topics import physical
from schemas.wire import Undecodable
from streams.delivery import EMAIL, Channels, Item, Outbox, Verdict
from streams.desk.words import VISITOR
from streams.letters import headers, letter, payload

ROLE = "notify"
NOTICES = "desk.notices"
DELIVERIES = "alert.deliveries"
MOST_PENDING = 50_000
"""So many notices are held; the others wait on the topic."""
SESSION_MS = 6_000
"""After so long another one takes over from one that died; brokers take no shorter session unless told to."""
_MOST_RECORDS = 500
_POLL_MS = 50
_REST_MS = 10
_FETCH_WAIT_MS = 200
_COMMIT_S = 1.0
_AGAIN_S = 1.0
_LEAVE_S = 5.0
_SLACK_MS = 60_000
"""The clocks of who writes notices and of who records deliveries may differ by so much."""

log = structlog.get_logger("agents.notify")


Follow = Callable[[Callable[[Mapping[str, str], Mapping[str, str]], None]], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """What one notify needs to know."""

    bootstrap: str
    prefix: str = ""
    mailbox: Mailbox | None = None
    endpoints: tuple[Endpoint, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)
    """Person's id → e-mail address."""
    queues: Mapping[str, str] = field(default_factory=dict)
    """Queue → id of the person who answers for it."""
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    follow: Follow | None = None
    """Hands over addresses and queues by the rules in force, until cancelled; without it those given stay."""

    def channels(self) -> Channels:
        """The same as decisions need it."""
        return Channels(
            email=self.mailbox is not None,
            endpoints={each.name: each.kinds for each in self.endpoints},
            people=frozenset(self.addresses),
            queues=self.queues,
        )


def main(config: NotifyConfig) -> int:
    """Run a notify until SIGTERM or SIGINT; the exit code."""
    notify = Notify(config)
    return serve(ROLE, notify.run, notify.metrics.registry, notify.not_ready, config.health_host, config.health_port)


class Notify(ConsumerRebalanceListener):  # type: ignore[misc]
    """One notify."""

    def __init__(self, config: NotifyConfig, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._config, self._now_ms = config, now_ms
        self._channels = config.channels()
        self._endpoints = {each.name: each for each in config.endpoints}
        self._outbox = Outbox(self._channels)
        self._sending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._assigned = False
        self._failure: BaseException | None = None
        self._unrecorded: dict[str, Delivery] = {}
        """What was sent and could not be recorded yet."""
        self._problem = "it has not begun"
        self.metrics = NotifyMetrics()

    def not_ready(self) -> list[str]:
        """Why nothing is delivered at the moment."""
        return [self._problem] if self._problem else []

    def obey(self, addresses: Mapping[str, str], queues: Mapping[str, str]) -> None:
        """Tell these people from here on, and those who answer for these queues."""
        self._config = replace(self._config, addresses=addresses, queues=queues)
        self._channels = self._config.channels()
        self._outbox.obey(self._channels)

    async def run(self) -> None:
        """Deliver until cancelled; a Kafka that is away is waited for."""
        following = asyncio.create_task(self._config.follow(self.obey)) if self._config.follow else None
        try:
            while True:
                try:
                    await self._session()
                except (KafkaError, OSError, TimeoutError) as error:
                    self._problem = f"Kafka does not answer at {self._config.bootstrap}"
                    log.warning(self._problem, error=repr(error))
                    await asyncio.sleep(_AGAIN_S)
        finally:
            if following is not None:
                following.cancel()

    async def on_partitions_revoked(self, _revoked: object) -> None:
        """Called before somebody else may get our partitions: let what is under way end."""
        self._assigned = False
        if self._sending:
            await asyncio.wait(self._sending, timeout=_LEAVE_S)

    async def on_partitions_assigned(self, _assigned: object) -> None:
        """Called when partitions are ours."""
        self._assigned = True

    async def _session(self) -> None:
        kafka = {"bootstrap_servers": self._config.bootstrap, "client_id": "handraise-notify"}
        consumer = AIOKafkaConsumer(
            group_id=f"{self._config.prefix}{ROLE}",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 3,
            **kafka,
        )
        producer = AIOKafkaProducer(acks="all", enable_idempotence=True, linger_ms=5, **kafka)
        hands = Hands(self._config.bootstrap, self._config.prefix)
        client = httpx.AsyncClient(follow_redirects=False, trust_env=False)
        self._assigned, self._failure = False, None
        try:
            await producer.start()
            await self._make_good(producer)
            consumer.subscribe([physical(NOTICES, self._config.prefix)], listener=self)
            await consumer.start()
            await self._work(
                consumer, producer, _Sender(lambda: self._config, self._endpoints, hands, client, self._now_ms)
            )
        finally:
            await self._break_off()
            await asyncio.gather(
                consumer.stop(), producer.stop(), hands.close(), client.aclose(), return_exceptions=True
            )

    async def _work(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, sender: _Sender) -> None:
        known: frozenset[TopicPartition] = frozenset()
        committed: dict[TopicPartition, int] = {}
        next_commit = 0.0
        while self._failure is None:
            ours = frozenset(consumer.assignment()) if self._assigned else frozenset()
            if ours != known:
                await self._break_off()  # whoever takes too long to end by itself would end behind what is read now
                await producer.flush()
                await self._make_good(producer)
                await self._begin(consumer, ours)
                known, committed = ours, {}
            if not ours:
                await self._sleep()
                continue
            fetched = {}
            if len(self._outbox) < MOST_PENDING:
                fetched = await consumer.getmany(timeout_ms=0, max_records=_MOST_RECORDS)
            if not self._assigned or frozenset(consumer.assignment()) != ours:
                known = frozenset()  # whatever was fetched is fetched again
                continue
            await self._take(fetched, producer)
            await self._settle(self._outbox.overdue(self._now_ms()), producer, self._outbox)
            for item in self._outbox.due(self._now_ms()):
                task = asyncio.create_task(self._attempt(item, producer, sender, self._outbox))
                self._sending.add(task)
                task.add_done_callback(self._ended)
            if time.monotonic() >= next_commit:
                next_commit = time.monotonic() + _COMMIT_S
                committed = await self._commit(consumer, ours, committed)
            self.metrics.pending.set(len(self._outbox))
            if not fetched:
                await self._sleep()
        raise self._failure

    async def _sleep(self) -> None:
        """Until an attempt ends, something is due, or there may be more notices."""
        wakes_at = self._outbox.wakes_at()
        wait_ms = _POLL_MS if wakes_at is None else min(max(wakes_at - self._now_ms(), _REST_MS), _POLL_MS)
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1_000):
                await self._wake.wait()

    async def _begin(self, consumer: AIOKafkaConsumer, ours: frozenset[TopicPartition]) -> None:
        """Learn what became of the notices that may not be finished."""
        self._problem = "it is not our turn" if not ours else "it looks what was delivered"
        self._outbox = Outbox(self._channels)
        since = await _oldest_unfinished(consumer, ours)
        if since is not None:
            for delivery in await _deliveries(self._config, since - _SLACK_MS):
                self._outbox.hear(delivery)
        if ours:
            self._problem = ""
            log.info("delivering", partitions=len(ours))

    async def _take(self, fetched: Mapping[TopicPartition, list[ConsumerRecord]], producer: AIOKafkaProducer) -> None:
        settled: list[Delivery] = []
        for place, records in fetched.items():
            for record in records:
                try:
                    notice = decode(record.value or b"")
                except Undecodable:
                    notice = None
                where = place.partition, record.offset
                if isinstance(notice, Notice):
                    settled += self._outbox.take(where, notice, self._now_ms())
                else:
                    self.metrics.unreadable.inc()
                    log.warning("a notice could not be read", partition=where[0], offset=where[1])
        await self._settle(settled, producer, self._outbox)

    async def _attempt(self, item: Item, producer: AIOKafkaProducer, sender: _Sender, outbox: Outbox) -> None:
        with self.metrics.attempt_seconds.labels(item.target.channel).time():
            verdict = await sender.send(item)
        delivery = outbox.ended(item, verdict, self._now_ms())
        self._unrecorded[delivery.delivery_id] = delivery
        await self._settle([delivery], producer, outbox)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error

    async def _settle(self, deliveries: list[Delivery], producer: AIOKafkaProducer, outbox: Outbox) -> None:
        """Record, and know it from then on."""
        topic = physical(DELIVERIES, self._config.prefix)
        waiting = [
            (each, await producer.send(topic, encode(each), each.notice_id.encode(), headers=headers(each)))
            for each in deliveries
        ]
        for delivery, acknowledged in waiting:
            await acknowledged
            self._unrecorded.pop(delivery.delivery_id, None)
            outbox.recorded(delivery)
            self.metrics.deliveries.labels(delivery.channel, delivery.status).inc()
            if delivery.late:
                self.metrics.late.labels(delivery.channel).inc()

    async def _break_off(self) -> None:
        """Cut off what is under way: it is tried again."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _make_good(self, producer: AIOKafkaProducer) -> None:
        """Record what was sent and is not on record.

        What was not acknowledged may have been written all the same, so that is looked up first.
        """
        if not self._unrecorded:
            return
        since_ms = min(each.at for each in self._unrecorded.values()) - _SLACK_MS
        for each in await _deliveries(self._config, since_ms):
            self._unrecorded.pop(each.delivery_id, None)
        await self._settle(list(self._unrecorded.values()), producer, self._outbox)

    async def _commit(
        self, consumer: AIOKafkaConsumer, ours: frozenset[TopicPartition], committed: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        positions = self._outbox.positions()
        new = {place: positions[place.partition] for place in ours if place.partition in positions}
        if new != committed:
            await consumer.commit(new)
        return new


class _Sender:
    """Turns an item into an attempt."""

    def __init__(
        self,
        config: Callable[[], NotifyConfig],
        endpoints: Mapping[str, Endpoint],
        hands: Hands,
        client: httpx.AsyncClient,
        now_ms: Callable[[], int],
    ) -> None:
        self._config, self._endpoints, self._now_ms = config, endpoints, now_ms
        self._hands, self._client = hands, client

    async def send(self, item: Item) -> Verdict:
        """One attempt."""
        config, notice, target, now = self._config(), item.notice, item.target, self._now_ms()
        if target.channel != EMAIL:
            endpoint = self._endpoints[target.name]
            return await post(self._client, endpoint, notice.notice_id, payload(notice), now // 1_000)
        mailbox = config.mailbox
        if mailbox is None:
            return Verdict("refused", "there is no mail server")
        address = config.addresses.get(target.name)
        if target.name == VISITOR:
            try:
                address = await self._hands.address(notice)
            except (KafkaError, OSError, TimeoutError) as error:
                return Verdict("later", f"the request cannot be looked up: {type(error).__name__}")
        if address is None:
            return Verdict("refused", "there is no address")
        return await send_mail(mailbox, address, letter(notice, config.prefix, mailbox.domain, now))


async def _oldest_unfinished(consumer: AIOKafkaConsumer, ours: frozenset[TopicPartition]) -> int | None:
    """The broker's time (ms) of the oldest notice that may not be finished; None if there is none."""
    if not ours:
        return None
    firsts, ends = await consumer.beginning_offsets(ours), await consumer.end_offsets(ours)
    starts = {place: max(await consumer.committed(place) or 0, firsts[place]) for place in ours}
    for place, start in starts.items():
        consumer.seek(place, start)
    times: list[int] = []
    unknown = {place for place, start in starts.items() if start < ends[place]}
    while unknown:
        for place, records in (await consumer.getmany(*unknown, timeout_ms=_POLL_MS)).items():
            times.append(records[0].timestamp)
            unknown.discard(place)
        # What is left of a partition may be markers alone, which the position passes and nobody sees.
        unknown -= {place for place in unknown if await consumer.position(place) >= ends[place]}
    for place, start in starts.items():
        consumer.seek(place, start)
    return min(times, default=None)


async def _deliveries(config: NotifyConfig, since_ms: int) -> list[Delivery]:
    """All that was recorded since then, in the order of each notice."""
    topic = physical(DELIVERIES, config.prefix)
    there = (await KafkaLog(config.bootstrap, "handraise-notify", 0).identify([topic])).get(topic)
    if there is None:
        raise LaneRefused("a topic is missing", f"topic {topic} on {config.bootstrap}", "run `handraise topics create`")
    places = [TopicPartition(topic, n) for n in range(there.partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=config.bootstrap,
        client_id="handraise-notify-deliveries",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    found: list[Delivery] = []
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place, start in (await consumer.offsets_for_times(dict.fromkeys(places, max(since_ms, 0)))).items():
            consumer.seek(place, ends[place] if start is None else start.offset)
        while unread := [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(*unread, timeout_ms=_POLL_MS)).values():
                for record in records:
                    with contextlib.suppress(Undecodable):
                        read = decode(record.value or b"")
                        if isinstance(read, Delivery):
                            found.append(read)
    finally:
        await consumer.stop()
    return found
