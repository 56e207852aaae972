"""What an event costs at the gateway, from HTTP to Kafka's acknowledgement: ``python -m bench.gateway``.

The gateway is a process of its own with one event loop; what counts is the CPU time of that process, user and kernel,
divided by the events it acknowledged.  The load comes from this process over keep-alive connections, as browsers' SDK
(@segment/analytics-next) sends it: about 1.1 KB of JSON an event.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import sys
import time
from typing import Any

from bench import kit
from tests.gateway.broker import create_topics
from tests.gateway.process import Running, gateway

_CONNECTIONS = 32
_BODIES = 200
_LEADS = 3000
_USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
_SITE = "https://www.acme.example"


def run(
    kafka: str | None = None,
    seconds: float = 4.0,
    runs: int = 3,
    partitions: int = 4,
    batches: tuple[int, ...] = (20, 1),
) -> list[kit.Row]:
    """Measure with each batch size; rows as build/bench.json has them.  Without `kafka` a broker is started."""
    if kafka is None:
        with kit.cluster() as own:
            return run(own, seconds, runs, partitions, batches)
    return asyncio.run(_measure(kafka, seconds, runs, partitions, batches))


async def _measure(kafka: str, seconds: float, runs: int, partitions: int, batches: tuple[int, ...]) -> list[kit.Row]:
    prefix = f"bench{time.time_ns()}."
    await create_topics(kafka, prefix, partitions)
    rows = []
    for size in batches:
        costs = []
        with gateway(bootstrap=kafka, prefix=prefix, partitions=partitions) as running:
            requests = _requests(size, random.Random(7))
            await _load(running, requests, 1.0)  # warm: caches, the broker's page cache, TCP windows
            for _ in range(runs):
                before = running.cpu_s()
                answered = await _load(running, requests, seconds)
                costs.append((running.cpu_s() - before) / (answered * size) * 1e6)
            memory = running.rss_mib()
        job = f"HTTP to acknowledged Kafka record, {size} events a request"
        rows.append(kit.row("handraise gateway", job, costs, memory, yardstick_ns=kit.yardstick_ns()))
    return rows


async def _load(running: Running, requests: list[bytes], seconds: float) -> int:
    """Send from all connections for that time; returns the requests answered 200, and fails at any other answer."""
    until = time.perf_counter() + seconds

    async def connection(number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        answered = 0
        while time.perf_counter() < until:
            writer.write(requests[(number * 31 + answered) % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            answered += 1
        writer.close()
        await writer.wait_closed()
        return answered

    return sum(await asyncio.gather(*(connection(n) for n in range(_CONNECTIONS))))


def _requests(size: int, dice: random.Random) -> list[bytes]:
    made = []
    for number in range(_BODIES):
        events = [_event(dice, number * size + n) for n in range(size)]
        body: Any = {"batch": events, "sentAt": "2026-11-01T10:00:03.000Z"} if size > 1 else events[0]
        content = json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"POST {'/v1/b' if size > 1 else '/v1/p'} HTTP/1.1\r\nhost: gateway\r\n"
            f"authorization: Basic {base64.b64encode(b'demo:').decode()}\r\norigin: {_SITE}\r\n"
            f"user-agent: {_USER_AGENT}\r\ncontent-type: text/plain\r\ncontent-length: {len(content)}\r\n\r\n"
        )
        made.append(head.encode() + content)
    return made


def _event(dice: random.Random, number: int) -> dict[str, Any]:
    path = dice.choice(["/pricing", "/docs/start", "/customers/big", "/blog/one", "/"])
    page = {
        "path": path,
        "referrer": f"{_SITE}/blog",
        "search": "?utm_source=ad&utm_campaign=spring",
        "title": f"Acme: {path}",
        "url": f"{_SITE}{path}?utm_source=ad&utm_campaign=spring",
    }
    return {
        "timestamp": "2026-11-01T10:00:00.123Z",
        "integrations": {},
        "type": "page",
        "properties": page,
        "context": {
            "page": page,
            "userAgent": _USER_AGENT,
            "userAgentData": {
                "brands": [{"brand": "Chromium", "version": "142"}],
                "mobile": False,
                "platform": "Linux",
            },
            "locale": "en-GB",
            "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
            "timezone": "Europe/Berlin",
            "campaign": {"source": "ad", "name": "spring"},
        },
        "messageId": f"ajs-next-1793527200123-{number:08x}-9d2c-4e0b-8f7a-{dice.getrandbits(48):012x}",
        "anonymousId": f"{dice.randrange(_LEADS):08x}-5a4e-4d0e-9d2c-3f8b7c6a5e4d",
        "userId": None,
        "_metadata": {"bundled": ["Segment.io"], "unbundled": [], "bundledIds": []},
    }


def main() -> None:
    """Measure and print the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", help="bootstrap servers; without it a broker is started")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=4)
    given = parser.parse_args()
    json.dump(run(given.kafka, given.seconds, given.runs, given.partitions), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
