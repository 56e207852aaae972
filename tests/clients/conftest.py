"""A gateway on real Kafka for clients of other makers, and a page of a web site of its own origin."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.codec import decode
from schemas.records import Engagement
from tests.gateway.broker import create_topics, engagements, hands, rejected
from tests.gateway.process import Running, gateway

SITE = Path(__file__).parent / "site"


@dataclass
class Capture:
    """A running gateway, and what it has stored."""

    running: Running
    kafka: str
    prefix: str

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return self.running.url

    async def stored(self) -> list[Engagement]:
        """Everything on lead.events, and what raised hands carry there; nothing may be in the dead letter."""
        assert await rejected(self.kafka, self.prefix) == []
        carried = [decode(hand.engagement) for hand in await hands(self.kafka, self.prefix)]
        assert all(isinstance(each, Engagement) for each in carried)
        return [*await engagements(self.kafka, self.prefix), *carried]  # type: ignore[list-item]


@pytest.fixture
async def topics(kafka: str, prefix: str) -> None:
    """The gateway's topics."""
    await create_topics(kafka, prefix)


@pytest.fixture
def capture(topics: None, kafka: str, prefix: str) -> Iterator[Capture]:
    """A gateway with the shipped rules."""
    with gateway(bootstrap=kafka, prefix=prefix) as running:
        yield Capture(running, kafka, prefix)


class _Site(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a small web site; its pages know the gateway by ?gateway=."""

    def handler(*args: object) -> _Site:
        return _Site(*args, directory=str(SITE))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()
