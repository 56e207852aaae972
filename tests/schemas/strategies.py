"""Arbitrary records: any text, any time, any number that the schemas allow."""

from hypothesis import strategies as st

from schemas.records import (
    Engagement,
    LeadAlert,
    LeadState,
    LeadTransition,
    Quarantined,
    Reason,
    Record,
    Rejected,
    Tick,
)

# Longer than the tables of the encoders reach, in either measure: characters and bytes.
_LONG = st.sampled_from(["x" * 8191, "x" * 8192, "ü" * 4096, "漢" * 70_000, "a" * 63, "a" * 64, "é" * 32, "\x80" * 31])
texts = st.one_of(st.text(max_size=80), st.text(alphabet=st.characters(codec="ascii"), max_size=80), _LONG)
ints = st.integers(-(2**31), 2**31 - 1)
longs = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**42), ints)
text_tuples = st.lists(texts, max_size=3).map(tuple)

engagements = st.builds(
    Engagement,
    event_id=st.binary(min_size=8, max_size=8),
    occurred_at=longs,
    kind=texts,
    asset=texts,
    title=texts,
    verdict=st.one_of(st.sampled_from(["human", "bot", "suspect", "internal", "invalid"]), texts),
    email=st.none() | texts,
    source=texts,
    message_id=texts,
    call=texts,
    event=texts,
    received_at=longs,
    sent_at=st.none() | longs,
    original_at=st.none() | longs,
    flags=text_tuples,
    user_id=st.none() | texts,
    anonymous_id=st.none() | texts,
    phone=st.none() | texts,
    ip=st.none() | texts,
    user_agent=texts,
    verdict_reasons=text_tuples,
    properties=texts,
    context=texts,
)
ticks = st.builds(Tick, at=longs)
lead_states = st.builds(
    LeadState,
    lead_id=texts,
    as_of=longs,
    behaviour_millipoints=ints,
    level=ints,
    hot=st.booleans(),
    hot_since=st.none() | longs,
    stage=texts,
    stage_since=longs,
    first_seen=longs,
    last_seen=longs,
    events=ints,
    visits=ints,
    model=texts,
    source_partition=ints,
    source_offset=longs,
)
lead_transitions = st.builds(
    LeadTransition,
    lead_id=texts,
    aspect=texts,
    before=texts,
    after=texts,
    at=longs,
    cause=texts,
    cause_event=st.none() | texts,
    behaviour_millipoints=ints,
    source_partition=ints,
    source_offset=longs,
)
lead_alerts = st.builds(
    LeadAlert,
    alert_id=texts,
    kind=texts,
    lead_id=texts,
    at=longs,
    behaviour_millipoints=ints,
    level=ints,
    reasons=st.lists(st.builds(Reason, text=texts, rule=texts, millipoints=ints), max_size=3).map(tuple),
    follow_up=texts,
    email=st.none() | texts,
    user_id=st.none() | texts,
    model=texts,
    cause_event=st.none() | texts,
    source_partition=ints,
    source_offset=longs,
)
quarantined = st.builds(
    Quarantined,
    lead_id=texts,
    verdict=texts,
    reasons=text_tuples,
    at=longs,
    event_id=texts,
    record=st.binary(max_size=200),
    source_partition=ints,
    source_offset=longs,
)
rejected = st.builds(
    Rejected,
    source=texts,
    code=texts,
    reason=texts,
    at=longs,
    record=st.binary(max_size=200),
    key=st.none() | st.binary(max_size=40),
    topic=st.none() | texts,
    partition=st.none() | ints,
    offset=st.none() | longs,
)
records: st.SearchStrategy[Record] = st.one_of(
    engagements, ticks, lead_states, lead_transitions, lead_alerts, quarantined, rejected
)
