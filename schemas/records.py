"""The records on the topics, as immutable values; their fields are the fields of the .avsc files, in the same order.

All times are int milliseconds since the epoch (UTC).  What a field means stands in the schema's `doc` and in
docs/topics.md.  Values are not checked when a record is made: the type checker and the encoder do that.
"""

from __future__ import annotations

import msgspec


class Engagement(msgspec.Struct, frozen=True, gc=False):
    """One thing a visitor did, as a tracker told it and the gateway stamped it.

    The first seven fields are the hot prefix that `schemas.head` reads from the bytes.
    """

    event_id: bytes
    """Exactly 8 bytes."""
    occurred_at: int
    kind: str
    asset: str
    title: str
    verdict: str
    email: str | None
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
    """One change of a lead's stage or heat, and its cause."""

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


Record = Engagement | Tick | LeadState | LeadTransition | LeadAlert | Quarantined | Rejected
"""Whatever stands as the value of a record on one of the topics."""

RECORDS: dict[str, type[Record]] = {
    cls.__name__: cls for cls in (Engagement, Tick, LeadState, LeadTransition, LeadAlert, Quarantined, Rejected)
}
"""Each record by its schema's name."""
