"""The listening side of the gateway: takes connections in, as many as there is room for, ends those whose time is over,
and comes to a graceful end.

When there is no room, whoever has been idle longest goes for whoever comes; if all are busy, the newcomer is told 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections import deque
from email.utils import formatdate

from gateway.connection import ASGI, Connection, Limits, Phase
from gateway.metrics import Metrics

BACKLOG = 2048
"""Connections that the kernel keeps until we come round to them."""
_SPARE_AFTER_S = 0.5
"""Who has just come, or was just answered, may be about to send."""
_END_S = 20.0
"""For requests that are under way at the end; longer than a request may wait for Kafka."""


class Listener:
    """A server of one application; `limits.connections` is lowered to what the process may open."""

    def __init__(self, app: ASGI, limits: Limits, metrics: Metrics) -> None:
        self.app = app
        self.limits = limits._replace(connections=_room(limits.connections))
        self.date = b""
        self.ending = False
        self.tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._deserted = asyncio.Event()
        self._spare: deque[Connection] = deque()
        self._cut = metrics.connections_cut
        metrics.connections.set_function(lambda: len(self._connections))

    async def serve(self, listening: socket.socket, stop: asyncio.Event, drain_s: float) -> None:
        """Serve until `stop` is set, then `drain_s` seconds more, without keeping connections; then end.

        A front that follows /readyz, which is red from `stop` on, has that time to look elsewhere.
        """
        loop = asyncio.get_running_loop()
        self._tick()
        server = await loop.create_server(lambda: Connection(self, loop), sock=listening, backlog=BACKLOG)
        sweeping = loop.create_task(self._sweep())
        try:
            await stop.wait()
            self.ending = True
            await asyncio.sleep(drain_s)
            server.close()
            for connection in list(self._connections):
                connection.end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    if self._connections:
                        await self._deserted.wait()
                    if self.tasks:  # of those who did not wait for the answer
                        await asyncio.wait(self.tasks)
        finally:
            server.close()
            sweeping.cancel()
            for connection in list(self._connections):
                connection.transport.abort()

    def enter(self, connection: Connection) -> bool:
        """Take the connection in; False if there is no room."""
        self._connections.add(connection)
        if len(self._connections) <= self.limits.connections:
            return True
        now = asyncio.get_running_loop().time()
        while self._spare:
            other = self._spare.popleft()
            if _spare(other, now):
                self.cut("made_room")
                other.end()
                return True
        return False

    def leave(self, connection: Connection) -> None:
        """The connection is gone."""
        self._connections.discard(connection)
        if self.ending and not self._connections:
            self._deserted.set()

    def cut(self, why: str) -> None:
        """Count a connection that was ended before its client was done."""
        self._cut.labels(why).inc()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.limits.sweep_s)
            self._tick()

    def _tick(self) -> None:
        self.date = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
        now = asyncio.get_running_loop().time()
        for connection in [each for each in self._connections if each.due <= now]:
            connection.expire()
        if len(self._connections) > self.limits.connections * 0.9:
            spare = (each for each in self._connections if _spare(each, now))
            self._spare = deque(sorted(spare, key=lambda each: each.since))


def _spare(connection: Connection, now: float) -> bool:
    """Whether nobody will miss it: no request is under way, and none was a moment ago."""
    return connection.phase in (Phase.OPENED, Phase.IDLE) and now - connection.since >= _SPARE_AFTER_S


def _room(wanted: int) -> int:
    """Connections that the process can have, up to `wanted`; an eighth of its files is kept for others.

    Raises its limit of open files as far as it may, and needs to.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = wanted * 8 // 7 + 64
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < need:
        raised = need if hard == resource.RLIM_INFINITY else min(need, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return min(wanted, soft - max(64, soft // 8))
