"""Single fields of an engagement, read straight from the bytes: what a fold needs now and then from behind the head.

Skipping to one field in pure Python is cheaper than having fastavro read all thirty.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from schemas.head import read_long, read_text
from schemas.wire import LOCK, PREFIX_SIZE, Undecodable, prefix, read_schema, schema_path, truncated

_ID_SIZE = 8
_NULL, _VALUE = 0, 2
_NOT_SHORT = 0b1000_0001
_Layout = tuple[tuple[str, str], ...]


def _layout(schema: dict[str, Any]) -> _Layout:
    """(name, shape) of each field in order; a shape is text, long, id, texts, or one of the first two with a `?`."""
    shapes = []
    for field in schema["fields"]:
        kind = field["type"]
        nullable = isinstance(kind, list)
        if nullable:
            kind = next(branch for branch in kind if branch != "null")
        name = kind["type"] if isinstance(kind, dict) else kind
        shape = {"string": "text", "long": "long", "fixed": "id", "array": "texts"}[name]
        shapes.append((field["name"], "?" + shape if nullable else shape))
    return tuple(shapes)


LAYOUTS: dict[bytes, _Layout] = {
    prefix(version.id): _layout(read_schema(schema_path(version))) for version in LOCK["Engagement"]
}
"""The first bytes of an engagement → (name, shape) of its fields in order, see `_layout`."""


@cache
def _steps(magic: bytes, names: tuple[str, ...]) -> tuple[tuple[str, bool, str], ...]:
    """(name if wanted, nullable?, shape) of each field up to the last wanted one."""
    layout = LAYOUTS.get(magic)
    if layout is None:
        raise Undecodable("wrong_record", "the record is no Engagement")
    steps = [(name if name in names else "", shape[0] == "?", shape.lstrip("?")) for name, shape in layout]
    last = max((place for place, (name, _, _) in enumerate(steps) if name), default=-1)
    return tuple(steps[: last + 1])


def engagement_fields(value: bytes, *names: str) -> tuple[Any, ...]:
    """The values of some fields of an engagement, in the order of their names; None for one that its version lacks.

    Raises Undecodable, and nothing else, where the bytes up to the last of them are no engagement.
    """
    found: dict[str, Any] = {}
    at = PREFIX_SIZE
    try:
        for name, nullable, shape in _steps(value[:PREFIX_SIZE], names):
            if nullable:
                branch = value[at]
                at += 1
                if branch == _NULL:
                    continue
                if branch != _VALUE:
                    raise Undecodable("malformed", f"union branch byte {branch}: a field has the branches 0 and 1")
            if name:
                found[name], at = _READERS[shape](value, at)
            elif shape == "text":
                size = value[at]
                at = at + 1 + (size >> 1) if not size & _NOT_SHORT else _skip_long_text(value, at)
            elif shape == "long":
                while value[at] & 128:
                    at += 1
                at += 1
            else:
                _, at = _READERS[shape](value, at)
    except IndexError:
        raise truncated(value) from None
    return tuple(found.get(name) for name in names)


def _skip_long_text(value: bytes, at: int) -> int:
    size, start = read_long(value, at)
    if size < 0:
        raise Undecodable("malformed", f"negative length {size} at byte {at}")
    return start + size


def _texts(value: bytes, at: int) -> tuple[tuple[str, ...], int]:
    """An array of texts: blocks of a count (negative: then the block's size in bytes follows), ended by a zero."""
    items: list[str] = []
    while True:
        count, at = read_long(value, at)
        if count == 0:
            return tuple(items), at
        if count < 0:
            count = -count
            _, at = read_long(value, at)
        for _ in range(count):  # each takes a byte at least, so the end of the bytes ends this
            item, at = read_text(value, at)
            items.append(item)


def _id(value: bytes, at: int) -> tuple[bytes, int]:
    if at + _ID_SIZE > len(value):
        raise truncated(value)
    return value[at : at + _ID_SIZE], at + _ID_SIZE


_READERS = {"text": read_text, "long": read_long, "texts": _texts, "id": _id}
