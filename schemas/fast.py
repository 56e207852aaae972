"""Encoders written by hand for the records that come by the thousand: the same bytes as fastavro's in a fraction.

Python joins text much faster than it appends bytes, so a record is put together as one text in which each character
stands for one byte (Latin-1) and encoded once.  A text field that is not ASCII becomes its UTF-8 bytes in that
notation first.  Lengths and numbers come from tables of ready varints; what is too long for them goes to fastavro.
A test holds every encoder here equal to fastavro's, and so notices a schema that moved on without them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from schemas.head import IDENTIFIER_SIZE, MOST_IDENTIFIERS
from schemas.records import (
    Absorb,
    Assignment,
    DeviceLost,
    Engagement,
    KnownIdentifier,
    LeadMemory,
    LeadTransition,
    Link,
    Notice,
    Quarantined,
    Release,
    Tick,
)

_PAIR = 1 << 14
_TWO_PAIRS = 1 << 28
_THREE_PAIRS = 1 << 42
_EVENT_ID_SIZE = 8


def varint(raw: int) -> str:
    """Return an unsigned number as an Avro varint, in Latin-1 notation."""
    text = ""
    while raw > 127:
        text += chr(raw & 127 | 128)
        raw >>= 7
    return text + chr(raw)


# Each number of 14 bits as the end of a varint, and as the two bytes in the middle of one.
_END = [varint(raw) for raw in range(_PAIR)]
_MIDDLE = [chr(raw & 127 | 128) + chr(raw >> 7 | 128) for raw in range(_PAIR)]
_HOT, _COLD = "\1\2", "\0\0"
"""Hot, since a time that follows; not hot, and since never."""
_SIZE = _END[::2]
"""A length, up to 8191, as zigzag varint."""
_ID_SIZE = _SIZE[IDENTIFIER_SIZE]


def long(number: int) -> str:
    """Return a number as zigzag varint, in Latin-1 notation; OverflowError if it does not fit 64 bits."""
    raw = number << 1 if number >= 0 else ~(number << 1)
    if raw < _PAIR:
        return _END[raw]
    if raw < _TWO_PAIRS:
        return _MIDDLE[raw & 16383] + _END[raw >> 14]
    if raw < _THREE_PAIRS:
        return f"{_MIDDLE[raw & 16383]}{_MIDDLE[raw >> 14 & 16383]}{_END[raw >> 28]}"
    if raw >> 64:
        raise OverflowError(f"{number} does not fit an Avro long (64 bits)")
    return varint(raw)


def _seconds(seconds: int) -> str:
    """Return a time in seconds as the varint of its milliseconds."""
    raw = seconds * 2_000
    if _TWO_PAIRS <= raw < _THREE_PAIRS:
        return f"{_MIDDLE[raw & 16383]}{_MIDDLE[raw >> 14 & 16383]}{_END[raw >> 28]}"
    return long(seconds * 1_000)


def engagement_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of engagements; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_engagement(record: Engagement) -> bytes:
        r = record
        event_id = r.event_id
        if len(event_id) != _EVENT_ID_SIZE:
            raise ValueError(f"event_id has {len(event_id)} bytes; it is a fixed field of {_EVENT_ID_SIZE}")
        texts = (
            r.kind, r.asset, r.title, r.verdict, r.source, r.message_id, r.call, r.event, r.country, r.user_agent,
            r.consent, r.url, r.referrer, r.campaign, r.library, r.properties, r.traits, r.context,
        )  # fmt: skip
        if not "".join(texts).isascii():
            texts = tuple(  # type: ignore[assignment]  # as many as there were
                [text if text.isascii() else text.encode().decode("latin-1") for text in texts]
            )
        (
            kind, asset, title, verdict, source, message_id, call, event, country, user_agent,
            consent, url, referrer, campaign, library, properties, traits, context,
        ) = texts  # fmt: skip
        size = _SIZE
        try:
            return (
                f"{start}{event_id.decode('latin-1')}{long(r.occurred_at)}"
                f"{size[len(kind)]}{kind}{size[len(asset)]}{asset}{size[len(title)]}{title}"
                f"{size[len(verdict)]}{verdict}{_nullable(r.email)}{_ids(r.identifiers)}"
                f"{size[len(source)]}{source}{size[len(message_id)]}{message_id}{size[len(call)]}{call}"
                f"{size[len(event)]}{event}{long(r.received_at)}{_nullable_long(r.sent_at)}"
                f"{_nullable_long(r.original_at)}{_array(r.flags)}{_nullable(r.user_id)}{_nullable(r.anonymous_id)}"
                f"{_nullable(r.phone)}{size[len(country)]}{country}{_nullable(r.ip)}"
                f"{size[len(user_agent)]}{user_agent}{_array(r.verdict_reasons)}{size[len(consent)]}{consent}"
                f"{size[len(url)]}{url}{size[len(referrer)]}{referrer}{size[len(campaign)]}{campaign}"
                f"{size[len(library)]}{library}{size[len(properties)]}{properties}{size[len(traits)]}{traits}"
                f"{size[len(context)]}{context}{_array(r.aliases)}"
            ).encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_engagement


def lead_state_writer(prefix: bytes, model: str, partition: int) -> Callable[..., bytes]:
    """Return what writes `LeadState` records under one model from one partition, straight from a lead's values.

    It takes no record: one is made for each changed lead of each batch, and making it costs as much as writing it.
    All times are whole seconds; `hot_since` is 0 for never.
    """
    start, end = prefix.decode("latin-1"), _text(model) + long(partition)

    def write_lead_state(
        lead_id: str, as_of: int, score: int, level: int, hot_since: int, stage: str, stage_since: int,
        first_seen: int, last_seen: int, events: int, visits: int, offset: int,
    ) -> bytes:  # fmt: skip
        last = _seconds(last_seen)
        first = last if first_seen == last_seen else _seconds(first_seen)
        heat = _HOT + _seconds(hot_since) if hot_since else _COLD
        return (
            f"{start}{_text(lead_id)}{last if as_of == last_seen else _seconds(as_of)}{long(score)}{_END[2 * level]}"
            f"{heat}{_text(stage)}"
            f"{first if stage_since == first_seen else _seconds(stage_since)}{first}{last}{long(events)}{long(visits)}"
            f"{end}{long(offset)}"
        ).encode("latin-1")

    return write_lead_state


def transition_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of transitions; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_transition(record: LeadTransition) -> bytes:
        r = record
        try:
            return (
                f"{start}{_text(r.lead_id)}{_text(r.aspect)}{_text(r.before)}{_text(r.after)}{long(r.at)}"
                f"{_text(r.cause)}{_nullable(r.cause_event)}{long(r.behaviour_millipoints)}"
                f"{long(r.source_partition)}{long(r.source_offset)}{_nullable(r.other)}"
            ).encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_transition


def quarantined_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of filtered events; those with texts too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_quarantined(record: Quarantined) -> bytes:
        r = record
        try:
            head = (
                f"{start}{_text(r.lead_id)}{_text(r.verdict)}{_array(r.reasons)}{long(r.at)}{_text(r.event_id)}"
                f"{long(len(r.record))}"
            )
        except IndexError:
            return otherwise(record)
        tail = long(r.source_partition) + long(r.source_offset)
        return b"".join((head.encode("latin-1"), r.record, tail.encode("latin-1")))

    return encode_quarantined


def tick_encoder(prefix: bytes, _otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of ticks, which are never too long."""

    def encode_tick(record: Tick) -> bytes:
        return prefix + long(record.at).encode("latin-1")

    return encode_tick


