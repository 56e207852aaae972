"""A ledger as it was at an earlier time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handraise.failure import Failure
from handraise.rewind import rewind
from streams.explain import explain
from streams.lead_fold import CLOCK, LeadFold
from streams.rules import load
from streams.state import Lead, decode
from tests.streams.harness import MONDAY, SMALL, Did, records
from tests.streams.strategies import dids

DAY_S = 86_400
RULES = load(SMALL)


def lead_after(story: list[Did]) -> Lead | None:
    """The lead's state after a story of one lead."""
    states: dict[bytes, bytes] = {}
    fold = LeadFold(0, states, RULES, 1)
    fold.apply(records(story))
    fold.seal()
    values = [decode(value) for key, value in states.items() if key != CLOCK]
    [lead] = values or [None]
    assert lead is None or isinstance(lead, Lead)
    return lead


@given(data=st.data())
def test_a_rewound_ledger_is_that_of_the_events_until_then(data: st.DataObject) -> None:
    """Rewound to a time, a ledger has the score and rows of a lead whose later events never came."""
    story = sorted(data.draw(dids(small=True, repeats=False)), key=lambda did: did.at_s)
    at_s = MONDAY + data.draw(st.integers(0, 35 * DAY_S))
    whole, until = lead_after(story), lead_after([did for did in story if did.at_s <= at_s])
    if whole is None or until is None or at_s < whole.line:
        return
    told, wanted = explain(rewind(whole, RULES, at_s), RULES, at_s), explain(until, RULES, at_s)
    assert told.score_millipoints == wanted.score_millipoints
    assert sum(row.decayed_millipoints for row in told.rows) == told.score_millipoints
    assert [row[:5] for row in told.rows] == [row[:5] for row in wanted.rows]


def test_a_ledger_is_not_rewound_beyond_its_beginning() -> None:
    """What is folded into sums has no rows any more: an earlier time is refused, with the time it goes back to."""
    lead = lead_after([Did(MONDAY), Did(MONDAY + 60 * DAY_S)])
    assert lead is not None
    with pytest.raises(Failure, match="the ledger of this lead begins"):
        rewind(lead, RULES, lead.line - 1)
