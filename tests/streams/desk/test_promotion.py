"""Rule sets put in force at the desk: from their record on, all or nothing, remembered, and passed on to the leads."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.records import Assignment, Promote, PublishedRules, Rejected
from streams.desk.fold import DeskFold
from streams.ruleset import RULES, record_files, version_of
from tests.oracle.replay import Record as LogRecord
from tests.streams.desk.harness import HOUR, MONDAY, SMALL, Box, hand, here, loaded, log_of
from tests.streams.desk.test_laws import FINAL, OPEN, REPS, Story, last_words, stories
from tests.streams.harness import SMALL as SMALL_MODEL

SOME = settings(max_examples=15)


def variant(*changes: tuple[str, str]) -> Promote:
    """The small rules with these texts replaced."""
    files = {**SMALL, **SMALL_MODEL}
    for old, new in changes:
        assert any(old in text for text in files.values()), old
        files = {name: text.replace(old, new) for name, text in files.items()}
    return Promote(version_of(files), record_files(files), MONDAY, "ana")


def _person(id: str) -> str:
    text = SMALL["roster.toml"]
    start = text.index(f'[[person]]\nid = "{id}"')
    end = text.find("[[person]]", start + 1)
    return text[start : end if end > 0 else None]


LADDER = """ladder = [
  { after_minutes = 2, do = "remind" },
  { after_minutes = 5, do = "offer" },
  { after_minutes = 15, do = "reassign" },
  { after_minutes = 60, do = "escalate" },
]"""
AS_IT_WAS = variant()
WITHOUT_ANA = variant((_person("ana"), ""))
SHORT_LADDER = variant((LADDER, 'ladder = [{ after_minutes = 3, do = "escalate" }]'))
OTHER_POOLS = variant(("[pools.nordics]", "[pools.north]"), ('pool = "nordics"', 'pool = "north"'))
NIGHT_SHIFT = variant(('hours = { mon-sun = ["08:00-18:00"] }', 'hours = { mon-sun = ["00:00-02:00"] }'))
VARIANTS = (AS_IT_WAS, WITHOUT_ANA, SHORT_LADDER, OTHER_POOLS, NIGHT_SHIFT)
BROKEN = variant(('manager = "mert"', 'manager = "nobody"'))
UNSCORABLE = variant(("cap = 80", "cap = 80\nseason = 3"))


@st.composite
def promoted(draw: st.DrawFn) -> Story:
    """Stories in which rule sets are put in force."""
    story = draw(stories(most=40))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(story) - 1))
        story.insert(place, (story[place][0], draw(st.sampled_from(VARIANTS))))
    return story


@SOME
@given(promoted())
def test_each_request_keeps_one_owner_or_one_queue_over_promotions(story: Story) -> None:
    """People, pools and ladders come and go: whatever was asked has an owner or a queue, and is due or final."""
    box = Box(SMALL).feed(log_of(story))
    for word in box.said(Assignment):
        assert (word.owner is None) != (word.queue is None), word
        assert word.owner is None or word.owner in REPS
        assert word.status in OPEN | FINAL
        assert (word.due_at is None) == (word.status in FINAL), word
    asked = {it.request_id for _, it in story if type(it).__name__ == "RaisedHand"}
    assert asked <= last_words(box).keys()


@SOME
@given(promoted(), st.lists(st.integers(1, 999), min_size=1, max_size=8, unique=True), st.integers(0, 255))
def test_batches_and_restarts_change_nothing_over_promotions(story: Story, cuts: list[int], restarts: int) -> None:
    """Wherever batches end, and wherever a new desk goes on, all is the same to the byte."""
    log = log_of(story)
    whole, broken = Box(SMALL).feed(log), Box(SMALL)
    places = [0, *sorted({cut % len(log) for cut in cuts}), len(log)]
    for number, (start, end) in enumerate(itertools.pairwise(places)):
        broken.feed(log[start:end])
        if restarts >> number & 1:
            broken.restart()
    assert broken.outputs == whole.outputs
    assert broken.changelog == whole.changelog


def test_a_promotion_goes_to_every_partition_and_to_the_public() -> None:
    """One record in, as mail to each partition of the leads unchanged; under `promoted` the set and the one before."""
    box = Box(SMALL).get(AS_IT_WAS)
    mail = [it for it in box.outputs if it.topic == "lead.events"]
    assert [(it.partition, it.key, decode(it.value or b"")) for it in mail] == [
        (number, None, AS_IT_WAS) for number in range(4)
    ]
    box.get(WITHOUT_ANA)
    said = [it for it in box.outputs if it.topic == "rules.published"]
    assert [(it.partition, it.key) for it in said] == [(0, b"promoted")] * 2
    assert [(it.version, it.former, it.by) for it in box.said(PublishedRules)] == [
        (AS_IT_WAS.version, None, "ana"),
        (WITHOUT_ANA.version, AS_IT_WAS.version, "ana"),
    ]
    assert decode(box.changelog[RULES]) == box.said(PublishedRules)[-1]


def test_what_is_in_force_is_not_promoted_again() -> None:
    """Said twice, in one batch or after a restart, it is one promotion."""
    box = Box(SMALL).get(AS_IT_WAS, AS_IT_WAS).restart().get(AS_IT_WAS)
    assert len(box.said(PublishedRules)) == 1
    assert len([it for it in box.outputs if it.topic == "lead.events"]) == 4
    assert not box.said(Rejected)


def test_the_next_hand_is_routed_by_the_new_rules() -> None:
    """From its record on the roster is another one; before it, and what was decided by it, stays."""
    box = Box(SMALL).get(here("ben", "off"), here("ceyda", "off"), hand(1))
    assert box.last(1).owner == "ana"
    box.get(WITHOUT_ANA, hand(2))
    assert box.last(1).owner == "ana"
    assert box.last(2).owner != "ana"
    box.get(AS_IT_WAS, hand(3))
    assert box.last(3).owner == "ana"


def test_a_ladder_that_got_shorter_ends_in_the_managers_queue() -> None:
    """An open request whose step there is no more goes on from its end: nobody is forgotten."""
    box = Box(SMALL).get(hand(1)).wait(6 * 60_000)
    box.get(SHORT_LADDER).wait(HOUR)
    assert (box.last(1).status, box.last(1).queue) == ("escalated", "manager")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (BROKEN, "roster.toml, line"),
        (UNSCORABLE, "model.toml, line"),
        (Promote("0" * 12, AS_IT_WAS.files, MONDAY, "ana"), "not those that this version stands for"),
    ],
)
def test_a_set_that_cannot_be_read_is_refused_whole(wish: Promote, why: str) -> None:
    """Neither the desk nor any lead hears of it; the dead letter says why; the former rules stay in force."""
    box = Box(SMALL).get(AS_IT_WAS, wish)
    [letter] = box.said(Rejected)
    assert letter.code == "rules_refused"
    assert why in letter.reason
    assert [it.version for it in box.said(PublishedRules)] == [AS_IT_WAS.version]
    assert len([it for it in box.outputs if it.topic == "lead.events"]) == 4
    assert not box.get(hand(1)).last(1).queue


def test_a_promotion_of_tomorrow_is_rejected() -> None:
    """What no lead would take because its clock is wrong, the desk does not take either."""
    box = Box(SMALL).get(msgspec.structs.replace(AS_IT_WAS, at=MONDAY + 25 * HOUR))
    assert [it.code for it in box.said(Rejected)] == ["from_the_future"]
    assert not box.said(PublishedRules)


def test_a_desk_that_cannot_read_what_it_was_promoted_to_stands_still() -> None:
    """An older release that takes the desk over waits for the right one: nothing is decided by other rules."""
    strange = PublishedRules(BROKEN.version, BROKEN.files, MONDAY, "ana")
    desk = DeskFold(0, {RULES: encode(strange)}, loaded(tuple(SMALL.items())), 4)
    assert desk.apply([LogRecord(0, MONDAY, None, encode(hand(1)))]) == 0
    assert "run the release that they were promoted with" in (desk.ready() or "")
