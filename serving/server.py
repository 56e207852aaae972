"""What every HTTP server of the product shares: a port that is refused clearly, and a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator

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
