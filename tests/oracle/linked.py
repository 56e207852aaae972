"""One partition's records where leads write to each other: who departs, who takes in whom, and what is passed on.

Each partition is told by itself, from its own inbox.  The mail in that inbox was written by the folds that are judged,
so it is judged, too: what a partition has to send is told, and must be what stands in the others' inboxes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.records import Absorb, Engagement, Link, Merge
from tests.oracle.naive import Event, Lead, Model
from tests.oracle.replay import Change, Partition, Record, Word

MOST_OWNERS = 16
MOST_FORMER = 16
STAGES = ("visitor", "inquiry", "mql")
"""In the order in which one gets further."""

Letter = tuple[object, ...]
"""What has to stand in another inbox: a lead that departed, see `departed`, or an event, see `passed_on`."""


def strength(id: str) -> tuple[int, str]:
    """Of two leads the one with the smaller strength survives."""
    return "uea".index(id[0]), id


@dataclass
class Address:
    """Where the events of an identifier go; to nobody if `to` is empty."""

    to: str
    at_s: int
    owners: set[str]
    before: list[tuple[int, str]] = field(default_factory=list)
    """Former owners of a device, with the time until which it was theirs."""

    def owner_at(self, at_s: int) -> str:
        """Whose an event of that time is."""
        for until_s, owner in self.before[-MOST_FORMER:]:
            if at_s < until_s:
                return owner
        return self.to


class Linked(Partition):
    """Tells one partition.  `find`: the event of an id, wherever it was said."""

    def __init__(self, model: Model, words: Container[Word], find: Callable[[bytes], Event]) -> None:
        super().__init__(model, words)
        self._find = find
        self.addresses: dict[str, Address] = {}
        self.sent: list[tuple[int, Letter]] = []
        """What the folds had to write, with the offset of the record that caused it."""
        self.received: Counter[Letter] = Counter()
        """What folds have written into this inbox."""

    def _take(self, record: Record, body: Any) -> None:
        key = (record.key or b"").decode()
        match body:
            case Link():
                self._link(record.offset, key, body)
            case Absorb():
                self._absorb(record.offset, key, body)
            case Merge() if key in self.told.leads and strength(body.other) < strength(key):
                self._depart(record.offset, key, body.other, body.at // 1000)
            case _:
                super()._take(record, body)

    def _engagement(self, record: Record, lead_id: str, body: Engagement) -> None:
        if body.identifiers and lead_id != body.identifiers[0]:
            self.received[passed_on(lead_id, body.event_id)] += 1
        address = self.addresses.get(lead_id)
        if address is None:
            super()._engagement(record, lead_id, body)
        elif address.to:
            self.sent.append((record.offset, passed_on(address.owner_at(body.occurred_at // 1000), body.event_id)))
        else:
            self.told.quarantined.append((record.offset, lead_id, "suspect"))

    def _link(self, offset: int, key: str, link: Link) -> None:
        address, at_s = self.addresses.get(key), link.at // 1000
        assert strength(link.owner) < strength(key), "identifiers belong to what is stronger"
        if key.startswith("u_") and key in self.told.leads:
            return  # only a wish makes two users one
        if address is None and key in self.told.leads:
            self._depart(offset, key, link.owner, at_s)
        elif address is None:
            self.addresses[key] = Address(link.owner, at_s, {link.owner})
        elif address.to == link.owner:
            address.at_s = max(address.at_s, at_s)
        elif address.to:
            heir = link.via == address.to and at_s >= address.at_s
            later = (-at_s, strength(link.owner)) < (-address.at_s, strength(address.to))
            if heir:
                address.to, address.at_s = link.owner, at_s
            elif key.startswith("a_") and later:
                address.before.append((at_s, address.to))
                address.to, address.at_s = link.owner, at_s
            address.owners.add(link.owner)
            assert len(address.owners) <= MOST_OWNERS, "the stories know no such device"

    def _depart(self, offset: int, key: str, owner: str, at_s: int) -> None:
        lead = self.told.leads.pop(key)
        for what in ("cool", "expire"):
            self._due.pop(f"{what} {key}", None)
        self.addresses[key] = Address(owner, at_s, {owner})
        ids = [event.event_id for event in lead.events]
        letter = departed(key, owner, lead.stage, lead.as_of_s, lead.last_alert_s or 0, ids)
        self.sent.append((offset, letter))
        then_s = max(lead.as_of_s, self.told.now_s)
        points = lead.millipoints(self.model, then_s)
        self.told.changes.append(Change(offset, key, "identity", "lead", "moved", then_s, points, None))

    def _absorb(self, offset: int, key: str, mail: Absorb) -> None:
        """Take in all events of another lead; what it was told to be, and that it was given an alert, counts on."""
        told, memory = self.told, mail.memory
        ids = [memory.ids[n : n + 8] for n in range(0, len(memory.ids), 8)]
        if mail.owner == key:
            self.received[departed(mail.source, key, memory.stage, memory.as_of, memory.alerted_at, ids)] += 1
        if key in self.addresses:
            return
        lead = told.leads.setdefault(key, Lead(key))
        for id in ids:
            if not lead.has(id):
                lead.accept(self.model, self._find(id), told.now_s)
        assert not lead.late, "the stories know no such old events"
        lead.as_of_s = max(lead.as_of_s, memory.as_of, told.now_s)
        lead.last_alert_s = max(filter(None, (lead.last_alert_s, memory.alerted_at)), default=None)
        if STAGES.index(memory.stage) > STAGES.index(lead.stage):
            points = lead.millipoints(self.model, lead.as_of_s)
            told.changes.append(Change(offset, key, "stage", lead.stage, memory.stage, lead.as_of_s, points, None))
            lead.stage = memory.stage
        self._judge(offset, lead, None)


def departed(source: str, owner: str, stage: str, as_of_s: int, alerted_at: int, ids: Sequence[bytes]) -> Letter:
    """A lead that went to another one: what is compared of what it told."""
    digest = hashlib.sha256(b"".join(sorted(ids))).hexdigest()
    return "departed", source, owner, stage, as_of_s, alerted_at, len(ids), digest


def passed_on(to: str, event_id: bytes) -> Letter:
    """An event under an identifier that another lead owns."""
    return "passed on", to, event_id
