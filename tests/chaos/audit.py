"""The audit: what subscribers read, against what the oracle tells of the recorded inboxes, and against the truth.

Each partition's outputs must follow from its inbox; what a partition has to write into the others' inboxes must stand
there, once; and in the end each event that somebody sent must be in one lead, one for each person.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import multiprocessing
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.codec import decode
from schemas.head import record_name
from schemas.records import (
    Engagement,
    LeadAlert,
    LeadDuplicate,
    LeadState,
    LeadTransition,
    Promote,
    Quarantined,
    Rejected,
)
from schemas.topics import physical
from tests.oracle import desk, replay
from tests.oracle.compare import compare_alert, compare_state
from tests.oracle.findings import Findings
from tests.oracle.linked import Letter, Linked, suspects
from tests.oracle.naive import Event, Model
from tests.oracle.replay import Record, Told, event_of

OUTPUTS = (
    "lead.transitions",
    "lead.alerts",
    "engagement.quarantine",
    "engagement.rejected",
    "lead.duplicates",
    "lead.state",
    "desk.waiting",
)
Pair = tuple[str, str, str]
"""An e-mail address, and two leads that gave it."""


@dataclass
class Verdict(Findings):
    """What was found in partitions of the leads; told is also wrong with other points, level or reasons."""

    states: list[str] = field(default_factory=list)
    """Final states that differ."""
    longest_pause_s: float = 0.0
    """The longest time from an event in the inbox to what it caused."""
    sent: Counter[Letter] = field(default_factory=Counter)
    """What leads had to write to each other."""
    received: Counter[Letter] = field(default_factory=Counter)
    """What they have written."""
    held: dict[str, list[bytes]] = field(default_factory=dict)
    """The ids of the events of each lead that is left."""
    forgotten: set[bytes] = field(default_factory=set)
    """Those of leads that expired."""
    copies: dict[bytes, int] = field(default_factory=dict)
    """How often each event was appended from outside."""
    homes: dict[str, str] = field(default_factory=dict)
    """Where each key leads that is no lead's."""
    claims: dict[str, set[str]] = field(default_factory=dict)
    """E-mail address → who gave it though it was another's."""
    suspected: set[Pair] = field(default_factory=set)
    """Pairs of which that is the last word."""
    promoted: list[tuple[str, ...]] = field(default_factory=list)
    """The rule sets that were put in force in each partition, in order."""

    def add(self, other: Verdict) -> None:
        """Take another partition's findings in."""
        self.take(other)
        self.states += other.states
        self.longest_pause_s = max(self.longest_pause_s, other.longest_pause_s)
        self.sent += other.sent
        self.received += other.received
        self.held |= other.held
        self.forgotten |= other.forgotten
        self.copies.update(other.copies)
        self.homes |= other.homes
        self.claims |= other.claims
        self.suspected |= other.suspected
        self.promoted += other.promoted

    def judge_mail(self) -> None:
        """Compare what leads had to write to each other with what they wrote."""
        self.counts["letters"] += self.received.total()
        self.missing += [f"letter missing: {it}" for it in self.sent - self.received]
        for it in self.received - self.sent:
            (self.doubled if it in self.sent else self.without_cause).append(f"letter: {it}")

    def judge_suspicions(self) -> None:
        """Compare who is suspected to be one with who gave one address, as the leads that they are by now."""
        wanted = suspects(self.homes, self.claims)
        self.counts["suspected"] += len(self.suspected)
        self.missing += [f"suspicion missing: {it}" for it in wanted - self.suspected]
        self.without_cause += [f"suspicion: {it}" for it in self.suspected - wanted]

    def judge_people(self, people: Mapping[bytes, str]) -> None:
        """Compare who has which event with who did what: each event once, and one lead for each person."""
        holders: dict[bytes, list[str]] = defaultdict(list)
        for lead, ids in self.held.items():
            for id in ids:
                holders[id].append(lead)
        leads: dict[str, set[str]] = defaultdict(set)
        for id, person in people.items():
            leads[person].update(holders[id])
            if not holders[id] and id not in self.forgotten:
                self.missing.append(f"event {id.hex()} of {person} is in no lead")
            if len(holders[id]) > 1 and self.copies.get(id, 0) < 2:
                self.doubled.append(f"event {id.hex()} of {person} is in {holders[id]}")
        self.states += [f"{person} is several leads: {found}" for person, found in leads.items() if len(found) > 1]
        self.counts["people"] += len(leads)

    def faults(self) -> list[str]:
        """All that is wrong."""
        return self.missing + self.doubled + self.without_cause + self.wrong + self.states


@asynccontextmanager
async def reader(bootstrap: str, topic: str, partition: int) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    """A subscriber who reads read_committed, at the beginning of the partition."""
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        yield consumer, place
    finally:
        await consumer.stop()


