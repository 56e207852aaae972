"""What a lane is made of; built by the composition root, which alone reads the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

from agents.lane.errors import LaneRefused
from agents.lane.kafka_log import KafkaLog
from agents.lane.log import Log
from agents.lane.slot import Names
from streams.fold import FoldFactory, States


@dataclass(frozen=True)
class LaneConfig:
    """One role's worker: which fold over which inbox, and how it lives with the cluster."""

    bootstrap: str
    """Kafka's bootstrap servers, host:port separated by commas."""
    role: str
    """The role's one name: consumer group, transactional ids and metrics carry it."""
    inbox: str
    """Logical name of the inbox topic."""
    changelog: str
    """Logical name of the changelog topic; as many partitions as the inbox."""
    partitions: int
    fold_factory: FoldFactory
    states_factory: Callable[[], States] = dict
    """Makes an empty mapping for the states of a partition."""
    outputs: tuple[str, ...] = ()
    """Logical names of the topics the fold publishes to; they must exist before the lane starts."""
    prefix: str = ""
    """The deployment's prefix of topic names, group and transactional ids."""
    instance_id: str | None = None
    """Static membership: a worker restarted under its id within the session gets its partitions back at once. Its
    leaving is not announced: without a restart others take over when the session has ended."""
    session_timeout_s: float = 6.0
    """A worker silent for so long loses its partitions; 6 to 10 s, 3 where nobody may wait."""
    max_batch: int = 4000
    """Records in one transaction, about; beyond it the fetcher waits."""
    fetch_max_wait_ms: int = 20
    """The broker collects for so long, or until `fetch_min_bytes` are there: latency against CPU."""
    fetch_min_bytes: int = 65536
    ticks: bool = True
    """Whether this worker appends a Tick a second to each inbox partition it owns."""
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    """What time it is, for ticks: milliseconds since the epoch."""
    recovery_patience_s: float = 120.0
    """A rebalance or recovery that takes longer ends the process."""
    progress_patience_s: float = 60.0
    """Lag without a commit for so long ends the process."""
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    """Where /metrics, /healthz and /readyz are served; 0 takes a free port, None serves nothing."""
    beside: Callable[[Callable[[], Collection[int]]], Coroutine[Any, Any, None]] | None = None
    """What runs beside the lane as long as it does, told which partitions are folded here at the moment."""
    client_id: str = field(default_factory=lambda: f"handraise-{os.getpid()}")

    def __post_init__(self) -> None:
        for wrong, field_name, remedy in (
            (self.partitions < 1, "partitions", "give the inbox's partition count, 1 or more"),
            (self.max_batch < 1, "max_batch", "give 1 or more; about 4000 is a good size"),
            (self.session_timeout_s < 3, "session_timeout_s", "give 3 s or more: brokers take no shorter session"),
            (not self.role.isidentifier(), "role", "give a plain word, such as leads"),
        ):
            if wrong:
                value = getattr(self, field_name)
                raise LaneRefused(f"{field_name} is {value!r}", f"settings of the lane {self.role!r}", remedy)

    @property
    def group(self) -> str:
        """Consumer group id, and the stem of transactional ids."""
        return f"{self.prefix}{self.role}"

    @property
    def names(self) -> Names:
        """Physical names."""
        return Names(self.prefix, self.prefix + self.inbox, self.prefix + self.changelog)

    def transactional_id(self, partition: int) -> str:
        """One writer per inbox partition, whoever owns it."""
        return f"{self.group}-{partition}"

    def kafka_log(self) -> Log:
        """The log this lane lives on."""
        return KafkaLog(
            bootstrap=self.bootstrap,
            client_id=self.client_id,
            # longer than a session: a transaction must not end under an owner who is still a member
            transaction_timeout_ms=int(self.session_timeout_s * 1000) + 5000,
        )
