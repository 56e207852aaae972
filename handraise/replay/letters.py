"""Mail that stands in the lead fold's inbox: exactly what folds have said, each sender's in its order.

Mail carries no id.  But it is all that comes in transactions there, and each verification of an inbox knows what its
fold says to all the others.  Both are laid down in files, so that no inbox is held in memory, and of the mail to one
partition at a time only where each letter stands and a hash of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, NamedTuple

from handraise.replay.difference import Difference, Entry, Kind, difference
from handraise.replay.recorded import Recorded, StoredRecord
from streams.fold import Output
from streams.publish import INBOX

_NONE = 0xFFFFFFFF
_OFFSET_BYTES, _DIGEST_BYTES, _SIZE_BYTES = 8, 16, 4


class Letter(NamedTuple):
    """What a fold said."""

    digest: bytes
    key: bytes | None
    value: bytes | None


class Post:
    """The letters of one verification, in a folder that several processes may share."""

    def __init__(self, folder: Path, fold: str) -> None:
        self._folder, self._fold, self._files = folder, fold, ExitStack()
        self._said: dict[int, IO[bytes]] = {}
        self._came: IO[bytes] | None = None

    def __enter__(self) -> Post:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def say(self, outputs: Iterable[Output]) -> None:
        """What the fold says to leads."""
        for output in outputs:
            file = self._said.get(output.partition)
            if file is None:
                name = f"said-{self._fold}-{output.partition}"
                file = self._said[output.partition] = self._files.enter_context((self._folder / name).open("wb"))
            for part in (output.key, output.value):
                file.write((_NONE if part is None else len(part)).to_bytes(_SIZE_BYTES, "big") + (part or b""))

    def come(self, partition: int, records: Iterable[StoredRecord]) -> None:
        """What stands in the inbox."""
        if self._came is None:
            self._came = self._files.enter_context((self._folder / f"came-{partition}").open("wb"))
        for record in records:
            self._came.write(record.offset.to_bytes(_OFFSET_BYTES, "big") + _digest(record.key, record.value))


class Delivered(NamedTuple):
    """What came of a destination's mail."""

    compared: int
    difference: Difference | None


async def compare(
    recorded: Recorded, folder: Path, folds: Iterable[str], partition: int, read_to: int, before: int
) -> Delivered:
    """Compare the mail to a partition: what its verification found up to `read_to`, and what came behind that.

    What stands from `before` on may have been said after all began, and nobody here knows of it.
    """
    came = [*_came(folder / f"came-{partition}"), *await _behind(recorded, partition, read_to)]
    rest = Counter(digest for _, digest in came)
    displaced: tuple[str, Letter] | None = None
    for fold in folds:
        place = iter(came)
        for letter in _said(folder / f"said-{fold}-{partition}"):
            rest[letter.digest] -= 1
            if rest[letter.digest] < 0:
                return Delivered(len(came), _differs(fold, partition, letter, "missing"))
            if displaced is None and all(digest != letter.digest for _, digest in place):
                displaced = fold, letter
    if displaced is not None:
        return Delivered(len(came), _differs(displaced[0], partition, displaced[1], "misplaced"))
    for offset, digest in reversed(came):
        if rest[digest] > 0:
            rest[digest] -= 1
            if offset < before:
                return Delivered(len(came), await _extra(recorded, partition, offset))
    return Delivered(len(came), None)


def _differs(fold: str, partition: int, letter: Letter, kind: Kind) -> Difference:
    said = Output(INBOX, partition, letter.key, letter.value, [])
    return replace(difference(INBOX, partition, fold, None, None, said), kind=kind)


async def _extra(recorded: Recorded, partition: int, offset: int) -> Difference:
    """The difference that a letter makes which nobody said."""
    reader = recorded.reader(INBOX, partition, offset)
    records = [record for chunk in await reader.fetch() for record in chunk.records if record.offset == offset]
    entry = Entry.of(records[0]) if records else None  # retention may have taken it meanwhile
    return replace(difference(INBOX, partition, "nobody", entry, offset, None), kind="extra")


async def _behind(recorded: Recorded, partition: int, start: int) -> list[tuple[int, bytes]]:
    """Offset and digest of the mail from an offset on."""
    reader, found = recorded.reader(INBOX, partition, start), list[tuple[int, bytes]]()
    while (chunks := await reader.fetch()) or reader.position < reader.stable:
        for chunk in chunks:
            if chunk.transactional:
                found += [(record.offset, _digest(record.key, record.value)) for record in chunk.records]
    return found


def _came(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.exists():
        with path.open("rb") as file:
            while one := file.read(_OFFSET_BYTES + _DIGEST_BYTES):
                yield int.from_bytes(one[:_OFFSET_BYTES], "big"), one[_OFFSET_BYTES:]


def _said(path: Path) -> Iterator[Letter]:
    if path.exists():
        with path.open("rb") as file:
            while size := file.read(_SIZE_BYTES):
                key = _part(file, size)
                value = _part(file, file.read(_SIZE_BYTES))
                yield Letter(_digest(key, value), key, value)


def _part(file: IO[bytes], size: bytes) -> bytes | None:
    length = int.from_bytes(size, "big")
    return None if length == _NONE else file.read(length)


def _digest(key: bytes | None, value: bytes | None) -> bytes:
    told = hashlib.blake2b(
        b"-" if key is None else len(key).to_bytes(_SIZE_BYTES, "big") + key, digest_size=_DIGEST_BYTES
    )
    told.update(b"" if value is None else b"=" + value)
    return told.digest()
