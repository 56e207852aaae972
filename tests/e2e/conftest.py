"""A deployment that tests of this folder share, and the means to make one for a test alone."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.deployment import Child, Deployment
from tests.e2e.reading import registry

pytest.register_assert_rewrite("tests.e2e.books")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@dataclass
class Shop:
    """A running deployment: a gateway, a worker of leads, a desk, and a schema registry for its readers."""

    place: Deployment
    gateway: Child
    worker: Child
    registry: str


@pytest.fixture(scope="session")
def shop(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The deployment of the tests that do no harm to it; each has leads of its own.  It must leave gracefully."""
    with Deployment(kafka, f"e2e{secrets.token_hex(4)}.", tmp_path_factory.mktemp("shop")) as place, registry() as url:
        place.create_topics()
        gateway, worker, desk = place.gateway(), place.worker(), place.worker(role="desk")
        desk.await_ready()
        yield Shop(place, gateway.await_ready(), worker.await_ready(), url)
        desk.stop()
        worker.stop()
        gateway.stop()


@pytest.fixture
def deploy(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Make a deployment under this test's own prefix; its processes end with the test."""
    made: list[Deployment] = []

    def make(partitions: int = 4, kafka: str = kafka) -> Deployment:
        made.append(Deployment(kafka, prefix, tmp_path, partitions))
        return made[-1]

    yield make
    for place in made:
        place.end()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()
