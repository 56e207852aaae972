"""One connection: bytes in, requests to the application one after the other, answers out.

HTTP/1.1 by httptools, the application by ASGI.  Whatever a client does or leaves undone, its connection holds bounded
memory, and ends when a bounded time has passed without progress: see Limits.  Requests that are sent ahead of their
answers (pipelined) are answered in order.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple, Protocol, cast
from urllib.parse import unquote

import httptools

from gateway.exchange import Exchange, answer_bytes
from gateway.problem import Problem
from gateway.request import RETRY_AFTER_S, Headers, Receive, Scope, Send

ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

_MAX_WAITING = 32
"""Requests that wait for the one before them on their connection; no tracker sends more ahead."""
_MAX_UNREAD_BYTES = 64 * 1024
"""Of a body that the application has not asked for yet; then the client is not read any more."""


_BODY = (b"content-length", b"transfer-encoding")
"""Headers of requests with a body."""


class Limits(NamedTuple):
    """What clients may take, in seconds and bytes."""

    head_s: float = 10.0
    """From the request's first byte, or from the connection's opening, to the end of the request's head."""
    body_s: float = 30.0
    """From there to the end of the body."""
    answer_s: float = 60.0
    """From there until the answer is made, and the client has taken what was answered before."""
    idle_s: float = 75.0
    """From there to the next request."""
    linger_s: float = 5.0
    """For the last words of a connection that is being closed, in both directions."""
    overhead_bytes: int = 64 * 1024
    """Of a request beside its body: its head, the lengths of its chunks, its trailers."""
    connections: int = 20_000
    """Fewer if the process may not open so many files."""
    sweep_s: float = 1.0
    """How often it is looked whose time is over."""


class Phase(enum.Enum):
    """What a connection waits for."""

    OPENED = "opened"
    """Its first byte."""
    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    IDLE = "idle"
    """The next request."""
    LINGER = "linger"
    """The rest of a request that was answered, and refused, before its end."""
    CLOSING = "closing"


class House(Protocol):
    """What the connections of one server share."""

    app: ASGI
    limits: Limits
    date: bytes
    """The header line with the present time."""
    ending: bool
    """No connection is kept for another request."""
    tasks: set[asyncio.Task[None]]

    def enter(self, connection: Connection) -> bool:
        """Take the connection in; False if there is no room."""

    def leave(self, connection: Connection) -> None:
        """The connection is gone."""

    def cut(self, why: str) -> None:
        """Count a connection that was ended before its client was done."""


