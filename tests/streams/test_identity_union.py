"""The laws of a merged ledger: the union is worth what all events are worth together, and can be taken apart again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.records import Absorb
from streams.explain import explain
from streams.ledger import MAX_EVENTS
from streams.links import MOST_LINKS, OURS, Link, entries, write
from streams.rules import Rules
from streams.state import Lead
from streams.state import decode as decode_state
from streams.state import encode as encode_state
from streams.union import give_back, lead_of, memory_of, unite
from tests.oracle.naive import DAY_S
from tests.oracle.naive import Lead as NaiveLead
from tests.streams.harness import MONDAY, SHIPPED, SMALL, Box, Did, naive, records
from tests.streams.network import id_of, ids_of
from tests.streams.strategies import dids

END_S = MONDAY + 29 * DAY_S
FILES = {"shipped": SHIPPED, "small": SMALL}
MODELS = pytest.mark.parametrize("model", list(FILES))
KEY, SOURCE = id_of("u:ana").encode(), id_of("a:device").encode()


def folded(files: dict[str, str], story: Sequence[Did]) -> Lead:
    """A lead to whom that happened."""
    return Box(files).feed(records(story)).lead()


def rules_of(files: dict[str, str]) -> Rules:
    """The rules, compiled."""
    return Box(files).rules


def score(lead: Lead, rules: Rules, at_s: int = END_S) -> int:
    """The score as the rows of the explanation add up to it."""
    told = explain(lead, rules, at_s)
    assert sum(row.decayed_millipoints for row in told.rows) == told.score_millipoints
    return told.score_millipoints


def wanted(files: dict[str, str], story: Sequence[Did], at_s: int = END_S) -> int:
    """The naive score of all those events."""
    model, lead = naive(files), NaiveLead("u_x")
    for event in sorted({did.id(): did for did in story if did.verdict == "human"}.values(), key=lambda did: did.at_s):
        lead.accept(model, event.event(), 0)
    return lead.millipoints(model, at_s)


def named(story: Sequence[Did], name: str) -> list[Did]:
    """The same events as another lead's."""
    return [replace(did, name=name + did.name) for did in story]


@MODELS
@settings(max_examples=45)
@given(data=st.data())
def test_a_union_is_worth_all_events_together(model: str, data: st.DataObject) -> None:
    """Events of up to four leads, some known to several, united in any order with others coming between: the same."""
    files = FILES[model]
    stories = st.lists(dids(small=model == "small", days=28, most=25), min_size=2, max_size=4)
    parts = [named(story, str(n)) for n, story in enumerate(data.draw(stories))]
    parts[1] += data.draw(st.lists(st.sampled_from(parts[0]), max_size=4)) if parts[0] else []
    everything = [did for part in parts for did in part]
    humans = [[did for did in part if did.verdict == "human"] for part in parts]
    leads = [folded(files, part) for part in humans if part]
    rules = rules_of(files)
    while len(leads) > 1:
        other = leads.pop(data.draw(st.integers(0, len(leads) - 1)))
        lead = leads.pop(data.draw(st.integers(0, len(leads) - 1)))
        unite(lead, KEY, other, SOURCE, MONDAY, rules)
        after = data.draw(dids(small=model == "small", days=28, most=3, repeats=False))
        after = [did for did in named(after, f"after {len(leads)} ") if did.verdict == "human"]
        everything += after
        box = Box(files, {KEY: encode_state(lead)})
        leads.append(box.feed(records(after, 10_000)).lead() if after else lead)
    if leads:
        ids = ids_of(leads[0])
        assert len(ids) == len(set(ids)) == leads[0].events
        assert set(ids) == {did.id() for did in everything if did.verdict == "human"}
        assert abs(score(leads[0], rules) - wanted(files, everything)) <= 1


@MODELS
@settings(max_examples=50)
@given(data=st.data())
def test_what_is_given_back_leaves_what_was_there(model: str, data: st.DataObject) -> None:
    """United and taken apart again: the survivor keeps its own and what came since, at just their points."""
    files, small = FILES[model], model == "small"
    own, theirs, since = (
        [
            did
            for did in named(data.draw(dids(small=small, days=28, most=20, repeats=False)), name)
            if did.verdict == "human"
        ]
        for name in ("own ", "theirs ", "since ")
    )
    if not own or not theirs:
        return
    rules, lead, other = rules_of(files), folded(files, own), folded(files, theirs)
    memory = memory_of(other)
    unite(lead, KEY, other, SOURCE, MONDAY, rules)
    if since:
        lead = Box(files, {KEY: encode_state(lead)}).feed(records(since, 10_000)).lead()
    give_back(lead, lead_of(memory), SOURCE, rules)
    assert set(ids_of(lead)) == {did.id() for did in own + since}
    assert lead.events == len(own) + len(since)
    assert abs(score(lead, rules) - wanted(files, own + since)) <= 1


