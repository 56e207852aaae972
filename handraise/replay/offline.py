"""All folds of a deployment in this process, with their inboxes in memory: no broker, no clock, no other process.

Guarantee: what is said is a function of what comes from outside, in its order, of the rules and of the number of
partitions.  Mail is delivered at once, before anything else comes from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from handraise.replay.batches import batches
from handraise.replay.lines import DESK, LEADS, Arrived
from handraise.replay.writing import Folder
from handraise.rules import RuleSet
from schemas.codec import encode
from schemas.records import Tick, Waited
from streams.compiled import compact_states, lead_fold
from streams.desk.fold import DeskFold
from streams.fold import Output, PartitionFold, States
from streams.publish import WAITING

PATIENT = 1 << 62
"""Poison that is let through: a replay is no place to stop at what is on record."""
SILENCE_S = 60
"""So many ticks are folded at once where nothing comes from outside: what they make folds say is no mail."""


class Appended(NamedTuple):
    """A record of an inbox."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class _Inbox:
    """A fold, and what it has still to read."""

    def __init__(self, name: str, fold: PartitionFold, states: States) -> None:
        self.name, self.fold, self.states = name, fold, states
        self._unread: list[Appended] = []
        self.end = 0

    def append(self, timestamp: int, key: bytes | None, value: bytes | None) -> None:
        self._unread.append(Appended(self.end, timestamp, key, value))
        self.end += 1

    def take(self) -> list[Appended]:
        """All that it has not read."""
        unread, self._unread = self._unread, []
        return unread


class Deployment:
    """The lead folds and the desk."""

    def __init__(self, rules: RuleSet, partitions: int, folder: Folder) -> None:
        self._folder, self._partitions = folder, partitions
        self._leads = [self._lead_fold(partition, rules) for partition in range(partitions)]
        states = compact_states()
        self._desk = _Inbox("desk-0", DeskFold(0, states, rules.desk, partitions, PATIENT), states)
        self._waiting = [0] * partitions
        self._now_s = 0

    def _lead_fold(self, partition: int, rules: RuleSet) -> _Inbox:
        states = compact_states()
        fold = lead_fold(partition, states, rules.rules, self._partitions, PATIENT)
        return _Inbox(f"leads-{partition}", fold, states)

    def run(self, arrived: Iterable[Arrived]) -> int:
        """Fold all that comes; returns how many records that were."""
        count = 0
        for each in arrived:
            self._pass(each.at_ms)
            if each.value is not None:
                count += 1
                inbox = self._desk if each.topic == DESK else self._leads[each.partition]
                inbox.append(each.at_ms, each.key, each.value)
                self._settle(each.at_ms, [inbox])
        for inbox in (*self._leads, self._desk):
            self._folder.remember(inbox.name, inbox.states)
        return count

    def _pass(self, at_ms: int) -> None:
        """Let time pass, with a tick a second as workers have them."""
        at_s = at_ms // 1_000
        everybody = [*self._leads, self._desk]
        while self._now_s < at_s:
            ends = min(at_s, self._now_s + SILENCE_S) if self._now_s else at_s
            for second in range(self._now_s + 1 if self._now_s else at_s, ends + 1):
                tick = encode(Tick(at=second * 1_000))
                for inbox in everybody:
                    inbox.append(second * 1_000, None, tick)
            self._now_s = ends
            self._settle(ends * 1_000, everybody)

    def _settle(self, at_ms: int, woken: Iterable[_Inbox]) -> None:
        """Fold until nobody has anything to read."""
        todo = deque(woken)
        while todo:
            inbox = todo.popleft()
            for said in batches(inbox.fold, inbox.take()):
                if said:
                    self._folder.say(inbox.name, said)
                    todo.extend(self._deliver(at_ms, said))

    def _deliver(self, at_ms: int, outputs: Iterable[Output]) -> Iterable[_Inbox]:
        for topic, partition, key, value, _ in outputs:
            if topic == LEADS:
                self._leads[partition].append(at_ms, key, value)
                yield self._leads[partition]
            elif topic == WAITING and value is not None:
                offset = self._waiting[partition]
                self._waiting[partition] += 1
                self._desk.append(at_ms, None, encode(Waited(partition, offset, value)))
                yield self._desk
