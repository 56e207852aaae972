"""Real worker processes on a real Kafka, killed, stopped and refused."""

from __future__ import annotations

import asyncio
import re
import signal

import httpx

from schemas.head import record_name
from tests.agents.lane import faults
from tests.agents.lane.conftest import PARTITIONS, CountingLane
from tests.agents.lane.counting import TOPIC
from tests.contract.bench import SMALL_BYTES


async def test_workers_killed_at_every_point_in_turn_leave_exact_books(lane: CountingLane) -> None:
    """SIGKILL right after the fence, in the recovery, after the fold, the produce, before and after the commit."""
    for point in faults.POINTS:
        await lane.send(50)
        killed = lane.start(point=point, passage=2, how="kill")
        if point not in (faults.AFTER_FENCE, faults.DURING_RECOVERY):
            await killed.says("partitions taken over")
            await lane.send(50)
        assert await killed.ended() == -signal.SIGKILL, killed.said()
    survivor = lane.start()
    await survivor.says("partitions taken over")
    await lane.finished()
    await lane.assert_exact()
    survivor.send(signal.SIGTERM)
    assert await survivor.ended() == 0, survivor.said()


async def test_a_worker_that_was_fenced_ends_and_its_transaction_is_never_seen(lane: CountingLane) -> None:
    """Held right before its commit while another starts the same transactional ids: refused, exit code 1."""
    await lane.send(50)
    held = lane.start(point=faults.BEFORE_COMMIT, passage=1, how="hold")
    await held.held()
    for partition in range(PARTITIONS):
        fencer = lane.bench.log.writer(lane.config.transactional_id(partition))
        await fencer.start()
        await fencer.close()
    held.send(signal.SIGUSR1)
    assert await held.ended() == 1
    assert "a younger producer has started" in held.said()
    assert await lane.outputs() < lane.sent
    lane.start()
    await lane.finished()
    await lane.assert_exact()


async def test_a_worker_stopped_beyond_its_session_ends_when_it_wakes_up(lane: CountingLane) -> None:
    """SIGSTOP with an open transaction until another has taken over and folded everything: the sleeper ends itself."""
    await lane.send(50)
    sleeper = lane.start(instance_id=None, session_timeout_s=3.0, point=faults.AFTER_PRODUCE, passage=3, how="hold")
    await sleeper.held()
    sleeper.send(signal.SIGSTOP)
    other = lane.start(instance_id=None)
    await lane.finished()
    sleeper.send(signal.SIGCONT)
    assert await sleeper.ended() == 1
    assert "not scheduled for" in sleeper.said()
    await lane.send(20)
    await lane.finished()
    await lane.assert_exact()
    assert other.process.poll() is None


async def test_workers_come_and_go_under_load_without_a_fault(lane: CountingLane) -> None:
    """A second worker joins, the first leaves on SIGTERM, records arriving: both exit 0, the books are exact."""
    first = lane.start(instance_id=None)
    await first.says("partitions taken over")
    sending = asyncio.ensure_future(_send_for_a_while(lane))
    second = lane.start(instance_id=None)
    await second.says("partitions taken over")
    first.send(signal.SIGTERM)
    assert await first.ended() == 0, first.said()
    await sending
    await lane.finished()
    await lane.assert_exact()
    second.send(signal.SIGTERM)
    assert await second.ended() == 0, second.said()


async def test_a_worker_that_keeps_its_partition_reads_nothing_again(lane: CountingLane) -> None:
    """One joins and takes a partition, one joins and finds none, and leaves: what stays is neither fenced nor read."""
    first = lane.start(instance_id=None)
    await first.says(r"ready +partitions=\[0, 1\]")
    await lane.send(50)
    await lane.finished()
    second = lane.start(instance_id=None)
    (moved,) = re.findall(r"\d", await second.says(r"ready +partitions=\[\d\]"))
    kept = rf"ready +partitions=\[{1 - int(moved)}\]"
    await first.says(kept)
    third = lane.start(instance_id=None)
    await third.says(r"ready +partitions=\[\]")
    await first.says(f"(?s)({kept}.*){{2}}")
    third.send(signal.SIGTERM)
    assert await third.ended() == 0, third.said()
    await first.says(f"(?s)({kept}.*){{3}}")
    await lane.send(50)
    await lane.finished()
    await lane.assert_exact()
    taken = [re.findall(r"taken over +changelog_records=(\d+) partitions=(.*) seconds", w.said()) for w in lane.workers]
    assert taken[0] == [("0", "[0, 1]")]
    ((records, where),) = taken[1]
    assert (int(records) > 0, where) == (True, f"[{moved}]")
    assert taken[2] == []


async def _send_for_a_while(lane: CountingLane) -> None:
    for _ in range(40):
        await lane.send(25)
        await asyncio.sleep(0.05)


