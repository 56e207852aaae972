"""mirror: records folded and written to a real Redis, in batches as they come when it catches up; all but Kafka.

Two thirds of the records are of anonymous visitors, as on a web site; each event of a lead is a state and a memory.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from agents.mirror import MOST_RECORDS
from agents.readside_store import Store
from bench import kit
from bench.kit import Row
from deploy.redis_server import start_redis
from schemas import readside as keys
from schemas.codec import encode
from schemas.records import Assignment, LeadState, RaisedHand
from streams import state
from streams.identity import lead_id
from streams.readside import fold
from streams.readside_batch import Batch

NOW = 1_795_428_000_000
EVENTS_OF_A_LEAD = 5


class Said(NamedTuple):
    """A record as it stands on a topic."""

    topic: str
    key: bytes
    value: bytes


def events(count: int) -> Iterator[Said]:
    """What so many events of a site's visitors leave on lead.state and leads.changelog."""
    for n in range(count):
        person = n // EVENTS_OF_A_LEAD
        kind = "u" if person % 3 == 0 else "a"
        key = lead_id(kind, f"visitor {person}", b"bench").encode()  # type: ignore[arg-type]
        second = NOW // 1_000 + n
        known = [state.Known("u", f"visitor-{person}", second), state.Known("e", f"v{person}@kestrel.example", second)]
        rest = state.pack(state.Rest(known=known if kind == "u" else []))
        lead = state.Lead(1, second, second, second, second, times=b"x" * 40, ids=b"y" * 80, marks="m" * 20, rest=rest)
        told = LeadState(
            key.decode(), NOW, 12_000, 3, n % 50 == 0, NOW, "inquiry", NOW, NOW, NOW, 10, 2, "1a2b3c4d", n % 4, n
        )
        yield Said("lead.state", key, encode(told))
        yield Said("leads.changelog", key, state.encode(lead))


def requests(count: int) -> Iterator[Said]:
    """So many raised hands with four assignments each."""
    for n in range(count):
        ids = (lead_id("e", f"asker {n}", b"bench"), lead_id("a", f"device {n}", b"bench"))
        hand = RaisedHand(
            f"{n:016x}", ids[0], ids, NOW, NOW, "sales", "DK", "en", f"v{n}@kestrel.example", None, "Elif Demir",
            "Kestrel Foods", "Please call me about sensors for our dairy.", "human", (), "phone", None, None, 2_000,
            None, b"x" * 700,
        )  # fmt: skip
        yield Said("desk.events", b"", encode(hand))
        for status in ("assigned", "accepted", "attempted", "contacted"):
            trace = ("rule nordics: topic sales, country DK", "Ben Holm is next in turn")
            given = Assignment(
                f"{n:016x}", ids[0], "contact_request", f"rep-{n % 20}", None, None, status, NOW, None, 0, status,
                trace, NOW, NOW + n, 0, n,
            )  # fmt: skip
            yield Said("lead.assignments", ids[0].encode(), encode(given))


def run(count: int = 200_000, runs: int = 3) -> list[Row]:
    """Measure; `count` records of each kind."""
    folder = Path(tempfile.mkdtemp())
    server = start_redis(folder)
    try:
        jobs = {
            "states and memories of leads": list(events(count // 2)),
            "hands and assignments": list(requests(count // 20)),
        }
        return [kit.row("mirror", job, _measure(server.url, told, runs), None) for job, told in jobs.items()]
    finally:
        server.kill()
        shutil.rmtree(folder)


def _measure(url: str, records: list[Said], runs: int) -> list[float]:
    costs = []
    for n in range(runs):
        begun = time.process_time()
        asyncio.run(_write(url, records, n))
        costs.append((time.process_time() - begun) / len(records) * 1e6)
    return costs


async def _write(url: str, records: list[Said], number: int) -> None:
    store = Store(url, f"bench{number}.")
    generation = await store.begin({"layout": keys.LAYOUT})
    rest, place = iter(records), None
    base = keys.base(f"bench{number}.", generation)
    while part := list(islice(rest, MOST_RECORDS)):
        batch = Batch()
        for each in part:
            batch.add(fold(each.topic, each.key, each.value, NOW))
        after = (place or 0) + len(part)
        await store.apply(generation, batch.commands(base), {"all": place}, {"all": after}, is_current=False)
        place = after
    await store.close()
