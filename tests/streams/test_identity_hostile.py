"""What a shared login, a crowd or a broken producer does to identities: bounded, told, and nobody else touched."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from schemas.codec import encode
from schemas.records import (
    LeadDuplicate,
    LeadTransition,
    Link,
    Quarantined,
    Rejected,
)
from streams.fold import InboxRecord
from streams.forwarding import MOST_OWNERS
from streams.lead_fold import LeadFold
from streams.links import MOST_LINKS, entries
from tests.oracle.replay import Record
from tests.streams.harness import MONDAY
from tests.streams.network import INBOX, Act, Network, Step, Wish, id_of, ids_of

ANA, BEN, EVA = (id_of(f"u:{name}") for name in ("ana", "ben", "eva"))
"""Of these three the smallest id survives."""


def told(network: Network, aspect: str = "identity") -> Counter[tuple[str, str, str]]:
    """The transitions of an aspect: (lead, before, after) → how often."""
    found = network.said(LeadTransition)
    return Counter((it.lead_id, it.before, it.after) for it in found if it.aspect == aspect)


def reasons(network: Network) -> list[str]:
    """Why records were rejected."""
    return [it.code for it in network.said(Rejected)]


def event_count(network: Network) -> int:
    """Events of all leads together."""
    return sum(lead.events for lead in network.leads().values())


def alias(user: str, previous: str, at_s: int = MONDAY) -> Act:
    """The call by which a site says that two ids are one person."""
    return Act(at_s, "alias", "", user=user, alias=previous, name=f"{user} is {previous} {at_s}")


# -- aliases


def test_an_alias_to_oneself_changes_nothing() -> None:
    """Who says to be oneself stays who one is."""
    network = Network().tell(Act(MONDAY, user="ana", name="1"), alias("ana", "ana"), Wish("u:ana", "u:ana"))
    assert set(network.leads()) == {ANA}
    assert network.lead("u:ana").events == 2
    assert not told(network)
    assert not reasons(network)


@pytest.mark.parametrize("seed", range(20))
def test_an_alias_circle_of_three_is_one_person(seed: int) -> None:
    """A says to be B, B to be C, C to be A, all at once: one lead, under the smallest id, with every event once."""
    story: list[Step] = [Act(MONDAY + n, user=name, name=name) for n, name in enumerate(("ana", "ben", "eva"))]
    story += [alias("ana", "ben"), alias("ben", "eva"), alias("eva", "ana")]
    network = Network(seed).say(*story).settle()
    (survivor,) = network.leads()
    assert survivor == min(ANA, BEN, EVA)
    assert network.leads()[survivor].events == len(set(ids_of(network.leads()[survivor]))) == 6
    users = {key: address.to for key, address in network.moved().items() if key.startswith("u_")}
    assert users == {key: survivor for key in (ANA, BEN, EVA) if key != survivor}


def test_an_alias_to_nobody_renames_nobody() -> None:
    """A previous id that was never seen, as trackers send it with the device's id, changes no lead's id."""
    for previous in ("x1", "x2", "x3", "x4"):
        network = Network().tell(Act(MONDAY, user="ana", name="1"), alias("ana", previous))
        assert set(network.leads()) == {ANA}
        assert set(network.moved()) == {id_of(f"a:{previous}")}


def test_an_alias_counts_as_soon_as_there_is_somebody() -> None:
    """Said before the other one was ever seen it does nothing; said again it does."""
    early, late = alias("ana", "ben"), alias("ana", "ben", MONDAY + 9)
    network = Network().tell(early, Act(MONDAY + 5, user="ben", name="2"))
    assert set(network.leads()) == {ANA, BEN}
    network.tell(late)
    assert set(network.leads()) == {min(ANA, BEN)}
    assert event_count(network) == 3


# -- crowds


def test_a_login_that_ten_thousand_devices_use() -> None:
    """A kiosk's login: every event counts, 128 devices are linked, the others stay themselves; it is said once."""
    count = 10_000
    network = Network()
    network.say(*[Act(MONDAY + n, user="kiosk", device=f"d{n}", name=f"k{n}") for n in range(count)]).settle()
    kiosk = network.lead("u:kiosk")
    assert kiosk.events == count
    assert len(list(entries(kiosk.links))) == len(network.moved()) == MOST_LINKS
    assert network.mails == MOST_LINKS
    assert told(network) == {(id_of("u:kiosk"), "linking", "quarantined"): 1}
    assert max(len(value) for log in network.changelogs for value in log.values()) <= 64 * 1024
    network.tell(Act(MONDAY, device="d1", name="linked"), Act(MONDAY, device="d5000", name="not linked"))
    assert network.lead("u:kiosk").events == count + 1
    assert network.lead("a:d5000").events == 1


