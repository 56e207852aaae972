"""One partition's records where leads write to each other: who departs, who takes in whom, and what is passed on.

Each partition is told by itself, from its own inbox.  The mail in that inbox was written by the folds that are judged,
so it is judged, too: what a partition has to send is told, and must be what stands in the others' inboxes.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.records import Absorb, Engagement, Link, Merge, Release, Unmerge
from tests.oracle.naive import Event, Lead, Model
from tests.oracle.replay import Change, Partition, Record, Word

MOST_OWNERS = 16
MOST_FORMER = 16
MOST_WAITING = 4
STAGES = ("visitor", "inquiry", "mql")
"""In the order in which one gets further."""

Letter = tuple[object, ...]
"""What has to stand in another inbox: a lead that departed, see `departed`; an event, see `passed_on`; a merge that is
undone, see `released`; the answer to a merge or its undoing, see `answered`."""


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

    merged: bool = False
    """By somebody's wish; or others were merged into it."""
    was_merged_into: bool = False
    frozen: Lead | None = None
    """As it was, as long as that can be undone."""
    into: str = ""
    """Who took it in, once that is known."""
    parting: bool = False
    waiting: list[tuple[str, Sequence[bytes]]] = field(default_factory=list)
    """Releases for whoever took it in: source, and ids of its events."""

    def owner_at(self, at_s: int) -> str:
        """Whose an event of that time is."""
        for until_s, owner in self.before[-MOST_FORMER:]:
            if at_s < until_s:
                return owner
        return self.to


