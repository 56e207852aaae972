"""A flood of poison stops the line: one bad record is rejected, many mean that something is misconfigured."""

from __future__ import annotations

from collections import deque
from collections.abc import Set

from schemas.records import Rejected
from schemas.wire import PREFIX_SIZE, Undecodable
from streams.fold import InboxRecord, Unfoldable

WINDOW = 10_000
MOST = 100
MOST_PERCENT = 5
MOST_BYTES = 512 * 1_024
"""Of a record that is passed on inside another one: brokers take a megabyte."""
MOST_KEY_BYTES = 1_024
LAST_MS = (1 << 32) * 1_000 - 1
"""States keep seconds in 32 bits: until 2106."""
Skips = Set[int]
"""Offsets of records that are not folded, because a person has decided so."""
NONE: Skips = frozenset()
MEND = "mend the producer, and send it again"


class PoisonGauge:
    """Counts undecodable records among the last 10,000 of a partition.

    It trips when over 100 of them, and over 5 %, could not be read.  `accept`: so many more are let through first.
    """

    def __init__(self, accept: int = 0) -> None:
        self._accept = accept
        self._seen = 0
        self._places: deque[int] = deque()

    def good(self, count: int) -> None:
        """Note records that could be read."""
        self._seen += count

    def poison(self) -> bool:
        """Note a record that could not be read; False if it is one too many and must stay unread."""
        if self._accept > 0:
            self._accept -= 1
            self._seen += 1
            return True
        while self._places and self._places[0] <= self._seen - WINDOW:
            self._places.popleft()
        count = len(self._places) + 1
        if count > MOST and 100 * count > MOST_PERCENT * min(self._seen + 1, WINDOW):
            return False
        self._places.append(self._seen)
        self._seen += 1
        return True


class NewerMail(Exception):  # noqa: N818  it is no error of anybody's
    """Mail of a release that this one does not know: it must not be rejected, so the partition stops."""


def place(inbox: str, partition: int, record: InboxRecord) -> str:
    """Where a record stands, in words."""
    return f"{inbox}, partition {partition}, offset {record.offset}"


def dead_letter(inbox: str, partition: int, record: InboxRecord, code: str, reason: str, remedy: str) -> Rejected:
    """A record that is not folded, with the reason, its place and its bytes, as far as they can be passed on."""
    return Rejected(
        source=inbox,
        code=code,
        reason=f"{reason}; where: {place(inbox, partition, record)}; remedy: {remedy}",
        at=min(max(record.timestamp, 0), LAST_MS),
        record=(record.value or b"")[:MOST_BYTES],
        key=record.key and record.key[:MOST_KEY_BYTES],
        topic=inbox,
        partition=partition,
        offset=record.offset,
    )


def skipped(record: InboxRecord, skip: Skips) -> None:
    """Raise Undecodable for a record of which a person has decided that it is not to be folded."""
    if record.offset in skip:
        raise Undecodable("skipped", "folding it failed, and a person has decided to do without it")


def newer(inbox: str, partition: int, record: InboxRecord) -> NewerMail:
    """That a record can only be read by a newer release, in words."""
    number = int.from_bytes((record.value or b"")[1:PREFIX_SIZE], "big")
    return NewerMail(
        f"a record of a newer release, schema id {number}\n  where: {place(inbox, partition, record)}\n"
        "  remedy: run the newer release here too; it goes on where this one stopped"
    )


def unfoldable(role: str, inbox: str, partition: int, record: InboxRecord, error: Exception) -> Unfoldable:
    """That folding a record failed, in words."""
    return Unfoldable(
        f"folding failed: {error!r}\n  where: {place(inbox, partition, record)}\n"
        "  remedy: run a release, or rules, that can fold it; or have it rejected: "
        f"handraise worker {role} --skip {partition}:{record.offset}"
    )


def flood(role: str, where: str, code: str, reason: str) -> str:
    """Why a partition is paused in which too many records cannot be read."""
    return (
        f"too many records that cannot be read: {code}, {reason}\n  where: {where}\n"
        f"  remedy: mend what writes them; to reject them and go on: handraise worker {role} --accept-poison N"
    )
