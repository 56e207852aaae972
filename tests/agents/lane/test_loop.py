"""The batch loop: what is folded when, and what one transaction holds."""

from __future__ import annotations

import asyncio

import pytest

from agents.lane.config import LaneConfig
from agents.lane.errors import LaneFailed
from agents.lane.loop import Lane
from agents.lane.memory_log import MemoryLog
from agents.lane.simulated import SimulatedWorker
from agents.metrics import LaneMetrics
from streams.fold import Sealed
from tests.agents.lane import faults
from tests.agents.lane.counting import TOPIC, CountingFold

MAX_BATCH = 10


class ObservedFold(CountingFold):
    """A counting fold that tells its seals."""

    def __init__(self, partition: int, states: dict[bytes, bytes]) -> None:
        super().__init__(partition, states)
        self.folded, self.sealed = 0, []

    def apply(self, records):
        """Count what was given."""
        self.folded += len(records)
        return super().apply(records)

    def seal(self) -> Sealed:
        """Note how much had been folded."""
        self.sealed.append(self.folded)
        return super().seal()


class Bench:
    """One worker over one partition, held at its commits."""

    def __init__(self, point: str) -> None:
        self.log = MemoryLog()
        for topic in ("inbox", "changelog", TOPIC):
            self.log.create(topic, 1)
        self.folds: list[ObservedFold] = []
        self.make_fold = ObservedFold
        config = LaneConfig(
            bootstrap="memory",
            role="count",
            inbox="inbox",
            changelog="changelog",
            partitions=1,
            fold_factory=self.make,
            max_batch=MAX_BATCH,
        )
        self.stop = faults.StopAt(point)
        self.worker = SimulatedWorker(config, self.log, lane_log=faults.FaultyLog(self.log, self.stop), run_records=4)

    def make(self, partition: int, states: dict[bytes, bytes]) -> ObservedFold:
        """The fold factory."""
        self.folds.append(self.make_fold(partition, states))
        return self.folds[-1]

    def send(self, records: int) -> None:
        """Append records of one key each."""
        self.log.produce("inbox", 0, [(b"%d" % number, b"event", []) for number in range(records)])


@pytest.fixture
async def bench() -> Bench:
    """Held before its first commit."""
    made = Bench(faults.BEFORE_COMMIT)
    await made.worker.take_over([0])
    return made


async def test_what_arrives_during_a_commit_is_folded_and_goes_into_the_next(bench: Bench) -> None:
    """The first run is sealed at once; the runs after it are folded while it commits, and sealed together."""
    bench.send(4)
    await bench.worker.step()
    await bench.stop.reached.wait()
    bench.send(8)
    await bench.worker.step()
    await bench.worker.step()
    assert bench.folds[0].folded == 12
    assert bench.folds[0].sealed == [4]
    bench.stop.released.set()
    await bench.worker.run_until_idle()
    assert bench.folds[0].sealed == [4, 12]


async def test_a_full_batch_makes_the_feeder_wait(bench: Bench) -> None:
    """With max_batch records pending nothing more is taken until the commit is done."""
    bench.send(40)
    going = asyncio.ensure_future(bench.worker.run_until_idle())
    await bench.stop.reached.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert MAX_BATCH <= bench.folds[0].folded - 4 < MAX_BATCH + 4
    bench.stop.released.set()
    await going
    assert bench.folds[0].folded == 40


class NarrowFold(ObservedFold):
    """A fold whose batch is full after three records."""

    def apply(self, records):
        """Count what there is room for."""
        room = 3 - (self.folded - sum(self.sealed[-1:]))
        return super().apply(records[:room])


async def test_a_fold_may_call_its_batch_full_within_a_run() -> None:
    """What is left of the run waits for the seal; the run is acknowledged when its last record is committed."""
    made = Bench(faults.BEFORE_COMMIT)
    made.make_fold = NarrowFold
    await made.worker.take_over([0])
    made.send(8)
    records, after = made.log.fetch("inbox", 0, 0)
    heard: list[str] = []
    going = asyncio.ensure_future(made.worker.lane.feed(0, records, 0, after, lambda: heard.append("done")))
    await made.stop.reached.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert (made.folds[0].folded, made.folds[0].sealed, going.done()) == (6, [3], False)
    made.stop.released.set()
    await going
    assert heard == []
    await made.worker.settle()
    assert (made.folds[0].sealed, heard) == ([3, 6, 8], ["done"])


async def test_a_full_batch_of_a_lost_partition_frees_its_feeder() -> None:
    """Who waits for the seal of a partition that is ours no more goes on with the others."""
    made = Bench(faults.BEFORE_COMMIT)
    made.make_fold = NarrowFold
    await made.worker.take_over([0])
    made.send(8)
    going = asyncio.ensure_future(made.worker.run_until_idle())
    await made.stop.reached.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    await made.worker.give_up([0])
    made.stop.released.set()
    await going
    assert made.folds[0].folded == 6


