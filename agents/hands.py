"""A raised hand by the notice that it caused: the notice's id names the record of the desk's inbox."""

from __future__ import annotations

import asyncio
import re

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from schemas.codec import decode
from schemas.records import Notice, RaisedHand
from schemas.topics import physical
from schemas.wire import Undecodable

INBOX = "desk.events"
_NOTICE = re.compile(r"desk-0-(\d{1,18})-\d+\Z")
_PATIENCE_S = 10.0


class Hands:
    """Looks up raised hands in the desk's inbox."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._place = TopicPartition(physical(INBOX, prefix), 0)
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None
        self._one_at_a_time = asyncio.Lock()

    async def address(self, notice: Notice) -> str | None:
        """The address to answer to; None if there is none, or the hand is not kept any more.

        Raises KafkaError or TimeoutError where Kafka does not answer.
        """
        named = _NOTICE.match(notice.notice_id)
        if not named:
            return None
        async with self._one_at_a_time:
            hand = await self._read(int(named[1]))
        return hand.email if hand is not None and hand.request_id == notice.request_id else None

    async def close(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _read(self, offset: int) -> RaisedHand | None:
        consumer = self._consumer or await self._connect()
        try:
            consumer.seek(self._place, offset)
            async with asyncio.timeout(_PATIENCE_S):
                record = await consumer.getone(self._place)
        except OffsetOutOfRangeError:
            return None
        except (KafkaError, TimeoutError):
            await self.close()
            raise
        if record.offset != offset:
            return None
        try:
            read = decode(record.value or b"")
        except Undecodable:
            return None
        return read if isinstance(read, RaisedHand) else None

    async def _connect(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id="handraise-notify-hands",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=1 << 16,
            fetch_max_wait_ms=50,
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        consumer.assign([self._place])
        self._consumer = consumer
        return consumer