class Connection(asyncio.Protocol):
    """A client's connection, from its acceptance to its end."""

    transport: asyncio.Transport

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self.house, self._limits, self._loop = house, house.limits, loop
        self._parser = httptools.HttpRequestParser(self)
        self._arriving: Exchange | None = None
        """The request whose body comes."""
        self._current: Exchange | None = None
        """The request in work."""
        self._waiting: deque[Exchange] = deque()
        self._overhead = 0
        self._deaf = self._paused = False
        self._writable: asyncio.Future[None] | None = None
        self._between = Phase.OPENED
        """What is waited for after the request in work."""
        self.phase, self.since, self.due = Phase.OPENED, 0.0, 0.0
        """What is waited for, since and until when by the loop's clock; `expire` is called then."""

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, if there is room."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        peer, host = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client, self._server = peer and peer[:2], host and host[:2]
        self._enter(Phase.OPENED, self._limits.head_s)
        if not self.house.enter(self):
            self.house.cut("no_room")
            what, remedy = "there are as many connections as there may be", "come again later"
            self._refuse(
                Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", what, "the gateway", remedy, RETRY_AFTER_S),
            )

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the application that nobody waits any more."""
        self.house.leave(self)
        self._deaf = True
        for exchange in (self._current, self._arriving):
            if exchange is not None:
                exchange.abandon()
        self._current = self._arriving = None
        self._waiting.clear()
        self.resume_writing()
        del self._parser  # which refers back to the connection

    def pause_writing(self) -> None:
        """The client does not read: further answers wait."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The client reads again, or is gone."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def data_received(self, data: bytes) -> None:
        """Parse; refuse what is no HTTP/1.1, and what is endless."""
        if self._deaf:
            return
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # only HTTP/1.1 is spoken here: the request is answered, then the connection ends
        except httptools.HttpParserError as error:
            if not self._deaf:
                self.house.cut("unreadable")
                what = f"this is no HTTP/1.1 request: {error.__context__ or error}"
                self._refuse(Problem(HTTPStatus.BAD_REQUEST, "bad_http", what, "the connection", "send HTTP/1.1"))
        else:
            if self._overhead > self._limits.overhead_bytes:
                self.house.cut("overhead")
                what = f"there are more than {self._limits.overhead_bytes} bytes beside the body"
                remedy = "send fewer headers, and larger chunks"
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(Problem(status, "too_large", what, "the request's head and chunks", remedy))

    def eof_received(self) -> bool:
        """The client sends nothing more, and may still wait for answers; without any, the connection ends."""
        return self._finish()

    # What the parser calls; what these raise, it raises as HttpParserError.

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._deaf:
            raise ValueError("the connection is being closed")
        self._url, self._expects = b"", False
        self._headers: Headers = []
        self._between = Phase.HEAD
        if self._current is None:
            self._enter(Phase.HEAD, self._limits.head_s)

    def on_url(self, part: bytes) -> None:
        """A part of the request's target."""
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody asks for."""
        if self._arriving is None:
            name = name.lower()
            if name == b"expect":
                self._expects = value.lower() == b"100-continue"
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there: the application may begin."""
        if len(self._waiting) >= _MAX_WAITING:
            raise ValueError("too many requests are sent ahead of their answers")
        parser = self._parser
        upgrade = parser.should_upgrade()
        if upgrade and any(name in _BODY for name, _ in self._headers):  # the parser leaves it to the other protocol
            raise ValueError("a request with a body asks for another protocol")
        url = httptools.parse_url(self._url)
        path, version = url.path.decode("ascii"), parser.get_http_version()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "root_path": "",
            "headers": self._headers,
            "client": self._client,
            "server": self._server,
        }
        keep = version == "1.1" and parser.should_keep_alive() and not upgrade
        self._arriving = arriving = Exchange(self, self._loop, scope, keep=keep, expects=self._expects)
        if self._current is None:
            self._begin(arriving)
        else:
            self._waiting.append(arriving)
            self.pause_reading()

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        self._overhead -= len(part)
        if self._arriving is not None and self._arriving.take(part) > _MAX_UNREAD_BYTES:
            self.pause_reading()

    def on_message_complete(self) -> None:
        """The request has come to its end."""
        self._overhead = 0
        arrived, self._arriving = self._arriving, None
        self._between = Phase.IDLE
        if arrived is None:
            return
        if arrived.answered:
            self._close()
            return
        arrived.complete()
        if arrived is self._current:
            self._enter(Phase.ANSWER, self._limits.answer_s)

    # What an exchange calls.

    async def drain(self) -> None:
        """Return when the client has read enough of what was written, or is gone."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        """Leave what comes in the kernel, and so with the client."""
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless requests wait."""
        if self._paused and not self._waiting and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def answer(self, exchange: Exchange, data: bytes) -> None:
        """Write an answer and go on with the next request, if there is one and the connection is kept for it."""
        if exchange is not self._current:
            return  # the client has gone
        self.transport.write(data)
        self._current = None
        if exchange is self._arriving:
            self._enter(Phase.LINGER, self._limits.linger_s)  # read to its end, or its sender would miss the answer
        elif not exchange.keep:
            self._close()
        elif self._waiting:
            self._begin(self._waiting.popleft())
        else:
            self._enter(self._between, self._limits.idle_s if self._between is Phase.IDLE else self._limits.head_s)
        self.resume_reading()

    # What the server calls.

    def end(self) -> None:
        """Close at once if no request is under way; else the last answer does."""
        if self.phase in (Phase.OPENED, Phase.IDLE):
            self._close()

    def expire(self) -> None:
        """The time is over: tell whoever may listen, and close; cut off whoever does not listen."""
        self.house.cut(self.phase.value)
        if self.phase in (Phase.HEAD, Phase.BODY):
            what = f"the request's {self.phase.value} did not come in time"
            self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, "too_slow", what, "the connection", "send it again"))
        elif self.phase in (Phase.OPENED, Phase.IDLE):
            self._close()
        else:
            self.transport.abort()

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        if exchange is self._arriving:
            self._enter(Phase.BODY, self._limits.body_s)
        else:
            self._enter(Phase.ANSWER, self._limits.answer_s)
        task = self._loop.create_task(exchange.run(self.house.app))
        self.house.tasks.add(task)
        task.add_done_callback(self.house.tasks.discard)

    def _enter(self, phase: Phase, seconds: float) -> None:
        self.phase, self.since = phase, self._loop.time()
        self.due = self.since + seconds

    def _refuse(self, problem: Problem) -> None:
        """Take nothing more; say why, unless earlier requests are still to be answered."""
        broken = self._arriving
        if self._finish():
            return
        if broken is None or not broken.answered:
            self.transport.write(answer_bytes(problem, self.house.date))
        self._close()

    def _finish(self) -> bool:
        """Take nothing more; whether something that was asked in full is still to be answered."""
        self._deaf = True
        broken, self._arriving = self._arriving, None
        if broken is not None:
            broken.abandon()
            if broken is self._current:
                self._current = None
            elif self._waiting:
                self._waiting.pop()
        last = self._waiting[-1] if self._waiting else self._current
        if last is not None:
            last.keep = False
        return last is not None

    def _close(self) -> None:
        self._deaf = True
        self._enter(Phase.CLOSING, self._limits.linger_s)
        self.transport.close()
