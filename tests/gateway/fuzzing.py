"""Requests as SDKs send them, and what becomes of them under mutation; all of it follows from a seed."""

import base64
import gzip
import json
import random
from typing import Any, NamedTuple

_PAGE = {
    "path": "/pricing",
    "referrer": "",
    "search": "?utm_source=ad",
    "title": "Pricing",
    "url": "https://a.example/pricing",
}
_BROWSER = {
    "page": _PAGE,
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
    "locale": "en-GB",
    "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
    "campaign": {"source": "ad", "name": "spring"},
    "consent": {"categoryPreferences": {"Analytics": True, "Advertising": False}},
}
_SERVER = {
    "library": {"name": "analytics-python", "version": "2.4.0"},
    "ip": "8.8.8.8",
    "traits": {"email": "a@b.example"},
}
_PHONE = {
    "app": {"name": "Shop", "version": "1.2"},
    "device": {"id": "d-1", "manufacturer": "Apple", "model": "iPhone15,2", "type": "ios"},
    "library": {"name": "analytics-kotlin", "version": "1.19.0"},
    "network": {"wifi": True},
    "timezone": "Europe/Berlin",
}
_WHEN = "2026-09-21T13:33:20.000Z"


def _call(kind: str, context: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "messageId": f"ajs-next-{kind}",
        "anonymousId": "3f8b7c6a-5e4d",
        "timestamp": _WHEN,
        "context": context,
        **more,
    }


CALLS = [
    _call("page", _BROWSER, name=None, properties=_PAGE, integrations={}, _metadata={"bundled": ["Segment.io"]}),
    _call(
        "track",
        _BROWSER,
        event="Demo Requested",
        properties={"product": "chair", "email": "elif@k.example", "message": "hi"},
    ),
    _call(
        "identify",
        _SERVER,
        userId="u-1",
        traits={"email": "Ana+x@Gmail.com", "phone": "+49 30 901820", "company": {"name": "K"}},
    ),
    _call("group", _SERVER, userId="u-1", groupId="g-1", traits={"name": "Kestrel Foods", "employees": 40}),
    _call("alias", _SERVER, userId="u-1", previousId="3f8b7c6a-5e4d"),
    _call("screen", _PHONE, name="Basket", properties={"items": 3, "total": 19.5}),
    _call(
        "track",
        _PHONE,
        event="Products Searched",
        userId="7",
        properties={"query": "\ud83d\ude00 caf\u00e9"},
        originalTimestamp=_WHEN,
    ),
]
"""One of each call, as browsers, servers and telephones send them."""
_WORDS = [
    *(
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"18446744073709551616",
        b"0.1",
        b'""',
        b"[]",
        b"{}",
        b'"\\ud800"',
        b'"\\u0000"',
        b"\xff",
    ),
    *(
        b"\x00",
        b"\r\n",
        b"\r\n\r\n",
        b",",
        b":",
        b'"',
        b"{",
        b"[" * 600,
        b"]",
        b"}",
        b"\xe2\x80\x8b",
        b" " * 4000,
        b"9" * 400,
    ),
    *(
        b'"userId":',
        b'"type":"track"',
        b'"batch":[',
        b"content-length: 7\r\n",
        b"transfer-encoding: chunked\r\n",
        b"HTTP/1.1",
    ),
    *(
        b"expect: 100-continue\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n",
        b"0\r\n\r\n",
        b"\x1f\x8b\x08",
        b"GET / HTTP/1.1\r\n\r\n",
    ),
]
_VALUES = [
    None,
    True,
    0,
    -1,
    2**63,
    2**64,
    1e308,
    0.1,
    "",
    "null",
    "\u0000",
    "x" * 3000,
    "\u200b",
    [],
    {},
    [[]],
    {"": ""},
    "\U0010ffff",
    "NaN",
]
_TIMES = [
    "1969-12-31",
    "9999-99-99T99:99:99Z",
    "2026-09-21T13:33:20+99:00",
    "0",
    1e18,
    -1,
    "2026-W39-1",
    "2026-09-21T25:00:00Z",
]
_SHORT = [*"tpsiga", "track", "page", "screen", "identify", "group", "alias", "batch", "b", "import"]
_PATHS = [f"/v1/{name}" for name in _SHORT]
_OTHER = [
    "/beacon/v1/batch",
    "/healthz",
    "/metrics",
    "/v1/projects/demo/settings",
    "/analytics-next/bundles/x",
    "/",
    "/v1/%ff",
    "*",
]
_METHODS = [*["POST"] * 20, "OPTIONS", "GET", "HEAD", "PUT", "DELETE", "PROPFIND", "post"]
_KEYS = [b"demo:", b"demo:", b"shop-key:", b"intranet-key", b"nobody:", b"\xff:"]
_ORIGINS = ["https://www.shop.example", "https://evil.example", "null", "", "\u00ff", "http://[", "x" * 9000]


