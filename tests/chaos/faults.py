"""What goes wrong, drawn from a seed: every role and the broker killed, ended and stopped; Redis killed and wiped.

A worker of leads comes and goes, too, and other rules are put in force.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, NamedTuple

from deploy.broker import Kafka
from deploy.redis_server import Redis
from tests.chaos.company import ROLES, Company
from tests.chaos.workers import Supervised

Kind = Literal["SIGKILL", "SIGTERM", "SIGSTOP", "killed and wiped", "joins or leaves", "promoted"]
SIGNALS: tuple[Kind, ...] = ("SIGKILL", "SIGTERM", "SIGSTOP")
STOPPED_S = 8.0
"""Longer than the workers' session of 6 s: the group gives their partitions away."""
PATIENCE_S = 15.0

EVERY: tuple[tuple[Kind, str], ...] = (
    *((kind, target) for kind in SIGNALS for target in (*ROLES, "broker", "redis")),
    ("killed and wiped", "redis"),
    *([("joins or leaves", "leads")] * 2),
    ("promoted", "rules"),
)
"""One round."""


class Fault(NamedTuple):
    """One fault, `after_s` seconds after the one before, on one of the target's processes."""

    kind: Kind
    target: str
    number: int
    after_s: float
    patience_s: float
    """So long it waits for the process to be at work; with none it may strike at the start."""


def plan(seed: int, rounds: int, pause_s: float) -> list[Fault]:
    """So many rounds of every fault, in an order of the seed's, with pauses of `pause_s` on average."""
    chance = random.Random(f"faults {seed}")
    every = [each for _ in range(rounds) for each in chance.sample(EVERY, len(EVERY))]
    return [
        Fault(
            kind,
            target,
            chance.randrange(1 << 16),
            chance.uniform(0, 2 * pause_s),
            chance.choice([0.0, PATIENCE_S, PATIENCE_S, PATIENCE_S]),
        )
        for kind, target in every
    ]


class Hand:
    """Lets it happen.  What is stopped goes on by itself after a while, and meanwhile other faults strike."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._under_way: set[asyncio.Task[None]] = set()
        self.struck: list[tuple[float, str, str]] = []
        """When (time.time), what and whom."""

    async def strike(self, faults: Sequence[Fault]) -> None:
        """All of them, one after the other."""
        for fault in faults:
            await self._one(fault)
        await asyncio.gather(*self._under_way)

    async def _one(self, fault: Fault) -> None:
        kind, target, company = fault.kind, fault.target, self._company
        if target == "broker":
            await asyncio.sleep(fault.after_s)
            self._note(kind, target)
            await self._server(company.broker, kind)
        elif target == "redis":
            await asyncio.sleep(fault.after_s)
            self._note(kind, target)
            if kind == "killed and wiped":
                await asyncio.to_thread(company.wipe_redis)
            else:
                await self._server(company.redis, kind)
        elif target == "rules":
            await asyncio.sleep(fault.after_s)
            self._note(kind, target)
            self._beside(company.promote())
        elif kind == "joins or leaves":
            await asyncio.sleep(fault.after_s)
            self._note("leaves" if company.guest.is_kept else "joins", target)
            if company.guest.is_kept:
                await company.guest.stop()
            else:
                company.guest.start()
        else:
            processes = company.crew[target]
            process = processes[fault.number % len(processes)]
            await process.at_work(fault.patience_s)
            await asyncio.sleep(fault.after_s)
            self._note(kind, target)
            await process.strike(signal.Signals[kind])
            if kind == "SIGSTOP":
                self._beside(self._continue(process))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _note(self, kind: str, target: str) -> None:
        self.struck.append((time.time(), kind, target))

    async def _server(self, server: Kafka | Redis, kind: Kind) -> None:
        if kind == "SIGSTOP":
            assert server.pid is not None
            os.kill(server.pid, signal.SIGSTOP)
            await asyncio.sleep(STOPPED_S)
            os.kill(server.pid, signal.SIGCONT)
        else:
            await asyncio.to_thread(server.kill if kind == "SIGKILL" else server.stop)
            await asyncio.to_thread(server.start)

    async def _continue(self, process: Supervised) -> None:
        await asyncio.sleep(STOPPED_S)
        await process.strike(signal.SIGCONT)
