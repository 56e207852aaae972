"""What the gateway's tests share: an application in memory with a clock that stands."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from gateway.metrics import Metrics
from gateway.server import Gateway, GatewayConfig, make_app
from tests.gateway.memory import MemoryAppender

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_790_000_000_000
SECRET = b"a key for tests"

SOURCES = """
[[source]]
name = "demo"
key = "demo"
origins = ["*"]
opt_out = "anonymous"
consent_categories = ["Analytics"]

[[source]]
name = "shop"
key = "shop-key"
origins = ["https://shop.example", "https://*.shop.example"]
opt_out = "drop"
trusted_proxies = ["10.0.0.0/8"]
truncate_ip = true

[[source]]
name = "intranet"
key = "intranet-key"
origins = []
opt_out = "ignore"
"""


def config(**changes: Any) -> GatewayConfig:
    """A configuration with the shipped vocabulary and the sources above."""
    return GatewayConfig(
        **{
            "bootstrap": "none",
            "partitions": 4,
            "id_secret": SECRET,
            "sources_text": SOURCES,
            "vocabulary_text": (ROOT / "rules/vocabulary.toml").read_text(encoding="utf-8"),
            "browser_build": ROOT / "deploy/browser/node_modules/@segment/analytics-next/dist/umd/standalone.js",
            **changes,
        }
    )


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """The tests of the gateway run in its event loop."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class Door:
    """A gateway in memory: what it got and what it says."""

    app: Gateway
    appender: MemoryAppender
    metrics: Metrics
    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: Any, key: str | None = "demo", **more: Any) -> httpx.Response:
        """Post JSON (or bytes as they are) with the write key as Basic user."""
        auth = httpx.BasicAuth(key, "") if key is not None else None
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.client.post(path, auth=auth, **content, **more)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A gateway in memory whose clock stands at NOW."""
    appender, metrics = MemoryAppender(), Metrics()
    app = make_app(config(), appender, metrics, lambda: NOW)
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1234))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test:8080") as client:
        yield Door(app, appender, metrics, client)
