"""Random stories of the topics that the read side is made of: few leads, requests and people, so that they meet."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.records import (
    Activity,
    Assignment,
    Delivery,
    LeadAlert,
    LeadDuplicate,
    LeadState,
    LeadTransition,
    Notice,
    Presence,
    RaisedHand,
    Tick,
    Waited,
)
from streams import state
from tests.oracle.readside import Said

NOW = 4_000_000_000_000
"""In the year 2096: nothing in a story has expired."""
LEADS = ("u_aaaaaaaaaaaaaaaa", "e_bbbbbbbbbbbbbbbb", "a_cccccccccccccccc")
EVIDENCE = "p_dddddddddddddddd"
leads, reps = st.sampled_from(LEADS), st.sampled_from(("ana", "ben"))
requests = st.sampled_from(("00000000000000aa", "00000000000000bb", "w1-7"))
times = st.integers(NOW, NOW + 20)
maybe_times = st.none() | times
statuses = st.sampled_from(
    ("assigned", "offered", "queued", "accepted", "attempted", "contacted", "escalated", "won", "lost", "spam")
)
classes = st.sampled_from(("contact_request", "suspect", "hot_lead", "qualified"))
names = st.sampled_from(("Élif Demir", "Jonas Vik", "jonas.vik@brightwater.example", "", "x"))

states = st.builds(
    LeadState,
    lead_id=st.just(""),
    as_of=times,
    behaviour_millipoints=st.integers(0, 100_000),
    level=st.integers(1, 4),
    hot=st.booleans(),
    hot_since=times,
    stage=st.just("mql"),
    stage_since=times,
    first_seen=times,
    last_seen=times,
    events=st.just(1),
    visits=st.just(1),
    model=st.just("1"),
    source_partition=st.just(0),
    source_offset=st.integers(0, 9),
)
transitions = st.builds(
    LeadTransition,
    lead_id=leads,
    aspect=st.just("heat"),
    before=st.just("cold"),
    after=st.just("hot"),
    at=times,
    cause=st.just("event"),
    cause_event=st.none(),
    behaviour_millipoints=st.just(0),
    source_partition=st.just(0),
    source_offset=st.integers(0, 9),
)
alerts = st.builds(
    LeadAlert,
    alert_id=st.sampled_from("abc"),
    kind=st.just("hot_lead"),
    lead_id=leads,
    at=times,
    behaviour_millipoints=st.just(70_000),
    level=st.just(1),
    reasons=st.just(()),
    follow_up=st.just("after_session"),
    email=st.none(),
    user_id=st.none(),
    model=st.just("1"),
    cause_event=st.none(),
    source_partition=st.just(0),
    source_offset=st.integers(0, 9),
)
assignments = st.builds(
    Assignment,
    request_id=requests,
    lead_id=st.just(LEADS[0]),
    follow_up_class=classes,
    owner=st.none() | reps,
    queue=st.just("check"),
    responsible=st.none(),
    status=statuses,
    due_at=maybe_times,
    next_slot_at=st.none(),
    attempt=st.just(0),
    cause=st.just("raised_hand"),
    trace=st.just(()),
    requested_at=times,
    decided_at=times,
    source_partition=st.just(0),
    source_offset=st.integers(0, 9),
)
hands = st.builds(
    RaisedHand,
    request_id=requests,
    lead_id=leads,
    identifiers=st.lists(st.sampled_from((*LEADS, EVIDENCE)), max_size=3).map(tuple),
    requested_at=times,
    received_at=times,
    topic=st.just("sales"),
    country=st.just("DK"),
    language=st.just("da"),
    email=st.none() | names,
    phone=st.none(),
    name=names,
    company=names,
    message=st.just("call me"),
    verdict=st.just("human"),
    verdict_reasons=st.just(()),
    preferred_channel=st.just(""),
    call_after=st.none(),
    owner=st.none(),
    score_millipoints=st.none(),
    account=st.none(),
    engagement=st.binary(max_size=8),
)
activities = st.builds(
    Activity,
    activity_id=st.sampled_from("abc"),
    request_id=st.none() | requests,
    lead_id=leads,
    rep=reps,
    kind=st.just("accept"),
    reason=st.just(""),
    note=st.just(""),
    channel=st.just(""),
    at=times,
    by=reps,
)
presences = st.builds(Presence, rep=reps, state=st.just("on"), until=st.none(), at=times, by=reps)
notices = st.builds(
    Notice,
    notice_id=st.sampled_from(("desk-0-1-0", "desk-0-2-0")),
    to=st.sampled_from(("ana", "visitor", "check")),
    kind=st.just("raised_hand"),
    request_id=st.none() | requests,
    lead_id=st.none(),
    text=st.just("call"),
    at=times,
    deliver_after=times,
    due_at=st.none(),
    channels=st.just(("console",)),
)
deliveries = st.builds(
    Delivery,
    delivery_id=st.sampled_from("ab"),
    notice_id=st.sampled_from(("desk-0-1-0", "desk-0-2-0")),
    to=st.just("ana"),
    kind=st.just("raised_hand"),
    request_id=st.none() | requests,
    lead_id=st.none(),
    channel=st.just("email"),
    target=st.just("ana"),
    status=st.just("sent"),
    attempt=st.just(1),
    at=times,
    next_at=st.none(),
    late=st.booleans(),
    answer=st.just("250"),
)
duplicates = st.builds(
    LeadDuplicate,
    evidence_id=st.just(EVIDENCE),
    evidence=st.just("phone"),
    lead_id=st.just(LEADS[0]),
    other_id=st.just(LEADS[1]),
    status=st.sampled_from(("suspected", "resolved")),
    at=times,
    cause=st.just("phone"),
    source_partition=st.just(0),
    source_offset=st.integers(0, 9),
)


def lead(address: str, seen: int) -> bytes:
    """What is remembered of a lead with one address."""
    rest = state.Rest(known=[state.Known("e", address, seen)] if address else [])
    return state.encode(state.Lead(1, 0, seen, seen, seen, rest=state.pack(rest)))


memories = st.one_of(
    st.none(),
    st.builds(lead, names, st.integers(1, 9)),
    st.builds(lambda to: state.encode(state.Moved(to, 1, 1)), st.sampled_from((*LEADS, ""))),
    st.just(state.encode(state.Match(EVIDENCE, list(LEADS), 1))),
)
_KEY = f"{EVIDENCE}:{LEADS[0]}:{LEADS[1]}".encode()


def _said(topic: str, records: st.SearchStrategy[msgspec.Struct]) -> st.SearchStrategy[Said]:
    return st.builds(lambda record, at: Said(topic, _key(record), encode(record), at), records, times)  # type: ignore[arg-type]


def _key(record: msgspec.Struct) -> bytes | None:
    lead_id = getattr(record, "lead_id", None)
    return lead_id.encode() if lead_id else None


TOPICS: dict[str, st.SearchStrategy[Said]] = {
    "lead.state": st.builds(
        lambda key, record, at: Said("lead.state", key.encode(), record and encode(record), at),
        leads,
        st.none() | states,
        times,
    ),
    "leads.changelog": st.builds(
        lambda key, value, at: Said("leads.changelog", key.encode(), value, at), leads, memories, times
    ),
    "lead.duplicates": st.builds(
        lambda record, at: Said("lead.duplicates", _KEY, record and encode(record), at), st.none() | duplicates, times
    ),
    "lead.transitions": _said("lead.transitions", transitions),
    "lead.alerts": _said("lead.alerts", alerts),
    "lead.assignments": _said("lead.assignments", assignments),
    "desk.events": _said(
        "desk.events",
        st.one_of(
            hands,
            activities,
            presences,
            st.builds(Waited, partition=st.just(1), offset=st.just(7), waiting=st.binary(max_size=4)),
            st.builds(Tick, at=times),
        ),
    ),
    "desk.notices": _said("desk.notices", notices),
    "alert.deliveries": _said("alert.deliveries", deliveries),
}
stories = st.fixed_dictionaries({topic: st.lists(records, max_size=12) for topic, records in TOPICS.items()})
"""What stands in one partition of each topic."""