def test_a_device_that_seventeen_people_use_is_nobodys() -> None:
    """At the 17th it is quarantined, which is said once; what is done on it signed in counts, the rest does not."""
    people = [f"p{n}" for n in range(MOST_OWNERS + 3)]
    network = Network()
    for n, name in enumerate(people):
        network.tell(Act(MONDAY + 10 * n, user=name, device="desk", name=name))
        network.tell(Act(MONDAY + 10 * n + 1, device="desk", name=f"after {name}"))
    desk = id_of("a:desk")
    assert told(network) == {(desk, "linking", "quarantined"): 1}
    assert network.moved()[desk].to == ""
    suspects = [it for it in network.said(Quarantined) if it.verdict == "suspect"]
    assert [it.lead_id for it in suspects] == [desk] * 3
    assert all("16" in it.reasons[0] for it in suspects)
    assert [network.lead(f"u:{name}").events for name in people] == [2] * MOST_OWNERS + [1] * 3
    assert not [link for lead in network.leads().values() for link in entries(lead.links) if link.held]


def test_a_device_that_is_nobodys_is_merged_with_nobody() -> None:
    """A wish to merge it is rejected, and says why; nobody is touched."""
    network = Network().tell(*[Act(MONDAY + n, user=f"p{n}", device="desk", name=f"{n}") for n in range(17)])
    network.tell(Wish("a:desk", "u:p3"))
    assert reasons(network) == ["quarantined"]
    assert event_count(network) == len(network.leads()) == 17


def test_a_user_is_not_linked_away() -> None:
    """A link is no wish: who writes one to a user's id is refused, and both leads stay what they are."""
    strong, weak = sorted((ANA, BEN))
    network = Network().tell(Act(MONDAY, user="ana", name="1"), Act(MONDAY, user="ben", name="2"))
    network.write(weak.encode(), encode(Link(strong, MONDAY * 1000, None))).settle()
    assert set(network.leads()) == {ANA, BEN}
    assert not network.moved()


def test_two_who_take_turns_are_not_a_crowd() -> None:
    """However often a device changes hands between two people, it is not quarantined, and follows the last."""
    network = Network()
    for n in range(40):
        network.tell(
            Act(MONDAY + 10 * n, user=("ana", "ben")[n % 2], device="sofa", name=f"in {n}"),
            Act(MONDAY + 10 * n + 1, device="sofa", name=f"at {n}"),
        )
    assert not told(network)
    assert [network.lead(f"u:{name}").events for name in ("ana", "ben")] == [40, 40]


def test_an_address_that_twenty_users_claim_stays_the_firsts() -> None:
    """The first keeps it; the next claims are suspected duplicates, up to a limit that is said; all events count."""
    address = "all@c.example"
    network = Network().tell(*[Act(MONDAY + n, user=f"u{n}", email=address, name=f"{n}") for n in range(20)])
    home = id_of(f"e:{address}")
    assert network.moved()[home].to == id_of("u:u0")
    assert event_count(network) == len(network.leads()) == 20
    said = network.said(LeadDuplicate)
    assert {(it.evidence, it.status) for it in said} == {("email_claimed", "suspected")}
    assert len(said) == MOST_OWNERS - 1
    assert told(network) == {(home, "linking", "quarantined"): 1}
    network.tell(Act(MONDAY + 50, email=address, name="click"))
    assert network.lead("u:u0").events == 2


@pytest.mark.parametrize("evidence", ["phone", "person"])
def test_a_phone_that_fifty_leads_share_proves_nothing(evidence: str) -> None:
    """Pairs are reported for the first eight leads; then it is said that too many share it, and no more."""
    acts = [replace(Act(MONDAY + n, user=f"u{n}", name=f"{n}"), **{evidence: "+49301234567"}) for n in range(50)]
    network = Network().tell(*acts)
    said = network.said(LeadDuplicate)
    assert Counter(it.status for it in said) == {"suspected": 28, "quarantined": 1}
    assert len(network.leads()) == event_count(network) == 50
    assert max(len(each.leads) for each in network.matches().values()) <= 9
    assert not told(network)


