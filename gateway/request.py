"""One HTTP request as raw ASGI has it: what it says of itself, its body, its answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from gateway.body import MAX_BODY_BYTES, too_large
from gateway.problem import Problem
from gateway.sources import Sources

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, anonymousid, sentat, x-retry-count, sp-anonymous"),
    (b"access-control-max-age", b"86400"),
]
RETRY_AFTER_S = 2
_MAX_DRAINED_BYTES = 8 * 1024 * 1024
"""A body over the limit is read so far, so that its sender sees the answer and not a broken connection."""


class Request(NamedTuple):
    """What the answer depends on, beside the body."""

    path: str
    headers: dict[bytes, bytes]
    query: bytes
    peer: str
    forwarded_for: tuple[str, ...]

    @property
    def origin(self) -> str:
        """The page's origin; "" if the request does not come from a page."""
        return self.headers.get(b"origin", b"").decode("latin-1")

    @property
    def from_browser(self) -> bool:
        """Browsers send Origin with every cross-origin post, and Sec-Fetch-Site with every request."""
        return b"origin" in self.headers or b"sec-fetch-site" in self.headers


class Held:
    """The bytes of all bodies that are being read or worked on; their sum is bounded."""

    def __init__(self, limit: int) -> None:
        self.bytes, self._limit = 0, limit

    def add(self, size: int) -> None:
        """Hold so many more.  Raises Problem (503) if that is too much; what was held stays held."""
        if self.bytes + size > self._limit:
            what = f"requests of {self.bytes} bytes are being worked on, as many as may be"
            where = "the gateway's memory"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", what, where, "send it again later", RETRY_AFTER_S)
        self.bytes += size


def read_head(scope: Scope) -> Request:
    """What the request says of itself."""
    headers = dict(scope["headers"])
    forwarded: tuple[str, ...] = ()
    if b"x-forwarded-for" in headers:
        forwarded = tuple(value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
    peer = scope.get("client")
    return Request(scope["path"], headers, scope.get("query_string", b""), peer[0] if peer else "", forwarded)


async def read_body(receive: Receive, path: str, held: Held) -> bytes | None:
    """The whole body, None if the client has gone; `held` then holds as many bytes as are returned.

    Raises Problem: 400 if it is over the limit, 503 if there is no memory for it.  Nothing is held then.
    """
    parts: list[bytes] = []
    size, more = 0, True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            if size <= MAX_BODY_BYTES:
                held.add(len(part))
                parts.append(part)
            size += len(part)
            if size > _MAX_DRAINED_BYTES:
                break
    except BaseException:
        held.bytes -= sum(map(len, parts))
        raise
    if size > MAX_BODY_BYTES or more:
        held.bytes -= sum(map(len, parts))
        if size > MAX_BODY_BYTES:
            raise too_large(path)
        return None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def answer(send: Send, status: HTTPStatus, headers: Headers, body: bytes) -> None:
    """Send status, headers and body."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": int(status), "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def cors(origin: str, sources: Sources) -> Headers:
    """What tells a browser that the page may read the answer: the page's own origin, if any source allows it."""
    if not origin:
        return []
    vary = (b"vary", b"Origin")
    if not sources.allow(origin):
        return [vary]
    echoed = (b"access-control-allow-origin", origin.encode("latin-1"))
    return [echoed, vary, (b"access-control-expose-headers", b"Retry-After")]


def basic_user(header: bytes | None) -> str | None:
    """The user of Basic authentication, None if there is none: SDKs send the write key as `key:` or `key`."""
    if header is None or header[:6].lower() != b"basic ":
        return None
    try:
        user = base64.b64decode(header[6:].strip(), validate=True).partition(b":")[0].decode()
    except (binascii.Error, ValueError):
        return None
    return user or None


def query_key(query: bytes) -> str | None:
    """The write key in the query, None if there is none."""
    if b"writeKey" not in query:
        return None
    return parse_qs(query.decode("latin-1")).get("writeKey", [None])[0]


def expect_post(method: str, path: str) -> None:
    """Raise Problem (405) for any other method."""
    if method != "POST":
        what = f"{method} is not for this path"
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "bad_method", what, path, "send it by POST")