def link_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of links; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_link(record: Link) -> bytes:
        try:
            return f"{start}{_text(record.owner)}{long(record.at)}{_nullable(record.via)}".encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_link


def device_lost_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of lost devices; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_device_lost(record: DeviceLost) -> bytes:
        r = record
        try:
            text = f"{start}{_text(r.identifier)}{long(r.at)}{_text(r.reason)}{_text(r.owner)}"
            return text.encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_device_lost


def absorb_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of absorbed leads; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_absorb(record: Absorb) -> bytes:
        r = record
        try:
            text = f"{start}{_text(r.source)}{_text(r.owner)}{long(r.at)}{_text(r.cause)}{_memory(r.memory)}"
            return text.encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_absorb


def release_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of released leads; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_release(record: Release) -> bytes:
        r = record
        try:
            return f"{start}{_text(r.source)}{long(r.at)}{_text(r.by)}{_memory(r.memory)}".encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_release


def _memory(memory: LeadMemory) -> str:
    m, visits = memory, memory.visits_before
    return (
        f"{long(m.line)}{long(m.first_seen)}{long(m.last_seen)}{long(m.as_of)}{long(m.events)}{_bytes(m.times)}"
        f"{_bytes(m.ids)}{_text(m.marks)}{_bytes(m.onces)}{_bytes(m.origins)}{_bytes(m.links)}"
        f"{_items([long(each.channel) + long(each.total) for each in m.base])}"
        f"{long(visits.count)}{long(visits.last)}{long(visits.pages)}"
        f"{_items([long(each.group) + long(each.at) for each in m.cleared])}"
        f"{_text(m.stage)}{long(m.stage_since)}{long(m.hot_since)}{long(m.alerted_at)}{_nullable(m.email)}"
        f"{_items([_known(each) for each in m.known])}"
        f"{_items([long(each.rule) + _text(each.title) for each in m.titles])}{long(m.late)}{_bytes(m.old_onces)}"
    )


