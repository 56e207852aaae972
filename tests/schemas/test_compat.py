"""The compatibility gate over the schemas' history, and that it sees what it is there to see."""

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from schemas.compat import (
    FULL_TRANSITIVE,
    Schema,
    canonical,
    history_problems,
    lock_problems,
    lock_text,
    next_version,
)
from schemas.records import RECORDS
from schemas.wire import HERE, LOCK_FILE, MAIL_RANGE, Version, read_lock, read_schema, schema_path
from tests.schemas import golden

Change = Callable[[dict[str, Any]], None]


def reads(reader: Schema, writer: Schema) -> Sequence[str]:
    """Return why the reader cannot read what the writer wrote, by Apache Avro's own checker."""
    result = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(reader)), parse(json.dumps(writer)))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    return sorted(result.messages) or ["incompatible"]


def read_present() -> dict[str, dict[str, Any]]:
    """Return the schemas in schemas/avro by their record's name."""
    return {path.stem: read_schema(path) for path in sorted((HERE / "avro").iterdir())}


def read_history(lock: dict[str, list[Version]]) -> dict[str, list[dict[str, Any]]]:
    """Return all versions of each record's schema that lie in schemas/history, oldest first."""
    found = {folder.name: len(list(folder.iterdir())) for folder in (HERE / "history").iterdir()}
    return {
        name: [read_schema(HERE / "history" / name / f"v{number}.avsc") for number in range(1, count + 1)]
        for name, count in found.items()
    }


def record_changes() -> None:
    """Add each schema that changed, or is new, to the history and the lock file, unless the change breaks readers."""
    lock = read_lock(LOCK_FILE.read_text(encoding="utf-8"))
    history = read_history(lock)
    for name, schema in read_present().items():
        versions = history.get(name, [])
        if versions and canonical(versions[-1]) == canonical(schema):
            continue
        if history_problems([*versions, schema], reads):
            continue
        version = next_version(lock, schema)
        schema_path(version).parent.mkdir(exist_ok=True)
        schema_path(version).write_text((HERE / "avro" / f"{name}.avsc").read_text(encoding="utf-8"), encoding="utf-8")
        lock.setdefault(name, []).append(version)
    LOCK_FILE.write_text(lock_text(lock), encoding="utf-8")


if golden.UPDATING:
    record_changes()

LOCK = read_lock(LOCK_FILE.read_text(encoding="utf-8"))
HISTORY = read_history(LOCK)
PRESENT = read_present()


@pytest.mark.parametrize("name", RECORDS)
def test_every_version_reads_every_other(name: str) -> None:
    """The history of each record is FULL_TRANSITIVE, and what it is now belongs to it."""
    assert history_problems([*HISTORY[name], PRESENT[name]], reads) == []


def test_lock_file() -> None:
    """The lock file names each version in the history by its hash, and the newest is what stands in schemas/avro."""
    assert lock_problems(LOCK, HISTORY, PRESENT) == []
    assert lock_text(LOCK) == LOCK_FILE.read_text(encoding="utf-8")


def _remove(field: str) -> Change:
    return lambda schema: schema.update(fields=[each for each in schema["fields"] if each["name"] != field])


def _retype(field: str, kind: Any) -> Change:
    return lambda schema: next(each for each in schema["fields"] if each["name"] == field).update(type=kind)


def _add(position: int, **field: Any) -> Change:
    return lambda schema: schema["fields"].insert(position, field)


def _rename(field: str, name: str) -> Change:
    return lambda schema: next(each for each in schema["fields"] if each["name"] == field).update(name=name)


def _in_memory(change: Change) -> Change:
    return lambda schema: change(next(each["type"] for each in schema["fields"] if each["name"] == "memory"))


def _swap(schema: dict[str, Any]) -> None:
    fields = schema["fields"]
    fields[2], fields[3] = fields[3], fields[2]


BREAKS: list[tuple[str, Change, str]] = [
    ("LeadState", _remove("level"), "v1 cannot read v2"),
    ("LeadState", _add(99, name="fit", type="int"), "v2 cannot read v1"),
    ("LeadState", _retype("source_offset", "string"), "v2 cannot read v1"),
    ("LeadState", _retype("events", "long"), "v1 cannot read v2"),
    ("LeadState", _rename("stage", "phase"), "v2 cannot read v1"),
    ("LeadAlert", _retype("email", "string"), "v2 cannot read v1"),
    ("LeadState", _retype("as_of", {"type": "long", "logicalType": "timestamp-micros"}), "as_of changed its logical"),
    ("LeadState", _retype("hot_since", ["null", "long"]), "hot_since changed its logical type"),
    ("Engagement", _swap, "the hot prefix of Engagement"),
    ("Engagement", _add(3, name="never_there", type="int", default=0), "the hot prefix of Engagement"),
    ("Engagement", _add(0, name="never_there", type="int", default=0), "the hot prefix of Engagement"),
    ("Engagement", _add(7, name="never_there", type="int", default=0), "the hot prefix of Engagement"),
    ("Engagement", _remove("identifiers"), "the hot prefix of Engagement"),
    ("Link", _retype("via", "string"), "v2 cannot read v1"),
    ("Absorb", _remove("memory"), "v1 cannot read v2"),
    ("Absorb", _in_memory(_remove("line")), "v1 cannot read v2"),
    ("Absorb", _in_memory(_add(99, name="fit", type="int")), "v2 cannot read v1"),
    ("Absorb", _in_memory(_retype("events", "string")), "v2 cannot read v1"),
    ("Absorb", _in_memory(_rename("line", "start")), "v2 cannot read v1"),
    (
        "Release",
        _in_memory(_retype("last_seen", {"type": "long", "logicalType": "timestamp-millis"})),
        "memory.last_seen changed its logical type",
    ),
    ("Tick", _add(1, name="worker", type="string", default=""), "Tick is read without its schema"),
]


