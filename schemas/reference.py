"""The topics and their records as people read them: docs/topics.md is this text, and a test keeps it so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.topics import TOPICS, Topic
from schemas.wire import HERE, LOCK_FILE, Version, read_lock, read_schema

_DAY_MS = 24 * 60 * 60 * 1000

_INTRODUCTION = """\
# Topics and records

Made from `schemas/topics.py` and the schemas in `schemas/avro/`; change those, then
`UPDATE_GOLDEN=1 pytest tests/schemas`.

Names carry the deployment's prefix (`HANDRAISE_PREFIX`) on the broker. P is the number of partitions that the
deployment has (`HANDRAISE_PARTITIONS`): what is about one lead lies in the same partition of each of these topics.
Anybody may build on a public topic; the others are how the parts of the product talk to each other.

Values are Avro in Confluent's wire format: byte 0, the schema id as four big-endian bytes, the Avro body. Ids stand in
`schemas/registry.lock.json`. Every schema is FULL_TRANSITIVE: each version reads what every other one wrote. Read with
`isolation.level=read_committed` to see each record exactly once. Times are milliseconds since the epoch (UTC).
"""


def topics_markdown() -> str:
    """Return the text of docs/topics.md."""
    lock = read_lock(LOCK_FILE.read_text(encoding="utf-8"))
    told: set[str] = set()
    records = (line for versions in lock.values() for line in _record(versions[-1], told))
    return "\n".join([_INTRODUCTION, *_topic_table(), *records]) + "\n"


def _topic_table() -> Iterator[str]:
    yield "| topic | key | partitions | kept | records | public | what for |"
    yield "|---|---|---|---|---|---|---|"
    for each in TOPICS:
        records = ", ".join(f"[{name}](#{name.lower()})" for name in each.records) or "–"
        public = "yes" if each.public else "no"
        cells = (f"`{each.name}`", each.key, each.partitions, _kept(each), records, public, each.about)
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    yield "Further settings: " + "; ".join(
        f"`{each.name}`: " + ", ".join(f"`{name}={value}`" for name, value in each.config.items())
        for each in TOPICS
        if each.config
    )


def _kept(topic: Topic) -> str:
    if topic.retention_ms is None:
        return "the last of each key"
    return f"{topic.retention_ms // _DAY_MS} days"


def _record(newest: Version, told: set[str]) -> Iterator[str]:
    schema = read_schema(HERE / "avro" / f"{newest.record}.avsc")
    yield ""
    yield f"## {newest.record}"
    yield ""
    yield schema["doc"]
    yield ""
    yield f"Schema version {newest.version}, id {newest.id}."
    yield from _fields(schema["fields"])
    yield from _inner(schema["fields"], told)


def _inner(fields: list[dict[str, Any]], told: set[str]) -> Iterator[str]:
    """The records that are fields, or items of fields, each where it comes first."""
    for each in fields:
        kind = each["type"].get("items", each["type"]) if isinstance(each["type"], dict) else None
        if isinstance(kind, dict) and kind["type"] == "record" and kind["name"] not in told:
            told.add(kind["name"])
            yield ""
            yield f"{kind['name']}: {kind['doc'][0].lower()}{kind['doc'][1:]}"
            yield from _fields(kind["fields"])
            yield from _inner(kind["fields"], told)


def _fields(fields: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    yield "| field | type | meaning |"
    yield "|---|---|---|"
    for each in fields:
        yield f"| `{each['name']}` | {_type(each['type'])} | {each['doc']} |"


def _type(schema: Any) -> str:
    if isinstance(schema, list):
        return " or ".join(_type(each) for each in reversed(schema))
    if not isinstance(schema, dict):
        return str(schema)
    if schema["type"] == "array":
        return f"array of {_type(schema['items'])}"
    if schema["type"] == "fixed":
        return f"{schema['size']} bytes"
    return {"timestamp-millis": "time"}.get(schema.get("logicalType", ""), str(schema.get("name", schema["type"])))
