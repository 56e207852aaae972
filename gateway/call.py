"""One event of a tracker, read: typed where we look, raw where it only travels."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import msgspec

from gateway.body import RAW_NULL
from gateway.problem import BadEvent

_PLAIN_PAGE = frozenset({"path", "url", "referrer", "title", "search"})
_PLAIN_LIBRARY = frozenset({"name", "version"})
_REMEDY = "send the event as Segment's HTTP API has it"

Identifier = str | int | float | None
Time = str | int | float | None


class Call(msgspec.Struct):
    """The top level of an event, in the protocol's spelling."""

    type: str | None = None
    event: str | None = None
    name: str | None = None
    messageId: str | int | None = None  # noqa: N815
    userId: Identifier = None  # noqa: N815
    anonymousId: Identifier = None  # noqa: N815
    previousId: Identifier = None  # noqa: N815
    groupId: Identifier = None  # noqa: N815
    timestamp: Time = None
    originalTimestamp: Time = None  # noqa: N815
    sentAt: Time = None  # noqa: N815
    properties: msgspec.Raw = RAW_NULL
    traits: msgspec.Raw = RAW_NULL
    context: msgspec.Raw = RAW_NULL


class _WriteKey(msgspec.Struct):
    writeKey: str | None = None  # noqa: N815


class _Known(msgspec.Struct):
    """The parts of a context that we look into."""

    ip: str | None = None
    userAgent: str | None = None  # noqa: N815
    page: dict[str, Any] | None = None
    library: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    consent: dict[str, Any] | None = None


class Context(NamedTuple):
    """What the gateway wants to know of an event's context."""

    ip: str = ""
    user_agent: str = ""
    library: str = ""
    page: dict[str, Any] = {}  # noqa: RUF012  never changed
    traits: dict[str, Any] = {}  # noqa: RUF012
    campaign: str = "{}"
    consent: dict[str, Any] = {}  # noqa: RUF012
    rest: dict[str, msgspec.Raw] = {}  # noqa: RUF012
    unreadable: bool = False


_call = msgspec.json.Decoder(Call)
_object = msgspec.json.Decoder(dict[str, Any] | None)
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_known = msgspec.json.Decoder(_Known)
_write_key = msgspec.json.Decoder(_WriteKey)
_EMPTY: dict[str, Any] = {}
_NOTHING = Context()
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_call(raw: msgspec.Raw) -> Call:
    """Read the top level.  Raises BadEvent."""
    try:
        return _call.decode(raw)
    except _UNREADABLE as error:
        raise BadEvent("bad_event", f"the event cannot be read: {error}", "the event", _REMEDY) from None


def read_write_key(raw: msgspec.Raw) -> str | None:
    """The event's own write key, None if it has none that can be read."""
    try:
        return _write_key.decode(raw).writeKey
    except _UNREADABLE:
        return None


def read_object(raw: msgspec.Raw, where: str) -> dict[str, Any]:
    """Read `properties` or `traits`; nothing for null.  Raises BadEvent if it is no JSON object."""
    try:
        return _object.decode(raw) or _EMPTY
    except _UNREADABLE as error:
        raise BadEvent("bad_event", f"`{where}` cannot be read: {error}", f"the event's {where}", _REMEDY) from None


def read_context(raw: msgspec.Raw, shared: msgspec.Raw) -> Context:
    """Read the context; `shared` is the batch's, which stands behind the event's own.

    A part that cannot be read is left where it is, in `rest`, and `unreadable` is set: it never costs the event.
    """
    try:
        rest = _raw_object.decode(raw) or {}
        if shared is not RAW_NULL:
            rest = (_raw_object.decode(shared) or {}) | rest
            raw = msgspec.Raw(msgspec.json.encode(rest))
    except _UNREADABLE:
        return Context(rest={"unreadable": raw}, unreadable=True)
    if not rest:
        return _NOTHING
    try:
        return _context(_known.decode(raw), rest, unreadable=False)
    except _UNREADABLE:
        return _context(_readable(rest), rest, unreadable=True)


def _readable(rest: dict[str, msgspec.Raw]) -> _Known:
    """Those of the known parts that are what they should be."""
    known = _Known()
    for name in _Known.__struct_fields__:
        if name in rest:
            with contextlib.suppress(*_UNREADABLE):
                part = _known.decode(msgspec.json.encode({name: rest[name]}))
                setattr(known, name, getattr(part, name))
    return known


def _context(known: _Known, rest: dict[str, msgspec.Raw], *, unreadable: bool) -> Context:
    """Put it together; what has a field of its own in the record leaves `rest`."""
    campaign = "{}"
    if (raw := rest.get("campaign")) is not None and (text := str(raw, "utf-8")).startswith("{"):
        campaign = text
        del rest["campaign"]
    page, library = known.page or _EMPTY, known.library or _EMPTY
    if page and page.keys() <= _PLAIN_PAGE:
        del rest["page"]
    if library and library.keys() <= _PLAIN_LIBRARY:
        del rest["library"]
    if known.ip is not None:
        del rest["ip"]
    if known.userAgent is not None:
        del rest["userAgent"]
    if known.consent is not None:
        del rest["consent"]
    return Context(
        known.ip or "",
        known.userAgent or "",
        f"{_string(library, 'name')}/{_string(library, 'version')}" if library else "",
        page,
        known.traits or _EMPTY,
        campaign,
        known.consent or _EMPTY,
        rest,
        unreadable,
    )


def _string(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
