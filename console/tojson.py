"""Records as JSON for services: their own field names, times as RFC 3339, points with three decimals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.records import Record

_TIMES = frozenset({"until", "hot_since", "stage_since", "first_seen", "last_seen", "as_of", "call_after"})
_LEFT_OUT = frozenset({"engagement", "waiting", "record"})
"""Records within records: raw bytes that mean nothing to a reader of JSON."""


def as_data(record: Record) -> dict[str, Any]:
    """A record's fields."""
    return {"type": type(record).__name__, **_fields(msgspec.to_builtins(record, builtin_types=(bytes,)))}


def _fields(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in _LEFT_OUT:
            continue
        if name.endswith("_millipoints") or name == "millipoints":
            found["points" if name == "millipoints" else name.removesuffix("_millipoints")] = (
                None if value is None else value / 1_000
            )
        elif isinstance(value, int) and not isinstance(value, bool) and _is_time(name):
            found[name] = iso(value)
        elif isinstance(value, tuple | list):
            found[name] = [_fields(each) if isinstance(each, dict) else each for each in value]
        else:
            found[name] = value
    return found


def iso(at: int) -> str:
    """Milliseconds since the epoch as RFC 3339, UTC."""
    moment = datetime.fromtimestamp(at / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds" if at % 1_000 else "seconds").replace("+00:00", "Z")


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith("_at") or name in _TIMES or name == "deliver_after"
