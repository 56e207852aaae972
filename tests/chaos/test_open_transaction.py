"""A worker dies with a transaction open that holds mail to all partitions: how long that holds up the others."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import LeadState
from schemas.topics import physical
from streams.identity import Person, identifiers
from tests.chaos import audit
from tests.chaos.company import PARTITIONS, ROOT, environment, handraise
from tests.chaos.doomed import ARMED
from tests.chaos.test_chaos import OwnKafka
from tests.chaos.workers import Supervised, leads_worker
from tests.e2e.story import SECRET, Act, engagement

PREFIX = "held."
REPORT = ROOT / "build" / "held_up.json"
PULSE_S = 0.1
MOST_S = 20.0
"""What an outage of a worker may cost those who wait for its mail: its session (6 s), the takeover, and a reserve."""


def ids(kind: str, partition: int) -> str:
    """A user id, or of a device an anonymous id, whose lead lies in that partition."""
    for number in itertools.count():
        name = f"{kind} {number}"
        person = Person(anonymous_id=name) if kind == "device" else Person(user_id=name)
        if partition_of(identifiers(person, SECRET)[0].encode(), PARTITIONS) == partition:
            return name
    raise AssertionError


class Pulse:
    """An event each tenth of a second on each partition, and when its state could be read."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap, self._inbox = bootstrap, physical("lead.events", PREFIX)
        self._users = [ids("user", partition) for partition in range(PARTITIONS)]
        self._numbers = itertools.count()
        self.sent = 0
        self.seen: dict[int, list[tuple[float, int]]] = defaultdict(list)
        """Partition → when a state of its lead was read, and with how many events."""

    def _act(self, user: str) -> Act:
        now_ms, number = int(time.time() * 1000), next(self._numbers)
        return Act(now_ms, "pulse", number, now_ms, "search", "", user, None, "", False, {})

    async def beat(self, producer: AIOKafkaProducer) -> None:
        """Send one event on each partition."""
        for partition, user in enumerate(self._users):
            record = engagement(self._act(user))
            await producer.send(self._inbox, encode(record), key=record.identifiers[0].encode(), partition=partition)
        self.sent += 1

    async def watch(self, partition: int) -> None:
        """Note each state of the partition's lead as soon as it is committed."""
        async with audit.reader(self._bootstrap, physical("lead.state", PREFIX), partition) as (consumer, place):
            lead = identifiers(Person(user_id=self._users[partition]), SECRET)[0]
            while True:
                for record in (await consumer.getmany(place, timeout_ms=100)).get(place, []):
                    state = decode(record.value or b"")
                    if isinstance(state, LeadState) and state.lead_id == lead:
                        self.seen[partition].append((time.monotonic(), state.events))

    def whole(self) -> bool:
        """Whether every event sent has a state on each partition."""
        return all(self.seen[partition] and self.seen[partition][-1][1] == self.sent for partition in range(PARTITIONS))

    def flows(self, since: float) -> bool:
        """Whether each partition has had new states for a while after a time."""
        return all(sum(at > since for at, _ in self.seen[partition]) > 10 for partition in range(PARTITIONS))

    def longest_pauses(self, since: float) -> list[float]:
        """Per partition the longest time without a new state, in seconds."""
        times = [[since, *(at for at, _ in self.seen[partition] if at > since)] for partition in range(PARTITIONS)]
        return [max(later - earlier for earlier, later in itertools.pairwise(each)) for each in times]


async def blow(producer: AIOKafkaProducer, number: int) -> None:
    """One event on each partition that names a device of every partition: what its fold writes goes to all of them."""
    devices = [identifiers(Person(anonymous_id=ids("device", n)), SECRET)[0] for n in range(PARTITIONS)]
    now_ms = int(time.time() * 1000)
    for partition in range(PARTITIONS):
        user = ids(f"somebody {number}", partition)
        record = engagement(Act(now_ms, f"blow {number}", partition, now_ms, "search", "", user, None, "", False, {}))
        record = msgspec.structs.replace(record, identifiers=(*record.identifiers, *devices))
        key = record.identifiers[0].encode()
        await producer.send_and_wait(physical("lead.events", PREFIX), encode(record), key=key, partition=partition)


def owned(worker: Supervised) -> set[int]:
    """The partitions that a worker says it has."""
    lines = [line for line in worker.log.read_text().splitlines() if '"event": "ready"' in line]
    return set(json.loads(lines[-1])["partitions"])


async def test_an_open_transaction_holds_others_up_for_seconds(own_kafka: OwnKafka, tmp_path: Path) -> None:
    """Nobody may read on behind mail of an open transaction; whoever takes over from the dead ends it, in seconds.

    Once the dead one is started again by its supervisor, once it is gone for good and the other one takes over.
    """
    broker = own_kafka(heap="512m")
    env = environment(broker.bootstrap, PREFIX, ROOT / "rules")
    assert (await handraise(env, "topics", "create"))[0] == 0
    doomed = leads_worker("doomed", env, tmp_path, ("-m", "tests.chaos.doomed"))
    steady = leads_worker("steady", env, tmp_path)
    pulse, producer = Pulse(broker.bootstrap), AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    watching = [asyncio.create_task(pulse.watch(partition)) for partition in range(PARTITIONS)]
    held_up_s: dict[str, float] = {}

    async def beat(until: Callable[[], bool]) -> None:
        async with asyncio.timeout(90):
            while not until():
                await pulse.beat(producer)
                await asyncio.sleep(PULSE_S)

    try:
        for worker in (doomed, steady):
            worker.start()
            await worker.at_work(30)
        for number, (then, restart_s) in enumerate({"started again": 1.0, "gone for good": 600.0}.items(), 1):
            doomed.restart_s = restart_s
            calm = time.monotonic()
            await beat(lambda: len(owned(doomed)) == len(owned(steady)) == PARTITIONS // 2 and pulse.flows(calm))  # noqa: B023
            others = owned(steady)
            (tmp_path / ARMED).touch()
            struck = time.monotonic()
            await blow(producer, number)
            await beat(lambda: doomed.ends[-9] == number)  # noqa: B023
            await beat(lambda: pulse.flows(struck))  # noqa: B023
            pauses = pulse.longest_pauses(struck)
            held_up_s[then] = round(max(pauses[partition] for partition in others), 1)
        async with asyncio.timeout(30):
            while not pulse.whole():  # noqa: ASYNC110 - many records make it so
                await asyncio.sleep(PULSE_S)
    finally:
        for task in watching:
            task.cancel()
        for worker in (doomed, steady):
            await worker.stop()
        await producer.stop()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(held_up_s))
    assert all(PULSE_S < each < MOST_S for each in held_up_s.values()), held_up_s
