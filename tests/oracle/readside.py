"""What the read side holds, counted out naively from all records at once; for stories whose times lie in the future."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from schemas import readside as keys
from schemas.codec import decode, encode
from schemas.records import (
    Activity,
    Assignment,
    Delivery,
    LeadAlert,
    LeadState,
    LeadTransition,
    Notice,
    Presence,
    RaisedHand,
    Waited,
)

OVER = ("contacted", "won", "lost", "spam", "expired")
_REST, _KNOWN = 19, 0


class Said(NamedTuple):
    """A record as it stands in a partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    at: int


class Expected:
    """Collects what is expected, key by key."""

    def __init__(self) -> None:
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.sets: dict[str, dict[bytes, int]] = {}
        self.texts: dict[str, bytes] = {}
        self.expiry: dict[str, int] = {}

    def put(self, key: str, field: str, value: bytes | None) -> None:
        """A field of a hash."""
        fields = self.hashes.setdefault(key, {})
        fields.pop(field, None)
        if value is not None:
            fields[field] = value

    def keep(self, key: str, value: bytes, score: int, until: int | None, most: int) -> None:
        """A member of a set of the newest."""
        members = self.sets.setdefault(key, {})
        members[value] = max(score, members.get(value, 0))
        while len(members) > most:
            del members[min(members, key=lambda each: (members[each], each))]
        if until:
            self.expiry[key] = max(until, self.expiry.get(key, 0))

    def entry(self, key: str, said: Said, score: int, kept: int = keys.KEPT_MS) -> None:
        """A line of a history."""
        self.keep(key, said.value or b"", score, said.at + kept, keys.MOST_OF_A_LEAD)

    def content(self) -> dict[str, tuple[Any, int | None]]:
        """All of it, as Redis has it."""
        found: dict[str, Any] = {**self.hashes, **self.sets, **self.texts}
        return {key: (value, self.expiry.get(key)) for key, value in found.items() if value != {}}


def expected(partitions: Iterable[Sequence[Said]]) -> dict[str, tuple[Any, int | None]]:
    """The content after all records of these partitions (each of one topic), in their order."""
    it, filed = Expected(), dict[str, list[tuple[str, str, int]]]()
    for said in (each for partition in partitions for each in partition):
        if said.topic == "leads.changelog" and (said.key or b"").startswith(b"\0"):
            continue  # the lane's own, about no lead
        if said.topic in ("lead.state", "leads.changelog", "lead.duplicates"):
            _keyed(it, filed, said, (said.key or b"").decode())
        elif said.topic.startswith("lead."):
            _of_a_lead(it, filed, said, decode(said.value or b""))
        else:
            _of_the_desk(it, filed, said, decode(said.value or b""))
    for source, cards in filed.items():
        if cards:
            it.put(keys.CARDS, source, msgspec.msgpack.encode(cards))
        for key, member, score in cards:
            it.sets.setdefault(key, {})[member.encode()] = score
    return it.content()


def _keyed(it: Expected, filed: dict[str, list[tuple[str, str, int]]], said: Said, key: str) -> None:
    if said.topic == "lead.duplicates":
        _, one, two = key.split(":")
        it.put(keys.duplicates(one), key, said.value)
        it.put(keys.duplicates(two), key, said.value)
    elif said.topic == "lead.state":
        it.put(keys.STATES, key, said.value)
        it.sets.setdefault(keys.HOT, {}).pop(key.encode(), None)
        state = decode(said.value) if said.value else None
        if isinstance(state, LeadState) and state.hot:
            it.sets[keys.HOT][key.encode()] = state.hot_since or 0
    elif key.startswith(("u_", "e_", "a_")):  # what else is in the changelog is the workers' business
        fields = msgspec.msgpack.decode(said.value) if said.value else [""]
        it.put(keys.MOVED, key, fields[1].encode() if fields[0] == "M" else None)
        if not key.startswith("a_"):
            it.put(keys.MEMORIES, key, said.value if fields[0] == "L" else None)
            rest = msgspec.msgpack.decode(fields[_REST]) if fields[0] == "L" else []
            known = [each[1] for each in rest[_KNOWN]] if rest else []
            filed[f"lead:{key}"] = _names(key, "", known)


