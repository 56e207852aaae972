"""A flood of records that cannot be read: something is misconfigured, so the line stops until somebody says go on."""

from collections.abc import Callable

from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import LeadState, Rejected
from tests.e2e.books import audit
from tests.e2e.deployment import Child, Deployment, until
from tests.e2e.reading import rows
from tests.e2e.story import engagement, key, story

FLOOD = 300
READ_BEFORE_THE_STOP = 100
"""Over 100 of the last 10,000, and over 5 %: the 101st stops the partition."""
START_MS = 1_794_182_400_000


def scored(place: Deployment) -> dict[int, int]:
    """How many events of each partition were scored, by the newest states."""
    newest: dict[bytes, tuple[int, int]] = {}
    for row in rows(place.kafka, place.topic("lead.state")):
        state = decode(row.value or b"")
        assert isinstance(state, LeadState)
        newest[row.key or b""] = (row.partition, state.events)
    return {number: sum(n for where, n in newest.values() if where == number) for number in range(place.partitions)}


def letters(place: Deployment) -> list[tuple[int | None, bytes]]:
    """Offset and bytes of what was rejected, in order."""
    found = [decode(row.value or b"") for row in rows(place.kafka, place.topic("engagement.rejected"))]
    return sorted((it.offset, it.record) for it in found if isinstance(it, Rejected) and it.offset is not None)


def write(place: Deployment, records: list[tuple[int, bytes, bytes]]) -> None:
    """Append (partition, key, value) to the inbox, in order."""
    producer = Producer({"bootstrap.servers": place.kafka})
    for partition, record_key, value in records:
        producer.produce(place.topic("lead.events"), value, record_key, partition)
    assert producer.flush(20) == 0


def good(place: Deployment, seed: int) -> list[tuple[int, bytes, bytes]]:
    """Events of a few leads, each in its partition; no repeats and no bots, so that each is scored."""
    acts = {act.message_id: act for act in story(seed, 12, START_MS, 2, acts_each=6) if not act.bot}
    return [(partition_of(key(it), place.partitions), key(it), encode(engagement(it))) for it in acts.values()]


def test_a_flood_stops_its_partition_until_accepted(deploy: Callable[..., Deployment]) -> None:
    """One partition pauses, readiness turns red with reason and remedy; `--accept-poison` goes on, nothing is lost."""
    place = deploy(2)
    place.create_topics()
    first = place.worker().await_ready()
    before, after = good(place, 1), good(place, 2)
    flood = [b"no record %d" % n for n in range(FLOOD)]
    write(place, [*before, *((0, b"", value) for value in flood), *after])

    status, said = until(lambda: (answer := first.readiness())[0] == 503 and answer, "readiness to turn red")
    assert status == 503
    assert "partition 0: too many records that cannot be read" in said
    assert "where: lead.events, partition 0, offset " in said
    assert "--accept-poison" in said
    everything = [sum(where == number for where, *_ in before + after) for number in (0, 1)]
    unharmed = [sum(where == 0 for where, *_ in before), everything[1]]
    until(lambda: list(scored(place).values()) == unharmed, "partition 1 to go on alone")
    assert [value for _, value in letters(place)] == flood[:READ_BEFORE_THE_STOP]
    first.stop()

    second = place.worker("--accept-poison", str(FLOOD)).await_ready()
    until(lambda: list(scored(place).values()) == everything, "partition 0 to go on")
    assert second.readiness()[0] == 200
    second.stop()
    assert [value for _, value in letters(place)] == flood
    audit(place)


def test_a_restart_alone_does_not_accept_a_flood(deploy: Callable[..., Deployment]) -> None:
    """Restarted without the flag a worker rejects at most a hundred more; so a supervisor cannot drain a flood."""
    place = deploy(1)
    place.create_topics()
    write(place, [(0, b"", b"no record %d" % n) for n in range(FLOOD)])

    def stopped(worker: Child) -> int:
        until(lambda: worker.readiness()[0] == 503 and "too many" in worker.readiness()[1], "the partition to pause")
        worker.stop()
        return len(letters(place))

    assert stopped(place.worker()) == READ_BEFORE_THE_STOP
    assert stopped(place.worker()) == 2 * READ_BEFORE_THE_STOP