async def read(bootstrap: str, topic: str, partition: int, *, with_ids: bool = False) -> list[Record]:
    """All records of a partition that are committed, up to its present end; `with_ids`: and their `ce_id`."""
    found: list[Record] = []
    async with reader(bootstrap, topic, partition) as (consumer, place):
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            batch = (await consumer.getmany(place, timeout_ms=200)).get(place, [])
            found += [
                Record(it.offset, it.timestamp, it.key, it.value, dict(it.headers)["ce_id"] if with_ids else b"")
                for it in batch
            ]
    return found


async def until_key(bootstrap: str, topic: str, partition: int, key: bytes) -> None:
    """Return when a record with that key is committed."""
    async with reader(bootstrap, topic, partition) as (consumer, place):
        while key not in {it.key for it in (await consumer.getmany(place, timeout_ms=200)).get(place, [])}:
            pass


def audit(bootstrap: str, prefix: str, partitions: int, files: dict[str, str], people: Mapping[bytes, str]) -> Verdict:
    """Read everything and compare, in two processes, each with half of the partitions."""
    total = Verdict()
    shares = [range(partitions)[n::2] for n in range(2)]
    # Without the collector: millions of objects that live to the end cost it a quarter of the time.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=gc.disable) as pool:
        audits = [pool.submit(_audit, bootstrap, prefix, partitions, share, files) for share in shares]
        for each in audits:
            total.add(each.result())
    total.judge_mail()
    total.judge_suspicions()
    total.judge_people(people)
    return total


def _audit(bootstrap: str, prefix: str, partitions: int, share: Sequence[int], files: dict[str, str]) -> Verdict:
    return asyncio.run(_audit_partitions(bootstrap, prefix, partitions, share, files))


async def _audit_partitions(
    bootstrap: str, prefix: str, partitions: int, share: Sequence[int], files: dict[str, str]
) -> Verdict:
    inboxes = [await read(bootstrap, physical("lead.events", prefix), number) for number in range(partitions)]
    total, events = Verdict(), Events(inboxes)
    for partition in share:
        said = {name: await read(bootstrap, physical(name, prefix), partition) for name in OUTPUTS}
        total.add(judge(files, inboxes[partition], said, events))
    return total


class Events:
    """All events, by their ids: what a lead takes in was said elsewhere."""

    def __init__(self, inboxes: Sequence[Sequence[Record]]) -> None:
        self._values: dict[bytes, bytes] = {}
        self._others: dict[bytes, list[bytes]] = defaultdict(list)
        """Copies that differ: a client's clock is compared with ours each time that it sends an event."""
        for value in (record.value for inbox in inboxes for record in inbox if record.value):
            if record_name(value) == "Engagement" and self._values.setdefault(value[5:13], value) != value:
                self._others[value[5:13]].append(value)

    def find(self, event_id: bytes, at_s: int) -> Event:
        """The event of that id; of several copies one that says that time."""
        found = None
        for value in (self._values[event_id], *self._others.get(event_id, ())):
            body = decode(value)
            assert isinstance(body, Engagement)
            found = event_of(body)
            if found.at_s == at_s:
                return found
        assert found is not None
        return found


def judge(files: dict[str, str], inbox: list[Record], said: dict[str, list[Record]], events: Events) -> Verdict:
    """Compare one partition's outputs with the oracle."""
    model = Model(files["model.toml"], files["alerts.toml"])
    words = replay.words(decode(record.value or b"") for record in said["lead.transitions"])
    oracle = Linked(model, words, events.find)
    told = oracle.tell(inbox)
    verdict = Verdict(sent=Counter(letter for _, letter in oracle.sent), received=oracle.received)
    verdict.held = {id: [event.event_id for event in lead.events + lead.late] for id, lead in told.leads.items()}
    verdict.forgotten = {event.event_id for lead in told.forgotten for event in lead.events + lead.late}
    departed = sum(change.after == "moved" for change in told.changes)
    parted = sum(change.before == "moved" for change in told.changes)
    verdict.counts.update(inbox=len(inbox), leads=len(told.leads), expired=len(told.expired))
    verdict.counts.update(departed=departed, parted=parted)
    _judge_transitions(verdict, told, said["lead.transitions"])
    model = oracle.model
    verdict.promoted = [promotions(inbox)]
    _judge_alerts(verdict, told, model, said["lead.alerts"])
    _judge_quarantine(verdict, told, said["engagement.quarantine"], inbox)
    _judge_refusals(verdict, oracle.refused, said["engagement.rejected"])
    verdict.copies = dict(oracle.copies)
    verdict.homes = {key: address.to for key, address in oracle.addresses.items()}
    verdict.claims = dict(oracle.claims)
    verdict.suspected = _last_suspected(said["lead.duplicates"])
    _judge_states(verdict, told, model, said["lead.state"])
    missing, without_cause = desk.compare_mail(said["desk.waiting"], said["lead.alerts"], said["lead.transitions"])
    verdict.missing += missing
    verdict.without_cause += without_cause
    verdict.counts["mail to the desk"] += len(said["desk.waiting"])
    return verdict


