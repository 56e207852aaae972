"""What somebody might send on purpose, or a broken program without one: each has a bounded, recorded effect."""

from __future__ import annotations

import pytest

from schemas.codec import decode, encode
from schemas.records import Engagement, Rejected, Tick
from streams.conditions import MOST_DEPTH
from streams.lead_fold import MOST_BYTES, LeadFold
from streams.ledger import MAX_EVENTS
from streams.state import Moved
from streams.state import encode as encode_state
from tests.oracle.naive import DAY_S
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, SHIPPED, Box, Did, Time, key_of, records, value_of


def nested(depth: int) -> str:
    """A JSON object so deep, that says a page was read for two minutes."""
    return '{"visible_seconds": 120, "deep": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def dwelt(properties: str) -> Engagement:
    """A dwell event with these properties."""
    plain = decode(value_of(Did(MONDAY, "dwell", "guide")))
    assert isinstance(plain, Engagement)
    fields = {name: getattr(plain, name) for name in plain.__struct_fields__}
    return Engagement(**{**fields, "properties": properties})


@pytest.mark.parametrize(("depth", "points"), [(2, 3_000), (MOST_DEPTH, 3_000), (MOST_DEPTH + 1, 0), (100_000, 0)])
def test_deep_properties_stop_nobody(depth: int, points: int) -> None:
    """Nested to whatever depth, an event is folded; what is nested too deep matches no condition."""
    did = Did(MONDAY, "dwell", "guide")
    box = Box(SHIPPED).feed([Record(1, MONDAY * 1000, key_of(did.lead), encode(dwelt(nested(depth))))])
    assert box.score(MONDAY) == points


def test_many_shallow_properties_are_looked_into() -> None:
    """Many brackets are not depth, and brackets inside of texts are none at all."""
    many = '{"visible_seconds": 120, "items": [' + ", ".join(["{}"] * 500) + '], "text": "' + "[" * 500 + '"}'
    did = Did(MONDAY, "dwell", "guide")
    box = Box(SHIPPED).feed([Record(1, MONDAY * 1000, key_of(did.lead), encode(dwelt(many)))])
    assert box.score(MONDAY) == 3_000


@pytest.mark.parametrize("value", [b"\xff" * 1_048_480, value_of(Did(MONDAY, "page_view"))[:5] + b"\0" * 1_000_000])
def test_a_record_too_large_to_pass_on_is_rejected_with_its_first_half(value: bytes) -> None:
    """What could not be wrapped into another record is rejected, cut to what fits, and tells where the whole is."""
    box = Box(SHIPPED).feed([Record(1, MONDAY * 1000, b"k" * 5_000, value)])
    (letter,) = box.said(Rejected)
    assert letter.code == "too_large"
    assert str(len(value)) in letter.reason
    assert letter.record == value[:MOST_BYTES]
    assert len(encode(letter)) < 600_000


def test_a_tab_that_reloads_itself_uses_up_its_limits_once() -> None:
    """Thousands of views of the pricing page in a week are worth what the limits allow, however many there are."""
    story = [Did(MONDAY + 20 * n, "page_view", "/pricing", name=f"n{n}") for n in range(3 * MAX_EVENTS)]
    few, many = Box(SHIPPED), Box(SHIPPED)
    few.feed(records(story[:200]))
    many.feed(records(story))
    at_s = MONDAY + 20 * 3 * MAX_EVENTS
    assert many.score(at_s) <= few.score(at_s) + 1
    assert max(map(len, many.states.values())) < 64 * 1024


def test_a_full_ledger_gives_up_its_oldest_weeks_first() -> None:
    """With a thousand events in the weeks before, a new week's events still count."""
    old = [Did(MONDAY + n * 60, "custom:ping", name=f"o{n}") for n in range(MAX_EVENTS)]
    new = Did(MONDAY + 8 * DAY_S, "trial_start", "fleet", name="new")
    assert Box(SHIPPED).feed(records([*old, new])).score(MONDAY + 8 * DAY_S) == 30_000


def test_a_record_that_stays_unread_has_caused_nothing() -> None:
    """Where a flood stops the line, what was due is not published under the offset that will be read again."""
    crowd = [Did(MONDAY, "page_view", lead=f"a:{n}", name=f"v{n}") for n in range(1_200)]
    log = records([*crowd, Time(MONDAY + 90 * DAY_S)])
    box = Box(SHIPPED).feed(log)
    fold = LeadFold(0, dict(box.states), box.rules, 1)
    junk = [Record(log[-1].offset + 1 + n, (MONDAY + 90 * DAY_S) * 1000, b"x", b"junk") for n in range(200)]
    fold.apply([Record(9_999, (MONDAY + 90 * DAY_S) * 1000, None, encode(Tick(at=(MONDAY + 90 * DAY_S) * 1000)))])
    fold.seal()
    consumed = fold.apply(junk)
    assert consumed < len(junk)
    fold.seal()
    assert fold.apply(junk[consumed:]) == 0
    assert fold.seal().outputs == []


def test_an_old_event_sent_again_and_again_makes_nobody_hot() -> None:
    """What is too old for repeats and limits to be known gives no points under rules that count more than once."""
    now = Did(MONDAY, "page_view", "/", name="now")
    old = [Did(MONDAY - 50 * DAY_S, "page_view", "/pricing", name="old") for _ in range(60)]
    assert Box(SHIPPED).feed(records([now, *old])).score(MONDAY) == 1_000
    once = [Did(MONDAY - 50 * DAY_S, "download", "guide", name=f"old{n}") for n in range(60)]
    assert 1_000 < Box(SHIPPED).feed(records([now, *once])).score(MONDAY) < 6_000


def test_an_unsubscribe_is_heard_in_a_flood() -> None:
    """A ledger that is full still clears."""
    clicks = [Did(MONDAY, "email_click", name="click"), Did(MONDAY, "newsletter", name="news")]
    flood = [Did(MONDAY + n, "custom:ping", name=f"p{n}") for n in range(2 * MAX_EVENTS)]
    at_s = MONDAY + 2 * MAX_EVENTS
    assert Box(SHIPPED).feed(records([*clicks, *flood])).score(at_s) > 7_000
    assert Box(SHIPPED).feed(records([*clicks, *flood, Did(at_s, "unsubscribe")])).score(at_s) == 0


def test_a_lead_that_moved_has_its_events_forwarded_unchanged() -> None:
    """Under a forwarding address nothing is folded: the record goes to the new key, in that key's partition."""
    did, to = Did(MONDAY, "download", "guide"), key_of("u:ben")
    fold = LeadFold(0, {key_of(did.lead): encode_state(Moved(to.decode(), MONDAY, MONDAY))}, Box(SHIPPED).rules, 1)
    fold.apply([Record(1, MONDAY * 1000, key_of(did.lead), value_of(did))])
    sealed = fold.seal()
    assert sealed.changes == {}
    assert [(each.topic, each.partition, each.key, each.value) for each in sealed.outputs] == [
        ("lead.events", 0, to, value_of(did))
    ]


def test_a_late_unsubscribe_in_a_flood_spares_what_came_after_it() -> None:
    """In a full ledger too, clearing is by time, not by arrival."""
    flood = [Did(MONDAY + n, "custom:ping", name=f"p{n}") for n in range(MAX_EVENTS - 1)]
    story = [*flood, Did(MONDAY + 9_000, "email_click", name="click"), Did(MONDAY + 8_000, "unsubscribe")]
    assert Box(SHIPPED).feed(records(story)).score(MONDAY + 9_000) == 5_000
