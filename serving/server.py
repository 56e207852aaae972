"""An ASGI application behind uvicorn: its port, the signals that end it, and what is done before it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

Started = Callable[[str, int], None]
"""Called with host and port when the port is open."""


class StartError(Exception):
    """A server cannot start; str() has three lines: `what`, `where` and `remedy`."""

    def __init__(self, what: str, where: str, remedy: str) -> None:
        super().__init__(f"{what}\n  where: {where}\n  remedy: {remedy}")
        self.what, self.where, self.remedy = what, where, remedy


@contextlib.contextmanager
def listen(host: str, port: int, variable: str) -> Iterator[socket.socket]:
    """A socket bound to the address (port 0: any free one) that `variable` of the environment gives.

    Raises StartError when the address cannot be used.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            what = f"the address cannot be used: {error.strerror}"
            remedy = "stop who uses it, or choose another port"
            raise StartError(what, f"{variable}={host}:{port}", remedy) from error
        yield listener


async def serve(
    app: Any,
    listener: socket.socket,
    graceful_s: int,
    stop: asyncio.Event | None = None,
    started: Started | None = None,
    *,
    proxy_headers: bool = False,
    ending: Callable[[], None] | None = None,
) -> None:
    """Serve an ASGI application until `stop` is set, or SIGTERM or SIGINT come if there is none.

    Requests in flight have `graceful_s` seconds to end; `ending` is called first, for streams that never end by
    themselves.  With `proxy_headers` a proxy on this machine says whether visitors came by https.
    """
    if stop is None:
        stop = asyncio.Event()
        with stopped_by_signals(stop):
            await serve(app, listener, graceful_s, stop, started, proxy_headers=proxy_headers, ending=ending)
        return
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=proxy_headers,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=graceful_s,
    )
    server = _Server(config, lambda: started(*listener.getsockname()[:2]) if started else None)
    serving = loop.create_task(server.serve([listener]))
    stopping = loop.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if ending is not None:
            ending()
        server.should_exit = True
        await serving


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Have SIGTERM and SIGINT set `stop`: a second one does not cut short what the first one began.

    After the block they are ignored: the process is at its end.
    """
    loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    for each in signals:
        loop.add_signal_handler(each, stop.set)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_IGN)


def tune_collector() -> None:
    """Have the garbage collector look seldom, and not at what is there by now.

    Requests make many small objects and no cycles; its rounds took longer than a page.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


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
