"""What is due when: the leads of one partition that a tick is to look at."""

from __future__ import annotations

import heapq
from collections.abc import Callable

NEVER = 1 << 62
_BUCKET_S = 3_600


class Agenda:
    """Keys by the time (seconds) at which they are due, given out in order of (due, key).

    The far future is kept in buckets of an hour without order, as text with a key a line, so that a key costs a byte
    beside itself; a bucket is sorted into a heap when its hour has come.  No key has a line's end in it.  An entry is
    never removed: `due_of` tells when a key is due now (0: never), and entries that no longer hold are passed over.
    """

    def __init__(self, due_of: Callable[[bytes], int]) -> None:
        self._due_of = due_of
        self._near: list[tuple[int, bytes]] = []
        self._far: dict[int, bytearray] = {}
        self._opened = 0
        self.next_due = NEVER
        """No entry is due before this time."""

    def add(self, due: int, key: bytes) -> None:
        """Note that a key is due at a time, which `due_of` tells from now on."""
        if due < self._opened:
            heapq.heappush(self._near, (due, key))
            self.next_due = min(self.next_due, due)
        else:
            bucket = self._far.setdefault(due // _BUCKET_S, bytearray())
            bucket += key
            bucket += b"\n"
            self.next_due = min(self.next_due, due // _BUCKET_S * _BUCKET_S)

    def pop(self, now: int) -> bytes | None:
        """The first key that is due at `now`, taken off the list; None if there is none."""
        if now >= self._opened:
            self._opened = (now // _BUCKET_S + 1) * _BUCKET_S
            for bucket in [bucket for bucket in self._far if bucket * _BUCKET_S < self._opened]:
                for key in bytes(self._far.pop(bucket)).split(b"\n")[:-1]:
                    due = self._due_of(key)
                    if due // _BUCKET_S == bucket:
                        heapq.heappush(self._near, (due, key))
        found = None
        while found is None and self._near and self._near[0][0] <= now:
            due, key = heapq.heappop(self._near)
            if self._due_of(key) == due:
                found = key
        far = min(self._far) * _BUCKET_S if self._far else NEVER
        self.next_due = min(self._near[0][0], far) if self._near else far
        return found
