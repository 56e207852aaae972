"""The console's ASGI application behind uvicorn: when it is open, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from console.guard import App
from serving.server import Started, stopped_by_signals

_GRACEFUL_S = 5


async def serve(
    app: App,
    listener: socket.socket,
    stop: asyncio.Event | None,
    started: Started | None,
    ending: Callable[[], None],
) -> None:
    """Serve until `stop` is set, or SIGTERM or SIGINT come if there is none.

    Requests in flight have five seconds to end; `ending` is called first, for streams that never end by themselves.
    A proxy on this machine says whether visitors came by https.
    """
    if stop is None:
        stop = asyncio.Event()
        with stopped_by_signals(stop):
            await serve(app, listener, stop, started, ending)
        return
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=True,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACEFUL_S,
    )
    server = _Server(config, lambda: started(*listener.getsockname()[:2]) if started else None)
    serving = loop.create_task(server.serve([listener]))
    stopping = loop.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        ending()
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn that says when its port is open, and leaves signals alone: its own handling of them ends the process
    before the application has finished."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, then say so."""
        await super().startup(sockets)
        self._started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
