"""A deployment that the tests of this folder share, and one for a test alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.deployment import Child, Deployment
from tests.e2e.reading import registry

pytest.register_assert_rewrite("tests.e2e.books")


@dataclass
class Shop:
    """A running deployment: topics, a gateway, a worker, and a schema registry for its readers."""

    place: Deployment
    gateway: Child
    worker: Child
    registry: str


@pytest.fixture
def deploy(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Make a deployment under this test's own prefix; its processes end with the test."""
    made: list[Deployment] = []

    def make(partitions: int = 4, kafka: str = kafka) -> Deployment:
        made.append(Deployment(kafka, prefix, tmp_path, partitions))
        return made[-1]

    yield make
    for place in made:
        place.__exit__()


@pytest.fixture
def shop(deploy: Callable[..., Deployment]) -> Iterator[Shop]:
    """A deployment with one gateway and one worker that are ready."""
    place = deploy()
    place.create_topics()
    gateway, worker = place.gateway(), place.worker()
    with registry() as url:
        yield Shop(place, gateway.await_ready(), worker.await_ready(), url)