async def test_a_raising_fold_ends_the_process_and_the_next_one_stops_at_the_same_record(lane: CountingLane) -> None:
    """Exit code 1, the fold's own error in the log, everything before it committed, nothing after it."""
    await lane.send(30)
    await lane.bench.produce(lane.names.inbox, 0, [(b"key-0", b"raise", [])])
    for _ in range(2):
        worker = lane.start()
        assert await worker.ended() == 1
        assert "offset 30 cannot be folded" in worker.said()
    assert await lane.outputs() <= lane.sent


async def test_a_refused_batch_ends_the_process_and_leaves_no_trace(lane: CountingLane) -> None:
    """Outputs that the broker does not take: exit code 1, no state, no cursor, for the successor too."""
    for _ in range(2):
        await lane.bench.produce(lane.names.inbox, 0, [(b"big", b"x" * (SMALL_BYTES * 6 // 10), [])])
    for _ in range(2):
        worker = lane.start()
        assert await worker.ended() == 1
        assert "did not take a batch" in worker.said()
    assert await lane.bench.seen(lane.names.changelog, 0, committed=True) == []


async def test_a_flood_pauses_its_partition_and_readiness_turns_red(lane: CountingLane) -> None:
    """/readyz is 503 with the fold's reason, the other partition goes on, /metrics count it."""
    await lane.send(10)
    worker = lane.start(health_port=0)
    url = await worker.health()
    await lane.finished()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/readyz")).status_code == 200
        assert (await client.get(f"{url}/healthz")).text == "alive\n"
        await lane.bench.produce(lane.names.inbox, 0, [(b"key-0", b"flood", [])])
        await worker.says("partition paused for good")
        await lane.bench.produce(lane.names.inbox, 1, [(b"key-0", b"event", [])])
        await lane.finished(lane.sent + 1)
        answer = await client.get(f"{url}/readyz")
        assert answer.status_code == 503
        assert answer.text == "partition 0: poison at offset 10; remedy: --accept-poison 1\n"
        metrics = (await client.get(f"{url}/metrics")).text
    assert 'handraise_lane_paused_partitions{role="count"} 1.0' in metrics
    assert 'handraise_lane_records_total{role="count"} 21.0' in metrics
    worker.send(signal.SIGTERM)
    assert await worker.ended() == 0, worker.said()


async def test_markers_and_aborted_records_at_the_end_are_no_lag(lane: CountingLane) -> None:
    """An inbox that ends with what nobody can read is folded to its end: the watchdog must not see a lag there."""
    mailer = lane.bench.log.writer(f"{lane.bench.prefix}mailer")
    await mailer.start()
    for end in (mailer.commit, mailer.abort):
        await mailer.begin()
        for partition in range(PARTITIONS):
            await (await mailer.append(lane.names.inbox, partition, [(b"mail", b"event", [])]))
        await end()
    await mailer.close()
    url = await lane.start(health_port=0).health()
    await lane.finished(PARTITIONS)
    no_lag = f'handraise_lane_lag_records{{partition="{PARTITIONS - 1}",role="count"}} 0.0\n'
    async with httpx.AsyncClient() as client:
        # The watchdog may have looked before all was folded, and looks again; a lag that stays is a timeout here.
        while no_lag not in (await client.get(f"{url}/metrics")).text:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def test_ticks_go_to_the_owned_partitions(lane: CountingLane) -> None:
    """Each owned inbox partition gets Tick records, which the fold sees like any other."""
    lane.start(ticks=True)
    seen: set[int] = set()
    while len(seen) < PARTITIONS:
        for partition in range(PARTITIONS):
            records = await lane.bench.seen(lane.names.inbox, partition, committed=True)
            if any(record_name(record.value) == "Tick" and record.key is None for record in records):
                seen.add(partition)


async def test_missing_topics_refuse_the_start(lane: CountingLane) -> None:
    """Exit code 2, and the message names the topic and the command."""
    await lane.bench.delete(lane.names.prefix + TOPIC)
    worker = lane.start()
    assert await worker.ended() == 2
    assert f"topic missing: {lane.names.prefix}{TOPIC}" in worker.said()
    assert "handraise topics check" in worker.said()


async def test_a_changed_partition_count_or_a_recreated_topic_refuses_the_start(lane: CountingLane) -> None:
    """Exit code 2 for both, in words."""
    await lane.send(10)
    first = lane.start()
    await lane.finished()
    first.send(signal.SIGTERM)
    assert await first.ended() == 0
    await lane.bench.delete(lane.names.inbox)
    await lane.bench.create(lane.names.inbox, PARTITIONS)
    recreated = lane.start()
    assert await recreated.ended() == 2
    assert "deleted and created again" in recreated.said()
    await lane.bench.grow(lane.names.inbox, PARTITIONS + 1)
    grown = lane.start()
    assert await grown.ended() == 2
    assert f"has {PARTITIONS + 1} partitions, this lane is set to {PARTITIONS}" in grown.said()


async def test_a_cluster_that_does_not_answer_is_said_in_words(lane: CountingLane) -> None:
    """Exit code 1 with the address; the supervisor tries again."""
    worker = lane.start(bootstrap="127.0.0.1:1")
    assert await worker.ended() == 1
    assert "Kafka does not answer at 127.0.0.1:1" in worker.said()
