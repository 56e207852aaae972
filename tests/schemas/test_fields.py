"""Single fields read from the bytes are those of the whole record, or a reason why not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.fields import engagement_fields
from schemas.records import Engagement, Tick
from schemas.wire import Undecodable
from tests.schemas.strategies import engagements
from tests.schemas.test_codec import example

names = st.lists(st.sampled_from(Engagement.__struct_fields__), min_size=1, max_size=4, unique=True)


@settings(max_examples=300)
@given(record=engagements, wanted=names)
def test_equal_to_the_record(record: Engagement, wanted: list[str]) -> None:
    """Any fields, asked for in any order, are what was written."""
    assert engagement_fields(encode(record), *wanted) == tuple(getattr(record, name) for name in wanted)


@settings(max_examples=300)
@given(record=engagements, wanted=names, cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.integers(0, 255))
def test_garbage_is_read_or_undecodable(record: Engagement, wanted: list[str], cut: int, at: int, byte: int) -> None:
    """Cut short or with a wrong byte, a record is read or refused with a reason, and nothing else is raised."""
    value = bytearray(encode(record))[: 5 + cut]
    if 5 + at < len(value):
        value[5 + at] = byte
    try:
        found = engagement_fields(bytes(value), *wanted)
    except Undecodable as error:
        assert error.code
        assert error.reason
    else:
        assert len(found) == len(wanted)


def test_cut_anywhere_before_a_field_it_is_truncated() -> None:
    """A record that ends before the wanted field says that it was cut."""
    value = encode(example(anonymous_id="a-1"))
    end = value.index(b"\x06a-1") + 4
    assert engagement_fields(value[:end], "anonymous_id") == ("a-1",)
    for cut in range(5, end):
        with pytest.raises(Undecodable) as caught:
            engagement_fields(value[:cut], "anonymous_id")
        assert caught.value.code == "truncated"


def test_another_record_is_refused() -> None:
    """Only an engagement has these fields."""
    with pytest.raises(Undecodable) as caught:
        engagement_fields(encode(Tick(1)), "email")
    assert caught.value.code == "wrong_record"
