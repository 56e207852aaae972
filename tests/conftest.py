"""What all tests share: a real Kafka, a real Redis, and names that no other test has."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator

import pytest

from deploy.local import Kafka, start_kafka, start_redis

pytest.register_assert_rewrite("tests.streams.harness", "tests.oracle.compare")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "chaos_long: the long fault run of `make chaos`; not part of `make test`")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real Kafka: HANDRAISE_KAFKA's, or one of this session's own, started at first use."""
    given = os.environ.get("HANDRAISE_KAFKA")
    if given:
        yield given
        return
    broker = start_kafka(tmp_path_factory.mktemp("kafka"), heap="512m")
    yield broker.bootstrap
    broker.kill()
    shutil.rmtree(broker.folder / "data")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Redis: HANDRAISE_REDIS's, or one of this session's own, started at first use."""
    given = os.environ.get("HANDRAISE_REDIS")
    if given:
        yield given
        return
    server = start_redis(tmp_path_factory.mktemp("redis"))
    yield server.url
    server.kill()


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Kafka]]:
    """Start a broker for this test alone, to be stopped and killed at will: ``own_kafka(heap="256m", fast=True)``."""
    brokers: list[Kafka] = []

    def start(heap: str = "256m", *, fast: bool = True) -> Kafka:
        brokers.append(start_kafka(tmp_path_factory.mktemp("own-kafka"), heap=heap, fast=fast))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.kill()
        shutil.rmtree(broker.folder / "data", ignore_errors=True)


@pytest.fixture
def prefix() -> str:
    """Return a prefix for topics, groups and keys that no other test uses."""
    return f"t{secrets.token_hex(4)}."
