"""The read side in Redis, as `mirror` writes it: see `schemas.readside` for the keys."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from console.history import Asked, Away, KnownLead
from schemas import readside as keys
from schemas.codec import Undecodable, decode
from schemas.records import Assignment, LeadAlert, LeadDuplicate, LeadState, Presence, RaisedHand, Record, Waiting

PATIENCE_S = 1.0
"""For one question: a page that waits longer is worse than one without history."""
_REST_S = 3.0
"""After a failure nothing is asked for so long, except whether it is there again: a page has many questions."""
_SILENT = "the history does not answer"
_STALE_MS = 10_000
_LAG = 100
_MOST_MOVES = 32
_T = TypeVar("_T", bound=Record)


class RedisHistory:
    """Answers `History` from Redis."""

    def __init__(self, url: str, prefix: str) -> None:
        self._prefix = prefix
        # redis declares answers of str or bytes, of one or the other kind of client; ours are bytes.
        self._redis: Any = Redis.from_url(
            url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S, max_connections=64
        )
        self._rests_until = 0.0

    async def open_requests(self, kind: str, whose: str, most: int) -> list[Asked]:
        """See `History`."""
        async with self._asking() as base:
            ids = await self._redis.zrange(base + keys.open_requests(kind, whose), 0, most - 1)
            return await self._asked(base, _texts(ids))

    async def loads(self, people: list[str]) -> dict[str, tuple[int, int]]:
        """See `History`."""
        async with self._asking() as base, self._redis.pipeline(transaction=False) as pipe:
            for each in people:
                pipe.zcard(base + keys.open_requests("hands", f"rep:{each}"))
                pipe.zcard(base + keys.open_requests("leads", f"rep:{each}"))
            rows = await _run(pipe, 2)
        return {id: (hands, leads) for id, (hands, leads) in zip(people, rows, strict=True)}

    async def pending(self, most: int) -> list[Asked]:
        """See `History`."""
        async with self._asking() as base:
            ids = await self._redis.zrange(base + keys.HANDS, -most, -1)
            return [each for each in await self._asked(base, _texts(ids)) if each.hand and not each.assignment]

    async def request(self, request_id: str) -> Asked | None:
        """See `History`."""
        async with self._asking() as base:
            (found,) = await self._asked(base, [request_id])
        return found if found.hand or found.waiting or found.assignment else None

    async def last_served(self) -> Asked | None:
        """See `History`."""
        async with self._asking() as base:
            ids = await self._redis.zrange(base + keys.CLOSED, -20, -1, desc=False)
            found = await self._asked(base, _texts(ids)[::-1])
        return next((each for each in found if each.hand and each.touched and each.assignment), None)

    async def standing(self, lead_id: str) -> str | None:
        """See `History`."""
        async with self._asking() as base:
            for _ in range(_MOST_MOVES):
                moved = await self._redis.hget(base + keys.MOVED, lead_id)
                if moved is None:
                    return lead_id
                lead_id = moved.decode()
        return lead_id or None

    async def leads(self, lead_ids: list[str]) -> dict[str, KnownLead]:
        """See `History`."""
        async with self._asking() as base, self._redis.pipeline(transaction=False) as pipe:
            for each in lead_ids:
                pipe.hget(base + keys.STATES, each)
                pipe.hget(base + keys.MEMORIES, each)
                pipe.get(base + keys.alert(each))
                pipe.get(base + keys.owner(each))
            rows = await _run(pipe, 4)
        found = {}
        for id, (state, memory, alert, owner) in zip(lead_ids, rows, strict=True):
            if state or memory or alert or owner:
                known = (
                    _record(state, LeadState),
                    _record(alert, LeadAlert),
                    memory,
                    owner.decode() if owner else None,
                )
                found[id] = KnownLead(id, *known)
        return found

    async def hot(self, most: int) -> list[str]:
        """See `History`."""
        async with self._asking() as base:
            return _texts(await self._redis.zrange(base + keys.HOT, 0, most - 1, desc=True))

    async def requests_of(self, lead_ids: list[str]) -> list[Asked]:
        """See `History`."""
        async with self._asking() as base:
            ids = await self._newest(base, [keys.requests_of(each) for each in lead_ids], keys.MOST_OF_A_LEAD)
            return await self._asked(base, list(dict.fromkeys(_texts(ids))))

    async def timeline(self, lead_ids: list[str], request_ids: list[str], most: int) -> list[Record]:
        """See `History`."""
        names = [keys.timeline(each) for each in lead_ids] + [keys.history(each) for each in request_ids]
        async with self._asking() as base:
            values = await self._newest(base, names, most)
        return [record for value in dict.fromkeys(values) if (record := _any(value)) is not None]

    async def duplicates(self, lead_id: str) -> list[LeadDuplicate]:
        """See `History`."""
        async with self._asking() as base:
            values = await self._redis.hvals(base + keys.duplicates(lead_id))
        return [record for value in values if (record := _record(value, LeadDuplicate)) is not None]

    async def search(self, text: str, most: int) -> list[str]:
        """See `History`."""
        words = keys.tokens(text)
        found: list[set[str]] = []
        async with self._asking() as base:
            for word in words[:4]:
                low, high = f"[{word}".encode(), f"[{word}".encode() + b"\xff"
                members = await self._redis.zrangebylex(base + keys.NAMES, low, high, 0, 1_000)
                found.append({each.split(b"\0")[1].decode() for each in members})
        return sorted(set.intersection(*found))[:most] if found else []

    async def alerts(self, most: int) -> list[LeadAlert]:
        """See `History`."""
        async with self._asking() as base:
            values = await self._redis.zrange(base + keys.ALERTS, 0, most - 1, desc=True)
        return [record for value in values if (record := _record(value, LeadAlert)) is not None]

    async def presence(self) -> dict[str, Presence]:
        """See `History`."""
        async with self._asking() as base:
            found = await self._redis.hgetall(base + keys.PRESENCE)
        read = {id.decode(): _record(value, Presence) for id, value in found.items()}
        return {id: value for id, value in read.items() if value is not None}

    async def behind(self, now: int) -> str:
        """See `History`."""
        try:
            async with self._asking(rested=True) as base:
                health = await self._redis.hgetall(base + keys.HEALTH)
        except Away as why:
            return str(why)
        seen, lag = int(health.get(b"seen", 0)), int(health.get(b"lag", 0))
        if now - seen > _STALE_MS:
            return "nobody writes the history at present"
        return f"{lag:,} records are still to be read" if lag > _LAG else ""

    async def close(self) -> None:
        """See `History`."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()

    @contextlib.asynccontextmanager
    async def _asking(self, *, rested: bool = False) -> AsyncIterator[str]:
        """The beginning of the keys to read; what Redis refuses becomes `Away`."""
        if not rested and time.monotonic() < self._rests_until:
            raise Away(_SILENT)
        try:
            async with asyncio.timeout(PATIENCE_S):
                generation = await self._redis.get(keys.current(self._prefix))
                if generation is None:
                    raise Away("the history is being gathered for the first time")
                yield keys.base(self._prefix, int(generation))
            self._rests_until = 0.0
        except (RedisError, OSError, TimeoutError) as error:
            self._rests_until = time.monotonic() + _REST_S
            raise Away(_SILENT) from error

    async def _asked(self, base: str, ids: list[str]) -> list[Asked]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for each in ids:
                pipe.hmget(base + keys.request(each), ["assignment", "touched"])
                pipe.get(base + keys.hand(each))
                pipe.get(base + keys.waiting(each))
            rows = await _run(pipe, 3)
        found = []
        for id, ((assignment, touched), hand, waiting) in zip(ids, rows, strict=True):
            records = (_record(hand, RaisedHand), _record(waiting, Waiting), _record(assignment, Assignment))
            found.append(Asked(id, *records, int(touched) if touched else None))
        return found

    async def _newest(self, base: str, names: Iterable[str], most: int) -> list[bytes]:
        """The newest members of several sorted sets together."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zrange(base + name, 0, most - 1, desc=True, withscores=True)
            answers = await pipe.execute()
        rows = sorted((row for answer in answers for row in answer), key=lambda row: -row[1])
        return [member for member, _ in rows[:most]]


async def _run(pipe: Pipeline, of_each: int) -> list[list[Any]]:
    answers = await pipe.execute()
    return [answers[at : at + of_each] for at in range(0, len(answers), of_each)]


def _texts(values: Iterable[bytes]) -> list[str]:
    return [value.decode() for value in values]


def _any(value: bytes) -> Record | None:
    try:
        return decode(value)
    except Undecodable:
        return None  # written by a newer release: what cannot be read is not shown


def _record(value: bytes | None, cls: Callable[..., _T]) -> _T | None:
    found = _any(value) if value else None
    return found if isinstance(found, cls) else None  # type: ignore[arg-type,return-value]
