"""One contender, once: started on a core of its own, its CPU read at its marks, its results held to the oracle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench import kit
from bench.peers.contenders import Contender
from bench.peers.environments import BUILD
from bench.peers.events import Stream
from bench.peers.job import Task
from bench.peers.oracle import Truth, differences
from handraise.settings import ROOT

PATIENCE_S = 120.0
_POLL_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_TAIL = 400


class Measurement(NamedTuple):
    """What one run has shown."""

    cpu_us: float
    """CPU of an event after the warm mark, user and kernel, of the process and all it has started."""
    cold_us: float | None
    """The same of the first events, the start included."""
    rss_mib: float
    wall_events_per_s: float
    wrong: list[str]
    """What differs from the oracle, in words."""


class Failed(Exception):  # noqa: N818 - it is a finding, not an error
    """A contender ended, or did not come to its end; says why."""


class Started:
    """A contender's process, with what it has started itself."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log

    def cpu_s(self) -> float:
        """CPU seconds so far, user and kernel, of the whole tree; raises Failed when it has ended."""
        # Linux's clock of another process's CPU time counts nanoseconds, /proc only steps of 10 ms; what has ended is
        # in the latter alone, with its parent.
        try:
            return sum(time.clock_gettime(~pid << 3 | 2) + _ended_cpu_s(pid) for pid in self._tree())
        except OSError:
            raise Failed(f"ended while it was measured; {self._last_words()}") from None

    def rss_mib(self) -> float:
        """Resident memory of the whole tree in MiB."""
        return sum(kit.rss_mib(pid) for pid in self._tree())

    def kill(self) -> None:
        """End it and all it has started, at once: nothing of it is wanted, and what it leaves undone is nobody's."""
        for pid in self._tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _tree(self) -> list[int]:
        """The pids of those that live, parents first."""
        found = [self._process.pid] if self._process.returncode is None else []
        for pid in found:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    async def says(self, mark: str, patience_s: float = PATIENCE_S) -> None:
        """Return when it has said so; raises Failed when it does not."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(patience_s):
                while line := await self._process.stdout.readline():
                    if line.decode(errors="replace").strip() == mark:
                        return
                await self._process.wait()
        except TimeoutError:
            raise Failed(f"did not say {mark!r} within {patience_s:g} s; {self._last_words()}") from None
        raise Failed(f"ended with {self._process.returncode} before {mark!r}; {self._last_words()}")

    def _last_words(self) -> str:
        return f"its last words: {self._log.read_text(errors='replace')[-_TAIL:].strip() or 'none'}"


def _ended_cpu_s(pid: int) -> float:
    """Of a process's children that have ended."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15])) / _TICKS_PER_S


@contextlib.asynccontextmanager
async def started(contender: Contender, task: Task, core: int | None) -> AsyncIterator[Started]:
    """The contender at work, until the block ends.  Raises Unavailable."""
    command = [*contender.command(), *map(str, task), *contender.own]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HANDRAISE_")}
    folder, log = Path(task.folder), BUILD / "logs" / f"{contender.name}.log"
    for each in (folder, log.parent):
        each.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as words:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**inherited, **contender.environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=words,
        )
    contestant = Started(process, log)
    try:
        if core is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended already, which is told where it is waited for
                os.sched_setaffinity(process.pid, {core})
        yield contestant
    finally:
        contestant.kill()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def new_task(kafka: str, contender: Contender, stream: Stream, cold: int, warm: int, count: int) -> Task:
    """A task that nobody had before."""
    group = f"{contender.name}{time.time_ns()}"
    names = (stream.topic, f"{group}.alerts", f"{group}.states")
    return Task(kafka, *names, group, str(BUILD / "state" / group), kit.PARTITIONS, cold, warm, count)


async def measure(kafka: str, contender: Contender, stream: Stream, expected: Truth, core: int | None) -> Measurement:
    """All events of the stream through the contender.  Raises Unavailable, or Failed."""
    one_round = stream.count // stream.rounds
    cold = one_round if stream.rounds > 1 else 0
    warm = stream.count // 2 if stream.rounds > 1 else one_round // 5
    task = new_task(kafka, contender, stream, cold, warm, stream.count)
    await kit.create(kafka, [task.alerts, *({task.states} & {contender.states(task)})])
    topics = [task.alerts, contender.states(task)]
    async with started(contender, task, core) as process:
        cold_us = None
        if cold:
            await process.says("cold")
            cold_us = process.cpu_s() / cold * 1e6
        await process.says("warm")
        before, began_s = process.cpu_s(), time.monotonic()
        await process.says("all")
        seconds = time.monotonic() - began_s
        after = await _settled(kafka, topics, process, contender.settle_s)
        memory = process.rss_mib()
    alerts, scores = dict[bytes, int](), dict[bytes, float]()
    async for key, values in _records(kafka, task.alerts):
        alerts[key] = contender.alerts(values)
    async for key, values in _records(kafka, topics[1]):
        if lead := contender.lead(key):
            scores[lead] = contender.score(values[-1])
    events = stream.count - warm
    wrong = differences(expected, scores, alerts)
    return Measurement((after - before) / events * 1e6, cold_us, memory, events / seconds, wrong)


async def _settled(kafka: str, topics: list[str], process: Started, settle_s: float) -> float:
    """The CPU seconds used when the topics had grown for the last time."""
    places = [TopicPartition(topic, number) for topic in topics for number in range(kit.PARTITIONS)]
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        ends: dict[TopicPartition, int] = {}
        cpu_s, since = process.cpu_s(), time.monotonic()
        while time.monotonic() - since < settle_s:
            used, found = process.cpu_s(), await consumer.end_offsets(places)
            if found != ends:
                ends, cpu_s, since = found, used, time.monotonic()
            await asyncio.sleep(_POLL_S)
    return cpu_s


async def _records(kafka: str, topic: str) -> AsyncIterator[tuple[bytes, list[bytes]]]:
    """All values of each key, in order, that a reader of what is committed sees."""
    found: dict[bytes, list[bytes]] = {}
    places = [TopicPartition(topic, number) for number in range(kit.PARTITIONS)]
    async with AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed") as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500, max_records=10_000)).values():
                for record in records:
                    found.setdefault(record.key, []).append(record.value)
    for key, values in found.items():
        yield key, values
