"""Exactly once: a worker that is killed in the middle changes nothing in what other teams read."""

import time
from collections.abc import Callable

from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import LeadState
from tests.e2e.books import audit
from tests.e2e.deployment import Deployment, Supervisor, until
from tests.e2e.reading import rows
from tests.e2e.story import DAY_MS, Act, engagement, key, story

EVENTS, KILLS = 20_000, 3


def scored(place: Deployment) -> int:
    """How many events were scored in all, by the newest states."""
    newest = {row.key: decode(row.value or b"") for row in rows(place.kafka, place.topic("lead.state"))}
    return sum(state.events for state in newest.values() if isinstance(state, LeadState))


def quarantined(place: Deployment) -> int:
    """How many were filtered."""
    return len(rows(place.kafka, place.topic("engagement.quarantine")))


def tell(place: Deployment, acts: list[Act], kill: Callable[[], None]) -> None:
    """Write the story to the inbox in chunks; in between the worker is killed, while it is folding."""
    producer = Producer({"bootstrap.servers": place.kafka, "linger.ms": 5})
    for number, act in enumerate(acts, 1):
        lead = key(act)
        producer.produce(
            place.topic("lead.events"), encode(engagement(act)), lead, partition_of(lead, place.partitions)
        )
        producer.poll(0)
        if number % (len(acts) // (KILLS + 1)) == 0 and number < len(acts):
            kill()
    assert producer.flush(60) == 0


def test_a_worker_killed_in_the_middle(deploy: Callable[..., Deployment]) -> None:
    """Three SIGKILLs in 20,000 events: scores, transitions, alerts, quarantine equal the naive count, each once."""
    place = deploy()
    place.create_topics()
    start_ms = time.time_ns() // 1_000_000 - 12 * DAY_MS
    acts = list(story(20, 700, start_ms, 12))[:EVENTS]
    assert len(acts) == EVENTS
    worker = Supervisor(lambda: place.worker("--instance-id", "only"))
    worker.child.await_ready()

    def kill() -> None:
        until(lambda: worker.child.readiness()[0] == 200, "a worker that folds")
        worker.child.process.kill()

    tell(place, acts, kill)
    until(lambda: scored(place) + quarantined(place) == EVENTS, "all events to be folded", 90)
    assert worker.restarts == KILLS
    worker.stop()
    leads = audit(place)
    assert len(leads) > 300
    assert sum(lead.last_alert_s is not None for lead in leads.values()) > 30
