"""What happens now: records as they appear on the topics, each once, to everybody who listens.

Records of transactional topics are shown before they are committed, because that is sooner.  A second reader tells what
was committed; what it has passed without seeing was aborted and is withdrawn.  Guarantee: each id is shown once, unless
it was withdrawn in between; whoever comes back within the ring's time and dedupes by id has missed nothing and has
nothing twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from schemas.records import Record

RING_MS = 60_000
"""What was shown is kept so long for those who come back."""
OVERLAP_MS = 30_000
"""Clocks of several consoles differ: so much before the time that somebody has seen last is sent again."""
REMEMBERED_MS = 600_000
"""An id is known so long, against repeats of readers that began anew."""
_MOST_KEPT = 20_000
_MOST_WAITING = 2_000
"""Happenings that a slow listener may be behind before it is cut off and has to come back."""


class Place(NamedTuple):
    """Where a record stands."""

    topic: str
    """Logical name."""
    partition: int
    offset: int


class Happening(NamedTuple):
    """One thing that happened, or was withdrawn."""

    id: str
    record: Record
    place: Place
    at: int
    """When it was shown, by the console's clock (ms); never falls."""
    withdrawn: bool = False


class Listener:
    """Somebody who listens to what they want.

    `over` is set when nothing more comes: the console ends, or they were too slow and have to come back.
    """

    def __init__(self, wants: Callable[[Happening], bool]) -> None:
        self.wants = wants
        self._queue: asyncio.Queue[Happening | None] = asyncio.Queue()
        self.over = False

    def tell(self, happening: Happening) -> None:
        """Put something into the queue, if it is wanted."""
        if self.over or not self.wants(happening):
            return
        if self._queue.qsize() >= _MOST_WAITING:
            self.end()
        else:
            self._queue.put_nowait(happening)

    def end(self) -> None:
        """Nothing more comes."""
        self.over = True
        self._queue.put_nowait(None)

    async def next(self, timeout_s: float) -> Happening | None:
        """What comes next; None when nothing has come within the time, or it is over."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None


class Hub:
    """Takes in records from both readers and tells listeners."""

    def __init__(self, first: Callable[[Happening], None]) -> None:
        self._first = first
        """Is told before all listeners, so that what they look at is up to date."""
        self.ring: deque[Happening] = deque()
        self._listeners: set[Listener] = set()
        self._shown: dict[str, Happening] = {}
        self._unsettled: dict[tuple[str, int], deque[Place]] = {}
        self._ids: dict[Place, str] = {}
        self._settled: dict[tuple[str, int], int] = {}
        self._last = self._forgotten = 0

    def show(self, id: str, record: Record, place: Place, now: int, *, transactional: bool) -> Happening | None:
        """Show a record that was read, before or after its commit; None if there is nothing new in it."""
        line = place.topic, place.partition
        if transactional and place.offset < self._settled.get(line, 0):
            return None  # the other reader has been here: it was shown, or aborted
        known = self._shown.get(id)
        if transactional and place not in self._ids:
            self._ids[place] = id
            waiting = self._unsettled.setdefault(line, deque())
            waiting.append(place)
            if len(waiting) > _MOST_KEPT:  # the other reader has been away for long: what it would say is old
                del self._ids[waiting.popleft()]
        if known is not None and not known.withdrawn:
            if known.place < place:  # published again after a restart: what was aborted is not missed
                self._shown[id] = known._replace(place=place)
            return None
        happening = Happening(id, record, place, self._clock(now))
        self._shown.pop(id, None)
        self._shown[id] = happening
        self._send(happening)
        return happening

    def settle(
        self, topic: str, partition: int, position: int, committed: Collection[int], now: int
    ) -> list[Happening]:
        """The reader of what is committed has come to this position, and these offsets were there; what is withdrawn.

        Records are to be given to `show` before they are settled.
        """
        line, withdrawn = (topic, partition), []
        self._settled[line] = max(position, self._settled.get(line, 0))
        waiting = self._unsettled.get(line, deque())
        while waiting and waiting[0].offset < position:
            place = waiting.popleft()
            id = self._ids.pop(place)
            shown = self._shown.get(id)
            if place.offset in committed or shown is None or shown.withdrawn or shown.place != place:
                continue
            gone = shown._replace(at=self._clock(now), withdrawn=True)
            self._shown[id] = gone
            self._send(gone)
            withdrawn.append(gone)
        return withdrawn

    def listen(
        self, since: int | None, wants: Callable[[Happening], bool] = lambda _: True
    ) -> tuple[Listener, list[Happening], bool]:
        """Listen from now on; with what was shown since a time (ms) and shortly before, and whether that is all."""
        listener = Listener(wants)
        self._listeners.add(listener)
        if since is None:
            return listener, [], True
        past = [each for each in self.ring if each.at >= since - OVERLAP_MS and wants(each)]
        return listener, past, since >= self._forgotten

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """End all listening."""
        for listener in self._listeners:
            listener.end()

    def count(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def _clock(self, now: int) -> int:
        self._last = max(now, self._last)
        return self._last

    def _send(self, happening: Happening) -> None:
        self._first(happening)
        self.ring.append(happening)
        while self.ring[0].at < happening.at - RING_MS or len(self.ring) > _MOST_KEPT:
            self._forgotten = self.ring.popleft().at
        while (first := next(iter(self._shown.values()))).at < happening.at - REMEMBERED_MS:
            del self._shown[first.id]
        for listener in self._listeners:
            listener.tell(happening)
