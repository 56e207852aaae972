"""The desk's memory: states under keys, what each person has, and what is due; up to date within an open batch."""

from __future__ import annotations

import heapq
from typing import cast

from streams.desk import state
from streams.desk.lifecycle import OPEN
from streams.desk.state import (
    CLOCK,
    Case,
    Clock,
    Credits,
    Held,
    Joined,
    Rep,
    Seen,
    State,
    case_key,
    held_key,
    pool_key,
    rep_key,
    waiting_key,
)
from streams.fold import States


class Memory:
    """All that the desk remembers.  A state that was changed is to be kept: `keep` or `put`."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._open: dict[bytes, State | None] = {}
        self._changed: set[bytes] = set()
        self._has: dict[bytes, tuple[str, str]] = {}
        self._dues: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self.reps: dict[str, Rep] = {}
        """What people have said and done."""
        self.load: dict[tuple[str, str], int] = {}
        """(person, class) → open requests."""
        for key, value in states.items():
            if key[:2] == b"r/":
                found = state.decode(value)
                if isinstance(found, Case):
                    self._note(key, found)
            elif key[:2] == b"p/":
                rep = self.reps[key[2:].decode()] = cast("Rep", state.decode(value))
                self._schedule(key, rep.digest_at)
        clock = self._get(CLOCK)
        self.clock = clock if isinstance(clock, Clock) else Clock()

    def case(self, request_id: str) -> Case | None:
        """The case that a request is part of."""
        found = self._get(case_key(request_id))
        if isinstance(found, Joined):
            found = self._get(case_key(found.to))
        return found if isinstance(found, Case) else None

    def rep(self, person: str) -> Rep:
        """What a person has said and done; change it and `put_rep` it."""
        return self.reps.get(person) or Rep()

    def put_rep(self, person: str, rep: Rep) -> None:
        """Remember it."""
        self.reps[person] = rep
        key = rep_key(person)
        self._put(key, rep)
        self._schedule(key, rep.digest_at)

    def credits(self, pool: str) -> dict[str, int]:
        """The round robin of a pool, to be changed in place."""
        key = pool_key(pool)
        found = self._get(key)
        if not isinstance(found, Credits):
            found = Credits({})
        self._put(key, found)
        return found.of

    def held(self, topic: str, identifier: str) -> Case | None:
        """The case of a topic in which an identifier was seen last."""
        found = self._get(held_key(topic, identifier))
        return self.case(found.case) if isinstance(found, Held) else None

    def hold(self, case: Case) -> None:
        """Remember that the case's identifiers were seen in it."""
        for identifier in case.identifiers:
            self._put(held_key(case.topic, identifier), Held(case.asks[0].request_id))

    def is_news(self, partition: int, offset: int) -> bool:
        """True, once, for a record of desk.waiting behind all that came before."""
        key = waiting_key(partition)
        found = self._get(key)
        if isinstance(found, Seen) and offset <= found.offset:
            return False
        self._put(key, Seen(offset))
        return True

    def keep(self, case: Case) -> None:
        """Remember a case, who has it, and when it is due."""
        key = case_key(case.asks[0].request_id)
        self._put(key, case)
        self._note(key, case)

    def join(self, request_id: str, case: Case) -> None:
        """A request becomes part of a case, whatever it was."""
        key = case_key(request_id)
        self._forget(key)
        self._put(key, Joined(case.asks[0].request_id))

    def drop(self, case: Case) -> None:
        """Forget a case with its requests and identifiers."""
        for ask in case.asks:
            key = case_key(ask.request_id)
            self._forget(key)
            self._put(key, None)
        for identifier in case.identifiers:
            key = held_key(case.topic, identifier)
            found = self._get(key)
            if isinstance(found, Held) and found.case == case.asks[0].request_id:
                self._put(key, None)

    def tick(self) -> None:
        """The clock has changed."""
        self._put(CLOCK, self.clock)

    def pop(self, now: int) -> Case | str | None:
        """The first that is due, in order of (due, key): a case, or a person's id for their digest.

        It is due no more until it is kept again.
        """
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._dues.get(key) == due:
                del self._dues[key]
                return key[2:].decode() if key[:2] == b"p/" else cast("Case", self._get(key))
        return None

    def seal(self) -> dict[bytes, bytes | None]:
        """What has changed since the last time, encoded."""
        changes: dict[bytes, bytes | None] = {}
        for key in sorted(self._changed):
            value = self._open[key]
            if value is None:
                changes[key] = None
                self._states.pop(key, None)
            else:
                changes[key] = self._states[key] = state.encode(value)
        self._changed.clear()
        self._open.clear()
        return changes

    def _get(self, key: bytes) -> State | None:
        try:
            return self._open[key]
        except KeyError:
            value = self._states.get(key)
            found = self._open[key] = None if value is None else state.decode(value)
            return found

    def _put(self, key: bytes, value: State | None) -> None:
        self._open[key] = value
        self._changed.add(key)

    def _note(self, key: bytes, case: Case) -> None:
        has = (case.owner, case.follow_up_class) if case.owner and case.status in OPEN else None
        had = self._has.get(key)
        if has != had:
            self._unload(key)
            if has:
                self._has[key] = has
                self.load[has] = self.load.get(has, 0) + 1
        self._schedule(key, case.due)

    def _schedule(self, key: bytes, due: int) -> None:
        if not due:
            self._dues.pop(key, None)
        elif self._dues.get(key) != due:
            self._dues[key] = due
            heapq.heappush(self._heap, (due, key))

    def _forget(self, key: bytes) -> None:
        self._unload(key)
        self._dues.pop(key, None)

    def _unload(self, key: bytes) -> None:
        had = self._has.pop(key, None)
        if had:
            left = self.load[had] - 1
            if left:
                self.load[had] = left
            else:
                del self.load[had]
