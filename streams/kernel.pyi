"""The types of the compiled module, which streams/kernel.pyx is the source of."""

from collections.abc import Callable, Iterator, Sequence

from streams.fold import InboxRecord, States
from streams.links import Link
from streams.publish import Publisher
from streams.rules import Rules

def partition_of(key: bytes, partitions: int) -> int:
    """What `schemas.keys.partition_of` says."""

class Table:
    """A mapping of bytes by bytes, in no order.  An entry takes at most a megabyte, and its key 65,535 bytes."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __contains__(self, key: object) -> bool: ...
    def __getitem__(self, key: bytes) -> bytes: ...
    def __setitem__(self, key: bytes, value: bytes) -> None: ...
    def __delitem__(self, key: bytes) -> None: ...

class Kernel:
    """Folds the common records of one partition."""

    place: int
    """Of the record that was folded last, in the records given."""

    def __init__(
        self,
        rules: Rules,
        partition: int,
        partitions: int,
        states: States,
        touched: dict[bytes, int],
        publisher: Publisher,
        remember: Callable[[int, bytes], None],
        claim: Callable[[str, Link, str | None], None],
        judge: Callable[[InboxRecord, bytes, str, bytes | None, bool], None],
    ) -> None: ...
    def fold(self, records: Sequence[InboxRecord], start: int, now: int) -> int:
        """Fold records from a place on, as long as they are common; the place of the first that is not."""
    def plan(self) -> list[bytes]:
        """Put leads on the agenda as their states say; the keys of which Python is to say when they are due."""
    def seal(self, now: int) -> dict[bytes, bytes | None]:
        """Publish what was touched; what it changed, as key → state, None where one is gone."""
