"""What the read side knows of who raises a hand: their owner and score, looked up within a hard limit of time.

Without an answer in time the hand goes its way without stamps, and Redis is left alone for a moment: one that is away
or slow costs a hand now and then some milliseconds, and other events nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.metrics import Metrics
from schemas import readside as keys
from schemas.codec import decode
from schemas.records import LeadState, RaisedHand
from schemas.wire import Undecodable

PATIENCE_S = 0.01
REST_S = 0.5
"""So long nothing is asked after there was no answer."""
_CONNECT_S = 1.0

log = structlog.get_logger()


class ReadSide(Protocol):
    """Who stamps raised hands."""

    async def stamp(self, hands: Sequence[RaisedHand]) -> Sequence[RaisedHand]:
        """The hands, with what is known; as they are where nothing is.  Raises nothing."""


class NoReadSide:
    """Knows nobody."""

    async def stamp(self, hands: Sequence[RaisedHand]) -> Sequence[RaisedHand]:
        """As ReadSide says."""
        return hands


class RedisReadSide:
    """Asks the read side in Redis."""

    def __init__(
        self, url: str, prefix: str, metrics: Metrics, patience_s: float = PATIENCE_S, rest_s: float = REST_S
    ) -> None:
        self._redis: Redis = Redis.from_url(url)
        self._prefix, self._patience_s, self._rest_s = prefix, patience_s, rest_s
        self._stamps = {each: metrics.stamps.labels(each) for each in ("known", "unknown", "no_answer", "not_asked")}
        self._seconds = metrics.stamp_seconds
        self._generation: int | None = None
        self._rest_until = float("-inf")
        self._is_away = False

    async def stamp(self, hands: Sequence[RaisedHand]) -> Sequence[RaisedHand]:
        """As ReadSide says."""
        clock = asyncio.get_running_loop().time
        if clock() < self._rest_until:
            self._stamps["not_asked"].inc(len(hands))
            return hands
        try:
            with self._seconds.time():
                async with asyncio.timeout(self._patience_s):
                    stamped = [await self._known(hand) for hand in hands]
        except (TimeoutError, RedisError, OSError, Undecodable) as error:
            self._rest_until = clock() + self._rest_s
            self._stamps["no_answer"].inc(len(hands))
            if not self._is_away:
                log.warning("raised hands go without stamps: the read side does not answer", error=repr(error))
            self._is_away = True
            return hands
        self._is_away = False
        for before, after in zip(hands, stamped, strict=True):
            self._stamps["unknown" if before is after else "known"].inc()
        return stamped

    async def start(self) -> None:
        """Connect, so that the first hand does not wait for it; one that is away will be asked again."""
        with contextlib.suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(_CONNECT_S):
                await self._redis.ping()

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def _known(self, hand: RaisedHand) -> RaisedHand:
        ids = [each for each in dict.fromkeys((hand.lead_id, *hand.identifiers)) if each[0] in "uea"]
        generation, states, owners, moved = await self._ask(ids)
        if generation != self._generation:  # it has flipped, or this is the first question
            self._generation = generation
            _, states, owners, moved = await self._ask(ids)
        heirs = [each.decode() for each in moved if each]
        if heirs and not any(states):
            _, states, more, _ = await self._ask(heirs)
            owners = [*owners, *more]
        owner = next((each.decode() for each in owners if each), None)
        state = next((decode(each) for each in states if each), None)
        # Whoever does not want to be tracked is not told by what was tracked before.
        score = state.behaviour_millipoints if isinstance(state, LeadState) and hand.engagement else None
        if owner is None and score is None:
            return hand
        return msgspec.structs.replace(hand, owner=owner, score_millipoints=score)

    async def _ask(self, ids: list[str]) -> tuple[int | None, list[Any], list[Any], list[Any]]:
        """Which generation is read, and by the one that was read last: states, owners and forwarding addresses."""
        base = keys.base(self._prefix, self._generation or 0)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(keys.current(self._prefix))
            pipe.hmget(base + keys.STATES, ids)
            pipe.mget([base + keys.owner(each) for each in ids])
            pipe.hmget(base + keys.MOVED, ids)
            generation, states, owners, moved = await pipe.execute()
        return None if generation is None else int(generation), states, owners, moved
