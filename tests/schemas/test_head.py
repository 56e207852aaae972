"""The head decoder reads from the bytes what fastavro reads, and refuses the rest with a reason."""

import pytest
from hypothesis import given, settings

from schemas.codec import decode, encode
from schemas.head import HOT_PREFIX, engagement_head, record_name, tick_at
from schemas.records import Engagement, Tick
from schemas.wire import Undecodable
from tests.schemas.strategies import engagements, ticks
from tests.schemas.test_codec import example

MINUS_ONE = b"\x01"
TOO_LONG = b"\x80" * 10 + b"\x01"
OVER_64_BITS = b"\xff" * 9 + b"\x03"


def head_of(record: Engagement) -> tuple[object, ...]:
    """Return the hot fields of a record, in the order of the head."""
    return tuple(getattr(record, name) for name in HOT_PREFIX)


def test_hot_fields_come_first() -> None:
    """The head has the first fields of the record."""
    assert Engagement.__struct_fields__[: len(HOT_PREFIX)] == HOT_PREFIX


@settings(max_examples=300)
@given(record=engagements)
def test_equal_to_fastavro(record: Engagement) -> None:
    """The head holds the same values as the record that fastavro reads."""
    value = encode(record)
    whole = decode(value)
    assert isinstance(whole, Engagement)
    assert engagement_head(value) == head_of(whole) == head_of(record)


@given(record=ticks)
def test_tick_equal(record: Tick) -> None:
    """The time of a tick is what was written."""
    assert tick_at(encode(record)) == record.at


@pytest.mark.parametrize("title", ["Pricing", "", "Preise — Überblick", "t" * 200, "é" * 32])
@pytest.mark.parametrize("email", [None, "jonas.vik@brightwater.example", "j" * 90 + "@brightwater.example"])
@pytest.mark.parametrize(
    "occurred_at", [1_795_525_200_000, -1_795_525_200_000, 0, -1, 2**63 - 1, -(2**63), 2**41, 2**34]
)
def test_truncations(title: str, email: str | None, occurred_at: int) -> None:
    """Cut anywhere, a record has its own head if the cut lies behind it, and is undecodable if not."""
    record = example(title=title, email=email, occurred_at=occurred_at)
    value = encode(record)
    behind = value.index(b"\x08demo")
    for cut in range(len(value)):
        if cut >= behind:
            assert engagement_head(value[:cut]) == head_of(record)
        else:
            with pytest.raises(Undecodable) as caught:
                engagement_head(value[:cut])
            assert caught.value.code == "truncated"


@pytest.mark.parametrize(
    ("good", "bad", "code"),
    [
        (b"\x12page_view", MINUS_ONE + b"page_view", "malformed"),
        (b"\x12page_view", TOO_LONG + b"page_view", "malformed"),
        (b"\x12page_view", OVER_64_BITS + b"page_view", "malformed"),
        (b"\x12page_view", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01page_view", "truncated"),
        (b"\x12page_view", b"\x12page\xffview", "bad_utf8"),
        (b"\x12page_view", b"\x12page_\xed\xa0\x80", "bad_utf8"),
        (b"\x10/pricing", b"\x11/pricing", "malformed"),
        (b"\x0ePricing", b"\x80\x80\x80\x80\x10Pricing", "truncated"),
        (b"\x0ePricing", b"\x8f\x00Pricing", "malformed"),
        (b"\x0ahuman\x00", b"\x0ahuman\x04", "malformed"),
        (b"\x0ahuman\x00", b"\x0ahuman\x01", "malformed"),
        (b"\x0ahuman\x00", b"\x0ahuman\x02\x01", "malformed"),
        (b"\x0ahuman\x00", b"\x0ahuman\x02\xfe\xff\x03", "truncated"),
        (b"\x0ahuman\x00", b"\x0ahuman\x02\x04\xc3(", "bad_utf8"),
    ],
)
def test_broken_fields(good: bytes, bad: bytes, code: str) -> None:
    """Lengths that are negative, too long or beyond the end, other branches and bytes that are no text are refused."""
    value = encode(example())
    assert value.count(good) == 1
    for read in (engagement_head, decode):
        with pytest.raises(Undecodable) as caught:
            read(value.replace(good, bad))
        assert caught.value.code == code


def test_longer_than_needed() -> None:
    """A number in more bytes than it needs is read as fastavro reads it."""
    for short, long in ((b"\x12page_view", b"\x92\x80\x00page_view"), (b"\x0ePricing", b"\x8e\x00Pricing")):
        value = encode(example()).replace(short, long)
        assert engagement_head(value) == head_of(example())
        assert decode(value) == example()


@pytest.mark.parametrize("number", [TOO_LONG, OVER_64_BITS])
def test_tick_of_too_many_bits(number: bytes) -> None:
    """A tick of more than 64 bits is undecodable."""
    with pytest.raises(Undecodable) as caught:
        tick_at(encode(Tick(0))[:5] + number)
    assert caught.value.code == "malformed"


def test_other_records() -> None:
    """A record of another kind has no head, and the reason names both."""
    with pytest.raises(Undecodable, match="wrong_record: the record is Tick, not Engagement"):
        engagement_head(encode(Tick(0)))
    with pytest.raises(Undecodable, match="wrong_record: the record is Engagement, not Tick"):
        tick_at(encode(example()))


def test_names_of_foreign_bytes() -> None:
    """Bytes that begin with no schema id of ours have no record name."""
    assert [record_name(each) for each in (b"", b"\0", b"\0\0\0\0\0", b"{}", b"\1\0\0\0\1")] == [None] * 5
