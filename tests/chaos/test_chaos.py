"""Three hundred thousand events while workers and the broker are killed: every word right, once, and none lost.

A quarter of the visitors sign in midway, on two devices, so leads write to each other across partitions all the time;
some share computers and addresses, and some are merged by somebody, and taken apart again.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.broker import Kafka
from schemas.keys import partition_of
from schemas.topics import physical
from tests.chaos import audit, faults
from tests.chaos.load import HOPS, Load, Sender
from tests.chaos.workers import Supervised

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build" / "chaos.json"
PARTITIONS = 4
WORKERS = 2
PATIENCE_S = 120.0
WORDS = ("transition", "alert", "quarantined", "expired", "states", "departed", "letters", "people", "refused")
"""What must have been compared, more than a few times."""
MOST_WORDS = 40
"""Faults that the report tells in words."""
OwnKafka = Callable[..., Kafka]


def seed() -> int:
    """HANDRAISE_CHAOS_SEED, or 1: what failed is repeated with its seed."""
    return int(os.environ.get("HANDRAISE_CHAOS_SEED", "1"))


def hurried_rules(folder: Path) -> Path:
    """Write the shipped rules with shorter times: a day of ticks lets leads cool and anonymous ones expire."""
    shutil.copytree(ROOT / "rules", folder)
    for name, pattern, value in (
        ("model.toml", r"half_life_days = \d+", "half_life_days = 3"),
        ("model.toml", r"anonymous_idle_days = \d+", "anonymous_idle_days = 1"),
        ("alerts.toml", r"cool_below = \d+", "cool_below = 57"),
        ("alerts.toml", r"cooldown_days = \d+", "cooldown_days = 1"),
    ):
        text, count = re.subn(pattern, value, (folder / name).read_text())
        assert count > 0, f"{name} has no {pattern}"
        (folder / name).write_text(text)
    return folder


def environment(bootstrap: str, prefix: str, rules: Path) -> dict[str, str]:
    """The environment of a deployment's processes."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HANDRAISE_")}
    env |= {"HANDRAISE_KAFKA": bootstrap, "HANDRAISE_PARTITIONS": str(PARTITIONS), "HANDRAISE_PREFIX": prefix}
    return env | {"HANDRAISE_RULES": str(rules), "PYTHONPATH": str(ROOT)}


async def handraise(env: dict[str, str], *words: str) -> None:
    """Run a command of the real command line to its end."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "handraise", *words, env=env, cwd=ROOT)
    assert await process.wait() == 0


async def folded(bootstrap: str, prefix: str, load: Load, sender: Sender) -> None:
    """Return when all that was said is folded, and what leads have written to each other because of it.

    An act that is said later than something has a state later; what the folds before it wrote stands before the next.
    """
    topic = physical("lead.state", prefix)
    for hop in range(HOPS):
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for key in await sender.end(hop):
                group.create_task(audit.until_key(bootstrap, topic, partition_of(key, load.partitions), key))


async def run(own_kafka: OwnKafka, folder: Path, load: Load, rounds: int) -> dict[str, Any]:
    """One run of chaos; returns the report and writes it to build/chaos.json."""
    broker = own_kafka(heap="512m")
    rules = hurried_rules(folder / "rules")
    env = environment(broker.bootstrap, "chaos.", rules)
    await handraise(env, "topics", "create")
    workers = [Supervised(f"worker-{n}", env, folder) for n in range(WORKERS)]
    sender, over = Sender(broker.bootstrap, "chaos.", load), asyncio.Event()
    try:
        for worker in workers:
            worker.start()
        sender.prepare()
        began = time.monotonic()
        sending = asyncio.create_task(sender.run(over))
        struck = await faults.strike(faults.plan(load.seed, rounds, WORKERS), workers, broker)
        over.set()
        await sending
        await folded(broker.bootstrap, "chaos.", load, sender)
        loaded_s = time.monotonic() - began
    finally:
        for worker in workers:
            await worker.stop()
        await sender.stop()
    files = {name: (rules / name).read_text() for name in ("model.toml", "alerts.toml")}
    verdict = await asyncio.to_thread(audit.audit, broker.bootstrap, "chaos.", load.partitions, files, sender.people)
    report = {
        "faults": Counter(fault.kind for _, fault in struck),
        "events": load.events,
        "lost": len(verdict.missing),
        "doubled": len(verdict.doubled),
        "without_cause": len(verdict.without_cause),
        "wrong": len(verdict.wrong),
        "state_differences": len(verdict.states),
        "longest_pause_s": round(verdict.longest_pause_s, 2),
        "seed": load.seed,
        "seconds_under_load": round(loaded_s),
        "compared": verdict.counts,
        "exit_codes": sum((worker.ends for worker in workers), Counter()),
        "words": verdict.faults()[:MOST_WORDS],
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1))
    assert report["words"] == [], json.dumps(report)
    return report


@pytest.mark.timeout(480)
async def test_every_word_is_said_once_whatever_is_killed(own_kafka: OwnKafka, tmp_path: Path) -> None:
    """300,000 events of 3,000 leads, two workers, 13 faults: scores, transitions and alerts are the oracle's."""
    report = await run(own_kafka, tmp_path, Load(seed(), 300_000, 3_000, 70.0, PARTITIONS), rounds=1)
    assert sum(report["faults"].values()) >= 12
    assert set(report["faults"]) == set(faults.SHARES)
    assert min(report["compared"][what] for what in WORDS) > 50
    assert report["compared"]["parted"] > 10


@pytest.mark.chaos_long
async def test_the_same_for_longer(own_kafka: OwnKafka, tmp_path: Path) -> None:
    """1,200,000 events of 12,000 leads, 65 faults: the same law."""
    await run(own_kafka, tmp_path, Load(seed(), 1_200_000, 12_000, 360.0, PARTITIONS), rounds=5)
