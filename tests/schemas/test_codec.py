"""Records become bytes and come back; encoders by hand give fastavro's bytes; old versions are read as the newest."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from schemas.codec import Undecodable, decode, encode, fastavro_decoder, fastavro_encoder
from schemas.head import engagement_head, mail_name, record_name
from schemas.records import Engagement, LeadState, Mail, Record, Tick
from schemas.wire import LOCK, prefix, read_schema, schema_path
from tests.schemas import examples
from tests.schemas.strategies import engagements, mail, records, ticks


def newest(record: str) -> dict[str, Any]:
    """Return the newest schema of that record."""
    return read_schema(schema_path(LOCK[record][-1]))


BY_FASTAVRO = {name: fastavro_encoder(newest(name), prefix(LOCK[name][-1].id)) for name in LOCK}


@given(record=records)
def test_round_trip(record: Record) -> None:
    """A record comes back from its bytes as it was."""
    value = encode(record)
    assert decode(value) == record
    assert record_name(value) == type(record).__name__


@pytest.mark.parametrize("path", examples.PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_examples_round_trip(path: Path) -> None:
    """Each example is a record that comes back from its bytes as it was."""
    record = examples.load(path)
    assert decode(encode(record)) == record


def test_wire_format() -> None:
    """A value begins with byte 0 and the id that the lock file gives the newest version."""
    assert encode(Tick(at=64)) == b"\x00\x00\x00\x00" + bytes([LOCK["Tick"][-1].id]) + b"\x80\x01"


@settings(max_examples=300)
@given(record=engagements)
def test_engagement_by_hand(record: Engagement) -> None:
    """The encoder by hand gives fastavro's bytes for any engagement."""
    assert encode(record) == BY_FASTAVRO["Engagement"](record)


@given(record=records)
def test_any_record_by_hand(record: Record) -> None:
    """Whatever encodes a record, by hand or not, gives fastavro's bytes."""
    assert encode(record) == BY_FASTAVRO[type(record).__name__](record)


@settings(max_examples=300)
@given(record=mail)
def test_mail_by_hand(record: Mail) -> None:
    """Whatever encodes mail, by hand or not, gives fastavro's bytes, and they are known as mail of that name."""
    value = encode(record)
    assert value == BY_FASTAVRO[type(record).__name__](record)
    assert decode(value) == record
    assert mail_name(value) == type(record).__name__


@given(record=ticks)
def test_tick_by_hand(record: Tick) -> None:
    """The encoder by hand gives fastavro's bytes for any tick."""
    assert encode(record) == BY_FASTAVRO["Tick"](record)


@pytest.mark.parametrize("power", [6, 7, 13, 14, 20, 21, 27, 28, 34, 35, 41, 42, 48, 49, 55, 56, 62])
def test_numbers_at_the_edges_by_hand(power: int) -> None:
    """The encoder by hand agrees with fastavro where a varint gets one byte longer."""
    for at in (2**power - 1, 2**power, -(2**power), -(2**power) - 1):
        assert encode(Tick(at)) == BY_FASTAVRO["Tick"](Tick(at))


def example(**changes: Any) -> Engagement:
    """Return an engagement with some fields changed."""
    known: dict[str, Any] = {
        "event_id": b"12345678",
        "occurred_at": 1_795_525_200_000,
        "kind": "page_view",
        "asset": "/pricing",
        "title": "Pricing",
        "verdict": "human",
        "email": None,
        "identifiers": ("a_tq6o5vdx2m4nbk3e",),
        "source": "demo",
        "message_id": "m-1",
        "call": "page",
        "event": "",
        "received_at": 1_795_525_200_412,
    }
    return Engagement(**{**known, **changes})


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (example(event_id=b"short"), ValueError),
        (example(kind=None), TypeError),
        (example(url="\ud800"), UnicodeEncodeError),
        (example(received_at=2**63), OverflowError),
        (example(identifiers=("a_short",)), ValueError),
        (example(identifiers=("a_tq6o5vdx2m4nbk3é",)), ValueError),
        (example(identifiers=("a_tq6o5vdx2m4nbk3e",) * 17), ValueError),
        (Tick(-(2**63) - 1), OverflowError),
    ],
)
def test_unfit_values_are_refused(record: Record, error: type[Exception]) -> None:
    """A value that does not fit its field never becomes bytes."""
    with pytest.raises(error):
        encode(record)


def test_more_texts_than_the_table_has_lengths() -> None:
    """A record with 10,000 flags is encoded like any other."""
    record = example(flags=("old",) * 10_000)
    assert decode(encode(record)) == record


def test_a_lead_state_longer_than_the_table() -> None:
    """A lead state with a text of 20,000 bytes comes back as it was."""
    record = LeadState("a_x", 1, 2, 3, False, None, "visitor", 4, 5, 6, 7, 8, "m" * 20_000, 9, 10)
    assert decode(encode(record)) == record


def without(schema: dict[str, Any], field: str) -> dict[str, Any]:
    """Return the schema without that field."""
    other = copy.deepcopy(schema)
    other["fields"] = [each for each in other["fields"] if each["name"] != field]
    return other


def test_older_writer() -> None:
    """A field that the writer's schema did not have yet gets its default."""
    old = without(newest("Engagement"), "campaign")
    value = fastavro_encoder(old, prefix(LOCK["Engagement"][-1].id))(example(campaign='{"source":"newsletter"}'))
    assert fastavro_decoder(Engagement, old, newest("Engagement"))(value) == example()


def test_the_first_version_has_no_identifiers() -> None:
    """An engagement that was written before there were identifiers is read, by codec and head, as one without any."""
    first = LOCK["Engagement"][0]
    value = fastavro_encoder(read_schema(schema_path(first)), prefix(first.id))(example())
    assert decode(value) == example(identifiers=())
    assert engagement_head(value) == (*engagement_head(encode(example()))[:-1], ())


def test_newer_writer() -> None:
    """A field that the reader does not have any more is passed over."""
    long_ago = copy.deepcopy(newest("Engagement"))
    long_ago["fields"].insert(9, {"name": "retired", "type": "string", "default": "gone"})
    value = fastavro_encoder(long_ago, prefix(LOCK["Engagement"][-1].id))(example(flags=("old",)))
    assert fastavro_decoder(Engagement, long_ago, newest("Engagement"))(value) == example(flags=("old",))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "truncated"),
        (b"\x00\x00\x00", "truncated"),
        (b"\x01\x00\x00\x00\x02\x00", "bad_magic"),
        (b'{"hello":"world"}', "bad_magic"),
        (b"\x00\x00\x00\x10\x00\x00", "unknown_schema"),
        (encode(Tick(5)) + b"\x00", "trailing_bytes"),
        (encode(Tick(5))[:-1], "truncated"),
        (encode(example()) + b"\x00", "trailing_bytes"),
        (encode(example())[:-1], "truncated"),
        (encode(example(context="~~")).replace(b"~~", b"\xff\xff"), "bad_utf8"),
    ],
)
def test_codes(value: bytes, code: str) -> None:
    """What is wrong with a value is told in a stable word and in words for people."""
    with pytest.raises(Undecodable) as caught:
        decode(value)
    assert caught.value.code == code
    assert caught.value.reason in str(caught.value)
