"""Killed or stopped at any point: a subscriber sees each output exactly once, and the states are exact."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.lane.config import LaneConfig
from agents.lane.errors import BatchRefused, Fenced, LaneFailed, LaneRefused
from agents.lane.memory_log import MemoryLog
from agents.lane.simulated import SimulatedWorker
from agents.lane.takeover import require_topics
from tests.agents.lane import faults
from tests.agents.lane.audit import assert_exact
from tests.agents.lane.counting import TOPIC, CountingFold, counting

PARTITIONS = 2
RECORDS = 60


@pytest.fixture
def config() -> LaneConfig:
    """A small lane: many batches come of few records."""
    return LaneConfig(
        bootstrap="memory",
        role="count",
        inbox="inbox",
        changelog="changelog",
        partitions=PARTITIONS,
        fold_factory=counting,
        outputs=(TOPIC,),
        max_batch=8,
    )


@pytest.fixture
def log() -> MemoryLog:
    """A log with the lane's topics, and records of few keys."""
    made = MemoryLog()
    for topic in ("inbox", "changelog", TOPIC):
        made.create(topic, PARTITIONS)
    for partition in range(PARTITIONS):
        send(made, partition, RECORDS)
    return made


def send(log: MemoryLog, partition: int, records: int, value: bytes = b"event") -> None:
    """Append records of seven keys."""
    log.produce("inbox", partition, [(b"key-%d" % (number % 7), value, []) for number in range(records)])


def worker(config: LaneConfig, log: MemoryLog, strike: faults.Strike | None = None) -> SimulatedWorker:
    """A worker whose log strikes at each point."""
    return SimulatedWorker(config, log, lane_log=faults.FaultyLog(log, strike) if strike else None, run_records=5)


async def run(config: LaneConfig, log: MemoryLog, strike: faults.Strike | None = None) -> None:
    """Take everything over and fold all there is."""
    made = worker(config, log, strike)
    await made.take_over(range(PARTITIONS))
    await made.run_until_idle()


async def test_without_faults_the_books_are_exact(config: LaneConfig, log: MemoryLog) -> None:
    """Every record is counted once and said once."""
    await run(config, log)
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS)


@pytest.mark.parametrize("passage", [1, 2, 7])
@pytest.mark.parametrize("point", faults.POINTS)
async def test_a_worker_killed_at_any_point_leaves_exact_books_to_its_successor(
    config: LaneConfig, log: MemoryLog, point: str, passage: int
) -> None:
    """Killed after the fold, the produce, before or after the commit, while taking over: nothing lost, none doubled."""
    killed = faults.KillAt(point, passage)
    if passage > PARTITIONS and point in (faults.AFTER_FENCE, faults.DURING_RECOVERY):
        killed = faults.KillAt(point, PARTITIONS)
    with pytest.raises((faults.KilledError, LaneFailed)):
        await run(config, log, killed)
    assert killed.dead
    await run(config, log)
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS)


async def test_a_worker_killed_again_and_again_makes_progress_only_by_commits(
    config: LaneConfig, log: MemoryLog
) -> None:
    """Many deaths at changing points in a row: the books are exact in the end."""
    deaths = 0
    for passage in range(1, 40):
        try:
            await run(config, log, faults.KillAt(faults.POINTS[passage % len(faults.POINTS)], 2))
        except (faults.KilledError, LaneFailed):
            deaths += 1
        send(log, passage % PARTITIONS, 3)
    await run(config, log)
    assert deaths > 20
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS + 39 * 3)


@pytest.mark.parametrize("point", [faults.AFTER_FOLD, faults.AFTER_PRODUCE, faults.BEFORE_COMMIT, faults.AFTER_COMMIT])
async def test_a_stopped_worker_that_wakes_up_after_its_successor_writes_nothing(
    config: LaneConfig, log: MemoryLog, point: str
) -> None:
    """A zombie goes on at the very point where it was stopped: the fence refuses it, and its process must end."""
    stopped = faults.StopAt(point, 3)
    zombie = worker(config, log, stopped)
    await zombie.take_over(range(PARTITIONS))
    going = asyncio.ensure_future(zombie.run_until_idle())
    await stopped.reached.wait()
    await run(config, log)
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS)
    stopped.released.set()
    with pytest.raises(LaneFailed) as failed:
        await going
    assert isinstance(failed.value.__cause__, Fenced)
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS)


async def test_a_worker_fenced_during_a_rebalance_loses_that_partition_only(config: LaneConfig, log: MemoryLog) -> None:
    """The new owner may be quicker than the news of it: the fence is then no failure, the other partition goes on."""
    first, second = worker(config, log), worker(config, log)
    await first.take_over(range(PARTITIONS))
    first.changing_hands = True
    await second.take_over([0])
    await first.run_until_idle()
    assert first.lane.slots[0].lost
    assert not first.lane.slots[1].lost
    await second.run_until_idle()
    await first.give_up([0])
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS)


