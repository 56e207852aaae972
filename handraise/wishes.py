"""What somebody says of who is who: two leads are one person, are not after all, or never were.

A wish is a record of the fold's own inbox, like everything that can change a lead.  Whoever utters it waits until a
worker has folded it, and reads in the workers' memory what came of it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from handraise import output
from handraise.clock import now_ms
from handraise.failure import CHECK_FAILED, Failure
from handraise.identifiers import ids_of
from handraise.lookup import Asked, Found, find, key_for
from handraise.memory import Memory, memory
from handraise.settings import Settings
from handraise.subscriber import Subscriber, subscribe
from handraise.suspicions import open_ones, suspicions
from handraise.topics import unreachable
from handraise.writer import writer
from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import LeadDuplicate, Mail, Merge, NotTheSame, Rejected, Unmerge
from schemas.topics import physical
from streams.links import order
from streams.publish import INBOX
from streams.state import Moved

PATIENCE_S = 30.0
"""Longer than another worker needs to take over from one that was killed."""
_TELL_AFTER_S = 2.0
_REASON_PATIENCE_S = 5.0
REJECTED = "engagement.rejected"


class Done(NamedTuple):
    """What a wish has changed: the leads before and after it."""

    survivor: str
    other: str
    before: list[Found]
    after: list[Found]


async def merge(settings: Settings, one: Asked, other: Asked, by: str) -> Done:
    """Make two leads one; the stronger survives.  Raises Failure."""
    async with _office(settings, one, other) as office:
        both = [await find(office.memory, one), await find(office.memory, other)]
        if both[0].id == both[1].id:
            raise Failure(
                "they are one lead already",
                f"{one} and {other} are {both[0].id}",
                f"nothing is to be done; `handraise lead {both[0].id}` shows what it consists of",
                CHECK_FAILED,
            )
        survivor, absorbed = sorted((each.id for each in both), key=order)
        place = await office.say(absorbed, Merge(other=survivor, at=now_ms(), by=by))
        after = await office.settled(survivor)
        if not isinstance(await office.memory.state(absorbed), Moved):
            raise await office.refused(place, f"{absorbed} was not merged into {survivor}")
        return Done(after.id, absorbed, both, [after])


async def unmerge(settings: Settings, asked: Asked, by: str) -> Done:
    """Make a lead that was merged a lead of its own again.  Raises Failure."""
    async with _office(settings, asked) as office:
        was, survivor = await office.memory.state(asked.id), await find(office.memory, asked)
        if not isinstance(was, Moved) or was.undo is None or not was.undo.frozen:
            raise _never_merged(asked, was, survivor)
        place = await office.say(asked.id, Unmerge(at=now_ms(), by=by))
        if await office.still_parting(asked.id):
            raise Failure(
                f"{asked.id} is not taken out of {survivor.id} yet",
                f"its points are being given back, which takes longer than {PATIENCE_S:g} s",
                "see that a worker runs for each partition; it is not to be said again",
                CHECK_FAILED,
            )
        after = [await office.settled(survivor.id), await find(office.memory, asked)]
        if after[1].id != asked.id:
            raise await office.refused(place, f"{asked.id} was not taken out of {survivor.id}")
        return Done(survivor.id, asked.id, [survivor], after)


async def not_the_same(settings: Settings, one: Asked, other: Asked, by: str) -> list[LeadDuplicate]:
    """Dismiss every suspicion that two leads are one person; those suspicions.  Raises Failure."""
    async with _office(settings, one, other) as office:
        both = await find(office.memory, one), await find(office.memory, other)
        told = await _between(settings, *both)
        if both[0].id == both[1].id or not told:
            raise Failure(
                "they are one lead" if both[0].id == both[1].id else "nothing suggests that they are one person",
                f"{one} is {both[0].id}, {other} is {both[1].id}",
                f"nothing is to be done; `handraise lead {both[0].id}` shows who may be the same person",
                CHECK_FAILED,
            )
        for each in told:
            home = "e" + each.evidence_id[1:] if each.evidence_id.startswith("m_") else each.evidence_id
            wish = NotTheSame(evidence=each.evidence_id, lead=each.lead_id, other=each.other_id, at=now_ms(), by=by)
            place = await office.say(home, wish)
        deadline = time.monotonic() + _REASON_PATIENCE_S
        while await _between(settings, *both):
            if time.monotonic() > deadline:
                raise await office.refused(place, "the suspicion was not dismissed")
        return told


async def _between(settings: Settings, one: Found, other: Found) -> list[LeadDuplicate]:
    """What suggests that two leads are one person."""
    told = open_ones(await suspicions(settings, ids_of(one)), ids_of(one))
    return [each for each in told if {each.lead_id, each.other_id} & ids_of(other)]


def _never_merged(asked: Asked, was: object, survivor: Found) -> Failure:
    merged = sorted(id for id in ids_of(survivor) if id.startswith("u_") and id != survivor.id)
    what = (
        f"{asked} is linked to {survivor.id} by what visitors did, not merged by anybody"
        if isinstance(was, Moved)
        else f"{asked} was never merged into another lead, or that was undone"
    )
    hint = f"leads that were merged into it: {', '.join(merged)}" if merged else "nothing was merged into it either"
    return Failure(what, f"lead {survivor.id}", hint, CHECK_FAILED)


class _Office:
    """Where wishes are put into the inbox, and where one sees what came of them."""

    def __init__(
        self,
        settings: Settings,
        remembered: Memory,
        producer: AIOKafkaProducer,
        inbox: AIOKafkaConsumer,
        rejections: Subscriber,
    ) -> None:
        self.memory = remembered
        self._settings, self._producer, self._inbox, self._rejections = settings, producer, inbox, rejections
        self._topic = physical(INBOX, settings.prefix)

    async def say(self, key: str, wish: Mail) -> tuple[int, int]:
        """Append a wish and wait until it is folded; its partition and offset.  Raises Failure."""
        partition = partition_of(key.encode(), self.memory.partitions)
        told = await self._producer.send_and_wait(self._topic, encode(wish), key=key.encode(), partition=partition)
        await self._folded(partition, told.offset)
        return partition, told.offset

    async def _folded(self, partition: int, offset: int) -> None:
        """Return when a worker has folded that record.  Raises Failure when none does so in time."""
        began, told = time.monotonic(), False
        while await self.memory.next_offset(partition) <= offset:
            waited_s = time.monotonic() - began
            if waited_s > PATIENCE_S:
                raise Failure(
                    f"no worker has taken it within {PATIENCE_S:g} s",
                    f"{self._topic}, partition {partition}, offset {offset} on {self._settings.kafka}",
                    "start one (`handraise worker leads`): what you said waits there, and is not to be said again",
                    CHECK_FAILED,
                )
            if waited_s > _TELL_AFTER_S and not told:
                told = True
                output.note(f"waiting for the worker of partition {partition}")
            await self.memory.wait(partition)

    async def still_parting(self, id: str) -> bool:
        """True if a lead that is to be taken out of another one is not a lead again in time."""
        deadline = time.monotonic() + PATIENCE_S
        while isinstance(found := await self.memory.state(id), Moved) and found.undo is not None and found.undo.parting:
            if time.monotonic() > deadline:
                return True
            await self.memory.wait(partition_of(id.encode(), self.memory.partitions))
        return False

    async def settled(self, id: str) -> Found:
        """The lead of that id, when what was folded before has reached it.  Raises Failure."""
        partition = partition_of(id.encode(), self.memory.partitions)
        place = TopicPartition(self._topic, partition)
        await self._folded(partition, (await self._inbox.end_offsets([place]))[place] - 1)
        return await find(self.memory, Asked(id, "", ""))

    async def refused(self, place: tuple[int, int], what: str) -> Failure:
        """The failure of a wish that changed nothing, with the reason if one was given."""
        deadline = time.monotonic() + _REASON_PATIENCE_S
        where, reason = f"{self._topic}, partition {place[0]}, offset {place[1]}", ""
        while not reason and time.monotonic() < deadline:
            for seen in await self._rejections.next(200):
                match seen.value:
                    case Rejected(topic=topic, partition=partition, offset=offset) as rejected if (
                        topic,
                        partition,
                        offset,
                    ) == (INBOX, *place):
                        reason = rejected.reason.partition("; where: ")[0]
        return Failure(
            f"{what}: {reason}" if reason else what,
            where,
            "see `handraise lead` of both: somebody may have been quicker",
            CHECK_FAILED,
        )


@asynccontextmanager
async def _office(settings: Settings, *asked: Asked) -> AsyncIterator[_Office]:
    await key_for(settings, *asked)
    # Uncommitted: what a worker is about to write to another lead counts, too.
    inbox = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, client_id="handraise-wishes", isolation_level="read_uncommitted"
    )
    async with (
        memory(settings) as remembered,
        subscribe(settings, [REJECTED], beginning=False) as rejections,
        writer(settings, "handraise-wishes") as producer,
    ):
        try:
            await inbox.start()
            yield _Office(settings, remembered, producer, inbox, rejections)
        except (KafkaError, OSError) as error:
            raise unreachable(settings.kafka, error) from error
        finally:
            await inbox.stop()
