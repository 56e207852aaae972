"""`handraise replay` on a real Kafka: by commands, by several processes, by other workers, and without libm's FMA."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
from confluent_kafka import Producer

from agents.lane.log import Bounds, TopicIdentity
from handraise.replay.deployment import Plan, ends_of
from handraise.replay.recorded import KafkaRecorded, Reader, recorded
from handraise.replay.verify import Verified, verify
from streams.compiled import lead_fold
from tests.e2e.deployment import Child, Deployment, until
from tests.handraise.replay.conftest import Recording, settings_of
from tests.handraise.replay.recording import caught_up

NO_FMA = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2"}
LIBM = "import math; print(''.join(f(n / 64).hex() for f in (math.exp, math.sin) for n in range(4096)))"


def verified(place: Deployment, *words: str, **env: str) -> dict[str, object]:
    """What the command says to machines; it must find all equal."""
    done = place.run("replay", "--verify", "--json", *words, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_several_processes_say_the_same(recording: Recording) -> None:
    """A partition is verified by itself: one process or three, the same hash and counts."""
    one, three = (verified(recording.place, "--processes", number) for number in ("1", "3"))
    assert {name: value for name, value in one.items() if name != "seconds"} == {
        name: value for name, value in three.items() if name != "seconds"
    }


def test_without_fused_multiplication(recording: Recording) -> None:
    """Where libm rounds otherwise, which it does here, the same bytes come out."""
    has_fma = "fma" in Path("/proc/cpuinfo").read_text().split()
    sums = [
        subprocess.run([sys.executable, "-c", LIBM], env=env, capture_output=True, check=True).stdout
        for env in (recording.place.env, recording.place.env | NO_FMA)
    ]
    assert (sums[0] != sums[1]) == has_fma
    assert verified(recording.place, **NO_FMA)["hash"] == verified(recording.place)["hash"]


class Mixed:
    """The inbox of one deployment, and all else of another one; implements Recorded."""

    def __init__(self, inbox: KafkaRecorded, rest: KafkaRecorded) -> None:
        self._inbox, self._rest = inbox, rest

    def _of(self, topic: str) -> KafkaRecorded:
        return self._inbox if topic in ("lead.events", "desk.events") else self._rest

    async def bounds(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        """See Recorded."""
        return await self._of(topic).bounds(topic, partitions)

    async def identity(self, topic: str) -> TopicIdentity | None:
        """See Recorded."""
        return await self._of(topic).identity(topic)

    def reader(self, topic: str, partition: int, start: int) -> Reader:
        """See Recorded."""
        return self._of(topic).reader(topic, partition, start)


@pytest.mark.parametrize("workers", [1, 3])
def test_other_workers_publish_the_same(recording: Recording, workers: int, tmp_path: Path) -> None:
    """The same inbox, folded anew by one worker and by three: what they publish and remember is equal to the byte."""
    with Deployment(recording.place.kafka, f"again{secrets.token_hex(4)}.", tmp_path) as place:
        place.create_topics()
        env = place.env | {"RECORDED": recording.place.prefix}
        place.children += [
            Child([], env, tmp_path / f"worker-{n}.log", module="tests.handraise.replay.again") for n in range(workers)
        ]
        ends = {
            ("lead.events", partition): recording.copy.records(("lead.events", partition))[-1].offset
            for partition in range(place.partitions)
        }
        until(lambda: caught_up(place, ends), "all to be folded again")
        for child in place.children:
            child.stop()

        async def run() -> list[Verified]:
            async with recorded(settings_of(recording.place)) as there, recorded(settings_of(place)) as here:
                topics = Mixed(there, here)
                partitions, all_ends = await ends_of(topics, "")
                plan = Plan(recording.rules, partitions, all_ends, tmp_path, lead_fold)
                return [await verify(topics, plan.work(fold)) for fold in plan.folds[:-1]]

        done = asyncio.run(run())
        assert not [each.lines() for one in done for each in one.differences]
        assert not [one.unverified for one in done if one.unverified]
        assert sum(one.records for one in done) >= sum(
            len(recording.copy.records(each))
            for each in ends  # also what nobody had folded there
        )


def test_a_difference_is_told_so_that_it_can_be_found(recording: Recording, tmp_path: Path) -> None:
    """A record more on a topic: exit code 1, and where it is, whose word it should be and what it says."""
    forged = recording.copy.records(("lead.alerts", 0))[0]
    with Deployment(recording.place.kafka, recording.place.prefix, tmp_path) as place:
        producer = Producer({"bootstrap.servers": place.kafka})
        producer.produce(place.topic("lead.alerts"), forged.value, forged.key, 0, headers=forged.headers)
        assert producer.flush(30) == 0
        told = place.run("replay", "--verify")
        assert told.returncode == 1, told.stdout
        offset = recording.copy.ends["lead.alerts", 0].end
        assert (
            f"lead.alerts, partition 0, offset {offset}: a record is there that the inbox does not give" in told.stdout
        )
        assert dict(forged.headers)["ce_id"].decode() in told.stdout
        assert "1 difference, 0 parts not verified" in told.stdout
