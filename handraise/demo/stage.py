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

from deploy import local, probe
from deploy.problem import Problem
from handraise import topics
from handraise.demo import shifts
from handraise.demo.processes import Child
from handraise.failure import CHECK_FAILED, Failure
from handraise.settings import Address, Settings

PARTITIONS = 4
"""Enough to show the parts working at once, and quick to make."""
_NUMBERED = re.compile(r"demo-(\d+)\.")


@contextlib.contextmanager
def broker(settings: Settings, say: Callable[[str], None]) -> Iterator[tuple[str, bool]]:
    """Have Kafka: HANDRAISE_KAFKA's, the one of `make up`, or one started here and ended at the end.

    Gives the bootstrap servers and whether the broker was started here.  Raises Failure.
    """
    if "HANDRAISE_KAFKA" in settings.given:
        yield settings.kafka, False
        return
    site = local.Site()
    started = probe.kafka(site.kafka_port) != "yes"
    # Nothing reads Redis yet; an address that is given is one that is not started.
    environ = {**os.environ, "HANDRAISE_REDIS": settings.redis}
    try:
        servers = local.up(site, environ, lambda said: None if said.startswith("redis") else say(said))
        yield servers.kafka, started
    except Problem as problem:
        raise Failure(problem.what, problem.where, problem.remedy, CHECK_FAILED) from problem
    finally:
        if started:
            _end(site)


def _end(site: local.Site) -> None:
    """End the broker and nothing else; its data stays."""
    if site.container_mark("kafka").exists():
        local.down(site, lambda _: None)
    else:
        site.own("kafka").stop()


async def own_topics(settings: Settings, kafka: str, folder: Path, *, tidy: bool) -> Settings:
    """Settings for this demo, whose topics are new; with `tidy` those of former demos are deleted.

    Its rules are a copy in that folder, with other hours and ladders.  Raises Failure.

    Only where nobody else can be in the middle of one: on a broker that was just started.
    """
    begin = re.escape(settings.prefix) + _NUMBERED.pattern
    async with topics.admin(kafka) as client:
        names = [name for name in await client.list_topics() if re.match(begin, name)]
        numbers = [int(found[1]) for name in names if (found := re.match(begin, name))]
        if tidy and names:
            await client.delete_topics(names)
    own = replace(
        settings,
        kafka=kafka,
        prefix=f"{settings.prefix}demo-{max(numbers, default=0) + 1}.",
        partitions=settings.partitions if "HANDRAISE_PARTITIONS" in settings.given else PARTITIONS,
        gateway=_door(settings),
        rules=shifts.copy(settings.rules, folder / "rules"),
    )
    await topics.create(own)
    return own


def _door(settings: Settings) -> Address:
    """The gateway's address: the usual one, or any free port when that is taken and none was asked for."""
    if "HANDRAISE_GATEWAY" in settings.given:
        return settings.gateway
    with contextlib.suppress(OSError), socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(settings.gateway)
        return settings.gateway
    return Address(settings.gateway.host, probe.free_port())


class Parts(NamedTuple):
    """The demo's processes."""

    gateway: Child
    leads: Child
    desk: Child


def processes(own: Settings, logs: Path) -> Parts:
    """The demo's processes, not yet started."""
    env = {
        **os.environ,
        "HANDRAISE_KAFKA": own.kafka,
        "HANDRAISE_PREFIX": own.prefix,
        "HANDRAISE_PARTITIONS": str(own.partitions),
        "HANDRAISE_GATEWAY": str(own.gateway),
        "HANDRAISE_RULES": str(own.rules),
    }

    def worker(role: str) -> Child:
        # Static membership: a killed worker's successor has its partitions back without waiting for a session to end.
        metrics = probe.free_port()
        words = ["worker", role, "--metrics-port", str(metrics), "--instance-id", "demo"]
        return Child(f"{role} worker", words, env, logs / f"{role}.log", f"http://127.0.0.1:{metrics}/readyz")

    return Parts(
        Child("gateway", ["gateway"], env, logs / "gateway.log", f"http://{own.gateway}/readyz"),
        worker("leads"),
        worker("desk"),
    )
