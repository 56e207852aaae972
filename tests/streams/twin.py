"""The lead fold twice: in Python, whose word is the definition, and compiled, which must say the same to the byte."""

from __future__ import annotations

from collections.abc import Sequence

from streams.compiled import CompiledFold, compact_states
from streams.fold import InboxRecord, Sealed, States
from streams.lead_fold import LeadFold
from streams.rules import Rules


class TwinFold(LeadFold):
    """What the laws take for a lead fold: the one in Python, held to the compiled one at every step."""

    def __init__(self, partition: int, states: States, rules: Rules, partitions: int, accept_poison: int = 0) -> None:
        self._twin_states = compact_states()
        self._twin_states.update(states)
        super().__init__(partition, states, rules, partitions, accept_poison)
        self._twin = CompiledFold(partition, self._twin_states, rules, partitions, accept_poison)

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Fold records; both take as many, and pause for the same reason."""
        consumed = super().apply(records)
        assert self._twin.apply(records) == consumed
        assert self._twin.ready() == self.ready()
        return consumed

    def seal(self) -> Sealed:
        """Close the batch; both have the same changes and outputs in the same order, and the same states."""
        sealed, twin = super().seal(), self._twin.seal()
        assert twin.outputs == sealed.outputs
        assert list(twin.changes.items()) == list(sealed.changes.items())
        assert dict(self._twin_states) == self._states
        return sealed
