"""What is forgotten, and when: visitors, forwarding addresses and evidence, by tick; and who comes back afterwards."""

from __future__ import annotations

from schemas.records import LeadState, Rejected
from streams.forwarding import MOST_OWNERS
from tests.oracle.naive import DAY_S
from tests.streams.harness import MONDAY, Time
from tests.streams.network import Act, Network, Wish, id_of


def day(number: float) -> int:
    """Seconds at that many days after the first Monday."""
    return MONDAY + int(number * DAY_S)


def act(number: float, who: str, kind: str = "page_view") -> Act:
    """An event on that day, by `user@device`, a user alone or a device alone."""
    user, _, device = who.partition("@")
    return Act(day(number), kind, user=user, device=device, name=f"{who} {number}")


def tombstones(network: Network) -> list[str]:
    """The leads of which it was said that they are gone."""
    outputs = [output for outputs in network.outputs for output in outputs if output.topic == "lead.state"]
    return [output.key.decode() for output in outputs if output.value is None and output.key]


def test_a_forwarding_address_is_forgotten_after_180_idle_days() -> None:
    """Until then the device's events are the person's; afterwards it is a new visitor's, and nothing more is said."""
    network = Network().tell(act(0, "@laptop"), act(1, "ana@laptop"), Time(day(180)))
    assert set(network.moved()) == {id_of("a:laptop")}
    network.tell(act(180, "@laptop"))
    assert network.lead("u:ana").events == 3
    said = len(network.said(LeadState))
    network.tell(Time(day(360) - 1))
    assert set(network.moved()) == {id_of("a:laptop")}
    network.tell(Time(day(360)))
    assert set(network.states()) == {id_of("u:ana")}
    assert len(network.said(LeadState)) == said
    network.tell(act(361, "@laptop"))
    assert network.lead("a:laptop").events == 1
    assert network.lead("u:ana").events == 3


def test_who_comes_back_with_a_device_gets_it_back() -> None:
    """After its address was forgotten, the next sign-in links the device again, with what it did in between."""
    network = Network().tell(act(0, "ana@laptop"), Time(day(200)), act(201, "@laptop"), act(202, "ana@laptop"))
    assert set(network.leads()) == {id_of("u:ana")}
    assert network.lead("u:ana").events == 3
    assert network.moved()[id_of("a:laptop")].to == id_of("u:ana")


def test_a_device_on_which_one_is_always_signed_in_is_never_forgotten() -> None:
    """A year of signed-in days keeps the address, though nothing is said under it; it costs a mail in thirty days."""
    network = Network()
    for number in range(365):
        network.say(act(number, "ana@laptop"), Time(day(number)))
    network.settle().tell(act(365, "@laptop"))
    assert set(network.leads()) == {id_of("u:ana")}
    assert network.lead("u:ana").events == 366
    assert network.mails == 13 + 1


def test_an_idle_visitor_is_forgotten_and_comes_back_as_a_new_one() -> None:
    """After sixty days; a sign-in on the device afterwards finds only what came since."""
    network = Network().tell(act(0, "@laptop"), Time(day(60)))
    assert network.states() == {}
    assert tombstones(network) == [id_of("a:laptop")]
    network.tell(act(61, "@laptop"), act(62, "ana@laptop"))
    assert network.lead("u:ana").events == 2
    assert tombstones(network) == [id_of("a:laptop")] * 2


def test_persons_are_not_forgotten() -> None:
    """However long they stay away."""
    network = Network().tell(act(0, "ana@laptop"), Act(MONDAY, email="m@c.example", name="m"), Time(day(390)))
    assert set(network.leads()) == {id_of("u:ana"), id_of("e:m@c.example")}


def test_what_was_merged_by_a_wish_stays_merged() -> None:
    """After 180 idle days it can no longer be undone, but what comes under the id is the survivor's, for ever."""
    survivor, absorbed = sorted(("ana", "ben"), key=lambda name: id_of(f"u:{name}"))
    network = Network().tell(act(0, survivor), act(0, absorbed), Wish(f"u:{survivor}", f"u:{absorbed}", day(1)))
    undo = network.moved()[id_of(f"u:{absorbed}")].undo
    assert undo is not None
    assert undo.frozen
    network.tell(Time(day(182)))
    undo = network.moved()[id_of(f"u:{absorbed}")].undo
    assert undo is not None
    assert not undo.frozen
    network.tell(Wish(f"u:{absorbed}", at_s=day(182)))
    assert [it.code for it in network.said(Rejected)] == ["not_merged"]
    network.tell(act(183, absorbed), Time(day(399)), act(399, absorbed))
    assert set(network.leads()) == {id_of(f"u:{survivor}")}
    assert network.lead(f"u:{survivor}").events == 4


def test_a_device_that_was_nobodys_can_be_somebodys_again() -> None:
    """A quarantined device is forgotten like any address, and is a new visitor's afterwards."""
    network = Network().tell(*[act(n / 100, f"p{n}@desk") for n in range(MOST_OWNERS + 1)])
    assert network.moved()[id_of("a:desk")].to == ""
    network.tell(act(1, "@desk"), Time(day(181)), act(182, "@desk"), act(183, "ana@desk"))
    assert network.lead("u:ana").events == 2


def test_evidence_is_forgotten_after_180_days() -> None:
    """Who shares a phone with somebody of half a year ago is not suspected for it."""
    network = Network().tell(Act(MONDAY, user="ana", phone="+49301234567", name="1"), Time(day(180)))
    assert network.matches() == {}
    assert set(network.leads()) == {id_of("u:ana")}


def test_a_bot_leaves_nothing_that_could_expire() -> None:
    """Neither a lead nor an address, and what it names is not linked: there is nothing to forget a day later."""
    network = Network().tell(act(0, "ana@laptop"), Act(day(1), user="ben", device="phone", verdict="bot", name="bot"))
    assert set(network.states()) == {id_of("u:ana"), id_of("a:laptop")}
    network.tell(Time(day(2)))
    assert tombstones(network) == []


def test_a_merged_lead_gets_a_tombstone() -> None:
    """The public hears that the absorbed lead is gone, once, whatever is forwarded afterwards."""
    network = Network().tell(act(0, "@laptop"), act(1, "ana@laptop"), act(2, "@laptop"), act(3, "@laptop"))
    assert tombstones(network) == [id_of("a:laptop")]
