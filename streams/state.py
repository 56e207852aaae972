"""What is remembered under a key: a `Lead`; `Moved`, a forwarding address; or `Match`, who shares a piece of evidence.

States are MessagePack arrays (a tag first), small because millions of them are kept in memory.  All times are whole
seconds since the epoch; 0 means never.

A lead is decoded, changed a little and encoded again all the time, and what that costs is its number of objects.  So
what few events ask for, `Rest`, lies in it as bytes, which are opened when somebody asks.  Nothing here can be part of
a cycle, hence `gc=False`.
"""

from __future__ import annotations

from typing import Any

import msgspec

END = "\x00"
"""Ends the marks of one event."""
PAGE = "\x01"
"""Marks an event as a page view, whatever rules it matches."""


class Known(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An identifier of the lead as people write it, and since when it is known.

    Devices are not among them: their anonymous ids are kept as lead ids, in `Lead.links`.
    """

    kind: str
    """One letter, see `streams.identity.KIND_NAMES`."""
    value: str
    since: int
    verified: int = 0
    """Since when a human's click from a mail has shown that it is theirs."""


class Visits(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Where the count of visits stands."""

    count: int = 0
    last: int = 0
    """Time of the last page view."""
    pages: int = 0
    """Page views in the last visit."""


NO_VISITS = Visits()


class Rest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What few events of a lead ask for.  Not changed in place: see `Lead.keep`."""

    known: list[Known] = []
    titles: dict[int, str] = {}
    """rule code → the name of what the rule last matched."""
    alerted_at: int = 0
    late: int = 0
    """Events that came for a time before `line`."""
    old_onces: bytes = b""
    """What `onces` held for folded events, the newest 64."""
    visits_before: Visits = NO_VISITS
    """The count of visits at `line`."""
    crowded: int = 0
    """Since when the lead has too many identifiers to take another."""
    merged: int = 0
    """Since when it has taken in leads, or what had, by somebody's wish."""
    suspects: list[str] = []
    """Of an address's own lead, see `Moved.suspects`."""


class Lead(msgspec.Struct, array_like=True, tag="L", gc=False):
    """A lead: its recent events, its sums, where it stands, and which identifiers it has seen.

    The recent events stand in columns, in order of time: `times` (4 bytes each, little-endian), `ids` (8 bytes
    each), `marks` (per event: one character for each rule it matched, saying whether the match counts, then END),
    `onces` (8 bytes for each match of a rule that counts once, a hash of rule and asset, in the order of the marks) and
    `origins` (a byte each: the place in `links` of the device it came from, counted from 1; 0 for the lead's own key or
    none; a single byte if all are the same, none if all are 0).  Events before `line` are folded into `base`; `sums` is
    base and recent events together.  Both are sums in forward form relative to `line`, by channel.
    """

    model: int
    """The number of the rules under which marks and sums were made."""
    line: int
    first_seen: int
    last_seen: int
    as_of: int
    events: int = 0
    times: bytes = b""
    ids: bytes = b""
    marks: str = ""
    onces: bytes = b""
    sums: dict[int, int] = {}
    base: dict[int, int] = {}
    visits: Visits = NO_VISITS
    cleared: dict[int, int] = {}
    """group → when it was last cleared."""
    hot_since: int = 0
    stage: int = 0
    stage_since: int = 0
    email: str | None = None
    """The address that was learned or heard last; it is among those known."""
    rest: bytes = b"\x90"
    """A `Rest`, see `pack`."""
    ceiling: int = 0
    """The score in milli-points will not exceed this as long as no points are added."""
    wake: int = 0
    """When a tick is to look at this lead next."""
    origins: bytes = b""
    links: bytes = b""
    """The ids it has seen beside its own, in the order in which it saw them first: see `streams.links`."""

    def opened(self) -> Rest:
        """The rest, decoded."""
        return _rest_decoder.decode(self.rest)

    def keep(self, **changed: Any) -> None:
        """Change fields of the rest."""
        self.rest = pack(msgspec.structs.replace(self.opened(), **changed))

    @property
    def known(self) -> list[Known]:
        """The identifiers of the lead: what its key was made of, then addresses as they became known."""
        return self.opened().known

    @property
    def titles(self) -> dict[int, str]:
        """Rule code → the name of what the rule last matched."""
        return self.opened().titles

    @property
    def late(self) -> int:
        """Events that came for a time before `line`."""
        return self.opened().late


class Undo(msgspec.Struct, array_like=True, gc=False):
    """What an address keeps so that merges can be undone, see `streams.parting`: its own, or those into its lead."""

    frozen: bytes
    """The `Lead` that was merged by somebody's wish, as it was; empty if it is not to come back."""
    into: str = ""
    """The lead that took it in; empty as long as none has said so."""
    parting: bool = False
    """It is being taken out again."""
    waiting: list[bytes] = []
    """Releases, as records, that are to go to `into` when that is known."""

    def expire(self) -> None:
        """It is too late to undo it."""
        if self.into and not self.parting:
            self.frozen = b""


class Moved(msgspec.Struct, array_like=True, tag="M", gc=False):
    """A forwarding address: what is said under this key belongs to another lead."""

    to: str
    """The other lead's id; empty if the identifier has had too many owners to be anybody's."""
    at: int
    """When that lead was last seen with this identifier, as far as it said so."""
    used: int
    """When anything was last said under this key, to the day."""
    wake: int = 0
    """When a tick is to look at this key next."""
    owners: bytes = b""
    """The leads that have owned or claimed it, six characters of each one's id; empty while there was only one."""
    undo: Undo | None = None
    """None if nobody's wish has brought anybody here."""
    suspects: list[str] = []
    """Leads that may be one with its owner, by this e-mail address: the letter of the evidence and the lead's id; a
    capital letter where somebody has said that they are not the same.  Who claimed the address, `e`, is followed by
    those whose part it has become, one after the other, so that it can be taken out of them again."""
    before: list[tuple[int, str]] = []
    """Of a device, its latest former owners, oldest first, each with the time until which it was theirs."""

    def owner_at(self, at: int) -> str:
        """Who had the identifier at a time (seconds); empty if it is nobody's."""
        return next((owner for until, owner in self.before if at < until), self.to) if self.to else ""


class Match(msgspec.Struct, array_like=True, tag="S", gc=False):
    """The leads that share a piece of evidence, and so may be one person."""

    evidence: str
    """The id of the evidence."""
    leads: list[str]
    used: int
    """When one was last added."""
    wake: int = 0
    apart: list[tuple[str, str]] = []
    """Pairs of which somebody has said that they are not the same, each in order."""


State = Lead | Moved | Match

_encoder = msgspec.msgpack.Encoder()
_UNTOUCHED = msgspec.structs.astuple(Rest())
_rest_decoder = msgspec.msgpack.Decoder(Rest)
_decoder: msgspec.msgpack.Decoder[State] = msgspec.msgpack.Decoder(State)

encode = _encoder.encode
"""A state as bytes."""


def pack(rest: Rest) -> bytes:
    """The rest as a lead holds it: fields at its end that nothing has touched take no room."""
    values = list(msgspec.structs.astuple(rest))
    while values and values[-1] == _UNTOUCHED[len(values) - 1]:
        values.pop()
    return encode(values)


def decode(value: bytes) -> State:
    """The state in `value`; raises msgspec.ValidationError or DecodeError where the changelog holds none."""
    return _decoder.decode(value)
