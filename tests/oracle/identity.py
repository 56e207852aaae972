"""Who is who, and whose each event is, read naively from the recorded inboxes: the oracle of identity.

It looks at one record after the other, key by key, and at nothing that a fold remembers.  For each key it notes when
its lead went elsewhere and when it came back; then it follows each event from where it was first said to where it
ended.  It shares no code with the core.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from schemas.codec import decode
from schemas.records import Absorb, Engagement, Link, Merge, Record, Unmerge
from tests.oracle import replay
from tests.oracle.naive import Event

MOST_FORMER = 16
RANKS = "uea"
"""Kinds of lead id, strongest first."""


@dataclass(frozen=True)
class Entry:
    """A record of some inbox, under its key; places grow along a partition."""

    place: int
    value: bytes
    body: Record


@dataclass(frozen=True)
class Change:
    """What a record did to its key: from then on the key leads `to` another lead; None: its own lead came back."""

    place: int
    to: str | None
    by: str
    departs: bool = False
    """A lead lived there, and went to the other one with all it had."""
    since_s: int | None = None
    """Of a device that changed hands: from when on it is the other one's; what happened before is not."""


@dataclass(frozen=True)
class Claim:
    """A signed-in event, or an alias: a lead was seen with a device."""

    at_s: int
    lead: str


