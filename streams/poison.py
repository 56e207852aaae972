"""A flood of poison stops the line: one bad record is rejected, many mean that something is misconfigured."""

from __future__ import annotations

from collections import deque

WINDOW = 10_000
MOST = 100
MOST_PERCENT = 5


class PoisonGauge:
    """Counts undecodable records among the last 10,000 of a partition.

    It trips when over 100 of them, and over 5 %, could not be read.  `accept`: so many more are let through first.
    """

    def __init__(self, accept: int = 0) -> None:
        self._accept = accept
        self._seen = 0
        self._places: deque[int] = deque()

    def good(self, count: int) -> None:
        """Note records that could be read."""
        self._seen += count

    def poison(self) -> bool:
        """Note a record that could not be read; False if it is one too many and must stay unread."""
        if self._accept > 0:
            self._accept -= 1
            self._seen += 1
            return True
        while self._places and self._places[0] <= self._seen - WINDOW:
            self._places.popleft()
        count = len(self._places) + 1
        if count > MOST and 100 * count > MOST_PERCENT * min(self._seen + 1, WINDOW):
            return False
        self._places.append(self._seen)
        self._seen += 1
        return True


class NewerMail(Exception):  # noqa: N818  it is no error of anybody's
    """Mail of a release that this one does not know: it must not be rejected, so the partition stops."""
