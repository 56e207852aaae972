"""The simple job as a fold in our fenced lane: Avro by the head decoder, one Kafka transaction a batch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from struct import Struct

from agents.lane.config import LaneConfig
from agents.lane.worker import main as run_lane
from bench.peers.job import NEW, Marks, State, step, task
from schemas.head import engagement_head
from streams.fold import InboxRecord, Output, Sealed

STATE = Struct(">dq?")


class SimpleFold:
    """Scores of one partition's leads; states are encoded once a batch."""

    def __init__(self, partition: int, states: dict[bytes, bytes], marks: Marks, alerts: str) -> None:
        self._partition, self._states, self._marks, self._topic = partition, states, marks, alerts
        self._open: dict[bytes, State] = {}
        self._alerts: list[Output] = []

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Fold records in order."""
        opened, states = self._open, self._states
        for record in records:
            key = record.key or b""
            _, occurred_at, kind, *_ = engagement_head(record.value or b"")
            before = opened.get(key)
            if before is None:
                known = states.get(key)
                before = STATE.unpack(known) if known else NEW
            opened[key], alert = step(before, kind, occurred_at)
            if alert:
                self._alerts.append(Output(self._topic, self._partition, key, STATE.pack(*opened[key]), []))
        self._marks.add(len(records))
        return len(records)

    def seal(self) -> Sealed:
        """One change for each lead that was touched."""
        pack = STATE.pack
        changes: dict[bytes, bytes | None] = {key: pack(*state) for key, state in self._open.items()}
        self._states.update(changes)  # type: ignore[arg-type]  # none is None
        sealed = Sealed(changes, self._alerts)
        self._open, self._alerts = {}, []
        return sealed

    def ready(self) -> None:
        """Never paused."""


def main(arguments: list[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    given = task(arguments)
    marks = Marks(given)
    config = LaneConfig(
        bootstrap=given.kafka,
        role=given.group,
        inbox=given.events,
        changelog=given.states,
        partitions=given.partitions,
        fold_factory=lambda partition, states: SimpleFold(partition, states, marks, given.alerts),
        outputs=(given.alerts,),
        ticks=False,
    )
    return run_lane(config)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
