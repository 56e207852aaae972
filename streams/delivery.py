"""Delivery of notices: who is told by what, when it is tried (again), when it is late, and when it is given up.

All that is remembered of a notice is what was recorded about it on alert.deliveries: `Outbox.recorded` takes records as
they are made and as they are read again after a restart, and comes to the same.  Time comes in as an argument (ms).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal, NamedTuple

from schemas.records import Delivery, Notice
from streams.desk.words import VISITOR

EMAIL, WEBHOOK, CONSOLE, NONE = "email", "webhook", "console", "none"
STEPS_MS = (5_000, 30_000, 120_000, 300_000, 600_000, 900_000)
"""Before the second attempt, the third, …; after the last of them every further one waits as long."""
GIVEN_UP_MS = 24 * 3_600_000
"""After so long nobody needs to be told any more."""
LATE_MS = 120_000
"""What comes so long after it should have been told is marked late."""
MOST_AT_ONCE = 4
"""So many attempts are under way to one server."""
_JITTER = 5
"""Waits are up to a fifth longer: what failed together is not tried again together."""
_MOST_ANSWER = 200

Place = tuple[int, int]
"""Partition and offset of a notice."""


class Target(NamedTuple):
    """Whom to tell by what: of an e-mail the person's id or `visitor`, of a webhook the endpoint's name."""

    channel: str
    name: str

    @property
    def server(self) -> str:
        """Who has to be there for it: all e-mail goes through one, each endpoint is one."""
        return f"{self.channel}:{self.name}" if self.channel == WEBHOOK else self.channel


class Verdict(NamedTuple):
    """How an attempt ended."""

    outcome: Literal["sent", "refused", "later", "away"]
    """refused: it will never be taken; later: this one was not taken now; away: nothing is taken there at present."""
    answer: str
    wait_ms: int = 0
    """Not to be tried again earlier, by the other side's word."""


_Key = tuple[str, Target]
"""Notice and target."""
_Entry = tuple[int, Place, _Key]
"""A time (ms), and what is to be done then."""


