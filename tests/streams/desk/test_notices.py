"""Few and right: what people are told at once, and what as a digest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Activity, Assignment, Notice
from streams.desk.lifecycle import REASONS
from tests.streams.desk.harness import DAY, HOUR, MINUTE, MONDAY, Box, did, hand, here, ms, waited


def hot(box: Box, names: range, apart: int = MINUTE) -> Box:
    """These leads get hot, one after the other."""
    for number in names:
        box.wait(apart).get(waited(number, f"u:{number}", at=box.now))
    return box


def test_the_sixth_hot_lead_of_an_hour_comes_as_a_digest() -> None:
    """Five are told at once; the rest of the hour comes as one digest at its end; then it begins anew."""
    box = hot(Box().get(here("ana", "off")), range(8))
    assert [it.owner for it in box.said(Assignment)] == ["ben"] * 8
    assert (len(box.notices("hot_lead", "ben")), box.notices("digest")) == (5, [])
    box.wait(HOUR)
    (digest,) = box.notices("digest", "ben")
    assert digest.at == box.notices("hot_lead", "ben")[0].at + HOUR
    assert digest.text == (
        "3 leads for you: u:5@x.example is hot: “read a paper”; u:6@x.example is hot: “read a paper”; "
        "u:7@x.example is hot: “read a paper”."
    )
    assert len(hot(box, range(8, 10)).notices("hot_lead", "ben")) == 7


def test_a_digest_tells_only_what_is_still_to_be_done() -> None:
    """Who has been contacted meanwhile is not in it; if nobody is left there is none."""
    box = hot(Box().get(here("ana", "off")), range(7))
    said = [Activity(f"a{n}", f"w0-{n}", None, "ben", "contacted", "", "", "", box.now, "ben") for n in (5, 6)]
    assert box.get(said[0]).wait(HOUR).notices("digest")[0].text.startswith("1 lead for you: u:6@x.example")
    box = hot(Box().get(here("ana", "off")), range(7)).get(*said).wait(HOUR)
    assert box.notices("digest") == []


def test_many_are_counted_and_a_few_are_named() -> None:
    """However many wait, a digest stays short, and so does what is remembered of them."""
    box = hot(Box().get(here("ana", "off")), range(35), apart=MINUTE // 2).wait(HOUR)
    (digest,) = box.notices("digest", "ben")
    told = sum(it.owner == "ben" for it in box.said(Assignment)) - 5
    assert f"{told} leads for you: " in digest.text
    assert f"; and {told - 5} more." in digest.text
    assert max(map(len, box.changelog.values())) < 1_000


def test_a_raised_hand_is_always_told_at_once() -> None:
    """No budget holds back a raised hand."""
    box = hot(Box().get(here("ana", "off")), range(7)).get(*(hand(number, at=MONDAY) for number in range(10)))
    assert len(box.notices("raised_hand", "ben")) == 10


def test_qualified_leads_come_the_next_morning() -> None:
    """Leads of a class that is not told at once come at half past eight, on the wall of whoever has them."""
    box = Box().get(waited(1, "u:1", "mql"), waited(2, "u:2", "mql"), waited(3, "u:3", "mql"))
    owners = [it.owner for it in box.said(Assignment)]
    box.wait(DAY, MINUTE)
    morning = {"ben": ms("2026-11-24 07:30"), "ana": ms("2026-11-24 08:30")}
    assert {(it.to, it.at) for it in box.notices("digest")} == {(who, morning[who]) for who in owners if who}


@pytest.mark.parametrize("kind", sorted(REASONS))
def test_what_needs_a_reason_is_refused_without_one(kind: str) -> None:
    """To decline or to lose takes one of the known reasons; else nothing changes, and it is said which there are."""
    wrong = Activity("a1", f"{1:016x}", None, "ben", kind, "because", "", "", MONDAY, "ben")
    box = Box().get(hand(1), wrong)
    assert len(box.said(Assignment)) == 1
    assert box.notices("refused", "ben")[0].text == f"{kind} needs a reason, one of: {', '.join(REASONS[kind])}"
    assert len(box.get(did(2, "ben", kind, 1)).said(Assignment)) == 2


@given(gaps=st.lists(st.integers(0, 20), min_size=1, max_size=25), cut=st.integers(0, 25))
def test_nobody_is_told_of_more_than_five_hot_leads_an_hour(gaps: list[int], cut: int) -> None:
    """In no hour that began with a notice are there more than five; each lead is told at once or counted; restarts
    change nothing."""
    one, other = Box().get(here("ana", "off")), Box().get(here("ana", "off"))
    for number, gap in enumerate(gaps):
        for box in (one, other):
            box.wait(gap * MINUTE, MINUTE).get(waited(number, f"u:{number}"))
        if number == cut:
            other.restart()
    one.wait(2 * HOUR, MINUTE)
    other.wait(2 * HOUR, MINUTE)
    assert one.outputs == other.outputs
    notices = [it for it in one.said(Notice) if it.to == "ben" and it.kind in ("hot_lead", "digest")]
    began, count = -HOUR, 0
    for notice in notices:
        if notice.kind == "digest":
            continue
        if notice.at >= began + HOUR:
            began, count = notice.at, 0
        count += 1
        assert count <= 5
    told = sum(1 if it.kind == "hot_lead" else int(it.text.split()[0]) for it in notices)
    given_once = {it.request_id for it in one.said(Assignment) if it.cause == "hot" and it.owner == "ben"}
    assert told >= len(given_once)
