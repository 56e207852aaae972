"""The end of a run: waits until everybody has done what there was to do, and compares everything with everything.

To the audit of the leads it adds the desk, notices, the read side, and what was answered over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis import Redis

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from schemas import readside as keys
from schemas.codec import decode
from schemas.records import PublishedRules, Rejected
from schemas.topics import physical, topic
from streams.readside import TOPICS as READ_TOPICS
from tests.agents.post_office import HookServer
from tests.agents.readside import Content, dump
from tests.chaos import audit
from tests.chaos.audit import Verdict
from tests.chaos.company import HOOK, PARTITIONS, PREFIX, Company, handraise
from tests.chaos.reps import Rep
from tests.chaos.web import Web
from tests.oracle import desk, notices
from tests.oracle.desk import DeskFound
from tests.oracle.findings import Findings
from tests.oracle.readside import Said, expected
from tests.oracle.replay import Record

PATIENCE_S = 180.0
AGAIN_S = 0.5
MOST_DIFFERENCES = 20
T = TypeVar("T")


class Outside(NamedTuple):
    """Who stood at the doors, and knows what was said there."""

    web: Web
    reps: Collection[Rep]
    hooks: HookServer


async def settled(look: Callable[[], Awaitable[T]], is_right: Callable[[T], bool]) -> T:
    """What is seen, looked at again until it is right, or until the patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_right(seen := await look()) and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(AGAIN_S)
    return seen