def _known(known: KnownIdentifier) -> str:
    return f"{_text(known.kind)}{_text(known.value)}{long(known.since)}{long(known.verified)}"


def _items(items: list[str]) -> str:
    return f"{_SIZE[len(items)]}{''.join(items)}\0" if items else "\0"


def _bytes(value: bytes) -> str:
    return long(len(value)) + value.decode("latin-1")


def assignment_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of assignments; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_assignment(record: Assignment) -> bytes:
        r = record
        try:
            return (
                f"{start}{_text(r.request_id)}{_text(r.lead_id)}{_text(r.follow_up_class)}{_nullable(r.owner)}"
                f"{_nullable(r.queue)}{_nullable(r.responsible)}{_text(r.status)}{_nullable_long(r.due_at)}"
                f"{_nullable_long(r.next_slot_at)}{long(r.attempt)}{_text(r.cause)}{_array(r.trace)}"
                f"{long(r.requested_at)}{long(r.decided_at)}{long(r.source_partition)}{long(r.source_offset)}"
            ).encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_assignment


def notice_encoder(prefix: bytes, otherwise: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return the encoder of notices; records too long for the tables go to `otherwise`."""
    start = prefix.decode("latin-1")

    def encode_notice(record: Notice) -> bytes:
        r = record
        try:
            return (
                f"{start}{_text(r.notice_id)}{_text(r.to)}{_text(r.kind)}{_nullable(r.request_id)}"
                f"{_nullable(r.lead_id)}{_text(r.text)}{long(r.at)}{long(r.deliver_after)}{_nullable_long(r.due_at)}"
                f"{_array(r.channels)}"
            ).encode("latin-1")
        except IndexError:
            return otherwise(record)

    return encode_notice


def _bytewise(text: str) -> str:
    return text if text.isascii() else text.encode().decode("latin-1")


def _text(text: str) -> str:
    raw = _bytewise(text)
    return _SIZE[len(raw)] + raw


def _nullable(text: str | None) -> str:
    return "\0" if text is None else "\2" + _text(text)


def _nullable_long(number: int | None) -> str:
    return "\0" if number is None else "\2" + long(number)


# A visitor's events have the same, and whoever encodes many has them from a cache of its own.
@lru_cache(maxsize=16384)
def _ids(ids: tuple[str, ...]) -> str:
    """What no reader would take as identifiers must not be written: it would be lost in the dead letter."""
    if not ids:
        return "\0"
    sizes, joined = 0, _ID_SIZE.join(ids)
    for each in ids:
        sizes |= len(each) ^ IDENTIFIER_SIZE
    if sizes or len(ids) > MOST_IDENTIFIERS or not joined.isascii():
        raise ValueError(f"{ids} are no identifiers: at most {MOST_IDENTIFIERS} of {IDENTIFIER_SIZE} ASCII characters")
    return f"{_SIZE[len(ids)]}{_ID_SIZE}{joined}\0"


def _array(texts: tuple[str, ...]) -> str:
    if not texts:
        return "\0"
    return f"{_SIZE[len(texts)]}{''.join(map(_text, texts))}\0"
