"""Confluent's wire format: byte 0, the schema id as four big-endian bytes, the Avro body.

The ids are those of `registry.lock.json`, which names each version of each record's schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, cast

HERE = Path(__file__).parent
LOCK_FILE = HERE / "registry.lock.json"
PREFIX_SIZE = 5


class Undecodable(Exception):  # noqa: N818  it is a verdict on bytes, told to people in this word
    """These bytes are not a record.

    `code` is a stable word: `bad_magic`, `unknown_schema`, `wrong_record`, `truncated`, `malformed`, `bad_utf8` or
    `trailing_bytes`; `reason` says in words what is wrong and where.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Version(NamedTuple):
    """One version of a record's schema, as the lock file has it."""

    record: str
    version: int
    id: int
    sha256: str
    """Of the canonical form: see `schemas.compat.canonical`."""
    compat: str
    """Confluent's name of the compatibility level that this version keeps with the others."""


def read_lock(text: str) -> dict[str, list[Version]]:
    """Return the versions of each record, oldest first, from the lock file's text."""
    return {
        record: [Version(record=record, **each) for each in versions] for record, versions in json.loads(text).items()
    }


def schema_path(version: Version) -> Path:
    """Return the file with that version's schema."""
    return HERE / "history" / version.record / f"v{version.version}.avsc"


def read_schema(path: Path) -> dict[str, Any]:
    """Return a file's schema as it was written, docs and logical types included."""
    return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))


def prefix(schema_id: int) -> bytes:
    """Return the five bytes before the body of a record written with that schema."""
    return b"\0" + schema_id.to_bytes(4, "big")


LOCK: dict[str, list[Version]] = read_lock(LOCK_FILE.read_text(encoding="utf-8"))
"""The versions of each record's schema, oldest first."""

MAIL_RANGE = range(0x484D0000, 0x484E0000)
"""Schema ids of mail, what leads and the desk write to leads, in this release and any later one ("HM", a number).

So whoever reads mail of a newer release knows that it is mail, which must wait and not be lost.
"""

BY_PREFIX: dict[bytes, Version] = {prefix(each.id): each for versions in LOCK.values() for each in versions}
"""Each version by the five bytes that its records begin with."""


def unknown_prefix(value: bytes) -> Undecodable:
    """Say why the first five bytes of a value, which no schema has, are wrong."""
    if len(value) < PREFIX_SIZE:
        return Undecodable("truncated", f"{len(value)} bytes are too few: a record begins with byte 0 and a schema id")
    if value[0]:
        return Undecodable("bad_magic", f"the first byte is {value[0]:#04x}; in Confluent's wire format it is 0x00")
    schema_id = int.from_bytes(value[1:PREFIX_SIZE], "big")
    return Undecodable("unknown_schema", f"schema id {schema_id} is not in schemas/registry.lock.json of this release")


def trailing(value: bytes, end: int) -> Undecodable:
    """Say that the record ends before the bytes do."""
    return Undecodable("trailing_bytes", f"{len(value) - end} bytes follow the record, from byte {end}")


def truncated(value: bytes) -> Undecodable:
    """Say that the bytes end before the record does."""
    return Undecodable("truncated", f"the record ends in the middle of a field, after {len(value)} bytes")


def bad_utf8(error: UnicodeDecodeError) -> Undecodable:
    """Say that a text is no text."""
    return Undecodable("bad_utf8", f"a text is not UTF-8: {error.reason} at its byte {error.start}")
