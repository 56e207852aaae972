"""The records on the topics, as immutable values; their fields are the fields of the .avsc files, in the same order.

All times are int milliseconds since the epoch (UTC), except in `LeadMemory`.  What a field means
stands in the schema's `doc` and in docs/topics.md.  Values are not checked when a record is made: the type checker and
the encoder do that.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from schemas.desk_records import Activity as Activity
from schemas.desk_records import Assignment as Assignment
from schemas.desk_records import Delivery as Delivery
from schemas.desk_records import Notice as Notice
from schemas.desk_records import Presence as Presence
from schemas.desk_records import RaisedHand as RaisedHand
from schemas.desk_records import Waited as Waited
from schemas.desk_records import Waiting as Waiting


class Engagement(msgspec.Struct, frozen=True, gc=False):
    """One thing a visitor did, as a tracker told it and the gateway stamped it.

    The first eight fields are the hot prefix that `schemas.head` reads from the bytes.
    """

    event_id: bytes
    """Exactly 8 bytes."""
    occurred_at: int
    kind: str
    asset: str
    title: str
    verdict: str
    email: str | None
    identifiers: tuple[str, ...]
    source: str
    message_id: str
    call: str
    event: str
    received_at: int
    sent_at: int | None = None
    original_at: int | None = None
    flags: tuple[str, ...] = ()
    user_id: str | None = None
    anonymous_id: str | None = None
    phone: str | None = None
    country: str = ""
    ip: str | None = None
    user_agent: str = ""
    verdict_reasons: tuple[str, ...] = ()
    consent: str = "{}"
    url: str = ""
    referrer: str = ""
    campaign: str = "{}"
    library: str = ""
    properties: str = "{}"
    traits: str = "{}"
    context: str = "{}"
    aliases: tuple[str, ...] = ()


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time passing, as an event."""

    at: int


class LeadState(msgspec.Struct, frozen=True, gc=False):
    """The present state of a lead; the last record under its key stands."""

    lead_id: str
    as_of: int
    behaviour_millipoints: int
    level: int
    hot: bool
    hot_since: int | None
    stage: str
    stage_since: int
    first_seen: int
    last_seen: int
    events: int
    visits: int
    model: str
    source_partition: int
    source_offset: int


class LeadTransition(msgspec.Struct, frozen=True, gc=False):
    """One change of a lead's stage, heat or identity, and its cause."""

    lead_id: str
    aspect: str
    before: str
    after: str
    at: int
    cause: str
    cause_event: str | None
    behaviour_millipoints: int
    source_partition: int
    source_offset: int
    other: str | None = None


class Reason(msgspec.Struct, frozen=True, gc=False):
    """One reason for an alert: words, the rule behind them, and what it adds to the score now."""

    text: str
    rule: str
    millipoints: int


class LeadAlert(msgspec.Struct, frozen=True, gc=False):
    """A fact about a lead that is worth a person's attention, with the reasons."""

    alert_id: str
    kind: str
    lead_id: str
    at: int
    behaviour_millipoints: int
    level: int
    reasons: tuple[Reason, ...]
    follow_up: str
    email: str | None
    user_id: str | None
    model: str
    cause_event: str | None
    source_partition: int
    source_offset: int


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """An engagement that is kept out of scoring, with the verdict and the record itself."""

    lead_id: str
    verdict: str
    reasons: tuple[str, ...]
    at: int
    event_id: str
    record: bytes
    source_partition: int
    source_offset: int


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A dead letter: bytes that could not be read as an event, unchanged, with what was wrong."""

    source: str
    code: str
    reason: str
    at: int
    record: bytes
    key: bytes | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


class Link(msgspec.Struct, frozen=True, gc=False):
    """Mail to an identifier: the owner was seen with it."""

    owner: str
    at: int
    via: str | None


class Sighted(msgspec.Struct, frozen=True, gc=False):
    """Mail to the home of evidence: a lead was seen with it."""

    lead: str
    at: int
    evidence: str
    via: str | None


class Sum(msgspec.Struct, frozen=True, gc=False):
    """The points of folded events in one channel, in forward form relative to the memory's line."""

    channel: int
    total: int


class VisitCount(msgspec.Struct, frozen=True, gc=False):
    """Where the count of visits stands; `last` in seconds."""

    count: int
    last: int
    pages: int


