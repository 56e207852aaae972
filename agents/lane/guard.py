"""Ways to die. A lane worker never limps: it ends its process, and the supervisor starts another.

All of this is for liveness; that nothing is lost or doubled rests on the fence alone.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

import structlog

from agents.lane.errors import LaneFailed, LaneRefused

log = structlog.get_logger("agents.lane")

STALL_SHARE = 0.6
"""Of the session time-out: who was not scheduled for longer may have lost its partitions without knowing."""


def end_process(code: int) -> None:
    """End the process at once: no handler may run that could still write."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stderr.flush()
    os._exit(code)


class Guard:
    """The one way out of a lane that failed; `end` is end_process but in tests."""

    def __init__(self, end: Callable[[int], None] = end_process) -> None:
        self._end = end
        self.failure: LaneRefused | LaneFailed | None = None

    def die(self, failure: LaneRefused | LaneFailed) -> None:
        """Say why and end the process with the failure's exit code; only the first one counts."""
        if self.failure is not None:
            return
        self.failure = failure
        cause = failure.__cause__
        log.error("lane ended", **failure.facts(), exc_info=cause if isinstance(cause, Exception) else None)
        self._end(failure.exit_code)


def boot_seconds() -> float:
    """A clock that goes on while the process is stopped or the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class StallGuard:
    """Notices that the event loop has not run for too long.

    The loop calls `beat` a few times a second; a thread of its own looks at it too, because a loop that is stuck cannot
    notice anything.
    """

    def __init__(self, session_timeout_s: float, die: Callable[[str], None], clock: Callable[[], float] = boot_seconds):
        self.limit_s = STALL_SHARE * session_timeout_s
        self._die, self._clock = die, clock
        self._last = clock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-guard", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._last = self._clock()
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def beat(self) -> None:
        """The loop runs."""
        self.check()
        self._last = self._clock()

    def check(self) -> None:
        """End the process if the last beat is too long ago."""
        silence = self._clock() - self._last
        if silence > self.limit_s:
            self._die(f"not scheduled for {silence:.1f} s, of a session of {self.limit_s / STALL_SHARE:g} s")

    def _watch(self) -> None:
        while not self._stopped.wait(self.limit_s / 4):
            self.check()


class Patience:
    """Something that may last for a while, and not longer."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._clock = limit_s, clock
        self._since: float | None = None

    def exhausted(self, waiting: bool) -> bool:
        """Tell each time whether it still lasts; True once it has lasted for too long without a break."""
        if not waiting:
            self._since = None
            return False
        now = self._clock()
        if self._since is None:
            self._since = now
        return now - self._since > self._limit_s


class Watchdog:
    """Lag and no progress for too long: something is stuck that nobody reports."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = Patience(limit_s, clock)
        self._progress = -1

    def stuck(self, lag: int, progress: int) -> bool:
        """Tell each time how far behind a partition is and how many transactions it has committed."""
        moved = progress != self._progress
        self._progress = progress
        if moved:
            self._patience.exhausted(False)
        return self._patience.exhausted(lag > 0)
