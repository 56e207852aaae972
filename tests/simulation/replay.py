"""The recorded inboxes folded again without any fault: what was published and remembered must follow from them.

This holds the lane to its word, whatever the folds do: what judges the folds themselves is in `verdict.py`.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from unittest.mock import patch

import msgspec

from agents.lane.cursor import CURSOR_KEY, decode_cursor
from agents.lane.memory_log import MemoryRecord
from streams import state
from streams.fold import Output, PartitionFold, in_batches
from streams.state import Lead
from tests.simulation.processes import OTHER_POINTS, PARTITIONS, PATIENT, RELEASES
from tests.simulation.world import DESK_TOPICS, LEAD_TOPICS, World

MAIL = "lead.events"
OFTEN = ("lead.state",)
"""Published once a batch: how often depends on where batches are cut."""


class Told(NamedTuple):
    """What a fold said of a whole inbox, and remembers."""

    outputs: list[Output]
    states: dict[bytes, bytes]


class Books:
    """The replay of one inbox partition."""

    def __init__(self, world: World, inbox: str, changelog: str, partition: int) -> None:
        self._world, self._partition = world, partition
        self.where = f"{inbox}/{partition}"
        self.records = world.committed(inbox, partition)
        self._cuts = world.log.cuts(changelog, partition)
        self.kept = {record.key: record.value for record in world.committed(changelog, partition)}
        self.cursor = self.kept.pop(CURSOR_KEY, None)
        self._is_desk = inbox == "desk.events"
        self.many_points = any(cut.release == OTHER_POINTS for cut in self._cuts)

    def _fold(self, release: str, states: dict[bytes, bytes]) -> PartitionFold:
        build = self._world.build
        return build.fold_of_desk(states) if self._is_desk else build.lead_fold(release, self._partition, states)

    def in_batches(self) -> Told:
        """Folded in the batches that were committed, each by the release that committed it."""
        outputs, states, done, release = list[Output](), dict[bytes, bytes](), 0, ""
        fold: PartitionFold | None = None
        for cut in self._cuts:
            if fold is None or cut.release != release:
                release = cut.release
                fold = self._fold(release, states)
            end = done
            while end < len(self.records) and self.records[end].offset < cut.next_offset:
                end += 1
            # When a batch is full depends on when its worker was started, too: here the log says where it ended.
            with patch("streams.lead_fold.FULL", sys.maxsize):
                assert fold.apply(self.records[done:end]) == end - done, fold.ready()
            outputs += fold.seal().outputs
            done = end
        return Told(outputs, states)

    def at_once(self) -> Told:
        """Folded in as few batches as can be, by the release that leaves most to Python."""
        states: dict[bytes, bytes] = {}
        fold = self._fold((PATIENT if self._world.is_patient else RELEASES)[0], states)
        outputs = [output for _, sealed in in_batches(fold, self.records) for output in sealed.outputs]
        return Told(outputs, states)


def judge(world: World) -> tuple[list[str], dict[int, list[MemoryRecord]]]:
    """What is wrong with changelogs, cursors and outputs; and the inboxes of the lead fold."""
    leads = [Books(world, MAIL, "leads.changelog", partition) for partition in range(PARTITIONS)]
    desk = Books(world, "desk.events", "desk.changelog", 0)
    told = [books.in_batches() for books in (*leads, desk)]
    wrong = [problem for books, each in zip((*leads, desk), told, strict=True) for problem in _kept(books, each)]
    for partition, each in enumerate(told[:-1]):
        for topic in LEAD_TOPICS:
            wanted = [_of(output) for output in each.outputs if output.topic == topic]
            found = [
                (partition, it.key, it.value, it.headers)
                for it in world.committed(topic, partition)
                if ("ce_source", b"/handraise/desk") not in it.headers
            ]
            wrong += _compare(f"{topic}/{partition}", wanted, found)
    for topic in DESK_TOPICS:
        for partition in range(PARTITIONS):
            wanted = [_of(it) for it in told[-1].outputs if (it.topic, it.partition) == (topic, partition)]
            found = [(partition, it.key, it.value, it.headers) for it in world.committed(topic, partition)]
            wrong += _compare(f"{topic}/{partition}", wanted, found)
    wrong += _mail(world, told)
    wrong += [problem for books, each in zip((*leads, desk), told, strict=True) for problem in _replicas(books, each)]
    return wrong, {partition: books.records for partition, books in enumerate(leads)}


def _of(output: Output) -> tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]:
    return output.partition, output.key, output.value, output.headers


def _compare(where: str, wanted: Sequence[object], found: Sequence[object]) -> Iterator[str]:
    if wanted != found:
        place = next((n for n, (one, other) in enumerate(zip(wanted, found, strict=False)) if one != other), None)
        at = min(len(wanted), len(found)) if place is None else place
        yield (
            f"{where}: {len(found)} records, the inbox gives {len(wanted)}; the first difference is at {at}: "
            f"{found[at : at + 1]} in place of {wanted[at : at + 1]}"
        )


def _kept(books: Books, told: Told) -> Iterator[str]:
    """The changelog is what the inbox gives, up to its end."""
    if books.kept.keys() - {key for key, value in books.kept.items() if value is None} != told.states.keys():
        yield f"{books.where}: the changelog has other keys than the inbox gives"
    elif any(books.kept[key] != value for key, value in told.states.items()):
        yield f"{books.where}: the changelog has other states than the inbox gives"
    if books.records and (books.cursor is None or decode_cursor(books.cursor).next_offset <= books.records[-1].offset):
        yield f"{books.where}: the cursor is not behind the last record"


def _replicas(books: Books, told: Told) -> Iterator[str]:
    """However records are cut into batches, all is the same, but for how often a state is published."""
    if books.many_points:
        return
    other = books.at_once()
    if other.states.keys() != told.states.keys():
        yield f"{books.where}: replicas remember different keys"
    elif different := [key for key, value in told.states.items() if _facts(value) != _facts(other.states[key])]:
        yield f"{books.where}: replicas remember different things of {different}"
    for one, two in ((told, other), (other, told)):
        words = Counter(str((it.topic, it.partition, it.key)) for it in one.outputs if it.topic not in OFTEN)
        words.subtract(str((it.topic, it.partition, it.key)) for it in two.outputs if it.topic not in OFTEN)
        if more := [word for word, count in words.items() if count > 0]:
            yield f"{books.where}: only one of two replicas says {more[:3]}"


def _facts(value: bytes) -> object:
    """A state without what the rule set of its last batch, and the time of it, put into it to save work."""
    try:
        found = state.decode(value)
    except (msgspec.DecodeError, ValueError):
        return value
    if isinstance(found, Lead):
        found.model = found.ceiling = found.wake = 0
    return found


def _mail(world: World, told: Sequence[Told]) -> Iterator[str]:
    """What folds had to write into the lead fold's inbox stands there once, in each writer's order."""
    for partition in range(PARTITIONS):
        found = [
            (it.key, it.value)
            for it in world.committed(MAIL, partition)
            if (MAIL, partition, it.offset) not in world.log.outside
        ]
        senders = [[(it.key, it.value) for it in each.outputs if it[:2] == (MAIL, partition)] for each in told]
        if Counter(found) != Counter(letter for letters in senders for letter in letters):
            wanted = sum(map(len, senders))
            yield f"{MAIL}/{partition}: {len(found)} letters arrived, the inboxes give {wanted}, or others"
            continue
        places: dict[object, list[int]] = defaultdict(list)
        for place, letter in enumerate(found):
            places[letter].append(place)
        for letters in senders:
            last = -1
            for letter in letters:
                after = [place for place in places[letter] if place > last]
                if not after:
                    yield f"{MAIL}/{partition}: letters of one sender arrived in another order"
                    break
                last = after[0]
