"""A slot: one owned partition, with its states, its place in the inbox, and the only producer that may write for it.

The transaction: outputs, one changelog record per changed key, and the cursor, visible together or not at all. Every
acknowledgement is awaited before the commit, because a client commits a transaction without a batch that was refused.
After any error the batch either did not happen, or did and nobody may go on from here but a new owner who reads the
changelog: so an error ends the slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.lane.cursor import CURSOR_KEY, Cursor, decode_cursor, encode_cursor
from agents.lane.log import CommittedRecord, Entry, TopicIdentity, Writer
from streams.fold import FoldFactory, InboxRecord, PartitionFold, Sealed, States


@dataclass(frozen=True, slots=True)
class Names:
    """Where a lane reads and writes; physical names, but for the prefix that outputs get."""

    prefix: str
    inbox: str
    changelog: str


@dataclass(slots=True)
class Pending:
    """What has been folded since the last seal."""

    records: int = 0
    acknowledgements: list[Callable[[], object]] = field(default_factory=list)


class Slot:
    """One owned partition."""

    def __init__(self, partition: int, names: Names, writer: Writer, states: States) -> None:
        """`states` is empty, and filled by `restore`."""
        self.partition, self._names, self._writer, self.states = partition, names, writer, states
        self.cursor: Cursor | None = None
        """The position as recovered; None where nothing was committed yet."""
        self.next_offset = -1
        """The next inbox offset to fold; ahead of what is committed by what is pending."""
        self.changelog_end = 0
        """Where the changelog ended after our last write; a higher end means that somebody else has written."""
        self.pending = Pending()
        self.committing = False
        self.full = asyncio.Event()
        """Set when as much is pending as may be."""
        self.transactions = 0
        """Committed so far; the watchdog compares it."""
        self.transaction_began: float | None = None
        """When the transaction on its way was begun, by the lane's clock."""
        self.lost = False
        """Given up, or taken by another worker: what still fails here is of no consequence."""
        self.paused: str | None = None
        """Why this partition stands still for good, or None."""
        self._identity: TopicIdentity | None = None
        self._fold: PartitionFold | None = None

    # -- taking over, in this order (takeover.py)
    async def fence(self) -> None:
        """Shut out every older writer of this partition, and abort what it left open."""
        await self._writer.start()

    def restore(self, records: Sequence[CommittedRecord]) -> None:
        """Apply changelog records in their order."""
        states = self.states
        for record in records:
            key, value = record.key, record.value
            if key == CURSOR_KEY:
                self.cursor = decode_cursor(value)
            elif key is None:
                continue  # the lane writes none; nothing can be kept under no key
            elif value is None:
                states.pop(key, None)
            else:
                states[key] = value

    def open(self, factory: FoldFactory, identity: TopicIdentity, next_offset: int) -> None:
        """Begin to fold at an offset of this very inbox."""
        self._identity, self.next_offset = identity, next_offset
        self._fold = factory(self.partition, self.states)

    # -- folding
    def apply(self, records: Sequence[InboxRecord], after: int) -> int:
        """Fold a run that covers the offsets up to `after`; returns how many records were consumed.

        Fewer than given: the slot is paused at the first one that was not, or the batch is full and to be sealed first.
        """
        if self._fold is None:
            raise RuntimeError(f"partition {self.partition} was not taken over")
        consumed = self._fold.apply(records)
        self.pending.records += consumed
        if consumed == len(records):
            self.next_offset = after
        else:
            self.next_offset = records[consumed].offset
            self.paused = self._fold.ready()
            if self.paused is None and not self.pending.records:
                self.paused = f"the fold stopped at offset {self.next_offset} and gave no reason"
        return consumed

    def give_up(self, reason: str) -> None:
        """Pause for good where the last transaction ended: what is folded beyond it is void."""
        self.pending, self.paused = Pending(), reason

    def seal(self) -> tuple[Sealed, int, Pending]:
        """Close the open batch: what it changes and says, the cursor after it, and who waits for it."""
        if self._fold is None:
            raise RuntimeError(f"partition {self.partition} was not taken over")
        pending, self.pending = self.pending, Pending()
        return self._fold.seal(), self.next_offset, pending

    async def commit(self, sealed: Sealed, next_offset: int) -> None:
        """One transaction. Raises Fenced, BatchRefused, or whatever the client raises; the slot is then finished."""
        if self._identity is None:
            raise RuntimeError(f"partition {self.partition} was not taken over")
        writer, names = self._writer, self._names
        await writer.begin()
        acknowledgements = []
        for (topic, partition), entries in _by_partition(sealed).items():
            acknowledgements.append(await writer.append(names.prefix + topic, partition, entries))
        entries = [(key, value, []) for key, value in sealed.changes.items()]
        entries.append((CURSOR_KEY, encode_cursor(next_offset, *self._identity), []))
        remembered = await writer.append(names.changelog, self.partition, entries)
        for acknowledgement in acknowledgements:
            await acknowledgement
        changelog_end = await remembered
        await writer.commit()
        self.changelog_end = changelog_end + 1  # the commit marker

    # -- giving up
    async def close(self) -> None:
        """Release the producer; whatever was pending is folded again by the next owner."""
        self.lost = True
        self.pending = Pending()
        await self._writer.close()


def _by_partition(sealed: Sealed) -> dict[tuple[str, int], list[Entry]]:
    """Outputs by (topic, partition), each in the order in which the fold said them."""
    grouped: dict[tuple[str, int], list[Entry]] = {}
    for topic, partition, key, value, headers in sealed.outputs:
        entries = grouped.get((topic, partition))
        if entries is None:
            entries = grouped[topic, partition] = []
        entries.append((key, value, headers))
    return grouped
