"""The compatibility gate: what a change of a schema must not do, as functions of schemas.

Topics keep records for months and workers are updated one by one, so each version must read what every other version
wrote and be read by it.  Whether one schema reads what another wrote is judged by Apache Avro's own checker, which
only the tests have; it comes in as an argument.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from schemas.head import HOT_PREFIX
from schemas.records import MAIL
from schemas.wire import MAIL_RANGE, Version

Schema = Mapping[str, Any]
ReadsProblems = Callable[[Schema, Schema], Sequence[str]]
"""(reader, writer) -> why the reader cannot read what the writer wrote; empty if it can."""

FULL_TRANSITIVE = "FULL_TRANSITIVE"
"""Each version reads what every other one wrote."""

NAMESPACE = "handraise"
_RECORD_IT = "UPDATE_GOLDEN=1 pytest tests/schemas"


def canonical(schema: Any) -> str:
    """Return the schema as one line of JSON in which only what changes its meaning stands.

    That is everything but the docs, defaults included; Avro's own parsing canonical form drops the defaults, on which
    compatibility rests.
    """
    return json.dumps(_without_docs(schema), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(schema: Any) -> str:
    """Return the SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(schema).encode()).hexdigest()


def history_problems(history: Sequence[Schema], reads: ReadsProblems) -> list[str]:
    """Return what breaks FULL_TRANSITIVE between the versions of one record's schema, oldest first."""
    found = []
    for written, writer in enumerate(history, 1):
        for read, reader in enumerate(history, 1):
            if read != written:
                found += [f"v{read} cannot read v{written}: {each}" for each in reads(reader, writer)]
    for number, (before, after) in enumerate(pairwise(history), 2):
        found += [f"v{number}: {each}" for each in [*prefix_problems(before, after), *_meaning_problems(before, after)]]
    return found


def prefix_problems(before: Schema, after: Schema) -> list[str]:
    """Return what a change does to the fields that are read from the bytes without a look at the schema."""
    name = after["name"]
    # A tick is read from end to end, so nothing may ever follow its time.
    if name == "Tick" and _shape(after["fields"]) != _shape(before["fields"]):
        return [f"{name} is read without its schema: its fields never change"]
    hot = len(HOT_PREFIX)
    # The first version has all of them but the last.
    shared = [each for each in before["fields"][:hot] if each["name"] in HOT_PREFIX]
    names = tuple(each["name"] for each in after["fields"][:hot])
    if name == "Engagement" and (names != HOT_PREFIX or _shape(after["fields"][: len(shared)]) != _shape(shared)):
        return [f"the hot prefix of {name} ({', '.join(HOT_PREFIX)}) is read without its schema: it never changes"]
    return []


def lock_problems(
    lock: Mapping[str, Sequence[Version]], history: Mapping[str, Sequence[Schema]], present: Mapping[str, Schema]
) -> list[str]:
    """Return where lock file, history and present schemas disagree, each with its remedy."""
    found = []
    for name in sorted({*lock, *history, *present}):
        versions, schemas = lock.get(name, ()), history.get(name, ())
        if name not in present or not versions:
            found.append(f"{name}: in lock file, history and schemas/avro there must be the same records")
            continue
        if [each.version for each in versions] != list(range(1, len(schemas) + 1)):
            found.append(
                f"{name}: the lock file's versions are not those of schemas/history/{name}: 1 to {len(schemas)}"
            )
        for version, schema in zip(versions, schemas, strict=False):
            if version.sha256 != sha256(schema):
                found.append(f"{name} v{version.version}: history is not rewritten; restore the file from git")
            if version.compat != FULL_TRANSITIVE:
                found.append(f"{name} v{version.version}: compat must be {FULL_TRANSITIVE}")
        if schemas and canonical(schemas[-1]) != canonical(present[name]):
            found.append(f"{name}: schemas/avro/{name}.avsc changed; record it as v{len(schemas) + 1}: {_RECORD_IT}")
    ids = [version.id for versions in lock.values() for version in versions]
    found += [
        f"{version.record} v{version.version}: ids from {MAIL_RANGE.start:#x} on are mail's, all of them and no other's"
        for versions in lock.values()
        for version in versions
        if (version.id in MAIL_RANGE) != (version.record in MAIL)
    ]
    if len(ids) != len(set(ids)):
        found.append("two versions have one id; ids are never used again")
    return found


def next_version(lock: Mapping[str, Sequence[Version]], schema: Schema) -> Version:
    """Return the lock file's entry for a changed or new schema: its next version, under an id never used before."""
    name = schema["name"]
    ids = [each.id for versions in lock.values() for each in versions if (each.id in MAIL_RANGE) == (name in MAIL)]
    return Version(
        record=name,
        version=len(lock.get(name, ())) + 1,
        id=max(ids, default=MAIL_RANGE.start if name in MAIL else 0) + 1,
        sha256=sha256(schema),
        compat=FULL_TRANSITIVE,
    )


def lock_text(lock: Mapping[str, Sequence[Version]]) -> str:
    """Return the lock file's text, which `schemas.wire.read_lock` reads back."""
    plain = {
        name: [{"version": v.version, "id": v.id, "sha256": v.sha256, "compat": v.compat} for v in versions]
        for name, versions in lock.items()
    }
    return json.dumps(plain, indent=2) + "\n"


def _meaning_problems(before: Schema, after: Schema) -> list[str]:
    """Return the fields whose logical type changed: Avro's checker lets seconds become milliseconds."""
    meant = _logical_types(before)
    return [
        f"{name} changed its logical type"
        for name, means in _logical_types(after).items()
        if name and meant.get(name, means) != means
    ]


def _logical_types(schema: Any, name: str = "") -> dict[str, str]:
    """Return the logical type of each field, "" for none, by its path through records."""
    if isinstance(schema, list):
        found = {name: ""}
        for part in schema:
            for path, means in _logical_types(part, name).items():
                found[path] = found.get(path) or means
        return found
    if not isinstance(schema, dict):
        return {name: ""}
    if "items" in schema:
        return _logical_types(schema["items"], name)
    found = {name: schema.get("logicalType", "")}
    for each in schema.get("fields", ()):
        found |= _logical_types(each["type"], f"{name}.{each['name']}".lstrip("."))
    return found


def _without_docs(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_docs(part) for name, part in schema.items() if name != "doc"}
    if isinstance(schema, list):
        return [_without_docs(part) for part in schema]
    return schema


def _shape(fields: Sequence[Schema]) -> str:
    return canonical([{"name": each["name"], "type": each["type"]} for each in fields])
