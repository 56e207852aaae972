"""The desk fold: raised hands, waiting leads, activities, presence and ticks in; assignments and notices out.

Guarantee: what is published is a function of the records of desk.events, their order, and the rules; how records were
cut into batches changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from schemas.codec import decode, encode
from schemas.head import is_unknown_mail
from schemas.records import Activity, Engagement, Presence, Promote, RaisedHand, Tick, Waited, Waiting
from schemas.wire import LOCK, MAIL_RANGE, PREFIX_SIZE, Undecodable
from streams import poison
from streams.desk import promotion, words
from streams.desk.activities import Activities
from streams.desk.cases import KEPT_MS, Cases
from streams.desk.ladder import Ladder
from streams.desk.lifecycle import OPEN
from streams.desk.memory import Memory
from streams.desk.publish import INBOX, DeskPublisher
from streams.desk.rules import DeskRules
from streams.desk.state import Ask, Case
from streams.desk.zones import DAY_MS
from streams.fold import InboxRecord, Sealed, States
from streams.links import ID
from streams.poison import LAST_MS, NONE, NewerMail, PoisonGauge, Skips
from streams.ruleset import RULES

MOST_DUE = 500
"""Due items that one record fires; a batch that has fired so many is full."""
OUTAGE_MS = 10_000
"""A longer time without a tick is an outage: it counts in no deadline."""
MOST_OUTAGES = 64
MOST_IDENTIFIERS = 16
MOST_MESSAGE = 300
MOST_NAME = 80
_REQUEST_ID = re.compile(r"[0-9a-f]{16}\Z")
_NEWEST_ID = max(each.id for versions in LOCK.values() for each in versions if each.id not in MAIL_RANGE)
_PRESENCES = ("on", "away", "off")
_CLASS_OF = {"mql": "qualified", "hot": "hot_lead"}


class DeskFold:
    """The desk over its one partition; implements streams.fold.PartitionFold."""

    def __init__(
        self,
        partition: int,
        states: States,
        rules: DeskRules,
        partitions: int,
        accept_poison: int = 0,
        skip: Skips = NONE,
    ) -> None:
        self._partition, self._states = partition, states
        self._gauge, self._skip = PoisonGauge(accept_poison), skip
        self._fired = 0
        """Due items that the open batch has fired."""
        self._memory = Memory(states)
        self._publisher = DeskPublisher(partitions)
        self._promoted: bytes | None = None
        """The set that the open batch has put in force, as it is remembered and published."""
        in_force, self._paused = promotion.remembered(states, rules)
        self._obey(in_force)

    # -- the contract with the lane

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Fold records into the open batch; returns how many were consumed (see PartitionFold)."""
        if self._paused is not None:
            return 0
        for index, record in enumerate(records):
            if self._fired >= MOST_DUE:
                return index
            self._publisher.begin(record.offset)
            try:
                if self._skip:
                    poison.skipped(record, self._skip)
                self._apply(record)
            except NewerMail as newer:
                self._paused = str(newer)
                return index
            except Undecodable as error:
                if not self._reject(record, error.code, error.reason):
                    return index
            except Exception as error:
                raise poison.unfoldable("desk", INBOX, self._partition, record, error) from error
            else:
                self._gauge.good(1)
        return len(records)

    def seal(self) -> Sealed:
        """Close the open batch."""
        self._fired = 0
        changes = self._memory.seal()
        if self._promoted is not None:
            changes[RULES] = self._states[RULES] = self._promoted
            self._promoted = None
        return Sealed(changes, self._publisher.take())

    def ready(self) -> str | None:
        """Why the partition is paused, or None."""
        return self._paused

    # -- one record

    def _apply(self, record: InboxRecord) -> None:
        value = record.value or b""
        try:
            read = decode(value)
        except Undecodable:
            self._stop_at_newer(record, value)
            raise
        at = min(max(self._memory.clock.now, record.timestamp, 0), LAST_MS)
        if isinstance(read, RaisedHand):
            self._hand(read, at)
        elif isinstance(read, Tick):
            self._tick(read, record.timestamp)
        elif isinstance(read, Activity):
            self._activities.receive(read, at)
        elif isinstance(read, Waited):
            self._waited(read, at)
        elif isinstance(read, Presence):
            self._presence(read, at)
        elif isinstance(read, Promote):
            self._promote(record, read, value)
        else:
            raise Undecodable("not_an_inbox_record", f"{INBOX} does not take {type(read).__name__}")
        self._fire()

    def _hand(self, hand: RaisedHand, at: int) -> None:
        ids = tuple(dict.fromkeys((hand.lead_id, *hand.identifiers)))[:MOST_IDENTIFIERS]
        if not _REQUEST_ID.match(hand.request_id) or not all(ID.fullmatch(each) for each in ids):
            raise Undecodable("bad_id", "a raised hand needs a request id of 16 hex digits, and lead ids")
        if self._memory.case(hand.request_id) is not None:
            return None  # sent twice
        is_human, scores = hand.verdict == "human", hand.topic == "sales" and bool(hand.engagement)
        later = hand.call_after or 0
        case = Case(
            asks=[Ask(hand.request_id, hand.lead_id, hand.requested_at)],
            identifiers=list(ids),
            follow_up_class="contact_request",
            topic=hand.topic,
            country=hand.country,
            language=hand.language,
            score=max(hand.score_millipoints or 0, 0),
            account=hand.account or "",
            who=words.name(hand.name[:MOST_NAME], hand.company[:MOST_NAME], hand.email or hand.phone or "A visitor"),
            message=hand.message[:MOST_MESSAGE],
            preferred_channel=hand.preferred_channel,
            call_after=later if at < later <= at + KEPT_MS else 0,
            engagement=_cleared(hand.engagement) if scores and not is_human else b"",
        )
        if scores:
            self._publisher.engagement(hand.lead_id, hand.engagement)
        if not is_human:
            return self._cases.doubt(case, at, hand.verdict_reasons)
        self._cases.receive(case, at, "raised_hand", hand.owner)
        settled = self._memory.case(hand.request_id)
        self._cases.confirm(settled or case, bool(hand.email), bool(hand.phone), at)
        return None

    def _waited(self, waited: Waited, at: int) -> None:
        waiting = decode(waited.waiting)
        if not isinstance(waiting, Waiting) or waiting.reason not in _CLASS_OF or not ID.fullmatch(waiting.lead_id):
            raise Undecodable("bad_waiting", "no Waiting record of a lead that qualified or got hot is in it")
        if not self._memory.is_news(waited.partition, waited.offset):
            return None
        follow_up_class = _CLASS_OF[waiting.reason]
        known = self._memory.held("sales", waiting.lead_id)
        if known is not None and known.status in OPEN:
            return self._cases.upgrade(known, follow_up_class, at)
        case = Case(
            asks=[Ask(f"w{waited.partition}-{waited.offset}", waiting.lead_id, waiting.at)],
            identifiers=[waiting.lead_id],
            follow_up_class=follow_up_class,
            topic="sales",
            country=waiting.country,
            language="",
            score=max(waiting.score_millipoints, 0),
            account="",
            who=waiting.email or waiting.lead_id,
            message=" · ".join(waiting.reasons)[:MOST_MESSAGE],
            preferred_channel="",
            call_after=0,
        )
        return self._cases.receive(case, at, waiting.reason, None)

    def _presence(self, presence: Presence, at: int) -> None:
        person = self._rules.roster.people.get(presence.rep)
        if person is None:
            raise Undecodable("unknown_person", f"the roster has nobody with the id {presence.rep!r}")
        if presence.state not in _PRESENCES:
            raise Undecodable("unknown_presence", f"{presence.state!r} is none of {', '.join(_PRESENCES)}")
        rep = self._memory.rep(person.id)
        rep.presence, rep.until = presence.state, presence.until or 0
        if not rep.until and rep.presence != "on":  # nobody stays away for good because they forgot to come back
            rep.until = person.schedule.next_shift(at) or 0
        self._memory.put_rep(person.id, rep)

    def _tick(self, tick: Tick, timestamp: int) -> None:
        if not 0 <= tick.at <= min(timestamp + DAY_MS, LAST_MS):
            raise Undecodable("from_the_future", f"the tick says {tick.at}, over 24 h after it was appended")
        clock = self._memory.clock
        if tick.at > clock.now:
            if clock.now and tick.at - clock.now > OUTAGE_MS:
                clock.outages = [*clock.outages, (clock.now, tick.at)][-MOST_OUTAGES:]
            clock.now = tick.at
            self._memory.tick()

    def _fire(self) -> None:
        now = self._memory.clock.now
        for _ in range(MOST_DUE):
            due = self._memory.pop(now)
            if due is None:
                return
            self._fired += 1
            if isinstance(due, str):
                self._cases.digests.fire(due, now)
            else:
                self._ladder.fire(due, now)

    # -- rules

    @property
    def rules(self) -> DeskRules:
        """The rules in force: those that were promoted last, or those that were given."""
        return self._rules

    def _promote(self, record: InboxRecord, wish: Promote, value: bytes) -> None:
        """Decide by another rule set from here on, and have the leads judged by it."""
        if not 0 <= wish.at <= min(record.timestamp + DAY_MS, LAST_MS):  # no lead would take it
            raise Undecodable("from_the_future", f"the wish says {wish.at}, over 24 h after it was appended")
        former = self._promoted or self._states.get(RULES)
        said = promotion.of(wish, former)
        if said is not None:
            self._obey(promotion.checked(wish, self._rules.zones))
            self._promoted = encode(said)
            self._publisher.promote(value, self._promoted, wish.at)

    def _obey(self, rules: DeskRules) -> None:
        self._rules = rules
        self._cases = Cases(rules, self._memory, self._publisher)
        self._activities, self._ladder = Activities(self._cases), Ladder(self._cases)
        for pool in rules.routing.pools.values():  # so that the first hand does not wait for everybody's hours
            pool.schedule.next_start(self._memory.clock.now)

    # -- helpers

    def _stop_at_newer(self, record: InboxRecord, value: bytes) -> None:
        """A record of a newer release is never rejected: a raised hand may be in it."""
        if len(value) > PREFIX_SIZE and not value[0]:
            number = int.from_bytes(value[1:PREFIX_SIZE], "big")
            if _NEWEST_ID < number <= _NEWEST_ID + 1_000 or is_unknown_mail(value):
                raise poison.newer(INBOX, self._partition, record)

    def _reject(self, record: InboxRecord, code: str, reason: str) -> bool:
        """Dead-letter a record; False if it is part of a flood and must stay unread."""
        if not self._gauge.poison():
            self._paused = poison.flood("desk", poison.place(INBOX, self._partition, record), code, reason)
            return False
        self._publisher.reject(poison.dead_letter(INBOX, self._partition, record, code, reason, poison.MEND))
        return True


def _cleared(engagement: bytes) -> bytes:
    """The event of a hand that may be spam as it is if somebody says that it is none; empty if it cannot be read."""
    try:
        read = decode(engagement)
    except Undecodable:
        return b""
    if not isinstance(read, Engagement):
        return b""
    return encode(msgspec.structs.replace(read, verdict="human", verdict_reasons=()))
