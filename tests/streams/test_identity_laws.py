"""The laws of identity, over random stories in a simulated network: one person, one lead, every event once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.records import Absorb, LeadAlert, LeadDuplicate, Link
from streams.explain import explain
from streams.links import entries
from tests.oracle.identity import Inboxes, Told, strength, tell
from tests.oracle.naive import DAY_S
from tests.oracle.naive import Lead as NaiveLead
from tests.streams.harness import MONDAY, naive
from tests.streams.harness import SMALL as HASTY
from tests.streams.network import INBOX, Act, Network, Story, Wish, ids_of
from tests.streams.people import story
from tests.streams.twin import TwinFold

END_S = MONDAY + 29 * DAY_S
MOST = 400
SMALL = {**HASTY, "model.toml": HASTY["model.toml"].replace("anonymous_idle_days = 5", "anonymous_idle_days = 60")}
"""Nobody is forgotten within a story."""
PUBLIC = ("lead.transitions", "lead.alerts", "engagement.quarantine", "engagement.rejected", "lead.duplicates", INBOX)
SEEDS = st.integers(0, 10**9)
KINDS = {
    "plain": {"contests": False, "merges": False},
    "contests": {"contests": True, "merges": False},
    "merges": {"contests": True, "merges": True},
    "undone": {"contests": True, "merges": True, "undo": True},
}
STORIES = pytest.mark.parametrize("kind", list(KINDS))


def play(kind: str, seed: int, schedule: int, most: int = MOST) -> tuple[Story, Network]:
    """A story, and the network after it."""
    happened = story(seed, most, **KINDS[kind])
    return happened, Network(schedule, SMALL).run(happened)


def check(happened: Story, network: Network) -> Told:
    """Assert all laws about where a story has to end."""
    told = tell(network.logs, network.outside)
    every_event_is_in_one_lead_once(network, told)
    what_moved_leads_to_a_live_lead_in_one_step(network, told)
    a_device_belongs_to_whom_it_saw_last(happened, network, told)
    owner_and_identifier_agree(network)
    scores_are_those_of_the_naive_union(network, told)
    no_alert_is_said_twice(network)
    nothing_waits(network)
    who_is_suspected_lives(network)
    if not any(isinstance(step, Wish) and not step.other for step in happened):
        all_that_share_evidence_are_suspected(network, told)
    assert network.mails <= most_mails(happened), (network.mails, most_mails(happened))
    return told


def every_event_is_in_one_lead_once(network: Network, told: Told) -> None:
    """Each lead holds just the events that are its own, each once, and there are no others."""
    leads = network.leads()
    for key, lead in leads.items():
        ids = ids_of(lead)
        assert len(ids) == len(set(ids)) == lead.events
        assert set(ids) == set(told.events.get(key, {})), key
    assert {key for key, events in told.events.items() if events} <= set(leads)


def what_moved_leads_to_a_live_lead_in_one_step(network: Network, told: Told) -> None:
    """A forwarding address names a stronger lead that has not moved: there is one lead for a person, and no circle."""
    moved = network.moved()
    for key, address in moved.items():
        assert address.to not in moved, (key, address.to)
        assert strength(address.to) < strength(key)
    assert {key: address.to for key, address in moved.items()} == told.homes


def a_device_belongs_to_whom_it_saw_last(happened: Story, network: Network, told: Told) -> None:
    """A device that somebody signed in on leads to the last who did; at the same second to the stronger."""
    moved = network.moved()
    merged = any(isinstance(step, Wish) or step.alias for step in happened if isinstance(step, Act | Wish))
    for device, claims in told.claims.items():
        last = max(claim.at_s for claim in claims)
        owners = sorted({claim.lead for claim in claims if claim.at_s == last}, key=strength)
        assert moved[device].to in (owners if merged else owners[:1]), device


def owner_and_identifier_agree(network: Network) -> None:
    """An identifier is one lead's own, that to which it leads; all others know that it is not theirs."""
    moved = network.moved()
    for key, lead in network.leads().items():
        for link in entries(lead.links):
            if link.id[:1] in b"uea" and link.id.decode() in moved:
                ours = moved[link.id.decode()].to == key
                assert link.held == ours, (key, link, moved[link.id.decode()])


