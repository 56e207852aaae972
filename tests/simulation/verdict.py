"""What must hold when all is at rest, by an oracle that shares no code with the core.

Each event that was answered for is in exactly one lead, or filtered with a reason; what was published of each lead is
what the oracle tells of its inbox, each record once; and what leads had to tell each other stands in the inboxes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from agents.lane.memory_log import MemoryRecord
from schemas.codec import decode
from schemas.records import Engagement, LeadAlert, LeadState, LeadTransition, Quarantined, Rejected
from streams import state
from streams.state import Lead, Moved, State
from tests.oracle import identity
from tests.oracle.compare import compare_alert, compare_state
from tests.oracle.linked import Linked
from tests.oracle.naive import Event, Model
from tests.oracle.replay import event_of, words
from tests.simulation import desk_verdict, replay
from tests.simulation.plan import Plan
from tests.simulation.processes import OTHER_POINTS, PARTITIONS, Build, Process, model_file
from tests.simulation.world import DESK_TOPICS, LEAD_TOPICS, World, arranged, carry_out
from tests.streams.harness import SMALL
from tests.streams.network import ids_of

REFUSALS = ("not_merged", "under_way")
"""Why a wish to merge, or to undo it, is refused."""


@cache
def model(is_patient: bool) -> Model:
    """The oracle's reading of the rules."""
    return Model(model_file(is_patient=is_patient), SMALL["alerts.toml"])


class Outcome(NamedTuple):
    """What is wrong after a run, in words, and what happened in it."""

    problems: list[str]
    happened: Counter[str]


def run(plan: Plan, build: Build | None = None) -> Outcome:
    """Carry a plan out and judge what is there then."""
    build = build or Build()
    with arranged(build):
        world = carry_out(plan, build)
        try:
            return Outcome(judge(world), world.happened())
        finally:
            world.bury()


def judge(world: World) -> list[str]:
    """All that is wrong, in words."""
    found = [f"{it.name} died of {it.died_of!r}" for it in world.everyone() if not it.was_to_die]
    found += [f"{it.name}: {complaint}" for it in world.everyone() for complaint in it.complaints]
    found += [f"{it.name} is paused: {why}" for it in world.everyone() for why in _paused(it)]
    if world.restless:
        return [*found, "it does not become quiet"]
    wrong, inboxes = replay.judge(world)
    found += wrong
    found += _twice(world)
    found += _rejected(world)
    found += _leads(world, inboxes)
    found += desk_verdict.judge(world)
    return found


def _paused(process: Process) -> Iterator[str]:
    """Why partitions stand still; only the older build has reason to."""
    if not process.release.startswith("older"):
        yield from (slot.paused for slot in process.worker.lane.slots.values() if slot.paused is not None)


def _twice(world: World) -> Iterator[str]:
    """A subscriber sees each id once."""
    for topic in (*LEAD_TOPICS, *DESK_TOPICS):
        ids: Counter[bytes] = Counter()
        for partition in range(PARTITIONS):
            for record in world.committed(topic, partition):
                ids.update(value for name, value in record.headers if name == "ce_id")
        yield from (f"{topic}: {id!r} {count} times" for id, count in ids.items() if count > 1)


def _rejected(world: World) -> Iterator[str]:
    """What cannot be read is rejected once, with its bytes, and nothing else is."""
    found: Counter[tuple[str | None, int | None, int | None, bytes]] = Counter()
    for partition in range(PARTITIONS):
        for record in world.committed("engagement.rejected", partition):
            body = decode(record.value or b"")
            assert isinstance(body, Rejected)
            if body.reason and body.code not in REFUSALS:
                found[body.topic, body.partition, body.offset, body.record] += 1
    wanted = Counter((*place, value) for place, value in world.poison.items())
    for place, count in (wanted - found).items():
        yield f"rejected: {place} is missing {count} times"
    for partition, topic, offset, _ in found - wanted:
        yield f"rejected without cause, or twice: {topic}/{partition}, offset {offset}"


def _leads(world: World, inboxes: dict[int, list[MemoryRecord]]) -> Iterator[str]:
    """The lead fold against the oracles."""
    log = {
        partition: [it for it in records if ("lead.events", partition, it.offset) not in world.poison]
        for partition, records in inboxes.items()
    }
    events: dict[bytes, Event] = {}
    for records in log.values():
        for record in records:
            body = decode(record.value or b"")
            if isinstance(body, Engagement):
                events[body.event_id] = event_of(body)
    try:
        yield from _told(world, log, events)
        if world.is_patient:
            yield from _identities(world, log)
    except (AssertionError, KeyError) as error:
        yield f"the oracle cannot follow: {error!r}"
    yield from _events(world, events)


def _told(world: World, log: dict[int, list[MemoryRecord]], events: dict[bytes, Event]) -> Iterator[str]:
    """Each partition's words, states and mail.  The oracle knows one rule set: where points differ, it is not asked."""
    if any(it.release == OTHER_POINTS for it in world.everyone()):
        return
    oracles, rules = [], model(world.is_patient)
    for partition, records in log.items():
        said = [
            decode(it.value)
            for topic in ("lead.transitions", "lead.alerts", "engagement.quarantine", "engagement.rejected")
            for it in world.committed(topic, partition)
            if it.value is not None
        ]
        oracle = Linked(rules, words(said), lambda id, _: events[id])
        oracle.tell(records)
        yield from _said(partition, oracle, said)
        yield from _states(world, partition, oracle)
        oracles.append(oracle)
    sent = Counter(letter for oracle in oracles for _, letter in oracle.sent)
    received = sum((oracle.received for oracle in oracles), Counter[Any]())
    yield from (f"letter missing: {letter}" for letter in sent - received)
    yield from (f"letter without cause: {letter}" for letter in received - sent)