class Request(NamedTuple):
    """A well-formed request, as bytes, and its method."""

    method: str
    data: bytes


def request(dice: random.Random) -> Request:
    """A request that any HTTP client could have sent, with a body out of its mind, or sane."""
    events = [_event(dice) for _ in range(dice.choice((1, 1, 1, 3)))]
    path = dice.choice(_PATHS) if dice.random() < 0.9 else dice.choice(_OTHER)
    body: Any = events[0] if path[-1] not in "bht" or len(events) == 1 else {"batch": events, "sentAt": _WHEN}
    if dice.random() < 0.1:
        body = {"batch": events, "writeKey": dice.choice(["demo", "nobody", 7]), "context": dice.choice([_SERVER, 5])}
    content = json.dumps(body).encode()
    if dice.random() < 0.4:
        content = mutated(content, dice)
    if dice.random() < 0.2:
        content = gzip.compress(content, 1)
        content = mutated(content, dice) if dice.random() < 0.4 else content
    method = dice.choice(_METHODS)
    lines = [f"{method} {path} HTTP/1.1".encode(), b"host: gateway"]
    if dice.random() < 0.9:
        lines.append(b"authorization: Basic " + base64.b64encode(dice.choice(_KEYS)))
    if dice.random() < 0.3:
        lines.append(b"origin: " + dice.choice(_ORIGINS).encode("latin-1"))
    if dice.random() < 0.2:
        lines.append(
            dice.choice([b"sec-gpc: 1", b"dnt: 1", b"x-forwarded-for: 1.2.3.4, zz", b"content-encoding: deflate"])
        )
    if dice.random() < 0.1:
        cuts = sorted(dice.randrange(len(content) + 1) for _ in range(3))
        parts = [
            part for part in (content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)) if part
        ]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        return Request(method, b"\r\n".join([*lines, b"transfer-encoding: chunked", b"", chunks + b"0\r\n\r\n"]))
    return Request(method, b"\r\n".join([*lines, b"content-length: %d" % len(content), b"", content]))


def mutated(data: bytes, dice: random.Random) -> bytes:
    """The same with a few bytes changed, cut out, repeated, moved, or put in."""
    for _ in range(dice.choice((1, 1, 2, 5))):
        a, b = sorted((dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)))
        b = b if dice.random() < 0.3 else min(b, a + 8)
        how = dice.randrange(5)
        if how == 0:
            data = data[:a] + bytes(byte ^ 1 << dice.randrange(8) for byte in data[a:b]) + data[b:]
        elif how == 1:
            data = data[:a] + data[b:]
        elif how == 2:
            data = data[:b] + data[a:b] * dice.choice((1, 2, 9)) + data[b:]
        elif how == 3:
            data = data[:a] + dice.choice(_WORDS) + data[a:]
        else:
            data = data[b:] + data[:a]
    return data


def _event(dice: random.Random) -> Any:
    event = json.loads(json.dumps(dice.choice(CALLS)))
    event["messageId"] = f"m-{dice.getrandbits(32)}"
    for _ in range(dice.choice((0, 0, 1, 2, 6))):
        place = event
        while isinstance(place, dict) and place:
            name = dice.choice(list(place))
            if isinstance(place[name], dict) and place[name] and dice.random() < 0.7:
                place = place[name]
                continue
            how = dice.randrange(5)
            if how == 0:
                del place[name]
            elif how == 1:
                place[name] = dice.choice(_TIMES if "ime" in name or name == "sentAt" else _VALUES)
            elif how == 2:
                place[name] = [place[name]]
            elif how == 3:
                place[dice.choice(["email", "phone", "userId", "type", "properties", "\u0000", "", name * 50])] = place[
                    name
                ]
            else:
                place[name] = dice.choice([dice.choice(_VALUES), f"{place[name]}{dice.choice(_VALUES)}"])
            break
    return event
