"""Arbitrary records: any text, any time, any number that the schemas allow."""

from hypothesis import strategies as st

from schemas.records import (
    Absorb,
    Cleared,
    DeploymentFact,
    DeviceLost,
    Engagement,
    KnownIdentifier,
    LeadAlert,
    LeadDuplicate,
    LeadMemory,
    LeadState,
    LeadTransition,
    Link,
    Mail,
    Merge,
    NotTheSame,
    Quarantined,
    Reason,
    Record,
    Rejected,
    Release,
    Sighted,
    Sum,
    Tick,
    Title,
    Unmerge,
    VisitCount,
)

# Longer than the tables of the encoders reach, in either measure: characters and bytes.
_LONG = st.sampled_from(["x" * 8191, "x" * 8192, "ü" * 4096, "漢" * 70_000, "a" * 63, "a" * 64, "é" * 32, "\x80" * 31])
texts = st.one_of(st.text(max_size=80), st.text(alphabet=st.characters(codec="ascii"), max_size=80), _LONG)
ints = st.integers(-(2**31), 2**31 - 1)
longs = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**42), ints)
text_tuples = st.lists(texts, max_size=3).map(tuple)
blobs = st.binary(max_size=200)
# One to three are what events have, and what the head decoder reads at once.
identifiers = st.one_of(st.integers(0, 4), st.integers(0, 16)).flatmap(
    lambda count: st.lists(
        st.text(alphabet=st.characters(codec="ascii"), min_size=18, max_size=18), min_size=count, max_size=count
    ).map(tuple)
)

engagements = st.builds(
    Engagement,
    event_id=st.binary(min_size=8, max_size=8),
    occurred_at=longs,
    kind=texts,
    asset=texts,
    title=texts,
    verdict=st.one_of(st.sampled_from(["human", "bot", "suspect", "internal", "invalid"]), texts),
    email=st.none() | texts,
    identifiers=identifiers,
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
    aliases=text_tuples,
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
    other=st.none() | texts,
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
memories = st.builds(
    LeadMemory,
    line=longs,
    first_seen=longs,
    last_seen=longs,
    as_of=longs,
    events=longs,
    times=blobs,
    ids=blobs,
    marks=texts,
    onces=blobs,
    origins=blobs,
    links=blobs,
    base=st.lists(st.builds(Sum, channel=ints, total=longs), max_size=3).map(tuple),
    visits_before=st.builds(VisitCount, count=longs, last=longs, pages=longs),
    cleared=st.lists(st.builds(Cleared, group=ints, at=longs), max_size=3).map(tuple),
    stage=texts,
    stage_since=longs,
    hot_since=longs,
    alerted_at=longs,
    email=st.none() | texts,
    known=st.lists(st.builds(KnownIdentifier, kind=texts, value=texts, since=longs, verified=longs), max_size=3).map(
        tuple
    ),
    titles=st.lists(st.builds(Title, rule=ints, title=texts), max_size=3).map(tuple),
    late=longs,
    old_onces=blobs,
)
mail: st.SearchStrategy[Mail] = st.one_of(
    st.builds(Link, owner=texts, at=longs, via=st.none() | texts),
    st.builds(Sighted, lead=texts, at=longs, evidence=texts, via=st.none() | texts),
    st.builds(Absorb, source=texts, owner=texts, at=longs, cause=texts, memory=memories),
    st.builds(DeviceLost, identifier=texts, at=longs, reason=texts, owner=texts),
    st.builds(Merge, other=texts, at=longs, by=texts),
    st.builds(Unmerge, at=longs, by=texts),
    st.builds(Release, source=texts, at=longs, by=texts, memory=memories),
    st.builds(NotTheSame, evidence=texts, lead=texts, other=texts, at=longs, by=texts),
)
lead_duplicates = st.builds(
    LeadDuplicate,
    evidence_id=texts,
    evidence=texts,
    lead_id=texts,
    other_id=texts,
    status=texts,
    at=longs,
    cause=texts,
    source_partition=ints,
    source_offset=longs,
)
deployment_facts = st.builds(DeploymentFact, name=texts, value=texts, at=longs)
records: st.SearchStrategy[Record] = st.one_of(
    engagements,
    ticks,
    lead_states,
    lead_transitions,
    lead_alerts,
    quarantined,
    rejected,
    mail,
    lead_duplicates,
    deployment_facts,
)
