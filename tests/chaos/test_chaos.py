"""Every role, the broker and Redis are killed, ended, stopped and wiped under load: every word right, once, none lost.

Events come over HTTP through two gateways, from clients that retry, and straight into the inbox, with time that runs
ahead.  A quarter of the visitors sign in midway, on two devices, so leads write to each other across partitions all the
time; some share computers and addresses, and some are merged by somebody, and taken apart again.  Who asks to be
contacted is assigned, people at the console take requests, and what they are to be told goes to an endpoint.  Other
rules are put in force meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.broker import Kafka
from deploy.redis_server import start_redis
from schemas.keys import partition_of
from schemas.topics import physical
from tests.agents.post_office import HookServer
from tests.chaos import audit, faults, report
from tests.chaos.company import PARTITIONS, PREFIX, Company
from tests.chaos.judgement import Judge, Outside
from tests.chaos.load import HOPS, Load, Sender
from tests.chaos.reps import Rep
from tests.chaos.web import Web

PATIENCE_S = 120.0
REPS = ("ana", "ben", "mert")
WORDS = ("transition", "alert", "quarantined", "expired", "states", "departed", "letters", "people", "refused")
"""What must have been compared, more than a few times."""
OwnKafka = Callable[..., Kafka]


@dataclass(frozen=True)
class Size:
    """How much: events straight into the inbox and over HTTP, seconds, rounds of all faults, their mean pause."""

    direct: int
    web: int
    seconds: float
    rounds: int
    pause_s: float


def given(name: str, default: int) -> int:
    """A number of the environment's: what failed is repeated with its seed."""
    return int(os.environ.get(f"HANDRAISE_CHAOS_{name}", default))


async def folded(bootstrap: str, load: Load, sender: Sender) -> None:
    """Return when all that was said is folded, and what leads have written to each other because of it.

    An act that is said later than something has a state later; what the folds before it wrote stands before the next.
    """
    topic = physical("lead.state", PREFIX)
    for hop in range(HOPS):
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for key in await sender.end(hop):
                group.create_task(audit.until_key(bootstrap, topic, partition_of(key, load.partitions), key))


async def run(own_kafka: OwnKafka, folder: Path, seed: int, size: Size) -> dict[str, Any]:
    """One run of chaos; returns the report and writes it to build/chaos.json."""
    broker, redis, hooks = own_kafka(heap="512m"), start_redis(folder / "redis"), HookServer()
    company = Company(broker, redis, folder, hooks.url)
    await company.open()
    load = Load(seed, size.direct, size.direct // 100, size.seconds, PARTITIONS)
    sender = Sender(broker.bootstrap, PREFIX, load)
    web = Web(company.gateways, seed, size.web, size.web // 100, size.seconds)
    reps = [Rep(company.console, name, seed, int(time.time() * 1000)) for name in REPS]
    hand, judge, over = faults.Hand(company), Judge(company, Outside(web, reps, hooks)), asyncio.Event()
    try:
        sender.prepare()
        web.prepare()
        gc.freeze()  # millions of events that stay to the end: nothing to collect there
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for work in (sender.run(over), web.run(over), *(rep.work(over) for rep in reps)):
                group.create_task(work)
            await hand.strike(faults.plan(seed, size.rounds, size.pause_s))
            over.set()
        await judge.desk()  # what was asked there is scored
        await folded(broker.bootstrap, load, sender)
        loaded_s = time.monotonic() - began
        desk_found = await judge.desk()
        await company.close("gateway", "leads", "desk", "console")
        notices_found = await judge.notices()
        await company.close("notify")
        read_side = await judge.read_side()
    finally:
        await company.close(*company.crew)
        await sender.stop()
        hooks.close()
    began_audit = time.monotonic()
    files = {name: (company.rules / name).read_text() for name in ("model.toml", "alerts.toml")}
    people = sender.people | web.people
    verdict = await asyncio.to_thread(audit.audit, broker.bootstrap, PREFIX, PARTITIONS, files, people)
    await judge.add(verdict, desk_found, notices_found)
    verdict.states += read_side
    found = report.of(
        verdict,
        hand.struck,
        events=size.direct + size.web,
        events_over_http=size.web,
        seed=seed,
        seconds_under_load=round(loaded_s),
        seconds_of_audit=round(time.monotonic() - began_audit),
        compacted_away=await judge.compacted(),
        http=dict(web.answers),
        console={rep.name: dict(rep.answers) for rep in reps},
        exit_codes=company.ends(),
    )
    redis.kill()
    report.write(found)
    assert found["words"] == [], json.dumps(found)
    return found


@pytest.mark.timeout(600)
async def test_every_word_is_said_once_whatever_is_killed(own_kafka: OwnKafka, tmp_path: Path) -> None:
    """Each kind of fault on each role, the broker and Redis: what was promised of every topic is true in the end."""
    found = await run(own_kafka, tmp_path, given("SEED", 1), Size(100_000, 60_000, 70.0, rounds=1, pause_s=0.8))
    assert sum(found["faults"].values()) == len(faults.EVERY)
    assert min(found["compared"][what] for what in WORDS) > 50
    assert found["compared"]["parted"] > 10
    assert min(found["compared"][what] for what in ("requests", "waited", "notices", "activities", "rejected")) > 5
    assert found["compared"]["promotions"] == 1
    assert found["compacted_away"]["leads.changelog"] > 1_000


@pytest.mark.chaos_long
async def test_the_same_for_longer(own_kafka: OwnKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """HANDRAISE_CHAOS_ROUNDS of every fault under HANDRAISE_CHAOS_EVENTS events: the same law."""
    events, rounds = given("EVENTS", 2_000_000), given("ROUNDS", 8)
    seconds = given("SECONDS", 1_500)
    pause_s = max(0.5, seconds / (rounds * len(faults.EVERY)) - 3.5)
    size = Size(events // 4, events - events // 4, seconds, rounds, pause_s)
    found = await run(own_kafka, tmp_path, given("SEED", 1), size)
    with capsys.disabled():
        sys.stdout.write(f"\n{report.table(found)}\n")
    assert sum(found["faults"].values()) == rounds * len(faults.EVERY)
