"""A worker that dies (SIGKILL) once, in the worst moment: its transaction is open and holds mail to every partition.

It dies while the file `armed` stands in its folder, which it takes away.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from agents.lane.kafka_log import KafkaWriter
from handraise.cli import main

ARMED = Path("armed")
_append, _commit = KafkaWriter.append, KafkaWriter.commit
_mail: dict[int, set[int]] = {}
"""Writer → the partitions of the inbox to which its transaction holds mail."""


async def append(writer: KafkaWriter, topic: str, partition: int, entries: Sequence[Any]) -> Awaitable[int]:
    """Note to which partitions there is mail."""
    if topic.endswith("lead.events"):
        _mail.setdefault(id(writer), set()).add(partition)
    return await _append(writer, topic, partition, entries)


async def commit(writer: KafkaWriter) -> None:
    """Die instead, if the broker has mail to all partitions of this transaction."""
    if len(_mail.pop(id(writer), ())) == int(os.environ["HANDRAISE_PARTITIONS"]):
        die_if_armed()
    await _commit(writer)


def die_if_armed() -> None:
    """End as by a power cut, once."""
    if ARMED.exists():
        ARMED.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    KafkaWriter.append = append  # type: ignore[method-assign]
    KafkaWriter.commit = commit  # type: ignore[method-assign]
    main()
