"""A fold that anybody can check by hand: it counts the records under each key, and says so."""

from __future__ import annotations

from collections.abc import Sequence

from streams.fold import InboxRecord, Output, PartitionFold, Sealed, Unfoldable

TOPIC = "counts"


class CountingFold:
    """State under a key: how many records it had. Output per record: the source offset and the count."""

    def __init__(self, partition: int, states: dict[bytes, bytes], *, outputs: bool = True) -> None:
        self.partition, self.states, self.outputs_wanted = partition, states, outputs
        self.changed: dict[bytes, bytes | None] = {}
        self.outputs: list[Output] = []
        self.paused: str | None = None

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Count; `flood` as a value stops the partition, `fault` cannot be folded, `raise` breaks the program.

        Keyless records (ticks) pass.
        """
        for index, record in enumerate(records):
            if record.value == b"raise":
                raise ValueError(f"offset {record.offset} cannot be folded")
            if record.value == b"fault":
                raise Unfoldable(f"folding failed at offset {record.offset}; remedy: --skip")
            if record.value == b"flood":
                self.paused = f"poison at offset {record.offset}; remedy: --accept-poison 1"
                return index
            key = record.key
            if key is None:
                continue
            count = int(self.changed.get(key) or self.states.get(key, b"0")) + 1
            self.changed[key] = b"%d" % count
            if self.outputs_wanted:
                value = record.value if record.value and len(record.value) > 1000 else b"%d:%d" % (record.offset, count)
                self.outputs.append(Output(TOPIC, self.partition, key, value, []))
        return len(records)

    def seal(self) -> Sealed:
        """Hand over and begin anew."""
        sealed = Sealed(self.changed, self.outputs)
        for key, value in self.changed.items():
            if value is not None:
                self.states[key] = value
        self.changed, self.outputs = {}, []
        return sealed

    def ready(self) -> str | None:
        """Why the partition stands still."""
        return self.paused


def counting(partition: int, states: dict[bytes, bytes]) -> PartitionFold:
    """Make a CountingFold: the fold factory of most tests."""
    return CountingFold(partition, states)


def silent(partition: int, states: dict[bytes, bytes]) -> PartitionFold:
    """Make a CountingFold without outputs: for measuring the lane alone."""
    return CountingFold(partition, states, outputs=False)