def promotions(records: Iterable[Record]) -> tuple[str, ...]:
    """The rule sets that an inbox was told of, in order; what is said again at once counts once."""
    said = (decode(it.value) for it in records if it.value and record_name(it.value) == "Promote")
    return tuple(version for version, _ in itertools.groupby(it.version for it in said if isinstance(it, Promote)))


def _match(verdict: Verdict, what: str, wanted: list[tuple[object, ...]], found: list[tuple[object, ...]]) -> None:
    """Note what is missing, doubled, or without cause."""
    verdict.counts[what] += len(found)
    expected, seen = Counter(wanted), Counter(found)
    verdict.missing += [f"{what} missing: {it}" for it in expected - seen]
    for it in seen - expected:
        (verdict.doubled if it in expected else verdict.without_cause).append(f"{what}: {it}")


def _judge_transitions(verdict: Verdict, told: Told, records: list[Record]) -> None:
    said = [it for it in (decode(record.value or b"") for record in records) if isinstance(it, LeadTransition)]
    wanted: list[tuple[object, ...]] = [
        (it.offset, it.lead_id, it.aspect, it.before, it.after, it.at_s * 1000, it.cause) for it in told.changes
    ]
    found: list[tuple[object, ...]] = [
        (it.source_offset, it.lead_id, it.aspect, it.before, it.after, it.at, it.cause_event) for it in said
    ]
    _match(verdict, "transition", wanted, found)
    points = {(it.offset, it.lead_id, it.after): it.millipoints for it in told.changes}
    for it in said:
        right = points.get((it.source_offset, it.lead_id, it.after))
        if right is not None and abs(right - it.behaviour_millipoints) > 1:
            verdict.wrong.append(f"{it} should have {right}")


def _judge_alerts(verdict: Verdict, told: Told, model: Model, records: list[Record]) -> None:
    said = [it for it in (decode(record.value or b"") for record in records) if isinstance(it, LeadAlert)]
    wanted: list[tuple[object, ...]] = [(it.offset, it.lead_id, it.at_s * 1000, it.cause) for it in told.alarms]
    found: list[tuple[object, ...]] = [(it.source_offset, it.lead_id, it.at, it.cause_event) for it in said]
    _match(verdict, "alert", wanted, found)
    alarms = {(it.offset, it.lead_id): it for it in told.alarms}
    for it in said:
        if (alarm := alarms.get((it.source_offset, it.lead_id))) is not None:
            try:
                compare_alert(it, alarm, model)
            except AssertionError as error:
                verdict.wrong.append(f"{it}: {error}")


def _judge_quarantine(verdict: Verdict, told: Told, records: list[Record], inbox: list[Record]) -> None:
    said = [it for it in (decode(record.value or b"") for record in records) if isinstance(it, Quarantined)]
    found: list[tuple[object, ...]] = [(it.source_offset, it.lead_id, it.verdict) for it in said]
    _match(verdict, "quarantined", list(told.quarantined), found)
    came = {it.source_offset for it in said}
    appended = {record.offset: record.timestamp for record in inbox if record.offset in came}
    waits = [record.timestamp - appended[it.source_offset] for it, record in zip(said, records, strict=True)]
    verdict.longest_pause_s = max(waits, default=0) / 1000


def _judge_refusals(verdict: Verdict, refused: list[tuple[int, str]], records: list[Record]) -> None:
    said = [it for it in (decode(record.value or b"") for record in records) if isinstance(it, Rejected)]
    # What the gateway refuses never stood on a topic.
    found: list[tuple[object, ...]] = [(it.offset, it.code) for it in said if it.topic is not None]
    _match(verdict, "refused", list(refused), found)


def _last_suspected(records: list[Record]) -> set[Pair]:
    said = [it for it in (decode(record.value or b"") for record in records) if isinstance(it, LeadDuplicate)]
    last = {(it.evidence_id, it.lead_id, it.other_id): it.status for it in said}
    return {pair for pair, status in last.items() if status == "suspected"}


def _judge_states(verdict: Verdict, told: Told, model: Model, records: list[Record]) -> None:
    last: dict[str, bytes | None] = defaultdict(lambda: None)
    for record in records:
        last[(record.key or b"").decode()] = record.value
    verdict.counts["states"] += len(told.leads)
    for lead_id, lead in told.leads.items():
        value = last.pop(lead_id, None)
        state = decode(value) if value is not None else None
        if not isinstance(state, LeadState):
            verdict.states.append(f"{lead_id} has no state")
            continue
        try:
            compare_state(state, lead, lead.judged_by or model)
        except AssertionError as error:
            verdict.states.append(f"{state}: {error}")
    verdict.states += [f"{lead_id} is gone and has a state" for lead_id, value in last.items() if value is not None]