async def test_a_worker_killed_while_its_successor_is_fencing_is_aborted(config: LaneConfig, log: MemoryLog) -> None:
    """Dead after the fence and before the recovery, twice: the third owner finds exact books."""
    for _ in range(2):
        with pytest.raises(faults.KilledError):
            await run(config, log, faults.KillAt(faults.AFTER_FENCE))
    await run(config, log)
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS)


async def test_partitions_that_change_hands_under_load_stay_exact(config: LaneConfig, log: MemoryLog) -> None:
    """Partitions wander between two workers at every step, with records arriving."""
    workers = [worker(config, log), worker(config, log)]
    await workers[0].take_over(range(PARTITIONS))
    owner = dict.fromkeys(range(PARTITIONS), 0)
    for turn in range(30):
        partition = turn % PARTITIONS
        send(log, partition, 11)
        for made in workers:
            await made.step()
        former, owner[partition] = owner[partition], 1 - owner[partition]
        workers[former].changing_hands = True
        await workers[owner[partition]].take_over([partition])
        await workers[former].give_up([partition])
        workers[former].changing_hands = False
    for made in workers:
        await made.run_until_idle()
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS + 30 * 11)


async def test_a_refused_batch_ends_the_worker_and_commits_nothing_of_its_transaction(
    config: LaneConfig, log: MemoryLog
) -> None:
    """An output that the log does not take ends the process; no state and no cursor moves past its cause."""
    log.produce("inbox", 0, [(b"big", b"x" * 2_000_000, [])])
    with pytest.raises(LaneFailed) as failed:
        await run(config, log)
    assert isinstance(failed.value.__cause__, BatchRefused)
    with pytest.raises(LaneFailed):
        await run(config, log)
    changelog, _ = log.fetch("changelog", 0, 0)
    assert not any(record.key == b"big" for record in changelog)


async def test_a_raising_fold_ends_the_worker_and_its_successor_resumes_exactly_there(
    config: LaneConfig, log: MemoryLog
) -> None:
    """A poison record that raises is not skipped: the next worker meets it again, and one that can fold it goes on."""
    send(log, 0, 1, b"raise")
    send(log, 0, 5)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"offset {RECORDS} "):
            await run(config, log)

    class Mended(CountingFold):
        """Takes what the former release could not."""

        def apply(self, records):
            mended = [record._replace(value=b"event") for record in records]
            return super().apply(mended)

    await run(replace(config, fold_factory=Mended), log)
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS + 6)


async def test_what_cannot_be_folded_ends_one_worker_and_pauses_its_partition_at_the_next(
    config: LaneConfig, log: MemoryLog
) -> None:
    """Who fails in the midst begins anew; who fails at once stands still there with the reason; the others go on."""
    send(log, 0, 2)
    send(log, 0, 1, b"fault")
    send(log, 0, 5)
    with pytest.raises(LaneFailed, match=f"folding failed at offset {RECORDS + 2}"):
        await run(config, log)
    send(log, 1, 20)
    made = worker(config, log)
    await made.take_over(range(PARTITIONS))
    await made.run_until_idle()
    assert made.lane.reasons() == [f"partition 0: folding failed at offset {RECORDS + 2}; remedy: --skip"]
    assert made.lane.slots[1].next_offset == RECORDS + 20

    class Mended(CountingFold):
        """Takes what the former release could not."""

        def apply(self, records):
            return super().apply([record._replace(value=b"event") for record in records])

    await run(replace(config, fold_factory=Mended), log)
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS + 28)


async def test_a_flood_pauses_its_partition_for_good_and_the_others_go_on(config: LaneConfig, log: MemoryLog) -> None:
    """What came before the flood is committed, the partition stands there with its reason, others are folded."""
    send(log, 0, 1, b"flood")
    send(log, 0, 20)
    made = worker(config, log)
    await made.take_over(range(PARTITIONS))
    await made.run_until_idle()
    send(log, 1, 20)
    await made.run_until_idle()
    assert made.lane.reasons() == [f"partition 0: poison at offset {RECORDS}; remedy: --accept-poison 1"]
    assert made.lane.slots[0].next_offset == RECORDS
    assert made.lane.slots[1].next_offset == RECORDS + 20
    outputs, _ = log.fetch(TOPIC, 0, 0)
    assert len(outputs) == RECORDS
    again = worker(config, log)
    await again.take_over([0])
    await again.run_until_idle()
    assert again.lane.slots[0].next_offset == RECORDS
    assert again.lane.reasons()