class Linked(Partition):
    """Tells one partition.  `find`: the event of an id, wherever it was said; of several copies that of a time."""

    def __init__(self, model: Model, words: Container[Word], find: Callable[[bytes, int], Event]) -> None:
        super().__init__(model, words)
        self._find = find
        self.addresses: dict[str, Address] = {}
        self.sent: list[tuple[int, Letter]] = []
        """What the folds had to write, with the offset of the record that caused it."""
        self.received: Counter[Letter] = Counter()
        """What folds have written into this inbox."""
        self.refused: list[tuple[int, str]] = []
        """Wishes that must be rejected, with the code."""
        self.claims: dict[str, set[str]] = defaultdict(set)
        """E-mail address → leads that gave it though it was another's."""
        self.copies: Counter[bytes] = Counter()
        """How often each event was said."""
        self._merged_into: set[str] = set()

    def _take(self, record: Record, body: Any) -> None:
        key = (record.key or b"").decode()
        match body:
            case Link():
                self._link(record.offset, key, body)
            case Absorb():
                self._absorb(record.offset, key, body)
            case Merge():
                self._merge(record.offset, key, body)
            case Unmerge():
                self._unmerge(record.offset, key)
            case Release():
                self._release(record.offset, key, body)
            case _:
                super()._take(record, body)

    def _engagement(self, record: Record, lead_id: str, body: Engagement) -> None:
        if body.identifiers and lead_id != body.identifiers[0]:
            self.received[passed_on(lead_id, body.event_id)] += 1
        else:
            self.copies[body.event_id] += 1
        address = self.addresses.get(lead_id)
        if address is None:
            super()._engagement(record, lead_id, body)
        elif address.to:
            self.sent.append((record.offset, passed_on(address.owner_at(body.occurred_at // 1000), body.event_id)))
        else:
            self.told.quarantined.append((record.offset, lead_id, "suspect"))

    def _link(self, offset: int, key: str, link: Link) -> None:
        address, at_s = self.addresses.get(key), link.at // 1000
        if link.via == key:
            self._answered(offset, key, link.owner)
            return
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
            assert heir or not address.parting, "the stories know no such claim"
            later = (-at_s, strength(link.owner)) < (-address.at_s, strength(address.to))
            if heir:
                address.to, address.at_s = link.owner, at_s
            elif key.startswith("a_") and later:
                address.before.append((at_s, address.to))
                address.to, address.at_s, address.frozen = link.owner, at_s, None
            elif key.startswith("e_") and not (
                link.via in self.claims[key] and strength(link.owner) < strength(link.via)  # it has who claimed it
            ):
                self.claims[key].add(link.owner)
            address.owners.add(link.owner)
            assert len(address.owners) <= MOST_OWNERS, "the stories know no such device"

    def _merge(self, offset: int, key: str, wish: Merge) -> None:
        address = self.addresses.get(key)
        if address is not None and address.parting:
            self.refused.append((offset, "under_way"))
        elif address is None and key in self.told.leads and strength(wish.other) < strength(key):
            frozen = self.told.leads[key]
            self._depart(offset, key, wish.other, wish.at // 1000)
            self.addresses[key].merged, self.addresses[key].frozen = True, frozen

    def _unmerge(self, offset: int, key: str) -> None:
        address = self.addresses.get(key)
        if address is None or address.frozen is None:
            self.refused.append((offset, "not_merged"))
        elif address.parting or not address.into:
            self.refused.append((offset, "under_way"))
        else:
            address.parting = True
            ids = [event.event_id for event in address.frozen.events]
            self.sent.append((offset, released(key, address.into, ids)))

    def _release(self, offset: int, key: str, mail: Release) -> None:
        """Handed on from address to address, and taken out of what was frozen there, until a lead has it."""
        ids = [mail.memory.ids[n : n + 8] for n in range(0, len(mail.memory.ids), 8)]
        self.received[released(mail.source, key, ids)] += 1
        address = self.addresses.get(key)
        if address is None:
            if (lead := self.told.leads.get(key)) is not None and not lead.ids.isdisjoint(ids):
                self._renew(offset, lead, max(lead.as_of_s, self.told.now_s))
                lead = self.told.leads[key] = self._without(lead, ids)
                lead.as_of_s = max(lead.as_of_s, self.told.now_s)
                self._judge(offset, lead, None)
            self.sent.append((offset, answered(mail.source, mail.source)))
            return
        if address.frozen is not None:
            address.frozen = self._without(address.frozen, ids)
        if address.into or not address.merged:
            self.sent.append((offset, released(mail.source, address.into or address.to, ids)))
        elif len(address.waiting) < MOST_WAITING:
            address.waiting.append((mail.source, ids))
        else:
            self.sent.append((offset, released(mail.source, key, ids)))

    def _without(self, lead: Lead, ids: Sequence[bytes]) -> Lead:
        """The lead without those events; what was said about it stays said."""
        less = Lead(lead.lead_id)
        for event in lead.events:
            if event.event_id not in ids:
                less.accept(self.model, event, 0)
        less.alone = [entry for entry in lead.alone if entry.event.event_id not in ids]
        less.as_of_s, less.hot, less.hot_since_s = lead.as_of_s, lead.hot, lead.hot_since_s
        less.stage, less.last_alert_s = lead.stage, lead.last_alert_s
        return less

    def _answered(self, offset: int, key: str, owner: str) -> None:
        """The lead of this key has arrived at its owner; or it is to live again."""
        self.received[answered(key, owner)] += 1
        address = self.addresses[key]
        if owner != key:
            if not address.into:
                address.into = owner
                self.sent += [(offset, released(source, owner, ids)) for source, ids in address.waiting]
                address.waiting = []
        elif address.parting and address.frozen is not None:
            del self.addresses[key]
            lead = self.told.leads[key] = address.frozen
            if address.was_merged_into:
                self._merged_into.add(key)
            lead.as_of_s = max(lead.as_of_s, self.told.now_s)
            points = lead.millipoints(self.model, lead.as_of_s)
            self.told.changes.append(Change(offset, key, "identity", "moved", "lead", lead.as_of_s, points, None))
            self._judge(offset, lead, None)

    def _depart(self, offset: int, key: str, owner: str, at_s: int) -> None:
        lead = self.told.leads.pop(key)
        for what in ("cool", "expire"):
            self._due.pop(f"{what} {key}", None)
        nested = key in self._merged_into
        self._merged_into.discard(key)
        self.addresses[key] = Address(owner, at_s, {owner}, merged=nested, was_merged_into=nested)
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
        if mail.cause != "link":
            self._merged_into.add(key)
            self.sent.append((offset, answered(mail.source, key)))
        self._renew(offset, lead, max(lead.as_of_s, memory.as_of, told.now_s))
        # A retry may say another time; which copy counts was for the other lead to see, where each came.
        times_s = [int.from_bytes(memory.times[n : n + 4], "little") for n in range(0, len(memory.times), 4)]
        for id, at_s in zip(ids, times_s, strict=True):
            if not lead.has(id):
                lead.accept(self.model, self._find(id, at_s), told.now_s)
        assert not lead.late, "the stories know no such old events"
        lead.as_of_s = max(lead.as_of_s, memory.as_of, told.now_s)
        lead.last_alert_s = max(filter(None, (lead.last_alert_s, memory.alerted_at)), default=None)
        if STAGES.index(memory.stage) > STAGES.index(lead.stage):
            points = lead.millipoints(self.model, lead.as_of_s)
            told.changes.append(Change(offset, key, "stage", lead.stage, memory.stage, lead.as_of_s, points, None))
            lead.stage = memory.stage
        self._judge(offset, lead, None)


def suspects(homes: Mapping[str, str], claims: Mapping[str, set[str]]) -> set[tuple[str, ...]]:
    """Each claimed address with its owner and a lead that gave it though it was another's, as they are by now.

    `homes`: where each key leads that is no lead's.
    """

    def home(key: str) -> str:
        while key in homes:
            key = homes[key]
        return key

    return {
        (address, *sorted((home(address), home(claimant)), key=strength))
        for address, claimants in claims.items()
        for claimant in claimants
        if home(address) != home(claimant)
    }


def departed(source: str, owner: str, stage: str, as_of_s: int, alerted_at: int, ids: Sequence[bytes]) -> Letter:
    """A lead that went to another one: what is compared of what it told."""
    digest = hashlib.sha256(b"".join(sorted(ids))).hexdigest()
    return "departed", source, owner, stage, as_of_s, alerted_at, len(ids), digest


def released(source: str, to: str, ids: Sequence[bytes]) -> Letter:
    """What a lead had brought that is to live again, on its way through those that have it."""
    return "released", source, to, len(ids), hashlib.sha256(b"".join(sorted(ids))).hexdigest()


def answered(source: str, owner: str) -> Letter:
    """Who has a merged lead now; itself, if the merge is undone."""
    return "answered", source, owner


def passed_on(to: str, event_id: bytes) -> Letter:
    """An event under an identifier that another lead owns."""
    return "passed on", to, event_id
