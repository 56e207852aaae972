"""The compact states: whatever is done to them, they hold what a dict would."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.compiled import CompactStates

SIZES = st.sampled_from([0, 1, 7, 8, 300, 310, 320, 990, 1_000, 1_100, 9_000, 70_000])


class Deed(NamedTuple):
    """Keep a value of so many bytes under a key, or forget the key."""

    key: bytes
    size: int | None


def deeds() -> st.SearchStrategy[list[Deed]]:
    """Of few keys, so that they meet again."""
    keys = st.one_of(
        st.sampled_from([b"", b"\0", b"\0\0", b"a_aaaaaaaaaaaaaaaa", b"a_aaaaaaaaaaaaaaab", b"k" * 65_535]),
        st.integers(0, 40).map(lambda number: f"u_{number}".encode()),
    )
    return st.lists(st.builds(Deed, keys, st.one_of(st.none(), SIZES)), max_size=80)


@given(deeds())
def test_the_table_holds_what_a_dict_would(story: list[Deed]) -> None:
    """After each deed: the same length and the same value there; at the end, the same content."""
    table, model = CompactStates(), dict[bytes, bytes]()
    for number, (key, size) in enumerate(story):
        if size is None:
            assert table.pop(key, None) == model.pop(key, None)
        else:
            table[key] = model[key] = number.to_bytes(2, "big") * (size // 2) + b"." * (size % 2)
        assert len(table) == len(model)
        assert table.get(key) == model.get(key)
        assert (key in table) == (key in model)
    assert dict(table.items()) == model


def test_the_table_grows_and_takes_from_what_became_free() -> None:
    """With 50,000 keys, each changed to other sizes, half of them forgotten and others taken in instead."""
    table, model = CompactStates(), dict[bytes, bytes]()
    for change in range(3):
        for number in range(50_000):
            table[b"%d" % number] = model[b"%d" % number] = b"%d" % number * (1 + (number + change) % 40)
    for number in range(0, 100_000, 2):
        table.pop(b"%d" % number, None)
        model.pop(b"%d" % number, None)
        table[b"x%d" % number] = model[b"x%d" % number] = b"%d" % number * 20
    assert dict(table) == model


def test_the_table_refuses_what_is_no_state() -> None:
    """Too large, of another type, not there, or changed while it is looked through."""
    table = CompactStates()
    table[b"held"] = bytes((1 << 20) - 100)
    with pytest.raises(ValueError, match="too large"):
        table[b"large"] = bytes(1 << 20)
    with pytest.raises(ValueError, match="too large"):
        table[b"k" * 65_536] = b""
    with pytest.raises(TypeError):
        table[b"text"] = "text"  # type: ignore[assignment]
    with pytest.raises(KeyError):
        del table[b"other"]
    with pytest.raises(KeyError):
        table[b"other"]
    assert "held" not in table
    assert list(table) == [b"held"]
    table[b"second"] = b""
    with pytest.raises(RuntimeError):
        for key in table:
            del table[key]
