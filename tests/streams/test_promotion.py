"""Rule sets put in force midway: from their record on everything is judged by them, and nobody is alerted by them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.records import LeadAlert, LeadTransition, Promote, Rejected, RuleFile
from streams.lead_fold import LeadFold
from streams.ruleset import MOST_BYTES, RULES, record_files, version_of
from tests.oracle.naive import DAY_S
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY, PARTITIONS, SMALL, Box, Did, Promoted, Time, compare, key_of, records
from tests.streams.rule_variants import VARIANTS, variant
from tests.streams.strategies import stories
from tests.streams.twin import TwinFold

PUBLIC = ("lead.transitions", "lead.alerts", "engagement.quarantine", "engagement.rejected")
FORM = Did(MONDAY, "form", "a paper", mail=True)
"""30 points."""
LONG = Did(MONDAY + 1, "dwell", "x", properties=(("seconds", 90),))
"""19 points."""
PAGE = Did(MONDAY + 60, "page_view", "/skip/this")
"""None."""


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """Stories in which one to four sets are put in force."""
    story: list[Did | Time | Promoted] = list(draw(stories(small=True, most=30)))
    for _ in range(draw(st.integers(1, 4))):
        promoted = VARIANTS[draw(st.sampled_from(sorted(VARIANTS)))]
        story.insert(draw(st.integers(0, len(story))), promoted)
    return records(story)


def cuts(log: list[Record]) -> st.SearchStrategy[set[int]]:
    """Where batches end."""
    return st.sets(st.integers(0, len(log)), max_size=12)


def heat(box: Box) -> list[tuple[int, str, str | None]]:
    """The changes of heat: (offset of the record, what it became, the event that caused it)."""
    return [(it.source_offset, it.after, it.cause_event) for it in box.said(LeadTransition) if it.aspect == "heat"]


@given(data=st.data())
def test_all_that_is_said_is_what_the_oracle_tells(data: st.DataObject) -> None:
    """Transitions, alerts, expiry and states over promotions are the oracle's, and both folds say the same bytes."""
    log = data.draw(logs())
    compare(Box(SMALL).feed(log, data.draw(cuts(log))), log)


@settings(max_examples=40)
@given(data=st.data())
def test_where_batches_end_makes_no_difference(data: st.DataObject) -> None:
    """A set is in force from its record on: a state is published as it was at its offset, wherever batches end."""
    log = data.draw(logs())
    single, cut = Box(SMALL).feed(log, range(len(log))), Box(SMALL).feed(log, data.draw(cuts(log)))
    assert single.changelog == cut.changelog == single.states
    assert single.bytes_said(*PUBLIC) == cut.bytes_said(*PUBLIC)
    assert single.last_states() == cut.last_states()
    every = {(it.key, it.value) for it in single.bytes_said("lead.state")}
    assert {(it.key, it.value) for it in cut.bytes_said("lead.state")} <= every


@settings(max_examples=40)
@given(data=st.data())
def test_a_restart_makes_no_difference(data: st.DataObject) -> None:
    """Whoever takes over knows the set in force, and whom to look at because of it, by the changelog alone."""
    log = data.draw(logs())
    places = sorted(data.draw(cuts(log)) | {0, len(log)})
    steady, killed = Box(SMALL).feed(log, places), Box(SMALL)
    for start, end in itertools.pairwise(places):
        killed.feed(log[start:end])
        killed.restart()
    assert killed.outputs == steady.outputs
    assert killed.changelog == steady.changelog


def test_nobody_is_alerted_by_a_promotion_alone() -> None:
    """At their next event leads that other rules make hot are published as hot; nobody and no desk is told."""
    box = Box(SMALL).feed(records([FORM, LONG, VARIANTS["hot sooner"], Time(MONDAY + 50)]))
    assert heat(box) == []
    box.feed(records([PAGE], 100))
    assert heat(box) == [(100, "hot", None)]
    [change] = [it for it in box.said(LeadTransition) if it.aspect == "heat"]
    assert change.cause == f"score 49.0 reached 25 by the rules {box.fold.rules.version}"
    assert box.said(LeadAlert) == []
    assert [it for it in box.bytes_said("desk.waiting") if b"hot" in (it.value or b"")] == []


def test_who_gets_hot_by_an_event_is_told_of_after_a_promotion() -> None:
    """What counts is where a lead stands under the new rules without the event; then the event crosses, and alerts."""
    box = Box(SMALL).feed(records([FORM, VARIANTS["hot sooner"], Did(MONDAY + 9, "dwell", mail=True)]))
    assert heat(box) == [(4, "hot", None)]
    box = Box(SMALL).feed(records([LONG, VARIANTS["hot sooner"], FORM]))
    assert heat(box) == [(4, "hot", FORM.id().hex())]
    assert [it.model for it in box.said(LeadAlert)] == [box.fold.rules.version]


def test_hot_leads_cool_by_a_promotion() -> None:
    """The record that puts rules in force looks at all that are hot; whoever's events lie ahead waits for a tick."""
    hot = [FORM, LONG, Did(MONDAY + 2, "download", "PAPERS")]
    box = Box(SMALL).feed(records([*hot, VARIANTS["hot never"]]))
    assert [after for _, after, _ in heat(box)] == ["hot"]
    box.feed(records([Time(MONDAY + 2)], 50)).feed(records([Time(MONDAY + 3)], 60))
    assert heat(box)[1:] == [(60, "cold", None)]
    box = Box(SMALL).feed(records([*hot, Time(MONDAY + 3), VARIANTS["hot never"]]))
    assert heat(box)[1:] == [(8, "cold", None)]