@dataclass
class Told:
    """What the inboxes tell."""

    events: dict[str, dict[bytes, Event]] = field(default_factory=lambda: defaultdict(dict))
    """Final lead → its events by their ids."""
    devices: dict[bytes, str | None] = field(default_factory=dict)
    """Event id → the device that an event came from, if any."""
    claims: dict[str, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    """Device → who was seen with it, as leads that are left at the end."""
    evidence: set[tuple[str, str]] = field(default_factory=set)
    """(final lead, evidence that came with its events)"""
    homes: dict[str, str] = field(default_factory=dict)
    """Key without a lead of its own → the lead to which it leads at the end."""


def strength(lead: str) -> tuple[int, str]:
    """Of two leads the one with the smaller strength survives."""
    return RANKS.index(lead[0]), lead


class Inboxes:
    """The records of all partitions, by key."""

    def __init__(self, logs: Sequence[Sequence[replay.Record]]) -> None:
        self.of: dict[str, list[Entry]] = defaultdict(list)
        for log in logs:
            for record in log:
                if record.key is not None and record.value is not None:
                    key = record.key.decode()
                    self.of[key].append(Entry(record.offset, record.value, decode(record.value)))
        self.changes = {key: list(self._changes(key)) for key in self.of}

    def _changes(self, key: str) -> Iterator[Change]:
        """When the lead under a key went and came back; and where its mail went when it was away."""
        now: Change | None = None
        lives, at_s, arrived, parting = False, 0, False, False
        for entry in self.of[key]:
            body, before = entry.body, now
            match body:
                case Engagement() if now is None:
                    lives |= body.verdict == "human"
                case Absorb() if now is None:
                    lives = True
                case Link() if body.via == key and body.owner != key:
                    arrived = True
                case Link() if body.via == key and parting and now is not None:
                    yield Change(entry.place, None, "unmerge")
                    now, before, lives, parting = None, None, True, False
                case Link() if strength(body.owner) < strength(key):
                    then_s = body.at // 1000
                    if now is None and not (lives and key[0] == "u"):
                        now, at_s = Change(entry.place, body.owner, "link", lives), then_s
                    elif now is not None and now.to == body.owner:
                        at_s = max(at_s, then_s)
                    elif now is not None and self._wins(key, now, at_s, body):
                        heir = body.via == now.to and then_s >= at_s
                        by, since_s = (now.by, None) if heir else ("link", then_s)
                        now, at_s = Change(entry.place, body.owner, by, since_s=since_s), then_s
                case Merge() if lives and strength(body.other) < strength(key):
                    now, at_s = Change(entry.place, body.other, "merge", departs=True), body.at // 1000
                    arrived = False
                case Unmerge() if now is not None and now.by == "merge" and arrived:
                    parting = True
            lives = lives and now is None
            if now is not None and now is not before:
                yield now

    @staticmethod
    def _wins(key: str, now: Change, at_s: int, link: Link) -> bool:
        """Whether a link takes an identifier from its owner: the owner's heir does; of a device, who saw it last."""
        assert now.to is not None
        then_s = link.at // 1000
        if link.via == now.to and then_s >= at_s:
            return True
        return key[0] == "a" and (-then_s, strength(link.owner)) < (-at_s, strength(now.to))

    def away(self, key: str, place: int, at_s: int | None = None) -> str | None:
        """Where the key leads at that place of its inbox; None if its lead is there itself.

        `at_s`: when the event happened that is looked for; of a device's last owners each has what was in their time.
        """
        told = [change for change in self.changes.get(key, ()) if change.place < place]
        if not told or told[-1].to is None or at_s is None:
            return told[-1].to if told else None
        handed = [n for n, change in enumerate(told) if change.since_s is not None][-MOST_FORMER:]
        for n in handed:
            since_s = told[n].since_s
            if since_s is not None and at_s < since_s:
                return told[n - 1].to
        return told[-1].to

    def final(self, key: str, place: int) -> str:
        """The lead that has at the end what the lead under `key` had at `place`, or got there."""
        changes = [change for change in self.changes.get(key, ()) if change.place > place]
        if not changes or changes[0].to is None:
            return key
        back = next((change for change in changes if change.to is None), None)
        if back is not None:  # a merge that was undone: what the lead had before is its own again
            return self.final(key, back.place)
        went = changes[0]
        before = [each for each in self.changes[key] if each.place < went.place and each.departs and each.to == went.to]
        return self._absorbed(key, changes[0].to, len(before))

    def _absorbed(self, source: str, owner: str, number: int) -> str:
        """Where the lead ended that `source` sent to `owner`, after `number` that it had sent there before."""
        sent = [
            entry
            for entry in self.of[owner]
            if isinstance(entry.body, Absorb) and entry.body.source == source and entry.body.owner == owner
        ]
        assert sent, f"{source} went to {owner} and did not arrive"
        entry = sent[min(number, len(sent) - 1)]
        return self.final(*self.landing(owner, entry))

    def landing(self, key: str, entry: Entry) -> tuple[str, int]:
        """The key and place where a record is taken at last, followed through all forwarding addresses."""
        for _ in range(100):
            at_s = entry.body.occurred_at // 1000 if isinstance(entry.body, Engagement) else None
            to = self.away(key, entry.place, at_s)
            if to is None:
                return key, entry.place
            copies = [other for other in self.of[to] if other.value == entry.value]
            assert copies, f"what was said to {key} belongs to {to} and did not arrive"
            key, entry = to, copies[-1]
        raise AssertionError("a circle")

    def home(self, key: str) -> str:
        """The lead to which a key leads at the end."""
        end = 1 << 62
        for _ in range(100):
            to = self.away(key, end)
            if to is None:
                return key
            key = to
        raise AssertionError("a circle")


def tell(logs: Sequence[Sequence[replay.Record]], said: Sequence[tuple[int, int]]) -> Told:
    """Who has which event at the end.

    `said`: partition and offset of each record that came from outside, in the order of their coming.
    """
    inboxes, told = Inboxes(logs), Told()
    outside = set(said)
    for log_number, log in enumerate(logs):
        for record in log:
            if (log_number, record.offset) not in outside or record.key is None or record.value is None:
                continue
            body = decode(record.value)
            if not isinstance(body, Engagement) or body.verdict != "human":
                continue
            key, place = inboxes.landing(record.key.decode(), Entry(record.offset, record.value, body))
            lead = inboxes.final(key, place)
            told.events[lead][body.event_id] = Event(
                body.event_id, body.occurred_at // 1000, body.kind, body.asset, json.loads(body.properties), body.email
            )
            told.evidence |= {(lead, each) for each in body.identifiers if each[0] in "mpn"}
            devices = [each for each in body.identifiers if each.startswith("a_")]
            told.devices[body.event_id] = devices[-1] if devices else None
            devices += [each for each in body.aliases if body.kind == "alias" and each.startswith("a_")]
            if not body.identifiers[0].startswith("a_"):
                for device in devices:
                    told.claims[device].append(Claim(body.occurred_at // 1000, lead))
    for key in inboxes.of:
        if (home := inboxes.home(key)) != key:
            told.homes[key] = home
    return told
