"""Whether what was published is what the oracle tells: scores to a milli-point, everything else exactly."""

from __future__ import annotations

from schemas.records import LeadAlert, LeadState
from tests.oracle.naive import Lead, Model, visits
from tests.oracle.replay import Alarm


def compare_alert(said: LeadAlert, wanted: Alarm, model: Model) -> None:
    """Assert that score and reasons are right to a milli-point; what lies closer may stand in either order."""
    assert said.kind == "hot_lead"
    assert abs(said.behaviour_millipoints - wanted.millipoints) <= 1, (said, wanted)
    assert said.level == model.level(said.behaviour_millipoints)
    worth = dict(wanted.ranked)
    assert len(said.reasons) == min(3, len(worth))
    for n, reason in enumerate(said.reasons):
        assert abs(reason.millipoints - worth[reason.rule] * 1000) <= 1, (said, wanted)
        rest = [value for rule, value in wanted.ranked if rule not in {it.rule for it in said.reasons[: n + 1]}]
        assert all(worth[reason.rule] >= value - 0.001 for value in rest), (said, wanted)


def compare_state(state: LeadState, lead: Lead, model: Model) -> None:
    """Assert that a published state is the oracle's."""
    points = lead.millipoints(model, lead.as_of_s)
    assert abs(state.behaviour_millipoints - points) <= 1, (state, points)
    assert state.level == model.level(state.behaviour_millipoints)
    every = lead.events + lead.late
    if not every:  # whatever it had is another one's again
        assert (state.events, state.hot) == (0, False)
        return
    times = [event.at_s for event in every]
    assert (state.as_of, state.first_seen, state.last_seen) == (
        lead.as_of_s * 1000,
        min(times) * 1000,
        max(times) * 1000,
    )
    since = None if lead.hot_since_s is None else lead.hot_since_s * 1000
    assert (state.hot, state.hot_since, state.stage) == (lead.hot, since, lead.stage)
    assert state.events == len(every)
    if not lead.late:
        assert state.visits == len(visits(model, lead.events))
