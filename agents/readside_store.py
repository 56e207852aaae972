"""The read side in Redis as mirror writes it: generations, and batches together with the offsets they stand for.

Guarantee: a batch and its offsets are written in one MULTI, and only if the offsets are those that the batch begins at.
So each record changes a generation once, whatever dies, and two mirrors at once do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import WatchError

from schemas import readside as keys
from streams.readside_batch import Command

LEASE_S = 5.0
GRACE_S = 1.0
"""So long may a page that was begun on the former generation still read it."""
_TIMEOUT_S = 10.0
_SCAN = 1_000


class Superseded(Exception):  # noqa: N818
    """The generation is not what a batch was made for: another mirror wrote, or another generation is read now."""


class Store:
    """One deployment's read side."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._prefix = prefix

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def current(self) -> int | None:
        """The generation that is read, or None."""
        return _number(await self._redis.get(keys.current(self._prefix)))

    async def begin(self, identity: Mapping[str, str]) -> int:
        """A new generation, empty; `identity`: what its offsets will belong to."""
        generation = int(await self._redis.incr(keys.counter(self._prefix)))
        base = keys.base(self._prefix, generation)
        await self._redis.hset(base + keys.IDENTITY, mapping=_fields(identity))
        return generation

    async def identity(self, generation: int) -> dict[str, str]:
        """What the generation's offsets belong to."""
        found = await self._redis.hgetall(keys.base(self._prefix, generation) + keys.IDENTITY)
        return {_text(name): _text(value) for name, value in found.items()}

    async def places(self, generation: int) -> dict[str, int]:
        """`topic/partition` → the next offset to read; nothing where nothing was read yet."""
        found = await self._redis.hgetall(keys.base(self._prefix, generation) + keys.PLACES)
        return {_text(name): int(value) for name, value in found.items()}

    async def apply(
        self,
        generation: int,
        commands: Iterable[Command],
        before: Mapping[str, int | None],
        after: Mapping[str, int],
        *,
        is_current: bool,
    ) -> None:
        """Write a batch and its offsets.  Raises Superseded, and RedisError: then the outcome is unknown.

        `before`: the offsets that it begins at, of the places in `after`; `is_current`: whether it must be.
        """
        base = keys.base(self._prefix, generation)
        async with self._redis.pipeline() as pipe:
            try:
                current = keys.current(self._prefix)
                await pipe.watch(base + keys.PLACES, *([current] if is_current else []))
                there = [_number(each) for each in await pipe.hmget(base + keys.PLACES, list(before))]
                if there != list(before.values()):
                    raise Superseded("another mirror has written, or all is gone")
                if is_current and _number(await pipe.get(current)) != generation:
                    raise Superseded("another generation is read now, or none")
                pipe.multi()  # type: ignore[no-untyped-call]
                for command in commands:
                    pipe.execute_command(*command)
                pipe.hset(base + keys.PLACES, mapping=_fields(after))
                await pipe.execute()
            except WatchError as error:
                raise Superseded("another mirror writes") from error

    async def lease(self, generation: int, writer: str) -> bool:
        """Whether `writer` is the one at work, for some seconds from now.  It saves work; `apply` makes it safe."""
        key, ms = keys.base(self._prefix, generation) + keys.WRITER, int(LEASE_S * 1_000)
        if await self._redis.set(key, writer, px=ms, nx=True):
            return True
        if await self._redis.get(key) != writer.encode():
            return False
        return bool(await self._redis.pexpire(key, ms))

    async def release(self, generation: int, writer: str) -> None:
        """Let another one be at work at once."""
        key = keys.base(self._prefix, generation) + keys.WRITER
        if await self._redis.get(key) == writer.encode():
            await self._redis.delete(key)

    async def tell(self, generation: int, health: Mapping[str, int]) -> None:
        """How fresh it is."""
        await self._redis.hset(keys.base(self._prefix, generation) + keys.HEALTH, mapping=_fields(health))

    async def seen(self, generation: int) -> int:
        """When a mirror last kept it (ms); 0 if none has said so."""
        return _number(await self._redis.hget(keys.base(self._prefix, generation) + keys.HEALTH, "seen")) or 0

    async def flip(self, generation: int) -> None:
        """Read this generation from now on, and forget the older ones."""
        if await self._redis.set(keys.current(self._prefix), generation, get=True) is not None:
            await asyncio.sleep(GRACE_S)
        await self.forget_before(generation)

    async def forget_before(self, generation: int) -> None:
        """Forget the generations before this one."""
        start = f"{self._prefix}rs:".encode()
        old: list[bytes] = []
        async for key in self._redis.scan_iter(match=_literal(start) + b"*", count=_SCAN):
            number, colon, _ = key[len(start) :].partition(b":")
            if colon and number.isdigit() and int(number) < generation:
                old.append(key)
            if len(old) >= _SCAN:
                await self._redis.unlink(*old)
                old.clear()
        if old:
            await self._redis.unlink(*old)


def _literal(text: bytes) -> bytes:
    """A text as a pattern that matches it alone."""
    return b"".join(b"\\" + bytes([each]) if each in b"*?[]\\" else bytes([each]) for each in text)


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _fields(mapping: Mapping[str, str] | Mapping[str, int]) -> Any:
    """The client's type for the fields of a hash is one that no mapping of ours has."""
    return dict(mapping)