def _identities(world: World, log: dict[int, list[MemoryRecord]]) -> Iterator[str]:
    """Who is who, and whose each event is, where leads merge and contest each other's addresses."""
    said = [
        (partition, it.offset)
        for partition, records in log.items()
        for it in records
        if ("lead.events", partition, it.offset) in world.log.outside or _came_from_the_desk(it)
    ]
    told = identity.tell(list(log.values()), said)
    remembered = dict(_remembered(world))
    held = {key.decode(): set(ids_of(it)) for key, it in remembered.items() if isinstance(it, Lead)}
    wanted = {key: set(events) for key, events in told.events.items() if events}
    if held != wanted:
        wrong = [key for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key)]
        yield f"the leads {sorted(wrong)} have not the events that are theirs"
    homes = {key.decode(): it.to for key, it in remembered.items() if isinstance(it, Moved)}
    if homes != told.homes:
        yield f"the addresses {sorted(homes.items() ^ told.homes.items())} are wrong, or missing"


def _came_from_the_desk(record: MemoryRecord) -> bool:
    """Whether a letter brings the event of a raised hand, and is not passed on by another lead."""
    body = decode(record.value or b"")
    return isinstance(body, Engagement) and record.key == body.identifiers[0].encode()


def _said(partition: int, oracle: Linked, said: list[object]) -> Iterator[str]:
    changes = [
        (it.source_offset, it.lead_id, it.aspect, it.before, it.after, it.at // 1000, it.cause_event)
        for it in said
        if isinstance(it, LeadTransition)
    ]
    wanted = [(it.offset, it.lead_id, it.aspect, it.before, it.after, it.at_s, it.cause) for it in oracle.told.changes]
    yield from _differences(f"transitions of {partition}", wanted, changes)
    alerts = [it for it in said if isinstance(it, LeadAlert)]
    alarms = {(it.offset, it.lead_id): it for it in oracle.told.alarms}
    yield from _differences(f"alerts of {partition}", list(alarms), [(it.source_offset, it.lead_id) for it in alerts])
    for alert in alerts:
        if (alarm := alarms.get((alert.source_offset, alert.lead_id))) is not None:
            yield from _asserted(f"{alert}", lambda alert=alert, alarm=alarm: compare_alert(alert, alarm, oracle.model))
    refused = [(it.offset, it.code) for it in said if isinstance(it, Rejected) and it.code in REFUSALS]
    yield from _differences(f"refused of {partition}", oracle.refused, refused)
    filtered = [(it.source_offset, it.lead_id, it.verdict) for it in said if isinstance(it, Quarantined)]
    yield from _differences(f"quarantine of {partition}", oracle.told.quarantined, filtered)


def _states(world: World, partition: int, oracle: Linked) -> Iterator[str]:
    last = {it.key: it.value for it in world.committed("lead.state", partition)}
    there = {key.decode() for key, value in last.items() if key and value is not None}
    if there != set(oracle.told.leads):
        yield f"states of {partition}: {there ^ set(oracle.told.leads)} should be there, or should not"
        return
    for lead in oracle.told.leads.values():
        state = decode(last[lead.lead_id.encode()] or b"")
        assert isinstance(state, LeadState)
        yield from _asserted(
            f"{state}", lambda state=state, lead=lead: compare_state(state, lead, lead.judged_by or oracle.model)
        )


def _events(world: World, events: dict[bytes, Event]) -> Iterator[str]:
    """What was answered for is in one lead, once, or was filtered; a lead that expired may have had it."""
    holders: dict[bytes, set[bytes]] = defaultdict(set)
    for key, lead in _remembered(world):
        if not isinstance(lead, Lead):
            continue
        ids = ids_of(lead)
        if len(set(ids)) < len(ids):
            yield f"the lead {key!r} has an event twice"
        for id in ids:
            holders[id].add(key)
    times = Counter(step.act.id() for step in world.answered)
    suspects = {step.act.id() for step in world.answered if getattr(step, "verdict", "human") != "human"}
    for act in {step.act.id(): step.act for step in world.answered}.values():
        id, is_anonymous = act.id(), not act.user + act.email
        if id not in events:
            yield f"the event {act.name} was answered for, and is in no inbox"
        elif act.verdict == "human" and not holders[id] and id not in suspects and not is_anonymous:
            yield f"the event {act.name} is in no lead"
        elif len(holders[id]) > 1 and not (times[id] > 1 and is_anonymous):
            yield f"the event {act.name} is in {len(holders[id])} leads"


def _remembered(world: World) -> Iterator[tuple[bytes, State]]:
    """What the changelogs hold of leads and addresses."""
    for partition in range(PARTITIONS):
        kept = {it.key: it.value for it in world.committed("leads.changelog", partition)}
        for key, value in kept.items():
            if key is not None and value is not None and key[:1] in (b"u", b"e", b"a"):
                yield key, state.decode(value)


def _differences(what: str, wanted: list[Any], found: list[Any]) -> Iterator[str]:
    expected, seen = Counter(wanted), Counter(found)
    yield from (f"{what}: missing {it}" for it in expected - seen)
    yield from (f"{what}: twice or without cause {it}" for it in seen - expected)


def _asserted(what: str, check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except AssertionError as error:
        yield f"{what}: {str(error)[:300]}"
