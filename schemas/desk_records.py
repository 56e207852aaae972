"""The desk's records, as immutable values; see `schemas.records`, which has all of them.

All times are int milliseconds since the epoch (UTC).
"""

from __future__ import annotations

import msgspec


class RaisedHand(msgspec.Struct, frozen=True, gc=False):
    """Somebody asks to be contacted: one request, as the gateway read it from the event that carries it."""

    request_id: str
    lead_id: str
    identifiers: tuple[str, ...]
    requested_at: int
    received_at: int
    topic: str
    country: str
    language: str
    email: str | None
    phone: str | None
    name: str
    company: str
    message: str
    verdict: str
    verdict_reasons: tuple[str, ...]
    preferred_channel: str
    call_after: int | None
    owner: str | None
    score_millipoints: int | None
    account: str | None
    engagement: bytes


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """Mail from a lead to the desk: it qualified or got hot, and somebody should follow up."""

    lead_id: str
    reason: str
    at: int
    score_millipoints: int
    level: int
    country: str
    email: str | None
    reasons: tuple[str, ...]
    source_partition: int
    source_offset: int


class Waited(msgspec.Struct, frozen=True, gc=False):
    """Mail to the desk that has arrived, with its place on desk.waiting: the desk drops what it has had."""

    partition: int
    offset: int
    waiting: bytes


class Activity(msgspec.Struct, frozen=True, gc=False):
    """What a person did about a request or a lead, in the console, on the command line or in a CRM."""

    activity_id: str
    request_id: str | None
    lead_id: str | None
    rep: str
    kind: str
    reason: str
    note: str
    channel: str
    at: int
    by: str


class Presence(msgspec.Struct, frozen=True, gc=False):
    """Whether a person can be given work now."""

    rep: str
    state: str
    until: int | None
    at: int
    by: str


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """Who has a request, until when and why: an owner or a queue. The last record of a request stands."""

    request_id: str
    lead_id: str
    follow_up_class: str
    owner: str | None
    queue: str | None
    responsible: str | None
    status: str
    due_at: int | None
    next_slot_at: int | None
    attempt: int
    cause: str
    trace: tuple[str, ...]
    requested_at: int
    decided_at: int
    source_partition: int
    source_offset: int


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What somebody is to be told, when and how."""

    notice_id: str
    to: str
    kind: str
    request_id: str | None
    lead_id: str | None
    text: str
    at: int
    deliver_after: int
    due_at: int | None
    channels: tuple[str, ...]


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """What became of one attempt to tell somebody a notice by a channel; or why there was none."""

    delivery_id: str
    notice_id: str
    to: str
    kind: str
    request_id: str | None
    lead_id: str | None
    channel: str
    target: str
    status: str
    attempt: int
    at: int
    next_at: int | None
    late: bool
    answer: str
