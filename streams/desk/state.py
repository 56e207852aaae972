"""What the desk remembers, under which keys.  MessagePack arrays; all times are ms since the epoch, 0 means never."""

from __future__ import annotations

import msgspec

CLOCK = b"\x00clock"


def case_key(request_id: str) -> bytes:
    """The key of a request."""
    return b"r/" + request_id.encode()


def rep_key(rep: str) -> bytes:
    """The key of a person of the roster."""
    return b"p/" + rep.encode()


def held_key(topic: str, identifier: str) -> bytes:
    """The key of an identifier (a lead id) among requests of one topic."""
    return f"l/{topic}/{identifier}".encode()


def waiting_key(partition: int) -> bytes:
    """The key of a partition of desk.waiting."""
    return b"w/%d" % partition


def pool_key(pool: str) -> bytes:
    """The key of a pool."""
    return b"c/" + pool.encode()


class Ask(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One request of a case."""

    request_id: str
    lead_id: str
    requested_at: int


class Case(msgspec.Struct, array_like=True, tag="C", gc=False, kw_only=True):
    """What one person wants, in one or several requests: it has one owner or one queue, or one final status."""

    asks: list[Ask]
    """The first gives the case its key."""
    identifiers: list[str]
    """Lead ids of whoever asks."""
    follow_up_class: str
    topic: str
    country: str
    language: str
    score: int
    """Milli-points; 0 if unknown."""
    account: str
    who: str
    """Name and company, in words."""
    message: str
    preferred_channel: str
    call_after: int
    status: str = ""
    owner: str = ""
    queue: str = ""
    responsible: str = ""
    pool: str = ""
    rung: int = 0
    """How many steps of the ladder have been taken."""
    since: int = 0
    """From here the wait for the next step counts, ..."""
    left: int = 0
    """... so much working time, in ms."""
    paused: int = 0
    """What was left of the ladder's step when somebody acknowledged."""
    due: int = 0
    """When a tick is to look at this case; 0 never."""
    promised: int = 0
    """When something has to have happened, as it was published last."""
    next_slot: int = 0
    attempt: int = 0
    decided_at: int = 0
    declined: list[str] = []
    """Who is not to be offered it again."""
    offered: list[str] = []
    """Who had it before and may still take it."""
    accepted_by: list[str] = []
    """Whose acknowledgement has paused the ladder once."""
    charged: int = 0
    """The credit that its owner paid for it ..."""
    charged_in: str = ""
    """... in the round robin of this pool."""
    heard: list[str] = []
    """Ids of the last activities, against repeats."""
    former: str = ""
    """Who had it before it went to a queue."""
    engagement: bytes = b""
    """Of a suspect, until it is released."""


class Joined(msgspec.Struct, array_like=True, tag="J", frozen=True, gc=False):
    """A request that is part of another one's case."""

    to: str


class Rep(msgspec.Struct, array_like=True, tag="P", gc=False):
    """What a person of the roster has said and done."""

    presence: str = "on"
    until: int = 0
    missed: int = 0
    """Deadlines missed in the shift ..."""
    missed_until: int = 0
    """... that lasts until then."""
    rest_until: int = 0
    """Out of the rotation until then."""
    told_from: int = 0
    """Beginning of the hour in which ..."""
    told: int = 0
    """... so many hot leads were told at once."""
    held: list[str] = []
    """Requests that the next digest is to tell, ..."""
    held_more: int = 0
    """... and so many more, ..."""
    digest_at: int = 0
    """... at that time; 0 if there is none."""


class Held(msgspec.Struct, array_like=True, tag="H", frozen=True, gc=False):
    """The case in which an identifier was seen last."""

    case: str


class Credits(msgspec.Struct, array_like=True, tag="R", gc=False):
    """The round robin of a pool: person → credit."""

    of: dict[str, int] = {}


class Seen(msgspec.Struct, array_like=True, tag="W", frozen=True, gc=False):
    """The last offset of a partition of desk.waiting that the desk has had."""

    offset: int


class Clock(msgspec.Struct, array_like=True, tag="T", gc=False):
    """The largest tick so far, and when no ticks came."""

    now: int = 0
    outages: list[tuple[int, int]] = []


State = Case | Joined | Rep | Held | Credits | Seen | Clock

encode = msgspec.msgpack.Encoder().encode
"""A state as bytes."""
decode = msgspec.msgpack.Decoder(State).decode
"""The state in bytes; raises msgspec.ValidationError or DecodeError where the changelog holds none."""
