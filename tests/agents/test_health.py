"""The workers' tiny HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from agents.health import HealthServer


class Served:
    """A server whose reasons the test sets."""

    reasons: list[str]
    port: int


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server on a free port."""
    made = Served()
    made.reasons = []
    registry = CollectorRegistry()
    Counter("beats_total", "Beats.", registry=registry).inc(3)
    server = HealthServer(registry, lambda: made.reasons)
    made.port = await server.start("127.0.0.1", 0)
    yield made
    await server.stop()


async def get(served: Served, path: str) -> httpx.Response:
    """One request."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
        return await client.get(path)


async def test_readiness_tells_each_reason(served: Served) -> None:
    """200 without reasons, 503 with one reason per line."""
    assert (await get(served, "/readyz")).status_code == 200
    served.reasons = ["first", "second"]
    answer = await get(served, "/readyz?verbose")
    assert (answer.status_code, answer.text) == (503, "first\nsecond\n")
    assert (await get(served, "/healthz")).status_code == 200


async def test_metrics_are_in_prometheus_text(served: Served) -> None:
    """The registry's metrics, with the content type scrapers ask for."""
    answer = await get(served, "/metrics")
    assert "beats_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


async def test_other_paths_and_methods_are_refused(served: Served) -> None:
    """404 names the paths there are, 405 the method."""
    assert (await get(served, "/")).status_code == 404
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as client:
        assert (await client.post("/healthz")).status_code == 405


async def test_what_is_no_http_is_hung_up_on(served: Served) -> None:
    """An endless head or a silent hang-up harms nobody."""
    for garbage in (b"x" * 20_000, b"GET", b"\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(garbage)
        writer.write_eof()
        await reader.read()
        writer.close()
    assert (await get(served, "/healthz")).status_code == 200
