"""The desk role: the desk fold in the fenced lane, and the pump that brings it what waits on desk.waiting.

The desk's inbox has one partition and no transactional writer: a raised hand stands there the moment the gateway is
told so, and nothing blocks it.  All comes in as arguments; nothing here reads the environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from agents.lane.config import LaneConfig
from schemas.codec import encode
from schemas.records import Waited
from streams.desk.fold import DeskFold
from streams.desk.rules import DeskRules
from streams.fold import InboxRecord, PartitionFold, Sealed, States
from streams.poison import MOST_BYTES
from streams.publish import WAITING

ROLE = "desk"
INBOX = "desk.events"
CHANGELOG = "desk.changelog"
OUTPUTS = ("lead.assignments", "desk.notices", "lead.events", "rules.published", "engagement.rejected")

SESSION_S = 3.0
"""A dead desk is noticed after so long; brokers take no shorter session unless they are told to."""
FETCH_WAIT_MS = 100
MOST_OUTSTANDING = 25
"""So much mail may stand in the inbox unfolded: a raised hand never waits behind more."""
_IDLE_S = 0.2
_AGAIN_S = 1.0
_POLL_MS = 200

log = structlog.get_logger("agents.desk")


def desk_config(
    *,
    bootstrap: str,
    partitions: int,
    rules: DeskRules,
    prefix: str = "",
    accept_poison: int = 0,
    skip: Collection[tuple[int, int]] = (),
    instance_id: str | None = None,
    metrics_host: str = "127.0.0.1",
    metrics_port: int | None = None,
) -> LaneConfig:
    """The lane of a desk worker; `partitions` are those of desk.waiting, the desk's inbox has one.

    `accept_poison`: so many records that cannot be read are let through before the gauge counts.
    `skip`: (partition, offset) of inbox records that are rejected, because folding them failed.
    `instance_id`: static membership.  `metrics_port`: 0 takes a free one, None serves nothing.
    """
    place = Place()
    pump = Pump(bootstrap, prefix, partitions, place)

    def fold(partition: int, states: States) -> PartitionFold:
        made = DeskFold(partition, states, rules, partitions, accept_poison, frozenset(at for _, at in skip))
        if made.rules.version != rules.version:
            log.info("promoted rules", in_force=made.rules.version, folder=rules.version)
        return Placed(made, place)

    return LaneConfig(
        bootstrap=bootstrap,
        role=ROLE,
        inbox=INBOX,
        changelog=CHANGELOG,
        partitions=1,
        fold_factory=fold,
        outputs=(*OUTPUTS, WAITING),
        prefix=prefix,
        instance_id=instance_id,
        session_timeout_s=SESSION_S,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        fetch_min_bytes=1,
        health_host=metrics_host,
        health_port=metrics_port,
        beside=pump.run,
    )


class Place:
    """How far the desk has folded its inbox, for who waits for that."""

    def __init__(self) -> None:
        self._folded = -1
        self._moved = asyncio.Event()

    def move(self, offset: int) -> None:
        """Everything up to this offset is folded."""
        self._folded = offset
        self._moved.set()

    async def reached(self, offset: int, patience_s: float) -> bool:
        """Wait until that offset is folded; False if it is not within the patience."""
        try:
            async with asyncio.timeout(patience_s):
                while self._folded < offset:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True


class Placed:
    """A fold that says how far it is; implements PartitionFold."""

    def __init__(self, fold: PartitionFold, place: Place) -> None:
        self._fold, self._place = fold, place

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """As PartitionFold says."""
        consumed = self._fold.apply(records)
        if consumed:
            self._place.move(records[consumed - 1].offset)
        return consumed

    def seal(self) -> Sealed:
        """As PartitionFold says."""
        return self._fold.seal()

    def ready(self) -> str | None:
        """As PartitionFold says."""
        return self._fold.ready()


class Pump:
    """Copies desk.waiting to the desk's inbox, with where each record stood.

    Guarantee: the mail of a waiting partition first appears in the inbox in its order and without a gap.  What appears
    again, after a crash or while two workers both believe to own the desk, is what the desk has had: each pump begins
    where everything before was acknowledged, and goes on in order.  So the last offset is all that the desk remembers.
    """

    def __init__(self, bootstrap: str, prefix: str, partitions: int, place: Place) -> None:
        self._bootstrap, self._inbox, self._place = bootstrap, prefix + INBOX, place
        self._group = f"{prefix}{ROLE}-waiting"
        self._waiting = [TopicPartition(prefix + WAITING, partition) for partition in range(partitions)]

    async def run(self, owned: Callable[[], Collection[int]]) -> None:
        """Copy while the desk is ours, until cancelled.  A cluster that does not answer is asked again."""
        while True:
            if owned():
                try:
                    await self._copy(owned)
                except (KafkaError, OSError) as error:
                    log.warning("mail to the desk is held up", error=repr(error))
                    await asyncio.sleep(_AGAIN_S)
            else:
                await asyncio.sleep(_IDLE_S)

    async def _copy(self, owned: Callable[[], Collection[int]]) -> None:
        # Members of no group: they assign themselves, and keep only their positions in it.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, linger_ms=0, retry_backoff_ms=100
        )
        try:
            await producer.start()
            await consumer.start()
            consumer.assign(self._waiting)
            await self.carry(consumer, producer, owned)
        finally:
            await asyncio.gather(producer.stop(), consumer.stop(), return_exceptions=True)

    async def carry(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, owned: Callable[[], Collection[int]]
    ) -> None:
        """Copy what the consumer finds as long as the desk is ours; its positions are kept behind what is there."""
        loop = asyncio.get_running_loop()
        while owned():
            found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=MOST_OUTSTANDING)
            values = [
                encode(Waited(place.partition, record.offset, record.value[:MOST_BYTES]))
                for place, records in found.items()
                for record in records
                if record.value is not None
            ]
            if not values:
                continue
            begun = loop.time()
            sent = [await producer.send(self._inbox, value, partition=0) for value in values]
            appended = [(await each).offset for each in sent]
            await consumer.commit()
            while owned() and not await self._place.reached(appended[-1], _IDLE_S):
                pass
            await asyncio.sleep(loop.time() - begun)  # half of the time is left to raised hands
