"""A sampling profiler of the main thread: where its CPU time goes, at a cost of a few per cent.

cProfile makes a fold of many small functions five times as slow and so tells of itself.  Here the kernel's timer of CPU
time interrupts the process a thousand times a second, and the CPU time that the main thread has used since the last
time is put down to the line it is in.  What a C function does counts for the line that called it.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType

from handraise.settings import ROOT

_INTERVAL_S = 0.001
_SHOWN = 40
_DEPTH = 60


class Samples:
    """CPU seconds of the main thread by function and by line."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._lines: Counter[tuple[CodeType, int]] = Counter()
        self._within: Counter[CodeType] = Counter()
        self._last = time.thread_time()

    def note(self, _signal: int, frame: FrameType | None) -> None:
        """The signal's handler."""
        now = time.thread_time()
        spent, self._last = now - self._last, now
        if frame is None:
            return
        self.total_s += spent
        self._lines[frame.f_code, frame.f_lineno or 0] += spent  # type: ignore[assignment]  # seconds, not counts
        seen, depth = set(), 0
        while frame is not None and depth < _DEPTH:
            seen.add(frame.f_code)
            frame, depth = frame.f_back, depth + 1
        for code in seen:
            self._within[code] += spent  # type: ignore[assignment]

    def report(self, events: int) -> str:
        """The costliest functions and lines, in microseconds an event."""
        each = 1e6 / events
        own: Counter[CodeType] = Counter()
        for (code, _), spent in self._lines.items():
            own[code] += spent
        lines = [f"main thread: {self.total_s * each:.2f} us an event over {events} events", ""]
        lines.append("    itself   with callees   function")
        for code, spent in own.most_common(_SHOWN):
            lines.append(f"{spent * each:10.2f} {self._within[code] * each:14.2f}   {_place(code)} {code.co_qualname}")
        lines += ["", "with callees   function"]
        for code, spent in self._within.most_common(_SHOWN):
            lines.append(f"{spent * each:12.2f}   {_place(code)} {code.co_qualname}")
        lines += ["", "    itself   line"]
        for (code, number), spent in self._lines.most_common(_SHOWN):
            lines.append(f"{spent * each:10.2f}   {_place(code)}:{number}  {_text(code, number)}")
        return "\n".join(lines) + "\n"


def _place(code: CodeType) -> str:
    path = Path(code.co_filename)
    return (
        str(path.relative_to(ROOT))
        if path.is_relative_to(ROOT / "streams") or path.parent.parent == ROOT
        else path.name
    )


def _text(code: CodeType, number: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        return Path(code.co_filename).read_text().splitlines()[max(number, 1) - 1].strip()[:90]
    return ""


@contextlib.contextmanager
def sampled() -> Iterator[Samples]:
    """Sample the main thread, which must be the one that enters the block."""
    samples = Samples()
    former = signal.signal(signal.SIGPROF, samples.note)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL_S, _INTERVAL_S)
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
