"""How late an alert comes, and the answer to a raised hand: from the HTTP request of the event to the record on Kafka.

The gateway, the workers and the console run as their commands start them; this process sends the traffic, one event a
request as browsers do, at a steady rate with random gaps, and reads lead.assignments and lead.alerts twice:
uncommitted, as a screen does, and read_committed, as a program does that acts on it.  It also holds the stream that a
manager's browser holds: a raised hand is there when its row names an owner.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import random
import re
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import uvloop

from bench import kit
from bench.kit import Row
from bench.traffic import BROWSERS, ORDINARY, SITE
from console.sessions import COOKIE, Sessions
from deploy.probe import free_port
from handraise.settings import ROOT
from schemas.codec import encode
from schemas.keys import partition_of
from schemas.records import Engagement, Waiting
from streams.identity import lead_id

KEY = b"a key for benchmarks"
RATE = 500.0
ALERTS_PER_S = 4.0
CONNECTIONS = 64
WARM_S = 3.0
VISITORS = 3_000
WAITING = 100_000
_PATIENCE_S = 300.0  # a backlog has to be worked off before its last alert comes
_SEED = 11


class Scene(NamedTuple):
    """Steady traffic after a few seconds to warm up."""

    seconds: float
    rate: float = RATE
    """Events a second."""
    waiting: int = 0
    """So many leads that qualified wait for the desk when it begins."""
    backlog: int = 0
    """So many page views lie before the lead fold: it has no rest, and alerts come when it is through."""


SCENES = (Scene(60.0), Scene(60.0, waiting=WAITING), Scene(60.0, 1_000.0), Scene(15.0, 200.0, backlog=1_000_000))


def run(kafka: str | None = None, scenes: Sequence[Scene] = SCENES) -> list[Row]:
    """Five rows a scene.  Without `kafka` a broker is started."""
    if kafka is None:
        with kit.cluster() as own:
            return run(own, scenes)
    return [row for scene in scenes for row in _measure(kafka, scene)]


def _measure(kafka: str, scene: Scene) -> list[Row]:
    prefix = f"latency{time.time_ns()}."
    asyncio.run(kit.create_topics(kafka, prefix))
    gateway_port, console_port, *ports = (free_port() for _ in range(2 + len(_ROLES)))
    with TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        secrets = Path(folder) / "secrets.toml"
        secrets.write_text(f'id_key = "{base64.b64encode(KEY).decode()}"\n')
        addresses = {"GATEWAY": f"127.0.0.1:{gateway_port}", "CONSOLE": f"127.0.0.1:{console_port}"}
        redis, rules = stack.enter_context(kit.redis()), _round_the_clock(Path(folder) / "rules")
        env = kit.environment(kafka, prefix, SECRETS=str(secrets), REDIS=redis, RULES=rules, LOG="warning", **addresses)
        commands = [("gateway",), ("console",)]
        commands += [("worker", role, "--metrics-port", str(port)) for role, port in zip(_ROLES, ports, strict=True)]
        processes = [stack.enter_context(kit.process("-m", "handraise", *words, env=env)) for words in commands]
        kit.await_ready(gateway_port, console_port, *ports)
        asyncio.run(kit.preload(kafka, f"{prefix}desk.waiting", _qualified(scene.waiting)))
        asyncio.run(kit.preload(kafka, f"{prefix}lead.events", _looked_at(scene.backlog)))
        before = [each.usage().cpu_s for each in processes]
        measurement = _Measurement(kafka, prefix, (gateway_port, console_port, ports[0]), scene.seconds, scene.rate)
        found = uvloop.run(measurement.run())
        spent = [each.usage().cpu_s - then for each, then in zip(processes, before, strict=True)]
        memory = [each.rss_mib() for each in processes]
    events = round(scene.rate * (scene.seconds + WARM_S)) + scene.backlog
    job = f"event posted over HTTP to its record, {scene.rate:.0f} events/s for {scene.seconds:.0f} s"
    if scene.waiting:
        job += f", while {scene.waiting:,} qualified leads wait"
    if scene.backlog:
        job += ", while the lead fold is saturated"
    return [
        kit.row(
            reader,
            job,
            [sum(spent) / events * 1e6],
            sum(memory),
            records=len(times),
            p50_ms=round(kit.percentile(times, 50), 1),
            p99_ms=round(kit.percentile(times, 99), 1),
            max_ms=round(times[-1], 1),
            lag_at_end=measurement.lag,
            **{name: round(each / events * 1e6, 1) for name, each in zip(_PARTS, spent, strict=True)},
        )
        for reader, times in found.items()
    ]


def _round_the_clock(folder: Path) -> str:
    """The shipped rules with people who work at every hour and take any number of requests; their folder."""
    shutil.copytree(ROOT / "rules", folder)
    roster = folder / "roster.toml"
    always = 'hours = { mon-sun = ["00:00-24:00"] }\ncapacity = 10_000'
    text = re.sub(r"^(calendar|capacity) = .*\n", "", roster.read_text(), flags=re.MULTILINE)
    roster.write_text(re.sub(r"^hours = .*$", always, text, flags=re.MULTILINE))
    return str(folder)


def _looked_at(count: int) -> dict[int, list[tuple[bytes, bytes]]]:
    """So many page views, ten of each visitor, by partition."""
    now = time.time_ns() // 1_000_000
    parts: dict[int, list[tuple[bytes, bytes]]] = {number: [] for number in range(kit.PARTITIONS)}
    for number in range(count):
        visitor = f"reader-{number % -(-count // 10)}"
        lead, path = lead_id("a", visitor, KEY), ORDINARY[number % len(ORDINARY)]
        view = Engagement(
            event_id=number.to_bytes(8, "big"), occurred_at=now, kind="page_view", asset=path, title=path,
            verdict="human", email=None, identifiers=(lead,), source="bench", message_id=f"{number:032x}", call="page",
            event="", received_at=now, anonymous_id=visitor, user_agent=BROWSERS[0], url=f"{SITE}{path}",
        )  # fmt: skip
        parts[partition_of(lead.encode(), kit.PARTITIONS)].append((lead.encode(), encode(view)))
    return parts


def _qualified(count: int) -> dict[int, list[tuple[bytes, bytes]]]:
    """Mail to the desk from so many leads that qualified, by partition."""
    now = time.time_ns() // 1_000_000
    parts: dict[int, list[tuple[bytes, bytes]]] = {number: [] for number in range(kit.PARTITIONS)}
    for number in range(count):
        lead = lead_id("u", f"qualified-{number}", KEY)
        reasons = ("tried the product", "looked at Pricing")
        record = Waiting(lead, "mql", now, 41_000, 2, "DK", f"q{number}@kestrel.example", reasons, 0, number)
        parts[partition_of(lead.encode(), kit.PARTITIONS)].append((lead.encode(), encode(record)))
    return parts


_ROLES = ("leads", "desk", "mirror")
_PARTS = tuple(f"{name}_us_per_event" for name in ("gateway", "console", *_ROLES))
_LAG = "handraise_lane_lag_records"
_SCREEN = "assignment in the browser's stream"
_ROW = re.compile(r'<li class="([^"]*)"')
_LEAD = re.compile(r'data-lead="([^"]+)"')
_READERS = {
    f"{what} read {level}": (topic, level)
    for what, topic in (("alert", "lead.alerts"), ("assignment", "lead.assignments"))
    for level in ("read_uncommitted", "read_committed")
}


class _Measurement:
    def __init__(self, kafka: str, prefix: str, ports: tuple[int, int, int], seconds: float, rate: float) -> None:
        """`ports`: of the gateway, the console, and the metrics of the leads worker."""
        self._kafka, self._prefix, self._seconds, self._rate = kafka, prefix, seconds, rate
        self._port, self._console_port, self._leads_port = ports
        self.lag = 0
        """Records before the lead fold when the last event had been sent."""
        self._dice = random.Random(_SEED)
        self._idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._posted: dict[str, dict[str, float]] = {"lead.alerts": {}, "lead.assignments": {}}
        """lead id → when the request was due that the record in this topic answers."""
        self._numbers = iter(range(1 << 40))

    async def run(self) -> dict[str, list[float]]:
        """Milliseconds by reader, in order of size."""
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
        seen: dict[str, dict[str, float]] = {reader: {} for reader in _READERS}
        async with contextlib.AsyncExitStack() as stack:
            for reader, times in seen.items():
                topic, isolation = _READERS[reader]
                await stack.enter_async_context(kit.first_seen(self._kafka, self._prefix + topic, times, isolation))
            seen[_SCREEN] = {}
            await stack.enter_async_context(self._watching(seen[_SCREEN]))
            await self._send()
            seen_there = await asyncio.to_thread(kit.metrics, self._leads_port)
            self.lag = round(sum(value for name, value in seen_there.items() if name.startswith(_LAG)))
            until = time.monotonic() + _PATIENCE_S
            awaited = {reader: self._posted[topic] for reader, (topic, _) in _READERS.items()}
            awaited[_SCREEN] = self._posted["lead.assignments"]
            while any(awaited[reader].keys() - times.keys() for reader, times in seen.items()):
                missing = {reader: len(awaited[reader].keys() - times.keys()) for reader, times in seen.items()}
                assert time.monotonic() < until, f"records that did not come: {missing}"
                await asyncio.sleep(0.05)
        return {
            reader: sorted(1e3 * (times[lead] - began) for lead, began in awaited[reader].items())
            for reader, times in seen.items()
        }

    @contextlib.asynccontextmanager
    async def _watching(self, times: dict[str, float]) -> AsyncIterator[None]:
        """The desk board of a manager who is signed in."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._console_port)
        cookie = f"{COOKIE}={Sessions(KEY, dict).begin('mert', time.time_ns() // 1_000_000)}"
        writer.write(f"GET /live?page=desk HTTP/1.1\r\nhost: console\r\ncookie: {cookie}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

        async def read() -> None:
            owned = False
            async for line in reader:
                now, text = time.perf_counter(), line.decode()
                if row := _ROW.search(text):
                    owned = "owned" in row[1].split()
                if owned and (lead := _LEAD.search(text)):
                    times.setdefault(lead[1], now)

        try:
            async with kit.meanwhile(read()):
                yield
        finally:
            writer.close()

    async def _send(self) -> None:
        """Send at the rate; who has tried the product goes to pay and gets hot, others raise a hand."""
        began = due = time.perf_counter()
        alert_due = began + WARM_S
        new: str | None = None
        sending: set[asyncio.Task[None]] = set()
        ripe: list[str] = []
        answers = itertools.cycle((("Checkout Started", "lead.alerts"), ("Demo Requested", "lead.assignments")))
        while due < began + WARM_S + self._seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if due >= alert_due and ripe:
                # The oldest: its first event was sent long ago, so that it is folded for sure.
                user = ripe.pop(0)
                alert_due += self._dice.expovariate(ALERTS_PER_S)
                event, topic = next(answers)
                self._posted[topic][lead_id("u", user, KEY)] = due
                body = self._track(user, event, "fleet")
            elif new is not None:
                ripe.append(new)
                body, new = self._track(new, "Trial Started", "fleet"), None
            elif len(ripe) < 100:
                new = f"buyer-{next(self._numbers)}@kestrel.example"  # who gets hot has to be reachable
                body = self._track(new, "Document Downloaded", "cold-chain-guide")
            else:
                body = self._page(f"visitor-{self._dice.randrange(VISITORS)}")
            task = asyncio.create_task(self._post(body))
            sending.add(task)
            task.add_done_callback(sending.discard)
            due += self._dice.expovariate(self._rate)
        await asyncio.gather(*sending)

    def _page(self, visitor: str) -> dict[str, Any]:
        path = self._dice.choice(ORDINARY)
        page = {"path": path, "title": f"Acme: {path}", "url": f"{SITE}{path}", "referrer": f"{SITE}/", "search": ""}
        return {"type": "page", "anonymousId": visitor, "properties": page, **self._common(page)}

    def _track(self, user: str, event: str, asset: str) -> dict[str, Any]:
        touched = {"name": asset, "id": asset, "email": f"{user}@buyer.example"}
        return {"type": "track", "userId": user, "event": event, "properties": touched, **self._common({})}

    def _common(self, page: dict[str, str]) -> dict[str, Any]:
        return {
            "messageId": f"ajs-next-{next(self._numbers):08x}-9d2c-4e0b-8f7a-{self._dice.getrandbits(48):012x}",
            "context": {"page": page, "userAgent": BROWSERS[0], "locale": "en-GB", "library": {"name": "analytics.js"}},
        }

    async def _post(self, body: dict[str, Any]) -> None:
        content = json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"POST /v1/{body['type'][0]} HTTP/1.1\r\nhost: gateway\r\nauthorization: Basic ZGVtbzo=\r\n"
            f"origin: {SITE}\r\nuser-agent: {BROWSERS[0]}\r\ncontent-type: text/plain\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        reader, writer = await self._idle.get()
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        self._idle.put_nowait((reader, writer))
