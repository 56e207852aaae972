"""What the benchmarks share: a broker, topics, preloading, processes under measurement, and rows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import start_kafka
from deploy.redis_server import start_redis
from handraise import topics
from handraise.settings import ROOT, Settings, read

Row = dict[str, Any]
PARTITIONS = 4
READY_PATIENCE_S = 60.0
READY_POLL_S = 0.02
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_YARD = 400_000
_END_PATIENCE_S = 20.0


def row(contender: str, job: str, cpu_us: Sequence[float] | None, rss_mib: float | None, **figures: Any) -> Row:
    """A row of build/bench.json; the cost is the median of the runs, all of which are named."""
    cost = statistics.median(cpu_us) if cpu_us else None
    return {
        "contender": contender,
        "job": job,
        "cpu_us_per_event": round(cost, 2) if cost is not None else None,
        "events_per_s_per_core": round(1e6 / cost) if cost else None,
        "rss_mib": round(rss_mib, 1) if rss_mib is not None else None,
        "runs": [round(each, 2) for each in cpu_us or ()],
        **figures,
    }


def percentile(sorted_values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed."""
    return sorted_values[max(0, -(-len(sorted_values) * percent // 100).__int__() - 1)]


def yardstick_ns() -> float:
    """CPU nanoseconds of a round of a plain Python loop: how fast this machine is at this moment.

    Two shared cores are slower by half when they are busy; figures of one run compare, those of two days do not.
    """
    rounds = []
    for _ in range(3):
        began = time.process_time()
        total = 0
        for number in range(_YARD):
            total += number * number
        rounds.append((time.process_time() - began) / _YARD * 1e9)
    return round(min(rounds), 1)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The bootstrap servers of a broker of our own, for the time of a `with` block."""
    folder = Path(tempfile.mkdtemp(prefix="handraise-bench-"))
    broker = start_kafka(folder, heap="768m", fast=False)
    try:
        yield broker.bootstrap
    finally:
        broker.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """The URL of a Redis of our own, for the time of a `with` block."""
    folder = Path(tempfile.mkdtemp(prefix="handraise-bench-"))
    server = start_redis(folder)
    try:
        yield server.url
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def settings(kafka: str, prefix: str, partitions: int = PARTITIONS, **more: str) -> Settings:
    """The settings of one deployment on that broker."""
    return read(environment(kafka, prefix, partitions, **more))


def environment(kafka: str, prefix: str, partitions: int = PARTITIONS, **more: str) -> dict[str, str]:
    """The same as variables of the environment."""
    named = {f"HANDRAISE_{name}": value for name, value in more.items()}
    return {"HANDRAISE_KAFKA": kafka, "HANDRAISE_PREFIX": prefix, "HANDRAISE_PARTITIONS": str(partitions), **named}


async def create_topics(kafka: str, prefix: str, partitions: int = PARTITIONS) -> None:
    """All topics of the topic table."""
    await topics.create(settings(kafka, prefix, partitions))


async def create(kafka: str, names: Sequence[str], partitions: int = PARTITIONS) -> None:
    """Topics of those very names, with the broker's own settings."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    try:
        answer = await client.create_topics([NewTopic(name, partitions, 1) for name in names])
        assert not any(code for _, code, *_ in answer.topic_errors), answer
    finally:
        await client.close()


async def preload(kafka: str, topic: str, parts: Mapping[int, Sequence[tuple[bytes, bytes]]]) -> None:
    """Append (key, value) pairs to partitions, in order."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_batch_size=900_000, acks="all", linger_ms=0)
    await producer.start()
    try:
        for partition, pairs in parts.items():
            sent = []
            batch = producer.create_batch()
            for key, value in pairs:
                if batch.append(timestamp=None, key=key, value=value, headers=[]) is None:
                    sent.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    batch.append(timestamp=None, key=key, value=value, headers=[])
            if batch.record_count():
                sent.append(await producer.send_batch(batch, topic, partition=partition))
            for each in sent:
                await each
    finally:
        await producer.stop()


@contextlib.asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def first_seen(
    kafka: str, topic: str, times: dict[str, float], isolation: str = "read_committed"
) -> AsyncIterator[None]:
    """Note meanwhile when the first record of each key was read (perf_counter)."""
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level=isolation, enable_auto_commit=False)
    async with consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)

        async def read() -> None:
            async for record in consumer:
                now = time.perf_counter()
                times.setdefault((record.key or b"").decode(), now)

        async with meanwhile(read()):
            yield


class Usage(NamedTuple):
    """CPU seconds of a process so far, user and kernel together and apart, and of its threads by number."""

    cpu_s: float
    kernel_s: float
    threads_s: dict[int, float]


@dataclass
class Measured:
    """A process under measurement."""

    child: subprocess.Popen[bytes]

    def usage(self) -> Usage:
        """What it has used so far (by /proc, in steps of 10 ms)."""
        user, kernel = _cpu(Path(f"/proc/{self.child.pid}/stat"))
        threads = {}
        for folder in Path(f"/proc/{self.child.pid}/task").iterdir():
            threads[int(folder.name)] = sum(_cpu(folder / "stat"))
        return Usage(user + kernel, kernel, threads)

    def rss_mib(self) -> float:
        """Resident memory in MiB."""
        return rss_mib(self.child.pid)

    def line(self, start: str) -> str:
        """What follows `start` in the first line of its output that begins so; fails when it ends first."""
        assert self.child.stdout is not None
        for raw in self.child.stdout:
            line = raw.decode()
            if line.startswith(start):
                return line[len(start) :].strip()
        raise RuntimeError(f"{self.child.args!r} ended with {self.child.wait()} before it said {start!r}")


def _cpu(stat: Path) -> tuple[float, float]:
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[11]) / _TICKS_PER_S, int(fields[12]) / _TICKS_PER_S


def rss_mib(pid: int | str = "self") -> float:
    """Resident memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / 2**20


@contextlib.contextmanager
def process(*arguments: str, env: Mapping[str, str] | None = None, listens: bool = False) -> Iterator[Measured]:
    """`python ARGUMENTS` until the block ends; then SIGTERM, and SIGKILL if that does not end it.

    `listens`: it has a standard input of its own.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HANDRAISE_")}
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**inherited, **(env or {})},
        stdin=subprocess.PIPE if listens else None,
        stdout=subprocess.PIPE,
    ) as child:
        try:
            yield Measured(child)
        finally:
            child.terminate()
            try:
                child.wait(_END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()


def metrics(port: int) -> dict[str, float]:
    """A process's /metrics by name with labels; empty when it does not answer yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    return {name: float(value) for name, _, value in (each.rpartition(" ") for each in lines if each[:1] != "#")}


def ready(port: int) -> bool:
    """Whether /readyz says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def await_ready(*ports: int) -> None:
    """Return when what listens there is ready."""
    until = time.monotonic() + READY_PATIENCE_S
    while not all(ready(port) for port in ports):
        if time.monotonic() > until:
            raise RuntimeError(f"not ready after {READY_PATIENCE_S:g} s: ports {ports}")
        time.sleep(READY_POLL_S)


def quiet_gc() -> None:
    """The collector as a worker has it, and what exists already left out of its rounds."""
    gc.set_threshold(50_000)
    gc.collect()
    gc.freeze()
