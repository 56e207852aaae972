"""What is due when: the leads of one partition that a tick is to look at."""

from __future__ import annotations

import heapq
from collections.abc import Callable

NEVER = 1 << 62
_BUCKET_S = 3_600


class Agenda:
    """Keys by the time (seconds) at which they are due, given out in order of (due, key).

    The far future is kept in buckets of an hour without order, as text with a key a line, so that a key costs a byte
    beside itself; no key has a line's end in it.  A bucket is sorted into a heap when its hour has come and everything
    before it is done.  An entry is never removed: `due_of` tells when a key is due now (0: never), and entries that no
    longer hold are passed over.
    """

    def __init__(self, due_of: Callable[[bytes], int]) -> None:
        self._due_of = due_of
        self._near: list[tuple[int, bytes]] = []
        self._far: dict[int, bytearray] = {}
        self._hours: list[int] = []
        """The buckets that there are, a heap."""
        self._opened = 0
        self.next_due = NEVER
        """No entry is due before this time."""

    def add(self, due: int, key: bytes) -> None:
        """Note that a key is due at a time, which `due_of` tells from now on."""
        if due < self._opened:
            heapq.heappush(self._near, (due, key))
            self.next_due = min(self.next_due, due)
            return
        hour = due // _BUCKET_S
        bucket = self._far.get(hour)
        if bucket is None:
            bucket = self._far[hour] = bytearray()
            heapq.heappush(self._hours, hour)
            self.next_due = min(self.next_due, hour * _BUCKET_S)
        bucket += key
        bucket += b"\n"

    def pop(self, now: int) -> bytes | None:
        """The first key that is due at `now`, taken off the list; None if there is none."""
        found, near, hours = None, self._near, self._hours
        while found is None:
            if near and near[0][0] <= now:
                due, key = heapq.heappop(near)
                if self._due_of(key) == due:
                    found = key
            elif hours and hours[0] * _BUCKET_S <= now:
                self._open(heapq.heappop(hours))
            else:
                break
        far = hours[0] * _BUCKET_S if hours else NEVER
        self.next_due = min(near[0][0], far) if near else far
        return found

    def _open(self, hour: int) -> None:
        """Sort a bucket into the heap, but for what is due at another time by now."""
        self._opened = (hour + 1) * _BUCKET_S
        dues = ((self._due_of(key), key) for key in bytes(self._far.pop(hour)).split(b"\n")[:-1])
        self._near += [entry for entry in dues if entry[0] // _BUCKET_S == hour]
        heapq.heapify(self._near)
