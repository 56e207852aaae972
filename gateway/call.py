"""One event of a tracker, read: typed where we look, raw where it only travels."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gateway.body import RAW_NULL
from gateway.problem import BadEvent

_PLAIN_PAGE = frozenset({"path", "url", "referrer", "title", "search"})
_PLAIN_LIBRARY = frozenset({"name", "version"})
_TAKEN = ("ip", "userAgent", "campaign", "consent")
"""Parts of the context that have a field of their own in the record."""
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
_text = msgspec.json.Decoder(str | None)
_write_key = msgspec.json.Decoder(_WriteKey)
_EMPTY: dict[str, Any] = {}
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
    except _UNREADABLE:
        return Context(rest={"unreadable": raw}, unreadable=True)
    return _take(rest)


def _take(rest: dict[str, msgspec.Raw]) -> Context:
    """Read the parts that we know and remove those that have a field of their own in the record."""
    unreadable = False
    found: dict[str, Any] = {}
    for name in ("page", "library", "traits", "consent"):
        if (raw := rest.get(name)) is not None:
            try:
                found[name] = _object.decode(raw) or _EMPTY
            except _UNREADABLE:
                unreadable = True
    for name in ("ip", "userAgent"):
        if (raw := rest.get(name)) is not None:
            try:
                found[name] = _text.decode(raw) or ""
            except _UNREADABLE:
                unreadable = True
    if (raw := rest.get("campaign")) is not None and (campaign := str(raw, "utf-8")).startswith("{"):
        found["campaign"] = campaign
    for name in _TAKEN:
        if name in found:
            del rest[name]
    page = found.get("page", _EMPTY)
    if page and page.keys() <= _PLAIN_PAGE:
        del rest["page"]
    library = found.get("library", _EMPTY)
    if library and library.keys() <= _PLAIN_LIBRARY:
        del rest["library"]
    return Context(
        found.get("ip", ""),
        found.get("userAgent", ""),
        f"{_string(library, 'name')}/{_string(library, 'version')}" if library else "",
        page,
        found.get("traits", _EMPTY),
        found.get("campaign", "{}"),
        found.get("consent", _EMPTY),
        rest,
        unreadable,
    )


def _string(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