class Judge:
    """Reads the topics of a company and judges, one part after the other, into a verdict."""

    def __init__(self, company: Company, outside: Outside) -> None:
        self._company, self._outside = company, outside
        self._bootstrap = company.broker.bootstrap

    async def desk(self) -> DeskFound:
        """The desk, once it has done all that it was asked."""
        return await settled(self._desk, lambda found: not found.missing)

    async def _desk(self) -> DeskFound:
        # what leads wrote first, the desk's inbox last: then nothing is asked that was decided later
        waiting = await self._every("desk.waiting")
        [inbox] = await self._every("desk.events")
        await self._folded(inbox)
        return desk.judge(inbox, await self._every("lead.assignments", with_ids=True), waiting)

    async def _folded(self, inbox: list[Record]) -> None:
        """Return when the desk has come as far as its inbox was read."""

        async def folded() -> int:
            [memory] = await self._every("desk.changelog")
            cursors = [it.value for it in memory if it.key == CURSOR_KEY]
            return decode_cursor(cursors[-1]).next_offset if cursors else 0

        await settled(folded, lambda offset: offset > inbox[-1].offset)

    async def _every(self, name: str, *, with_ids: bool = False) -> list[list[Record]]:
        count = PARTITIONS if topic(name).partitions == "P" else 1
        real = physical(name, PREFIX)
        return [await audit.read(self._bootstrap, real, n, with_ids=with_ids) for n in range(count)]

    async def notices(self) -> Findings:
        """Notices and deliveries, once all that was due is delivered."""
        now_ms = int(time.time() * 1000)

        async def look() -> Findings:
            said, done = [await self._every(name) for name in ("desk.notices", "alert.deliveries")]
            arrived = {headers["webhook-id"].removeprefix(PREFIX) for _, headers, _ in self._outside.hooks.requests}
            return notices.judge(_flat(said), _flat(done), arrived, HOOK, now_ms)

        return await settled(look, lambda found: not found.missing)

    async def read_side(self) -> list[str]:
        """What differs between Redis and the topics, once mirror has come to their ends."""
        found = [
            [Said(name, it.key, it.value, it.timestamp) for it in records]
            for name in READ_TOPICS
            for records in await self._every(name)
        ]
        wanted = {key: value for key, value in expected(found).items() if key != keys.CARDS}
        redis: Redis = Redis.from_url(self._company.redis.url)

        async def look() -> Content:
            generation = await asyncio.to_thread(redis.get, keys.current(PREFIX))
            if generation is None:
                return {}
            return await asyncio.to_thread(dump, redis, keys.base(PREFIX, int(generation)))  # type: ignore[arg-type]

        seen = await settled(look, lambda content: content == wanted)
        redis.close()
        differ = sorted(key for key in wanted.keys() | seen.keys() if wanted.get(key) != seen.get(key))
        return [f"read side: {key} is {_short(seen.get(key))}, not {_short(wanted.get(key))}" for key in differ]

    async def compacted(self) -> dict[str, int]:
        """How many records Kafka has compacted away, by topic: missing offsets beside the markers of transactions."""
        found: dict[str, int] = {}
        for name in ("leads.changelog", "lead.state", "desk.changelog"):
            count = PARTITIONS if topic(name).partitions == "P" else 1
            found[name] = sum([await _gaps(self._bootstrap, physical(name, PREFIX), n) for n in range(count)])
        return found

    async def add(self, verdict: Verdict, desk_found: DeskFound, notices_found: Findings) -> None:
        """Add the findings of all but the leads to those of the leads."""
        verdict.take(desk_found)
        verdict.take(notices_found)
        missing, doubled = desk.passed_on_once(desk_found, verdict.copies)
        verdict.missing += missing
        verdict.doubled += doubled
        await self._promoted(verdict)
        await self._answered(verdict, desk_found)
        await self._own_audit(verdict, desk_found)

    async def _promoted(self, verdict: Verdict) -> None:
        """Each partition was told of the same rules as the desk, in the same order, and the last ones are in force."""
        [inbox] = await self._every("desk.events")
        wanted = audit.promotions(inbox)
        verdict.wrong += [f"promoted: {told}, not {wanted}" for told in verdict.promoted if told != wanted]
        [sets] = await self._every("rules.published")
        in_force = [decode(it.value or b"") for it in sets if it.key == b"promoted"]
        last = in_force[-1].version if in_force and isinstance(in_force[-1], PublishedRules) else None
        if last != (wanted[-1] if wanted else None):
            verdict.wrong.append(f"{last} is said to be in force, not {wanted[-1:]}")
        verdict.counts["promotions"] += len(wanted)

    async def _answered(self, verdict: Verdict, desk_found: DeskFound) -> None:
        """What was answered with a yes stands where it belongs."""
        web = self._outside.web
        asked = {bytes.fromhex(id) for id in desk_found.hands}
        lost = [id for id in web.answered if id not in verdict.copies and id not in asked]
        verdict.missing += [f"event {id.hex()} was answered 200, and stands in no inbox" for id in lost]
        letters = [decode(it.value or b"") for it in _flat(await self._every("engagement.rejected"))]
        dead = {json.loads(it.record)["messageId"] for it in letters if isinstance(it, Rejected) and it.topic is None}
        verdict.missing += [f"{id} was answered 200, and is not rejected" for id in web.rejected - dead]
        verdict.without_cause += [f"{id} is rejected, and nobody sent it" for id in dead - web.rejected]
        said = {id for rep in self._outside.reps for id in rep.said}
        verdict.missing += [f"activity {id} was taken down, and is not there" for id in said - desk_found.activities]
        verdict.counts.update(answered=len(web.answered), rejected=len(dead), said=len(said))

    async def _own_audit(self, verdict: Verdict, desk_found: DeskFound) -> None:
        """`handraise audit` finds nothing, either, and counts as many."""
        _, said = await handraise(self._company.env, "audit", "--json")
        report = json.loads(said)
        verdict.wrong += [f"handraise audit: {problem}" for problem in report["problems"]]
        if (report["requests"], report["on_the_way"]) != (len(desk_found.hands), 0):
            verdict.wrong.append(f"handraise audit counts {report['requests']} requests, not {len(desk_found.hands)}")


async def _gaps(bootstrap: str, topic_name: str, partition: int) -> int:
    """Offsets that are missing, but for one or two between records: the markers of transactions."""
    place = TopicPartition(topic_name, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_uncommitted")
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        found, following = 0, 0
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(place, timeout_ms=200)).get(place, []):
                found += max(0, record.offset - following - 2)
                following = record.offset + 1
        return found
    finally:
        await consumer.stop()


def _flat(partitions: Iterable[list[Record]]) -> list[Record]:
    return [record for records in partitions for record in records]


def _short(value: object) -> str:
    return f"{value!r:.200}"
