"""Garbage on every topic that anybody reads: each process passes over it, says so, and goes on with its work."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.codec import decode, encode
from schemas.records import Rejected, Tick
from schemas.topics import TOPICS
from schemas.wire import Undecodable
from tests.e2e.deployment import Deployment, until
from tests.e2e.office import office
from tests.e2e.reading import rows
from tests.e2e.test_broker_refuses import post

PARTITIONS = 4
KEYS = (None, b"\xff\xfe", b"u_" + b"a" * 16)
VALUES = (None, b"", b"no record", b"x" * 1_000_000, encode(Tick(0))[:-1], encode(Tick(1 << 60)))
INBOXES = ("lead.events", "desk.events")


def spoil(place: Deployment) -> None:
    """Append all sorts of garbage to each partition of each topic that is not a worker's own memory."""
    producer = Producer({"bootstrap.servers": place.kafka, "message.max.bytes": 1_048_000, "linger.ms": 0})
    for topic in TOPICS:
        if topic.name.endswith(".changelog"):
            continue
        for partition in range(1 if topic.partitions == 1 else PARTITIONS):
            for value in VALUES:
                for key in KEYS[topic.cleanup == "compact" :]:
                    producer.produce(place.topic(topic.name), value, key, partition)
                    producer.poll(0)
    assert producer.flush(60) == 0


def rejected(place: Deployment) -> set[tuple[str, int, int]]:
    """Where the inbox records stood that are among the dead letters."""
    found = set()
    for row in rows(place.kafka, place.topic("engagement.rejected")):
        try:
            letter = decode(row.value or b"")
        except Undecodable:
            continue  # what we have put there ourselves
        if isinstance(letter, Rejected) and letter.topic is not None:
            found.add((letter.topic, letter.partition or 0, letter.offset or 0))
    return found


@pytest.mark.chaos_long
def test_garbage_on_every_topic_stops_nobody(kafka: str, redis_url: str, prefix: str, tmp_path: Path) -> None:
    """All are ready afterwards, none was restarted; a hand raised behind it has its owner, and what waits is heard."""
    with office(kafka, redis_url, prefix, tmp_path) as made:
        place = made.place
        notify = place.worker(role="notify").await_ready()
        spoil(place)
        post(made.gateway, 1)
        hand = {"userId": "ana", "event": "Demo Requested", "properties": {"email": "ana@x.example"}}
        assert post(made.gateway, 2, **hand).status_code == 200

        def owned() -> bool:
            done = place.run("desk", "list", "--json")
            return done.returncode == 0 and place.lead("u", "ana") in done.stdout

        until(owned, "the hand to have an owner")
        until(lambda: len(rejected(place)) >= len(INBOXES) * len(VALUES), "the dead letters")
        for child in place.children:
            until(lambda child=child: child.readiness()[0] == 200, f"{child.words} to be ready")  # type: ignore[misc]
        assert (made.leads.restarts, made.desk.restarts) == (0, 0)
        assert notify.process.poll() is None
