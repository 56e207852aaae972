"""The garbage law: whatever lies in the inbox is folded, quarantined or rejected with a reason; a flood stops all."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.records import Engagement, LeadState, Rejected
from tests.oracle.naive import DAY_S
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, Box, Did, Time, key_of, records, value_of
from tests.streams.twin import TwinFold

GOOD = value_of(Did(MONDAY, "download", "guide", mail=True, properties=(("a", 1),)))
SCALAR = st.one_of(st.text(max_size=30), st.sampled_from(["", "page_view", "[]", "{", "null", "\ud7ff", "0" * 5000]))


def other_record() -> bytes:
    """A record of another topic."""
    state = LeadState("u_x", 0, 0, 4, False, None, "visitor", 0, 0, 0, 1, 0, "m", 0, 0)
    return encode(state)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good record with a bit of it cut out, repeated or overwritten."""
    value = bytearray(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(value)))
        value[start : start + draw(st.integers(0, 12))] = draw(st.binary(max_size=12))
    return bytes(value)


@st.composite
def odd(draw: st.DrawFn) -> bytes:
    """A well-formed engagement with strange contents."""
    number = st.sampled_from([-(2**63), -1, 0, 1, MONDAY * 1000, 2**62, 2**63 - 1])
    changes = {
        "occurred_at": draw(number),
        "kind": draw(SCALAR),
        "asset": draw(SCALAR),
        "title": draw(SCALAR),
        "verdict": draw(st.sampled_from(["human", "human", "bot", "", "x"])),
        "email": draw(st.none() | SCALAR),
        "user_id": draw(st.none() | SCALAR),
        "properties": draw(SCALAR),
    }
    good = decode(GOOD)
    assert isinstance(good, Engagement)
    return encode(msgspec.structs.replace(good, **changes))


VALUES = st.one_of(st.none(), st.binary(max_size=80), mangled(), odd(), st.just(other_record()), st.just(GOOD))
KEYS = st.one_of(
    st.none(), st.binary(max_size=40), st.sampled_from([key_of("u:ana"), key_of("a:x"), b"u_short", b"\xff_"])
)


@settings(max_examples=400)
@given(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=12))
def test_any_bytes_are_folded_or_rejected_with_a_reason(garbage: list[tuple[bytes | None, bytes | None]]) -> None:
    """No bytes as key and value raise anything; what is not folded comes out unchanged, with code, reason and place."""
    box = Box()
    for n, (key, value) in enumerate(garbage):
        before = len(box.outputs)
        box.feed([Record(n, (MONDAY + DAY_S) * 1000, key, value)])
        assert box.outputs[before:] or box.changelog
        for rejected in (
            decode(it.value) for it in box.outputs[before:] if it.topic == "engagement.rejected" and it.value
        ):
            assert isinstance(rejected, Rejected)
            assert rejected.code
            assert rejected.reason
            assert (rejected.record, rejected.key) == (value or b"", key)
            assert (rejected.topic, rejected.partition, rejected.offset) == ("lead.events", 0, n)
    box.restart()
    good = Did(MONDAY, "download", "after", "u:later")
    box.feed(records([good], 100))
    assert box.score(MONDAY, "u:later") == 15_000


def test_more_than_24_hours_ahead_is_rejected() -> None:
    """An event may claim a time up to 24 hours after the broker appended it, and not a millisecond more."""
    log = [
        Record(n, (MONDAY - DAY_S) * 1000 - n, key_of("u:ana"), value_of(Did(MONDAY, name=str(n)))) for n in range(2)
    ]
    box = Box().feed(log)
    assert [(it.offset, it.code) for it in box.said(Rejected)] == [(1, "from_the_future")]
    assert box.lead() is not None


def test_a_record_on_the_wrong_partition_is_passed_on_unchanged() -> None:
    """A new lead's record that lies on the wrong partition goes to the right one, once, and leaves no state."""
    log = records([Did(MONDAY, lead=f"u:{n}") for n in range(20)])
    folds = [(TwinFold(partition, {}, Box().rules, 4), partition) for partition in range(4)]
    moved: dict[bytes, set[int]] = {}
    kept: dict[bytes, set[int]] = {}
    for fold, partition in folds:
        assert fold.apply(log) == len(log)
        sealed = fold.seal()
        for key in sealed.changes:
            kept.setdefault(key, set()).add(partition)
        for output in sealed.outputs:
            if output.topic == "lead.events":
                assert (output.key, output.value) in {(record.key, record.value) for record in log}
                assert output.key is not None
                moved.setdefault(output.key, set()).add(output.partition)
    assert set(moved) == set(kept) == {record.key for record in log}
    assert moved == kept
    assert all(len(places) == 1 for places in kept.values())


def poison(count: int, first_offset: int) -> list[Record]:
    """Records that nobody can read."""
    return [Record(first_offset + n, MONDAY * 1000, b"k", b"poison %d" % n) for n in range(count)]


def test_a_flood_of_poison_stops_the_line() -> None:
    """After a hundred unreadable records the next one stays unread, and readiness says why; a restart stops again."""
    box = Box()
    assert box.fold.apply(poison(150, 0)) == 100
    assert box.fold.ready()
    box.seal()
    assert len(box.said(Rejected)) == 100
    assert box.fold.apply(poison(50, 100)) == 0


def test_drops_of_poison_do_not_stop_the_line() -> None:
    """Five in a hundred of the last 10,000 may be unreadable; one more stops."""
    good = records([Time(MONDAY)] * 19)
    box = Box()
    for n in range(500):
        assert box.fold.apply([*good, *poison(1, n)]) == 20
    assert box.fold.ready() is None
    assert box.fold.apply(poison(9, 0)) == 0
    assert box.fold.ready() is not None


def test_poison_that_is_accepted_passes() -> None:
    """A fold told to accept so many more rejects those and stops only after them."""
    fold = TwinFold(0, {}, Box().rules, 1, accept_poison=30)
    assert fold.apply(poison(150, 0)) == 130
