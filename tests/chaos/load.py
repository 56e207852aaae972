"""The load: a seeded story appended to the inbox at a steady pace, and time that runs faster than the clock's."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import Tick
from schemas.topics import physical
from tests.chaos.families import Said, families
from tests.e2e.story import DAY_MS, Act, engagement, key, story

HOUR_MS = 3_600_000
FAMILY_ACTS = 50
SLICE_S = 0.05
MOST_TICKS = 1_400
"""So often time is pushed on at most: an audit looks at every lead at each tick."""
TIME_LAPSE_FROM = 0.4
"""From this part of the load on, ticks run ahead of the clock."""
LAPSE_MS = 20 * HOUR_MS
LAST_LAPSE_MS = DAY_MS - 5_000
"""A tick may be at most 24 hours ahead."""
ENDS = "the end"
HOPS = 10
"""So often, and no more, mail can cause mail: an event links a device, which sends what it knows, which links, ...."""


@dataclass(frozen=True)
class Load:
    """What is sent: so many events of so many leads, over so many seconds, from a seed."""

    seed: int
    events: int
    leads: int
    seconds: float
    partitions: int

    def families(self, now_ms: int) -> list[Said]:
        """What is said of people who share computers, or are merged: a fiftieth of all, at the times of the story."""
        count = max(2, self.events // 50 // FAMILY_ACTS)
        return families(self.seed, count, now_ms - 3 * DAY_MS, now_ms + DAY_MS // 2, FAMILY_ACTS)

    def acts(self, now_ms: int) -> Iterator[Act]:
        """The story from three days ago to most of a day ahead, cut at a number of events; some came before, once."""
        start_ms, days = now_ms - 3 * DAY_MS, 3.75
        passers_by = self.leads // 8
        each = round(1.7 * self.events / self.leads)
        acts = story(self.seed, self.leads - passers_by, start_ms, days, each)
        early = story(self.seed + 1, passers_by, start_ms - DAY_MS, 1, 5)
        return itertools.islice(itertools.chain(early, acts), self.events)


class Sender:
    """Appends to the inbox; what the broker did not take is appended again, whatever that does to the order."""

    def __init__(self, bootstrap: str, prefix: str, load: Load) -> None:
        self._load, self._inbox = load, physical("lead.events", prefix)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            request_timeout_ms=60_000,
            retry_backoff_ms=50,
        )
        self._events: list[tuple[bytes, bytes]] = []
        self.sent = 0
        self.people: dict[bytes, str] = {}
        """Who did what, by the events' ids, as far as it can be told: without a sign-in a device is somebody else."""

    def prepare(self) -> None:
        """Make the records: seconds of work that must not hold up what comes later."""
        now_ms = int(time.time() * 1000)
        families = self._load.families(now_ms)
        acts = list(itertools.islice(self._load.acts(now_ms), self._load.events - len(families)))
        assert len(acts) + len(families) == self._load.events
        signed_in = {act.anonymous_id for act in acts if (act.user_id or act.email) and not act.bot}
        waiting = iter(families)
        family = next(waiting, None)
        for act in acts:
            while family is not None and family.arrives_ms <= act.arrives_ms:
                self._take(family)
                family = next(waiting, None)
            record = engagement(act)
            self._events.append((key(act), encode(record)))
            if not act.bot:
                self.people[record.event_id] = act.visitor if act.anonymous_id in signed_in else act.anonymous_id
        while family is not None:
            self._take(family)
            family = next(waiting, None)

    def _take(self, said: Said) -> None:
        self._events.append((said.key, said.value))
        if said.event_id is not None:
            self.people[said.event_id] = f"whoever did {said.event_id.hex()}"

    async def run(self, may_end: asyncio.Event) -> None:
        """Send all at the load's pace, but the last hundredth only once it may end."""
        load, events = self._load, self._events
        await self._producer.start()
        started, last = time.monotonic(), load.events - load.events // 100
        ticked = 0.0
        while self.sent < load.events:
            most = load.events if may_end.is_set() else last
            due = min(most, int(load.events * (time.monotonic() - started) / load.seconds))
            await self._append([(key, value, None) for key, value in events[self.sent : due]])
            self.sent = max(self.sent, due)
            if self.sent / load.events - ticked >= 1 / MOST_TICKS:
                ticked = self.sent / load.events
                await self._lapse(ticked)
            await asyncio.sleep(SLICE_S)
        await self._tick(LAST_LAPSE_MS)  # a day passes

    async def end(self, number: int) -> dict[bytes, Act]:
        """Say the last acts of that number, one on each partition; returns them."""
        acts = last_acts(self._load, number)
        await self._append([(key, encode(engagement(act)), None) for key, act in acts.items()])
        return acts

    async def stop(self) -> None:
        """Close the connections."""
        await self._producer.stop()

    async def _lapse(self, part: float) -> None:
        ahead = (part - TIME_LAPSE_FROM) / (1 - TIME_LAPSE_FROM)
        if ahead > 0:
            await self._tick(int(ahead * LAPSE_MS))

    async def _tick(self, ahead_ms: int) -> None:
        value = encode(Tick(at=int(time.time() * 1000) + ahead_ms))
        await self._append([(None, value, partition) for partition in range(self._load.partitions)])

    async def _append(self, records: list[tuple[bytes | None, bytes, int | None]]) -> None:
        while records:
            futures = [
                await self._producer.send(self._inbox, value, key=key, partition=self._place(key, partition))
                for key, value, partition in records
            ]
            taken = await asyncio.gather(*futures, return_exceptions=True)
            records = [it for it, error in zip(records, taken, strict=True) if isinstance(error, BaseException)]

    def _place(self, key: bytes | None, partition: int | None) -> int | None:
        return partition if key is None else partition_of(key, self._load.partitions)


def last_acts(load: Load, end: int) -> dict[bytes, Act]:
    """An act of a lead of its own for each partition, for a time when all else was said; each end has others."""
    now_ms = int(time.time() * 1000)
    found: dict[int, tuple[bytes, Act]] = {}
    for number in itertools.count():
        if len(found) == load.partitions:
            return dict(found.values())
        act = Act(now_ms, ENDS, number, now_ms, "search", "", f"{ENDS} {end}, {number}", None, "", False, {})
        found.setdefault(partition_of(key(act), load.partitions), (key(act), act))
    raise AssertionError