def _names(lead_id: str, source: str, texts: Iterable[str]) -> list[tuple[str, str, int]]:
    found = dict.fromkeys(token for text in texts for token in keys.tokens(text))
    return [(keys.NAMES, f"{token}\0{lead_id}\0{source}", 0) for token in found]


def _of_a_lead(it: Expected, filed: dict[str, list[tuple[str, str, int]]], said: Said, record: Any) -> None:
    if isinstance(record, LeadTransition):
        if not record.lead_id.startswith("a_"):
            it.entry(keys.timeline(record.lead_id), said, record.at)
    elif isinstance(record, LeadAlert):
        it.entry(keys.timeline(record.lead_id), said, record.at)
        it.keep(keys.ALERTS, said.value or b"", record.at, None, 1_000)
        key = keys.alert(record.lead_id)
        it.texts[key], it.expiry[key] = said.value or b"", said.at + keys.KEPT_MS
    elif isinstance(record, Assignment):
        _assignment(it, filed, said, record)


def _assignment(it: Expected, filed: dict[str, list[tuple[str, str, int]]], said: Said, record: Assignment) -> None:
    request, over = keys.request(record.request_id), record.status in OVER
    it.put(request, "assignment", said.value)
    it.expiry.pop(request, None)
    if record.status in ("accepted", "attempted", "contacted", "won", "lost"):
        it.hashes[request].setdefault("touched", str(record.decided_at).encode())
    if over:
        it.expiry[request] = said.at + keys.KEPT_MS
        it.keep(keys.CLOSED, record.request_id.encode(), record.decided_at, None, 1_000)
    it.entry(keys.history(record.request_id), said, record.decided_at, keys.ASKED_MS)
    _asked(it, said, record.lead_id, record.request_id, record.requested_at)
    if record.owner:
        key = keys.owner(record.lead_id)
        it.texts[key], it.expiry[key] = record.owner.encode(), said.at + keys.KEPT_MS
    kind = "hands" if record.follow_up_class in ("contact_request", "suspect") else "leads"
    whose = f"rep:{record.owner}" if record.owner else f"queue:{record.queue}"
    due = (1 << 53) - 1 if record.due_at is None else record.due_at
    places = [] if over else [f"open:{kind}:all", f"open:{kind}:{whose}"]
    filed[f"request:{record.request_id}"] = [(place, record.request_id, due) for place in places]


def _asked(it: Expected, said: Said, lead_id: str, request_id: str, at: int) -> None:
    it.keep(keys.requests_of(lead_id), request_id.encode(), at, said.at + keys.ASKED_MS, keys.MOST_OF_A_LEAD)


def _of_the_desk(it: Expected, filed: dict[str, list[tuple[str, str, int]]], said: Said, record: Any) -> None:
    if isinstance(record, RaisedHand):
        key = keys.hand(record.request_id)
        it.texts[key] = encode(msgspec.structs.replace(record, engagement=b""))
        it.expiry[key] = said.at + keys.ASKED_MS
        it.keep(keys.HANDS, record.request_id.encode(), record.received_at, None, 1_000)
        for each in {record.lead_id, *record.identifiers}:
            if each[0] in "uea":
                _asked(it, said, each, record.request_id, record.requested_at)
        texts = (record.name, record.company, record.email or "")
        filed[f"hand:{record.request_id}"] = _names(record.lead_id, record.request_id, texts)
    elif isinstance(record, Waited):
        key = keys.waiting(f"w{record.partition}-{record.offset}")
        it.texts[key], it.expiry[key] = record.waiting, said.at + keys.ASKED_MS
    elif isinstance(record, Activity):
        about = keys.history(record.request_id) if record.request_id else keys.timeline(record.lead_id or "")
        it.entry(about, said, said.at, keys.ASKED_MS)
    elif isinstance(record, Presence):
        it.put(keys.PRESENCE, record.rep, said.value)
    elif isinstance(record, Notice | Delivery):
        if isinstance(record, Delivery):
            it.entry(keys.deliveries(record.notice_id), said, record.at)
        elif record.to != "visitor":
            it.entry(keys.notices(record.to), said, record.deliver_after)
        if record.request_id:
            it.entry(keys.history(record.request_id), said, record.at, keys.ASKED_MS)
