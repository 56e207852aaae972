"""The topic table as a deployment has it, for people and for machines."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from handraise import output
from handraise.settings import Settings
from handraise.topics import partitions_of
from schemas.topics import TOPICS, Topic, physical

_DAY_MS = 86_400_000


def topics_as_data(settings: Settings) -> list[dict[str, Any]]:
    """One object a topic."""
    return [
        {
            "name": physical(topic.name, settings.prefix),
            "key": topic.key,
            "partitions": partitions_of(topic, settings),
            "cleanup": topic.cleanup,
            "retention_ms": topic.retention_ms,
            "records": list(topic.records),
            "public": topic.public,
            "about": topic.about,
        }
        for topic in TOPICS
    ]


def topics_as_table(settings: Settings) -> Table:
    """Aligned columns."""
    columns = [("topic", "left"), ("partitions", "right"), ("kept", "left"), ("for", "left"), ("about", "left")]
    rows = [
        (
            physical(topic.name, settings.prefix),
            str(partitions_of(topic, settings)),
            _kept(topic),
            "anybody" if topic.public else "us",
            topic.about,
        )
        for topic in TOPICS
    ]
    return output.table(columns, rows)


def _kept(topic: Topic) -> str:
    return "last of each key" if topic.retention_ms is None else f"{topic.retention_ms // _DAY_MS} days"