@MODELS
@settings(max_examples=50)
@given(data=st.data())
def test_a_memory_is_the_lead(model: str, data: st.DataObject) -> None:
    """What travels in an Absorb, as Avro, makes the same lead again."""
    story = data.draw(dids(small=model == "small", days=60, most=25))
    if not any(did.verdict == "human" for did in story):
        return
    files = FILES[model]
    lead, rules = folded(files, story), rules_of(files)
    sent = decode(encode(Absorb(SOURCE.decode(), KEY.decode(), MONDAY * 1000, "link", memory_of(lead))))
    assert isinstance(sent, Absorb)
    again = lead_of(sent.memory)
    assert memory_of(again) == memory_of(lead)
    empty = folded(files, [Did(END_S, "unknown", name="x")])
    unite(empty, KEY, again, SOURCE, MONDAY, rules)
    if min(did.at_s for did in story) > END_S - 30 * DAY_S:
        assert abs(score(empty, rules) - score(lead, rules)) <= 1


def test_old_points_are_added_up() -> None:
    """Beyond the 35 days what is folded of two leads is one sum: no point of a rule without limits gets lost."""
    mine = [Did(MONDAY + 3 * n * DAY_S, "click", name=f"m{n}") for n in range(40)]
    theirs = [Did(MONDAY + 3 * n * DAY_S + 7_000, "click", name=f"t{n}") for n in range(0, 38, 2)]
    lead, other, rules = folded(SMALL, mine), folded(SMALL, theirs), rules_of(SMALL)
    assert len(lead.ids) < 8 * len(mine)
    at_s = MONDAY + 120 * DAY_S
    unite(lead, KEY, other, SOURCE, MONDAY, rules)
    assert lead.events == len(mine) + len(theirs)
    assert abs(score(lead, rules, at_s) - wanted(SMALL, mine + theirs, at_s)) <= 2


def test_old_points_are_given_back() -> None:
    """What was folded of the other one is taken off the sum; what it was worth to the survivor is left."""
    mine = [Did(MONDAY + 3 * n * DAY_S, "click", name=f"m{n}") for n in range(40)]
    theirs = [Did(MONDAY + 3 * n * DAY_S + 7_000, "click", name=f"t{n}") for n in range(0, 38, 2)]
    lead, other, rules = folded(SMALL, mine), folded(SMALL, theirs), rules_of(SMALL)
    memory, at_s = memory_of(other), MONDAY + 120 * DAY_S
    unite(lead, KEY, other, SOURCE, MONDAY, rules)
    give_back(lead, lead_of(memory), SOURCE, rules)
    assert lead.events == len(mine)
    assert abs(score(lead, rules, at_s) - wanted(SMALL, mine, at_s)) <= 2


def test_once_only_points_that_both_have_are_counted_once() -> None:
    """Both asked for the demo, the one long ago: `ever` leaves room for the earliest alone, as far as it is known."""
    lead, other = (
        folded(SMALL, [Did(MONDAY, "form", "a", name="m")]),
        folded(SMALL, [Did(MONDAY + 60, "form", "b", name="t")]),
    )
    unite(lead, KEY, other, SOURCE, MONDAY, rules_of(SMALL))
    assert score(lead, rules_of(SMALL), MONDAY + 60) == 17_000


def test_the_union_of_full_ledgers_stays_bounded() -> None:
    """Two leads of a thousand events in one week make one state below 64 KiB; every event stays counted."""

    def crowd(name: str) -> Lead:
        kinds = ["page_view", "download", "search", "email_click"]
        return folded(
            SHIPPED,
            [Did(MONDAY + 300 * n, kinds[n % 4], f"/asset/{name}/{n}", name=f"{name}{n}") for n in range(MAX_EVENTS)],
        )

    lead, other = crowd("m"), crowd("t")
    for each in (lead, other):
        for n in range(MOST_LINKS):
            id = id_of(f"a:{n if each is lead else -n}").encode()
            each.links = write(each.links, len(each.links), Link(id, MONDAY, MONDAY, OURS))
    unite(lead, KEY, other, SOURCE, MONDAY, rules_of(SHIPPED))
    assert lead.events == 2 * MAX_EVENTS
    assert len(lead.ids) <= 8 * MAX_EVENTS
    assert len(list(entries(lead.links))) == MOST_LINKS
    assert len(encode_state(lead)) <= 64 * 1024
    assert decode_state(encode_state(lead)) == lead
