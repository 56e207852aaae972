"""How long a worker takes from its start until it is ready, and until it has folded an event that waits for it.

The changelog holds the states of as many leads as asked for: realistic ones, made by the lead fold, the same ones under
ever new keys, since a million leads would take a minute to fold.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import cycle, islice

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.lane.cursor import CURSOR_KEY, encode_cursor
from agents.lane.kafka_log import KafkaLog
from bench import kit
from bench.kit import Row
from bench.traffic import SECRET, Recorded, by_partition, traffic
from deploy.probe import free_port
from handraise.rules import load
from handraise.settings import ROOT
from schemas.keys import partition_of
from streams.identity import lead_id
from streams.lead_fold import CLOCK, LeadFold

_MODELS = 10_000
_SEED = 23
_PATIENCE_S = 120.0


def run(kafka: str | None = None, leads: int = 1_000_000, runs: int = 3) -> list[Row]:
    """Median of several starts on the same changelog.  Without `kafka` a broker is started."""
    if kafka is None:
        with kit.cluster() as own:
            return run(own, leads, runs)
    prefix = f"restart{time.time_ns()}."
    size = asyncio.run(_fill(kafka, prefix, leads))
    found = [asyncio.run(_start(kafka, prefix)) for _ in range(runs)]
    job = f"restart of one worker with {leads} leads of {size:.0f} B, each once in the changelog"
    further = {
        name: round(statistics.median(each[name] for each in found), 2) for name in found[0] if name != "rss_mib"
    }
    rss = max(each["rss_mib"] for each in found)
    return [kit.row("worker", job, None, rss, **further, ready_s_runs=[round(each["ready_s"], 2) for each in found])]


def states_of(leads: int) -> list[bytes]:
    """States of so many leads after about ten events."""
    end_ms = time.time_ns() // 1_000_000
    states: dict[bytes, bytes] = {}
    fold = LeadFold(0, states, load(ROOT / "rules").rules, 1)
    (events,) = by_partition(traffic(_SEED, leads, end_ms), 1)
    fold.apply([Recorded(n, end_ms, key, value) for n, (key, value) in enumerate(events)])
    fold.seal()
    return [value for key, value in states.items() if key != CLOCK]


async def _fill(kafka: str, prefix: str, leads: int) -> float:
    """Write the changelog, a cursor in each partition, and one event; the mean size of a state."""
    await kit.create_topics(kafka, prefix)
    parts: dict[int, list[tuple[bytes, bytes]]] = {partition: [] for partition in range(kit.PARTITIONS)}
    for number, value in enumerate(islice(cycle(states_of(min(_MODELS, leads))), leads)):
        key = lead_id("a", f"visitor {number}", SECRET).encode()
        parts[partition_of(key, kit.PARTITIONS)].append((key, value))
    size = statistics.fmean(len(value) for part in parts.values() for _, value in part)
    log = KafkaLog(kafka, "bench", 10_000)
    inbox = f"{prefix}lead.events"
    identity = (await log.identify([inbox]))[inbox]
    for part in parts.values():
        part.append((CURSOR_KEY, encode_cursor(0, *identity)))
    await kit.preload(kafka, f"{prefix}leads.changelog", parts)
    return size


async def _start(kafka: str, prefix: str) -> Row:
    events = traffic(time.time_ns() % 10**9, 1, time.time_ns() // 1_000_000)
    partition = partition_of(events[0][0], kit.PARTITIONS)
    reader = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await reader.start()
    try:
        places = [TopicPartition(f"{prefix}{topic}", partition) for topic in ("lead.state", "engagement.quarantine")]
        reader.assign(places)
        await reader.seek_to_end(*places)
        await asyncio.gather(*(reader.position(place) for place in places))
        await kit.preload(kafka, f"{prefix}lead.events", {partition: events[:1]})
        port = free_port()
        command = ("-m", "handraise", "worker", "leads", "--metrics-port", str(port))
        began = time.monotonic()
        with kit.process(*command, env=kit.environment(kafka, prefix, LOG="warning")) as worker:
            folded = asyncio.create_task(reader.getone())
            ready_s = None
            while ready_s is None:
                assert time.monotonic() - began < _PATIENCE_S, "the worker did not get ready"
                if await asyncio.to_thread(kit.ready, port):
                    ready_s = time.monotonic() - began
                else:
                    await asyncio.sleep(kit.READY_POLL_S)
            await asyncio.wait_for(folded, _PATIENCE_S)
            folded_s = time.monotonic() - began
            return {
                "ready_s": ready_s,
                "first_event_s": folded_s,
                "cpu_s": worker.usage().cpu_s,
                "rss_mib": worker.rss_mib(),
            }
    finally:
        await reader.stop()