def test_everything_at_once_on_one_device() -> None:
    """Sixteen people, each with an address of their own and one in common, on one device, in any order: all counted."""
    for seed in range(5):
        network = Network(seed)
        story = [
            Act(MONDAY + n // 3, user=f"u{n % 8}", email=(f"own{n % 8}@c.example", "all@c.example")[n % 2],
                device="desk", name=f"{n}")
            for n in range(120)
        ]  # fmt: skip
        network.run(story)
        assert event_count(network) == 120
        assert network.mails <= 6 * 120


# -- odd values


def test_an_address_of_ten_kilobytes_is_rejected() -> None:
    """What nobody writes is no address: the record is kept in the dead letter, with the reason; nobody is touched."""
    network = Network().tell(Act(MONDAY, user="ana", name="1"))
    network.tell(Act(MONDAY, user="ana", email=f"{'x' * 10_000}@c.example", name="2"))
    (rejected,) = network.said(Rejected)
    assert (rejected.code, "10010 characters" in rejected.reason) == ("too_long", True)
    assert network.lead("u:ana").events == 1
    assert len(network.states()) == 1


def test_long_ids_fill_no_state() -> None:
    """A user id or a phone of a megabyte's tenth links like any other, and is not kept."""
    network = Network().tell(Act(MONDAY, user="x" * 100_000, phone="0" * 100_000, device="d", name="1"))
    assert network.lead(f"u:{'x' * 100_000}").events == 1
    assert len(network.moved()) == 1
    assert max(len(value) for log in network.changelogs for value in log.values()) <= 1_024


def test_a_user_id_that_looks_like_an_address() -> None:
    """Who signs in with the address is one with who clicks in a mail to it, and with nobody else."""
    marta = "marta@c.example"
    network = Network().tell(
        Act(MONDAY, "email_click", email=marta, name="1"),
        Act(MONDAY + 1, user=marta, email=marta, name="2"),
        Act(MONDAY + 2, email=marta, name="3"),
        Act(MONDAY + 3, user="marta", name="4"),
    )
    assert network.lead(f"u:{marta}").events == 3
    assert network.lead("u:marta").events == 1


def test_look_alikes_are_different_people() -> None:
    """Ids that only look the same to people are told apart; none touches the other's lead."""
    names = ["ana", "anа", "аna", "ana\u200b", "ANA", "ａna"]
    network = Network().tell(*[Act(MONDAY, user=name, device=f"of {name}", name=name) for name in names])
    assert len(network.leads()) == len(network.moved()) == len(names)
    assert {lead.events for lead in network.leads().values()} == {1}


def test_fifty_devices_and_ten_thousand_events_cost_what_they_are() -> None:
    """The last of a busy person's ten thousand events take no more calls than those after the two thousandth."""
    chance, fold = Random(3), LeadFold(0, {}, Network().rules, 1)
    acts = [
        Act(
            MONDAY + 300 * n,
            "page_view",
            f"/{n % 7}",
            user=chance.choice(["", "ana"]),
            device=f"d{n % 50}",
            name=f"{n}",
        )
        for n in range(10_000)
    ]
    log = Network(partitions=1).say(*acts).logs[0]

    def feed(given: Sequence[InboxRecord]) -> None:
        """Fold them one by one, and all mail that comes of each."""
        for record in given:
            records = [record]
            while records:
                fold.apply(records)
                sent = [output for output in fold.seal().outputs if output.topic == INBOX]
                records = [Record(n, log[0].timestamp, output.key, output.value) for n, output in enumerate(sent)]

    def calls(records: Sequence[InboxRecord]) -> int:
        """Feed them; returns how many functions were called."""
        count = 0

        def note(_frame: object, what: str, _arg: object) -> None:
            nonlocal count
            count += what in ("call", "c_call")

        sys.setprofile(note)
        try:
            feed(records)
        finally:
            sys.setprofile(None)
        return count

    feed(log[:2_000])
    early = calls(log[2_000:2_500])
    feed(log[2_500:9_500])
    late = calls(log[9_500:])
    assert late <= 1.2 * early, (early, late)