def scores_are_those_of_the_naive_union(network: Network, told: Told) -> None:
    """A lead is worth what all of its events are worth, with limits and caps applied once."""
    model = naive(SMALL)
    for key, lead in network.leads().items():
        person = NaiveLead(key)
        for event in told.events[key].values():
            person.accept(model, event, 0)
        assert not person.late
        assert abs(network.score(lead, END_S) - person.millipoints(model, END_S)) <= 1, key


def nothing_waits(network: Network) -> None:
    """Each merge has arrived, and each that was undone is undone."""
    undos = [address.undo for address in network.moved().values() if address.undo is not None]
    assert all(undo.into and not undo.parting and not undo.waiting for undo in undos)


def who_is_suspected_lives(network: Network) -> None:
    """No suspicion stays against a lead that has become a part of another one."""
    last = {(it.evidence_id, it.lead_id, it.other_id): it.status for it in network.said(LeadDuplicate)}
    suspected = {id for (_, *pair), status in last.items() if status == "suspected" for id in pair}
    assert suspected <= set(network.leads())


def no_alert_is_said_twice(network: Network) -> None:
    """Within the cooldown nobody is told again of a lead, or of one that has become a part of it."""
    alerts, inboxes = network.said(LeadAlert), Inboxes(network.logs)
    cooldown_ms = naive(SMALL).hot["cooldown_days"] * DAY_S * 1000
    for key in {alert.lead_id for alert in alerts}:
        own = [alert for alert in alerts if alert.lead_id == key]
        assert all(later.at - earlier.at >= cooldown_ms for earlier, later in pairwise(own))
        for entry in inboxes.of[key]:
            if isinstance(entry.body, Absorb) and inboxes.away(key, entry.place) is None:
                told_ms = entry.body.memory.alerted_at * 1000
                since = [alert.at - told_ms for alert in own if alert.source_offset >= entry.place]
                assert not told_ms or all(each >= cooldown_ms for each in since)


def most_mails(happened: Story) -> int:
    """The published bound: two for each identifier named, and for each lead absorbed one for each of its own.

    A lead is absorbed once for each identifier, and again for each wish to merge; three more pass its memory on.
    """
    acts = [step for step in happened if isinstance(step, Act)]
    named = sum(len(act.ids()) + 2 * bool(act.alias) for act in acts)
    identifiers = len({id for act in acts for id in act.ids()})
    merges = sum(isinstance(step, Wish) or bool(step.alias) for step in happened if isinstance(step, Act | Wish))
    return 2 * named + (identifiers + 2 * merges) * (identifiers + 3)


def all_that_share_evidence_are_suspected(network: Network, told: Told) -> None:
    """Two leads that share a phone or a name are suspected at the end; two that are one by now are not."""
    said = network.said(LeadDuplicate)
    last = {(it.evidence_id, it.lead_id, it.other_id): it.status for it in said}
    crowded = {it.evidence_id for it in said if it.status == "quarantined"}
    leads_of: dict[str, set[str]] = defaultdict(set)
    for lead, evidence in told.evidence:
        leads_of[evidence].add(lead)
    for evidence, leads in leads_of.items():
        if evidence not in crowded and not evidence.startswith("m_"):
            wanted = {(evidence, *sorted(pair, key=strength)) for pair in combinations(leads, 2)}
            assert {pair for pair, status in last.items() if status == "suspected" and pair[0] == evidence} == wanted


