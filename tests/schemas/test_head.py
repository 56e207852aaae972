"""The head decoder reads from the bytes what fastavro reads, and refuses the rest with a reason."""

import pytest
from hypothesis import given, settings

from schemas.codec import decode, encode
from schemas.head import HOT_PREFIX, engagement_head, is_unknown_mail, mail_name, record_name, tick_at
from schemas.records import Engagement, Tick, Unmerge
from schemas.wire import LOCK, MAIL_RANGE, Undecodable, prefix
from tests.schemas.strategies import engagements, ticks
from tests.schemas.test_codec import example

ID = "a_tq6o5vdx2m4nbk3e"
ONE = b"\x02\x24" + ID.encode() + b"\x00"
MINUS_ONE = b"\x01"
TOO_LONG = b"\x80" * 10 + b"\x01"
OVER_64_BITS = b"\xff" * 9 + b"\x03"


def head_of(record: Engagement) -> tuple[object, ...]:
    """Return the hot fields of a record, in the order and the types of the head."""
    *fields, identifiers = (getattr(record, name) for name in HOT_PREFIX)
    return (*fields, tuple(each.encode() for each in identifiers))


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
    count = abs(occurred_at) % 5
    record = example(title=title, email=email, occurred_at=occurred_at, identifiers=(ID,) * count)
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
        (ONE, b"\x02\x22" + ID[1:].encode() + b"\x00", "malformed"),
        (ONE, b"\x02\x26" + ID.encode() + b"a\x00", "malformed"),
        (ONE, b"\x02\x01\x00", "malformed"),
        (ONE, ONE.replace(b"q", b"\xe9"), "malformed"),
        (ONE, b"\x22" + (b"\x24" + ID.encode()) * 17 + b"\x00", "malformed"),
        (ONE, b"\x12" + (b"\x24" + ID.encode()) * 9 + b"\x10" + (b"\x24" + ID.encode()) * 8 + b"\x00", "malformed"),
        (ONE, OVER_64_BITS, "malformed"),
        (ONE, b"\xff" * 9 + b"\x01", "malformed"),
        (ONE, ONE[:-1] + b"\x04", "malformed"),
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


@pytest.mark.parametrize(
    "written",
    [
        ONE * 2,
        b"\x01\x26" + ONE[1:],
        b"\x82\x00" + ONE[1:],
        b"\x02\xa4\x00" + ONE[2:],
        b"\x03\x4c" + (ONE[1:-1] * 2) + b"\x00",
        b"\x20" + (ONE[1:-1] * 16) + b"\x00",
    ],
)
def test_identifiers_in_other_blocks(written: bytes) -> None:
    """Identifiers in any blocks that Avro has for an array, with a size or not, are read as fastavro reads them."""
    value = encode(example()).replace(ONE, written.replace(b"\x00\x02", b"\x02"))
    whole = decode(value)
    assert isinstance(whole, Engagement)
    assert engagement_head(value) == head_of(whole)
    assert set(whole.identifiers) == {ID}


def test_mail_is_known_by_its_number() -> None:
    """A number of mail that this release does not know is mail of a newer one; no other bytes are."""
    numbers = [version.id for versions in LOCK.values() for version in versions]
    for number in (MAIL_RANGE[0], max(numbers) + 1, MAIL_RANGE[-1]):
        assert is_unknown_mail(prefix(number) + b"anything")
        assert mail_name(prefix(number) + b"anything") is None
    for number in (*numbers, 0, MAIL_RANGE.start - 1, MAIL_RANGE.stop, 2**32 - 1):
        assert not is_unknown_mail(prefix(number))
    for value in (b"", prefix(MAIL_RANGE[0])[:4], b"\x01" + prefix(MAIL_RANGE[0])[1:]):
        assert not is_unknown_mail(value)
    assert mail_name(encode(Unmerge(at=1, by="ana"))) == "Unmerge"
    assert mail_name(encode(Tick(1))) is None


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
