"""A request and its answer on a connection, as ASGI has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog

from gateway.problem import Problem
from gateway.request import JSON, Headers, Receive, Scope, Send

if TYPE_CHECKING:
    from gateway.connection import Connection

log = structlog.get_logger()

_STATUS_LINES = {int(status): f"HTTP/1.1 {int(status)} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_GONE = {"type": "http.disconnect"}


class Exchange:
    """A request and its answer."""

    __slots__ = (
        "_complete",
        "_connection",
        "_expects",
        "_gone",
        "_head",
        "_loop",
        "_parts",
        "_scope",
        "_told",
        "_unread",
        "_waiter",
        "answered",
        "keep",
    )

    def __init__(
        self, connection: Connection, loop: asyncio.AbstractEventLoop, scope: Scope, *, keep: bool, expects: bool
    ) -> None:
        self._connection, self._loop, self._scope, self._expects = connection, loop, scope, expects
        self.keep = keep
        """Whether the connection is there for another request after the answer."""
        self.answered = False
        self._parts: list[bytes] = []
        self._unread = 0
        self._complete = self._told = self._gone = False
        self._waiter: asyncio.Future[None] | None = None
        self._head: tuple[int, Headers] = 500, []

    async def run(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        """Have it answered.  A fault of the application is logged, and told as 500."""
        try:
            await app(self._scope, self.receive, self.send)
            if not self.answered and not self._gone:
                raise RuntimeError("the application gave no answer")  # noqa: TRY301  a fault like any other
        except Exception as error:
            path = self._scope["path"][:200]
            log.exception("request failed", path=path, error=repr(error))
            if not self.answered:
                what, remedy = "a fault of the gateway", "send it again; the gateway's log says what went wrong"
                self._answer(*answer_parts(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "fault", what, path, remedy)))

    async def receive(self) -> MutableMapping[str, Any]:
        """The next part of the body; after the last one, "disconnect" once the client is gone or answered."""
        if self._expects and not (self._unread or self._complete or self._gone):
            self._connection.transport.write(_CONTINUE)
        self._expects = False
        while not (self._unread or (self._complete and not self._told) or self._gone or self.answered):
            self._connection.resume_reading()
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._gone or self.answered:
            return _GONE
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._unread = [], 0
        self._told = self._complete
        return {"type": "http.request", "body": body, "more_body": not self._complete}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take the answer: first its status and headers, then its body, which is one."""
        if message["type"] == "http.response.start":
            self._head = message["status"], message["headers"]
        elif message.get("more_body", False):
            raise ValueError("an answer has one body")
        else:
            await self._connection.drain()
            self._answer(*self._head, message.get("body", b""))

    def take(self, part: bytes) -> int:
        """Take a part of the body from the client; returns the bytes that the application has not asked for."""
        if not self.answered:
            self._parts.append(part)
            self._unread += len(part)
            self._wake()
        return self._unread

    def complete(self) -> None:
        """The body has come to its end."""
        self._complete = True
        self._wake()

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.answered = True
        self._parts, self._unread = [], 0
        self.keep = self.keep and self._complete and not self._connection.house.ending
        body = b"" if self._scope["method"] == "HEAD" else body
        self._connection.answer(self, _bytes(status, headers, body, self._connection.house.date, self.keep))


def answer_parts(problem: Problem) -> tuple[int, Headers, bytes]:
    """Status, headers and body that tell of a problem."""
    body = problem.body()
    headers = [JSON, (b"content-length", str(len(body)).encode())]
    if problem.retry_after_s is not None:
        headers.append((b"retry-after", str(problem.retry_after_s).encode()))
    return problem.status, headers, body


def answer_bytes(problem: Problem, date: bytes) -> bytes:
    """The last answer on a connection: it tells of a problem; `date` is the header line."""
    return _bytes(*answer_parts(problem), date, False)


def _bytes(status: int, headers: Headers, body: bytes, date: bytes, keep: bool) -> bytes:
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"".join((_STATUS_LINES[status], *lines, date, b"\r\n" if keep else b"connection: close\r\n\r\n", body))
