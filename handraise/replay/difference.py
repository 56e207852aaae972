"""What differs between what is on record and what the inboxes give, told so that somebody can look for the cause."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from handraise.replay.fingerprint import ce_id
from schemas.codec import Undecodable, decode
from streams.fold import Output

Kind = Literal["missing", "extra", "changed", "misplaced"]
_ID = re.compile(rb"(?:leads|desk)-\d+-(\d+)-(.+)\Z")
_MOST_SHOWN = 200
_WORDS = {
    "missing": "the inbox gives a record that is not there",
    "extra": "a record is there that the inbox does not give",
    "changed": "the record is another one than the inbox gives",
    "misplaced": "the records of one sender stand in another order than it wrote them",
}


class Entry(NamedTuple):
    """A record as the broker has it, or as a fold says it: what has to be equal."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, record: Any) -> Entry:
        """The entry of a stored record or of an output."""
        return cls(record.key, record.value, tuple(record.headers))

    def place(self) -> tuple[int, int] | None:
        """Which inbox record caused it, by its offset, and the how manieth it was; None if it does not say."""
        found = _ID.match(ce_id(self.headers) or b"")
        if found:
            return int(found[1]), int(found[2]) if found[2].isdigit() else 0
        offset = getattr(self._record(), "source_offset", None)
        return None if offset is None else (offset, 0)

    def _record(self) -> Any:
        try:
            return None if self.value is None else decode(self.value)
        except Undecodable:
            return None

    def facts(self) -> dict[str, str]:
        """All of it by name, as text."""
        record = self._record()
        told = {"key": _text(self.key), **{name: _text(value) for name, value in self.headers}}
        if record is None:
            return told | {"value": _text(self.value)}
        return told | {"record": type(record).__name__} | {
            name: _cut(str(getattr(record, name))) for name in record.__struct_fields__
        }  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """One difference; `fields` are those that differ, as (name, on record, by the inbox)."""

    topic: str
    partition: int
    kind: Kind
    offset: int | None
    """Where the record is that is not as it should be; None if it is missing."""
    fold: str
    """Whose word it is or should be, such as leads-0."""
    id: str
    """The record's ce_id; for mail, and states in a changelog, the key."""
    fields: tuple[tuple[str, str, str], ...]

    def as_data(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self) | {
            "fields": [{"name": name, "recorded": one, "replayed": other} for name, one, other in self.fields]
        }

    def lines(self) -> list[str]:
        """For people."""
        where = "" if self.offset is None else f", offset {self.offset}"
        told = [f"{self.topic}, partition {self.partition}{where}: {_WORDS[self.kind]}", f"  {self.fold}: {self.id}"]
        width = max((len(name) for name, _, _ in self.fields), default=0)
        for name, recorded, replayed in self.fields:
            told += [f"  {name:<{width}}  on record {recorded}", f"  {'':<{width}}  replayed  {replayed}"]
        return told


def difference(
    topic: str, partition: int, fold: str, recorded: Entry | None, offset: int | None, replayed: Output | Entry | None
) -> Difference:
    """The difference between what is on record, at an offset, and what a fold says; one of them may be None."""
    wanted = None if replayed is None else Entry.of(replayed)
    kind: Kind = "changed"
    if wanted is None:
        kind = "extra"
    elif recorded is None:
        kind = "missing"
    else:
        there, ours = recorded.place(), wanted.place()
        if there is None or (ours is not None and there < ours):
            kind, wanted = "extra", None
        elif ours is not None and ours < there:
            kind, recorded, offset = "missing", None, None
    one, other = (each.facts() if each else {} for each in (recorded, wanted))
    names = list(dict.fromkeys([*other, *one]))
    fields = tuple((n, one.get(n, "–"), other.get(n, "–")) for n in names if one.get(n) != other.get(n))
    named = wanted or recorded
    id = (ce_id(named.headers) or named.key or b"") if named else b""
    return Difference(topic, partition, kind, offset, fold, id.decode("latin-1"), fields)


def state_difference(
    topic: str, partition: int, fold: str, key: bytes, recorded: bytes | None, replayed: bytes | None
) -> Difference:
    """The difference between what a worker remembers under a key and what the inbox gives."""
    kind: Kind = "missing" if recorded is None else "extra" if replayed is None else "changed"
    one, other = _unpacked(recorded), _unpacked(replayed)
    if not (isinstance(one, list) and isinstance(other, list)):
        one, other = [one], [other]
    places = range(max(len(one), len(other)))
    pairs = [(f"field {n}", _item(one, n), _item(other, n)) for n in places]
    fields = tuple(pair for pair in pairs if pair[1] != pair[2])
    return Difference(topic, partition, kind, None, fold, key.decode("latin-1"), fields)


def _item(values: list[Any], place: int) -> str:
    return _cut(repr(values[place])) if place < len(values) else "–"


def _unpacked(value: bytes | None) -> Any:
    try:
        return None if value is None else msgspec.msgpack.decode(value)
    except msgspec.DecodeError:
        return value


def _text(value: bytes | None) -> str:
    if value is None:
        return "none"
    text = value.decode("latin-1")
    return _cut(text if text.isprintable() else value.hex())


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
