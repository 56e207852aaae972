"""What is known of a lead after a merge, and after it is undone: how it can be reached, and since when it is there."""

from __future__ import annotations

import pytest

from streams.contact import reachable
from tests.streams.harness import MONDAY
from tests.streams.network import Act, Network, Wish, id_of
from tests.streams.test_identity_examples import act

FIRST, SECOND, THIRD = sorted(("ana", "ben", "eva"), key=lambda name: id_of(f"u:{name}"))
PHONE = "+49301234567"
MERGE, PART = Wish(f"u:{SECOND}", f"u:{FIRST}", MONDAY + 10), Wish(f"u:{SECOND}", at_s=MONDAY + 20)


def phones(network: Network, name: str) -> list[str]:
    """The telephone numbers that are known of a user."""
    return [each.value for each in network.lead(f"u:{name}").known if each.kind == "p"]


@pytest.mark.parametrize("at_s", [1, 5, 9, 15])
def test_a_number_that_both_gave_stays_with_both(at_s: int) -> None:
    """Whenever the survivor gave it: before the other one, in between, after it, or when they were one."""
    own, theirs = act(at_s, FIRST, phone=PHONE), [act(at_s, SECOND, phone=PHONE) for at_s in (2, 8)]
    network = Network().tell(act(0, FIRST), act(0, SECOND))
    network.tell(*sorted([own, *theirs, MERGE, PART], key=lambda step: step.at_s))
    assert phones(network, FIRST) == phones(network, SECOND) == [PHONE]
    assert reachable(network.lead(f"u:{FIRST}"))


def test_a_number_that_only_the_other_one_gave_goes_with_it() -> None:
    """And is known again once the survivor gives it."""
    network = Network().tell(act(0, FIRST), act(1, SECOND, phone=PHONE), MERGE)
    assert phones(network, FIRST) == [PHONE]
    network.tell(PART)
    assert (phones(network, FIRST), phones(network, SECOND)) == ([], [PHONE])
    assert not reachable(network.lead(f"u:{FIRST}"))
    network.tell(act(30, FIRST, phone=PHONE))
    assert phones(network, FIRST) == [PHONE]


def test_an_address_that_the_survivor_gave_while_they_were_one_stays() -> None:
    """The address is the other one's again; both can be reached by it."""
    mail = f"{SECOND}@c.example"
    network = Network().tell(act(0, FIRST), act(1, SECOND, email=mail), MERGE, act(15, FIRST, email=mail), PART)
    assert network.lead(f"u:{FIRST}").email == network.lead(f"u:{SECOND}").email == mail


def test_a_number_that_two_parts_gave_stays_while_one_of_them_does() -> None:
    """The one that is left gave it later than the one that goes."""
    network = Network().tell(act(0, FIRST), act(1, SECOND, phone=PHONE), act(2, THIRD, phone=PHONE))
    network.tell(MERGE, Wish(f"u:{THIRD}", f"u:{FIRST}", MONDAY + 11), PART)
    assert phones(network, FIRST) == [PHONE]


@pytest.mark.parametrize("then", [act(5, FIRST), act(30, FIRST)])
def test_whoever_has_nothing_left_begins_anew(then: Act) -> None:
    """A survivor that nobody had seen gives back all that it has; its next event is its first, and its last."""
    network = Network().tell(act(8, SECOND), act(9, SECOND), MERGE, PART)
    assert network.lead(f"u:{FIRST}").events == 0
    lead = network.tell(then).lead(f"u:{FIRST}")
    assert (lead.events, lead.first_seen, lead.last_seen) == (1, then.at_s, then.at_s)


def test_whoever_has_nothing_left_is_what_it_takes_in() -> None:
    """The next lead that becomes a part of it was there since its own first event."""
    network = Network().tell(act(1, SECOND), MERGE, PART, act(5, THIRD), act(6, THIRD))
    lead = network.tell(Wish(f"u:{THIRD}", f"u:{FIRST}", MONDAY + 30)).lead(f"u:{FIRST}")
    assert (lead.events, lead.first_seen, lead.last_seen) == (2, MONDAY + 5, MONDAY + 6)
