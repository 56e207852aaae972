"""Exactly once: a worker that is killed in the middle changes nothing in what other teams read."""

import time
from collections.abc import Callable

from confluent_kafka import Producer

from schemas.codec import encode
from schemas.keys import partition_of
from tests.e2e.books import audit
from tests.e2e.deployment import Deployment, Supervisor, until
from tests.e2e.reading import rows
from tests.e2e.story import DAY_MS, Act, engagement, key, story
from tests.e2e.tally import Tally

EVENTS, KILLS = 20_000, 2


def tell(place: Deployment, acts: list[Act]) -> None:
    """Write acts to the inbox."""
    producer = Producer({"bootstrap.servers": place.kafka})
    for act in acts:
        lead = key(act)
        where = partition_of(lead, place.partitions)
        producer.produce(place.topic("lead.events"), encode(engagement(act)), lead, where)
        producer.poll(0)
    assert producer.flush(60) == 0


def test_a_worker_killed_in_the_middle(deploy: Callable[..., Deployment]) -> None:
    """Two SIGKILLs in 20,000 events: scores, transitions, alerts, quarantine equal the naive count, each once."""
    place = deploy()
    place.create_topics()
    start_ms = time.time_ns() // 1_000_000 - 12 * DAY_MS
    acts = list(story(20, 1800, start_ms, 12, acts_each=16))[:EVENTS]
    assert len(acts) == EVENTS
    worker = Supervisor(place, lambda: place.worker("--instance-id", "only"))
    with Tally(place) as tally:
        for kill in range(KILLS + 1):
            until(worker.ready, "a worker")
            before = tally.folded()
            tell(place, acts[kill * EVENTS // (KILLS + 1) : (kill + 1) * EVENTS // (KILLS + 1)])
            if kill < KILLS:
                until(lambda before=before: tally.folded() > before, "the worker to be at work")  # type: ignore[misc]
                worker.child.process.kill()
                until(lambda kill=kill: worker.restarts > kill, "the next worker")  # type: ignore[misc]
        until(lambda: tally.folded() == EVENTS, "all events to be folded")
    assert worker.restarts == KILLS
    worker.stop()
    leads = audit(place)
    assert len(leads) > 300
    gone = [row for row in rows(place.kafka, place.topic("lead.state")) if row.value is None]
    assert len(gone) > 30  # devices that became a part of a person
    assert sum(lead.last_alert_s is not None for lead in leads.values()) > 30
