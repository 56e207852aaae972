"""A flood of records that cannot be read: something is misconfigured, so the line stops until somebody says go on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from confluent_kafka import Producer

from schemas.codec import encode
from schemas.keys import partition_of
from tests.e2e.books import audit
from tests.e2e.deployment import Child, Deployment, until
from tests.e2e.story import engagement, key, story
from tests.e2e.tally import Tally

FLOOD = 300
READ_BEFORE_THE_STOP = 100
"""Over 100 of the last 10,000, and over 5 %: the 101st stops the partition."""
START_MS = 1_794_182_400_000


def write(place: Deployment, records: list[tuple[int, bytes, bytes]]) -> None:
    """Append (partition, key, value) to the inbox, in order."""
    producer = Producer({"bootstrap.servers": place.kafka})
    for partition, record_key, value in records:
        producer.produce(place.topic("lead.events"), value, record_key, partition)
    assert producer.flush(20) == 0


def good(place: Deployment) -> list[tuple[int, bytes, bytes]]:
    """Events of a few devices, each in its partition; no repeats, bots or sign-ins: each is scored where it is said."""
    told = (act for act in story(1, 30, START_MS, 2, acts_each=6) if not act.bot)
    acts = {act.message_id: replace(act, user_id=None, email=None) for act in told}
    return [(partition_of(key(it), place.partitions), key(it), encode(engagement(it))) for it in acts.values()]


def test_a_flood_stops_its_partition_until_accepted(deploy: Callable[..., Deployment]) -> None:
    """One partition pauses, readiness turns red with reason and remedy; `--accept-poison` goes on, nothing is lost."""
    place = deploy(2)
    place.create_topics()
    first, records = place.worker(), good(place)
    before, after = records[: len(records) // 2], records[len(records) // 2 :]
    everything, unharmed = (Counter(where for where, *_ in some) for some in (records, before))
    unharmed[1] = everything[1]
    flood = [b"no record %d" % n for n in range(FLOOD)]
    write(place, [*before, *((0, b"", value) for value in flood), *after])

    with Tally(place) as tally:
        said = red(first)
        assert "partition 0: too many records that cannot be read" in said
        assert "where: lead.events, partition 0, offset " in said
        assert "remedy: " in said
        assert "--accept-poison" in said
        until(lambda: tally.scored() == unharmed, "partition 1 to go on alone")
        assert tally.dead_letters() == flood[:READ_BEFORE_THE_STOP]
        first.stop()

        second = place.worker("--accept-poison", str(FLOOD))
        until(lambda: tally.scored() == everything, "partition 0 to go on")
        assert second.readiness()[0] == 200
        second.stop()
        assert tally.dead_letters() == flood
    audit(place)


def test_a_restart_alone_does_not_accept_a_flood(deploy: Callable[..., Deployment]) -> None:
    """Restarted without the flag a worker rejects at most a hundred more, and stops again."""
    place = deploy(1)
    place.create_topics()
    flood = [b"no record %d" % n for n in range(FLOOD)]
    write(place, [(0, b"", value) for value in flood])
    with Tally(place) as tally:
        for times in (1, 2):
            worker = place.worker()
            red(worker)
            worker.stop()
            assert tally.dead_letters() == flood[: times * READ_BEFORE_THE_STOP]


def red(worker: Child) -> str:
    """What the worker says when it is not ready for a reason that stays."""

    def said() -> str | None:
        status, text = worker.readiness()
        return text if status == 503 and "partition 0" in text else None

    return until(said, "readiness to turn red") or ""