def test_who_has_far_more_points_than_count_cools_by_a_promotion() -> None:
    """A mark above the cap of all points is never reached, whatever the points would be without it."""
    clicks, pages = [[Did(MONDAY + n, kind, f"/{n}") for n in range(3, 6)] for kind in ("click", "page_view")]
    hot = [FORM, LONG, Did(MONDAY + 2, "download", "PAPERS"), *clicks, *pages]
    box = Box(SMALL).feed(records([*hot, VARIANTS["hot never"], Time(MONDAY + 10)]))
    assert [after for _, after, _ in heat(box)] == ["hot", "cold"]


def test_who_comes_before_the_first_tick_cools_at_it() -> None:
    """Before any tick nobody is looked at: whom an event brings under the new rules first is looked at in time, too."""
    hot = [FORM, LONG, Did(MONDAY + 2, "download", "PAPERS")]
    box = Box(SMALL).feed(records([*hot, VARIANTS["hot never"], PAGE, Time(MONDAY + 61)]))
    assert heat(box)[1:] == [(10, "cold", None)]


def test_a_promotion_undone_leaves_no_trace() -> None:
    """What a rule matched that was away for a while counts again when it is back, events in between or not."""
    between = Did(MONDAY + 60, "page_view", "/")
    steady = Box(SMALL).feed(records([FORM, between]))
    box = Box(SMALL).feed(records([FORM, VARIANTS["no papers"], between]))
    assert box.score(MONDAY + 60) == steady.score(MONDAY + 60) - 13_000
    box.feed(records([VARIANTS["as it was"], PAGE, Did(MONDAY + 30, "click")], 100))
    steady.feed(records([PAGE, Did(MONDAY + 30, "click")], 100))
    assert box.score(MONDAY + 60) == steady.score(MONDAY + 60)
    one, other = (sorted(each.explain(MONDAY + 60).rows, key=str) for each in (box, steady))
    assert one == other


def test_words_alone_change_no_lead() -> None:
    """Under other reasons a lead is what it was: it is not derived anew, and only what is said of it changes."""
    box = Box(SMALL).feed(records([FORM]))
    before = box.lead()
    box.feed(records([VARIANTS["other words"], Time(MONDAY + 5)], 10))
    assert box.lead() == before
    assert set(box.changelog) == {key_of("u:ana"), RULES, b"\x00clock"}


def test_idle_leads_are_removed_by_the_rules_in_force() -> None:
    """Who has been away for longer than new rules allow is removed by their record; no rules bring anybody back."""
    box = Box(SMALL).feed(records([Did(MONDAY, lead="a:x"), Time(MONDAY + 2 * DAY_S)]))
    assert key_of("a:x") in box.changelog
    box.feed(records([VARIANTS["sooner forgotten"]], 10))
    assert key_of("a:x") not in box.changelog


def test_who_comes_again_is_idle_by_the_rules_in_force() -> None:
    """A visitor who came again under rules that forget sooner is removed by them, and not when the former would."""
    seen = [Did(MONDAY, lead="a:x"), Time(MONDAY + 1), VARIANTS["sooner forgotten"], Did(MONDAY + 60, lead="a:x")]
    box = Box(SMALL).feed(records([*seen, Time(MONDAY + 59 + DAY_S)]))
    assert key_of("a:x") in box.changelog
    box.feed(records([Time(MONDAY + 60 + DAY_S)], 50))
    assert key_of("a:x") not in box.changelog


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Promote("0" * 12, VARIANTS["dearer"].record().files, MONDAY * 1000, "ana"), "not those that this version"),
        (
            Promote(version_of({"model.toml": ""}), (RuleFile("model.toml", ""),), MONDAY * 1000, "ana"),
            "alerts.toml is missing",
        ),
        (
            Promote(
                version_of({"x": "x" * (MOST_BYTES + 1)}),
                record_files({"x": "x" * (MOST_BYTES + 1)}),
                MONDAY * 1000,
                "ana",
            ),
            f"{MOST_BYTES} are taken",
        ),
    ],
)
def test_what_is_no_whole_set_is_rejected(record: Promote, why: str) -> None:
    """Files of another version, missing or too large: a dead letter says why, and the former rules stay in force."""
    box = Box(SMALL).feed([*records([FORM]), Record(50, MONDAY * 1000, None, encode(record))])
    [letter] = box.said(Rejected)
    assert letter.code == "rules_refused"
    assert why in letter.reason
    assert box.fold.rules == box.rules
    assert RULES not in box.changelog


def test_a_set_of_another_release_stops_the_partition() -> None:
    """The desk's release can read it, and this one cannot: the partition waits for that one, after a restart too."""
    strange = variant(("cap = 80", "cap = 80\nseason = 3"))
    log = [*records([FORM, strange, LONG])]
    fold = LeadFold(0, {}, Box(SMALL).rules, PARTITIONS)
    assert fold.apply(log) == 1
    assert "unknown field `season`" in (fold.ready() or "")
    assert "run the release that they were promoted with" in (fold.ready() or "")
    promote = strange.record()
    restarted = TwinFold(0, {RULES: encode(promote)}, Box(SMALL).rules, PARTITIONS)
    assert restarted.apply(log) == 0
    assert promote.version in (restarted.ready() or "")


def test_what_is_remembered_is_the_record() -> None:
    """Under a key of its own stands the record that put the rules in force, for whoever reads the changelog."""
    box = Box(SMALL).feed(records([FORM, VARIANTS["dearer"]]))
    assert decode(box.changelog[RULES]) == VARIANTS["dearer"].record()
