"""The laws of the desk, over random stories: hands under shared identifiers, hot leads, people who do as they like."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.records import Activity, Assignment, Notice, RaisedHand, Record, Rejected, Tick, Waited, Waiting
from streams.desk import robin
from streams.desk.fold import MOST_DUE
from tests.oracle.replay import Record as LogRecord
from tests.streams.desk.harness import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SMALL,
    Box,
    did,
    hand,
    here,
    lead,
    loaded,
    log_of,
    waited,
)

REPS = ("ana", "ben", "ceyda", "mert")
IDS = ("u:a", "u:b", "e:a", "e:b", "e:c", "a:1", "a:2", "a:3")
KINDS = ("accept", "accept", "decline", "attempted", "contacted", "no_show", "won", "lost", "spam", "release", "reopen")
OPEN = {"assigned", "offered", "queued", "accepted", "attempted", "escalated"}
FINAL = {"contacted", "won", "lost", "spam", "expired"}
STEPS = (0, 0, 1_000, 9_000, MINUTE, 2 * MINUTE, 7 * MINUTE, 7 * MINUTE, HOUR, 9 * HOUR)
SOME = settings(max_examples=50)
"""A story has some five hundred records, most of them ticks."""

Story = list[tuple[int, Record]]


@st.composite
def stories(draw: st.DrawFn, most: int = 60) -> Story:
    """What happens at the desk in some days: (when it was appended, what), ticks included."""
    at, number, offset, story = MONDAY, 0, 0, [(MONDAY, Tick(MONDAY))]
    for _ in range(draw(st.integers(1, most))):
        step = draw(st.sampled_from(STEPS))
        if draw(st.booleans()):  # time passes with a tick every nine seconds, or without any: an outage
            story += [(each, Tick(each)) for each in range(at, at + min(step, 20 * MINUTE), 9_000)]
        at += step
        what = draw(st.sampled_from(("hand", "hand", "activity", "activity", "activity", "waited", "presence", "tick")))
        rep = draw(st.sampled_from(REPS))
        if what == "hand":
            number += 1
            ids = tuple(lead(each) for each in draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=3)))
            hands = hand(
                number, at=at, lead_id=ids[0], identifiers=ids, country=draw(st.sampled_from(("DK", "PT", "US"))),
                verdict=draw(st.sampled_from(("human", "human", "human", "suspect"))),
                topic=draw(st.sampled_from(("sales", "sales", "support"))),
                owner=draw(st.sampled_from((None, "ana", "gone"))),
                call_after=draw(st.sampled_from((None, None, at + HOUR, at + 60 * DAY))),
            )  # fmt: skip
            story.append((at, hands))
        elif what == "activity":
            kind, request = draw(st.sampled_from(KINDS)), draw(st.integers(1, max(number, 1)))
            story.append((at, did(len(story), rep, kind, request, at)))
        elif what == "waited":
            offset += draw(st.integers(0, 2))
            reason = draw(st.sampled_from(("hot", "mql")))
            story.append((at, waited(offset, draw(st.sampled_from(IDS)), reason, at)))
        elif what == "presence":
            until = draw(st.sampled_from((None, at + 9 * HOUR)))
            story.append((at, here(rep, draw(st.sampled_from(("on", "away", "off"))), until, at)))
        else:
            story.append((at, Tick(at)))
    return story


def tell(story: Story) -> Box:
    """The story, folded as one batch."""
    return Box(SMALL).feed(log_of(story))


def last_words(box: Box) -> dict[str, Assignment]:
    """The last word on each request."""
    return {it.request_id: it for it in box.said(Assignment)}


@SOME
@given(stories())
def test_each_request_has_one_owner_or_one_queue_and_ends_or_is_due(story: Story) -> None:
    """All that was asked has a word; each word names one of owner and queue, and a due time unless it is final."""
    box = tell(story)
    for word in box.said(Assignment):
        assert (word.owner is None) != (word.queue is None), word
        assert (word.queue is None) or word.responsible in REPS
        assert word.status in OPEN | FINAL
        assert (word.due_at is None) == (word.status in FINAL), word
        assert (word.status in ("queued", "escalated")) == (word.queue is not None) or word.status in FINAL
        assert word.trace
    asked = {it.request_id for _, it in story if isinstance(it, RaisedHand)}
    assert asked <= last_words(box).keys()
    assert not box.said(Rejected)


@SOME
@given(stories())
def test_open_requests_of_one_person_have_one_owner(story: Story) -> None:
    """At any time, requests of a topic that are open and share an identifier have one owner or one queue."""
    ids: dict[str, set[str]] = {}
    topics: dict[str, str] = {}
    for _, it in story:
        if isinstance(it, RaisedHand):
            ids[it.request_id], topics[it.request_id] = {it.lead_id, *it.identifiers}, it.topic
        elif isinstance(it, Waited):
            request = f"w{it.partition}-{it.offset}"
            read = decode(it.waiting)
            assert isinstance(read, Waiting)
            ids.setdefault(request, {read.lead_id})
            topics[request] = "sales"
    now: dict[str, Assignment] = {}
    words = tell(story).said(Assignment)
    for place, word in enumerate(words):
        now[word.request_id] = word
        if place + 1 < len(words) and words[place + 1].source_offset == word.source_offset:
            continue
        is_open = [it for it in now.values() if it.status in OPEN and it.follow_up_class != "suspect"]
        for one in is_open:
            for other in is_open:
                if topics[one.request_id] == topics[other.request_id] and ids[one.request_id] & ids[other.request_id]:
                    assert (one.owner, one.queue) == (other.owner, other.queue), (one, other)


@SOME
@given(stories(), st.lists(st.integers(1, 999), min_size=1, max_size=8, unique=True), st.integers(0, 255))
def test_batches_and_restarts_change_nothing(story: Story, cuts: list[int], restarts: int) -> None:
    """However records are cut into batches, and wherever a new worker goes on, all is the same to the byte."""
    log = log_of(story)
    whole = Box(SMALL).feed(log)
    parts, done = Box(SMALL), 0
    for n, cut in enumerate(sorted(cuts)):
        end = cut * len(log) // 1_000
        if end > done:
            parts.feed(log[done:end])
            done = end
        if restarts >> n & 1:
            parts.restart()
    parts.feed(log[done:])
    assert parts.outputs == whole.outputs
    assert parts.changelog == whole.changelog


def test_what_was_refused_is_remembered_wherever_a_batch_ends() -> None:
    """Who accepts again is told so once, however often it is sent, and whether or not it all came in one batch."""
    story = [hand(1), did(1, "ana", "accept", 1), did(2, "ana", "accept", 1), did(2, "ana", "accept", 1)]
    whole, parts = Box().get(*story), Box()
    for record in story:
        parts.get(record).restart()
    assert len(whole.notices("refused", "ana")) == 1
    assert (parts.outputs, parts.changelog) == (whole.outputs, whole.changelog)


@SOME
@given(stories(), st.integers(0, 2**40))
def test_repeats_change_nothing(story: Story, repeated: int) -> None:
    """What is appended twice decides nothing that it has not decided at first."""
    twice = [it for n, it in enumerate(story) for _ in range(1 + (repeated >> n % 40 & 1))]
    once, again = (
        [(it.request_id, it.owner, it.queue, it.status, it.due_at, it.attempt, it.trace) for it in box.said(Assignment)]
        for box in (tell(story), tell(twice))
    )
    assert again == once


@SOME
@given(stories())
def test_who_declined_is_not_given_it_again(story: Story) -> None:
    """After a person has declined a request, it is theirs only if they take it themselves, or it is opened again."""
    said: dict[str, Assignment] = {}
    by_offset = {n: it for n, (_, it) in enumerate(story)}
    declined: set[tuple[str, str]] = set()
    for word in tell(story).said(Assignment):
        cause = by_offset[word.source_offset]
        before = said.get(word.request_id)
        if isinstance(cause, Activity) and cause.kind == "reopen":
            declined = {it for it in declined if it[0] != word.request_id}
        elif isinstance(cause, Activity) and cause.kind == "decline" and word.request_id == cause.request_id:
            declined.add((word.request_id, cause.rep))
        mine = (word.request_id, word.owner or "")
        if isinstance(cause, Activity) and cause.rep == word.owner and cause.kind != "decline":
            declined.discard(mine)
        assert mine not in declined, (before, word)
        said[word.request_id] = word


@SOME
@given(stories())
def test_what_is_final_stays_so_until_somebody_says_otherwise(story: Story) -> None:
    """After a final status only people change a request: to won, lost, tried again after a no-show, or open again."""
    records = [it for _, it in story]
    said: dict[str, Assignment] = {}
    for word in tell(story).said(Assignment):
        before = said.get(word.request_id)
        if before and before.status in FINAL:
            cause = records[word.source_offset]
            assert isinstance(cause, Activity | RaisedHand), word
            if isinstance(cause, Activity):
                assert cause.kind in ("reopen", "won", "lost", "no_show")
        said[word.request_id] = word


@SOME
@given(stories())
def test_ids_are_derived_and_never_repeat(story: Story) -> None:
    """Each record that was published has an id of its own, made of the place of its cause."""
    box = tell(story)
    ids = [dict(it.headers)["ce_id"] for it in box.outputs if it.headers]
    assert len(set(ids)) == len(ids)
    assert all(it.startswith(b"desk-0-") for it in ids)
    assert {it.notice_id for it in box.said(Notice)} <= {each.decode() for each in ids}


def test_at_most_500_due_items_a_record_in_order() -> None:
    """A record fires the 500 that have been due longest; the next ones go on from there."""
    night = MONDAY + 12 * HOUR
    box = Box(now=night).get(Tick(night), *(hand(n, at=night) for n in range(1, 1_202)))
    due = box.last(1).due_at
    assert due is not None
    looked_at = []
    for n in range(4):
        assert box.fold.apply(log_of([(due, Tick(due + n))], box.offset + n)) == 1
        looked_at.append([int(key[2:], 16) for key in box.fold.seal().changes if key[:2] == b"r/"])
    assert [len(each) for each in looked_at] == [MOST_DUE, MOST_DUE, 201, 0]
    assert [each for part in looked_at for each in part] == list(range(1, 1_202))


PEOPLE = tuple(loaded(tuple(SMALL.items())).roster.people.values())


@given(st.sets(st.sampled_from(range(len(PEOPLE))), min_size=1), st.integers(0, 50), st.booleans())
def test_the_round_robin_is_fair(places: set[int], picks: int, weighted: bool) -> None:
    """With the same people there, each gets their share of any run of picks, give or take one at its ends."""
    there = [PEOPLE[place] for place in sorted(places)]
    credits: dict[str, int] = {}
    turns = [robin.pick(credits, there, weighted)[0] for _ in range(picks)]
    weights = {person.id: person.weight if weighted else 1 for person in there}
    total = sum(weights.values())
    for start in range(picks):
        for end in range(start, picks + 1):
            got = Counter(person.id for person in turns[start:end])
            for person, weight in weights.items():
                assert abs(got[person] * total - weight * (end - start)) <= 2 * total
    for start in range(picks - total + 1):
        assert Counter(person.id for person in turns[start : start + total]) == weights


@given(
    st.lists(st.sets(st.sampled_from(range(len(PEOPLE))), min_size=1), min_size=1, max_size=60), st.integers(0, 2**60)
)
def test_credits_stay_near_nothing(shifts: list[set[int]], returned: int) -> None:
    """Whoever comes and goes and gets credit back, the sum of credits stays near nothing, so no newcomer is late."""
    credits: dict[str, int] = {}
    for n, places in enumerate(shifts):
        person, paid = robin.pick(credits, [PEOPLE[place] for place in sorted(places)], True)
        if returned >> n & 1:
            before = dict(credits)
            robin.give_back(credits, person.id, paid)
            moved = {each: credits[each] - before[each] for each in credits}
            assert {moved[each] for each in moved if each != person.id} <= {moved[person.id] - paid}
    assert 0 <= sum(credits.values()) < len(credits) or not returned


GOOD = [encode(it) for it in (hand(1), waited(1, "u:a"), did(1, "ben", "accept", 1), here("ben", "on"), Tick(MONDAY))]


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good record with a bit of it cut out, repeated or overwritten."""
    value = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(value)))
        value[start : start + draw(st.integers(0, 12))] = draw(st.binary(max_size=12))
    return bytes(value)


@settings(max_examples=300)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=60), mangled()), min_size=1, max_size=10))
def test_any_bytes_are_folded_or_rejected_with_a_reason(garbage: list[bytes | None]) -> None:
    """No bytes raise anything; what cannot be carried out comes out unchanged, with code, reason and place."""
    box = Box()
    for n, value in enumerate(garbage):
        before = len(box.outputs)
        if box.fold.apply([LogRecord(n, MONDAY, None, value)]) == 0:
            assert "newer release" in (box.fold.ready() or "")
            return
        box.seal()
        for rejected in (
            decode(it.value) for it in box.outputs[before:] if it.topic == "engagement.rejected" and it.value
        ):
            assert isinstance(rejected, Rejected)
            assert (rejected.record, rejected.topic, rejected.offset) == (value or b"", "desk.events", n)
            assert rejected.code
    assert box.restart().get(hand(99)).last(99)
