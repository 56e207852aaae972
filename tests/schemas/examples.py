"""The examples in schemas/examples, as records; bytes stand in them in base64."""

import json
from pathlib import Path

import msgspec

from schemas.records import RECORDS, Record
from schemas.wire import HERE

PATHS = sorted((HERE / "examples").glob("*/*.json"))


def load(path: Path) -> Record:
    """Return the record of an example file; the file must name each field, and no other."""
    cls = RECORDS[path.parent.name]
    text = path.read_text(encoding="utf-8")
    assert set(json.loads(text)) == set(cls.__struct_fields__), path
    return msgspec.json.decode(text, type=cls)
