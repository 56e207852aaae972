"""The laws of the score, against the oracle, for any story within 35 days."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.naive import DAY_S, Lead
from tests.streams.harness import MONDAY, SHIPPED, SMALL, Box, Did, naive, records
from tests.streams.strategies import dids

MODELS = pytest.mark.parametrize("model", ["shipped", "small"])
FILES = {"shipped": SHIPPED, "small": SMALL}
END = MONDAY + 35 * DAY_S


def naive_lead(files: dict[str, str], story: list[Did]) -> Lead:
    """The oracle's lead after a story of one lead."""
    model, lead = naive(files), Lead("u_x")
    for did in story:
        if did.verdict == "human" and not lead.has(did.id()):
            lead.accept(model, did.event(), 0)
    return lead


def naive_score(files: dict[str, str], story: list[Did], at_s: int) -> int:
    """What the oracle counts for a story of one lead."""
    return naive_lead(files, story).millipoints(naive(files), at_s)


@MODELS
@given(data=st.data())
def test_any_order_of_arrival_gives_the_same_score(model: str, data: st.DataObject) -> None:
    """In whatever order the events of 35 days arrive, every score is the same, and the oracle's to a milli-point."""
    story = data.draw(dids(small=model == "small"))
    shuffled = data.draw(st.permutations(story))
    later_s = END + data.draw(st.sampled_from([0, 1, 3 * DAY_S, 100 * DAY_S]))
    if all(did.verdict == "bot" for did in story):
        return
    one, other = (Box(FILES[model]).feed(records(it)) for it in (story, shuffled))
    for at_s in (END, later_s):
        assert one.score(at_s) == other.score(at_s)
        assert abs(one.score(at_s) - naive_score(FILES[model], story, at_s)) <= 1


@MODELS
@given(data=st.data())
def test_a_repeat_changes_nothing(model: str, data: st.DataObject) -> None:
    """Repeats, wherever they stand, change no state and say nothing but their quarantine."""
    story = data.draw(dids(small=model == "small", repeats=False))
    log = records(story)
    again = list(log)
    for record in data.draw(st.lists(st.sampled_from(log), max_size=10)):
        first = again.index(record)
        again.insert(data.draw(st.integers(first + 1, len(again))), record)
    one, other = Box(FILES[model]).feed(log), Box(FILES[model]).feed(again)
    assert one.changelog == other.changelog
    public = ("lead.state", "lead.transitions", "lead.alerts")
    assert one.bytes_said(*public) == other.bytes_said(*public)
    assert len(other.bytes_said("engagement.quarantine")) - len(one.bytes_said("engagement.quarantine")) == len(
        again
    ) - len(log)


@MODELS
@given(data=st.data())
def test_the_rows_of_an_explanation_add_up(model: str, data: st.DataObject) -> None:
    """At any later time the decayed points of all rows are exactly the score."""
    story = data.draw(dids(small=model == "small"))
    box = Box(FILES[model]).feed(records(story))
    if not box.changelog or all(did.verdict == "bot" for did in story):
        return
    state = box.last_states()
    as_of_s = max(it.as_of for it in state.values() if it) // 1000
    for at_s in (as_of_s, as_of_s + data.draw(st.integers(0, 90 * DAY_S))):
        told = box.explain(at_s)
        assert sum(row.decayed_millipoints for row in told.rows) == told.score_millipoints
        assert told.as_of_s == at_s
    published = {it.behaviour_millipoints for it in state.values() if it}
    assert published == {box.score(as_of_s)}


@MODELS
@given(data=st.data())
def test_every_match_has_a_row(model: str, data: st.DataObject) -> None:
    """The explanation has a row for each match the oracle finds, cut and cleared ones included, with its points."""
    story = data.draw(dids(small=model == "small", days=28))
    lead = naive_lead(FILES[model], story)
    if not lead.events:
        return
    told = Box(FILES[model]).feed(records(story)).explain(END)
    said = sorted(
        (row.at_s, row.rule, row.raw_millipoints, row.limited_millipoints) for row in told.rows if row.event_id
    )
    wanted = sorted(
        (row.event.at_s, row.rule["id"], row.rule.get("points", 0) * 1000, int(row.limited * 1000))
        for row in lead.ledger(naive(FILES[model]))
    )
    assert said == wanted


def test_long_stories_in_order_equal_the_oracle() -> None:
    """A year of a busy lead, with gaps of weeks and events up to five weeks late, scores as the oracle says."""
    chance = random.Random(5)
    kinds = ["page_view"] * 6 + ["download", "email_click", "search", "webinar_attend", "email_bounce", "demo_request"]
    at_s, story = MONDAY, []
    for n in range(500):
        at_s += chance.choice([1, 60, 1_700, 1_800, 7_200, DAY_S, 3 * DAY_S] + [30 * DAY_S] * (n % 40 == 0))
        late_s = chance.randrange(28 * DAY_S) if chance.random() < 0.1 else 0
        kind = chance.choice(kinds)
        asset = (
            chance.choice(["/pricing", "/", "/docs", "/careers"]) if kind == "page_view" else str(chance.randrange(20))
        )
        story.append(Did(max(MONDAY, at_s - late_s), kind, asset, name=str(n), properties=(("bounce_type", "hard"),)))
    box, model, lead = Box(), naive(SHIPPED), Lead("u_x")
    for n, record in enumerate(records(story, appended_s=at_s)):
        box.feed([record])
        lead.accept(model, story[n].event(), 0)
        assert not lead.late
        assert abs(box.score(lead.as_of_s) - lead.millipoints(model, lead.as_of_s)) <= 1, n


@pytest.mark.parametrize("seed", range(20))
def test_beyond_the_line_late_events_count_as_the_oracle_says(seed: int) -> None:
    """Over a hundred days, with events up to months late: limits `ever` and `asset` hold, others do not, no visits."""
    chance = random.Random(f"late {seed}")
    kinds = ["page_view"] * 4 + [
        "download",
        "newsletter",
        "search",
        "webinar_attend",
        "demo_request",
        "referral",
        "cart",
    ]
    story = []
    for n in range(chance.randint(5, 50)):
        kind, at_s = chance.choice(kinds), chance.randrange(chance.choice([10, 60, 100])) * DAY_S
        asset = chance.choice(["/pricing", "/", "/docs"]) if kind == "page_view" else str(chance.randrange(4))
        story.append(Did(MONDAY + at_s + chance.choice([0, 60, 1800]), kind, asset, name=str(n)))
    story.sort(key=lambda did: did.at_s + chance.choice([0, 0, 0, 80 * DAY_S]))
    box, lead = Box().feed(records(story)), naive_lead(SHIPPED, story)
    assert abs(box.score(lead.as_of_s) - lead.millipoints(naive(SHIPPED), lead.as_of_s)) <= 1
    (state,) = (it for it in box.last_states().values() if it)
    assert state.events == len(story)
