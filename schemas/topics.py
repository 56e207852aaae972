"""The topic table: every topic there is, what it holds, and how long.

Names here are logical.  On a broker each carries the deployment's prefix: see `physical`.  The table as people read it
is docs/topics.md, which a test keeps true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic's contract."""

    name: str
    """Logical name, without the deployment's prefix."""
    key: str
    """What the record's key is, in words."""
    partitions: Literal["P"] | int
    """P = as many as the deployment has (HANDRAISE_PARTITIONS), so that keys lie in the same partition of each."""
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None
    """How long records are kept, in milliseconds; None where compaction keeps the last one of each key."""
    records: tuple[str, ...]
    """Names of the records in it; empty where the value is the workers' own business."""
    public: bool
    """Whether anybody may build on it."""
    about: str
    config: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Further topic settings, by Kafka's names."""


TOPICS: tuple[Topic, ...] = (
    Topic(
        name="lead.events",
        key="lead id",
        partitions="P",
        cleanup="delete",
        retention_ms=30 * _DAY_MS,
        records=(
            "Engagement",
            "Tick",
            "Link",
            "Sighted",
            "Absorb",
            "DeviceLost",
            "Merge",
            "Unmerge",
            "Release",
            "NotTheSame",
            "Promote",
        ),
        public=False,
        about="Inbox of the lead fold: whatever can change a lead, in one order.",
        # The fold and the latency figures rely on the broker's clock, not on that of many producers.
        config=MappingProxyType({"message.timestamp.type": "LogAppendTime"}),
    ),
    Topic(
        name="lead.state",
        key="lead id",
        partitions="P",
        cleanup="compact",
        retention_ms=None,
        records=("LeadState",),
        public=True,
        about="The present state of each lead; no value under a key means that the lead is gone.",
    ),
    Topic(
        name="lead.transitions",
        key="lead id",
        partitions="P",
        cleanup="delete",
        retention_ms=90 * _DAY_MS,
        records=("LeadTransition",),
        public=True,
        about="Each change of a lead's stage, heat or identity, and its cause.",
    ),
    Topic(
        name="lead.alerts",
        key="lead id",
        partitions="P",
        cleanup="delete",
        retention_ms=30 * _DAY_MS,
        records=("LeadAlert",),
        public=True,
        about="Facts worth a person's attention, with reasons.",
    ),
    Topic(
        name="lead.duplicates",
        key="evidence id:lead id:other lead id",
        partitions="P",
        cleanup="compact",
        retention_ms=None,
        records=("LeadDuplicate",),
        public=True,
        about="Leads that may be one person, and what became of the suspicion.",
    ),
    Topic(
        name="engagement.quarantine",
        key="lead id",
        partitions="P",
        cleanup="delete",
        retention_ms=30 * _DAY_MS,
        records=("Quarantined",),
        public=True,
        about="Events kept out of scoring, with verdict and reasons.",
    ),
    Topic(
        name="engagement.rejected",
        key="source",
        partitions="P",
        cleanup="delete",
        retention_ms=90 * _DAY_MS,
        records=("Rejected",),
        public=False,
        about="Dead letter: what could not be read, with the reason, bytes unchanged.",
    ),
    Topic(
        name="leads.changelog",
        key="lead id, or the cursor's",
        partitions="P",
        cleanup="compact",
        retention_ms=None,
        records=(),
        public=False,
        about="The lead workers' memory: the state of each lead and the position in the inbox it stands for.",
        # A restart reads it whole.  The cleaner leaves the active segment alone and waits for half of the log to be
        # dirty by default, which makes that several times longer.
        config=MappingProxyType({"segment.ms": "600000", "min.cleanable.dirty.ratio": "0.1"}),
    ),
    Topic(
        name="desk.events",
        key="none",
        partitions=1,
        cleanup="delete",
        retention_ms=30 * _DAY_MS,
        records=("RaisedHand", "Waited", "Activity", "Presence", "Promote", "Tick"),
        public=False,
        about="Inbox of the desk: one partition, so that all decisions have one order.",
        config=MappingProxyType({"message.timestamp.type": "LogAppendTime"}),
    ),
    Topic(
        name="desk.waiting",
        key="lead id",
        partitions="P",
        cleanup="delete",
        retention_ms=7 * _DAY_MS,
        records=("Waiting",),
        public=False,
        about="Mail to the desk, on its way: leads that qualified or got hot.",
    ),
    Topic(
        name="desk.notices",
        key="person's id, queue or lead id",
        partitions="P",
        cleanup="delete",
        retention_ms=30 * _DAY_MS,
        records=("Notice",),
        public=True,
        about="What a person is to be told, when and how.",
    ),
    Topic(
        name="lead.assignments",
        key="lead id",
        partitions="P",
        cleanup="delete",
        retention_ms=90 * _DAY_MS,
        records=("Assignment",),
        public=True,
        about="Who has a request or a lead, until when, with the way to the decision and the outcome.",
    ),
    Topic(
        name="alert.deliveries",
        key="notice id",
        partitions="P",
        cleanup="delete",
        retention_ms=30 * _DAY_MS,
        records=("Delivery",),
        public=True,
        about="What was sent where, when, with what answer: each attempt to deliver a notice.",
    ),
    Topic(
        name="desk.changelog",
        key="the desk's own, or the cursor's",
        partitions=1,
        cleanup="compact",
        retention_ms=None,
        records=(),
        public=False,
        about="The desk's memory: open requests, people, and the position in the inbox they stand for.",
        config=MappingProxyType({"segment.ms": "600000", "min.cleanable.dirty.ratio": "0.1"}),
    ),
    Topic(
        name="rules.published",
        key="the set's version, or promoted",
        partitions=1,
        cleanup="compact",
        retention_ms=None,
        records=("PublishedRules",),
        public=True,
        about="Rule sets by version, and which one is in force.",
    ),
    Topic(
        name="deployment.facts",
        key="the fact's name",
        partitions=1,
        cleanup="compact",
        retention_ms=None,
        records=("DeploymentFact",),
        public=False,
        about="What all processes must agree on, such as the fingerprint of the id key.",
    ),
)

_BY_NAME = {each.name: each for each in TOPICS}


def topic(name: str) -> Topic:
    """Return the topic of that logical name; KeyError, with the known names, if there is none."""
    found = _BY_NAME.get(name)
    if found is None:
        raise KeyError(f"no topic {name!r} in schemas/topics.py; known: {', '.join(_BY_NAME)}")
    return found


def physical(name: str, prefix: str) -> str:
    """Return the name on the broker of the topic with that logical name, under the deployment's prefix."""
    return prefix + topic(name).name
