"""The console's pages as the server makes them: a busy reader's queue, the desk, a lead; the history in a real Redis.

One after the other, over ASGI without a network: what is left is Redis, the score of each lead, and HTML.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

from redis import Redis

from bench import kit
from bench.kit import Row
from bench.traffic import Recorded
from console.hub import Hub
from console.live import Live
from console.metrics import Metrics
from console.reader import now_ms
from console.redis_history import RedisHistory
from console.saying import Inbox
from console.server import Console, ConsoleConfig
from console.sessions import COOKIE
from handraise import rules
from handraise.settings import ROOT
from schemas import readside as keys
from schemas.codec import encode
from schemas.records import Assignment, Engagement, RaisedHand, Record, Waited, Waiting
from serving.server import tune_collector
from streams.identity import event_id, lead_id
from streams.lead_fold import LeadFold
from streams.readside import fold
from streams.readside_batch import Batch

HANDS, LEADS, EVENTS = 30, 30, 24
"""Open requests of one person, and events of each of the leads."""
_GENERATION = 1


def run(count: int = 200, runs: int = 3, url: str | None = None) -> list[Row]:
    """A row for each page; `url`: a Redis to use, else one of our own."""
    if url is not None:
        return asyncio.run(_measure(url, count, runs))
    with kit.redis() as own:
        return asyncio.run(_measure(own, count, runs))


async def _measure(url: str, count: int, runs: int) -> list[Row]:
    prefix = f"bench{time.time_ns()}."
    lead = await asyncio.to_thread(_fill, url, prefix)
    live = Live()
    hub = Hub(live.apply)
    found = rules.load(ROOT / "rules")
    config = ConsoleConfig("nowhere:1", url, found.rules, found.desk, b"bench", dict, prefix)
    history = RedisHistory(url, prefix)
    tune_collector()
    console = Console(config, history, Inbox("nowhere:1", prefix), None, hub, live, Metrics())
    rows = []
    for job, rep, path in (
        (f"page of a queue, {HANDS} hands and {LEADS} hot leads", "ben", "/"),
        (f"page of the desk, {HANDS} hands", "mert", "/desk"),
        (f"page of a lead, {EVENTS} events", "ben", f"/leads/{lead}"),
    ):
        cookie = f"{COOKIE}={console.sessions.begin(rep, now_ms())}"
        costs, times, size = [], [], 0
        await _ask(console, path, cookie)
        for _ in range(runs):
            began = time.process_time()
            for _ in range(count):
                at = time.perf_counter()
                size = await _ask(console, path, cookie)
                times.append((time.perf_counter() - at) * 1_000)
            costs.append((time.process_time() - began) / count * 1e6)
        times.sort()
        figures = {f"p{each}_ms": round(kit.percentile(times, each), 1) for each in (50, 99)}
        rows.append(kit.row("console", job, costs, kit.rss_mib(), **figures, html_kib=round(size / 1024)))
    await console.close()
    return rows


async def _ask(console: Console, path: str, cookie: str) -> int:
    """Get a page; its size in bytes."""
    size, status = 0, 0

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal size, status
        status = message.get("status", status)
        size += len(message.get("body", b""))

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"console.example"), (b"cookie", cookie.encode())],
        "scheme": "http",
        "server": ("console.example", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    await console.app(scope, receive, send)
    assert status == 200, f"{path} answered {status}"
    return size


def _fill(url: str, prefix: str) -> str:
    """Write what mirror would have; a lead's id."""
    redis, batch, now = Redis.from_url(url), Batch(), now_ms()
    records: list[tuple[str, bytes, Record]] = []
    for n in range(HANDS):
        hand = _hand(n, now)
        records += [
            ("desk.events", b"", hand),
            ("lead.assignments", b"", _assignment(hand.request_id, hand.lead_id, now)),
        ]
    for n, (id, memory) in enumerate(_leads(now // 1_000).items()):
        batch.add(fold("leads.changelog", id, memory, now))
        waiting = Waiting(
            id.decode(), "hot", now, 70_000, 1, "DK", f"v{n}@kestrel.example", ("looked at Pricing",), 0, n
        )
        records.append(("desk.events", b"", Waited(0, n, encode(waiting))))
        records.append(("lead.assignments", b"", _assignment(f"w0-{n}", id.decode(), now)))
    for topic, key, record in records:
        batch.add(fold(topic, key, encode(record), now))
    for command in batch.commands(keys.base(prefix, _GENERATION)):
        redis.execute_command(*command)
    redis.set(keys.current(prefix), _GENERATION)
    redis.close()
    return waiting.lead_id


def _hand(n: int, now: int) -> RaisedHand:
    ids = (lead_id("e", f"asker {n}", b"bench"), lead_id("a", f"device {n}", b"bench"))
    return RaisedHand(
        f"{n:016x}", ids[0], ids, now, now, "sales", "DK", "en", f"v{n}@kestrel.example", "+4520123456", "Elif Demir",
        "Kestrel Foods", "Please call me about sensors for our dairy.", "human", (), "phone", None, None, 2_000, None,
        b"",
    )  # fmt: skip


def _assignment(request_id: str, lead_id: str, now: int) -> Assignment:
    kind = "hot_lead" if request_id.startswith("w") else "contact_request"
    trace = ("rule nordics takes it (tried before: office (not its topic))", "Ben Holm is the only one")
    return Assignment(
        request_id, lead_id, kind, "ben", None, None, "assigned", now + 300_000, None, 0, "raised_hand", trace, now,
        now, 0, 1,
    )  # fmt: skip


def _leads(now_s: int) -> dict[bytes, bytes]:
    """Leads that have read for two weeks, as the workers remember them."""
    lead_fold = LeadFold(0, {}, rules.load(ROOT / "rules").rules, 1)
    ids = [lead_id("u", f"visitor {n}", b"bench").encode() for n in range(LEADS)]
    pages = (
        ("/pricing", "Pricing"),
        ("/", "Harbourlight"),
        ("/case-studies/dairy", "Dairy"),
        ("/security", "Security"),
    )
    log = []
    for place in range(EVENTS):
        for id in ids:
            at = now_s - (EVENTS - place) * 50_000
            asset, title = pages[place % len(pages)]
            event = Engagement(
                event_id("bench", f"{id!r} {place}"), at * 1_000, "page_view", asset, title, "human",
                f"{id.decode()}@kestrel.example", (id.decode(),), "demo", f"{place}", "page", "", at * 1_000,
            )  # fmt: skip
            log.append(Recorded(len(log), at * 1_000, id, encode(event)))
    lead_fold.apply(log)
    return {key: value for key, value in lead_fold.seal().changes.items() if key in ids and value is not None}