@STORIES
@settings(max_examples=25)
@given(seed=SEEDS, schedule=SEEDS)
def test_any_story_in_any_interleaving(kind: str, seed: int, schedule: int) -> None:
    """Whoever shares, signs in, claims, repeats and merges: each law holds when all is quiet."""
    happened, network = play(kind, seed, schedule)
    check(happened, network)


@STORIES
@settings(max_examples=10)
@given(seed=SEEDS, schedule=SEEDS)
def test_a_partition_is_a_function_of_its_log(kind: str, seed: int, schedule: int) -> None:
    """Fed the same log, in other batches and after restarts, a fold writes the same and ends in the same states."""
    _, network = play(kind, seed, schedule)
    chance = Random(schedule)
    for partition, log in enumerate(network.logs):
        states: dict[bytes, bytes] = {}
        said, place = [], 0
        while place < len(log):
            fold = TwinFold(partition, states, network.rules, network.partitions)
            for _ in range(chance.randint(1, 5)):
                count = chance.choice([1, 5, 50])
                fold.apply(log[place : place + count])
                said += fold.seal().outputs
                place += count
        assert states == network.changelogs[partition]
        for topic in PUBLIC:
            assert [each for each in said if each.topic == topic] == [
                each for each in network.outputs[partition] if each.topic == topic
            ]


@settings(max_examples=20)
@given(seed=SEEDS, one=SEEDS, other=SEEDS)
def test_who_is_who_does_not_depend_on_the_interleaving(seed: int, one: int, other: int) -> None:
    """Where no two claim one address, the same keys are the same persons with the same last owners, however it ran."""
    happened = story(seed, MOST, contests=False, merges=False)
    homes = [
        {key: address.to for key, address in Network(schedule, SMALL).run(happened).moved().items()}
        for schedule in (one, other)
    ]
    assert homes[0] == homes[1]


def one_after_the_other(happened: Story) -> Story:
    """The acts of a story, a minute apart, with those repeats that come within a dozen acts."""
    steps: list[Act] = []
    for step in (step for step in happened if isinstance(step, Act)):
        first = next((each for each in steps if each.name == step.name), None)
        if first is None:
            steps.append(replace(step, at_s=MONDAY + 60 * len(steps)))
        elif first in steps[-12:]:
            steps.append(first)
    return steps


@settings(max_examples=15)
@given(seed=SEEDS, schedule=SEEDS)
def test_what_is_told_twice_counts_once_for_all_leads_together(seed: int, schedule: int) -> None:
    """Also where a device has changed hands between an event and its repeat."""
    network = Network(schedule, SMALL).tell(*one_after_the_other(story(seed, MOST // 2, merges=False)))
    ids = [id for lead in network.leads().values() for id in ids_of(lead)]
    assert len(ids) == len(set(ids))


@settings(max_examples=20)
@given(seed=SEEDS, schedule=SEEDS)
def test_a_point_came_from_its_device(seed: int, schedule: int) -> None:
    """The explanation names for each event the device on which it happened, also after a merge."""
    _, network = play("merges", seed, schedule)
    told = tell(network.logs, network.outside)
    for key, lead in network.leads().items():
        for row in explain(lead, network.rules, END_S).rows:
            if row.event_id is not None:
                device = told.devices[bytes.fromhex(row.event_id)]
                assert row.device == (None if device == key else device)


def test_stories_are_hard_enough() -> None:
    """The random stories have what the laws are about."""
    networks = [play("undone", seed, seed)[1] for seed in range(25)]
    found: dict[str, int] = {}
    for network in networks:
        for output in network.mail_sent():
            assert output.value is not None
            body = decode(output.value)
            found[type(body).__name__] = found.get(type(body).__name__, 0) + 1
            if isinstance(body, Link) and body.via:
                found["via"] = found.get("via", 0) + 1
        found["alerts"] = found.get("alerts", 0) + len(network.said(LeadAlert))
    for name in ("Link", "Absorb", "DeviceLost", "Merge", "Release", "Engagement", "via", "alerts"):
        assert found.get(name, 0) >= 10, found
