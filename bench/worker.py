"""The measured worker: a leads worker that says when it folds its first record and when it has folded all.

``python -m bench.worker KAFKA PREFIX PARTITIONS METRICS_PORT EVENTS FOLD [PROFILE]``, FOLD being leads or counting;
with PROFILE, where the main thread's CPU time went between the two is written to that file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from agents.lane.worker import main as run_lane
from agents.leads import leads_config
from bench.sampling import sampled
from handraise.rules import load
from handraise.settings import ROOT
from streams.fold import FoldFactory, InboxRecord, Output, PartitionFold, Sealed, States

_HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"leads-0-1234567-a_abcdefghijklmnop"),
    ("ce_type", b"handraise.LeadState"),
    ("ce_source", b"/handraise/leads"),
    ("ce_time", b"2026-11-01T10:00:00Z"),
    ("ce_subject", b"a_abcdefghijklmnop"),
]
_STATE = bytes(300)
_PUBLISHED = bytes(85)


class CountingFold:
    """Counts events and nothing else, and says as much of it as the lead fold does: what the bare lane costs.

    A state and a published value of the lead fold's usual sizes for each key that changed.
    """

    def __init__(self, partition: int, states: States) -> None:
        self._partition, self._states, self._open = partition, states, set[bytes]()

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """Count."""
        add = self._open.add
        for record in records:
            if record.key:
                add(record.key)
        return len(records)

    def seal(self) -> Sealed:
        """One change and one output a key."""
        partition, opened = self._partition, self._open
        changes: dict[bytes, bytes | None] = dict.fromkeys(opened, _STATE)
        self._states.update(dict.fromkeys(opened, _STATE))
        self._open = set()
        return Sealed(changes, [Output("lead.state", partition, key, _PUBLISHED, _HEADERS) for key in opened])

    def ready(self) -> None:
        """Never paused."""


class _Progress:
    """Counts what was folded over all partitions; tells the first record and the last."""

    def __init__(self, events: int, profile: Path | None) -> None:
        self._events = self._left = events
        self._begun, self._profile, self._profiling = False, profile, contextlib.ExitStack()

    def begin(self) -> None:
        """Folding begins."""
        if not self._begun:
            self._begun = True
            if self._profile:
                self._samples = self._profiling.enter_context(sampled())
            _say(f"first {time.process_time()} {time.monotonic()}")

    def done(self, events: int) -> None:
        """So many more are folded."""
        left = self._left
        self._left = left - events
        if left > 0 >= self._left:
            if self._profile:
                self._profiling.close()
                self._profile.write_text(self._samples.report(self._events))
            _say("all")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Told:
    """A fold with its progress told; costs a call a run."""

    def __init__(self, fold: PartitionFold, progress: _Progress) -> None:
        self._fold, self._progress = fold, progress
        self.seal, self.ready = fold.seal, fold.ready

    def apply(self, records: Sequence[InboxRecord]) -> int:
        """As the fold does."""
        self._progress.begin()
        consumed = self._fold.apply(records)
        self._progress.done(sum(1 for record in records if record.key))  # ticks have no key
        return consumed


def main(arguments: list[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    kafka, prefix, partitions, port, events, fold, *profile = arguments
    rules = load(ROOT / "rules").rules
    config = leads_config(
        bootstrap=kafka, partitions=int(partitions), rules=rules, prefix=prefix, metrics_port=int(port)
    )
    inner: FoldFactory = config.fold_factory if fold == "leads" else CountingFold
    progress = _Progress(int(events), Path(profile[0]) if profile else None)
    told = dataclasses.replace(config, fold_factory=lambda partition, states: _Told(inner(partition, states), progress))
    return run_lane(told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
