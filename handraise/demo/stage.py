"""What the demo stands on: a broker, topics and rules of its own, its processes."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy import local, probe
from deploy.local import Servers
from deploy.problem import Problem
from handraise import topics
from handraise.demo import shifts
from handraise.demo.processes import Child
from handraise.failure import CHECK_FAILED, Failure
from handraise.settings import Address, Settings

PARTITIONS = 4
"""Enough to show the parts working at once, and quick to make."""
_NUMBERED = re.compile(r"demo-(\d+)\.")


_VARIABLES = {"kafka": "HANDRAISE_KAFKA", "redis": "HANDRAISE_REDIS"}


@contextlib.contextmanager
def servers(settings: Settings, say: Callable[[str], None]) -> Iterator[tuple[Servers, bool]]:
    """Have Kafka and Redis: those of the environment, those of `make up`, or started here and ended at the end.

    Gives where they are, and whether Kafka was started here.  Raises Failure.
    """
    site = local.Site()
    answers = {"kafka": probe.kafka(site.kafka_port), "redis": probe.redis(site.redis_port)}
    given = {_VARIABLES[name]: getattr(settings, name) for name in answers if _VARIABLES[name] in settings.given}
    absent = [name for name, answer in answers.items() if _VARIABLES[name] not in given and answer != "yes"]
    try:
        yield local.up(site, given, say), "kafka" in absent
    except Problem as problem:
        raise Failure(problem.what, problem.where, problem.remedy, CHECK_FAILED) from problem
    finally:
        if absent:
            local.down(site, lambda _: None, absent)


async def own_topics(settings: Settings, there: Servers, folder: Path, *, tidy: bool) -> Settings:
    """Settings for this demo, whose topics are new; with `tidy` those of former demos are deleted, and their keys.

    Its rules are a copy in that folder, with other hours and ladders.  Raises Failure.

    Only where nobody else can be in the middle of one: on a broker that was just started.
    """
    begin = re.escape(settings.prefix) + _NUMBERED.pattern
    async with topics.admin(there.kafka) as client:
        names = [name for name in await client.list_topics() if re.match(begin, name)]
        numbers = [int(found[1]) for name in names if (found := re.match(begin, name))]
        if tidy and names:
            await client.delete_topics(names)
    if tidy:
        await _forget(there.redis, f"{settings.prefix}demo-*")
    own = replace(
        settings,
        kafka=there.kafka,
        redis=there.redis,
        prefix=f"{settings.prefix}demo-{max(numbers, default=0) + 1}.",
        partitions=settings.partitions if "HANDRAISE_PARTITIONS" in settings.given else PARTITIONS,
        gateway=_door(settings, "gateway"),
        console=_door(settings, "console"),
        rules=shifts.copy(settings.rules, folder / "rules"),
    )
    await topics.create(own)
    return own


async def _forget(redis: str, pattern: str) -> None:
    """Delete the keys of former demos; a Redis that does not answer is the mirror's to tell of."""
    client = Redis.from_url(redis)
    with contextlib.suppress(RedisError):
        async for key in client.scan_iter(pattern, count=1_000):
            await client.unlink(key)
    await client.aclose()


def free_port(usual: int) -> int:
    """That port on loopback, or any other when it is taken."""
    return _free(Address("127.0.0.1", usual)).port


def _door(settings: Settings, name: str) -> Address:
    """A server's address: the usual one, or any free port when that is taken and none was asked for."""
    usual: Address = getattr(settings, name)
    return usual if f"HANDRAISE_{name.upper()}" in settings.given else _free(usual)


def _free(usual: Address) -> Address:
    with contextlib.suppress(OSError), socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(usual)
        return usual
    return Address(usual.host, probe.free_port())


class Parts(NamedTuple):
    """The demo's processes."""

    gateway: Child
    leads: Child
    desk: Child
    mirror: Child
    console: Child

    @property
    def first(self) -> tuple[Child, ...]:
        """Those without whom nothing happens."""
        return self.gateway, self.leads, self.desk

    @property
    def then(self) -> tuple[Child, ...]:
        """Those that show what has happened; they start while history is told."""
        return self.mirror, self.console


def processes(own: Settings, logs: Path, site: str) -> Parts:
    """The demo's processes, not yet started; `site`: the URL of the sample site."""
    env = {
        **os.environ,
        "HANDRAISE_KAFKA": own.kafka,
        "HANDRAISE_REDIS": own.redis,
        "HANDRAISE_PREFIX": own.prefix,
        "HANDRAISE_PARTITIONS": str(own.partitions),
        "HANDRAISE_GATEWAY": str(own.gateway),
        "HANDRAISE_CONSOLE": str(own.console),
        "HANDRAISE_RULES": str(own.rules),
    }

    def part(name: str, words: list[str], address: Address) -> Child:
        return Child(name, words, env, logs / f"{name}.log", f"http://{address}/readyz")

    def worker(role: str, *more: str) -> Child:
        metrics = Address("127.0.0.1", probe.free_port())
        return part(role, ["worker", role, "--metrics-port", str(metrics.port), *more], metrics)

    # Static membership: a killed worker's successor has its partitions back without waiting for a session to end.
    instance = ("--instance-id", "demo")
    return Parts(
        part("gateway", ["gateway"], own.gateway),
        worker("leads", *instance),
        worker("desk", *instance),
        worker("mirror"),
        part("console", ["console", "--site", site], own.console),
    )
