"""Suspicions after merges, and after merges are undone: each stands between two leads that live."""

from __future__ import annotations

from itertools import pairwise

import pytest

from schemas.codec import encode
from schemas.records import LeadDuplicate, NotTheSame
from tests.streams.harness import MONDAY
from tests.streams.network import Act, Network, Wish, id_of
from tests.streams.test_identity_examples import EVIDENCE, act

FIRST, SECOND, THIRD = sorted(("ana", "ben", "eva"), key=lambda name: id_of(f"u:{name}"))
"""Three users, of whom the first survives a merge."""
MAIL = "us@c.example"


def last(network: Network) -> dict[tuple[str, ...], str]:
    """The last word on each pair: (evidence, stronger, other) → status."""
    found = {}
    for it in network.said(LeadDuplicate):
        found[it.evidence, it.lead_id, it.other_id] = it.status
    return found


def pair(evidence: str, one: str, other: str) -> tuple[str, ...]:
    """The key of a suspicion between two users."""
    return (evidence, *sorted((id_of(f"u:{one}"), id_of(f"u:{other}"))))


@pytest.mark.parametrize(("evidence", "field", "value"), EVIDENCE)
def test_a_merge_undone_leaves_both_suspected_again(evidence: str, field: str, value: str) -> None:
    """What they shared before they still share; what one of them brought is not the other's."""
    network = Network().tell(act(0, FIRST, **{field: value}), act(1, SECOND, **{field: value}))
    network.tell(Wish(f"u:{SECOND}", f"u:{FIRST}", MONDAY + 2), act(3, THIRD, **{field: value}))
    assert last(network) == {
        pair(evidence, FIRST, SECOND): "resolved",
        pair(evidence, FIRST, THIRD): "suspected",
    }
    network.tell(Wish(f"u:{SECOND}", at_s=MONDAY + 4))
    assert set(last(network).values()) == {"suspected"}
    assert len(last(network)) == 3


@pytest.mark.parametrize(("evidence", "field", "value"), EVIDENCE)
def test_what_was_brought_is_suspected_of_whom_it_goes_back_to(evidence: str, field: str, value: str) -> None:
    """The survivor had no part in the evidence, and has none when the merge is undone."""
    network = Network().tell(act(0, FIRST), act(1, SECOND, **{field: value}), act(2, THIRD, **{field: value}))
    network.tell(Wish(f"u:{SECOND}", f"u:{FIRST}", MONDAY + 3))
    assert last(network)[pair(evidence, FIRST, THIRD)] == "suspected"
    network.tell(Wish(f"u:{SECOND}", at_s=MONDAY + 4))
    assert last(network)[pair(evidence, FIRST, THIRD)] == "resolved"
    assert last(network)[pair(evidence, SECOND, THIRD)] == "suspected"
    assert last(network).get(pair(evidence, FIRST, SECOND)) != "suspected"


def test_who_claimed_an_address_and_has_had_it_since_is_suspected_again_when_its_owner_leaves() -> None:
    """The survivor has absorbed who claimed the address, then its owner, who is taken out again."""
    network = Network().tell(act(0, SECOND, email=MAIL), act(1, THIRD, email=MAIL), act(2, SECOND, email=MAIL))
    network.tell(act(2, FIRST), *(Wish(f"u:{each}", f"u:{FIRST}", MONDAY + 3) for each in (THIRD, SECOND)))
    assert set(last(network).values()) == {"resolved"}
    network.tell(Wish(f"u:{SECOND}", at_s=MONDAY + 4))
    assert [each for each, status in last(network).items() if status == "suspected"] == [
        pair("email_claimed", FIRST, SECOND)
    ]
    network.tell(Wish(f"u:{THIRD}", at_s=MONDAY + 5))
    assert [each for each, status in last(network).items() if status == "suspected"] == [
        pair("email_claimed", SECOND, THIRD)
    ]


def test_who_claimed_an_address_is_suspected_of_whoever_has_it() -> None:
    """The owner becomes a part of somebody, then the one who claimed it: no suspicion is left under an old id."""
    network = Network().tell(act(0, SECOND, email=MAIL), act(1, THIRD, email=MAIL), act(2, FIRST))
    assert last(network) == {pair("email_claimed", SECOND, THIRD): "suspected"}
    network.tell(Wish(f"u:{SECOND}", f"u:{FIRST}", MONDAY + 3))
    assert last(network) == {
        pair("email_claimed", SECOND, THIRD): "resolved",
        pair("email_claimed", FIRST, THIRD): "suspected",
    }
    network.tell(Wish(f"u:{THIRD}", f"u:{FIRST}", MONDAY + 4))
    assert set(last(network).values()) == {"resolved"}
    network.tell(Wish(f"u:{THIRD}", at_s=MONDAY + 5))
    assert last(network)[pair("email_claimed", FIRST, THIRD)] == "suspected"
    network.tell(Wish(f"u:{SECOND}", at_s=MONDAY + 6))
    assert [each for each, status in last(network).items() if status == "suspected"] == [
        pair("email_claimed", SECOND, THIRD)
    ]


def test_another_spelling_is_suspected_of_whoever_has_the_address() -> None:
    """First of the address' own lead, then of the user who gave it, then of the one whom that one was merged into."""
    plain, spelled = "joe@gmail.com", "jo.e@gmail.com"
    network = Network().tell(
        act(0, email=plain), Act(MONDAY + 1, email=spelled, spelling=plain, name="1"), act(2, SECOND, email=plain),
        act(3, FIRST), Wish(f"u:{SECOND}", f"u:{FIRST}", MONDAY + 4),
    )  # fmt: skip
    other = id_of(f"e:{spelled}")
    assert [each for each, status in last(network).items() if status == "suspected"] == [
        ("email_spelling", id_of(f"u:{FIRST}"), other)
    ]


def test_not_the_same_goes_with_both() -> None:
    """Who was said to be somebody else than the owner of an address is not suspected of the next owner either."""
    network = Network().tell(act(0, SECOND, email=MAIL), act(1, THIRD, email=MAIL), act(2, FIRST))
    home, two = id_of(f"e:{MAIL}"), (id_of(f"u:{SECOND}"), id_of(f"u:{THIRD}"))
    network.write(home.encode(), encode(NotTheSame(home, *two, (MONDAY + 3) * 1000, "eva"))).settle()
    network.tell(act(4, THIRD, email=MAIL), Wish(f"u:{SECOND}", f"u:{FIRST}", MONDAY + 5))
    assert last(network) == {pair("email_claimed", SECOND, THIRD): "dismissed"}


def test_a_claim_that_goes_from_lead_to_lead_takes_bounded_room() -> None:
    """Each user becomes a part of the next by an alias; the suspicion goes along, and back to the first."""
    names = sorted((f"user {n}" for n in range(60)), key=lambda name: id_of(f"u:{name}"), reverse=True)
    claimant, owner = names[0], names.pop()
    network = Network().tell(act(0, owner, email=MAIL), act(1, claimant, email=MAIL), *(act(2, each) for each in names))
    network.tell(*(Wish(f"u:{one}", f"u:{other}", MONDAY + 3 + n) for n, (one, other) in enumerate(pairwise(names))))
    assert last(network)[pair("email_claimed", owner, names[-1])] == "suspected"
    assert list(last(network).values()).count("suspected") == 1
    [entry] = network.moved()[id_of(f"e:{MAIL}")].suspects
    assert len(entry) < 400
    network.tell(Wish(f"u:{claimant}", at_s=MONDAY + 100))
    assert last(network)[pair("email_claimed", owner, claimant)] == "suspected"
    assert list(last(network).values()).count("suspected") == 1
