"""The read side: which keys it has in Redis, and what stands there.

`mirror` writes it, the console and the gateway read it.  All lies under a generation, so that a rebuild can fill a new
one and flip: the key `<prefix>rs:current` names the generation to read, `<prefix>rs:<generation>:<name>` are its keys.
Where there is no current generation, one is being filled and nothing is known yet.

Values that are records are the records' own bytes (Avro in Confluent's wire format: `schemas.codec.decode`), memories
are those of leads.changelog.  Times and scores of sorted sets are milliseconds since the epoch.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from schemas.wire import LOCK

LAYOUT = f"1.{max(version.id for versions in LOCK.values() for version in versions if version.id < 1 << 24)}"
"""Which keys there are, and which records were known when they were written: another one is rebuilt."""

DAY_MS = 86_400_000
KEPT_MS = 90 * DAY_MS
"""What is over is kept so long, counted from its own time."""
ASKED_MS = 120 * DAY_MS
"""What was asked is kept so long: a request is open for 30 days at most, and kept 90 days after that."""
NO_DUE = (1 << 53) - 1
"""The score of an open request of which nothing is due."""

STATES = "states"
"""Hash: lead id → LeadState.  A lead that is gone, or is part of another one, has none."""
MEMORIES = "memories"
"""Hash: id of a lead with a user id or an address (u_, e_) → what the workers remember of it (`streams.state`)."""
MOVED = "moved"
"""Hash: lead id → the lead it is a part of now; empty text: of nobody, too many have used it."""
HOT = "hot"
"""Sorted set: leads that are hot, by since when."""
HANDS = "hands"
"""Sorted set: the newest raised hands (request ids), by when the gateway received them."""
CLOSED = "closed"
"""Sorted set: requests (ids) that were closed last, by when; one that was opened again may still stand here."""
ALERTS = "alerts"
"""Sorted set: the newest LeadAlerts, by their time."""
PRESENCE = "presence"
"""Hash: person's id → their last Presence."""
NAMES = "names"
"""Sorted set, all scores 0, for ZRANGEBYLEX: `token NUL lead id NUL source`, see `tokens`."""
CARDS = "cards"
"""Hash: who filed it → what stands in sorted sets because of it; mirror's own."""
PLACES = "places"
"""Hash: `topic/partition` → next offset to read; mirror's own, written with what it stands for."""
HEALTH = "health"
"""Hash, rewritten about once a second while mirror lives: `seen` (its clock, ms), `caught_up` (when it had last read
everything, ms), `lag` (records not read yet)."""
IDENTITY = "identity"
"""Hash: `layout`, and each topic's name → its id and partition count: what the places belong to; mirror's own."""
WRITER = "writer"
"""String, for seconds: which mirror is at work; mirror's own."""

MOST = {HANDS: 1_000, CLOSED: 1_000, ALERTS: 1_000}
"""How many a sorted set holds: the newest."""
MOST_OF_A_LEAD = 300
"""So many does each sorted set of one lead, request or person hold: the newest."""
LEAST_LETTERS = 2
MOST_TOKENS = 16

_WORD = re.compile(r"[^\W_]+")


def current(prefix: str) -> str:
    """The key with the generation to read, a number in decimal; it is missing until the first one is filled."""
    return f"{prefix}rs:current"


def counter(prefix: str) -> str:
    """The key with the number of the youngest generation, the one that is being filled included."""
    return f"{prefix}rs:last"


def base(prefix: str, generation: int) -> str:
    """What the names below begin with in that generation."""
    return f"{prefix}rs:{generation}:"


def request(request_id: str) -> str:
    """Hash: `assignment`, the last one; `touched`, when somebody first took, tried or reached it (ms in decimal)."""
    return f"request:{request_id}"


def hand(request_id: str) -> str:
    """String: the RaisedHand, without its engagement."""
    return f"hand:{request_id}"


def waiting(request_id: str) -> str:
    """String: the Waiting behind a request `w<partition>-<offset>`."""
    return f"waiting:{request_id}"


def requests_of(lead_id: str) -> str:
    """Sorted set: request ids of all that was asked under this id, by when.  Ask for all ids of a person."""
    return f"requests:{lead_id}"


def history(request_id: str) -> str:
    """Sorted set: Assignments, Activities, Notices and Deliveries of a request, by their time."""
    return f"history:{request_id}"


def timeline(lead_id: str) -> str:
    """Sorted set: LeadTransitions and LeadAlerts of an identified lead, Activities about a lead itself, by time."""
    return f"timeline:{lead_id}"


def alert(lead_id: str) -> str:
    """String: the last LeadAlert."""
    return f"alert:{lead_id}"


def owner(lead_id: str) -> str:
    """String: id of the person who has, or last had, a request or lead under this id."""
    return f"owner:{lead_id}"


def duplicates(lead_id: str) -> str:
    """Hash: evidence id:lead id:other lead id → LeadDuplicate; each stands under both leads."""
    return f"duplicates:{lead_id}"


def open_requests(kind: str, whose: str = "all") -> str:
    """Sorted set: open requests, by when they are due (NO_DUE: never).

    `kind` is `hands` (contact requests, suspects) or `leads` (hot or qualified); `whose` is `all`, `rep:ID` or
    `queue:NAME`.
    """
    return f"open:{kind}:{whose}"


def notices(to: str) -> str:
    """Sorted set: Notices to a person or queue, by when they may be delivered."""
    return f"notices:{to}"


def deliveries(notice_id: str) -> str:
    """Sorted set: Deliveries of a notice, by their time."""
    return f"deliveries:{notice_id}"


@lru_cache(maxsize=16_384)
def tokens(text: str) -> tuple[str, ...]:
    """The words of a name or an address by which it is found: lower case, without accents, the whole address too."""
    plain = text[:400]
    if not plain.isascii():
        plain = "".join(each for each in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(each))
    plain = plain.casefold()
    words = [word for word in _WORD.findall(plain) if len(word) >= LEAST_LETTERS]
    if "@" in plain:
        words.insert(0, plain.strip())
    return tuple(dict.fromkeys(words))[:MOST_TOKENS]
