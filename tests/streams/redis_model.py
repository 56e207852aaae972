"""The few commands of Redis that the read side is written with, on plain dictionaries; held to a real one by a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from streams.readside_batch import FILE_CARDS, Command

Content = dict[str, tuple[Any, int | None]]
"""Key → its value (bytes, a hash, or a sorted set member → score) and when it expires (ms)."""


class RedisModel:
    """One database."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] = {}
        self._expiry: dict[str, int] = {}

    def run(self, commands: Iterable[Command]) -> None:
        """Carry out commands as one."""
        for name, *words in commands:
            getattr(self, f"_{str(name).lower()}")(*words)

    def content(self) -> Content:
        """All there is."""
        return {key: (value, self._expiry.get(key)) for key, value in self._keys.items() if value != {}}

    def _hset(self, key: str, *pairs: Any) -> None:
        self._keys.setdefault(key, {}).update(zip(map(_text, pairs[::2]), map(_bytes, pairs[1::2]), strict=True))

    def _hsetnx(self, key: str, name: str, value: bytes) -> None:
        self._keys.setdefault(key, {}).setdefault(name, value)

    def _hdel(self, key: str, *names: str) -> None:
        for name in names:
            self._keys.get(key, {}).pop(name, None)
        self._forget_if_empty(key)

    def _set(self, key: str, value: bytes, _pxat: str, until: int) -> None:
        self._keys[key], self._expiry[key] = value, until

    def _zadd(self, key: str, *words: Any) -> None:
        members = self._keys.setdefault(key, {})
        greater = words[0] == "GT"
        pairs = words[1:] if greater else words
        for score, member in zip(pairs[::2], map(_bytes, pairs[1::2]), strict=True):
            members[member] = max(score, members.get(member, score)) if greater else score

    def _zrem(self, key: str, *members: str | bytes) -> None:
        for member in members:
            self._keys.get(key, {}).pop(_bytes(member), None)
        self._forget_if_empty(key)

    def _zremrangebyrank(self, key: str, _first: int, last: int) -> None:
        members = self._keys[key]
        ranked = sorted(members, key=lambda member: (members[member], member))
        for member in ranked[: len(ranked) + last + 1] if len(ranked) + last >= 0 else []:
            del members[member]

    def _persist(self, key: str) -> None:
        self._expiry.pop(key, None)

    def _pexpireat(self, key: str, at: int, how: str = "") -> None:
        now = self._expiry.get(key)
        if how == "" or (how == "NX" and now is None) or (how == "GT" and now is not None and at > now):
            self._expiry[key] = at

    def _eval(self, script: str, _keys: int, cards: str, base: str, *filed: Any) -> None:
        assert script == FILE_CARDS
        known = self._keys.setdefault(cards, {})
        for source, now in zip(filed[::2], filed[1::2], strict=True):
            for key, member, _ in msgspec.msgpack.decode(known.pop(source, b"\x90")):
                self._zrem(base + key, member)
            for key, member, score in msgspec.msgpack.decode(now or b"\x90"):
                self._zadd(base + key, score, member)
            if now:
                known[source] = now
        self._forget_if_empty(cards)

    def _forget_if_empty(self, key: str) -> None:
        if not self._keys.get(key):
            self._keys.pop(key, None)
            self._expiry.pop(key, None)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
