"""An event loop that is turned by hand.  Whoever stops turning it has killed the process, or stopped it."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any


class HandTurnedLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as tasks, futures, events and timers need; its time (seconds) is the world's."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []
        self.complaints: list[dict[str, Any]] = []
        """What nobody has caught."""

    def turn(self) -> None:
        """Run what is ready now, and nothing that becomes so meanwhile."""
        while self._timers and self._timers[0].when() <= self._now_s():
            self._ready.append(heapq.heappop(self._timers))
        asyncio._set_running_loop(self)
        try:
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)

    # -- what asyncio asks of a loop

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Run it in the next turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it in a turn at that time or later."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, timer)
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run it in a turn so many seconds from now or later."""
        return self.call_at(self._now_s() + delay, callback, *args, context=context)

    def time(self) -> float:
        """The world's time in seconds."""
        return self._now_s()

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """A task of this loop."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def get_debug(self) -> bool:
        """Never."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note it: the world judges."""
        self.complaints.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the heap, and is stepped over."""
