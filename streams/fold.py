"""The contract between a fold (what to do with records) and the lane (how it happens exactly once).

The lane hands a fold the records of one inbox partition in their order, and carries out what the fold returns in one
Kafka transaction.  It knows nothing else of any fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import NamedTuple, Protocol


class InboxRecord(Protocol):
    """One record of the inbox, as the log has it."""

    @property
    def offset(self) -> int:
        """The record's place in its partition."""

    @property
    def timestamp(self) -> int:
        """When the broker appended it, in milliseconds since the epoch."""

    @property
    def key(self) -> bytes | None:
        """The lead id, or None."""

    @property
    def value(self) -> bytes | None:
        """The record in wire format, or None."""


class Output(NamedTuple):
    """A record to publish, or mail to another partition of an inbox."""

    topic: str
    """Logical name, without the deployment's prefix."""
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Sealed(NamedTuple):
    """What one batch changes and says; it becomes visible as a whole or not at all."""

    changes: dict[bytes, bytes | None]
    """The new state under each key that changed; None removes it."""
    outputs: list[Output]


class Unfoldable(Exception):  # noqa: N818  it says what the record is
    """Folding a record raised what no record should: a fault of the fold or its rules.  The open batch is void.

    Its text says what was raised, where, and what mends it.
    """


class PartitionFold(Protocol):
    """A fold over one partition, with an open batch."""

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Fold records into the open batch, in order.

        Returns how many were consumed.  Fewer than given: the next one stays unread, and the partition pauses for the
        reason that `ready` tells; where it tells none, the batch is full: seal it, and give the rest again.

        Raises Unfoldable.
        """

    def seal(self) -> Sealed:
        """Close the open batch and open the next; the recovered states are up to date when this returns."""

    def ready(self) -> str | None:
        """Why this partition is paused, in words with the remedy, or None."""


States = MutableMapping[bytes, bytes]
"""The states of a partition by their keys."""
FoldFactory = Callable[[int, States], PartitionFold]
"""(partition, its states as recovered) -> the fold that owns and updates them from now on."""


def in_batches(fold: PartitionFold, records: Sequence[InboxRecord]) -> Iterator[tuple[int, Sealed]]:
    """Fold records in as few batches as the fold takes: how many are consumed after each, and what it came to.

    The last number is less than how many were given where the fold pauses.
    """
    done = 0
    while done < len(records):
        consumed = fold.apply(records[done:])
        done += consumed
        yield done, fold.seal()
        if not consumed or fold.ready() is not None:
            return
