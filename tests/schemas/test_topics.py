"""The topic table, its records, their schemas, examples and documentation belong together; nothing is left over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastavro.validation import validate

from schemas import records
from schemas.compat import NAMESPACE
from schemas.records import RECORDS
from schemas.reference import topics_markdown
from schemas.topics import TOPICS, physical, topic
from schemas.wire import HERE, LOCK, read_schema
from tests.schemas import examples, golden

DOCS = Path(__file__).parents[2] / "docs" / "topics.md"
USED = {name for each in TOPICS for name in each.records}


def test_no_orphans() -> None:
    """Each record is on a topic and has a type, a schema, a history, ids and two examples; nothing else is there."""
    assert set(RECORDS) == USED
    assert {path.name for path in (HERE / "avro").iterdir()} == {f"{name}.avsc" for name in USED}
    assert {path.name for path in (HERE / "history").iterdir()} == USED
    assert {path.name for path in (HERE / "examples").iterdir()} == USED
    assert set(LOCK) == USED
    for name in USED:
        assert len(list((HERE / "examples" / name).glob("*.json"))) >= 2, name
    assert all(path.suffix == ".json" for path in (HERE / "examples").glob("*/*"))


def test_topic_names() -> None:
    """A topic is found by its logical name, once; the broker's name has the deployment's prefix before it."""
    assert len({each.name for each in TOPICS}) == len(TOPICS)
    assert all(topic(each.name) is each for each in TOPICS)
    assert physical("lead.events", "demo-") == "demo-lead.events"
    assert physical("lead.events", "") == "lead.events"
    for find in (topic, lambda name: physical(name, "demo-")):
        with pytest.raises(KeyError, match=r"no topic 'lead\.event' .*lead\.events"):
            find("lead.event")


def test_topic_rules() -> None:
    """What is deleted has a time, what is compacted none; the inbox has the broker's clock; all lie side by side."""
    for each in TOPICS:
        assert (each.retention_ms is None) == (each.cleanup == "compact"), each.name
        assert each.partitions == (
            1 if each.name in {"deployment.facts", "desk.events", "desk.changelog", "rules.published"} else "P"
        )
        assert not each.public or each.records, each.name
    for inbox in ("lead.events", "desk.events"):
        assert topic(inbox).config["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("name", RECORDS)
def test_schema_and_type_agree(name: str) -> None:
    """A record's type has the fields of its schema, in that order and with those defaults, and each is explained."""
    schema = read_schema(HERE / "avro" / f"{name}.avsc")
    assert (schema["name"], schema["namespace"]) == (name, NAMESPACE)
    assert schema["doc"]
    assert all(each["doc"].endswith(".") for each in schema["fields"])
    agree(RECORDS[name], schema)


def agree(cls: type[msgspec.Struct], schema: dict[str, Any]) -> None:
    """Hold a type and its schema equal, and those of the records inside it."""
    fields = msgspec.structs.fields(cls)
    assert [each.name for each in fields] == [each["name"] for each in schema["fields"]]
    required = max((n for n, each in enumerate(schema["fields"]) if "default" not in each), default=-1)
    for number, (field, each) in enumerate(zip(fields, schema["fields"], strict=True)):
        # Python has no optional field before a required one.
        optional = "default" in each and number > required
        assert field.default == (msgspec.convert(each["default"], field.type) if optional else msgspec.NODEFAULT)
    for each in inner(schema):
        assert each["doc"].endswith(".")
        assert all(field["doc"].endswith(".") for field in each["fields"])
        agree(getattr(records, each["name"]), each)


def inner(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of the records that are fields, or items of fields."""
    for each in schema["fields"]:
        kind = each["type"]
        kind = kind.get("items", kind) if isinstance(kind, dict) else kind
        if isinstance(kind, dict) and kind["type"] == "record":
            yield kind


def test_one_name_is_one_record() -> None:
    """A record that stands inside several others is the same in each."""
    found: dict[str, dict[str, Any]] = {}

    def look(schema: dict[str, Any]) -> None:
        for each in inner(schema):
            assert found.setdefault(each["name"], each) == each, each["name"]
            look(each)

    for name in RECORDS:
        look(read_schema(HERE / "avro" / f"{name}.avsc"))
    assert "LeadMemory" in found
    assert not found.keys() & RECORDS.keys()


@pytest.mark.parametrize("name", RECORDS)
def test_times_are_times(name: str) -> None:
    """What is called a time, by its name, is a timestamp in milliseconds, and nothing else is."""
    for each in read_schema(HERE / "avro" / f"{name}.avsc")["fields"]:
        is_time = "timestamp-millis" in str(each["type"])
        assert is_time == each["name"].endswith(("at", "as_of", "_since", "_seen", "_after", "until")), each["name"]


@pytest.mark.parametrize("path", examples.PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_examples_are_valid(path: Path) -> None:
    """Each example is valid by its schema and has what it says under the types that the schema names."""
    record = examples.load(path)
    schema = read_schema(HERE / "avro" / f"{path.parent.name}.avsc")
    assert validate(msgspec.to_builtins(record, builtin_types=(bytes,)), schema)


def test_documentation() -> None:
    """docs/topics.md is what the table and the schemas say."""
    golden.check(DOCS, topics_markdown())
