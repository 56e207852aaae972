"""A counting lane on a real Kafka: its topics, its worker processes, its books."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.lane.log import Entry
from tests.agents.lane.audit import assert_exact, read
from tests.agents.lane.counting import TOPIC
from tests.agents.lane.counting_worker import config_of
from tests.contract.bench import KafkaBench

PARTITIONS = 2
DEADLINE_S = 60.0
ROOT = Path(__file__).parents[3]


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, arguments: dict[str, object], errors: Path) -> None:
        self.errors = errors
        with errors.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.agents.lane.counting_worker", json.dumps(arguments)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )

    async def ended(self) -> int:
        """The exit code, once the process has ended; negative for a signal."""
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), DEADLINE_S)

    async def held(self) -> None:
        """Wait until the worker is held at its point."""
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), DEADLINE_S)
        assert line == "HELD\n", self.said()

    def said(self) -> str:
        """What it wrote to standard error."""
        return self.errors.read_text()

    async def health(self) -> str:
        """The base URL of its health server."""
        return await self.says(r"http://127\.0\.0\.1:\d+")

    async def says(self, pattern: str) -> str:
        """Wait until it has said something; returns the match."""
        deadline = time.monotonic() + DEADLINE_S
        while not (found := re.search(pattern, self.said())):
            assert time.monotonic() < deadline, f"never said {pattern!r}: {self.said()}"
            assert self.process.poll() is None, self.said()
            await asyncio.sleep(0.05)
        return found.group()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()


class CountingLane:
    """One lane's topics, and the processes that worked for it."""

    def __init__(self, bench: KafkaBench, folder: Path) -> None:
        self.bench, self.folder = bench, folder
        self.config = config_of(bench.bootstrap, bench.prefix, PARTITIONS)
        self.names = self.config.names
        self.sent = 0
        self.workers: list[WorkerProcess] = []

    async def create(self) -> None:
        """Create the topics."""
        for topic in ("inbox", "changelog", TOPIC):
            await self.bench.create(self.names.prefix + topic, PARTITIONS)

    def start(self, **options: object) -> WorkerProcess:
        """Start a worker; it is a static member and appends no ticks, unless told otherwise."""
        arguments = {
            "bootstrap": self.bench.bootstrap,
            "prefix": self.bench.prefix,
            "partitions": PARTITIONS,
            "ticks": False,
            "instance_id": "only",
            "session_timeout_s": 6.0,
            "fetch_min_bytes": 1,
            **options,
        }
        worker = WorkerProcess(arguments, self.folder / f"worker-{len(self.workers)}.log")
        self.workers.append(worker)
        return worker

    async def send(self, records: int, value: bytes = b"event") -> None:
        """Append records of eleven keys to each partition."""
        for partition in range(PARTITIONS):
            entries: list[Entry] = [(b"key-%d" % (number % 11), value, []) for number in range(records)]
            await self.bench.produce(self.names.inbox, partition, entries)
        self.sent += records * PARTITIONS

    async def outputs(self) -> int:
        """How many outputs a read_committed reader sees."""
        seen = await read(self.bench.log, self.names.prefix + TOPIC, range(PARTITIONS))
        return sum(map(len, seen.values()))

    async def finished(self, outputs: int | None = None) -> None:
        """Wait until every record sent so far has its output."""
        wanted = self.sent if outputs is None else outputs
        deadline = time.monotonic() + DEADLINE_S
        while (seen := await self.outputs()) < wanted:
            errors = "\n".join(worker.said() for worker in self.workers[-2:])
            assert time.monotonic() < deadline, f"{seen} of {wanted} outputs: {errors}"
            await asyncio.sleep(0.05)

    async def assert_exact(self) -> None:
        """The books hold."""
        await assert_exact(self.bench.log, self.names, PARTITIONS, self.sent)


@pytest.fixture
async def lane(kafka: str, prefix: str, tmp_path: Path) -> AsyncIterator[CountingLane]:
    """A lane with its topics; every process it started is gone afterwards."""
    bench = await KafkaBench(kafka, prefix).start()
    made = CountingLane(bench, tmp_path)
    await made.create()
    yield made
    for worker in made.workers:
        worker.end()
    await bench.close()