@dataclass(frozen=True)
class Channels:
    """What is configured, and how people are reached."""

    email: bool = False
    endpoints: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Name → the kinds of notices it gets; empty: all."""
    people: frozenset[str] = frozenset()
    """Persons with an address."""
    queues: Mapping[str, str] = field(default_factory=dict)
    """Queue → id of the person who answers for it."""


@dataclass
class Item:
    """One notice for one target, until it has ended."""

    notice: Notice
    place: Place
    target: Target
    attempt: int
    """So many have ended."""
    next_at: int
    answer: str = ""
    """The last one."""
    under_way: bool = False


@dataclass
class _Server:
    """What is known of the other side: whether it is there."""

    failures: int = 0
    closed_until: int = 0
    under_way: int = 0
    queue: list[_Entry] = field(default_factory=list)
    """What is to be tried there now, the oldest first."""

    @property
    def room(self) -> int:
        """How many attempts may be under way; one, as long as it seems to be away."""
        return 1 if self.failures else MOST_AT_ONCE


@dataclass
class _Partition:
    unfinished: dict[int, int] = field(default_factory=dict)
    """Offset → how many targets are not finished."""
    next_offset: int = 0


def targets(notice: Notice, channels: Channels) -> list[Target]:
    """Who is to be told; `console` is not sent anything, and `none` says that nothing is configured.

    Each endpoint gets what it asked for.  The person is told by the first configured channel that the notice names.
    """
    found = [Target(WEBHOOK, name) for name, kinds in channels.endpoints.items() if not kinds or notice.kind in kinds]
    person = notice.to if notice.to == VISITOR else channels.queues.get(notice.to, notice.to)
    for channel in notice.channels:
        if channel == CONSOLE and person != VISITOR:
            return [*found, Target(CONSOLE, person)]
        if channel == EMAIL and channels.email and (person == VISITOR or person in channels.people):
            return [*found, Target(EMAIL, person)]
        if channel == WEBHOOK and found:
            return found
    return found or [Target(NONE, person)]


def wait_ms(notice_id: str, target: Target, attempt: int) -> int:
    """How long to wait after that attempt (from 1), the same at every calculation."""
    step = STEPS_MS[min(attempt, len(STEPS_MS)) - 1]
    name = f"{notice_id}/{target.channel}/{target.name}/{attempt}".encode()
    draw = int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "big")
    return step + draw * (step // _JITTER) // (1 << 32)


class Outbox:
    """The notices that are not finished."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._items: dict[_Key, Item] = {}
        self._heard: dict[_Key, Delivery] = {}
        self._servers: dict[str, _Server] = {}
        self._partitions: dict[int, _Partition] = {}
        self._later: list[_Entry] = []
        """What is to be tried, by when.  An entry here or in a server's queue may be out of date: see `_is_valid`."""
        self._ends: list[_Entry] = []
        """What is to be given up, by when."""

    def obey(self, channels: Channels) -> None:
        """Tell whom these know from here on."""
        self._channels = channels

    def __len__(self) -> int:
        return len(self._items)

    def hear(self, delivery: Delivery) -> None:
        """A record from before: call it for all that there are, in their order, before notices are taken."""
        self._heard[_key_of(delivery)] = delivery

    def take(self, place: Place, notice: Notice, now: int) -> list[Delivery]:
        """A notice; returns what is to be recorded at once, because nothing will be sent."""
        partition, offset = place
        known = self._partitions.setdefault(partition, _Partition())
        if offset < known.next_offset:
            return []
        known.next_offset = offset + 1
        settled = []
        for target in targets(notice, self._channels):
            key = notice.notice_id, target
            last = self._heard.pop(key, None)
            if key in self._items or (last is not None and last.status != "failed"):
                continue
            item = self._items[key] = Item(notice, place, target, 0, notice.deliver_after)
            known.unfinished[offset] = known.unfinished.get(offset, 0) + 1
            if target.channel in (CONSOLE, NONE):
                item.under_way = True
                why = "the console shows it" if target.channel == CONSOLE else "none of its channels is configured"
                settled.append(_delivery(item, "skipped", now, None, why))
                continue
            if last is not None:
                item.attempt, item.next_at, item.answer = last.attempt, last.next_at or now, last.answer
            heappush(self._later, (item.next_at, place, key))
            heappush(self._ends, (notice.deliver_after + GIVEN_UP_MS, place, key))
        return settled

    def due(self, now: int) -> list[Item]:
        """What is to be tried now; each is under way until `ended` and `recorded`."""
        while self._later and self._later[0][0] <= now:
            entry = heappop(self._later)
            if self._is_valid(entry):
                heappush(self._server(entry[2][1]).queue, entry)
        found = []
        for server in self._servers.values():
            while server.queue and now >= server.closed_until and server.under_way < server.room:
                entry = heappop(server.queue)
                if self._is_valid(entry):
                    item = self._items[entry[2]]
                    item.under_way = True
                    server.under_way += 1
                    found.append(item)
        return found

    def overdue(self, now: int) -> list[Delivery]:
        """What is given up, to be recorded."""
        found = []
        while self._ends and self._ends[0][0] <= now:
            _, place, key = heappop(self._ends)
            item = self._items.get(key)
            if item is not None and item.under_way:
                heappush(self._ends, (now + STEPS_MS[0], place, key))  # when it has ended
            elif item is not None:
                item.under_way = True
                found.append(_delivery(item, "dead", now, None, item.answer or "it was too old when it could be sent"))
        return found

    def ended(self, item: Item, verdict: Verdict, now: int) -> Delivery:
        """An attempt has ended; returns what is to be recorded."""
        server = self._server(item.target)
        server.under_way -= 1
        if verdict.outcome == "away":
            server.failures += 1
            server.closed_until = now + max(wait_ms("", item.target, server.failures), verdict.wait_ms)
        else:
            server.failures = server.closed_until = 0
        item.attempt += 1
        if verdict.outcome == "sent":
            return _delivery(item, "sent", now, None, verdict.answer)
        if verdict.outcome == "refused":
            return _delivery(item, "dead", now, None, verdict.answer)
        next_at = now + max(wait_ms(item.notice.notice_id, item.target, item.attempt), verdict.wait_ms)
        return _delivery(item, "failed", now, next_at, verdict.answer)

    def recorded(self, delivery: Delivery) -> None:
        """What became of an attempt stands on the topic."""
        key = _key_of(delivery)
        item = self._items.get(key)
        if item is None:
            return
        if delivery.status == "failed":
            item.under_way, item.next_at, item.answer = False, delivery.next_at or delivery.at, delivery.answer
            heappush(self._later, (item.next_at, item.place, key))
            return
        del self._items[key]
        partition, offset = item.place
        left = self._partitions[partition].unfinished
        left[offset] -= 1
        if not left[offset]:
            del left[offset]

    def positions(self) -> dict[int, int]:
        """Partition → the offset before which all is finished."""
        return {number: min(each.unfinished, default=each.next_offset) for number, each in self._partitions.items()}

    def wakes_at(self) -> int | None:
        """When there may be something to do, at the earliest; None if there is nothing."""
        waking = [entries[0][0] for entries in (self._later, self._ends) if entries]
        waking += [each.closed_until for each in self._servers.values() if each.queue and each.under_way < each.room]
        return min(waking, default=None)

    def _is_valid(self, entry: _Entry) -> bool:
        item = self._items.get(entry[2])
        return item is not None and not item.under_way and item.next_at == entry[0]

    def _server(self, target: Target) -> _Server:
        return self._servers.setdefault(target.server, _Server())


def _key_of(delivery: Delivery) -> _Key:
    return delivery.notice_id, Target(delivery.channel, delivery.target)


def _delivery(item: Item, status: str, now: int, next_at: int | None, answer: str) -> Delivery:
    notice, target = item.notice, item.target
    tried = status in ("sent", "failed")
    return Delivery(
        delivery_id=f"{notice.notice_id}/{target.channel}/{target.name}/{item.attempt if tried else status}",
        notice_id=notice.notice_id,
        to=notice.to,
        kind=notice.kind,
        request_id=notice.request_id,
        lead_id=notice.lead_id,
        channel=target.channel,
        target=target.name,
        status=status,
        attempt=item.attempt,
        at=now,
        next_at=next_at,
        late=status == "sent" and now - notice.deliver_after > LATE_MS,
        answer=answer[:_MOST_ANSWER],
    )