@pytest.mark.parametrize(
    ("name", "change", "seen"), BREAKS, ids=[f"{name}-{n}" for n, (name, _, _) in enumerate(BREAKS)]
)
def test_a_break_is_seen(name: str, change: Change, seen: str) -> None:
    """A change that breaks a reader, or the fields read without a schema, does not pass the gate."""
    changed = copy.deepcopy(PRESENT[name])
    change(changed)
    assert any(seen in each for each in history_problems([PRESENT[name], changed], reads))


def test_a_new_enum_symbol_is_seen() -> None:
    """An enum may not get a symbol that older readers do not know."""

    def schema(*symbols: str) -> dict[str, Any]:
        kind = {"type": "enum", "name": "Call", "symbols": list(symbols)}
        return {"type": "record", "name": "X", "namespace": "handraise", "fields": [{"name": "call", "type": kind}]}

    assert history_problems([schema("page"), schema("page")], reads) == []
    assert any(
        "v1 cannot read v2" in each for each in history_problems([schema("page"), schema("page", "track")], reads)
    )


def test_a_break_with_an_older_version_is_seen() -> None:
    """A field that goes and comes back as another type breaks with the first version, though not with the last."""
    first, second, third = (copy.deepcopy(PRESENT["Engagement"]) for _ in range(3))
    _remove("library")(second)
    _retype("library", "long")(third)
    next(each for each in third["fields"] if each["name"] == "library")["default"] = 0
    assert history_problems([first, second], reads) == []
    assert history_problems([second, third], reads) == []
    assert history_problems([first, second, third], reads) != []


def test_a_good_change_passes() -> None:
    """A field with a default may come behind the hot prefix or into a memory, and may go."""
    remembered = [copy.deepcopy(PRESENT["Absorb"]) for _ in range(3)]
    _in_memory(_add(99, name="fit", type="int", default=0))(remembered[1])
    _in_memory(_remove("late"))(remembered[2])
    assert history_problems(remembered, reads) == []
    more, less = copy.deepcopy(PRESENT["Engagement"]), copy.deepcopy(PRESENT["Engagement"])
    _add(8, name="never_there", type="int", default=0)(more)
    _remove("library")(less)
    assert history_problems([PRESENT["Engagement"], more, less], reads) == []


def test_docs_change_nothing() -> None:
    """Words may be mended without a new version; a default may not."""
    schema = copy.deepcopy(PRESENT["Engagement"])
    schema["doc"] = schema["fields"][0]["doc"] = "Other words."
    assert canonical(schema) == canonical(PRESENT["Engagement"])
    schema["fields"][-1]["default"] = ""
    assert canonical(schema) != canonical(PRESENT["Engagement"])


def test_lock_file_problems() -> None:
    """A schema changed, history rewritten, a version forgotten, an id used twice: each is told with its record."""
    lock, history = read_lock(lock_text(LOCK)), copy.deepcopy(HISTORY)
    changed = copy.deepcopy(PRESENT["Tick"])
    changed["fields"][0]["default"] = 0
    assert lock_problems(lock, history, {**PRESENT, "Tick": changed}) == [
        "Tick: schemas/avro/Tick.avsc changed; record it as v2: UPDATE_GOLDEN=1 pytest tests/schemas"
    ]
    assert "history is not rewritten" in lock_problems(lock, {**history, "Tick": [changed]}, PRESENT)[0]
    assert "versions are not those" in lock_problems(lock, {**history, "Tick": [changed, changed]}, PRESENT)[0]
    assert "the same records" in lock_problems({**lock, "Tick": []}, history, PRESENT)[0]
    assert "the same records" in lock_problems(lock, history, {**PRESENT, "New": changed})[0]
    doubled = [lock["Tick"][0]._replace(id=lock["LeadState"][0].id)]
    assert "one id" in lock_problems({**lock, "Tick": doubled}, history, PRESENT)[-1]
    for name, number in (("Tick", MAIL_RANGE[-1]), ("Link", 4711)):
        strange = {**lock, name: [lock[name][0]._replace(id=number)]}
        assert "0x484d0000 on are mail's" in lock_problems(strange, history, PRESENT)[-1]
    loose = [lock["Tick"][0]._replace(compat="NONE")]
    assert lock_problems({**lock, "Tick": loose}, history, PRESENT) == [f"Tick v1: compat must be {FULL_TRANSITIVE}"]


def test_next_version() -> None:
    """A changed schema gets the next version and an id that no version of any record has had."""
    version = next_version(LOCK, PRESENT["Tick"])
    assert version.version == len(LOCK["Tick"]) + 1
    ids = {each.id for versions in LOCK.values() for each in versions}
    assert version.id > max(ids - {*MAIL_RANGE})
    assert version.id not in MAIL_RANGE
    assert next_version({}, PRESENT["Tick"])[1:3] == (1, 1)
    letter = next_version(LOCK, PRESENT["Link"])
    assert letter.id in MAIL_RANGE
    assert letter.id > max(ids)
    assert next_version({}, PRESENT["Link"]).id in MAIL_RANGE
