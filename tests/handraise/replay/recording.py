"""A deployment's record on a real Kafka: identities, hands, poison, aborted transactions, other rules, a kill."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from schemas.codec import decode, encode
from schemas.keys import partition_of
from schemas.records import Activity, Assignment, Engagement, LeadDuplicate, NotTheSame, Presence, RaisedHand
from tests.chaos.families import families
from tests.e2e.deployment import ROOT, Deployment, Supervisor, until
from tests.e2e.reading import rows
from tests.e2e.story import DAY_MS, engagement, key, story

HANDS = frozenset({"demo_request", "contact_request"})
ROTTEN = (b"", b"no record", b"\x00\x00\x00\x00\x01torn", None)


def hand(event: Engagement, lead: str) -> RaisedHand:
    """The raised hand that carries an event."""
    return RaisedHand(
        request_id=event.event_id.hex(),
        lead_id=lead,
        identifiers=event.identifiers,
        requested_at=event.occurred_at,
        received_at=event.received_at,
        topic="sales",
        country="DK",
        language="en",
        email=event.email,
        phone=None,
        name="",
        company="",
        message="call me",
        verdict="human",
        verdict_reasons=(),
        preferred_channel="",
        call_after=None,
        owner=None,
        score_millipoints=None,
        account=None,
        engagement=encode(event),
    )


class Mouth:
    """Writes to the inboxes as gateways and people do."""

    def __init__(self, place: Deployment) -> None:
        self._place = place
        self._producer = Producer({"bootstrap.servers": place.kafka, "linger.ms": 20})
        self.appended: dict[tuple[str, int], int] = {}
        """The last offset that was written, by topic and partition."""

    def say(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Write a record."""

        def done(_error: object, message: object) -> None:
            self.appended[topic, partition] = message.offset()  # type: ignore[attr-defined]

        self._producer.produce(self._place.topic(topic), value, key, partition, on_delivery=done)
        self._producer.poll(0)

    def lead(self, key: bytes, value: bytes) -> None:
        """Write a record of a lead."""
        self.say("lead.events", partition_of(key, self._place.partitions), key, value)

    def desk(self, value: bytes) -> None:
        """Write a record for the desk."""
        self.say("desk.events", 0, None, value)

    def flush(self) -> None:
        """Wait until all is written."""
        assert self._producer.flush(60) == 0


def withdraw(place: Deployment, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Write records in a transaction, and abort it."""
    producer = Producer({"bootstrap.servers": place.kafka, "transactional.id": f"{place.prefix}nobody"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for lead, value in records:
        where = partition_of(lead, place.partitions)
        producer.produce(place.topic("lead.events"), value, lead, where)
        producer.produce(place.topic("lead.transitions"), value, lead, where)
    assert producer.flush(30) == 0
    producer.abort_transaction(30)


def other_rules(folder: Path) -> Path:
    """Rules by which more leads are hot."""
    shutil.copytree(ROOT / "rules", folder / "rules")
    alerts = folder / "rules" / "alerts.toml"
    alerts.write_text(alerts.read_text().replace("hot_at = 60", "hot_at = 50"))
    return folder / "rules"


def command(place: Deployment, *words: str) -> Any:
    """What a command says to machines; it must succeed."""
    done = place.run(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def promote(place: Deployment, rules: Path) -> None:
    """Put other rules in force."""
    version = command(place, "rules", "publish", str(rules))["version"]
    assert command(place, "rules", "promote", version)["changed"]


def dismiss(place: Deployment, mouth: Mouth) -> None:
    """Say of suspected pairs that they are two."""
    for row in rows(place.kafka, place.topic("lead.duplicates"))[:3]:
        told = decode(row.value or b"")
        assert isinstance(told, LeadDuplicate)
        home = "e" + told.evidence_id[1:] if told.evidence_id.startswith("m_") else told.evidence_id
        wish = NotTheSame(told.evidence_id, told.lead_id, told.other_id, time.time_ns() // 1_000_000, "test")
        mouth.lead(home.encode(), encode(wish))


def record(place: Deployment, at_work: Callable[[], None], visitors: int = 140) -> None:
    """Let a deployment live for a while, with a kill in the middle; its processes have ended when this returns.

    `at_work` is called while they are still at work.
    """
    place.create_topics()
    worker = Supervisor(place, lambda: place.worker("--instance-id", "only"))
    desk = Supervisor(place, lambda: place.worker(role="desk"))
    until(worker.ready, "a worker")
    until(desk.ready, "a desk")
    start_ms = time.time_ns() // 1_000_000 - 12 * DAY_MS
    acts = list(story(41, visitors, start_ms, 12, acts_each=16))
    mouth = Mouth(place)
    half = len(acts) // 2
    for n, act in enumerate(acts):
        event, lead = engagement(act), key(act)
        if act.kind in HANDS and n > half:
            mouth.desk(encode(hand(event, lead.decode())))
        else:
            mouth.lead(lead, encode(event))
        if n % 200 == 7:
            for partition in range(place.partitions):
                mouth.say("lead.events", partition, lead, ROTTEN[n // 200 % len(ROTTEN)])
            mouth.desk(b"no record either")
        if n == half:
            mouth.flush()
            withdraw(place, [(key(each), encode(engagement(each))) for each in acts[:50]])
            worker.child.process.kill()
        if n == 2 * len(acts) // 3:
            mouth.flush()
            promote(place, other_rules(place.folder))
    mouth.flush()
    promote(place, ROOT / "rules")
    for said in families(41, 8, start_ms, start_ms + 12 * DAY_MS, 30):
        mouth.lead(said.key, said.value)
    mouth.flush()
    until(lambda: worker.restarts == 1 and caught_up(place, mouth.appended), "all to be folded")
    for row in rows(place.kafka, place.topic("lead.assignments"))[:6]:
        given = decode(row.value or b"")
        assert isinstance(given, Assignment)
        at = time.time_ns() // 1_000_000
        mouth.desk(encode(Activity("", given.request_id, None, given.owner or "ana", "accept", "", "", "", at, "test")))
    dismiss(place, mouth)
    mouth.desk(encode(Presence("ana", "away", None, time.time_ns() // 1_000_000, "test")))
    mouth.flush()
    until(lambda: caught_up(place, mouth.appended), "the desk to hear of it")
    at_work()
    worker.stop()
    desk.stop()


def caught_up(place: Deployment, appended: dict[tuple[str, int], int]) -> bool:
    """Whether the workers have folded all that was written here."""
    changelogs = {"lead.events": "leads.changelog", "desk.events": "desk.changelog"}
    cursors = {
        (inbox, row.partition): decode_cursor(row.value).next_offset
        for inbox, changelog in changelogs.items()
        for row in rows(place.kafka, place.topic(changelog))
        if row.key == CURSOR_KEY
    }
    return all(cursors.get(where, 0) > offset for where, offset in appended.items())
