"""The oracle of linked leads against folds that write to each other: both tell the same of every partition."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.records import Engagement, LeadAlert, LeadDuplicate, LeadState, LeadTransition, Quarantined, Rejected
from streams.contact import reachable
from tests.oracle.compare import compare_alert, compare_state
from tests.oracle.linked import Linked, suspects
from tests.oracle.replay import event_of, words
from tests.streams.harness import SMALL, naive
from tests.streams.network import Network
from tests.streams.people import family, story

SEEDS = st.integers(0, 10**9)


def linked(network: Network) -> list[Linked]:
    """Each partition of a network as the oracle tells it."""
    model = naive(SMALL)
    bodies = [decode(record.value or b"") for log in network.logs for record in log]
    events = {body.event_id: event_of(body) for body in bodies if isinstance(body, Engagement)}
    told = [Linked(model, words(said(network, n)), lambda id, _: events[id]) for n in range(network.partitions)]
    for partition, log in zip(told, network.logs, strict=True):
        partition.tell(log)
    return told


def said(network: Network, partition: int) -> list[object]:
    """All that a partition published."""
    return [decode(output.value) for output in network.outputs[partition] if output.value is not None]


@pytest.mark.parametrize("merges", [False, True])
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, schedule=SEEDS)
def test_both_tell_the_same(merges: bool, seed: int, schedule: int) -> None:
    """Transitions, alerts, what was filtered, final states and mail, in random stories of people who share devices.

    With merges and without; some are undone.
    """
    network = Network(schedule, SMALL).run(story(seed, 200, contests=False, merges=merges, undo=merges))
    told = linked(network)
    model, leads = naive(SMALL), network.leads()
    for partition, oracle in enumerate(told):
        published = said(network, partition)
        changes = Counter(
            (it.source_offset, it.lead_id, it.aspect, it.before, it.after, it.at // 1000, it.cause_event)
            for it in published
            if isinstance(it, LeadTransition)
        )
        assert changes == Counter(
            (it.offset, it.lead_id, it.aspect, it.before, it.after, it.at_s, it.cause) for it in oracle.told.changes
        )
        alerts = {it.source_offset: it for it in published if isinstance(it, LeadAlert)}
        assert alerts.keys() == {it.offset for it in oracle.told.alarms}
        for alarm in oracle.told.alarms:
            compare_alert(alerts[alarm.offset], alarm, model)
        filtered = Counter(
            (it.source_offset, it.lead_id, it.verdict) for it in published if isinstance(it, Quarantined)
        )
        assert filtered == Counter(oracle.told.quarantined)
        refused = Counter((it.offset, it.code) for it in published if isinstance(it, Rejected))
        assert refused == Counter(oracle.refused)
        last = {output.key: output.value for output in network.outputs[partition] if output.topic == "lead.state"}
        assert {key.decode() for key, value in last.items() if key and value is not None} == set(oracle.told.leads)
        for lead in oracle.told.leads.values():
            state = decode(last[lead.lead_id.encode()] or b"")
            assert isinstance(state, LeadState)
            compare_state(state, lead, model)
            assert reachable(leads[lead.lead_id]) == (lead.mailed or lead.phoned)
    sent = Counter(letter for oracle in told for _, letter in oracle.sent)
    assert sent == sum((oracle.received for oracle in told), Counter())


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, schedule=SEEDS)
def test_both_suspect_the_same(seed: int, schedule: int) -> None:
    """Whoever gave an address that is another's is suspected to be its owner, as the leads that both are in the end."""
    network = Network(schedule, SMALL).run(family(seed))
    told, last = linked(network), dict[tuple[str, ...], str]()
    for it in network.said(LeadDuplicate):
        last[it.evidence_id, it.lead_id, it.other_id] = it.status
    homes = {key: address.to for oracle in told for key, address in oracle.addresses.items()}
    claims = {address: each for oracle in told for address, each in oracle.claims.items()}
    assert {each for each, status in last.items() if status == "suspected"} == suspects(homes, claims)
