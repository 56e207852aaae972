"""What a record changes on the read side: a function from the record to operations, as values.

Operations are such that the read side's content depends on the records and their order within each partition alone:
not on how topics interleave, nor on how records were cut into batches (`streams.readside_batch`).  So each key, or
field, is written from one topic only; sorted sets that keep their newest only ever take in; and what stands in several
sorted sets because of one thing is filed as a whole (`Cards`).

Keys expire by the broker's time of the record, because a record's own time may be long ago (imports).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import msgspec

from schemas import readside as keys
from schemas.codec import decode, encode
from schemas.records import (
    Activity,
    Assignment,
    Delivery,
    LeadAlert,
    LeadDuplicate,
    LeadState,
    LeadTransition,
    Notice,
    Presence,
    Promote,
    RaisedHand,
    Record,
    Tick,
    Waited,
)
from schemas.wire import Undecodable
from streams import state
from streams.desk.lifecycle import FINAL
from streams.desk.words import VISITOR
from streams.links import ID
from streams.state import Lead, Moved

TOPICS = (
    "lead.state",
    "lead.transitions",
    "lead.alerts",
    "lead.assignments",
    "lead.duplicates",
    "desk.events",
    "desk.notices",
    "alert.deliveries",
    "leads.changelog",
)
"""What is read: logical names."""

_TOUCHED = frozenset({"accepted", "attempted", "contacted", "won", "lost"})
_HANDS = frozenset({"contact_request", "suspect"})
_MOST_ID = 64
_MOST_SCORE = (1 << 53) - 1
_LEADS = b"uea"
_LEAD_MARK = b"\xa1L"
_MOVED_MARK = b"\xa1M"
R = TypeVar("R", bound=Record)


class Field(NamedTuple):
    """A field of a hash is this now; None: it is not there."""

    key: str
    field: str
    value: bytes | None


class First(NamedTuple):
    """A field of a hash is this unless it is there already."""

    key: str
    field: str
    value: bytes


class Text(NamedTuple):
    """A string is this now, until that time (ms)."""

    key: str
    value: bytes
    until: int


class Rank(NamedTuple):
    """A member of a sorted set has this score now; None: it is not in it."""

    key: str
    member: str
    score: int | None


class Newest(NamedTuple):
    """A sorted set has this member too, with this score at least, and keeps its `most` highest."""

    key: str
    member: bytes
    score: int
    most: int


class Expire(NamedTuple):
    """A key goes at this time (ms); None: it stays."""

    key: str
    at: int | None


class Extend(NamedTuple):
    """A key stays at least until this time (ms)."""

    key: str
    until: int


class Card(NamedTuple):
    """One place in a sorted set."""

    key: str
    member: str
    score: int


class Cards(NamedTuple):
    """Because of `source` exactly these places are taken, and no others any more."""

    source: str
    cards: tuple[Card, ...]


Operation = Field | First | Text | Rank | Newest | Expire | Extend | Cards


def fold(topic: str, key: bytes | None, value: bytes | None, at: int) -> list[Operation]:
    """What a record of a topic (logical name) changes; `at`: the broker's time of it (ms).

    Raises Undecodable, and nothing else, for what is no record of that topic.
    """
    return _FOLDS[topic](key, value, at)


def _state(key: bytes | None, value: bytes | None, _at: int) -> list[Operation]:
    lead_id = _lead_id(key)
    if value is None:
        return [Field(keys.STATES, lead_id, None), Rank(keys.HOT, lead_id, None)]
    read = _expect(value, LeadState)
    since = _score(read.hot_since or 0) if read.hot else None
    return [Field(keys.STATES, lead_id, value), Rank(keys.HOT, lead_id, since)]


def _memory(key: bytes | None, value: bytes | None, _at: int) -> list[Operation]:
    """Of anonymous leads only where they have moved to: there are many, and they are asked for by nobody."""
    if key is None or key[:1] not in _LEADS or key[1:2] != b"_":
        return []  # the cursor, the clock, and evidence
    lead_id = _lead_id(key)
    mark = (value or b"")[1:3] if (value or b"")[:1] < b"\xdc" else (value or b"")[3:5]
    moved = _moved(value or b"") if mark == _MOVED_MARK else None
    gone: list[Operation] = [Field(keys.MOVED, lead_id, moved)]
    if key.startswith(b"a"):
        return gone
    is_lead = mark == _LEAD_MARK
    cards = _names_of(lead_id, value or b"") if is_lead else ()
    return [*gone, Field(keys.MEMORIES, lead_id, value if is_lead else None), Cards(f"lead:{lead_id}", cards)]


def _moved(value: bytes) -> bytes:
    try:
        read = state.decode(value)
    except msgspec.MsgspecError as error:
        raise _no_state(error) from error
    return read.to.encode() if isinstance(read, Moved) else b""


def _names_of(lead_id: str, value: bytes) -> tuple[Card, ...]:
    try:
        read = state.decode(value)
        known = read.known if isinstance(read, Lead) else []
    except msgspec.MsgspecError as error:
        raise _no_state(error) from error
    return _names(lead_id, "", (each.value for each in known))


def _no_state(error: Exception) -> Undecodable:
    return Undecodable("malformed", f"no state of a lead: {error}")


def _names(lead_id: str, source: str, texts: Iterable[str]) -> tuple[Card, ...]:
    found = dict.fromkeys(token for text in texts for token in keys.tokens(text))
    return tuple(Card(keys.NAMES, f"{token}\0{lead_id}\0{source}", 0) for token in found)


def _transition(key: bytes | None, value: bytes | None, at: int) -> list[Operation]:
    lead_id = _lead_id(key)
    read = _expect(value, LeadTransition)
    return [] if lead_id.startswith("a_") else _entry(keys.timeline(lead_id), value, read.at, at)


def _alert(key: bytes | None, value: bytes | None, at: int) -> list[Operation]:
    lead_id = _lead_id(key)
    read = _expect(value, LeadAlert)
    written = value or b""
    return [
        Newest(keys.ALERTS, written, _score(read.at), keys.MOST[keys.ALERTS]),
        Text(keys.alert(lead_id), written, at + keys.KEPT_MS),
        *_entry(keys.timeline(lead_id), value, read.at, at),
    ]


def _assignment(_key: bytes | None, value: bytes | None, at: int) -> list[Operation]:
    read = _expect(value, Assignment)
    request_id, final = _id(read.request_id), read.status in FINAL
    request = keys.request(request_id)
    found: list[Operation] = [
        Field(request, "assignment", value),
        Expire(request, at + keys.KEPT_MS if final else None),
        Cards(f"request:{request_id}", () if final else _open(read)),
        *_entry(keys.history(request_id), value, read.decided_at, at, keys.ASKED_MS),
        *_asked(read.lead_id, request_id, read.requested_at, at),
    ]
    if read.status in _TOUCHED:
        found.append(First(request, "touched", b"%d" % read.decided_at))
    if final:
        found.append(Newest(keys.CLOSED, request_id.encode(), _score(read.decided_at), keys.MOST[keys.CLOSED]))
    if read.owner:
        found.append(Text(keys.owner(_id(read.lead_id)), read.owner.encode(), at + keys.KEPT_MS))
    return found


def _open(read: Assignment) -> tuple[Card, ...]:
    kind = "hands" if read.follow_up_class in _HANDS else "leads"
    due = keys.NO_DUE if read.due_at is None else _score(read.due_at)
    whose = f"rep:{read.owner}" if read.owner else f"queue:{read.queue}"
    return tuple(Card(keys.open_requests(kind, each), read.request_id, due) for each in ("all", whose))


def _duplicate(key: bytes | None, value: bytes | None, _at: int) -> list[Operation]:
    name = (key or b"").decode(errors="replace")
    evidence, *leads = name.split(":")
    if not all(ID.fullmatch(each) for each in (evidence, *leads)) or len(leads) != 2:
        raise Undecodable("bad_key", f"{name[:80]!r} is no evidence id and two lead ids")
    if value is not None:
        _expect(value, LeadDuplicate)
    return [Field(keys.duplicates(each), name, value) for each in leads]


def _desk_event(_key: bytes | None, value: bytes | None, at: int) -> list[Operation]:
    read = decode(value or b"")
    if isinstance(read, Tick | Promote):
        return []
    if isinstance(read, RaisedHand):
        return _hand(read, at)
    if isinstance(read, Waited):
        return [Text(keys.waiting(f"w{read.partition}-{read.offset}"), read.waiting, at + keys.ASKED_MS)]
    if isinstance(read, Activity):
        about = keys.history(_id(read.request_id)) if read.request_id else keys.timeline(_id(read.lead_id or ""))
        return _entry(about, value, at, at, keys.ASKED_MS)
    return [Field(keys.PRESENCE, _id(_as(read, Presence).rep), value)]


def _hand(read: RaisedHand, at: int) -> list[Operation]:
    request_id, lead_id = _id(read.request_id), _id(read.lead_id)
    written = encode(msgspec.structs.replace(read, engagement=b""))
    ids = dict.fromkeys(each for each in (lead_id, *read.identifiers) if ID.fullmatch(each) and each[0] in "uea")
    names = _names(lead_id, request_id, (read.name, read.company, read.email or ""))
    found: list[Operation] = [
        Text(keys.hand(request_id), written, at + keys.ASKED_MS),
        Newest(keys.HANDS, request_id.encode(), _score(read.received_at), keys.MOST[keys.HANDS]),
        Cards(f"hand:{request_id}", names),
    ]
    for each in ids:
        found += _asked(each, request_id, read.requested_at, at)
    return found


def _notice(_key: bytes | None, value: bytes | None, at: int) -> list[Operation]:
    read = _expect(value, Notice)
    found: list[Operation] = []
    if read.to != VISITOR:
        found += _entry(keys.notices(_id(read.to)), value, read.deliver_after, at)
    if read.request_id:
        found += _entry(keys.history(_id(read.request_id)), value, read.at, at, keys.ASKED_MS)
    return found


def _delivery(_key: bytes | None, value: bytes | None, at: int) -> list[Operation]:
    read = _expect(value, Delivery)
    found = _entry(keys.deliveries(_id(read.notice_id)), value, read.at, at)
    if read.request_id:
        found += _entry(keys.history(_id(read.request_id)), value, read.at, at, keys.ASKED_MS)
    return found


def _entry(key: str, value: bytes | None, own_time: int, at: int, kept_ms: int = keys.KEPT_MS) -> list[Operation]:
    return [Newest(key, value or b"", _score(own_time), keys.MOST_OF_A_LEAD), Extend(key, at + kept_ms)]


def _asked(lead_id: str, request_id: str, requested_at: int, at: int) -> list[Operation]:
    key = keys.requests_of(_id(lead_id))
    return [
        Newest(key, request_id.encode(), _score(requested_at), keys.MOST_OF_A_LEAD),
        Extend(key, at + keys.ASKED_MS),
    ]


def _expect(value: bytes | None, cls: type[R]) -> R:
    return _as(decode(value or b""), cls)


def _as(read: Record, cls: type[R]) -> R:
    if not isinstance(read, cls):
        raise Undecodable("wrong_record", f"a {type(read).__name__}, where a {cls.__name__} stands")
    return read


def _score(time: int) -> int:
    """A time as a sorted set holds it: a double, exact up to 2^53."""
    return min(max(time, 0), _MOST_SCORE)


def _id(text: str) -> str:
    """An id that becomes part of a key: what is longer than any of ours is somebody's nonsense."""
    if not 0 < len(text) <= _MOST_ID:
        raise Undecodable("bad_id", f"an id of {len(text)} characters: {text[:_MOST_ID]!r}")
    return text


def _lead_id(key: bytes | None) -> str:
    text = (key or b"").decode(errors="replace")
    if not ID.fullmatch(text):
        raise Undecodable("bad_key", f"{text[:_MOST_ID]!r} is no lead id")
    return text


_FOLDS: dict[str, Callable[[bytes | None, bytes | None, int], list[Operation]]] = {
    "lead.state": _state,
    "lead.transitions": _transition,
    "lead.alerts": _alert,
    "lead.assignments": _assignment,
    "lead.duplicates": _duplicate,
    "desk.events": _desk_event,
    "desk.notices": _notice,
    "alert.deliveries": _delivery,
    "leads.changelog": _memory,
}
