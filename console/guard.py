"""Who may do what: sessions, the origin of writes, and the headers that keep foreign code out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from console import words
from console.gather import reader_of
from console.reader import now_ms
from console.sessions import COOKIE, Sessions
from streams.desk.rules import DeskRules

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/login", "/healthz", "/readyz", "/metrics"})
"""What needs no login, beside the static files."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def policy(framed: str | None) -> str:
    """The Content-Security-Policy; `framed`: the origin of the site that /demo shows, if there is one."""
    frames = f"frame-src 'self' {framed}; frame-ancestors 'self'" if framed else "frame-ancestors 'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action 'self'; base-uri 'none'; {frames}"
    )


class Guard:
    """Wraps the application: it only sees requests that are allowed, with `state.reader` set where one is needed."""

    def __init__(self, app: App, sessions: Sessions, desk_rules: Callable[[], DeskRules], site: str | None) -> None:
        self._app, self._sessions, self._desk_rules = app, sessions, desk_rules
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(site)) if site else None
        self._headers = {
            "content-security-policy": policy(origin),
            "x-content-type-options": "nosniff",
            "x-frame-options": "SAMEORIGIN" if site else "DENY",
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            return

        async def protected(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        refusal = self._admit(scope)
        await (refusal or self._app)(scope, receive, protected)

    def _admit(self, scope: Scope) -> Response | None:
        """Set `state.reader`; a response if the request is not for the application."""
        headers, path = Headers(scope=scope), scope["path"]
        is_api = path.startswith("/api/")
        if scope["method"] not in _SAFE and not _same_origin(headers):
            return _refusal(HTTPStatus.FORBIDDEN, "cross_site", words.CROSS_SITE, is_api)
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        session = self._sessions.read(cookie, now_ms())
        reader = reader_of(self._desk_rules(), session.rep) if session else None
        scope.setdefault("state", {})["reader"] = reader
        scope["state"]["until"] = session.until if session else 0
        if reader is not None or path in OPEN_PATHS or path.startswith("/static/"):
            return None
        if is_api or path == "/live" or scope["method"] not in _SAFE:
            refusal = _refusal(HTTPStatus.UNAUTHORIZED, "signed_out", words.SIGNED_OUT, is_api)
            refusal.headers["hx-redirect"] = "/login"
            return refusal
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        where = quote(path + query, safe="/")
        return RedirectResponse(f"/login?next={where}" if path != "/" else "/login", HTTPStatus.SEE_OTHER)


def local(page: str) -> str:
    """A page of ours to go on to; the first one for whatever is not."""
    return page if page.startswith("/") and not page.startswith(("//", "/\\")) and "\n" not in page else "/"


def _same_origin(headers: Headers) -> bool:
    """Whether a write comes from a page of ours: browsers say so, and nobody else has our cookies."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host", "") and origin != "null"
    return headers.get("sec-fetch-site") == "same-origin"


def _refusal(status: HTTPStatus, code: str, text: str, is_api: bool) -> Response:
    if is_api:
        return JSONResponse({"code": code, "message": text}, status)
    return PlainTextResponse(text, status)
