"""Operations on the read side, brought together: what a batch of records comes to, as few commands to Redis.

Commands are tuples, ready to be sent in one MULTI.  The last word on each field, text and place stands; times and
scores that only grow take the greatest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from schemas import readside as keys
from streams.readside import Cards, Expire, Extend, Field, First, Newest, Operation, Rank, Text

Command = tuple[str | bytes | int, ...]

FILE_CARDS = """
local cards, base = KEYS[1], ARGV[1]
for n = 2, #ARGV, 2 do
  local source, now = ARGV[n], ARGV[n + 1]
  local before = redis.call('HGET', cards, source)
  if before ~= (now ~= '' and now) then
    if before then
      for _, card in ipairs(cmsgpack.unpack(before)) do redis.call('ZREM', base .. card[1], card[2]) end
    end
    if now == '' then
      redis.call('HDEL', cards, source)
    else
      for _, card in ipairs(cmsgpack.unpack(now)) do redis.call('ZADD', base .. card[1], card[3], card[2]) end
      redis.call('HSET', cards, source, now)
    end
  end
end
"""
"""Takes sources and their cards (MessagePack; empty: none) in turn, and puts these in the place of those before."""


class Batch:
    """Collects operations; `commands` are what they come to."""

    def __init__(self) -> None:
        self._fields: dict[str, dict[str, bytes | None]] = {}
        self._firsts: dict[str, dict[str, bytes]] = {}
        self._texts: dict[str, Text] = {}
        self._ranks: dict[str, dict[str, int | None]] = {}
        self._newest: dict[str, dict[bytes, int]] = {}
        self._most: dict[str, int] = {}
        self._expiry: dict[str, int | None] = {}
        self._extended: dict[str, int] = {}
        self._cards: dict[str, bytes] = {}
        self._add = {
            Field: self._field,
            First: self._first,
            Text: self._text,
            Rank: self._rank,
            Newest: self._newer,
            Expire: self._expire,
            Extend: self._extend,
            Cards: self._file,
        }

    def add(self, operations: Iterable[Operation]) -> None:
        """Add what follows."""
        for each in operations:
            self._add[type(each)](each)  # type: ignore[operator]

    def commands(self, base: str) -> Iterator[Command]:
        """The commands that carry it out, for keys that begin with `base`."""
        yield from self._hashes(base)
        for key, text in self._texts.items():
            yield ("SET", base + key, text.value, "PXAT", text.until)
        yield from self._sets(base)
        for key, at in self._expiry.items():
            yield ("PERSIST", base + key) if at is None else ("PEXPIREAT", base + key, at)
        for key, until in self._extended.items():
            yield ("PEXPIREAT", base + key, until, "NX")
            yield ("PEXPIREAT", base + key, until, "GT")
        if self._cards:
            filed = (part for each in self._cards.items() for part in each)
            yield ("EVAL", FILE_CARDS, 1, base + keys.CARDS, base, *filed)

    def _hashes(self, base: str) -> Iterator[Command]:
        for key, fields in self._fields.items():
            there = [part for name, value in fields.items() if value is not None for part in (name, value)]
            gone = [name for name, value in fields.items() if value is None]
            if there:
                yield ("HSET", base + key, *there)
            if gone:
                yield ("HDEL", base + key, *gone)
        for key, firsts in self._firsts.items():
            for name, first in firsts.items():
                yield ("HSETNX", base + key, name, first)

    def _sets(self, base: str) -> Iterator[Command]:
        for key, ranks in self._ranks.items():
            there = [part for name, score in ranks.items() if score is not None for part in (score, name)]
            gone = [name for name, score in ranks.items() if score is None]
            if there:
                yield ("ZADD", base + key, *there)
            if gone:
                yield ("ZREM", base + key, *gone)
        for key, members in self._newest.items():
            yield ("ZADD", base + key, "GT", *(part for name, score in members.items() for part in (score, name)))
            yield ("ZREMRANGEBYRANK", base + key, 0, -self._most[key] - 1)

    def _field(self, it: Field) -> None:
        self._fields.setdefault(it.key, {})[it.field] = it.value

    def _first(self, it: First) -> None:
        self._firsts.setdefault(it.key, {}).setdefault(it.field, it.value)

    def _text(self, it: Text) -> None:
        self._texts[it.key] = it

    def _rank(self, it: Rank) -> None:
        self._ranks.setdefault(it.key, {})[it.member] = it.score

    def _newer(self, it: Newest) -> None:
        members = self._newest.setdefault(it.key, {})
        members[it.member] = max(it.score, members.get(it.member, 0))
        self._most[it.key] = it.most

    def _expire(self, it: Expire) -> None:
        self._expiry[it.key] = it.at

    def _extend(self, it: Extend) -> None:
        self._extended[it.key] = max(it.until, self._extended.get(it.key, 0))

    def _file(self, it: Cards) -> None:
        self._cards[it.source] = msgspec.msgpack.encode(it.cards) if it.cards else b""