class Cleared(msgspec.Struct, frozen=True, gc=False):
    """When (in seconds) the points of a group were last cleared."""

    group: int
    at: int


class KnownIdentifier(msgspec.Struct, frozen=True, gc=False):
    """An identifier of a lead, since when it is known and when it was proved, in seconds (0: never)."""

    kind: str
    value: str
    since: int
    verified: int


class Title(msgspec.Struct, frozen=True, gc=False):
    """The name of what a rule last matched."""

    rule: int
    title: str


class LeadMemory(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a lead, as it travels to another.  Times here are whole SECONDS; 0 is never."""

    line: int
    first_seen: int
    last_seen: int
    as_of: int
    events: int
    times: bytes
    ids: bytes
    marks: str
    onces: bytes
    origins: bytes = b""
    links: bytes = b""
    base: tuple[Sum, ...] = ()
    visits_before: VisitCount = VisitCount(0, 0, 0)
    cleared: tuple[Cleared, ...] = ()
    stage: str = "visitor"
    stage_since: int = 0
    hot_since: int = 0
    alerted_at: int = 0
    email: str | None = None
    known: tuple[KnownIdentifier, ...] = ()
    titles: tuple[Title, ...] = ()
    late: int = 0
    old_onces: bytes = b""


class Absorb(msgspec.Struct, frozen=True, gc=False):
    """Mail to an owner: the memory of a lead that is one with it from now on."""

    source: str
    owner: str
    at: int
    cause: str
    memory: LeadMemory


class DeviceLost(msgspec.Struct, frozen=True, gc=False):
    """Mail to a lead: an identifier that it had or claimed is not its own."""

    identifier: str
    at: int
    reason: str
    owner: str


class Merge(msgspec.Struct, frozen=True, gc=False):
    """Mail to one of two leads: both are the same person."""

    other: str
    at: int
    by: str


class Unmerge(msgspec.Struct, frozen=True, gc=False):
    """Mail to an absorbed lead: it was another person after all."""

    at: int
    by: str


class Release(msgspec.Struct, frozen=True, gc=False):
    """Mail to the survivor of a merge: the merge is undone, and the memory is to be given back."""

    source: str
    at: int
    by: str
    memory: LeadMemory


class NotTheSame(msgspec.Struct, frozen=True, gc=False):
    """Mail to the home of evidence: two leads that share it are different persons."""

    evidence: str
    lead: str
    other: str
    at: int
    by: str


class RuleFile(msgspec.Struct, frozen=True, gc=False):
    """One file of a rule set."""

    name: str
    text: str


class Promote(msgspec.Struct, frozen=True, gc=False):
    """To the desk, and from it to each partition of the leads: this rule set is in force from here on."""

    version: str
    files: tuple[RuleFile, ...]
    at: int
    by: str


class PublishedRules(msgspec.Struct, frozen=True, gc=False):
    """A rule set as it was published; under the key `promoted` the one that is in force."""

    version: str
    files: tuple[RuleFile, ...]
    at: int
    by: str
    former: str | None = None


class LeadDuplicate(msgspec.Struct, frozen=True, gc=False):
    """A suspicion that two leads are one person, or what became of it; the last record under its key stands."""

    evidence_id: str
    evidence: str
    lead_id: str
    other_id: str
    status: str
    at: int
    cause: str
    source_partition: int
    source_offset: int


class DeploymentFact(msgspec.Struct, frozen=True, gc=False):
    """Something that all processes of a deployment must agree on; the last record under its key stands."""

    name: str
    value: str
    at: int


Mail = Link | Sighted | Absorb | DeviceLost | Merge | Unmerge | Release | NotTheSame | Promote
"""What leads, and the desk, write to leads through lead.events."""

Record = (
    Engagement
    | Tick
    | LeadState
    | LeadTransition
    | LeadAlert
    | Quarantined
    | Rejected
    | Mail
    | LeadDuplicate
    | DeploymentFact
    | PublishedRules
    | RaisedHand
    | Waiting
    | Waited
    | Activity
    | Presence
    | Assignment
    | Notice
    | Delivery
)
"""Whatever stands as the value of a record on one of the topics."""

RECORDS: dict[str, type[Record]] = {cls.__name__: cls for cls in get_args(Record)}
"""Each record by its schema's name."""

MAIL = frozenset(cls.__name__ for cls in get_args(Mail))
"""The names of the records that are mail: their schema ids lie in `schemas.wire.MAIL_RANGE`."""
