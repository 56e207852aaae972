"""What goes wrong, drawn from a seed: workers killed, ended, stopped beyond their session; the broker killed."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.broker import Kafka
from tests.chaos.workers import Supervised

Kind = Literal["SIGKILL", "SIGTERM", "SIGSTOP", "broker"]
SHARES: dict[Kind, int] = {"SIGKILL": 4, "SIGTERM": 4, "SIGSTOP": 2, "broker": 3}
STOPPED_S = 8.0
"""Longer than the workers' session of 6 s: the group gives their partitions away."""


@dataclass(frozen=True)
class Fault:
    """One fault, `after_s` seconds after the one before; it hits that worker, unless it is the broker's."""

    kind: Kind
    worker: int
    after_s: float
    patience_s: float
    """So long it waits for the worker to be at work; with none it may strike at the start."""


def plan(seed: int, rounds: int, workers: int) -> list[Fault]:
    """Thirteen faults a round, four kinds, in an order of the seed's."""
    chance = random.Random(f"faults {seed}")
    kinds: list[Kind] = [kind for kind, share in SHARES.items() for _ in range(share * rounds)]
    chance.shuffle(kinds)
    return [
        Fault(kind, chance.randrange(workers), chance.uniform(0.5, 3.0), chance.choice([0.0, 15.0, 15.0, 15.0]))
        for kind in kinds
    ]


async def strike(faults: Sequence[Fault], workers: Sequence[Supervised], broker: Kafka) -> list[tuple[float, Fault]]:
    """Let it all happen; returns when (time.time) what was done."""
    done = []
    for fault in faults:
        await workers[fault.worker].at_work(fault.patience_s)
        await asyncio.sleep(fault.after_s)
        done.append((time.time(), fault))
        if fault.kind == "broker":
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        elif fault.kind == "SIGSTOP":
            await workers[fault.worker].strike(signal.SIGSTOP)
            await asyncio.sleep(STOPPED_S)
            await workers[fault.worker].strike(signal.SIGCONT)
        else:
            await workers[fault.worker].strike(signal.Signals[fault.kind])
    return done
