"""The lead fold with its common records compiled (streams/kernel.pyx), where that was compiled; else in Python alone.

Both publish the same, to the byte: Python is the definition.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import cast

from streams import state
from streams.fold import InboxRecord, Sealed, States
from streams.lead_fold import LeadFold
from streams.poison import NONE, Skips, unfoldable
from streams.publish import INBOX
from streams.rules import Rules
from streams.state import Lead

try:
    from streams.kernel import Kernel, Table, partition_of
except ImportError:
    Kernel = None  # type: ignore[assignment, misc]  # there was no compiler

IS_COMPILED: bool = Kernel is not None

if IS_COMPILED:

    class CompactStates(Table, MutableMapping[bytes, bytes]):
        """States without a Python object of any: some 80 bytes less for each than a dict takes."""


def compact_states() -> States:
    """An empty mapping that takes as little memory as there can be here."""
    return CompactStates() if IS_COMPILED else {}


def lead_fold(
    partition: int, states: States, rules: Rules, partitions: int, accept_poison: int = 0, skip: Skips = NONE
) -> LeadFold:
    """The fastest lead fold that there is here, over one partition."""
    fold = CompiledFold if IS_COMPILED else LeadFold
    return fold(partition, states, rules, partitions, accept_poison, skip)


class CompiledFold(LeadFold):
    """A lead fold that leaves common records to the kernel.

    Its states are up to date after each record, because the kernel knows of nothing else.
    """

    def __init__(
        self, partition: int, states: States, rules: Rules, partitions: int, accept_poison: int = 0, skip: Skips = NONE
    ) -> None:
        super().__init__(partition, states, rules, partitions, accept_poison, skip)
        self._publisher.partition_of = partition_of

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Fold records into the open batch; returns how many were consumed (see PartitionFold)."""
        done, count = 0, len(records)
        while done < count and self._paused is None:
            if self._agenda.next_due > self._now:  # the kernel does not look at the agenda
                common = self._fold_common(records, done)
                self._gauge.good(common - done)
                done = common
            if done < count:
                if not super().apply(records[done : done + 1]):
                    break
                done += 1
                self._write_back()
        return done

    def seal(self) -> Sealed:
        """Close the open batch: `lead.state` published once for each lead that changed."""
        return self._sealed(self._kernel.seal(self._now))

    def _publish(self) -> None:
        self._kernel.seal(self._now)

    def _obey(self, rules: Rules) -> None:
        super()._obey(rules)
        remember, claim = self._agenda.add, self._forwarding.claim
        self._kernel = Kernel(
            rules,
            self._partition,
            self._partitions,
            self._states,
            self._touched,
            self._publisher,
            remember,
            claim,
            self._judge_changed,
        )

    def _fold_common(self, records: Sequence[InboxRecord], start: int) -> int:
        """The place of the first record from `start` on that is left to Python."""
        if self._skip:
            places = range(start, len(records))
            records = records[: next((place for place in places if records[place].offset in self._skip), len(records))]
        try:
            return self._kernel.fold(records, start, self._now)
        except Exception as error:
            raise unfoldable("leads", INBOX, self._partition, records[self._kernel.place], error) from error

    def _unplanned(self) -> Iterable[bytes]:
        return self._kernel.plan()

    def _judge_changed(self, record: InboxRecord, key: bytes, kind: str, event_id: bytes | None, fell: bool) -> None:
        """Stage and heat of a lead that the kernel has changed."""
        publisher = self._publisher
        publisher.offset, publisher.count, publisher.value = record.offset, 0, record.value or b""
        lead = cast("Lead", self.state(key))
        self._judge.judge(key, lead, kind, event_id, lead.as_of, fell)
        self._write_back()

    def _write_back(self) -> None:
        """Encode what Python has changed."""
        for key, changed in self._open.items():
            if key in self._touched:
                if changed is None:
                    self._states.pop(key, None)
                else:
                    self._states[key] = state.encode(changed)
        self._open.clear()
