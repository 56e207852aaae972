"""How late an alert comes on the simple job: from the moment an event is due to the moment a reader has the alert.

A steady stream of 1,000 events/s with random gaps, of which twenty a second make a new lead hot at once.  The reader
takes only what is committed.  Before it counts, a burst warms the contender up.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from bench import kit
from bench.kit import Row
from bench.peers import events
from bench.peers.contenders import Contender
from bench.peers.environments import Unavailable
from bench.peers.events import Pairs, Stream
from bench.peers.job import HOT_AT, POINTS
from bench.peers.measure import Failed, new_task, started
from bench.traffic import by_partition
from schemas.keys import partition_of

RATE = 1_000.0
ALERT_EVERY = 50
BURST = 100_000
VISITORS = 3_000
SETTLING_S = 3.0
"""Of the steady stream that does not count."""
SECONDS = 20.0
JOB = "alert read committed, 1,000 events/s"
_HOT = next(kind for kind, points in POINTS.items() if points >= HOT_AT)
_CALM = "page_view"
_PATIENCE_S = 60.0
_SEED = 11


def run(
    kafka: str,
    contenders: Sequence[Contender],
    one_round: Sequence[Pairs],
    core: int | None,
    seconds: float = SECONDS,
    burst: int = BURST,
) -> list[Row]:
    """A row for each of those contenders; the events are like those of the round."""
    every = [value for part in one_round for _, value in part]
    calm, hot = (next(each for each in every if events.fields(each).kind == kind) for kind in (_CALM, _HOT))
    return [
        asyncio.run(_row(contender, _Steady(kafka, contender, calm, hot), core, seconds, burst))
        for contender in contenders
    ]


async def _row(contender: Contender, steady: _Steady, core: int | None, seconds: float, burst: int) -> Row:
    print(f"  latency of {contender.name}", file=sys.stderr, flush=True)
    what = {
        "name": contender.name,
        "title": contender.title,
        "format": contender.format,
        "guarantee": contender.guarantee,
    }
    what["tuned"] = contender.tuned
    try:
        times, cpu_us, memory = await _measure(contender, steady, core, seconds, burst)
    except (Failed, Unavailable) as reason:
        return kit.row(contender.full_title, JOB, None, None, **what, skipped=str(reason))
    shown = {f"p{percent}_ms": round(kit.percentile(times, percent), 1) for percent in (50, 99)}
    shown["max_ms"] = round(times[-1], 1)
    return kit.row(contender.full_title, JOB, [cpu_us], memory, **what, records=len(times), **shown)


async def _measure(
    contender: Contender, steady: _Steady, core: int | None, seconds: float, burst: int
) -> tuple[list[float], float, float]:
    """Milliseconds in order of size, CPU of an event, and memory."""
    kafka, early = steady.kafka, steady.early(burst // 20 if contender.size == "small" else burst)
    stream = Stream(steady.topic, by_partition(early, kit.PARTITIONS), 1)
    await events.put(kafka, stream)
    task = new_task(kafka, contender, stream, 0, 0, stream.count)
    await kit.create(kafka, [task.alerts, *({task.states} & {contender.states(task)})])
    seen: dict[str, float] = {}
    async with started(contender, task, core) as process, kit.first_seen(kafka, task.alerts, seen):
        await process.says("all")
        await steady.send(min(SETTLING_S, seconds))
        before, sent = process.cpu_s(), await steady.send(seconds)
        cpu_us, until = (process.cpu_s() - before) / sent * 1e6, time.monotonic() + _PATIENCE_S
        while missing := steady.due.keys() - seen.keys():
            if time.monotonic() > until:
                raise Failed(f"{len(missing)} of {len(steady.due)} alerts did not come")
            await asyncio.sleep(0.05)
        memory = process.rss_mib()
    return sorted(1e3 * (seen[key] - at) for key, at in steady.due.items()), cpu_us, memory


class _Steady:
    """Events at the rate, of which one in fifty makes a new lead hot, as one contender wants them."""

    def __init__(self, kafka: str, contender: Contender, calm: bytes, hot: bytes) -> None:
        self.kafka, self.topic = kafka, f"latency.{contender.name}{time.time_ns()}"
        self._in_json = contender.format == "JSON"
        self._values, self._fields = (calm, hot), (events.fields(calm), events.fields(hot))
        self._numbers = itertools.count(1)
        self._dice = random.Random(_SEED)
        self.due: dict[str, float] = {}
        """lead → when the event was due that makes it hot, of the last call."""

    def early(self, count: int) -> Pairs:
        """So many events of as many leads, none of which gets hot."""
        return [self._event(b"early-%d" % number, is_hot=False) for number in range(count)]

    def _event(self, key: bytes, *, is_hot: bool) -> tuple[bytes, bytes]:
        return key, events.in_json(key, self._fields[is_hot]) if self._in_json else self._values[is_hot]

    async def send(self, seconds: float) -> int:
        """For so many seconds; returns the number of events."""
        self.due, sent = {}, 0
        async with AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all", linger_ms=0) as producer:
            due = time.perf_counter()
            until = due + seconds
            while due < until:
                if (early := due - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                key, value = self._next(due)
                await producer.send(self.topic, value, key, partition_of(key, kit.PARTITIONS))
                sent += 1
                due += self._dice.expovariate(RATE)
        return sent

    def _next(self, due: float) -> tuple[bytes, bytes]:
        number = next(self._numbers)
        if number % ALERT_EVERY:
            return self._event(b"visitor-%d" % (number % VISITORS), is_hot=False)
        key = b"hot-%d" % number
        self.due[key.decode()] = due
        return self._event(key, is_hot=True)