async def test_a_run_is_acknowledged_after_its_commit(bench: Bench) -> None:
    """What Faust hears, and with it the lag tools, is never ahead of the cursor."""
    bench.send(2)
    records, after = bench.log.fetch("inbox", 0, 0)
    heard: list[str] = []
    await bench.worker.lane.feed(0, records, 0, after, lambda: heard.append("done"))
    await bench.stop.reached.wait()
    assert heard == []
    bench.stop.released.set()
    await bench.worker.settle()
    assert heard == ["done"]


async def test_one_transaction_holds_outputs_changes_and_the_cursor_last(bench: Bench) -> None:
    """Nothing is visible before the commit; then all of it is, and the cursor is the changelog's last record."""
    bench.send(3)
    await bench.worker.step()
    await bench.stop.reached.wait()
    assert bench.log.fetch(TOPIC, 0, 0)[0] == bench.log.fetch("changelog", 0, 0)[0] == []
    bench.stop.released.set()
    await bench.worker.settle()
    assert len(bench.log.fetch(TOPIC, 0, 0)[0]) == 3
    assert [record.key for record in bench.log.fetch("changelog", 0, 0)[0]] == [b"0", b"1", b"2", b"\x00cursor"]


async def test_a_transaction_that_is_not_answered_is_told_by_readiness(bench: Bench) -> None:
    """A commit that hangs for more than five seconds is a reason not to be ready; none, once it is answered."""
    now = [100.0]
    lane = Lane(LaneMetrics("count"), max_batch=MAX_BATCH, fail=pytest.fail, clock=lambda: now[0])
    lane.slots = bench.worker.lane.slots
    bench.send(1)
    records, after = bench.log.fetch("inbox", 0, 0)
    await lane.feed(0, records, 0, after)
    await bench.stop.reached.wait()
    assert lane.reasons() == []
    now[0] += 7.0
    assert lane.reasons() == ["partition 0: Kafka has not answered a transaction for 7 s"]
    bench.stop.released.set()
    await lane.drain()
    assert lane.reasons() == []


async def test_a_partition_that_was_fenced_in_a_rebalance_is_told_by_readiness(bench: Bench) -> None:
    """Whoever was fenced while that was no surprise does not look ready: nothing moves there any more."""
    bench.worker.changing_hands = True
    bench.send(1)
    await bench.worker.step()
    await bench.stop.reached.wait()
    await bench.log.writer("count-0").start()
    bench.stop.released.set()
    await bench.worker.settle()
    assert bench.worker.lane.reasons() == ["partition 0: fenced by another worker"]


async def test_after_a_large_batch_the_next_one_may_fill(bench: Bench) -> None:
    """Behind the log, a batch waits until it is full: what comes in single records meanwhile is one transaction."""
    lane = Lane(LaneMetrics("count"), max_batch=MAX_BATCH, fail=pytest.fail, gather_s=60.0)
    lane.slots = bench.worker.lane.slots
    bench.stop.released.set()
    bench.send(4 + MAX_BATCH)
    records, _ = bench.log.fetch("inbox", 0, 0)
    await lane.feed(0, records[:4], 0, 4)
    for _ in range(100):
        await asyncio.sleep(0)
    assert lane.slots[0].transactions == 1
    for record in records[4:]:
        await lane.feed(0, [record], record.offset, record.offset + 1)
    assert bench.folds[0].sealed == [4, 4 + MAX_BATCH]
    await lane.discard(0).close()
    await lane.drain()


async def test_an_idle_lane_writes_nothing(bench: Bench) -> None:
    """No records, no transaction."""
    await bench.worker.run_until_idle()
    assert bench.folds[0].sealed == []
    assert bench.log.end("changelog", 0) == 0


async def test_runs_of_a_partition_that_is_not_ours_are_dropped(bench: Bench) -> None:
    """A run that was on its way when its partition left is nobody's here."""
    bench.send(4)
    records, after = bench.log.fetch("inbox", 0, 0)
    await bench.worker.give_up([0])
    await bench.worker.lane.feed(0, records, 0, after)
    assert bench.folds[0].folded == 0


async def test_a_partition_that_leaves_frees_a_waiting_feeder(bench: Bench) -> None:
    """A feeder that waits for room of a lost partition goes on with the others."""
    bench.send(40)
    going = asyncio.ensure_future(bench.worker.run_until_idle())
    await bench.stop.reached.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert not going.done()
    await bench.worker.give_up([0])
    bench.stop.released.set()
    await going


async def test_a_broken_seal_fails_the_worker() -> None:
    """A fold that raises when it is sealed ends the worker as any other failure does."""

    class Broken(ObservedFold):
        """Cannot be sealed."""

        def seal(self) -> Sealed:
            raise RuntimeError("no seal")

    made = Bench(faults.BEFORE_COMMIT)
    made.make = Broken
    made.worker.config = made.worker.config.__class__(**{**vars(made.worker.config), "fold_factory": Broken})
    await made.worker.take_over([0])
    made.send(1)
    with pytest.raises(LaneFailed, match="no seal"):
        await made.worker.run_until_idle()
