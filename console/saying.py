"""What people say goes to the desk's inbox; the desk's word on it is what they are answered.

Guarantee: what is answered as done, refused or `waiting` is on the record; at `waiting` the desk has not spoken yet.
After `Unavailable` it may or may not be: said again under the same activity id it counts once.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from console.hub import Happening, Hub
from schemas.codec import encode
from schemas.records import Activity, Assignment, Notice, Presence
from schemas.topics import physical

log = structlog.get_logger()

INBOX = "desk.events"
PATIENCE_S = 2.0
"""So long the desk's word is waited for."""
APPEND_S = 3.0
"""So long Kafka's acknowledgement is waited for."""
REFUSALS = frozenset({"refused", "taken"})


class Unavailable(Exception):  # noqa: N818  a state of the world, not a fault
    """Kafka does not take it now."""


class Word(NamedTuple):
    """What the desk says: a decision, or why it refuses; neither if it has not spoken in time."""

    assignment: Assignment | None = None
    refusal: str = ""

    @property
    def outcome(self) -> str:
        """`done`, `refused` or `waiting`."""
        return "done" if self.assignment else "refused" if self.refusal else "waiting"


class Inbox:
    """The desk's inbox on Kafka; a producer that broke is replaced."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap, self._topic = bootstrap, physical(INBOX, prefix)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def append(self, value: bytes) -> int:
        """The offset of a value once all replicas have it.  Raises Unavailable."""
        try:
            async with asyncio.timeout(APPEND_S):
                producer = await self._started()
                told = await producer.send_and_wait(self._topic, value, partition=0)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("not taken down", kafka=self._bootstrap, error=repr(error))
            await self.close()
            raise Unavailable(str(error) or "Kafka does not answer") from error
        return int(told.offset)

    async def close(self) -> None:
        """End the producer; the next append has a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(producer.stop(), 1.0)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id="handraise-console",
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=int(APPEND_S * 1_000),
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer


class Desk:
    """Says things to the desk and waits for its word, which the hub hears."""

    def __init__(self, inbox: Inbox, hub: Hub) -> None:
        self._inbox, self._hub = inbox, hub

    async def act(self, activity: Activity) -> Word:
        """Say what somebody did.  Raises Unavailable."""
        listener, _, _ = self._hub.listen(None)
        try:
            offset = await self._inbox.append(encode(activity))
            loop = asyncio.get_running_loop()
            deadline = loop.time() + PATIENCE_S
            while (left := deadline - loop.time()) > 0:
                heard = await listener.next(left)
                if heard is None:
                    break
                if word := _word(heard, offset, activity):
                    return word
            return Word()
        finally:
            self._hub.leave(listener)

    async def be(self, presence: Presence) -> None:
        """Say whether somebody can be given work.  Raises Unavailable."""
        await self._inbox.append(encode(presence))

    async def close(self) -> None:
        """Say nothing more."""
        await self._inbox.close()


def _word(happening: Happening, offset: int, activity: Activity) -> Word | None:
    if happening.withdrawn:
        return None
    match happening.record:
        case Assignment(source_offset=source) as assignment if source == offset:
            if activity.request_id in (None, assignment.request_id):
                return Word(assignment)
        case Notice(notice_id=id, to=to, kind=kind, text=text) if to == activity.rep and kind in REFUSALS:
            if id.startswith(f"desk-0-{offset}-"):
                return Word(refusal=text)
    return None
