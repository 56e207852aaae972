"""Bodies of requests: inflated, measured, cut into events.  Content types lie, so only the bytes are asked."""

from __future__ import annotations

import re
import zlib
from http import HTTPStatus

import msgspec

from gateway.problem import BadEvent, Problem

MAX_EVENT_BYTES = 32 * 1024
MAX_BODY_BYTES = 500 * 1024
MAX_EVENTS = 2500

RAW_NULL = msgspec.Raw(b"null")
_GZIP = b"\x1f\x8b"
_MAX_MEMBERS = 64
"""Of gzip in one body.  Each may be a few bytes, and costs a look at all behind it."""
_REMEDY = "send JSON in UTF-8 as Segment's HTTP API has it, plain or gzipped"
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}\Z")


class Parcel(msgspec.Struct):
    """What a request brings: events as JSON, and what holds for all of them."""

    batch: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET
    writeKey: str | None = None  # noqa: N815  the protocol's spelling
    sentAt: str | int | float | None = None  # noqa: N815
    context: msgspec.Raw = RAW_NULL


_parcel = msgspec.json.Decoder(Parcel)
_events = msgspec.json.Decoder(list[msgspec.Raw])


def read(body: bytes, path: str, *, batch: bool) -> Parcel:
    """Cut the body of a request into events: `batch` then is a list, of one for a call that is an event itself.

    Raises Problem (400) for what is too large or cannot be read.
    """
    if body[:2] == _GZIP:
        body = _inflate(body, path)
    if len(body) > MAX_BODY_BYTES:
        raise too_large(path)
    try:
        return _cut(body, path, batch)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        mended = _ESCAPE.sub(_mend, body) if b"\\u" in body else body
        if mended != body:
            # Browsers cut texts between the halves of an emoji; one such text must not cost the whole batch.
            return read(mended, path, batch=batch)
        what = f"the body cannot be read: {error}"
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_json", what, path, _REMEDY) from None


def too_large(where: str) -> Problem:
    """The answer to a body over the limit."""
    what = f"the body is larger than {MAX_BODY_BYTES} bytes"
    return Problem(HTTPStatus.BAD_REQUEST, "too_large", what, where, "send smaller batches")


def expect_size(raw: msgspec.Raw) -> None:
    """Raise BadEvent for an event over the limit."""
    if memoryview(raw).nbytes > MAX_EVENT_BYTES:
        what = f"the event is larger than {MAX_EVENT_BYTES} bytes"
        raise BadEvent("too_large", what, "the event", "send less in one event")


def _cut(body: bytes, path: str, batch: bool) -> Parcel:
    body.decode()  # what is only carried on is not decoded below, and must be UTF-8 all the same
    first = body.lstrip()[:1]
    if first == b"[":
        parcel = Parcel(batch=_events.decode(body))
    elif first == b"{":
        parcel = _parcel.decode(body)
        if not batch:
            parcel.batch = [msgspec.Raw(body)]
            parcel.context = RAW_NULL
    else:
        what = "the body is empty" if not first else "the body is not JSON"
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_json", what, path, _REMEDY)
    if not isinstance(parcel.batch, list):
        what = "there is no list of events in `batch`"
        raise Problem(HTTPStatus.BAD_REQUEST, "no_batch", what, path, 'send {"batch": [event, …]}')
    if len(parcel.batch) > MAX_EVENTS:
        what = f"the batch has {len(parcel.batch)} events, more than {MAX_EVENTS}"
        raise Problem(HTTPStatus.BAD_REQUEST, "too_large", what, path, "send smaller batches")
    if not batch and len(body) > MAX_EVENT_BYTES:
        what = f"the event is larger than {MAX_EVENT_BYTES} bytes"
        raise Problem(HTTPStatus.BAD_REQUEST, "too_large", what, path, "send less in one event")
    return parcel


def _inflate(body: bytes, path: str) -> bytes:
    """Inflate a body, whose members (gzip may be appended to gzip) belong together."""
    inflated = b""
    for _ in range(_MAX_MEMBERS):
        inflater = zlib.decompressobj(wbits=31)
        try:
            inflated += inflater.decompress(body, MAX_BODY_BYTES + 1 - len(inflated))
        except zlib.error as error:
            what = f"the body begins like gzip and is not: {error}"
            raise Problem(HTTPStatus.BAD_REQUEST, "bad_gzip", what, path, _REMEDY) from None
        if len(inflated) > MAX_BODY_BYTES:
            raise too_large(path)
        if not inflater.eof:
            raise Problem(HTTPStatus.BAD_REQUEST, "bad_gzip", "the gzipped body is cut short", path, _REMEDY)
        body = inflater.unused_data
        if not body:
            return inflated
    what = f"the gzipped body has more than {_MAX_MEMBERS} members"
    raise Problem(HTTPStatus.BAD_REQUEST, "bad_gzip", what, path, _REMEDY)


def _mend(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if _LONE_SURROGATE.match(escape[0]) else escape[0]
