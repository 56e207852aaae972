"""The lane's log in memory, with what only a simulation asks of it: refusals, positions of groups, and a memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from agents.lane.errors import BatchRefused
from agents.lane.log import Entry
from agents.lane.memory_log import MemoryLog

WAITING = "desk.waiting"


@dataclass(frozen=True)
class Cut:
    """A batch that was handed over with its cursor: by which release, up to where; it stands if it was committed."""

    changelog: str
    partition: int
    next_offset: int
    release: str
    transaction: Any


class SimulatedLog(MemoryLog):
    """A MemoryLog that remembers."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self.acting = ""
        """The release that the process runs whose turn it is."""
        self.appended = 0
        self.refusals: list[str] = []
        """Topics of which the next batch in a transaction is refused."""
        self.refused = 0
        self.outside: set[tuple[str, int, int]] = set()
        """Topic, partition and offset of each record that no fold wrote."""
        self.positions: dict[tuple[str, int], int] = {}
        """The waiting partitions' positions, as the pump's group keeps them."""
        self._cuts: list[Cut] = []

    def produce(self, topic: str, partition: int, entries: Sequence[Entry]) -> int:
        """Append without a transaction, and remember so."""
        end = super().produce(topic, partition, entries)
        self.outside.update((topic, partition, offset) for offset in range(end - len(entries), end))
        self.appended += 1
        return end

    def _append(self, transactional_id: str, epoch: int, topic: str, partition: int, entries: Sequence[Entry]) -> int:
        if topic in self.refusals:
            self._producer(transactional_id, epoch)
            self.refusals.remove(topic)
            self.refused += 1
            raise BatchRefused(f"{topic}/{partition} takes nothing at the moment")
        end = super()._append(transactional_id, epoch, topic, partition, entries)
        self.appended += 1
        key, value, _ = entries[-1]
        if key == CURSOR_KEY:
            transaction = self._producers[transactional_id].open
            self._cuts.append(Cut(topic, partition, decode_cursor(value).next_offset, self.acting, transaction))
        return end

    def cuts(self, changelog: str, partition: int) -> list[Cut]:
        """The batches of a partition that were committed, in their order."""
        return [
            cut
            for cut in self._cuts
            if (cut.changelog, cut.partition) == (changelog, partition) and cut.transaction.committed
        ]

    def waited(self) -> list[int]:
        """Where the pump's group stands in each waiting partition."""
        return [self.positions.get((WAITING, number), 0) for number in range(len(self._topics[WAITING]))]

    def aborted(self) -> int:
        """How many batches with a cursor did not come to be."""
        return sum(not cut.transaction.committed for cut in self._cuts)

    def everything(self) -> list[tuple[str, int, int, bytes | None, bytes | None]]:
        """All that a reader of each partition can see, aborted and open records included."""
        return [
            (topic, number, record.offset, record.key, record.value)
            for topic, partitions in self._topics.items()
            for number in range(len(partitions))
            for record in self.fetch(topic, number, 0, committed=False)[0]
        ]
