"""The leads role: the lead fold in the fenced lane.  All comes in as arguments; nothing here reads the environment."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from agents.lane.config import LaneConfig
from streams.compiled import compact_states, lead_fold
from streams.fold import PartitionFold, States
from streams.publish import INBOX
from streams.rules import Rules

ROLE = "leads"
CHANGELOG = "leads.changelog"
OUTPUTS = (
    "lead.state",
    "lead.transitions",
    "lead.alerts",
    "lead.duplicates",
    "engagement.quarantine",
    "engagement.rejected",
    "desk.waiting",
)

log = structlog.get_logger("agents.leads")


def leads_config(
    *,
    bootstrap: str,
    partitions: int,
    rules: Rules,
    prefix: str = "",
    accept_poison: int = 0,
    skip: Collection[tuple[int, int]] = (),
    instance_id: str | None = None,
    metrics_host: str = "127.0.0.1",
    metrics_port: int | None = None,
) -> LaneConfig:
    """The lane of a leads worker.

    `accept_poison`: so many records of each partition that cannot be read are let through before the gauge counts.
    `skip`: (partition, offset) of inbox records that are rejected, because folding them failed.
    `instance_id`: static membership.  `metrics_port`: 0 takes a free one, None serves nothing.
    """

    def fold(partition: int, states: States) -> PartitionFold:
        skipped = frozenset(offset for of, offset in skip if of == partition)
        made = lead_fold(partition, states, rules, partitions, accept_poison, skipped)
        if made.rules.version != rules.version:
            log.info("promoted rules", partition=partition, in_force=made.rules.version, folder=rules.version)
        return made

    return LaneConfig(
        bootstrap=bootstrap,
        role=ROLE,
        inbox=INBOX,
        changelog=CHANGELOG,
        partitions=partitions,
        fold_factory=fold,
        states_factory=compact_states,
        outputs=OUTPUTS,
        prefix=prefix,
        instance_id=instance_id,
        health_host=metrics_host,
        health_port=metrics_port,
    )