async def test_a_cursor_beyond_the_log_refuses_to_start(config: LaneConfig, log: MemoryLog) -> None:
    """States that know of records which the inbox has lost: no start, with what, where and remedy."""
    await run(config, log)
    log.truncate("inbox", 1, RECORDS - 10)
    with pytest.raises(LaneRefused) as refused:
        await run(config, log)
    assert refused.value.exit_code == 2
    assert f"stand at offset {RECORDS}, the log ends at {RECORDS - 10}" in refused.value.what
    assert refused.value.where == "topic inbox, partition 1"
    assert "handraise topics check" in refused.value.remedy


async def test_a_changed_partition_count_refuses_to_start(config: LaneConfig, log: MemoryLog) -> None:
    """More partitions move keys away from their states: no start, by the settings as by the cursor."""
    await run(config, log)
    log.grow("inbox", PARTITIONS + 1)
    with pytest.raises(LaneRefused, match="has 3 partitions, this lane is set to 2"):
        await require_topics(log, config.names, PARTITIONS, config.outputs)
    with pytest.raises(LaneRefused, match="partition count changed from 2 to 3") as refused:
        await run(config, log)
    assert "handraise topics check" in refused.value.remedy


async def test_a_recreated_inbox_refuses_to_start(config: LaneConfig, log: MemoryLog) -> None:
    """The same name with another id: offsets of the old topic mean nothing in the new one."""
    await run(config, log)
    log.delete("inbox")
    log.create("inbox", PARTITIONS)
    send(log, 0, RECORDS * 2)
    with pytest.raises(LaneRefused, match="deleted and created again") as refused:
        await run(config, log)
    assert "handraise topics check" in refused.value.remedy


@pytest.mark.parametrize("missing", ["inbox", "changelog", TOPIC])
async def test_a_missing_topic_refuses_to_start(config: LaneConfig, log: MemoryLog, missing: str) -> None:
    """Whatever the lane reads or writes must be there, and is named if it is not."""
    log.delete(missing)
    with pytest.raises(LaneRefused, match=f"topic missing: {missing}") as refused:
        await require_topics(log, config.names, PARTITIONS, config.outputs)
    assert "handraise topics check" in refused.value.remedy


async def test_an_unknown_cursor_version_refuses_to_start(config: LaneConfig, log: MemoryLog) -> None:
    """A cursor of a newer release is not guessed at."""
    log.produce("changelog", 0, [(b"\x00cursor", b"\x94\x03\x05\xa1x\x02", [])])
    with pytest.raises(LaneRefused, match="version 3, this program knows 2"):
        await run(config, log)


async def test_retention_that_passed_the_cursor_is_said_plainly(config: LaneConfig, log: MemoryLog) -> None:
    """Records gone before they were folded are counted and told; the lane goes on with the first that is left."""
    await run(config, log)
    send(log, 0, 30)
    log.expire("inbox", 0, RECORDS + 10)
    made = worker(config, log)
    taken = await made.take_over(range(PARTITIONS))
    assert taken.expired == [(0, RECORDS, RECORDS + 10)]
    await made.run_until_idle()
    outputs, _ = log.fetch(TOPIC, 0, 0)
    assert len(outputs) == RECORDS + 20


async def test_a_missing_run_is_a_gap_and_never_folded_over(config: LaneConfig, log: MemoryLog) -> None:
    """Runs must join: one that begins later than the last one ended fails."""
    made = worker(config, log)
    await made.take_over(range(PARTITIONS))
    records, after = log.fetch("inbox", 0, 5)
    with pytest.raises(LaneFailed, match="offsets 0 to 5 were never seen"):
        await made.lane.feed(0, records, 5, after)


async def test_states_survive_a_compacted_changelog(config: LaneConfig, log: MemoryLog) -> None:
    """Only the newest record of each key is needed, the cursor's too."""
    await run(config, log)
    for partition in range(PARTITIONS):
        log.compact("changelog", partition)
        send(log, partition, 10)
    made = worker(config, log)
    taken = await made.take_over(range(PARTITIONS))
    assert taken.changelog_records == PARTITIONS * 8
    await made.run_until_idle()
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * (RECORDS + 10))


async def test_mail_of_a_dead_worker_holds_up_its_reader_until_it_is_fenced(config: LaneConfig, log: MemoryLog) -> None:
    """An inbox behind a foreign open transaction is read up to it; when it ends, aborted mail is stepped over."""
    mailer = log.writer("mailer")
    await mailer.start()
    await mailer.begin()
    await (await mailer.append("inbox", 0, [(b"mail", b"event", [])]))
    send(log, 0, 5)
    made = worker(config, log)
    await made.take_over(range(PARTITIONS))
    await made.run_until_idle()
    assert made.lane.slots[0].next_offset == RECORDS
    await log.writer("mailer").start()
    await made.run_until_idle()
    assert made.lane.slots[0].next_offset == RECORDS + 1 + 5 + 1
    await assert_exact(log, config.names, PARTITIONS, PARTITIONS * RECORDS + 5)
